package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

// child is an approved intent that moves output 0 of a stuck transaction to the cold wallet itself.
func (w *world) child(request string, stuck ...*wire.MsgTx) store.Intent {
	w.t.Helper()
	ctx := context.Background()
	parent := stuck[len(stuck)-1]
	p := store.Proposal{Request: request, To: w.cold, Coins: []wire.OutPoint{outpoint(parent, 0)}}
	for _, tx := range stuck {
		p.Stuck = append(p.Stuck, rawOf(w.t, tx))
	}
	i, _, err := w.Propose(ctx, p, func(d store.Draft) (spend.Intent, []byte, error) {
		intent, raw, err := w.write(money.Sats(900))(d)
		intent.To = w.cold
		return intent, append(raw, "to itself"...), err
	})
	w.must(err)
	for _, person := range []string{"bob", "carol"} {
		i, err = w.approve(i.Serial, person)
		w.must(err)
	}
	return i
}

// An output that no block has is nobody's coin, except for the child that was proposed to spend it.
func TestAChildAloneSpendsWhatNoBlockHas(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	before := w.pay(w.cold, 5)
	parent := spending(script(w.cold, 0, 3), 1000, outpoint(before, 0))
	i := w.child("child", before, parent)
	if i.Parent != parent.TxHash() {
		t.Errorf("the parent is %s", i.Parent)
	}
	if list, err := w.Stuck(ctx, i.Serial); err != nil || len(list) != 2 || string(list[1]) != string(rawOf(t, parent)) {
		t.Errorf("%d stuck transactions, %v", len(list), err)
	}
	topUp := w.approved("top-up")
	child := spending(script(w.cold, 0, i.ToIndex), 900, outpoint(parent, 0))
	stolen := sealing(topUp, child, "stolen")
	refused(t, w.Seal(ctx, stolen), "coin-unavailable") // a top-up may not rest on it
	for name, wrong := range map[string]wire.OutPoint{"an ancestor's output": outpoint(before, 0), "no output": outpoint(parent, 7)} {
		s := sealing(i, child, name)
		s.Coins = []wire.OutPoint{wrong}
		refused(t, w.Seal(ctx, s), "coin-unavailable")
	}
	w.must(w.Seal(ctx, sealing(i, child, "child")))
	if by, err := w.ReservedBy(ctx, outpoint(parent, 0)); err != nil || by != i.Serial {
		t.Errorf("held by %d, %v", by, err)
	}
	twin := w.child("twin", parent)
	refused(t, w.Seal(ctx, sealing(twin, spending(script(w.cold, 0, twin.ToIndex), 800, outpoint(parent, 0)), "twin")), "coin-reserved")
	if b, err := w.Balance(ctx, w.cold, 1); err != nil || b != (store.Balance{}) {
		t.Errorf("a balance counts what no block has: %+v, %v", b, err)
	}
	// Both are confirmed by one block, and the books agree.
	_, err := w.Finish(ctx, sealing(i, child, "child").Bundle.ID, rawOf(t, child))
	w.must(err)
	if tx, known, err := w.TransactionOf(ctx, child.TxHash()); err != nil || !known || tx.Serial != i.Serial {
		t.Errorf("transaction %+v, %v, %v", tx, known, err)
	}
	w.mine(parent, child)
	w.mine()
	if halts, err := w.Halts(ctx); err != nil || len(halts) != 0 || w.state(i.Serial) != store.Confirmed {
		t.Errorf("%s, halts %v, %v", w.state(i.Serial), halts, err)
	}
}

// A child of another wallet's output is not sealed for ours.
func TestAChildSpendsItsOwnWalletsOutput(t *testing.T) {
	w := newWorld(t)
	for name, parent := range map[string]*wire.MsgTx{"the hot wallet's": w.pay(w.hot, 1000), "a stranger's": spending([]byte{0x51}, 1000, wire.OutPoint{Hash: chainhash.Hash{8}})} {
		i := w.child(name, parent)
		refused(t, w.Seal(context.Background(), sealing(i, spending(script(w.cold, 0, i.ToIndex), 900, outpoint(parent, 0)), name)), "coin-unavailable")
	}
}

