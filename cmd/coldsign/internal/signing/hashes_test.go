package signing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/review"
)

// A digest that stands on the screen twice has to be compared twice.
func TestTheReviewShowsEachHashOnce(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	ledger := tr.ledger(t)
	defer ledger.Close()
	s := tr.holder(t, 0).session(ledger)
	var shown review.Request
	s.Ask = func(r review.Request) error { shown = r; return signing.Declined{Reason: "unexpected"} }
	_, _ = s.Sign(context.Background(), tr.seal(t, tr.ask(0))) // it was declined
	_, page, _ := strings.Cut(review.Plain(shown), "\nHASHES\n")
	for _, name := range []string{"bundle", "policy", "txid", "sha256 of the PSBT"} {
		if n := strings.Count(page, " "+name+"\n"); n != 1 {
			t.Errorf("%s stands there %d times:\n%s", name, n, page)
		}
	}
}
