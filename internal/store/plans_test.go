package store_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

// merging is an approved consolidation of the cold wallet with its bundle.
func (w *world) merging(coins ...wire.OutPoint) (store.Intent, store.Sealing) {
	w.t.Helper()
	ctx := context.Background()
	i, _, err := w.Propose(ctx, store.Proposal{Request: "merge", To: w.cold, Plan: []byte("plan"), Coins: coins},
		func(d store.Draft) (spend.Intent, []byte, error) {
			intent, raw, err := w.write(money.Sats(900))(d)
			intent.To = w.cold
			return intent, append(raw, "to itself"...), err
		})
	w.must(err)
	for _, person := range []string{"bob", "carol"} {
		i, err = w.approve(i.Serial, person)
		w.must(err)
	}
	return i, sealing(i, spending(script(w.cold, 0, i.ToIndex), 900, coins...), "merge")
}

func TestPlannedCoinsStayWithTheirIntentAndAreNotReserved(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 2000, 3000)
	w.mine(funding)
	i, s := w.merging(outpoint(funding, 0), outpoint(funding, 1))
	planned, err := w.Planned(ctx, i.Serial)
	w.must(err)
	if len(planned) != 2 || planned[0] != outpoint(funding, 0) || planned[1] != outpoint(funding, 1) {
		t.Errorf("planned %v", planned)
	}
	if back, err := w.Intent(ctx, i.Serial); err != nil || string(back.Plan) != "plan" {
		t.Errorf("plan %q, %v", back.Plan, err)
	}
	if b, err := w.Balance(ctx, w.cold, 1); err != nil || b.Reserved != 0 || b.Spendable != 6000 {
		t.Errorf("before it is sealed: %+v %v", b, err)
	}
	w.must(w.Seal(ctx, s))
	top := w.approved("top-up")
	w.must(w.Seal(ctx, sealing(top, spending(script(w.hot, 0, top.ToIndex), 1000, outpoint(funding, 2)), "top-up")))
	if b, err := w.Balance(ctx, w.cold, 1); err != nil || b != (store.Balance{Total: 6000, Reserved: 6000, Leaving: 3000}) {
		t.Errorf("a consolidation stays in the wallet: %+v %v", b, err)
	}
	if none, err := w.Planned(ctx, top.Serial); err != nil || len(none) != 0 {
		t.Errorf("a top-up was planned with %v, %v", none, err)
	}
}

// Hundreds of coins of one batch: the batch is read, hashed and held once.
func TestCoinsOfOneTransactionShareItsBytes(t *testing.T) {
	w := newWorld(t)
	funding := w.pay(w.cold, make([]int64, 300)...)
	w.mine(funding, w.pay(w.cold, 5))
	coins, err := w.Coins(context.Background(), w.cold)
	w.must(err)
	if len(coins) != 301 {
		t.Fatalf("%d coins", len(coins))
	}
	for _, c := range coins[2:] {
		if &c.PrevTx[0] != &coins[1].PrevTx[0] {
			t.Fatal("a coin holds a copy of its own")
		}
	}
}

// Attack 116: a transaction that is stuck may be replaced by one with a higher fee, which spends the same coin. Either
// may be confirmed; only the last is sent.
func TestAttack116ASentTransactionMayBeReplaced(t *testing.T) {
	for _, firstWins := range []bool{true, false} {
		w := newWorld(t)
		ctx := context.Background()
		funding := w.pay(w.cold, 1000)
		w.mine(funding)
		i, first, s := w.sealed("one", outpoint(funding, 0))
		_, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, first))
		w.must(err)
		w.must(w.MarkBroadcast(ctx, i.Serial))
		second := spending(script(w.hot, 0, i.ToIndex), 1000, outpoint(funding, 0))
		second.LockTime = 7
		bump := sealing(i, second, "bump")
		bump.Replaces = &s.Bundle.ID
		w.must(w.Seal(ctx, bump))
		if state := w.state(i.Serial); state != store.Broadcast {
			t.Errorf("a transaction that is under way became %s", state)
		}
		if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 1 || list[0].TxID != first.TxHash() {
			t.Errorf("before the second is signed: %v %v", list, err)
		}
		_, err = w.Finish(ctx, bump.Bundle.ID, rawOf(t, second))
		w.must(err)
		if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 1 || list[0].TxID != second.TxHash() || w.state(i.Serial) != store.Signed {
			t.Errorf("after the second is signed: %v %v, %s", list, err, w.state(i.Serial))
		}
		ids, err := w.Lineage(ctx, i.Serial)
		if err != nil || len(ids) != 2 || ids[0] != s.Bundle.ID || ids[1] != bump.Bundle.ID {
			t.Errorf("lineage %x %v", ids, err)
		}
		for _, b := range []struct {
			of   *wire.MsgTx
			want [32]byte
			live bool
		}{{first, s.Bundle.ID, false}, {second, bump.Bundle.ID, true}} {
			if found, err := w.BundleOf(ctx, b.of.TxHash()); err != nil || found.ID != b.want || found.Live != b.live {
				t.Errorf("bundle %x, live %v, %v", found.ID, found.Live, err)
			}
		}
		won := second
		if firstWins {
			won = first
		}
		w.mine(won)
		w.mine()
		tx, _, err := w.Transaction(ctx, i.Serial)
		if w.state(i.Serial) != store.Confirmed || err != nil || tx.TxID != won.TxHash() {
			t.Errorf("%s ended with %s, %v", w.state(i.Serial), tx.TxID, err)
		}
		if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 0 {
			t.Errorf("sent again: %v %v", list, err)
		}
		third := sealing(i, spending(script(w.hot, 0, i.ToIndex), 999, outpoint(funding, 0)), "third")
		third.Replaces = &bump.Bundle.ID
		refused(t, w.Seal(ctx, third), "intent-state")
	}
	w := newWorld(t)
	_, err := w.BundleOf(context.Background(), [32]byte{1})
	refused(t, err, "bundle-unknown")
}

