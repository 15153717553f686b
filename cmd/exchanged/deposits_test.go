package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
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

// deposits lists deposits as a command prints them.
func (b *bourse) deposits(args ...string) (list []admin.Deposit) {
	b.t.Helper()
	var got admin.Deposits
	if err := json.Unmarshal([]byte(b.mustCommand(append([]string{"deposits", "list", "--json"}, args...)...)), &got); err != nil {
		b.t.Fatal(err)
	}
	return got.Deposits
}

// An operator sees a payment from its first block on, whose it is, and what it waits for.
func TestDepositsAreSeenBeforeTheyCount(t *testing.T) {
	b, w := payer(t)
	one := b.customer("one")
	two := b.customer("two")
	one.address()
	two.address()
	small, large := paying(w, 1, map[uint32]int64{0: 5e7}), paying(w, 2, map[uint32]int64{1: 2e8, 7: 1e6})
	b.mine(small, large)
	until(t, "three payments", func() bool {
		list := b.deposits()
		return len(list) == 3 && list[0].Account+list[1].Account+list[2].Account == 3
	})
	output := fmt.Sprintf("%s:0", large.TxHash())
	show := func() (d admin.Deposit) {
		if err := json.Unmarshal([]byte(b.mustCommand("deposits", "show", output, "--json")), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := show()
	if d.Account != two.account || d.Amount.Value != "2.00000000" || d.State != admin.DepositConfirming || d.Confirmations != 1 || d.Need != 4 || d.Height != 1 ||
		d.Address != must(w.Derive(wallet.Receive, 1)).Address || !strings.Contains(d.Waiting, "1 of 4") {
		t.Errorf("%+v", d)
	}
	if text := b.mustCommand("deposits", "show", fmt.Sprintf("%s:1", large.TxHash())); !strings.Contains(text, "nobody was given deposit address 7") {
		t.Errorf("of an address that nobody has:\n%s", text)
	}
	b.mine()
	until(t, "the small deposit", func() bool { return one.free("BTC") == "0.50000000" })
	until(t, "its record", func() bool { return len(b.deposits("--state", "credited")) == 1 })
	if list := b.deposits("1"); len(list) != 1 || list[0].State != admin.DepositCredited || list[0].Number != 1 || list[0].CreditedAt.IsZero() {
		t.Errorf("of the customer: %+v", list)
	}
	if text := b.mustCommand("deposits", "list"); !strings.Contains(text, "confirming 2/4") || !strings.Contains(text, "credited") {
		t.Errorf("the list:\n%s", text)
	}
	if list := b.deposits("--state", "confirming", "--asset", "BTC"); len(list) != 2 {
		t.Errorf("that wait: %+v", list)
	}
	b.mine()
	b.mine()
	until(t, "the large deposit", func() bool { return show().State == admin.DepositCredited })
	for args, want := range map[string]console.Code{"deposits list 0": console.Usage, "deposits list --state lost": console.Usage, "deposits list --asset DOGE": console.Usage,
		"deposits show x": console.Usage, "deposits show " + strings.Repeat("0f", 32) + ":0": console.Usage} {
		if code, _, text := b.command(strings.Fields(args)...); code != want || !strings.Contains(text, "hint") {
			t.Errorf("%s: %d %s", args, code, text)
		}
	}
}

// A withdrawal that is asked for is held, and its command says for whom it waits.
func TestAWithdrawalSaysWhatItWaitsFor(t *testing.T) {
	b, w := payer(t)
	one := b.customer("one")
	b.mustChange("account", "adjust", "house", "1", "BTC")
	b.mustChange("account", "adjust", "1", "1", "BTC")
	to := must(w.Derive(wallet.Receive, 9)).Address
	b.mustCommand("account", "address", "add", "1", "BTC", to, "--code", one.code(-1))
	one.withdraw(to)
	for _, args := range []string{"withdrawals list", "withdrawals list 1", "withdrawals show 1"} {
		until(t, args, func() bool { _, out, _ := b.command(strings.Fields(args)...); return strings.Contains(out, to) })
	}
	text := b.mustCommand("withdrawals", "show", "1")
	for _, want := range []string{"0.00200000 BTC, fee 0.00010000 in it", to, "held", "waits for", "the treasury"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, args := range []string{"withdrawals show 2", "withdrawals show x", "withdrawals list x"} {
		if code, _, errs := b.command(strings.Fields(args)...); code != console.Usage {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}
