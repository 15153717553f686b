package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
)

type orderReplyOf struct {
	Code   int
	Msg    string
	Status string
	ID     int64 `json:"orderId"`
}

// One process, one command each: from an empty folder to an order that was placed by HTTP and matched.
func TestAnOrderPlacedByHTTPIsMatched(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	seller, buyer := b.customer("one"), b.customer("two")
	b.mustChange("account", "adjust", "house", "10", "BTC")
	b.mustChange("account", "adjust", "1", "10", "BTC")
	b.mustChange("account", "adjust", "house", "500000", "USDT")
	b.mustChange("account", "adjust", "2", "500000", "USDT")
	var got orderReplyOf
	if code := seller.call(http.MethodPost, "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=60000", &got); code != 200 || got.Status != "NEW" {
		t.Fatalf("%d %+v", code, got)
	}
	if code := buyer.call(http.MethodPost, "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5", &got); code != 200 || got.Status != "FILLED" {
		t.Fatalf("%d %+v", code, got)
	}
	if seller.free("USDT") != "30000.00000000" || buyer.free("BTC") != "0.50000000" {
		t.Errorf("seller has %s USDT, buyer %s BTC", seller.free("USDT"), buyer.free("BTC"))
	}
	var trades []struct{ Qty string }
	until(t, "the trade in the records", func() bool {
		buyer.call(http.MethodGet, "/api/v3/myTrades", "symbol=BTCUSDT", &trades)
		return len(trades) == 1
	})
	b.mustChange("market", "halt", "BTCUSDT", "--note", "maintenance")
	if code := buyer.call(http.MethodPost, "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1", &got); code == 200 {
		t.Errorf("a halted market takes orders: %+v", got)
	}
	b.mustChange("market", "resume", "BTCUSDT")
	before := b.mustCommand("journal", "replay")
	if again := b.mustCommand("journal", "replay"); again != before || !strings.Contains(b.mustCommand("journal", "verify", "--json"), `"first":1`) {
		t.Errorf("%s and %s", before, again)
	}
	b.mustCommand("snapshot")
	b.end()
	b.begin() // from the snapshot
	if buyer.free("BTC") != "0.50000000" {
		t.Errorf("after a restart the buyer has %s BTC", buyer.free("BTC"))
	}
}

