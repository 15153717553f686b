package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console"
)

// listening returns the sockets on which a process takes connections or datagrams, as the kernel tells it.
func listening(t *testing.T, pid int) (found []string) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	own := map[string]bool{}
	links, err := filepath.Glob(proc + "/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("the descriptors of %d: %v", pid, err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			own[strings.Trim(to, "socket:[]")] = true
		}
	}
	for name, rule := range map[string]struct {
		state, inode int
		listens      func(string) bool
	}{
		"tcp": {3, 9, func(s string) bool { return s == "0A" }}, "tcp6": {3, 9, func(s string) bool { return s == "0A" }},
		"udp": {3, 9, func(s string) bool { return s == "07" }}, "udp6": {3, 9, func(s string) bool { return s == "07" }},
		"unix": {3, 6, func(s string) bool { return s == "00010000" }},
	} {
		raw, err := os.ReadFile(proc + "/net/" + name)
		if os.IsNotExist(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > rule.inode && own[f[rule.inode]] && rule.listens(f[rule.state]) {
				found = append(found, name+" "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// Control 6: the engine takes connections from nobody. It reaches the bus by a connection of its own, so there is no
// port that a web server, or whoever took one over, could knock at. The gateway shows that the search finds a listener.
func TestControl006TheEngineListensNowhere(t *testing.T) {
	b := exchangeFolder(t)
	_, lines := supervised(t, b.dir)
	all := ready(t, lines, readyEngine, readyGateway, readyTreasury)
	if found := listening(t, all[readyEngine].PID); len(found) > 0 {
		t.Errorf("the engine listens:\n%s", strings.Join(found, "\n"))
	}
	if found := listening(t, all[readyGateway].PID); len(found) != 2 {
		t.Errorf("the gateway listens for customers and for its operator: %q", found)
	}
}

// Control 8: a gateway that is killed takes nothing along: the engine goes on and takes commands meanwhile, and the
// gateway that comes back tells the same open orders.
func TestControl008AGatewayThatDiesDisturbsNoOrder(t *testing.T) {
	b := exchangeFolder(t)
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	_, lines := supervised(t, b.dir)
	all := ready(t, lines, readyEngine, readyGateway, readyTreasury)
	b.staff = must(operatorClient(&app{Console: &console.Console{Now: time.Now}}, folder(b.dir)))
	b.public = "http://" + all[readyGateway].Listen
	b.market()
	one := b.customer("one")
	b.mustChange("account", "adjust", "house", "10", "BTC")
	b.mustChange("account", "adjust", "1", "10", "BTC")
	open := func() string {
		var orders json.RawMessage
		if code := one.call(http.MethodGet, "/api/v3/openOrders", "symbol=BTCUSDT", &orders); code != http.StatusOK {
			return ""
		}
		return string(orders)
	}
	until(t, "the gateway to be of use", func() bool { return open() != "" })
	for i := range 5 {
		var got orderReplyOf
		if code := one.call(http.MethodPost, "/api/v3/order", fmt.Sprintf("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=%d", 60_000+i), &got); code != http.StatusOK {
			t.Fatalf("%d %+v", code, got)
		}
	}
	before := open()
	if strings.Count(before, `"orderId"`) != 5 {
		t.Fatal(before)
	}
	if err := syscall.Kill(all[readyGateway].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.mustChange("market", "halt", "BTCUSDT") // the engine goes on
	b.mustChange("market", "resume", "BTCUSDT")
	b.public = "http://" + ready(t, lines, readyGateway)[readyGateway].Listen
	after := ""
	until(t, "the gateway to be of use again", func() bool { after = open(); return after != "" })
	if after != before {
		t.Errorf("open orders were\n%s\nand are\n%s", before, after)
	}
	if !running(all[readyEngine].PID) {
		t.Error("the engine ended with the gateway")
	}
}