// A device that gives no receipt has no counter, so none of its answers is like another.
func TestAnswersWithoutReceipt(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	for n := range uint32(2) {
		_, _, s := w.sealed(fmt.Sprint(n), outpoint(funding, n))
		for _, a := range []store.Answer{{Bundle: s.Bundle.ID, Position: 1, Bytes: []byte("signed"), Bare: true}, {Bundle: s.Bundle.ID, Bytes: []byte("sealed"), Counter: uint64(n)}} {
			for again := range 2 {
				if fresh, err := w.AddAnswer(ctx, a); err != nil || fresh != (again == 0) {
					t.Errorf("fresh %v, %v", fresh, err)
				}
			}
		}
		_, err := w.AddAnswer(ctx, store.Answer{Bundle: s.Bundle.ID, Position: 1, Bytes: []byte("another"), Bare: true})
		refused(t, err, "answer-conflict")
		list, err := w.Answers(ctx, s.Bundle.ID)
		if err != nil || len(list) != 2 || list[0].Bare || list[0].Counter != uint64(n) || !list[1].Bare || list[1].Counter != 0 {
			t.Errorf("answers %+v, %v", list, err)
		}
	}
}

func TestRecordsOfTheFirstVersionAreTakenOver(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	i, _, s := w.sealed("one", outpoint(funding, 0))
	_, err := w.AddAnswer(ctx, store.Answer{Bundle: s.Bundle.ID, Position: 2, Bytes: []byte("answer"), Counter: 9})
	w.must(err)
	w.must(w.Forge(ctx, "VERSION_1"))
	w.must(w.Close())
	w.must(w.open())
	if back, err := w.Intent(ctx, i.Serial); err != nil || back.ID != i.ID || len(back.Plan) != 0 {
		t.Errorf("intent %+v, %v", back, err)
	}
	list, err := w.Answers(ctx, s.Bundle.ID)
	if err != nil || len(list) != 1 || list[0].Counter != 9 || list[0].Bare || !bytes.Equal(list[0].Bytes, []byte("answer")) {
		t.Errorf("answers %+v, %v", list, err)
	}
}

// Attack 117: somebody sweeps two thousand coins of ours at once. The alarm names some of them, and the chain is followed
// on: a daemon that stops at that block would see nothing afterwards.
func TestAttack117AGreatTheftDoesNotStopTheChain(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, make([]int64, 2000)...)
	w.mine(funding)
	theft := spending([]byte{0x51}, 1)
	for n := range uint32(2000) {
		theft.AddTxIn(&wire.TxIn{PreviousOutPoint: outpoint(funding, n)})
	}
	w.mine(theft)
	w.mine()
	halts, err := w.Halts(ctx)
	if err != nil || len(halts) != 1 || halts[0].Code != "coin-spent-unknown" || !bytes.Contains([]byte(halts[0].Text), []byte("count 2000,")) {
		t.Errorf("halts %v, %v", halts, err)
	}
}

// A keyholder who has signed may think again while the other signatures are missing: the refusal takes the place of the
// signatures, and these cannot come back. Once the transaction is final it is too late.
func TestARefusalTakesTheSignatureBack(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	_, _, s := w.sealed("one", outpoint(funding, 0))
	signed := store.Answer{Bundle: s.Bundle.ID, Position: 0, Bytes: []byte("signed"), Counter: 1}
	refusal := store.Answer{Bundle: s.Bundle.ID, Position: 0, Bytes: []byte("no"), Counter: 2, Refusal: "unexpected"}
	for _, a := range []store.Answer{signed, refusal} {
		if fresh, err := w.AddAnswer(ctx, a); err != nil || !fresh {
			t.Fatalf("fresh %v, %v", fresh, err)
		}
	}
	if fresh, err := w.AddAnswer(ctx, refusal); err != nil || fresh {
		t.Errorf("the refusal again: fresh %v, %v", fresh, err)
	}
	_, err := w.AddAnswer(ctx, signed)
	refused(t, err, "answer-conflict")
	if list, err := w.Answers(ctx, s.Bundle.ID); err != nil || len(list) != 1 || list[0].Refusal != "unexpected" {
		t.Errorf("answers %+v, %v", list, err)
	}
	_, tx, late := w.sealed("two", outpoint(funding, 1))
	signed.Bundle, signed.Counter = late.Bundle.ID, 3
	_, err = w.AddAnswer(ctx, signed)
	w.must(err)
	_, err = w.Finish(ctx, late.Bundle.ID, rawOf(t, tx))
	w.must(err)
	refusal.Bundle, refusal.Counter = late.Bundle.ID, 4
	_, err = w.AddAnswer(ctx, refusal)
	refused(t, err, "answer-conflict")
}
