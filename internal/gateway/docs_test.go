package gateway

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

var update = flag.Bool("update", false, "write the tables of docs/api.md")

// The tables of docs/api.md are those of this package.
func TestThePageOfTheAPITellsWhatThereIs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "api.md")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for name, table := range map[string]string{"routes": routeTable(), "websocket": methodTable(t), "streams": streamTable(), "codes": codeTable()} {
		begin, end := "<!-- "+name+": written by go test ./internal/gateway -update -->\n", "<!-- end of "+name+" -->\n"
		before, rest, found := strings.Cut(page, begin)
		have, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("the page has no table %s", name)
		}
		if have != table && !*update {
			t.Errorf("table %s is not what the package has: go test ./internal/gateway -run PageOfTheAPI -update\n%s", name, table)
		}
		page = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func routeTable() string {
	var out strings.Builder
	out.WriteString("| request | weight | who | limits | parameters |\n|---|---|---|---|---|\n")
	for _, r := range routes() {
		who := [...]string{"anybody", "a key", "signed", "a passkey"}[r.auth]
		if r.auth == authSigned {
			who = map[exchange.Scope]string{exchange.ScopeRead: "signed, read", exchange.ScopeTrade: "signed, trade", exchange.ScopeWithdraw: "signed, withdraw"}[r.scope]
		}
		weight := fmt.Sprint(r.weight)
		if r.weigh != nil {
			weight += " or more"
		}
		var names []string
		for p := range paramCount {
			if r.params.has(p) && !timing().has(p) {
				names = append(names, p.name())
			}
		}
		class := map[limits.Class]string{limits.General: "general", limits.Trading: "trading", limits.Sensitive: "sensitive"}[r.class]
		fmt.Fprintf(&out, "| `%s %s` | %s | %s | %s | %s |\n", r.method, r.path, weight, who, class, strings.Join(names, " "))
	}
	return out.String()
}

func methodTable(t *testing.T) string {
	s, err := New(Options{Engine: &stub{}, Limits: open{}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("| method | is |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(s.methods)) {
		r := s.methods[name]
		is := "`" + r.method + " " + r.path + "`"
		if r.path == name {
			is = map[string]string{
				"session.logon": "a signature (Ed25519 keys only) that stands for those of the requests that follow", "session.logout": "ends that",
				"session.status": "who the connection has logged on as", "session.subscriptions": "what it hears of accounts",
				"userDataStream.subscribe": "the account's events on this connection, after session.logon", "userDataStream.unsubscribe": "ends that",
				"userDataStream.subscribe.signature": "the account's events on this connection",
			}[name]
		}
		fmt.Fprintf(&out, "| `%s` | %s |\n", name, is)
	}
	return out.String()
}

func streamTable() string {
	var out strings.Builder
	out.WriteString("| stream | told |\n|---|---|\n")
	for kind, name := range topicNames {
		told := "every second"
		switch {
		case topicKind(kind) <= onBookTicker:
			told = "at once"
		case strings.HasSuffix(name, "@100ms"):
			told = "every 100 ms"
		case strings.HasSuffix(name, "@0ms"):
			told = "at once"
		}
		fmt.Fprintf(&out, "| `<symbol>@%s` | %s |\n", name, told)
	}
	var names []string
	for _, i := range intervals {
		names = append(names, i.name)
	}
	fmt.Fprintf(&out, "| `<symbol>@kline_<interval>`: %s | every second |\n| `!ticker@arr`, `!miniTicker@arr` | every second |\n", strings.Join(names, " "))
	return out.String()
}

func codeTable() string {
	var out strings.Builder
	out.WriteString("| the engine says | HTTP | code | words |\n|---|---|---|---|\n")
	codes := outcomeCodes()
	for code := exchange.Done; code <= exchange.Superseded; code++ {
		if p := codes[code]; p.code != 0 {
			fmt.Fprintf(&out, "| %d | %d | %d | %s |\n", code, p.status, p.code, p.msg)
		}
	}
	return out.String()
}
