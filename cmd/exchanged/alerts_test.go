package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/spend"
)

// receiver is the program that wakes people.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	taken  []alert
	answer int // of the next requests; zero: 200
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		raw, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		if r.answer != 0 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(r.answer)
			return
		}
		one, ok := parseAlert(raw)
		if !ok || q.Header.Get("Content-Type") != "application/json" || q.Method != http.MethodPost {
			t.Errorf("%s %s: %s", q.Method, q.URL, raw)
		}
		r.taken = append(r.taken, one)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = code
}

// heard returns the alerts of a kind that arrived.
func (r *receiver) heard(kind string) (out []alert) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.taken {
		if one.Kind == kind {
			out = append(out, one)
		}
	}
	return out
}

// bell is a segment's alerts with a clock that stands still.
type bell struct {
	*alerts
	time time.Time
}

func newBell(t *testing.T, path string) *bell {
	b := &bell{time: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	b.alerts = openAlerts(path, "gateway", slog.New(slog.DiscardHandler), func() time.Time { return b.time })
	return b
}

func (b *bell) lines(t *testing.T) []alert {
	t.Helper()
	list, err := readAlerts(b.path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Whoever holds stolen keys decides how large the counts are, and not how many messages people get.
func TestControl084AlertsAreFewWhateverAnAttackerDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	b := newBell(t, path)
	for range 10_000 {
		b.raise(alertKeyElsewhere, "key abcdef", "192.0.2.1")
		b.time = b.time.Add(time.Millisecond)
	}
	if list := b.lines(t); len(list) != 1 || list[0].Count != 1 {
		t.Fatalf("%+v", list)
	}
	b.time = b.time.Add(time.Hour)
	b.settleAll()
	if list := b.lines(t); len(list) != 2 || list[1].Count != 9_999 || list[1].About != "key abcdef" {
		t.Fatalf("%+v", list)
	}
	for i := range 5_000 {
		b.raise(alertKeyElsewhere, fmt.Sprint("key ", i), "192.0.2.1")
	}
	if list := b.lines(t); len(list) != 2+alertsMax+1 || list[len(list)-1].About != alertOthers {
		t.Fatalf("%d lines, last %+v", len(list), list[len(list)-1])
	}
	b.raise(alertStuffing, "198.51.100.7/32", "another kind has its own room")
	if list := b.lines(t); list[len(list)-1].Kind != alertStuffing {
		t.Errorf("%+v", list[len(list)-1])
	}
	if n := len(b.kinds[alertKeyElsewhere].subjects); n > 2*alertsMax {
		t.Errorf("%d subjects in memory", n)
	}
	// A process that dies and begins again tells nobody again.
	again := newBell(t, path)
	again.time = b.time.Add(time.Minute)
	before := len(again.lines(t))
	again.alerts = openAlerts(path, "gateway", again.log, func() time.Time { return again.time })
	again.raise(alertKeyElsewhere, "key 3", "192.0.2.1")
	again.raise(alertKeyElsewhere, "key 77777", "192.0.2.1")
	if list := again.lines(t); len(list) != before+1 || list[before].About != alertOthers {
		t.Errorf("%+v", list[before:])
	}
	again.time = again.time.Add(time.Hour)
	again.settleAll()
	if list := again.lines(t); list[len(list)-2].About != alertOthers || list[len(list)-2].Count != 1 || list[len(list)-1].About != "key 3" {
		t.Errorf("%+v", list[before:])
	}
}

// What the receiver does not take waits in the file, in order, over a restart too; what it refuses for good blocks nothing.
func TestControl084AlertsArriveInTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	r := newReceiver(t)
	config := alertsConfig{Webhook: r.URL, Timeout: 5 * time.Second}
	b := newBell(t, path)
	b.raise(alertTest, "before there was a receiver", "")
	sender := must(newAlertSender(b.alerts, config))
	for _, code := range []int{500, 302, 429, 503} {
		r.answers(code)
		b.raise(alertTest, fmt.Sprint(code), "")
		if err := sender.drain(t.Context()); err == nil {
			t.Errorf("%d is taken for an answer", code)
		}
	}
	r.answers(0)
	sender = must(newAlertSender(newBell(t, path).alerts, config)) // another process
	if err := sender.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, one := range r.heard(alertTest) {
		about = append(about, one.About)
	}
	if got := strings.Join(about, " "); got != "500 302 429 503" {
		t.Errorf("%q arrived", got)
	}
	r.answers(400)
	b.raise(alertTest, "poison", "")
	if err := sender.drain(t.Context()); err != nil || sender.refused != 1 {
		t.Errorf("%v, %d refused", err, sender.refused)
	}
	r.answers(0)
	if err := errors.Join(appendLine(path, []byte("{\"half a li")), sender.drain(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(appendLine(path, []byte("ne\n")), os.Truncate(path, 0)); err != nil { // put away by the operator
		t.Fatal(err)
	}
	b.raise(alertTest, "of a new file", "")
	if err := sender.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := r.heard(alertTest); list[len(list)-1].About != "of a new file" {
		t.Errorf("%+v", list)
	}
}

// A receiver is on this machine or its own network; nothing of the configuration is a password.
func TestControl084AlertsGoToTheOperatorsOwnNetwork(t *testing.T) {
	for _, url := range []string{"https://hooks.example.com/T0/B0", "http://203.0.113.7/", "http://me:secret@127.0.0.1/", "http://127.0.0.1/?token=1", "ftp://127.0.0.1/", "127.0.0.1:80"} {
		if (alertsConfig{Webhook: url, Timeout: time.Second}).check() == nil {
			t.Errorf("%s is taken", url)
		}
	}
	for _, url := range []string{"", "http://127.0.0.1:9099/alerts", "https://10.0.0.7/alerts", "http://[::1]:1/"} {
		if err := (alertsConfig{Webhook: url, Timeout: time.Second}).check(); err != nil {
			t.Error(err)
		}
	}
}

// Control 84: a right signature from an address that the key's list does not allow is refused, and people are told, once,
// without the key's name.
func TestControl084UseFromElsewhereReachesPeople(t *testing.T) {
	b := newBourse(t)
	r := newReceiver(t)
	b.configure(`webhook: ""`, `webhook: "`+r.URL+`"`)
	b.begin()
	b.market()
	c := b.customer("one")
	var key admin.Key
	if err := json.Unmarshal([]byte(b.mustCommand("account", "key", "add", "1", "--scope", "read", "--from", "192.0.2.0/24", "--json")), &key); err != nil {
		t.Fatal(err)
	}
	right := c.secret
	c.key, c.secret = key.Key, right // a wrong secret tells nothing
	var got struct{ Code int }
	if status := c.call(http.MethodGet, "/api/v3/account", "", &got); status != http.StatusBadRequest || got.Code != -1022 {
		t.Fatal(status, got)
	}
	c.secret = key.Secret
	for i := range 5 {
		if status := c.call(http.MethodGet, "/api/v3/account", fmt.Sprintf("recvWindow=%d", 20_000+i), &got); status != http.StatusUnauthorized || got.Code != -2015 {
			t.Fatal(status, got)
		}
	}
	until(t, "the alert", func() bool { return len(r.heard(alertKeyElsewhere)) > 0 })
	list := r.heard(alertKeyElsewhere)
	if len(list) != 1 || !strings.Contains(list[0].Text, "127.0.0.1") || !strings.Contains(list[0].About, key.Key[:6]) {
		t.Errorf("%+v", list)
	}
	out := b.mustCommand("alerts", "list")
	if !strings.Contains(out, alertKeyElsewhere) || strings.Contains(out, key.Key) || strings.Contains(out, key.Secret) {
		t.Error(out)
	}
	if code, _, errs := b.command("alerts", "test"); code != 0 || !strings.Contains(errs, "taken") || len(r.heard(alertTest)) != 1 {
		t.Errorf("exit %d %s", code, errs)
	}
	r.answers(404)
	if code, _, errs := b.command("alerts", "test"); code != console.Failed || !strings.Contains(errs, "webhook") {
		t.Errorf("exit %d %s", code, errs)
	}
	b.end()
}

// What the table of requests, the engine and the deposits say reaches people by the same way.
func TestControl081And087WhatTheTableNoticesReachesPeople(t *testing.T) {
	b := newBell(t, filepath.Join(t.TempDir(), "alerts.jsonl"))
	table := must(limits.New(limits.Options{}))
	kept := &bans{table: table, alerts: b.alerts}
	stuffer, hammer := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	for account := range 64 {
		table.Take(limits.Request{IP: stuffer, Account: 1 + 977*7919*13*31*1009*exchange.Account(account), Failure: limits.BadSignature}, 1000)
	}
	now := exchange.Millis(1000)
	for range 100_000 {
		if table.Take(limits.Request{IP: hammer, Weight: 250}, now).Verdict == limits.Blocked {
			break
		}
		now += 500
	}
	for now < 1e12 && table.Take(limits.Request{IP: hammer, Weight: 250}, now).Verdict != limits.Blocked {
		now += 1000
	}
	kept.tell()
	kinds := map[string]int{}
	for _, one := range b.lines(t) {
		kinds[one.Kind]++
	}
	if kinds[alertStuffing] != 1 || kinds[alertBlocked] != 1 {
		t.Errorf("%v", kinds)
	}
	s := &site{alerts: b.alerts, log: b.log}
	s.tellStop(t.Context(), fmt.Errorf("engine: %w", spend.Refuse("journal-full", "journal", "room", "none", "free space")))
	s.tellStop(t.Context(), nil)
	b.stopped(alertDeposits, "deposits", errors.New("the node does not answer"))
	b.stopped(alertDeposits, "deposits", spend.Distrust("deposits-reorg", "height 9", "a fork above", "one below", "halt"))
	for _, one := range b.lines(t) {
		kinds[one.Kind+" "+one.About]++
	}
	if kinds[alertEngineStopped+" journal-full"] != 1 || kinds[alertDeposits+" deposits"] != 1 {
		t.Errorf("%v", kinds)
	}
}

// A line that somebody else wrote into the file is no alert, and stops nothing.
func FuzzParseAlert(f *testing.F) {
	f.Add([]byte(`{"schema":"coldsign.alert/v1","id":"1","at":"2026-11-21T12:00:00Z","segment":"gateway","kind":"test","about":"a","text":"t","count":1}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		one, ok := parseAlert(line)
		if !ok {
			return
		}
		again, ok := parseAlert(must(json.Marshal(one)))
		if !ok || !again.At.Equal(one.At) || again.Kind != one.Kind {
			t.Errorf("%+v became %+v", one, again)
		}
	})
}
