package bitcoin_test

import (
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

func factsOf(t testing.TB, p *bitcoin.Packet, s bitcoin.Scope) chain.Facts {
	t.Helper()
	effects, err := bitcoin.Prove(p, s)
	must(t, err)
	return effects.Facts()
}

// Attack 116: a fee bump may change nothing but the change.
func TestAttack116ABumpTakesFromChangeAlone(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := w.request(t)
		r.Amount, r.FeeRate = rapid.Int64Range(40_000_000, 69_900_000).Draw(rt, "amount"), rapid.Int64Range(1000, 20_000).Draw(rt, "rate")
		first, before, err := bitcoin.Build(r)
		must(t, err)
		rate := rapid.Int64Range(1, 400_000).Draw(rt, "new rate")
		second, after, err := bitcoin.Bump(first, w.scope(), rate)
		if err != nil {
			if codes := refusals(err); !slices.Contains(codes, "bump-too-low") && !slices.Contains(codes, "bump-beyond-change") {
				rt.Fatal(err)
			}
			return
		}
		was, is := factsOf(t, first, w.scope()), factsOf(t, second, w.scope())
		if !slices.Equal(was.Inputs, is.Inputs) || was.LockTime != is.LockTime || !is.Replaceable || second.TxID() == first.TxID() {
			rt.Fatalf("%+v became %+v", was, is)
		}
		paid := func(f chain.Facts) (out []chain.Output) {
			for _, o := range f.Outputs {
				if o.Position = 0; o.Role != chain.Change {
					out = append(out, o)
				}
			}
			return out
		}
		if !slices.Equal(paid(was), paid(is)) {
			rt.Fatalf("the destination changed from %+v to %+v", paid(was), paid(is))
		}
		if after.Fee < before.Fee+after.VirtualBytes || after.Change > before.Change-after.VirtualBytes || after.Fee-before.Fee != before.Change-after.Change {
			rt.Fatalf("%+v became %+v", before, after)
		}
	})
}

func TestBumpsThatNobodyWouldRelayOrPay(t *testing.T) {
	w := newWorld(t)
	first, plan, err := bitcoin.Build(w.request(t))
	must(t, err)
	must := func(err error) { t.Helper(); must(t, err) }
	for name, c := range map[string]struct {
		rate int64
		code string
	}{
		"the same rate":         {5_000, "bump-too-low"},
		"half a satoshi more":   {5_500, "bump-too-low"},
		"no rate":               {0, "bump-too-low"},
		"a rate of no currency": {2_000_001, "bump-too-low"},
		"more than there is":    {60_000_000 / plan.VirtualBytes * 1000, "bump-too-low"},
	} {
		_, _, err := bitcoin.Bump(first, w.scope(), c.rate)
		if !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, err)
		}
	}
	second, _, err := bitcoin.Bump(first, w.scope(), 6_001)
	must(err)
	_, _, err = bitcoin.Bump(second, w.scope(), 7_002)
	must(err)

	r := w.request(t)
	r.Amount = 70_000_000 - 2_000 // no change
	bare, _, err := bitcoin.Build(r)
	must(err)
	_, _, err = bitcoin.Bump(bare, w.scope(), 50_000)
	wantRefusal(t, err, "bump-beyond-change")

	r.Amount = 70_000_000 - 20_000
	little, before, err := bitcoin.Build(r)
	must(err)
	last, after, err := bitcoin.Bump(little, w.scope(), 20_000*1000/before.VirtualBytes-500)
	must(err)
	if before.Change == 0 || after.Change != 0 || after.Fee != 20_000 || len(last.Unsigned().TxOut) != 1 {
		t.Errorf("change of %d became %d, fee %d", before.Change, after.Change, after.Fee)
	}
	d := open(t, first.Bytes())
	i := changeAt(d)
	d.tx.TxOut[i].Value -= 1000
	d.tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0, 20}, make([]byte, 20)...)))
	d.maps = append(d.maps, nil)
	two, err := bitcoin.Read(d.bytes())
	must(err)
	for _, known := range []bool{true, false} { // beside the destination, and beside a payee
		other := w.scope()
		other.ToKnown = known
		_, _, err = bitcoin.Bump(two, other, 9_000)
		wantRefusal(t, err, "output-external")
	}
}

// A consolidation keeps its fee back once more, so that it can be bumped, as far as the largest coin allows.
func TestMergingCoinsLeavesRoomForFees(t *testing.T) {
	w := newWorld(t)
	coins := w.pool(t, 20_000, 500, 90_000, 1_000_000, 2_000, 209, 211)
	r := w.request(t)
	r.To, r.ToIndex, r.All = w.cold, 20, true
	const rate = 1_000 // an input costs 105 satoshi
	r.Coins, r.FeeRate = bitcoin.Mergeable(w.cold, coins, rate), rate
	var values []int64
	for _, c := range r.Coins {
		values = append(values, c.Value)
	}
	if !slices.Equal(values, []int64{211, 500, 2_000, 20_000, 90_000, 1_000_000}) {
		t.Fatalf("merged: %d", values)
	}
	r.Amount = bitcoin.MergeAmount(w.cold, r.Coins, rate)
	scope := bitcoin.Scope{From: w.cold, To: w.cold, ToIndex: 20, ToKnown: true, IndexMax: 1000}
	p, plan, err := bitcoin.Build(r)
	must(t, err)
	if len(plan.Inputs) != 6 || plan.Change <= plan.Fee || len(factsOf(t, p, scope).Outputs) != 2 {
		t.Errorf("%+v", plan)
	}
	_, raised, err := bitcoin.Bump(p, scope, 2*rate)
	must(t, err)
	if raised.Fee != 2*plan.Fee || raised.Change == 0 {
		t.Errorf("bumped: %+v", raised)
	}
	if n := bitcoin.MergeAmount(w.cold, r.Coins[:2], rate); n > 0 {
		t.Errorf("two coins of 711 satoshi promise %d", n)
	}
	r.Coins = nil
	script := mustDerive(t, w.cold, wallet.Receive, 0).ScriptPubKey
	for i := range int64(300) {
		r.Coins = append(r.Coins, coinAt(20_000+i, wallet.Receive, 0, script))
	}
	r.Amount = bitcoin.MergeAmount(w.cold, r.Coins, rate)
	_, plan, err = bitcoin.Build(r)
	must(t, err)
	if plan.Change != 20_299 || len(plan.Inputs) != 300 {
		t.Errorf("change of %d beside a fee of %d", plan.Change, plan.Fee)
	}
}

func TestSelectionKeepsToItsCap(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Coins = nil
	script := mustDerive(t, w.cold, wallet.Receive, 0).ScriptPubKey
	for i := range int64(100) {
		r.Coins = append(r.Coins, coinAt(100_000+i, wallet.Receive, 0, script))
	}
	for _, c := range []struct {
		amount int64
		most   int
		fits   bool
	}{{900_000, 10, true}, {1_000_000, 10, false}, {1_000_000, 11, true}, {9_000_000, 0, true}, {9_000_000, 50, false}} {
		r.Amount, r.InputsMax = c.amount, c.most
		_, plan, err := bitcoin.Build(r)
		switch {
		case c.fits && (err != nil || c.most > 0 && len(plan.Inputs) > c.most):
			t.Errorf("%d in at most %d coins: %d inputs, %v", c.amount, c.most, len(plan.Inputs), err)
		case !c.fits:
			wantRefusal(t, err, "inputs-above-cap")
		}
	}
	r.Amount = 90_000_000
	_, _, err := bitcoin.Build(r)
	wantRefusal(t, err, "funds-insufficient")
}
