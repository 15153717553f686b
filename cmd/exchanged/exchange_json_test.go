package main

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// exchangeObjects has every command of an exchange print its object, and returns which were asked.
func exchangeObjects(t *testing.T, documented func(string)) (asked []string) {
	t.Helper()
	b := newBourse(t)
	prints := func(args ...string) string {
		t.Helper()
		asked = append(asked, "exchanged "+strings.Join(args, " "))
		out := b.mustCommand(append(args, "--json")...)
		documented(out)
		return out
	}
	other := &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), time: time.Now()}
	other.mustCommand("init", "--network", "regtest")
	documented(other.mustCommand("exchange", "init", "--json"))
	// evict is of PostgreSQL alone, where another engine works; what it prints is an operation like that of snapshot.
	asked = append(asked, "exchanged exchange init", "exchanged journal evict")
	prints("exchange", "nats")
	w := walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f"))
	b.mustCommand("wallet", "add", b.file("deposits", w.Marshal()))
	b.configure(`wallet: ""                 # registered`, `wallet: DEPOSITS-1         # registered`)
	b.configure("confirmations: []", `confirmations: [{need: 1}]`)
	b.begin()
	for _, line := range b.lines {
		documented(line)
	}
	prints("exchange", "roster")
	b.mustChange("asset", "add", "BTC", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "2")
	b.mustChange("asset", "add", "USDT", "--decimals", "6")
	b.mustChange("market", "add", "BTCUSDT", "--base", "BTC", "--quote", "USDT", "--price-max", "1000000", "--qty-max", "1000")
	b.mustChange("exchange", "deposits", "DEPOSITS-1")
	customer := b.customer("one")
	customer.address()
	b.mustChange("account", "adjust", "house", "10", "BTC")
	b.mustChange("account", "adjust", "1", "10", "BTC")
	prints("account", "create", "two")
	prints("account", "list")
	prints("account", "enrol", "2")
	prints("account", "key", "add", "1")
	documented(b.mustCommand("account", "key", "add", "1", "--kind", "ed25519", "--public", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "--json"))
	prints("account", "key", "revoke", "1", customer.key)
	to := must(w.Derive(wallet.Receive, 9)).Address
	prints("account", "address", "add", "1", "BTC", to, "--code", customer.code(-1))
	customer.withdraw(to)
	prints("withdrawals", "list")
	prints("withdrawals", "show", "1")
	documented(b.printsDeposits(w, prints))
	prints("tickets", "list")
	prints("changes", "list", "--all")
	b.showsAChange(prints)
	prints("tickets", "close", "203.0.113.7", "--note", "looked at it")
	prints("alerts", "list")
	prints("alerts", "test")
	prints("limits", "list")
	prints("limits", "unban", "203.0.113.7")
	prints("account", "address", "remove", "1", "BTC", to)
	for _, args := range [][]string{{"asset", "add", "ETH"}, {"asset", "list"}, {"market", "list"}, {"market", "halt", "BTCUSDT"},
		{"market", "auction", "BTCUSDT"}, {"market", "add", "BTCUSDT", "--base", "BTC", "--quote", "USDT", "--price-max", "9", "--qty-max", "9"},
		{"account", "freeze", "1"}, {"account", "reset", "2"}, {"account", "fees", "1", "--default"}, {"account", "adjust", "1", "1", "BTC"}, {"exchange", "deposits", "DEPOSITS-1"},
		{"snapshot"}, {"journal", "verify"}, {"journal", "replay"}} {
		prints(args...)
	}
	b.resumes(prints)
	dir := filepath.Join(t.TempDir(), "backup")
	prints("backup", dir) // beside the running exchange
	b.end()
	b.empties()
	prints("restore", dir)
	return asked
}

// code is the customer's one-time code, some steps from now: each can be used once.
func (c customer) code(steps int64) string {
	secret := must(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(c.totp))
	return accounts.OneTimeCode(secret, exchange.Millis(time.Now().UnixMilli()+steps*30_000))
}

// withdraw asks for a withdrawal, with a key that was made for it.
func (c customer) withdraw(to string) {
	c.b.t.Helper()
	var key admin.Key
	if err := json.Unmarshal([]byte(c.b.mustCommand("account", "key", "add", fmt.Sprint(c.account), "--scope", "withdraw,read", "--from", "127.0.0.1/32", "--code", c.code(0), "--json")), &key); err != nil {
		c.b.t.Fatal(err)
	}
	c.key, c.secret = key.Key, key.Secret
	var got struct{ ID, Msg string }
	if code := c.call(http.MethodPost, "/sapi/v1/capital/withdraw/apply", "coin=BTC&amount=0.002&address="+to, &got); code != http.StatusOK || got.ID == "" {
		c.b.t.Fatalf("withdrawal: %d %+v", code, got)
	}
}

// showsAChange shows the newest change.
func (b *bourse) showsAChange(prints func(args ...string) string) {
	b.t.Helper()
	list, err := b.staff.Changes(b.t.Context())
	if err != nil || len(list.Changes) == 0 {
		b.t.Fatal(list, err)
	}
	prints("changes", "show", list.Changes[0].ID)
}

// resumes proposes what ends a halt and a freeze.
func (b *bourse) resumes(prints func(args ...string) string) {
	b.t.Helper()
	b.mustChange("market", "halt", "BTCUSDT")
	b.mustChange("account", "freeze", "1")
	prints("market", "resume", "BTCUSDT")
	prints("account", "thaw", "1")
}

// printsDeposits has a payment credited and one that waits, and returns the second as JSON.
func (b *bourse) printsDeposits(w wallet.Wallet, prints func(args ...string) string) string {
	b.t.Helper()
	in1, in2 := paying(w, 1, map[uint32]int64{0: 5e7}), paying(w, 2, map[uint32]int64{5: 1e6})
	b.mine(in1, in2)
	until(b.t, "both payments", func() bool { list := b.deposits(); return len(list) == 2 && list[1].State == admin.DepositCredited })
	prints("deposits", "list")
	prints("deposits", "show", fmt.Sprintf("%s:0", in1.TxHash()))
	return b.mustCommand("deposits", "show", fmt.Sprintf("%s:0", in2.TxHash()), "--json")
}
