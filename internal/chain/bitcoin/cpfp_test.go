package bitcoin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// child asks to lift a transaction of 200 vB that pays 1 sat/vB, by its output of 0.3 BTC.
func (w world) child(t testing.TB) bitcoin.ChildRequest {
	return bitcoin.ChildRequest{Wallet: w.cold, Index: 11, Coin: coin(t, w.cold, 30_000_000, wallet.ChangeBranch, 4), Stuck: bitcoin.Stuck{{Fee: 200, VirtualBytes: 200}},
		Rate: 20_000, Floor: 1_000, Height: 812}
}

func refusalIn(t testing.TB, err error) *spend.Refusal {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("no refusal: %v", err)
	}
	return r
}

// The child pays what the two lack together, to the satoshi, and what it makes proves against its own wallet.
func TestAChildLiftsItsParentToTheWantedRate(t *testing.T) {
	w := newWorld(t)
	r := w.child(t)
	p, err := bitcoin.PlanChild(r)
	must(t, err)
	size := 200 + p.VirtualBytes
	if p.Fee != size*20-200 || p.PackageRate != 20_000 || p.HighestRate <= p.PackageRate || !strings.HasPrefix(p.HighestBy, "the coin of 0.3") {
		t.Fatalf("%+v", p)
	}
	packet, plan, err := bitcoin.BuildChild(r, r.Coin.Value-p.Fee)
	must(t, err)
	f := factsOf(t, packet, bitcoin.Scope{From: w.cold, To: w.cold, ToIndex: 11, ToKnown: true, IndexMax: 1000})
	fee, _ := f.Fee.Int64()
	if fee != p.Fee || f.VirtualBytes != p.VirtualBytes || plan.Change != 0 || len(f.Outputs) != 1 || f.Outputs[0].Role != chain.Destination || f.Outputs[0].Wallet != w.cold.ID() || !f.Replaceable {
		t.Errorf("%+v", f)
	}
	for _, amount := range []int64{0, -1, r.Coin.Value, r.Coin.Value + 1} {
		_, _, err := bitcoin.BuildChild(r, amount)
		wantRefusal(t, err, "amount-range")
	}
}

// No run of transactions that ends with the child pays less than was wanted, and one satoshi less would not do.
func TestNoRunOfThePackageStaysBelowTheRate(t *testing.T) {
	w := newWorld(t)
	r := w.child(t)
	rapid.Check(t, func(rt *rapid.T) {
		r.Stuck = nil
		for range rapid.IntRange(1, 24).Draw(rt, "count") {
			r.Stuck = append(r.Stuck, bitcoin.Weight{Fee: rapid.Int64Range(0, 50_000).Draw(rt, "fee"), VirtualBytes: rapid.Int64Range(100, 2_000).Draw(rt, "size")})
		}
		r.Rate = rapid.Int64Range(1, 100_000).Draw(rt, "rate")
		p, err := bitcoin.PlanChild(r)
		if err != nil {
			if codes := refusals(err); !slices.Contains(codes, "package-rate-reached") {
				rt.Fatal(err)
			}
			return
		}
		enough := func(fee int64) bool {
			run, size := fee, p.VirtualBytes
			for _, x := range slices.Backward(r.Stuck) {
				if run, size = run+x.Fee, size+x.VirtualBytes; run*1000 < size*r.Rate {
					return false
				}
			}
			return true
		}
		floor := p.VirtualBytes // at 1000
		if !enough(p.Fee) || p.Fee < floor || p.Fee > floor && enough(p.Fee-1) || p.PackageRate < r.Rate {
			rt.Fatalf("%+v for %+v at %d", p, r.Stuck, r.Rate)
		}
	})
}

// An ancestor that pays well is mined alone: what it pays is no help to the transaction that hangs.
func TestARichAncestorLiftsNobody(t *testing.T) {
	r := newWorld(t).child(t)
	alone, err := bitcoin.PlanChild(r)
	must(t, err)
	r.Stuck = bitcoin.Stuck{{Fee: 1_000_000, VirtualBytes: 150}, r.Stuck[0]}
	beside, err := bitcoin.PlanChild(r)
	if err != nil || beside.Fee != alone.Fee || beside.PackageRate != alone.PackageRate {
		t.Errorf("%+v beside a rich ancestor, %+v alone, %v", beside, alone, err)
	}
	r.Stuck = bitcoin.Stuck{{Fee: 150, VirtualBytes: 150}, {Fee: 200, VirtualBytes: 200}}
	if poor, err := bitcoin.PlanChild(r); err != nil || poor.Fee != alone.Fee+150*19 {
		t.Errorf("%+v beside a poor ancestor, %v", poor, err)
	}
}

