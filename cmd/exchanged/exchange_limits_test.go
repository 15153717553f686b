package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// An asset with a network and no limit of a day is refused before anybody is asked to approve it.
func TestControl080AnAssetWithoutALimitIsNotProposed(t *testing.T) {
	b := newBourse(t)
	b.begin(bus.Engine, bus.Wallet, bus.Admin)
	b.mustCommand("exchange", "roster")
	for _, more := range [][]string{nil, {"--withdraw-day-max", "0"}, {"--withdraw-day-max", "0.0009"}} {
		args := append([]string{"asset", "add", "BTC", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001"}, more...)
		if code, _, errs := b.command(args...); code != console.Usage || !strings.Contains(errs, "--withdraw-day-max") {
			t.Errorf("%v: exit %d %s", more, code, errs)
		}
	}
	b.mustChange("asset", "add", "BTC", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "1.5")
	if list := b.mustCommand("asset", "list"); !strings.Contains(list, "1.50000000") {
		t.Error(list)
	}
}

// hammered sends heavy requests to the gateway until it bans this address.
func (b *bourse) hammered() {
	b.t.Helper()
	for range 2000 {
		if b.depth() == http.StatusTeapot {
			return
		}
	}
	b.t.Fatal("two thousand heavy requests were never banned")
}

func (b *bourse) depth() int {
	b.t.Helper()
	response, err := http.Get(b.public + "/api/v3/depth?symbol=BTCUSDT&limit=5000")
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// Control 81: a ban outlives a restart of whoever counts, and ends when two people say so, and not before.
func TestControl081ABanOutlivesARestartAndEndsByTwoPeople(t *testing.T) {
	for _, mode := range []string{"own", "shared"} {
		t.Run(mode, func(t *testing.T) {
			b := newBourse(t)
			if mode != "own" {
				b.configure("    limits: own", "    limits: "+mode)
			}
			b.begin()
			b.market()
			b.hammered()
			b.end()
			if out := b.mustCommand("limits", "list"); !strings.Contains(out, "127.0.0.1/32") || !strings.Contains(out, "banned") {
				t.Fatal(out)
			}
			b.begin()
			if code := b.depth(); code != http.StatusTeapot {
				t.Fatalf("after a restart: %d", code)
			}
			b.mustCommand("limits", "unban", "127.0.0.1") // proposed, by one
			if code := b.depth(); code != http.StatusTeapot {
				t.Fatalf("after a proposal: %d", code)
			}
			b.mustChange("limits", "unban", "127.0.0.1", "--note", "our own office")
			until(t, "the end of the ban", func() bool { return b.depth() != http.StatusTeapot })
			until(t, "the end of the ban in the file", func() bool { return !strings.Contains(b.mustCommand("limits", "list"), "127.0.0.1/32") })
			if code, _, _ := b.command("limits", "unban", "everybody"); code != console.Usage {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// A file of bans that anything changed, or that others can read, stops whoever counts: starting without it would forgive
// everybody.
func TestControl081ADamagedFileOfBansIsRefused(t *testing.T) {
	b := newBourse(t)
	at := folder(b.dir)
	path := at.bansPath(bus.Gateway)
	whole := limits.AppendSentences(nil, []limits.Sentence{{Block: netip.MustParsePrefix("203.0.113.7/32"), Level: 6, Why: limits.WhyRepeatedly}})
	for what, file := range map[string]struct {
		raw  []byte
		mode os.FileMode
	}{"cut": {whole[:len(whole)-1], 0o600}, "changed": {bytes.Replace(whole, []byte{203, 0, 113, 7}, []byte{203, 0, 113, 8}, 1), 0o600}, "empty": {nil, 0o600}, "open": {whole, 0o644}} {
		if err := errors.Join(os.WriteFile(path, file.raw, 0o600), os.Chmod(path, file.mode)); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := b.command("limits", "list"); code != console.Failed || !strings.Contains(errs, path) {
			t.Errorf("%s: exit %d %s", what, code, errs)
		}
		a := &app{Console: &console.Console{Name: "exchanged", Now: time.Now}, data: b.dir}
		c, _, err := a.load()
		if err != nil {
			t.Fatal(err)
		}
		s := &site{app: a, config: c, folder: at, log: slog.New(slog.DiscardHandler)}
		if _, err := s.openBans(bus.Gateway); err == nil {
			t.Errorf("%s: a gateway starts", what)
		}
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, whole, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out := b.mustCommand("limits", "list"); !strings.Contains(out, "203.0.113.7/32") || !strings.Contains(out, "for good") {
		t.Error(out)
	}
}

// What customers may ask for is configured, strictly.
func TestControl077LimitsAreConfigured(t *testing.T) {
	b := newBourse(t)
	b.configure("exceptions: [] ", `exceptions: [{block: "127.0.0.0/8", weight: 300}] `)
	b.configure("orders_10s: 200 ", "orders_10s: 7 ")
	b.begin()
	b.market()
	if code := b.depth(); code != http.StatusOK {
		t.Fatal(code)
	}
	if code := b.depth(); code != http.StatusTooManyRequests {
		t.Errorf("a second query of weight 250 where 300 are allowed: %d", code)
	}
	b.end()
	c := func(text string) error {
		var e exchangeConfig
		if err := yaml.Unmarshal([]byte("limits: "+text), &e); err != nil {
			return err
		}
		return e.Limits.check()
	}
	if err := c(`{address_weight: 60000, exceptions: [{block: "2001:db8::/32", weight: 1}]}`); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"{adress_weight: 5}", "{address_weight: 60001}", "{address_weight: -1}", `{exceptions: [{block: "10.0.0.1/8", weight: 5}]}`,
		`{exceptions: [{block: "10.0.0.0/8"}]}`, `{exceptions: [{block: "here", weight: 5}]}`} {
		if c(text) == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// Control 79: a key that a flood of withdrawals ended is in front of people: in the list of tickets and in the status.
func TestControl079ATicketIsSeenByPeople(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	one := b.customer("one")
	to := must(walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f")).Derive(wallet.Receive, 9)).Address
	b.mustChange("account", "adjust", "house", "10", "BTC")
	b.mustChange("account", "adjust", "1", "10", "BTC")
	b.mustCommand("account", "address", "add", "1", "BTC", to, "--code", one.code(-1))
	one.withdraw(to)
	if out := b.mustCommand("tickets", "list"); strings.Contains(out, "flood") {
		t.Fatal(out)
	}
	var key admin.Key
	if err := json.Unmarshal([]byte(b.mustCommand("account", "key", "add", "1", "--scope", "withdraw", "--from", "127.0.0.1/32", "--code", one.code(1), "--json")), &key); err != nil {
		t.Fatal(err)
	}
	// The gateway stops such a customer first; whoever holds the gateway sends to the engine.
	s := &site{folder: folder(b.dir), config: config{Exchange: &exchangeConfig{Store: storeConfig{Group: "main"}, Gateway: gatewayConfig{Timeout: 20 * time.Second}}}, log: slog.New(slog.DiscardHandler),
		server: b.server}
	conn, err := s.dial(t.Context(), bus.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := must(exchange.EncodeBody(exchange.WithdrawBody{Asset: 1, Amount: money.U128{Lo: 200_000}, Address: to, Key: key.Key, From: "127.0.0.1"}))
	for range 101 {
		cmds := []exchange.Command{{ID: exchange.RandomID(), Kind: exchange.WithdrawRequest, Account: 1, Body: body}}
		if err := newBusEngine(conn, *s.config.Exchange).Do(t.Context(), cmds, make([]exchange.Outcome, 1)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the ticket in the records", func() bool { return strings.Contains(b.mustCommand("tickets", "list"), key.Key) })
	if _, out, errs := b.command("status", "--json"); !strings.Contains(out, `"tickets":1`) || !strings.Contains(out, `"unclosed":1`) {
		t.Error(out, errs)
	}
	if got := b.told(); got["key-ended ticket 1"] != 1 {
		t.Errorf("people were told %v", got)
	}
	b.closesTickets(key.Key)
}

// closesTickets closes the one ticket there is: a person's act with a reason, which nothing takes back.
func (b *bourse) closesTickets(key string) {
	b.t.Helper()
	for _, args := range [][]string{{"1"}, {"1", "--note", ""}, {"1", "--note", strings.Repeat("x", 201)}, {"2", "--note", "there is none"}, {"0", "--note", "none"}, {"1/../2", "--note", "path"},
		{"everybody", "--note", "no address"}} {
		if code, _, errs := b.command(append([]string{"tickets", "close"}, args...)...); code != console.Usage {
			b.t.Errorf("%v: exit %d %s", args, code, errs)
		}
	}
	b.mustCommand("tickets", "close", "1", "--note", "a stolen key; the customer has a new one")
	if code, _, errs := b.command("tickets", "close", "1", "--note", "again"); code != console.Usage || !strings.Contains(errs, "operator") {
		b.t.Errorf("exit %d %s", code, errs)
	}
	if out := b.mustCommand("tickets", "list"); strings.Contains(out, key) {
		b.t.Error(out)
	}
	if out := b.mustCommand("tickets", "list", "--all"); !strings.Contains(out, key) || !strings.Contains(out, "a stolen key") || !strings.Contains(out, "operator") {
		b.t.Error(out)
	}
	if _, out, errs := b.command("status", "--json"); !strings.Contains(out, `"tickets":1`) || !strings.Contains(out, `"unclosed":0`) {
		b.t.Error(out, errs)
	}
	b.end()
	if out := b.mustCommand("events", "list"); strings.Count(out, "ticket-closed") != 1 || !strings.Contains(out, "a stolen key") {
		b.t.Error(out)
	}
	b.mustCommand("events", "verify")
}

// Control 81: an address that is blocked for good is a ticket. Closing it says that somebody looked; the block stands until
// two people end it, and the next block is a ticket again.
func TestControl081ATicketOfABlockIsClosedAndTheBlockStands(t *testing.T) {
	b := newBourse(t)
	blocked := func(since time.Time) {
		kept := limits.AppendSentences(nil, []limits.Sentence{{Block: netip.MustParsePrefix("203.0.113.7/32"), Level: 6, Why: limits.WhyRepeatedly, Since: exchange.Millis(since.UnixMilli())}})
		if err := os.WriteFile(folder(b.dir).bansPath(bus.Gateway), kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	blocked(b.time.Add(-time.Hour))
	b.begin()
	b.market()
	if out := b.mustCommand("tickets", "list"); !strings.Contains(out, "203.0.113.7") {
		t.Fatal(out)
	}
	b.mustCommand("tickets", "close", "203.0.113.7", "--note", "a scraper; stays out")
	if out := b.mustCommand("tickets", "list"); strings.Contains(out, "203.0.113.7") {
		t.Error(out)
	}
	if out := b.mustCommand("limits", "list"); !strings.Contains(out, "for good") {
		t.Error(out)
	}
	b.end()
	blocked(time.Now().Add(time.Hour))
	b.begin()
	if out := b.mustCommand("tickets", "list"); !strings.Contains(out, "203.0.113.7") {
		t.Error(out)
	}
}
