package signing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/review"
)

// Attack 132: a person who says no is not asked for ever. Each no is in the ledger, is shown on the next screen, and some
// of them lock the wallet.
func TestAttack132EachNoOfAPersonCounts(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	packet, _ := tr.sweep(t, tr.hot, tr.coins(t, 0, 2))
	raw := tr.bundle(t, tr.hot, packet)
	for said := range 5 { // refusals_max is 5
		ledger, shown := tr.ledger(t), review.Request{}
		_, err := tr.sign(ledger, raw, func(r review.Request) error {
			shown = r
			return fmt.Errorf("the screen: %w", signing.Declined{Reason: "wrong-amount"})
		})
		var declined signing.Declined
		if !errors.As(err, &declined) || declined.Reason != "wrong-amount" {
			t.Fatalf("no %d: %v", said+1, err)
		}
		last := ledger.Entries()[len(ledger.Entries())-1]
		if last.Event != home.Declined || last.Reason != "wrong-amount" || last.Wallet == "" || last.Bundle == "" || last.Counter != 0 {
			t.Errorf("no %d is recorded as %+v", said+1, last)
		}
		counted := slices.ContainsFunc(shown.Notes, func(note string) bool { return strings.Contains(note, fmt.Sprintf("refused %d times", said)) })
		if counted != (said > 0) {
			t.Errorf("the screen after %d times no: notes %q", said, shown.Notes)
		}
		ledger.Close()
	}
	ledger := tr.ledger(t)
	defer ledger.Close()
	_, err := tr.sign(ledger, raw, confirmed)
	gives(t, "the sixth time", err, "refusals-locked")
}

// A terminal that fails, or a person who goes away, is nobody's no.
func TestAttack132AnInterruptedScreenIsNoRefusal(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	packet, _ := tr.sweep(t, tr.hot, tr.coins(t, 0, 2))
	raw := tr.bundle(t, tr.hot, packet)
	ledger := tr.ledger(t)
	defer ledger.Close()
	before := len(ledger.Entries())
	if _, err := tr.sign(ledger, raw, func(review.Request) error { return errors.New("interrupted") }); err == nil || len(ledger.Entries()) != before {
		t.Errorf("%v, and %d new entries", err, len(ledger.Entries())-before)
	}
}