// Before anything is built it is said that a rate cannot be reached, under which limit, and what can.
func TestAttack049AChildsFeeKeepsToEveryCap(t *testing.T) {
	w := newWorld(t)
	size := func() int64 { p, _ := bitcoin.PlanChild(w.child(t)); return p.VirtualBytes }()
	for name, c := range map[string]struct {
		caps []bitcoin.Cap
		fee  int64 // that can be reached
		by   string
	}{
		"an absolute cap":     {[]bitcoin.Cap{{Name: "policy", Fee: 3_000}}, 3_000, "policy"},
		"a cap on the rate":   {[]bitcoin.Cap{{Name: "policy", Rate: 15_000}}, size * 15, "policy"},
		"the lower of two":    {[]bitcoin.Cap{{Name: "config", Rate: 25_000}, {Name: "policy", Fee: 2_999}}, 2_999, "policy"},
		"both in one":         {[]bitcoin.Cap{{Name: "policy", Fee: 5_000, Rate: 9_000}}, size * 9, "policy"},
		"a cap below any fee": {[]bitcoin.Cap{{Name: "policy", Fee: 10}}, 10, "policy"},
	} {
		r := w.child(t)
		r.Caps, r.Rate = c.caps, 30_000
		_, err := bitcoin.PlanChild(r)
		refusal := refusalIn(t, err)
		highest := (200 + c.fee) * 1000 / (200 + size)
		if refusal.Code != "package-rate-unreachable" || !strings.HasSuffix(refusal.Expected, "(limit: "+c.by+")") {
			t.Errorf("%s: %v", name, refusal)
		}
		if c.fee < size {
			continue // less than any child has to pay
		}
		r.Rate = highest
		p, err := bitcoin.PlanChild(r)
		if err != nil || p.Fee > c.fee || p.HighestRate != highest || p.HighestBy != c.by {
			t.Errorf("%s: %+v at %d, %v", name, p, highest, err)
		}
		r.Rate++
		_, err = bitcoin.PlanChild(r)
		wantRefusal(t, err, "package-rate-unreachable")
	}
}

func TestChildrenThatAreNotMade(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*bitcoin.ChildRequest)
		code   string
	}{
		"no rate":                    {func(r *bitcoin.ChildRequest) { r.Rate = 0 }, "fee-rate-range"},
		"a rate of no currency":      {func(r *bitcoin.ChildRequest) { r.Rate = 2_000_001 }, "fee-rate-range"},
		"what the parent pays alone": {func(r *bitcoin.ChildRequest) { r.Rate = 1_000 }, "package-rate-reached"},
		"a coin of dust":             {func(r *bitcoin.ChildRequest) { r.Coin.Value = 400 }, "package-rate-unreachable"},
		"a coin that must last":      {func(r *bitcoin.ChildRequest) { r.Least = r.Coin.Value - 100 }, "package-rate-unreachable"},
		"too many ancestors":         {func(r *bitcoin.ChildRequest) { r.Stuck = make(bitcoin.Stuck, 25) }, "package-too-long"},
		"too large a parent":         {func(r *bitcoin.ChildRequest) { r.Stuck[0].VirtualBytes = 100_900 }, "package-too-long"},
	} {
		r := w.child(t)
		c.change(&r)
		_, err := bitcoin.PlanChild(r)
		if !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bitcoin.PlanChild(bitcoin.ChildRequest{}); err == nil {
		t.Error("a child of nothing was planned")
	}
}

// A daemon that lies about its parent's amount, or about whose output it is, makes nothing that passes the proof.
func TestAttack021And022And040AChildProvesItsParent(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*bitcoin.ChildRequest)
		code   string
	}{
		"more than there is": {func(r *bitcoin.ChildRequest) { r.Coin.Value++ }, "input-foreign"},
		"less than there is": {func(r *bitcoin.ChildRequest) { r.Coin.Value-- }, "input-foreign"},
		"another parent": {func(r *bitcoin.ChildRequest) {
			r.Coin.PrevTx = coin(t, w.cold, 40_000_000, wallet.ChangeBranch, 4).PrevTx
		}, "previous-tx-mismatch"},
		"another output":          {func(r *bitcoin.ChildRequest) { r.Coin.Outpoint.Index = 0 }, "input-foreign"},
		"no such output":          {func(r *bitcoin.ChildRequest) { r.Coin.Outpoint.Index = 2 }, "previous-tx-mismatch"},
		"an output at other keys": {func(r *bitcoin.ChildRequest) { r.Coin.Index++ }, "input-foreign"},
		"another wallet's output": {func(r *bitcoin.ChildRequest) { r.Wallet = w.hot }, "input-foreign"},
	} {
		r := w.child(t)
		c.change(&r)
		_, _, err := bitcoin.BuildChild(r, 29_000_000)
		if !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Past the builder, a thief writes the packet himself.
	packet, _, err := bitcoin.BuildChild(w.child(t), 29_990_000)
	must(t, err)
	scope := bitcoin.Scope{From: w.cold, To: w.cold, ToIndex: 11, ToKnown: true, IndexMax: 1000}
	elsewhere := open(t, packet.Bytes())
	elsewhere.tx.TxOut[0].PkScript = append([]byte{0, 32}, make([]byte, 32)...)
	p, err := bitcoin.Read(elsewhere.bytes())
	must(t, err)
	if o := factsOf(t, p, scope).Outputs[0]; o.Role != chain.External {
		t.Errorf("an output elsewhere is %s", o.Role)
	}
	lie := open(t, packet.Bytes())
	prev := openTx(t, get(lie.input(0), 0))
	prev.TxOut[1].Value += 1_000_000 // hides a fee of 0.01 BTC, and changes the parent's identity
	set(lie.input(0), []byte{0}, serialise(t, prev))
	set(lie.input(0), []byte{1}, txOut(prev.TxOut[1]))
	wantRefusal(t, prove(t, lie.bytes(), scope), "previous-tx-mismatch")
	bare := open(t, packet.Bytes())
	drop(bare.input(0), 0)
	wantRefusal(t, prove(t, bare.bytes(), scope), "amount-unproven")
}

