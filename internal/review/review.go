// Package review lays out what a person reads before anything is signed, and what that person must type.
//
// The first page answers, in this order: how much leaves, to whom and why we know, what comes back, the fee, what is
// left of the limits, who approved, the words to compare, and how many checks passed. Behind it lie the checks, the
// inputs, the outputs and the hashes, and nothing can be confirmed before every output was on the screen. There are
// two outcomes, clean and REFUSED; there is nothing yellow in between.
//
// Only proven effects (chain.Effects) are shown as facts. Text that nobody verified stands quoted and dim on a line of
// its own, never beside an amount. Addresses are never shortened. Every line is printable ASCII, at most 80 columns;
// style is one of four marks, carries no meaning of its own, and can be left out. Plain gives the same content as one
// linear text, for screen readers and paper.
//
// A Session is a state machine without a terminal: keys in, lines out. What may never happen here: a clock, a disk, a
// terminal, a decision about money, or a fact that was not proven.
package review

import (
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Request is everything that is shown.
type Request struct {
	Intent    spend.Intent
	Effects   chain.Effects
	Verdict   spend.Verdict
	Bundle    [32]byte // identity of the bundle; its twelve words are read aloud
	Policy    [32]byte // version of the signer's policy
	Approvers []string // one line for each person who approved
	Need      int      // approvals that the policy asks for
	Limits    []string // one line for each limit, from policy.Limits
	FromName  string   // names as this signer pinned them
	ToName    string
	Payee     string // of a payment: the address of its entry in the pinned book; ToName is the entry's name
	Now       time.Time
	Notes     []string // what a person must know beside the facts, e.g. "third issue of this intent"
	Claim     string   // text from outside that nobody verified; shown quoted
}

// sheet is a request with what is derived from it once.
type sheet struct {
	Request
	facts    chain.Facts // only when proven
	proven   bool
	refusals []*spend.Refusal
	leaving  money.Amount // what leaves the wallet
	change   []chain.Output
	paid     []chain.Output // destinations and external outputs
}

// newSheet reads a request. What cannot be shown as a fact (effects that nobody proved, amounts that do not add up,
// a verdict without checks) becomes a refusal, whatever the verdict says.
func newSheet(req Request) sheet {
	s := sheet{Request: req, refusals: req.Verdict.Refusals(), leaving: money.Sats(0)}
	if len(req.Verdict.Checks) == 0 {
		s.refuse("verdict", "a policy that judged this", "no check was made")
	}
	if !req.Effects.Proven() {
		s.refuse("effects", "effects derived from the payload's bytes", "none")
		return s
	}
	s.proven, s.facts = true, req.Effects.Facts()
	s.sort()
	s.contradictions()
	return s
}

// sort puts the outputs into change and all others, and adds up what leaves.
func (s *sheet) sort() {
	for _, out := range s.facts.Outputs {
		if out.Role == chain.Change {
			s.change = append(s.change, out)
		} else {
			s.paid = append(s.paid, out)
		}
		if out.Role != chain.External && out.Wallet == s.facts.From {
			continue
		}
		sum, err := s.leaving.Add(out.Amount)
		if err != nil {
			s.refuse("outputs", "amounts of one asset that can be added", err.Error())
			return
		}
		s.leaving = sum
	}
}

// contradictions refuses what policy must have refused before. The first page says "verified" and names the pinned
// wallets of the intent beside the outputs; this makes sure that it cannot say so of anything else.
func (s *sheet) contradictions() {
	if s.facts.From != s.Intent.From {
		s.refuse("payload", "the wallet of the intent", s.facts.From.String())
	}
	if len(s.paid) != 1 {
		s.refuse("outputs", "one output that pays", fmt.Sprint(len(s.paid)))
	}
	for _, out := range s.paid {
		if !s.wanted(out) {
			s.refuse(fmt.Sprintf("output %d", out.Position), "the destination of the intent", "another one")
		}
	}
	for _, out := range s.change {
		if out.Wallet != s.facts.From {
			s.refuse(fmt.Sprintf("output %d", out.Position), "the spending wallet", out.Wallet.String())
		}
	}
	for _, out := range s.facts.Outputs {
		if len(out.Address) > addressMax || out.Address == "" {
			s.refuse(fmt.Sprintf("output %d", out.Position), fmt.Sprintf("an address of 1 to %d characters", addressMax), fmt.Sprint(len(out.Address)))
		}
	}
}

// wanted reports whether an output goes where the intent says.
func (s *sheet) wanted(out chain.Output) bool {
	if s.Intent.Purpose == spend.Payment {
		return out.Role == chain.External && s.Payee != "" && out.Address == s.Payee
	}
	return out.Role == chain.Destination && out.Wallet == s.Intent.To
}

// addressMax is the longest address that is shown, and so the longest that can be confirmed. Bitcoin's longest has 90.
const addressMax = 96

// refuse adds a refusal of this room. When there is another already, this is its consequence and not worth a line.
func (s *sheet) refuse(where, expected, found string) {
	if len(s.refusals) > 0 {
		return
	}
	s.refusals = append(s.refusals, spend.Refuse("review-unprovable", where, expected, found,
		"report this: the signer asked to show what it could not prove"))
}

// clean reports whether there is nothing against signing.
func (s *sheet) clean() bool { return len(s.refusals) == 0 }

// consolidates reports whether nothing leaves: the wallet pays itself.
func (s *sheet) consolidates() bool { return s.proven && s.leaving.IsZero() }

// Codes lists the refusal codes of this room, and the reasons that a person can give, with their meaning.
func Codes() [][2]string {
	out := [][2]string{{"review-unprovable", "the review was asked to show effects or checks that do not exist"}}
	for _, r := range reasons() {
		out = append(out, [2]string{r.code, "a person declined: " + r.text})
	}
	return out
}

// reason is why a person declines: a fixed list, so that an answer carries no free text across the gap.
type reason struct{ key, code, text string }

func reasons() []reason {
	return []reason{
		{"1", "wrong-amount", "amount"}, {"2", "wrong-destination", "destination"}, {"3", "unexpected", "unexpected"},
		{"4", "words-differ", "words"}, {"5", "under-pressure", "pressure"}, {"6", "other", "other"},
	}
}
