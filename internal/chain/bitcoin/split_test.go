package bitcoin_test

import (
	"math/big"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"pgregory.net/rapid"
)

// compareHalves holds the two halves of a number against the number, and against the length that digits have room for.
func compareHalves(t interface{ Fatalf(string, ...any) }, k *big.Int) {
	n := bitcoin.CurveOrder()
	k1, k2, lambda := bitcoin.Halves(k)
	sum := new(big.Int).Mul(k2, lambda)
	if sum.Add(sum, k1).Sub(sum, k).Mod(sum, n).Sign() != 0 {
		t.Fatalf("%x is split into %x and %x, which is another number", k, k1, k2)
	}
	if k1.BitLen() > 129 || k2.BitLen() > 129 {
		t.Fatalf("halves of %x: %d and %d bits", k, k1.BitLen(), k2.BitLen())
	}
}

func TestHalvesAreTheNumberAndShort(t *testing.T) {
	for _, k := range edges() {
		compareHalves(t, k)
	}
	rapid.Check(t, func(t *rapid.T) { compareHalves(t, drawNumber(t, "k")) })
}

// λ·q is (βx, y): the oracle multiplies, the room does one product.
func TestTheQuickMultipleIsTheMultiple(t *testing.T) {
	o := newOracle()
	_, _, lambda := bitcoin.Halves(new(big.Int))
	for k := int64(1); k < 20; k++ {
		q := o.multiple(big.NewInt(k), o.base)
		if want, got := o.compress(o.multiple(lambda, q)), bitcoin.QuickMultiple(o.compress(q)); got != want {
			t.Errorf("λ·%d·G: %x, want %x", k, got, want)
		}
	}
}
