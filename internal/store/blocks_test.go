package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/store"
	"pgregory.net/rapid"
)

func TestBlocksMakeAndSpendCoins(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 700, 300)
	block := w.mine(funding, w.pay(w.hot, 40))
	w.must(w.Apply(ctx, w.height, block.BlockHash(), block.Header.PrevBlock, block)) // the tip again changes nothing
	coins, err := w.Spendable(ctx, w.cold, 1)
	w.must(err)
	if len(coins) != 2 || coins[0].Value != 700 || coins[0].Outpoint != outpoint(funding, 0) || coins[1].Value != 300 {
		t.Fatalf("coins %+v", coins)
	}
	if deep, err := w.Spendable(ctx, w.cold, 2); err != nil || len(deep) != 0 {
		t.Errorf("one confirmation counts as two: %v %v", deep, err)
	}
	w.mine()
	if n, err := w.Confirmations(ctx, funding.TxHash()); err != nil || n != 2 {
		t.Errorf("%d confirmations: %v", n, err)
	}
	if n, err := w.Confirmations(ctx, chainhash.Hash{1}); err != nil || n != 0 {
		t.Errorf("%d confirmations of an unknown transaction: %v", n, err)
	}
	c, err := w.Counter(ctx, w.cold, 0)
	if want := (store.Counter{Next: 1, Watched: 20}); err != nil || c != want {
		t.Errorf("an index with a coin on it is given out again: %v %v", c, err)
	}
	if b, err := w.Balance(ctx, w.cold, 1); err != nil || b != (store.Balance{Total: 1000, Spendable: 1000}) {
		t.Errorf("balance %v %v", b, err)
	}
}

func TestBlocksMustStandOnTheTip(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	block := w.block()
	hash := block.BlockHash()
	refused(t, w.Apply(ctx, w.height+2, hash, block.Header.PrevBlock, block), "block-unlinked")
	refused(t, w.Apply(ctx, w.height+1, hash, chainhash.Hash{9}, block), "block-unlinked")
	refused(t, w.Apply(ctx, w.height, hash, block.Header.PrevBlock, block), "block-unlinked")
}

func TestMinedCoinsMature(t *testing.T) {
	w := newWorld(t)
	block := w.block()
	block.Transactions[0].TxOut[0].PkScript = script(w.cold, 0, 0)
	w.must(w.Apply(context.Background(), w.height+1, block.BlockHash(), block.Header.PrevBlock, block))
	w.tip, w.height = block, w.height+1
	for range 98 {
		w.mine()
	}
	count := func() int {
		coins, err := w.Spendable(context.Background(), w.cold, 1)
		w.must(err)
		return len(coins)
	}
	if n := count(); n != 0 {
		t.Errorf("a mined coin with 99 confirmations may be spent")
	}
	w.mine()
	if n := count(); n != 1 {
		t.Errorf("a mined coin with 100 confirmations may not be spent")
	}
}

// The greatest amount that can exist, and the greatest that an intent can name, come back to the last unit.
func TestAmountsAreExact(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.mine(w.pay(w.cold, 2_100_000_000_000_000, 9_007_199_254_740_993%2_100_000_000_000_000, 1))
	coins, err := w.Coins(ctx, w.cold)
	w.must(err)
	if len(coins) != 3 || coins[0].Value != 2_100_000_000_000_000 || coins[2].Value != 1 {
		t.Errorf("coins %v", coins)
	}
	wei := money.New(money.Asset{Symbol: "ETH", Decimals: 18}, money.U128{Hi: ^uint64(0), Lo: ^uint64(0)})
	i, _, err := w.Propose(ctx, store.Proposal{Request: "huge", To: w.hot}, w.write(wei))
	w.must(err)
	if back, err := w.Intent(ctx, i.Serial); err != nil || back.Amount != wei {
		t.Errorf("%v came back as %v, %v", wei, back.Amount, err)
	}
}

// Attack 026: an outpoint that was seen with one amount comes again with another.
func TestAttack026AnOutpointKeepsItsAmount(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 700)
	w.mine(funding)
	w.must(w.Rollback(ctx, w.height-1))
	w.must(w.Forge(ctx, "UPDATE_OUTPOINT"))
	block := w.tip
	refused(t, w.Apply(ctx, w.height, block.BlockHash(), block.Header.PrevBlock, block), "outpoint-amount-changed")
	if _, tip, err := w.Tip(ctx); err != nil || tip == block.BlockHash() {
		t.Errorf("half a block was kept: %v", err)
	}
}

// Attack 117: the records give another previous transaction, or another amount, than the coin's name commits to.
func TestAttack117CoinsAreReadOnlyWithTheirProof(t *testing.T) {
	for _, forgery := range []string{"UPDATE_COIN", "UPDATE_PARENT"} {
		w := newWorld(t)
		ctx := context.Background()
		w.mine(w.pay(w.cold, 700))
		w.must(w.Forge(ctx, forgery))
		_, err := w.Spendable(ctx, w.cold, 1)
		refused(t, err, "coin-unproven")
	}
}

// A coin of ours is spent by a transaction that was never sealed: somebody else can sign for the wallet.
func TestCoinsSpentBehindOurBackHaltEverything(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 700)
	w.mine(funding)
	w.mine(spending([]byte{0x51}, 700, outpoint(funding, 0)))
	halts, err := w.Halts(ctx)
	w.must(err)
	if len(halts) != 1 || halts[0].Code != "coin-spent-unknown" {
		t.Fatalf("halts %v", halts)
	}
	_, _, err = w.Propose(ctx, store.Proposal{Request: "after", To: w.hot}, w.write(money.Sats(1)))
	refused(t, err, "halted")
	w.must(w.ClearHalts(ctx, "ruth and sam", "drill"))
	w.propose("after")
}

