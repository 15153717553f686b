package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/seal"
)

// bourse is a whole exchange on SQLite, in this process, with people who approve.
type bourse struct {
	*rig
	*chainOf
	stop   context.CancelFunc
	ended  chan error
	server *bus.Server
	lines  []string // that the segments printed
	public string   // http://IP:PORT of the gateway
	staff  *admin.Client
}

// newBourse makes the folder of an exchange. Its chain is one that a test mines.
func newBourse(t *testing.T) *bourse {
	t.Helper()
	b := &bourse{rig: &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), chain: &chain{}, time: time.Now(), people: map[string]ssh.Signer{}}, chainOf: newChainOf()}
	b.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0", "--exchange", "--cool-down", "0s", "--second-factor", "either")
	b.configure(`listen: "127.0.0.1:8080"`, `listen: "127.0.0.1:0"`)
	b.configure(`internal: "127.0.0.1:9080"`, `internal: "127.0.0.1:0"`)
	b.configure("poll: 1s", "poll: 50ms")
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	t.Cleanup(b.end)
	return b
}

// setRosterFor is setRoster with keys for several purposes.
func (r *rig) setRosterFor(namespaces string, names ...string) {
	r.t.Helper()
	r.setRoster(names...)
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s namespaces=%q,valid-after=\"20200101Z\",valid-before=\"21000101Z\" %s role=approver site=zurich device=file\n", name, namespaces, seal.KeyLine(r.people[name].PublicKey()))
	}
	r.mustCommand("roster", "set", r.file("roster", []byte(text.String())))
}

// begin runs the named segments in this process until end, and waits until they are ready.
func (b *bourse) begin(names ...bus.Segment) {
	b.t.Helper()
	if len(names) == 0 {
		names = bus.Segments()
	}
	out, lines := io.Pipe()
	a := &app{Console: &console.Console{Name: "exchanged", Out: lines, Err: io.Discard, Now: time.Now}, data: b.dir}
	c, at, err := a.load()
	if err != nil {
		b.t.Fatal(err)
	}
	s := &site{app: a, config: c, folder: at, log: slog.New(slog.NewTextHandler(testLog{b.t}, nil)), chain: b.chainOf}
	users, err := at.busUsers()
	if err != nil {
		b.t.Fatal(err)
	}
	if s.server, err = bus.NewServer(bus.ServerOptions{Users: users}); err != nil {
		b.t.Fatal(err)
	}
	b.server = s.server
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() {
		err := s.run(ctx, names)
		s.server.Close()
		lines.Close()
		b.ended <- err
	}()
	wait := 0
	for _, name := range names {
		if name == bus.Engine || name == bus.Gateway || name == bus.Wallet {
			wait++
		}
	}
	scan := bufio.NewScanner(out)
	for wait > 0 && scan.Scan() {
		b.lines = append(b.lines, scan.Text())
		var ready struct{ Schema, Listen string }
		if err := json.Unmarshal(scan.Bytes(), &ready); err != nil {
			b.t.Fatal(err)
		}
		switch wait--; ready.Schema {
		case "coldsign.gateway-ready/v1":
			b.public = "http://" + ready.Listen
		case "coldsign.ready/v1":
			if b.staff, err = operatorClient(a, at); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	if wait > 0 {
		b.t.Fatalf("the exchange ended: %v", <-b.ended)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

// testLog writes a log to the test's.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	if testing.Verbose() {
		fmt.Print(string(p))
	}
	return len(p), nil
}

// end ends the exchange in order.
func (b *bourse) end() {
	if b.stop == nil {
		return
	}
	b.stop()
	b.stop = nil
	if err := <-b.ended; err != nil {
		b.t.Errorf("the exchange ended with %v", err)
	}
}

// change runs a command that proposes, and has alice and bob approve.
func (b *bourse) change(args ...string) admin.Change {
	b.t.Helper()
	var c admin.Change
	if err := json.Unmarshal([]byte(b.mustCommand(append(args, "--json")...)), &c); err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		armored := must(seal.Sign(b.people[name], seal.Change, c.Intent, rand.Reader))
		after, err := b.staff.ApproveChange(context.Background(), c.ID, armored)
		if err != nil {
			b.t.Fatalf("%v: %v", args, err)
		}
		c = after
	}
	return c
}

func (b *bourse) mustChange(args ...string) {
	b.t.Helper()
	if c := b.change(args...); c.State != "applied" {
		b.t.Fatalf("%v: %s %s", args, c.State, c.Result)
	}
}

// market makes an exchange with one market.
func (b *bourse) market() {
	b.t.Helper()
	b.mustCommand("exchange", "roster")
	b.mustChange("asset", "add", "BTC", "--decimals", "8", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "2")
	b.mustChange("asset", "add", "USDT", "--decimals", "6")
	b.mustChange("market", "add", "BTCUSDT", "--base", "BTC", "--quote", "USDT", "--price-max", "1000000", "--qty-max", "1000")
}

// customer is an account with an API key.
type customer struct {
	b           *bourse
	account     uint64
	totp        string
	key, secret string
}

func (b *bourse) customer(name string) customer {
	b.t.Helper()
	c := customer{b: b}
	var opened admin.Account
	var made admin.Key
	if err := json.Unmarshal([]byte(b.mustCommand("account", "create", name, "--json")), &opened); err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b.mustCommand("account", "key", "add", fmt.Sprint(opened.ID), "--scope", "read,trade", "--json")), &made); err != nil {
		b.t.Fatal(err)
	}
	c.account, c.totp, c.key, c.secret = opened.ID, opened.TOTP, made.Key, made.Secret
	return c
}

// call makes a signed request and decodes its reply.
func (c customer) call(method, path, query string, to any) int {
	c.b.t.Helper()
	if query != "" {
		query += "&"
	}
	query += fmt.Sprintf("timestamp=%d", time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(c.secret))
	mac.Write([]byte(query))
	request, err := http.NewRequest(method, c.b.public+path+"?"+query+"&signature="+hex.EncodeToString(mac.Sum(nil)), nil)
	if err != nil {
		c.b.t.Fatal(err)
	}
	request.Header.Set("X-MBX-APIKEY", c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.b.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		c.b.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		c.b.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, raw)
	}
	return response.StatusCode
}

// free is what a customer has of an asset and may use.
func (c customer) free(asset string) string {
	c.b.t.Helper()
	var account struct {
		Balances []struct{ Asset, Free string }
	}
	c.call(http.MethodGet, "/api/v3/account", "", &account)
	for _, one := range account.Balances {
		if one.Asset == asset {
			return one.Free
		}
	}
	return "0"
}

// until waits for something that happens by itself, and fails when it does not.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen", what)
		}
	}
}
