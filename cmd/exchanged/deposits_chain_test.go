package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// lone is a depositor beside a chain of a test and an engine of which it hears numbers alone.
func lone(t *testing.T, given func() uint32) (*depositor, *chainOf, *bell) {
	t.Helper()
	w := walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f"))
	chain, dir := newChainOf(), t.TempDir()
	b := newBell(t, filepath.Join(dir, "alerts.jsonl"))
	d := &depositor{rules: depositsConfig{Confirmations: []confirmationsRule{{Need: 4}}}, wallet: w, sink: &depositSink{scripts: map[string]uint32{}},
		path: filepath.Join(dir, "deposits"), log: slog.New(slog.DiscardHandler), alerts: b.alerts}
	d.follower = &node.Follower{Chain: chain, Sink: d.sink}
	d.ask = func(context.Context, exchange.Question) (exchange.Answer, error) {
		return exchange.Answer{Assets: []exchange.AssetInfo{{ID: 1, Network: string(w.Network())}}, Status: &exchange.EngineStatus{Assigned: []uint32{0, given()}}}, nil
	}
	return d, chain, b
}

func (d *depositor) ticks(t *testing.T) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = d.tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// While blocks are read, a node may hang for minutes and an exchange go on: more addresses are given than are looked for,
// and one of them is paid in a block that is read then.
func TestAPaymentToAnAddressThatWasGivenWhileBlocksWereReadIsFound(t *testing.T) {
	given := uint32(1)
	d, chain, _ := lone(t, func() uint32 { return given })
	chain.mine(paying(d.wallet, 1, map[uint32]int64{420: 5e7}))
	d.follower.Chain = hanging{chain, func() { given = 430 }}
	d.ticks(t)
	if list := d.notCredited(); len(list) != 1 || list[0].index != 420 {
		t.Fatalf("%d addresses are given, and of the payment to one of them %+v is known", given, list)
	}
}

// hanging is a chain where something happens while a block is fetched.
type hanging struct {
	*chainOf
	meanwhile func()
}

func (h hanging) Tip(ctx context.Context) (uint32, chainhash.Hash, error) {
	h.meanwhile()
	return h.chainOf.Tip(ctx)
}

// The rules credit small payments before they lie as deep as the deepest rule asks: a reorganisation above the base may
// take one away that an account has.
func TestACreditedPaymentThatLeavesTheChainIsTold(t *testing.T) {
	d, chain, b := lone(t, func() uint32 { return 3 })
	stays, goes := paying(d.wallet, 1, map[uint32]int64{0: 5e7}), paying(d.wallet, 2, map[uint32]int64{1: 7e7})
	chain.mine(stays, goes)
	d.ticks(t)
	for i := range d.sink.blocks[0].found {
		d.sink.blocks[0].found[i].ended, d.sink.blocks[0].found[i].credited = true, true
	}
	chain.fork(1)
	chain.mine(stays)
	d.ticks(t)
	told := b.lines(t)
	if len(told) != 1 || told[0].Kind != alertDepositGone || told[0].About != goes.TxHash().String()+":0" {
		t.Fatalf("%+v", told)
	}
	d.ticks(t)
	if len(b.lines(t)) != 1 {
		t.Error("told twice")
	}
}

// Two people can grant the engine another deposit wallet than the configuration names.
func TestAddressesOfAnotherWalletAreTold(t *testing.T) {
	d, _, b := lone(t, func() uint32 { return 3 })
	plain, given := d.ask, must(d.wallet.Derive(wallet.Receive, 2)).Address
	d.ask = func(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
		if q.Addresses != nil && q.Addresses.Number == 3 && q.Addresses.Asset == 1 {
			return exchange.Answer{Addresses: []exchange.DepositAddressInfo{{Index: 2, Address: given}}}, nil
		}
		return plain(ctx, q)
	}
	d.ticks(t)
	if told := b.lines(t); len(told) != 0 {
		t.Fatalf("of its own wallet: %+v", told)
	}
	given, d.compared = must(walletOf("DEPOSITS-2", spend.Hot, cosigners("g", "h", "i")).Derive(wallet.Receive, 2)).Address, 0
	d.ticks(t)
	if told := b.lines(t); len(told) != 1 || told[0].Kind != alertDeposits {
		t.Fatalf("%+v", told)
	}
}

// A rule below what the engine asks for credits nothing, and the payment that waits for ever ends all deposits.
func TestRulesThatTheEngineDoesNotFollowAreRefused(t *testing.T) {
	for need, fits := range map[uint32][3]bool{1: {true, false, false}, 3: {true, true, false}, 6: {true, true, true}} {
		rules := depositsConfig{Confirmations: []confirmationsRule{{Need: need}, {Need: 20}}}
		for i, network := range []spend.Network{spend.BitcoinRegtest, spend.BitcoinSignet, spend.BitcoinMainnet} {
			if err := rules.suffice(network); (err == nil) != fits[i] {
				t.Errorf("%d confirmations on %s: %v", need, network, err)
			}
		}
	}
}

// A customer may pay himself in as many outputs as fit into a transaction: its bytes are held once, not once for each.
func TestPaymentsOfOneTransactionShareItsBytes(t *testing.T) {
	d, chain, _ := lone(t, func() uint32 { return 3 })
	tx := paying(d.wallet, 1, map[uint32]int64{0: 1000})
	for range 2000 {
		tx.AddTxOut(tx.TxOut[0])
	}
	chain.mine(tx)
	d.ticks(t)
	found := d.sink.blocks[0].found
	if len(found) != 2001 {
		t.Fatalf("%d payments", len(found))
	}
	for i := range found {
		if &found[i].raw[0] != &found[0].raw[0] || &found[i].branch[0] != &found[0].branch[0] || found[i].output != uint32(i) {
			t.Fatalf("payment %d, of output %d, has evidence of its own", i, found[i].output)
		}
	}
}