func TestConfirmedTransactionsGoBackWithTheirBlocks(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	i, tx, s := w.sealed("one", outpoint(funding, 0))
	_, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, tx))
	w.must(err)
	w.must(w.MarkBroadcast(ctx, i.Serial))
	before, fork := hashOf(t, w), w.height
	forkTip := w.tip
	w.mine(tx)
	if state := w.state(i.Serial); state != store.Broadcast {
		t.Errorf("%s after one confirmation of two", state)
	}
	w.mine()
	if state := w.state(i.Serial); state != store.Confirmed {
		t.Errorf("%s after two confirmations", state)
	}
	if hot, err := w.Coins(ctx, w.hot); err != nil || len(hot) != 1 || hot[0].Index != i.ToIndex {
		t.Errorf("hot coins %v %v", hot, err)
	}
	w.must(w.Rollback(ctx, fork))
	if after := hashOf(t, w); after != before {
		t.Error("rolling back does not give the state before")
	}
	if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 1 || list[0].TxID != tx.TxHash() {
		t.Errorf("nothing to send again: %v %v", list, err)
	}
	free, err := w.Spendable(ctx, w.cold, 1)
	if err != nil || len(free) != 0 {
		t.Errorf("the coin lost its reservation in the reorg: %v %v", free, err)
	}
	w.tip, w.height = forkTip, fork
	w.mine()
	w.mine(tx)
	w.mine()
	if state := w.state(i.Serial); state != store.Confirmed {
		t.Errorf("%s on the other branch", state)
	}
}

// Somebody else finalised and sent what we had sealed: the chain decides.
func TestChainConfirmsWhatWasNeverFinishedHere(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	i, tx, _ := w.sealed("one", outpoint(funding, 0))
	w.must(w.Cancel(ctx, i.Serial, "alice", "changed my mind"))
	w.mine(tx)
	w.mine()
	if state := w.state(i.Serial); state != store.Confirmed {
		t.Errorf("%s although the chain has it", state)
	}
	got, found, err := w.Transaction(ctx, i.Serial)
	if err != nil || !found || got.Height != w.height-1 {
		t.Errorf("transaction %v %v %v", got, found, err)
	}
	w.must(w.Rollback(ctx, w.height-2))
	if state := w.state(i.Serial); state != store.Cancelled {
		t.Errorf("%s after the reorg", state)
	}
}

// Any chain of payments and spends, rolled back to any height and played again, gives the same states.
func TestUndoIsExact(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		start := w.height
		type state struct {
			hash  [32]byte
			block *wire.MsgBlock
		}
		states := []state{{hashOf(t, w), w.tip}}
		var open []wire.OutPoint
		for range rapid.IntRange(1, 6).Draw(rt, "blocks") {
			var txs []*wire.MsgTx
			for range random.IntN(4) {
				tx := w.pay(w.cold, random.Int64N(1e9)+1, random.Int64N(1e9)+1)
				txs = append(txs, tx)
				open = append(open, outpoint(tx, 0), outpoint(tx, 1))
			}
			if len(open) > 0 && random.IntN(2) == 0 {
				n := random.IntN(len(open))
				txs = append(txs, spending(script(w.hot, 0, 1), 5, open[n]))
				open = append(open[:n:n], open[n+1:]...)
			}
			block := w.mine(txs...)
			states = append(states, state{hashOf(t, w), block})
		}
		to := rapid.IntRange(0, len(states)-1).Draw(rt, "to")
		w.must(w.Rollback(ctx, start+uint32(to)))
		if hashOf(t, w) != states[to].hash {
			rt.Fatalf("state %d of %d is another after rolling back", to, len(states))
		}
		for n := to + 1; n < len(states); n++ {
			b := states[n].block
			w.must(w.Apply(ctx, start+uint32(n), b.BlockHash(), b.Header.PrevBlock, b))
			if hashOf(t, w) != states[n].hash {
				rt.Fatalf("state %d of %d is another after playing again", n, len(states))
			}
		}
		w.must(w.Rollback(ctx, start))
		w.tip, w.height = states[0].block, start
	})
}

func TestEventsFormAChain(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for n := range 5 {
		_, err := w.Log(ctx, "note", fmt.Sprint(n))
		w.must(err)
	}
	for _, statement := range []string{"UPDATE_EVENT", "DELETE_EVENT"} {
		if err := w.Forge(ctx, statement); err == nil {
			t.Errorf("%s was allowed", statement)
		}
	}
	_, err := w.VerifyEvents(ctx)
	w.must(err)
	// Somebody with the key and without the triggers changes a line.
	w.must(w.Forge(ctx, "DROP_TRIGGERS"))
	w.must(w.Forge(ctx, "UPDATE_EVENT"))
	_, err = w.VerifyEvents(ctx)
	refused(t, err, "events-tampered")
	w.must(w.Close())
	refused(t, w.open(), "events-tampered")
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Key: key, Network: "bitcoin:regtest", Confirmations: 1, Now: store.TimeNow})
	w.must(err)
	w.Store = s // for the cleanup
}
