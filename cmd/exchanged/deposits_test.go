package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// payer makes a bourse whose deposit wallet is a 2-of-3 of its own.
func payer(t *testing.T) (*bourse, wallet.Wallet) {
	t.Helper()
	b := newBourse(t)
	w := walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f"))
	b.mustCommand("wallet", "add", b.file("deposits", w.Marshal()))
	b.configure(`wallet: ""                 # registered`, `wallet: DEPOSITS-1         # registered`)
	b.configure("confirmations: []", `confirmations: [{below: "1.0", need: 2}, {need: 4}]`)
	b.begin()
	b.market()
	b.mustChange("exchange", "deposits", "DEPOSITS-1")
	return b, w
}

// address asks for a customer's deposit address.
func (c customer) address() string {
	c.b.t.Helper()
	var got struct{ Address string }
	if code := c.call(http.MethodGet, "/sapi/v1/capital/deposit/address", "coin=BTC", &got); code != 200 || got.Address == "" {
		c.b.t.Fatalf("deposit address: %d %+v", code, got)
	}
	return got.Address
}

// paying makes a transaction that pays receive indexes of a wallet.
func paying(w wallet.Wallet, nonce byte, pays map[uint32]int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{nonce}, Index: 7}, Witness: wire.TxWitness{{1, 2, 3}}})
	for index := range uint32(1000) {
		if value, paid := pays[index]; paid {
			tx.AddTxOut(wire.NewTxOut(value, must(w.Derive(wallet.Receive, index)).ScriptPubKey))
		}
	}
	return tx
}

func TestDepositsAreCreditedWhenTheyLieDeepEnoughForTheirValue(t *testing.T) {
	b, w := payer(t)
	one, two := b.customer("one"), b.customer("two")
	if got := one.address(); got != must(w.Derive(wallet.Receive, 0)).Address {
		t.Fatalf("address %s is not the wallet's first", got)
	}
	two.address()
	b.mine(paying(w, 1, map[uint32]int64{0: 5e7, 1: 2e8}), paying(w, 2, map[uint32]int64{0: 1e7}))
	if one.free("BTC") != "0" {
		t.Error("credited with one confirmation")
	}
	b.mine()
	until(t, "the small deposit", func() bool { return one.free("BTC") == "0.60000000" })
	if two.free("BTC") != "0" {
		t.Error("a large deposit counts with two confirmations")
	}
	b.mine()
	b.mine()
	until(t, "the large deposit", func() bool { return two.free("BTC") == "2.00000000" })
	// A restart, with its base lost: everything is found again, and nothing is credited twice.
	b.end()
	if err := os.Remove(folder(b.dir).path(exchangeDir, "wallet", "deposits")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	b.begin()
	b.mine(paying(w, 3, map[uint32]int64{1: 1}))
	b.mine()
	until(t, "the next deposit", func() bool { return two.free("BTC") == "2.00000001" })
	if one.free("BTC") != "0.60000000" {
		t.Errorf("credited twice: %s", one.free("BTC"))
	}
	var history []struct{ Amount, TxID string }
	one.call(http.MethodGet, "/sapi/v1/capital/deposit/hisrec", "", &history)
	if len(history) != 2 {
		t.Errorf("%+v", history)
	}
}

func TestADepositOfABranchThatLostIsNotCredited(t *testing.T) {
	b, w := payer(t)
	one := b.customer("one")
	one.address()
	b.mine(paying(w, 1, map[uint32]int64{0: 5e8}))
	b.mine() // two of the four that it needs
	until(t, "the blocks to be read", func() bool { return b.height() == 2 })
	b.fork(2)
	b.mine(paying(w, 2, map[uint32]int64{0: 3e7})) // another payment in its place
	b.mine()
	b.mine()
	b.mine()
	until(t, "the payment of the branch that won", func() bool { return one.free("BTC") == "0.30000000" })
}

// height is how far the treasury has read the chain: it reads beside the depositor.
func (b *bourse) height() uint32 {
	b.t.Helper()
	status, err := b.staff.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return status.Height
}

func TestADepositWalletIsNotFilledByTheTreasury(t *testing.T) {
	b, _ := payer(t)
	b.end()
	raw := must(os.ReadFile(folder(b.dir).path("exchanged.yaml")))
	tiers := []byte("tiers:\n  - {wallet: DEPOSITS-1, from: X, floor: \"1.0\", target: \"2.0\"}\n")
	if _, err := parseConfig(bytes.Replace(raw, []byte("tiers: []\n"), tiers, 1)); err == nil {
		t.Error("top-ups to customers' addresses are taken")
	}
}

// A branch leads from each transaction of a block of any width to its root.
func TestMerkleBranchesLeadToTheRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var txs []*wire.MsgTx
		for i := range rapid.IntRange(1, 40).Draw(t, "transactions") {
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(&wire.TxIn{SignatureScript: fmt.Appendf(nil, "%d", i)})
			txs = append(txs, tx)
		}
		place := rapid.IntRange(0, len(txs)-1).Draw(t, "place")
		node := txs[place].TxHash()
		for i, step := range merkleBranch(txs, place) {
			if place>>i&1 == 1 {
				node = chainhash.DoubleHashH(append(bytes.Clone(step), node[:]...))
			} else {
				node = chainhash.DoubleHashH(append(node[:], step...))
			}
		}
		if node != rootOf(txs) {
			t.Fatalf("transaction %d of %d does not lead to the root", place, len(txs))
		}
	})
}