func TestStuckTransactionsAreWeighed(t *testing.T) {
	w := newWorld(t)
	first := openTx(t, coin(t, w.cold, 30_000_000, wallet.Receive, 0).PrevTx) // pays 30,070,000 in all
	second := wire.NewMsgTx(2)
	second.AddTxIn(&wire.TxIn{PreviousOutPoint: outpoint(first, 1), Witness: wire.TxWitness{make([]byte, 100)}})
	second.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 9}})
	second.AddTxOut(wire.NewTxOut(30_000_500, first.TxOut[1].PkScript))
	raws := [][]byte{serialise(t, first), serialise(t, second)}
	lies := errors.New("unknown")
	values := map[wire.OutPoint]int64{first.TxIn[0].PreviousOutPoint: 30_071_000, {Index: 9}: 1_000}
	value := func(o wire.OutPoint) (int64, error) {
		v, known := values[o]
		if !known {
			return 0, lies
		}
		return v, nil
	}
	s, err := bitcoin.Weigh(raws, value)
	must(t, err)
	// 94 bytes and 107 of witness with two of markers: (3*125 + 234 + 3) / 4 and so on, counted by wire's own sizes.
	size := func(tx *wire.MsgTx) int64 { return int64(3*tx.SerializeSizeStripped()+tx.SerializeSize()+3) / 4 }
	if want := (bitcoin.Stuck{{Fee: 1_000, VirtualBytes: size(first)}, {Fee: 500, VirtualBytes: size(second)}}); !slices.Equal(s, want) {
		t.Errorf("weighed %+v, want %+v", s, want)
	}
	if total := s.Total(); total.Fee != 1_500 || s.Rate(bitcoin.Weight{}) != 500*1000/size(second) {
		t.Errorf("%+v at %d", total, s.Rate(bitcoin.Weight{}))
	}
	values[wire.OutPoint{Index: 9}] = 499
	_, err = bitcoin.Weigh(raws, value)
	wantRefusal(t, err, "package-senseless") // pays out more than it takes
	values[wire.OutPoint{Index: 9}] = 22e14
	_, err = bitcoin.Weigh(raws, value)
	wantRefusal(t, err, "package-senseless")
	delete(values, wire.OutPoint{Index: 9})
	if _, err = bitcoin.Weigh(raws, value); !errors.Is(err, lies) {
		t.Error(err)
	}
	_, err = bitcoin.Weigh(nil, value)
	wantRefusal(t, err, "package-too-long")
	_, err = bitcoin.Weigh(make([][]byte, 25), value)
	wantRefusal(t, err, "package-too-long")
	if _, err = bitcoin.Weigh([][]byte{{1, 2}}, value); err == nil {
		t.Error("two bytes were weighed")
	}
}

// A node gives the bytes of stuck transactions: whatever they are, they are weighed sensibly or refused.
func FuzzWeigh(f *testing.F) {
	w := newWorld(f)
	f.Add(coin(f, w.cold, 30_000_000, wallet.Receive, 0).PrevTx, int64(30_071_000))
	f.Add([]byte{2, 0, 0, 0, 0, 1}, int64(-1))
	f.Fuzz(func(t *testing.T, raw []byte, value int64) {
		s, err := bitcoin.Weigh([][]byte{raw, raw}, func(wire.OutPoint) (int64, error) { return value, nil })
		if err != nil {
			if len(refusals(err)) == 0 {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		for _, x := range s {
			if x.Fee < 0 || x.VirtualBytes < 10 || x.VirtualBytes > int64(len(raw)) {
				t.Fatalf("%d bytes weigh %+v", len(raw), x)
			}
		}
	})
}