// empties loses journal, records and snapshots, and keeps the keys.
func (b *bourse) empties() {
	b.t.Helper()
	for _, dir := range []string{"journal", "records", "snapshots"} {
		path := folder(b.dir).path(exchangeDir, "engine", dir)
		if err := errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestABackupThatIsRestoredIsTheSame(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	one := b.customer("one")
	b.mustChange("account", "adjust", "house", "10", "BTC")
	b.mustChange("account", "adjust", "1", "10", "BTC")
	var got orderReplyOf
	one.call(http.MethodPost, "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=60000", &got)
	dir := filepath.Join(t.TempDir(), "backup")
	b.mustCommand("backup", dir)
	hash := b.mustCommand("journal", "replay")
	b.end()
	b.empties()
	if code, _, _ := b.command("backup", dir); code == console.Done {
		t.Error("a backup is written over")
	}
	if restored := b.mustCommand("restore", dir); restored != hash {
		t.Errorf("restored to %s, was %s", restored, hash)
	}
	if code, _, _ := b.command("restore", dir); code == console.Done {
		t.Error("restored into a journal that holds something")
	}
	b.begin()
	if one.free("BTC") != "9.00000000" {
		t.Errorf("free are %s", one.free("BTC"))
	}
	b.end()
	// One changed byte of any file is refused.
	for _, name := range []string{backupJournal, backupRecords, backupManifest} {
		b.empties()
		path := filepath.Join(dir, name)
		raw := must(os.ReadFile(path))
		raw[len(raw)/2] ^= 1
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, _ := b.command("restore", dir); code == console.Done {
			t.Errorf("a changed %s is taken", name)
		}
		raw[len(raw)/2] ^= 1
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangesCountWhenTwoOthersApprovedThem(t *testing.T) {
	b := newBourse(t)
	b.begin(bus.Engine, bus.Wallet, bus.Admin)
	ctx := context.Background()
	b.mustCommand("exchange", "roster")
	if code, _, errs := b.command("asset", "add", "BTC", "--withdraw-fee", "0.1"); code != console.Done { // the engine judges it when it is approved
		t.Fatal(errs)
	}
	list, err := b.staff.Changes(ctx)
	if err != nil || len(list.Changes) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	var problem *admin.Problem
	if _, err := b.staff.ApproveChange(ctx, list.Changes[0].ID, []byte("no signature")); !errors.As(err, &problem) || problem.Code != "approval-invalid" {
		t.Errorf("a forged approval: %v", err)
	}
	if c := b.change("asset", "add", "BTC", "--withdraw-fee", "0.1"); c.State != "refused" {
		t.Errorf("a fee above the smallest withdrawal: %+v", c)
	}
	b.mustChange("asset", "add", "BTC")
	// The other proposal had the serial that is now used.
	if c := b.change("asset", "add", "BTC"); c.State != "applied" { // the same asset again only sets its fees
		t.Errorf("%+v", c)
	}
	if _, err := b.staff.Change(ctx, "0000000000000000"); !errors.As(err, &problem) || problem.Code != "not-found" {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{{"market", "halt", "NONE"}, {"account", "freeze", "0"}, {"account", "key", "revoke", "x", "y"}, {"market", "add", "BTCBTC", "--base", "BTC", "--quote", "BTC", "--lot", "9"}} {
		if code, _, errs := b.command(args...); code != console.Usage {
			t.Errorf("%v: exit %d %s", args, code, errs)
		}
	}
}

// Whoever stole the gateway's keys can place orders for customers, and nothing that makes money.
func TestControl007AGatewayCannotCreditItself(t *testing.T) {
	b := newBourse(t)
	b.begin(bus.Engine, bus.Wallet, bus.Admin)
	b.market()
	conn, err := bus.Dial(context.Background(), bus.Options{Credentials: must(folder(b.dir).busCredentials(bus.Gateway)), Server: b.server})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, subject := range []string{"cmd.order.main", "cmd.withdraw", "cmd.account"} {
		batch := bus.NewBatcher(conn, subject, bus.BatchOptions{})
		for _, kind := range []exchange.Kind{exchange.Tick, exchange.Deposit, exchange.Adjust, exchange.WithdrawSettle, exchange.WithdrawRelease, exchange.AccountOpen, exchange.Change} {
			out := make([]exchange.Outcome, 2)
			cmds := []exchange.Command{{ID: exchange.RandomID(), Kind: kind}, {ID: exchange.RandomID(), Kind: exchange.Cancel, Account: 1, Market: 1, Order: 1}}
			if err := batch.Do(context.Background(), cmds, out); err != nil || out[0].Code != exchange.NotAllowed || out[0].ID != cmds[0].ID {
				t.Errorf("kind %d on %s: %+v %v", kind, subject, out[0], err)
			}
			if subject == "cmd.order.main" && out[1].Code == exchange.NotAllowed {
				t.Errorf("the order beside it: %+v", out[1])
			}
		}
	}
	for _, subject := range []string{"cmd.deposit", "cmd.admin", "qry.admin", "ops.engine"} {
		if _, err := conn.Request(context.Background(), subject, nil); !errors.Is(err, bus.ErrDenied) {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// The engine decides what may come on a subject, whoever holds the key to it.
func TestCommandsOfAnotherSegmentsKindAreRefused(t *testing.T) {
	b := newBourse(t)
	config := must(parseConfig(must(console.ReadFile(folder(b.dir).path("exchanged.yaml"), configMax))))
	classes := config.Exchange.classes()
	home := map[exchange.Kind][]string{}
	for subject, class := range classes {
		for kind := exchange.Tick; kind <= exchange.Change; kind++ {
			if class.takes(kind) {
				home[kind] = append(home[kind], subject)
			}
		}
	}
	for kind := exchange.Tick; kind <= exchange.Change; kind++ {
		if want := map[bool]int{true: 0, false: 1}[kind == exchange.Tick]; len(home[kind]) < want || kind == exchange.Tick && len(home[kind]) != 0 {
			t.Errorf("kind %d comes on %v", kind, home[kind])
		}
	}
	for kind, subject := range map[exchange.Kind]string{exchange.Deposit: "cmd.deposit", exchange.Adjust: "cmd.admin", exchange.Change: "cmd.admin",
		exchange.WithdrawSettle: "cmd.settle", exchange.WithdrawRequest: "cmd.withdraw", exchange.AccountOpen: "cmd.admin"} {
		if len(home[kind]) != 1 || home[kind][0] != subject {
			t.Errorf("kind %d comes on %v, only %s is right", kind, home[kind], subject)
		}
	}
	for subject, q := range map[string]exchange.Question{"qry.admin": {Key: &exchange.KeyQuestion{Key: "x"}}, "qry.public": {Account: &exchange.AccountQuestion{Account: 1}},
		"qry.wallet": {Key: &exchange.KeyQuestion{}}, "qry.gateway": {Accounts: &exchange.DirectoryQuestion{}}} {
		if asks(subject, q) {
			t.Errorf("%s takes %+v", subject, q)
		}
	}
}

// Two changes that wait have the same serial. Once one is applied, the first who approves the other hears that it is over.
func TestAChangeWhoseSerialIsTakenIsRefusedAtOnce(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.mustCommand("exchange", "roster")
	var late admin.Change
	if err := json.Unmarshal([]byte(b.mustCommand("asset", "add", "ETH", "--json")), &late); err != nil {
		t.Fatal(err)
	}
	b.mustChange("asset", "add", "USDT", "--decimals", "6")
	armored := must(seal.Sign(b.people["alice"], seal.Change, late.Intent, rand.Reader))
	var problem *admin.Problem
	if _, err := b.staff.ApproveChange(t.Context(), late.ID, armored); !errors.As(err, &problem) || problem.Code != "change-passed" {
		t.Errorf("approved: %v", err)
	}
}

// What two people set for everybody counts for old accounts and new ones, and not for those with fees of their own.
func TestFeesOfEverybodyCountUntilAnAccountHasItsOwn(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	b.customer("old")
	b.customer("vip")
	b.mustChange("account", "fees", "2", "--maker", "0", "--taker", "0")
	b.mustChange("account", "fees", "default", "--maker", "500", "--taker", "1000")
	b.customer("new")
	until(t, "the account in the records", func() bool { return strings.Contains(b.mustCommand("account", "list"), "new") })
	want := []admin.Account{{Maker: 500, Taker: 1000}, {Own: true}, {Maker: 500, Taker: 1000}}
	var list admin.Accounts
	if err := json.Unmarshal([]byte(b.mustCommand("account", "list", "--json")), &list); err != nil || len(list.Accounts) != len(want) {
		t.Fatal(list, err)
	}
	for i, one := range list.Accounts {
		if one.Maker != want[i].Maker || one.Taker != want[i].Taker || one.Own != want[i].Own {
			t.Errorf("account %d: %+v", i+1, one)
		}
	}
	b.mustChange("account", "fees", "2", "--default")
	until(t, "the exchange's fees", func() bool { return !strings.Contains(b.mustCommand("account", "list"), "its own") })
	for _, args := range [][]string{{"default"}, {"default", "--default"}, {"2"}, {"2", "--maker", "1"}, {"2", "--default", "--maker", "1", "--taker", "1"}} {
		if code, _, _ := b.command(append([]string{"account", "fees"}, args...)...); code != console.Usage {
			t.Errorf("%v: %d", args, code)
		}
	}
}
