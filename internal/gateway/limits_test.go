package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/limits"
)

// limited rigs use the product's table, on the rig's clock.
func newLimitedRig(t *testing.T, o limits.Options) *rig {
	table, err := limits.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, func(g *Options) { g.Limits = OwnLimits{table, g.Clock} })
}

// An address that times its bursts around every kind of minute never gets more than 1,200 through in any 60 seconds.
func TestControl077NoSixtySecondsPassMoreThanTheLimit(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	type pass struct {
		at     time.Time
		weight int
	}
	var passed []pass
	refused := 0
	for _, step := range []time.Duration{0, 59 * time.Second, time.Second, 1200 * time.Millisecond, 30 * time.Second, 29 * time.Second, time.Second, 500 * time.Millisecond,
		58 * time.Second, 5 * time.Second} {
		r.pass(step)
		for i := range 130 {
			target := "/api/v3/depth?symbol=BTCUSDT&limit=" + []string{"5", "500", "1000", "100"}[i%4]
			weight := []int{5, 25, 50, 5}[i%4]
			q := r.request("GET", target, nil)
			q.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:99", i) // one /64
			a := r.send(q)
			switch a.status {
			case 200:
				passed = append(passed, pass{r.clock(), weight})
			case 429, 418, 403:
				refused++
				if a.status != 403 && a.header.Get("Retry-After") == "" {
					t.Fatalf("no Retry-After: %v", a.header)
				}
			default:
				t.Fatal(a.body)
			}
			if i%20 == 19 {
				r.pass(37 * time.Millisecond)
			}
			if a.status == 418 || a.status == 403 {
				r.pass(2 * time.Second)
				break
			}
		}
	}
	for i := range passed {
		sum := 0
		for _, p := range passed[i:] {
			if p.at.Sub(passed[i].at) < 60*time.Second {
				sum += p.weight
			}
		}
		if sum > 1200 {
			t.Fatalf("%d in the 60 seconds from %v on", sum, passed[i].at)
		}
	}
	if refused == 0 || len(passed) == 0 {
		t.Errorf("%d passed, %d refused: the schedule proves nothing", len(passed), refused)
	}
}

// Ten orders a second for an hour of virtual time, beside somebody who floods from another address.
func TestControl023ABotIsNeverDisturbedByItsNeighbour(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	bot, flood := r.trader("bot", "hmac", all), r.trader("flood", "hmac", all)
	order := func(tr *trader, from string) answer {
		q := raw("POST", "/api/v3/order/test", tr.sign(limitBuy, r.clock()), tr.name)
		q.RemoteAddr = from
		return r.send(q)
	}
	throttled := 0
	for i := range 36_000 {
		r.pass(100 * time.Millisecond)
		if a := order(bot, "198.51.100.1:1"); a.status != 200 {
			t.Fatalf("order %d of the bot: %d %s", i, a.status, a.body)
		}
		if i%10 == 0 && i < 6_000 {
			for j := range 4 {
				r.pass(time.Millisecond)
				if a := order(flood, "198.51.100.2:1"); j > 0 && a.status != 200 {
					throttled++
				}
			}
			for range 30 {
				q := r.request("GET", "/api/v3/depth?symbol=BTCUSDT&limit=1000", nil)
				q.RemoteAddr = "198.51.100.2:1"
				r.send(q)
			}
		}
	}
	if throttled == 0 {
		t.Error("the flood was never throttled")
	}
}

// One account that asks for a thousand withdrawals is an attack: next to none of them reach the engine.
func TestControl079AFloodOfWithdrawalsIsStopped(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	tr := r.trader("trader", "hmac", all, "192.0.2.0/24")
	withdraw := "coin=BTC&network=BTC&address=bcrt1qxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx&amount=0.01"
	reached := 0
	for range 1000 {
		r.pass(time.Millisecond)
		q := raw("POST", "/sapi/v1/capital/withdraw/apply", tr.sign(withdraw, r.clock()), tr.name)
		if a := r.send(q); a.status == 418 {
			reached++
		}
	}
	if len(r.commands) != 0 {
		t.Errorf("a key without the right reached the engine %d times", len(r.commands))
	}
	if reached < 900 {
		t.Errorf("only %d of 1000 met a ban", reached)
	}
}

// Somebody tries secrets for many keys: his address is banned; the customers whose keys he named trade on.
func TestControl087StuffingBansTheAddressAndLocksNobodyOut(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	var victims []*trader
	for i := range 12 {
		victims = append(victims, r.trader(fmt.Sprintf("victim%02d", i), "hmac", all))
	}
	banned := false
	for _, v := range victims {
		r.pass(time.Millisecond)
		q := raw("GET", "/api/v3/account", "timestamp="+fmt.Sprint(r.clock().UnixMilli())+"&signature="+strings.Repeat("ab", 32), v.name)
		q.RemoteAddr = "203.0.113.66:1"
		banned = banned || r.send(q).status == http.StatusTeapot
	}
	if !banned {
		t.Error("the address is not banned")
	}
	for i, v := range victims {
		r.pass(time.Millisecond)
		q := raw("GET", "/api/v3/account", v.sign("", r.clock()), v.name)
		q.RemoteAddr = fmt.Sprintf("198.51.100.%d:1", i+1)
		if a := r.send(q); a.status != 200 {
			t.Errorf("victim %d is locked out: %s", i, a.body)
		}
	}
}

