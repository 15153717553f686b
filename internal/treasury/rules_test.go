package treasury

import (
	"errors"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

func goodRules() Rules {
	return Rules{Network: spend.BitcoinRegtest, Issuer: "exchanged-1", Lifetime: time.Hour, Confirmations: 1, Need: 2, FeeBlocks: 6,
		FeeRateMax: 100_000, InputsMax: 500, FramesMax: 600,
		Tiers: []Tier{{Wallet: "HOT", From: "COLD", Floor: money.Sats(1), Target: money.Sats(2)}}}
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	if err := goodRules().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Rules){
		"an unknown network":            func(r *Rules) { r.Network = "bitcoin:moon" },
		"one approval":                  func(r *Rules) { r.Need = 1 },
		"intents that live for seconds": func(r *Rules) { r.Lifetime = time.Second },
		"intents that live for a year":  func(r *Rules) { r.Lifetime = 365 * 24 * time.Hour },
		"unconfirmed coins":             func(r *Rules) { r.Confirmations = 0 },
		"no fee target":                 func(r *Rules) { r.FeeBlocks = 0 },
		"a wallet filled from itself":   func(r *Rules) { r.Tiers[0].From = "HOT" },
		"a floor above the target":      func(r *Rules) { r.Tiers[0].Floor = money.Sats(3) },
		"a floor of nothing":            func(r *Rules) { r.Tiers[0].Floor = money.Sats(0) },
		"no cap on fees":                func(r *Rules) { r.FeeRateMax = 0 },
		"bundles of one coin":           func(r *Rules) { r.InputsMax = 1 },
		"more coins than an answer has": func(r *Rules) { r.InputsMax = 1001 },
		"more frames than a series has": func(r *Rules) { r.FramesMax = 1296 },
		"two tiers of one wallet":       func(r *Rules) { r.Tiers = append(r.Tiers, r.Tiers[0]) },
	} {
		r := goodRules()
		change(&r)
		if r.Check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// An answer cannot be opened when it says no and signs, so only this room's own check is left to show.
func TestAnAnswerThatRefusesAndSigns(t *testing.T) {
	_, err := verify(nil, bitcoin.Scope{}, bundle.Answer{Refusal: "unexpected", Signatures: make([]bundle.AnswerSignature, 1)})
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) || refusal.Code != "answer-contradicts" {
		t.Errorf("got %v", err)
	}
}

func TestPlansOfOlderRecordsAreNoPlans(t *testing.T) {
	for text, want := range map[string]bool{"": false, "{}": false, "[]": false, `{"fee":5,"inputs":2}`: true} {
		if p, ok := planIn([]byte(text)); ok != want || ok && p.Seconds() != 0 {
			t.Errorf("%q read as %+v, %v", text, p, ok)
		}
	}
	if p, ok := planIn((Plan{Fee: 7, Frames: 6}).encode()); !ok || p.Seconds() != 2 || p.FeeAmount() != money.Sats(7) {
		t.Errorf("a plan came back as %+v, %v", p, ok)
	}
}

func TestEveryStateSaysWhatItWaitsFor(t *testing.T) {
	u := &Treasury{rules: goodRules(), trouble: map[uint64]error{}}
	view := View{Need: 2, Threshold: 2, KeyNames: []string{"a", "b", "c"}, Approvers: make([]approvals.Approver, 1), Confirmations: 0,
		Answers: []Answer{{Position: 0}, {Position: 1, Refusal: "limit-exceeded"}}}
	for state, want := range map[State]string{
		Proposed:  "1 of 2 approvals by different people; the proposer's own does not count",
		Approved:  "the bundle to be built",
		Sealed:    "a decision: refused by 1 of 3 keys (key b: limit-exceeded); ask them, then cancel it or wait for others; 1 of 2 signatures",
		Signed:    "the node to take the transaction",
		Broadcast: "0 of 1 confirmations",
		Confirmed: "", Cancelled: "", Expired: "",
	} {
		view.Intent.State = state
		if got := u.waiting(view); got != want {
			t.Errorf("%s waits for %q, want %q", state, got, want)
		}
		if live := want != ""; state.Live() != live {
			t.Errorf("%s is live: %v", state, state.Live())
		}
	}
}
