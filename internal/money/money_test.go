package money_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/coldsign/coldsign/internal/money"
	"pgregory.net/rapid"
)

func u128(t *rapid.T, name string) money.U128 {
	return money.U128{Hi: rapid.Uint64().Draw(t, name+".hi"), Lo: rapid.Uint64().Draw(t, name+".lo")}
}

func toBig(v money.U128) *big.Int {
	b := new(big.Int).SetUint64(v.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(v.Lo))
}

func TestU128AgreesWithBigInt(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		a, b, m := u128(t, "a"), u128(t, "b"), rapid.Uint64Min(1).Draw(t, "m")
		sum, ok := a.Add(b)
		want := new(big.Int).Add(toBig(a), toBig(b))
		if fits := want.Cmp(limit) < 0; ok != fits || ok && toBig(sum).Cmp(want) != 0 {
			t.Fatalf("%v+%v = %v %v", a, b, sum, ok)
		}
		diff, ok := a.Sub(b)
		want = new(big.Int).Sub(toBig(a), toBig(b))
		if fits := want.Sign() >= 0; ok != fits || ok && toBig(diff).Cmp(want) != 0 {
			t.Fatalf("%v-%v = %v %v", a, b, diff, ok)
		}
		product, ok := a.Mul64(m)
		want = new(big.Int).Mul(toBig(a), new(big.Int).SetUint64(m))
		if fits := want.Cmp(limit) < 0; ok != fits || ok && toBig(product).Cmp(want) != 0 {
			t.Fatalf("%v*%v = %v %v", a, m, product, ok)
		}
		q, r := a.DivMod64(m)
		wantQ, wantR := new(big.Int).DivMod(toBig(a), new(big.Int).SetUint64(m), new(big.Int))
		if toBig(q).Cmp(wantQ) != 0 || r != wantR.Uint64() {
			t.Fatalf("%v/%v = %v rest %v", a, m, q, r)
		}
		if a.Cmp(b) != toBig(a).Cmp(toBig(b)) || a.String() != toBig(a).String() {
			t.Fatalf("compare or text of %v and %v", a, b)
		}
		if back, err := money.ParseU128(a.String()); err != nil || back != a {
			t.Fatalf("round trip of %v: %v %v", a, back, err)
		}
	})
}

func TestAmountTextRoundTrips(t *testing.T) {
	for units, want := range map[int64]string{0: "0.00000000", 1: "0.00000001", 1_250_000_000: "12.50000000", 2_100_000_000_000_000: "21000000.00000000"} {
		a := money.Sats(units)
		if a.Decimal() != want {
			t.Errorf("Sats(%d) prints %s, want %s", units, a.Decimal(), want)
		}
		if back, err := money.Parse(want, money.BTC); err != nil || back != a {
			t.Errorf("Parse(%s) = %v, %v", want, back, err)
		}
	}
	if got := money.Sats(1_250_000_000).Grouped(); got != "12.500 000 00" {
		t.Errorf("grouped %q", got)
	}
}

// Attack 047: unit and scale confusion; attack 128: locale spoofs and foreign digits.
func TestAttack047And128AmountTextIsStrict(t *testing.T) {
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1 000", "1.123456789", "0x10", "\uff11", "1.0\u0660",
		"340282366920938463463374607431768211456"} {
		if a, err := money.Parse(text, money.BTC); err == nil {
			t.Errorf("%q was read as %s", text, a)
		}
	}
}

func TestAmountsRefuseToMixOrGoNegative(t *testing.T) {
	eth := money.Asset{Symbol: "ETH", Decimals: 18}
	one := money.New(eth, money.U128{Lo: 1})
	if _, err := money.Sats(1).Add(one); !errors.Is(err, money.ErrAsset) {
		t.Errorf("adding assets: %v", err)
	}
	if _, err := money.Sats(1).Sub(money.Sats(2)); !errors.Is(err, money.ErrNegative) {
		t.Errorf("negative: %v", err)
	}
	most := money.New(money.BTC, money.U128{Hi: ^uint64(0), Lo: ^uint64(0)})
	if _, err := most.Add(money.Sats(1)); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("overflow: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a negative satoshi count was accepted")
		}
	}()
	money.Sats(-1)
}
