package approvals

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// skewMax is how far this machine's clock may be behind the proposer's.
const skewMax = 5 * time.Minute

// approvalsMax is the most signatures that are looked at.
const approvalsMax = 16

// Approver is a person whose approval counts.
type Approver struct {
	Person, Role, Site, Device, Key string // Key is its fingerprint
	Counter                         uint32 // of a security key, for a caller who remembers the last one; else 0
}

// Judge says who validly approved an intent, and gives every check with its outcome. intentBytes are the exact bytes
// that intent was decoded from. need is the number of different people required, at least one.
//
// Only checks that all passed mean that the intent is approved. An approval that does not count is always a refusal and
// never ignored: somebody sent it, and a treasury wants to know why.
func (r Roster) Judge(intent spend.Intent, intentBytes []byte, sigs [][]byte, need int, now time.Time) ([]Approver, []spend.Check) {
	checks := []spend.Check{r.judgeProposer(intent), judgeTime(intent, now)}
	if len(sigs) > approvalsMax {
		return nil, append(checks, refuse("approvals", tooMany("approvals-too-many", "approvals", len(sigs), approvalsMax)))
	}
	var approvers []Approver
	for i, armored := range sigs {
		approver, refusal := r.judgeOne(intent, intentBytes, armored, now)
		if refusal == nil && slices.ContainsFunc(approvers, func(a Approver) bool { return a.Person == approver.Person }) {
			refusal = spend.Refuse("approver-twice", "", "different people", "a second approval by "+approver.Person,
				"one of the approvals must come from somebody else")
		}
		name := fmt.Sprintf("approval %d", i)
		if refusal != nil {
			refusal.Where = name
			checks = append(checks, refuse(name, refusal))
			continue
		}
		approvers = append(approvers, approver)
		checks = append(checks, spend.Check{Name: name, Detail: approver.Person + " (" + approver.Device + ", " + approver.Site + ")"})
	}
	return approvers, append(checks, count(approvers, need))
}

// judgeOne checks one signature: good over these bytes for this purpose, by a key of the roster, of a person with the
// role, valid throughout, held as the network demands, and not the proposer.
func (r Roster) judgeOne(intent spend.Intent, intentBytes, armored []byte, now time.Time) (Approver, *spend.Refusal) {
	public, flags, err := seal.Verify(armored, intentBytes, seal.Approve)
	if err != nil {
		return Approver{}, spend.Distrust("approval-invalid", "", "a signature over these intent bytes in namespace "+string(seal.Approve),
			err.Error(), "ask for the approval again; if the intent was changed, everybody approves again")
	}
	key, known := r.Find(public)
	if !known {
		return Approver{}, spend.Distrust("approver-unknown", "", "a key on the roster", "key "+seal.Fingerprint(public),
			"if the approver is genuine, a new roster must name the key; somebody who left cannot approve")
	}
	if refusal := key.may(seal.Approve, intent, flags, now); refusal != nil {
		return Approver{}, refusal
	}
	return Approver{Person: key.Person, Role: key.Role, Site: key.Site, Device: key.Device, Key: seal.Fingerprint(public), Counter: flags.Counter}, nil
}

// may judges a known key for one purpose. Nobody can say when a signature was made, only that it was after the intent was
// created and before now; so the key must be valid at both ends.
func (k Key) may(purpose seal.Namespace, intent spend.Intent, flags seal.Flags, now time.Time) *spend.Refusal {
	created := time.Unix(intent.CreatedAt, 0)
	switch {
	case k.Role != RoleApprover || !slices.Contains(k.Namespaces, purpose):
		return spend.Refuse("approver-role", "", "role approver with namespace "+string(purpose), k.Person+" with role "+k.Role,
			"somebody with the role approver must approve")
	case k.Person == intent.Proposer:
		return spend.Refuse("approver-is-proposer", "", "somebody other than the proposer", k.Person,
			"the proposer's approval does not count; somebody else must approve, and this one be left out")
	case !k.ValidAt(created) || !k.ValidAt(now):
		return spend.Distrust("approver-outside-validity", "", k.Person+"'s key between "+utc(k.After)+" and "+utc(k.Before),
			"an intent of "+utc(created)+", judged at "+utc(now), "somebody whose key is valid must approve")
	case k.Device == DeviceFile && !intent.Network.IsTest():
		return spend.Refuse("approver-file-key", "", "a key in hardware on "+string(intent.Network), k.Person+"'s key in a file",
			"approve with a security key or a token, and put that key on the roster")
	case strings.HasPrefix(k.Public.Type(), "sk-") && !(flags.Hardware && flags.UserPresent && flags.UserVerified):
		return spend.Refuse("approver-unverified", "", "a touch and a PIN or fingerprint", "an approval of "+k.Person+" without",
			"make the key again with: ssh-keygen -t ed25519-sk -O verify-required")
	}
	return nil
}

// judgeProposer asks who proposed. A name that stands for nobody would let a person approve their own proposal under
// another spelling.
func (r Roster) judgeProposer(intent spend.Intent) spend.Check {
	const name = "proposer"
	switch {
	case intent.Proposer == intent.Issuer && !r.has(intent.Proposer):
		return spend.Check{Name: name, Detail: intent.Proposer + ", the issuer itself"}
	case r.has(intent.Proposer):
		return spend.Check{Name: name, Detail: intent.Proposer}
	}
	return refuse(name, spend.Refuse("proposer-unknown", "intent", "a person on the roster, or the issuer "+quote(intent.Issuer), quote(intent.Proposer),
		"propose again under a name of the roster"))
}

func judgeTime(intent spend.Intent, now time.Time) spend.Check {
	const name = "approvals in time"
	created, expires := time.Unix(intent.CreatedAt, 0), time.Unix(intent.ExpiresAt, 0)
	switch {
	case !now.Before(expires):
		return refuse(name, spend.Distrust("approvals-expired", "intent", "a time before "+utc(expires), utc(now), "propose again, and have it approved again"))
	case now.Add(skewMax).Before(created):
		return refuse(name, spend.Distrust("approvals-not-yet-valid", "intent", "a time after "+utc(created), utc(now), "set this machine's clock (UTC)"))
	}
	return spend.Check{Name: name, Detail: "until " + utc(expires)}
}

// count compares the number of people with what is required. To require nobody is a mistake of the caller, and refuses.
func count(approvers []Approver, need int) spend.Check {
	const name = "enough different people"
	var names []string
	for _, a := range approvers {
		names = append(names, a.Person)
	}
	found := strconv.Itoa(len(approvers))
	if len(names) > 0 {
		found += " (" + strings.Join(names, ", ") + ")"
	}
	if need < 1 || len(approvers) < need {
		return refuse(name, spend.Refuse("approvals-insufficient", "approvals", fmt.Sprintf("at least %d", max(need, 1)), found,
			"ask for another approval: warmctl topup approve ID"))
	}
	return spend.Check{Name: name, Detail: found + " of " + strconv.Itoa(need)}
}

func tooMany(code, where string, found, max int) *spend.Refusal {
	return &spend.Refusal{Kind: spend.Unreadable, Code: code, Where: where, Expected: fmt.Sprintf("at most %d", max), Found: strconv.Itoa(found),
		Fix: "leave out the ones that are not needed"}
}

func refuse(name string, r *spend.Refusal) spend.Check { return spend.Check{Name: name, Refusal: r} }

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func quote(name string) string { return fmt.Sprintf("%.40q", name) }