// Whatever state a child is in, it ends when its parent can never be confirmed; and it is confirmed if the chain has it.
func TestAVoidedChildIsSentNoMore(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	parent := w.pay(w.cold, 1000)
	i := w.child("child", parent)
	child := spending(script(w.cold, 0, i.ToIndex), 900, outpoint(parent, 0))
	s := sealing(i, child, "child")
	w.must(w.Seal(ctx, s))
	_, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, child))
	w.must(err)
	refused(t, w.Cancel(ctx, i.Serial, "carol", "it hangs"), "intent-state")
	for range 2 {
		w.must(w.Void(ctx, i.Serial, "replaced"))
	}
	if why, err := w.Reason(ctx, i.Serial); err != nil || why != "the chain: replaced" {
		t.Errorf("ended because %q, %v", why, err)
	}
	if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 0 || w.state(i.Serial) != store.Cancelled {
		t.Errorf("%d to send, %s, %v", len(list), w.state(i.Serial), err)
	}
	w.now = w.now.Add(2 * time.Hour)
	if _, err := w.Expire(ctx); err != nil {
		t.Error(err)
	}
	if by, err := w.ReservedBy(ctx, outpoint(parent, 0)); err != nil || by != 0 {
		t.Errorf("held by %d after its time, %v", by, err)
	}
	w.mine(parent, child)
	w.mine()
	if w.state(i.Serial) != store.Confirmed {
		t.Errorf("the chain has it, and it is %s", w.state(i.Serial))
	}
	if why, err := w.Reason(ctx, w.propose("another").Serial); err != nil || why != "" {
		t.Errorf("what lives ended because %q, %v", why, err)
	}
	if err := w.Void(ctx, w.propose("top-up").Serial, "replaced"); err == nil {
		t.Error("a top-up was voided")
	}
}

// A payment to the address book has no wallet of ours and no index; its coins leave.
func TestPaymentsAreNobodysIndex(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	for n := range uint32(2) {
		i, _, err := w.Propose(ctx, store.Proposal{Request: string(rune('a' + n))}, func(d store.Draft) (spend.Intent, []byte, error) {
			intent, raw, err := w.write(money.Sats(900))(d)
			intent.Purpose, intent.To, intent.Entry = spend.Payment, spend.WalletID{}, "otc-desk"
			return intent, append(raw, "outside"...), err
		})
		w.must(err)
		for _, person := range []string{"bob", "carol"} {
			_, err = w.approve(i.Serial, person)
			w.must(err)
		}
		w.must(w.Seal(ctx, sealing(i, spending([]byte{0x51}, 900, outpoint(funding, n)), string(rune('a'+n)))))
		back, err := w.Intent(ctx, i.Serial)
		if err != nil || back.Entry != "otc-desk" || back.To != (spend.WalletID{}) || back.ToIndex != 0 || back.Parent != (chainhash.Hash{}) {
			t.Errorf("it came back as %+v, %v", back, err)
		}
	}
	if b, err := w.Balance(ctx, w.cold, 1); err != nil || b.Leaving != 2000 {
		t.Errorf("leaving %d, %v", b.Leaving, err)
	}
}

func TestDamagedStuckTransactionsAreRefused(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	i := w.child("child", w.pay(w.cold, 1000))
	w.must(w.Forge(ctx, "UPDATE_STUCK"))
	_, err := w.Stuck(ctx, i.Serial)
	refused(t, err, "parent-damaged")
	_, _, err = w.Propose(ctx, store.Proposal{Request: "x", To: w.cold, Stuck: [][]byte{{1, 2, 3}}}, w.write(money.Sats(1)))
	if err == nil {
		t.Error("a parent of three bytes was taken")
	}
}

// A migration that finds rows which belong to nothing changes nothing.
func TestStrayRowsAreNotTakenOver(t *testing.T) {
	w := newWorld(t)
	w.approved("one")
	w.must(w.Forge(context.Background(), "STRAY_APPROVAL"))
	w.must(w.Forge(context.Background(), "VERSION_1"))
	w.must(w.Close())
	refused(t, w.open(), "store-damaged")
	w.dir = t.TempDir()
	w.must(w.open()) // for the cleanup
}
