package bitcoin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// Attack 129: a packet of many parents is taken apart in the same order each time, so that one bundle is one sequence of
// bytes whoever seals it again.
func TestAttack129ManyProofsComeInOneOrder(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Coins, r.Amount, r.All = w.pool(t, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000), 0, true
	p, _, err := bitcoin.Build(r)
	must(t, err)
	_, first := p.Strip()
	if len(first) != 6 {
		t.Fatalf("%d proofs", len(first))
	}
	for range 20 {
		if _, again := p.Strip(); !slices.EqualFunc(first, again, bytes.Equal) {
			t.Fatal("the proofs came in another order")
		}
	}
}
