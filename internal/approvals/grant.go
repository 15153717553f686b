package approvals

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// ChangeNeed is how many different people approve a change of the exchange. It is no option: a change is what an option
// would be changed by.
const ChangeNeed = 2

// changeMax is the most time between a change's creation and its end.
const changeMax = 30 * 24 * time.Hour

// Grant is a change of the exchange that enough different people approved, or the first roster, which nobody can
// approve because nobody is known yet. Only this room makes one; the zero Grant grants nothing.
type Grant struct {
	intent    exchange.ChangeIntent
	raw       []byte
	approvers []string
	granted   bool
}

// Intent returns what was granted. It panics on a grant that nobody gave: to act on it would be to act on nobody's word.
func (g Grant) Intent() exchange.ChangeIntent {
	if !g.granted {
		panic("approvals: a grant that nobody gave")
	}
	return g.intent
}

// Bytes returns the exact bytes that people approved.
func (g Grant) Bytes() []byte { return slices.Clone(g.raw) }

// Approvers returns who approved, each once; nobody for the first roster.
func (g Grant) Approvers() []string { return slices.Clone(g.approvers) }

// Change judges a change of the exchange: two different people of the roster who are not its proposer, each with the
// role approver and a key for this purpose, signed its exact bytes, and its time has come and is not over. files says
// whether keys in files count, as they do where nothing is worth anything. The error joins every refusal.
func (r Roster) Change(raw []byte, sigs [][]byte, files bool, now time.Time) (Grant, error) {
	intent, err := readChange(raw)
	if err != nil {
		return Grant{}, err
	}
	if len(sigs) > approvalsMax {
		return Grant{}, tooMany("approvals-too-many", "approvals", len(sigs), approvalsMax)
	}
	all := []error{inTime(intent, now)}
	if !r.has(intent.Proposer) {
		all = append(all, spend.Refuse("proposer-unknown", "intent", "a person on the roster", quote(intent.Proposer), "propose again under a name of the roster"))
	}
	var people []string
	for i, armored := range sigs {
		person, refusal := r.judgeChange(intent, raw, armored, files, now)
		if refusal == nil && slices.Contains(people, person) {
			refusal = spend.Refuse("approver-twice", "", "different people", "a second approval by "+person, "one of the approvals must come from somebody else")
		}
		if refusal != nil {
			refusal.Where = fmt.Sprintf("approval %d", i)
			all = append(all, refusal)
			continue
		}
		people = append(people, person)
	}
	all = append(all, enough(people))
	if err := errors.Join(all...); err != nil {
		return Grant{}, err
	}
	return Grant{intent, bytes.Clone(raw), people, true}, nil
}

// First grants the roster that an exchange begins with, and nothing else. Whoever calls has no roster yet.
func First(raw []byte, now time.Time) (Grant, Roster, error) {
	intent, err := readChange(raw)
	if err != nil {
		return Grant{}, Roster{}, err
	}
	roster, err := ParseRoster(intent.Roster)
	if err == nil {
		err = inTime(intent, now)
	}
	if err != nil {
		return Grant{}, Roster{}, err
	}
	return Grant{intent, bytes.Clone(raw), nil, true}, roster, nil
}

// judgeChange checks one signature as judgeOne does, for its own purpose.
func (r Roster) judgeChange(intent exchange.ChangeIntent, raw, armored []byte, files bool, now time.Time) (string, *spend.Refusal) {
	public, flags, err := seal.Verify(armored, raw, seal.Change)
	if err != nil {
		return "", spend.Distrust("approval-invalid", "", "a signature over these intent bytes in namespace "+string(seal.Change), err.Error(),
			"ask for the approval again; if the change was changed, everybody approves again")
	}
	key, known := r.Find(public)
	if !known {
		return "", spend.Distrust("approver-unknown", "", "a key on the roster", "key "+seal.Fingerprint(public),
			"if the approver is genuine, a new roster must name the key; somebody who left cannot approve")
	}
	network := spend.BitcoinMainnet
	if files {
		network = spend.BitcoinRegtest
	}
	as := spend.Intent{Network: network, Proposer: intent.Proposer, CreatedAt: int64(intent.Created) / 1000}
	return key.Person, key.may(seal.Change, as, flags, now)
}

// readChange reads the bytes of a change, which have one spelling.
func readChange(raw []byte) (exchange.ChangeIntent, error) {
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](raw)
	if err != nil {
		return intent, badChange("%.120s", err)
	}
	if again, err := exchange.EncodeBody(intent); err != nil || !bytes.Equal(again, raw) {
		return intent, badChange("another spelling of it")
	}
	actions := 0
	for _, set := range []bool{intent.Asset != nil, intent.Market != nil, intent.Fees != nil, intent.Balance != nil, intent.Roster != nil, intent.Freeze != nil, intent.Wallet != nil,
		intent.Unban != "", intent.Reset != nil, intent.Default != nil} {
		if set {
			actions++
		}
	}
	if actions != 1 {
		return intent, badChange("%d actions", actions)
	}
	if intent.Created < 0 || intent.Expires <= intent.Created || int64(intent.Expires-intent.Created) > changeMax.Milliseconds() {
		return intent, badChange("a time from %d to %d", intent.Created, intent.Expires)
	}
	return intent, nil
}

func badChange(format string, args ...any) *spend.Refusal {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "change-malformed", Where: "intent", Expected: "one action, in deterministic CBOR, for at most 30 days",
		Found: fmt.Sprintf(format, args...), Fix: "propose the change again"}
}

func inTime(intent exchange.ChangeIntent, now time.Time) error {
	created, expires := time.UnixMilli(int64(intent.Created)), time.UnixMilli(int64(intent.Expires))
	switch {
	case !now.Before(expires):
		return spend.Distrust("approvals-expired", "intent", "a time before "+utc(expires), utc(now), "propose again, and have it approved again")
	case now.Add(skewMax).Before(created):
		return spend.Distrust("approvals-not-yet-valid", "intent", "a time after "+utc(created), utc(now), "set this machine's clock (UTC)")
	}
	return nil
}

// enough refuses fewer people than a change needs.
func enough(people []string) error {
	if len(people) >= ChangeNeed {
		return nil
	}
	return spend.Refuse("approvals-insufficient", "approvals", fmt.Sprintf("at least %d", ChangeNeed), fmt.Sprint(len(people)), "ask for another approval")
}
