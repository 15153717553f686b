package signing

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// IndexMax bounds every derivation index that is looked at; the policy's index gap is far narrower for new ones.
const IndexMax = 1 << 20

// Examination is a bundle that was opened and whose effects are proven, with everything that was found.
type Examination struct {
	Opened    bundle.Opened
	Proven    *bitcoin.Proven // the payload, proven once: everything signed comes from it
	Scope     bitcoin.Scope
	Effects   chain.Effects
	Approvers []approvals.Approver
	Verdict   spend.Verdict
	Rules     policy.Rules
	Limits    []string
	Lock      policy.Lock
	Payee     policy.Entry // of a payment
	Earlier   home.Entry   // of a replacement: what the believing key signed last in its line, if it did
	Refusals  int          // of bundles of the spending wallet, since its rules were pinned
	KeyNumber int          // place of the believing key in the spending wallet, from 1; 0 when it has none
	Now       time.Time
}

// Examine does everything that needs no key. An error says why the bundle's effects could not be established at all; a
// bundle whose effects are known and not allowed comes back with a verdict that is not clean.
func Examine(b Beliefs, l *home.Ledger, raw []byte, now time.Time) (Examination, error) {
	if err := b.complete(); err != nil {
		return Examination{}, err
	}
	opened, err := bundle.Open(raw, b, now)
	if err != nil {
		return Examination{}, err
	}
	x := Examination{Opened: opened, Rules: b.Rules, Now: now}
	if x.Scope, err = b.scope(opened.Intent); err != nil {
		return Examination{}, err
	}
	x.KeyNumber = b.keyNumber(x.Scope.From)
	if err := errors.Join(b.standing(x.Scope.From), b.current(l, opened, x.KeyNumber)); err != nil {
		return Examination{}, err
	}
	payload, proofs := opened.Payload, opened.Proofs
	opened.Payload, opened.Proofs = nil, nil // the packet has its own, and a bundle may be long
	x.Opened = opened
	packet, err := bitcoin.Join(payload, proofs)
	if err != nil {
		return Examination{}, err
	}
	if x.Proven, err = bitcoin.Establish(packet, x.Scope); err != nil {
		return Examination{}, err
	}
	x.Effects = x.Proven.Effects()
	if err := sameAmounts(l, x.Effects); err != nil {
		return Examination{}, err
	}
	rule, _ := b.Rules.Rule(opened.Intent.From)
	var checks []spend.Check
	x.Approvers, checks = b.Roster.Judge(opened.Intent, opened.Body.Intent, opened.Approvals, max(rule.Approvals, 2), now)
	in := b.remember(l, opened.Intent)
	in.Book, in.KeyNumber, x.Refusals = b.Book, x.KeyNumber, in.Refusals
	in.Effects, in.Approvals, in.ApproverCount, in.Now = x.Effects, checks, len(x.Approvers), now
	if err := history(l, opened, &in); err != nil {
		return Examination{}, err
	}
	x.Verdict, x.Limits, x.Lock = policy.Judge(b.Rules, in), policy.Limits(b.Rules, in), policy.TimeLock(b.Rules, in)
	x.Payee, _ = b.Book.Entry(opened.Intent.Entry)
	x.Earlier = b.earlier(l, opened, x.Effects)
	return x, nil
}

// earlier finds what the key signed last in the line that a bundle continues. It must share a coin with the bundle: what
// else the bundle names is nothing that this key can speak about.
func (b Beliefs) earlier(l *home.Ledger, opened bundle.Opened, e chain.Effects) (found home.Entry) {
	named, coins := hex.EncodeToString(opened.Replaces[:]), outpoints(e)
	for _, entry := range l.Entries() {
		ofLine := entry.Event == home.Reserved && entry.Key == b.key && opened.Replaces != [32]byte{} && (entry.Bundle == named || entry.Replaces == named)
		if ofLine && entry.Bundle != hex.EncodeToString(opened.ID[:]) && slices.ContainsFunc(coins, func(coin string) bool { return slices.Contains(entry.Outpoints, coin) }) {
			found = entry
		}
	}
	return found
}

// scope finds the pinned wallets that the intent names. A wallet that was never pinned has no name here and no rules.
func (b Beliefs) scope(intent spend.Intent) (bitcoin.Scope, error) {
	if intent.Network != b.Network {
		return bitcoin.Scope{}, spend.Refuse("network-mismatch", "intent", string(b.Network), string(intent.Network),
			"bring the bundle to a signer of that network; this home serves one network")
	}
	from, ok := b.Wallet(intent.From)
	if !ok {
		return bitcoin.Scope{}, unpinned("from", intent.From)
	}
	if intent.Purpose == spend.Payment { // its destination is an address of the book, which is for policy to find
		return bitcoin.Scope{From: from, IndexMax: IndexMax}, nil
	}
	to, ok := b.Wallet(intent.To)
	if !ok {
		return bitcoin.Scope{}, unpinned("to", intent.To)
	}
	return bitcoin.Scope{From: from, To: to, ToIndex: intent.ToIndex, ToKnown: true, IndexMax: IndexMax}, nil
}