func TestAnswersSayWhatWasUsed(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	tr := r.trader("trader", "hmac", all)
	a := r.signed(tr, "POST", "/api/v3/order", limitBuy)
	if a.header.Get("X-MBX-USED-WEIGHT-1M") == "" || a.header.Get("X-MBX-ORDER-COUNT-10S") != "1" || a.header.Get("X-MBX-ORDER-COUNT-1D") != "1" || a.header.Get("X-Request-Id") == "" {
		t.Errorf("%v", a.header)
	}
	for range 200 {
		if a = r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newOrderRespType=ACK"); a.status == 429 {
			break
		}
	}
	if a.status != 429 || a.code() != -1015 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	r := newRig(t)
	r.get("/api/v3/ping")
	page := func(path string) (int, string) {
		w := httptest.NewRecorder()
		r.server.Internal().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := page("/healthz"); code != 200 {
		t.Error(code)
	}
	if code, body := page("/readyz"); code != 200 {
		t.Error(code, body)
	}
	if _, body := page("/metrics"); !strings.Contains(body, `coldsign_gateway_answers_total{method="GET",path="/api/v3/ping",status="2xx"} 1`) {
		t.Error(body)
	}
	w := httptest.NewRecorder()
	r.server.Public().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 404 {
		t.Error("customers see the metrics")
	}
	fresh, err := New(Options{Engine: r, Limits: open{}, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	fresh.Internal().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 {
		t.Error("ready before the engine answered")
	}
	w = httptest.NewRecorder()
	fresh.Public().ServeHTTP(w, httptest.NewRequest("GET", "/api/v3/exchangeInfo", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Error(w.Code, w.Body.String())
	}
}

// Customers who come while a gateway starts wait for what it has to learn first.
func TestTheFirstCustomersOfAGatewayWaitForTheEngine(t *testing.T) {
	r := newRig(t)
	fresh, err := New(Options{Engine: r, Limits: open{}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		fresh.Public().ServeHTTP(w, httptest.NewRequest("GET", "/api/v3/exchangeInfo", nil))
		first <- w.Code
	}()
	r.until(func() bool { return fresh.waiting.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); fresh.Run(ctx) }()
	if code := <-first; code != 200 {
		t.Error(code)
	}
	cancel()
	<-done
}

// Control 18: twenty times the load, 95 of 100 requests garbage from many addresses. Every order of a customer is taken,
// nothing else reaches the engine, and memory stays what a table of addresses needs.
func TestControl018GarbageTwentyTimesTheLoadReachesNobody(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	var customers []*trader
	for i := range 20 {
		customers = append(customers, r.trader(fmt.Sprintf("customer%02d", i), "hmac", all))
		r.world.Give(customers[i].account, enginetest.Dollar, enginetest.Units(1<<50))
	}
	garbage := func(i int) *http.Request {
		q := raw("POST", "/api/v3/order", limitBuy+"&timestamp=1&signature="+strings.Repeat("0f", 32), customers[i%20].name)
		switch i % 5 {
		case 1:
			q = raw("GET", "/api/v3/depth", "symbol=%ff&limit=1e309", "")
		case 2:
			q = raw("GET", "/wp-admin/setup.php", "a=b", "")
		case 3:
			q = raw("DELETE", "/api/v3/order", strings.Repeat("symbol=BTCUSDT&", 500), strings.Repeat("k", 64))
		case 4:
			q = raw("POST", "/sapi/v1/capital/withdraw/apply", "coin=BTC&amount=NaN&address=x", "no such key")
		}
		q.RemoteAddr = fmt.Sprintf("198.%d.%d.%d:1", 18+i%2, i/256%250, i%256)
		return q
	}
	alive := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const orders, times = 500, 20
	before, reached := alive(), len(r.commands)
	for i := range orders {
		r.pass(50 * time.Millisecond)
		for j := range times - 1 {
			if a := r.send(garbage(i*times + j)); a.status < 400 {
				t.Fatalf("garbage is answered with %d: %s", a.status, a.body)
			}
		}
		q := raw("POST", "/api/v3/order", customers[i%20].sign(limitBuy, r.clock()), customers[i%20].name)
		q.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i%20+1)
		if a := r.send(q); a.status != http.StatusOK {
			t.Fatalf("order %d: %d %s", i, a.status, a.body)
		}
	}
	if got := len(r.commands) - reached; got != orders {
		t.Errorf("%d commands reached the engine, of %d orders", got, orders)
	}
	if grown := int64(alive()) - int64(before); grown > 32<<20 {
		t.Errorf("%d MiB more are alive than before", grown>>20)
	}
}
