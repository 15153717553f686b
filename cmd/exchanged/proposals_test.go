package main

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/console"
)

// A roster that does not name whoever proposes changes would end them all: nobody could propose the next one.
func TestARosterWithoutTheProposerIsNotGivenToTheExchange(t *testing.T) {
	b := newBourse(t)
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "alice", "bob")
	b.begin()
	code, _, errs := b.command("exchange", "roster")
	if code != console.Refused || !strings.Contains(errs, "operator") || !strings.Contains(errs, "hint: add a line for operator to the roster") {
		t.Errorf("%d %s", code, errs)
	}
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	b.mustCommand("exchange", "roster")
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "alice", "bob")
	code, _, errs = b.command("asset", "add", "USDT")
	if code != console.Refused || !strings.Contains(errs, "proposer-unknown") || !strings.Contains(errs, "hint: add a line for operator to the roster") {
		t.Errorf("%d %s", code, errs)
	}
}

// What cannot come of a change is said when it is proposed, not to the second person who approved it.
func TestAChangeThatCannotBeAppliedIsNotProposed(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	b.customer("one")
	for _, args := range []string{"account freeze 99", "account fees 99 --maker 1 --taker 2", "account adjust 99 1 BTC", "account thaw 1", "market resume BTCUSDT"} {
		code, _, errs := b.command(strings.Fields(args)...)
		if code != console.Usage || !strings.Contains(errs, "hint: exchanged ") {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
	if code, out, errs := b.command("account", "adjust", "1", "2.5", "BTC"); code != console.Done || !strings.Contains(out, "this is 2.50000000 BTC") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

// A value that the engine refuses is refused before two people approve it, with the value and what is allowed.
func TestAValueThatTheEngineRefusesIsNotProposed(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	for args, says := range map[string]string{
		"account fees default --maker 1 --taker 100001": "at most 100000 parts per million",
		"account fees 1 --maker 2000000 --taker 1":      "at most 100000 parts per million",
		"asset add btc":                              `"btc" is no symbol`,
		"asset add ETH --decimals 31":                "at most 30 decimals",
		"asset add BTC --decimals 9":                 "BTC has 8 decimals for ever",
		"market add btcusdt --base BTC --quote USDT": `"btcusdt" is no symbol`,
		"market add BTCUSDT":                         "--base and --quote are needed",
		"market add ETHUSDT --base ETH --quote USDT": "hint: exchanged asset add ETH --decimals 8",
		"account adjust 1 BTC 2.5":                   "hint: exchanged asset list",
		"backup " + b.dir:                            "is there already",
	} {
		code, _, errs := b.command(strings.Fields(args)...)
		if code == console.Done || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
	if out := b.mustCommand("changes", "list"); strings.Contains(out, "proposed") {
		t.Errorf("was proposed:\n%s", out)
	}
}

// Changes are taken in the order of their serials: who proposes the second one reads that it waits behind another, and
// the one that came too late is shown as passed.
func TestOperatorsSeeWhichChangesWait(t *testing.T) {
	b := newBourse(t)
	b.begin()
	b.market()
	b.mustCommand("asset", "add", "ETH")
	code, _, errs := b.command("asset", "add", "DAI")
	if code != console.Done || !strings.Contains(errs, "waits with the same serial 5") {
		t.Errorf("%d %s", code, errs)
	}
	out := b.mustCommand("changes", "list")
	if strings.Count(out, "proposed") != 2 || strings.Contains(out, "applied") {
		t.Errorf("that wait:\n%s", out)
	}
	b.mustChange("asset", "add", "XRP")
	if out = b.mustCommand("changes", "list", "--all"); strings.Count(out, "passed") != 2 || strings.Count(out, "applied") != 5 {
		t.Errorf("all:\n%s", out)
	}
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	if out = b.mustCommand("changes", "show", id); !strings.Contains(out, "XRP") || !strings.Contains(out, "alice") || !strings.Contains(out, "applied") {
		t.Errorf("one:\n%s", out)
	}
	if out = b.mustCommand("changes", "list"); strings.Contains(out, "proposed") {
		t.Errorf("none waits:\n%s", out)
	}
	if code, _, errs := b.command("changes", "show", "0123456789abcdef"); code != console.Usage || !strings.Contains(errs, "changes list") {
		t.Errorf("%d %s", code, errs)
	}
}

// What asks the daemon says that it does not run, and how it is started.
func TestCommandsSayThatTheDaemonDoesNotRun(t *testing.T) {
	b := newBourse(t)
	for _, args := range []string{"status", "account list", "tickets list", "tickets close 1 --note x", "deposits list", "withdrawals list", "changes list"} {
		code, _, errs := b.command(strings.Fields(args)...)
		if code != console.Failed || !strings.Contains(errs, "the daemon does not run") || !strings.Contains(errs, "hint: exchanged run --config ") {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}