func unpinned(where string, id spend.WalletID) error {
	return spend.Refuse("wallet-unknown", where, "a wallet that this key has pinned", "wallet "+id.Short(),
		"the keyholder, with the wallet file and its words read aloud: coldsign wallet add FILE")
}

// remember collects what the signer ledger knows that matters for an intent.
func (b Beliefs) remember(l *home.Ledger, intent spend.Intent) policy.Input {
	in := policy.Input{Intent: intent, LastSeen: l.LastSeen()}
	rules := ""
	for _, e := range l.Entries() {
		switch {
		case e.Event == home.Pinned && e.Kind == string(home.PolicyPin) && e.Key == b.key && e.SHA256 != rules:
			in.Refusals, rules = 0, e.SHA256 // a quorum signed new rules: that is the reset
		case e.Event == home.Declined && e.Wallet == intent.From.String():
			in.Refusals++
		}
		if e.Event != home.Reserved {
			continue
		}
		if e.To == intent.To.String() {
			in.ToIndexSeen = max(in.ToIndexSeen, e.ToIndex)
		}
		if e.Wallet == intent.From.String() {
			in.ChangeIndexSeen = max(in.ChangeIndexSeen, e.Change)
		}
	}
	return in
}

// history fills in what left the wallet before. Every bundle counts once, however many keys of this home signed it, and
// the bundle that is judged does not count against itself. What a restored ledger does not know counts at its most.
//
// Of bundles that share a coin the chain confirms at most one. So a line of replacements counts once, with the most that
// any of them lets leave, and not at all when another of the line is judged.
func history(l *home.Ledger, opened bundle.Opened, in *policy.Input) error {
	const judged = -1
	lines := map[string]int{hex.EncodeToString(opened.ID[:]): judged} // bundles and coins, by the movement they belong to
	for _, coin := range outpoints(in.Effects) {
		lines[coin] = judged
	}
	for _, e := range l.Entries() {
		if e.Wallet != opened.Intent.From.String() || e.Event != home.Reserved && e.Event != home.Reconciled {
			continue
		}
		moved, err := movement(e)
		if err != nil {
			return err
		}
		if e.Event == home.Reconciled {
			in.History = append(in.History, moved)
			continue
		}
		names := append([]string{e.Bundle}, e.Outpoints...)
		line := len(in.History)
		if i := slices.IndexFunc(names, func(name string) bool { _, known := lines[name]; return known }); i >= 0 {
			line = lines[names[i]]
		}
		switch {
		case line == judged:
			continue // its other coins may be spent beside the bundle that is judged, by yet another one
		case line == len(in.History):
			in.History = append(in.History, moved)
			for _, name := range names {
				lines[name] = line
			}
		default:
			if before := in.History[line].Amount; before.Cmp(moved.Amount) > 0 {
				moved.Amount = before
			}
			in.History[line] = moved
		}
	}
	return nil
}

// destination says in the ledger who is paid: a wallet's identity, or the address of an entry of the book.
func (x Examination) destination() string {
	if x.Opened.Intent.Purpose == spend.Payment {
		return x.Payee.Address
	}
	return x.Opened.Intent.To.String()
}

// Request is what the review screen shows.
func (x Examination) Request() review.Request {
	rule, _ := x.Rules.Rule(x.Opened.Intent.From)
	r := review.Request{Intent: x.Opened.Intent, Effects: x.Effects, Verdict: x.Verdict, Bundle: x.Opened.ID,
		Policy: x.Rules.Version(), Need: max(rule.Approvals, 2), Limits: x.Limits,
		FromName: x.Scope.From.Name(), ToName: x.Scope.To.Name(), Now: x.Now}
	wallets := []wallet.Wallet{x.Scope.From}
	if x.Opened.Intent.Purpose == spend.Payment {
		r.ToName, r.Payee = x.Payee.Name, x.Payee.Address
	} else {
		wallets = append(wallets, x.Scope.To)
	}
	for _, a := range x.Approvers {
		r.Approvers = append(r.Approvers, a.Person+" ("+a.Role+", "+a.Site+", "+a.Device+")")
	}
	if x.Earlier.Bundle != "" {
		r.Notes = append(r.Notes, "replaces bundle "+x.Earlier.Bundle[:8]+", which this key signed on "+x.Earlier.Time.Format(time.RFC3339)+
			": the same coins, amount and destination; the chain takes one of them")
	}
	if x.Refusals > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s was refused %d times on this signer since its rules were pinned; %d times lock it", r.FromName, x.Refusals, rule.RefusalsMax))
	}
	if x.Lock.Applies && x.Now.Before(x.Lock.Until) {
		r.Notes = append(r.Notes, "time-locked: the last signature waits until "+x.Lock.Until.UTC().Format(time.RFC3339)+"; any keyholder can refuse until then")
	}
	for _, w := range wallets {
		if n := len(w.Unproven()); n > 0 {
			r.Notes = append(r.Notes, w.Name()+" has keys without proof of possession")
		}
	}
	return r
}
