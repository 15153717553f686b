package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// elsewhere sends a request as it is from one of many addresses of a stranger.
func (r *rig) elsewhere(q *http.Request, i int) answer {
	q.RemoteAddr = fmt.Sprintf("203.0.113.%d:1", i%250)
	return r.send(q)
}

// Control 87: what somebody else sends never uses up what an account may. Known to strangers are the name of a key,
// which every request carries, and requests that were signed long ago or a moment ago, which lie in the logs of proxies.
func TestControl087StrangersUseUpNothingOfAnAccount(t *testing.T) {
	for name, attack := range map[string]func(r *rig, victim *trader) func() *http.Request{
		"the name alone": func(r *rig, victim *trader) func() *http.Request {
			return func() *http.Request { return r.request("GET", "/api/v3/historicalTrades?symbol=BTCUSDT", victim) }
		},
		"an old request": func(r *rig, victim *trader) func() *http.Request {
			old := victim.sign("", r.clock())
			r.pass(time.Hour)
			return func() *http.Request { return r.request("GET", "/api/v3/openOrders?"+old, victim) }
		},
		"an order of a moment ago": func(r *rig, victim *trader) func() *http.Request {
			order := victim.sign(limitBuy, r.clock())
			r.send(raw("POST", "/api/v3/order/test", order, victim.name))
			return func() *http.Request { return raw("POST", "/api/v3/order", order, victim.name) }
		},
	} {
		for _, allowed := range [][]string{nil, {"192.0.2.0/24"}} {
			r := newLimitedRig(t, limits.Options{})
			victim := r.trader("victim", "hmac", all, allowed...)
			next := attack(r, victim)
			for i := range 600 {
				r.elsewhere(next(), i)
			}
			a := r.signed(victim, "POST", "/api/v3/order", limitBuy)
			if a.status != 200 {
				t.Errorf("%s, key for %v: the customer's own order gets %d %s", name, allowed, a.status, a.body)
			}
			if a := r.signed(victim, "GET", "/api/v3/openOrders", ""); a.status != 200 {
				t.Errorf("%s, key for %v: the customer's own question gets %d %s", name, allowed, a.status, a.body)
			}
			if n := a.header.Get("X-Mbx-Order-Count-10s"); n != "1" {
				t.Errorf("%s, key for %v: %s orders are counted", name, allowed, n)
			}
		}
	}
}

// between is an engine and limits that let something happen while a request is under way.
type between struct {
	*rig
	key, toll func()
}

func (b *between) Ask(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	a, err := b.rig.Ask(ctx, q)
	if act := b.key; q.Key != nil && act != nil {
		b.key = nil
		act()
	}
	return a, err
}

func (b *between) Take(context.Context, limits.Request) (limits.Decision, error) {
	if act := b.toll; act != nil {
		b.toll = nil
		act()
	}
	return limits.Decision{}, nil
}

// Control 84: a key that is revoked in the very moment in which somebody opens a stream with it opens none.
func TestControl084AKeyThatIsRevokedMeanwhileOpensNoStream(t *testing.T) {
	b := &between{}
	b.rig = newRig(t, func(o *Options) { b.rig = o.Engine.(*rig); o.Engine, o.Limits = b, b })
	revoke := func(tr *trader) func() {
		return func() {
			b.inWorld(func(w *enginetest.World) {
				w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyRevoke, Account: tr.account, Body: enginetest.Body(exchange.KeyBody{Key: tr.name})})
			})
		}
	}
	first, second := b.trader("first", "ed25519", all), b.trader("second", "ed25519", all)
	listen := b.send(b.request("POST", "/api/v3/userDataStream", first)).field("listenKey")
	b.server.keys.drop("")
	b.key = revoke(first)
	s := b.dial("/ws")
	if err := s.ws.Write(t.Context(), websocket.MessageText, []byte(`{"id":1,"method":"SUBSCRIBE","params":["`+listen+`"]}`)); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := s.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation && !strings.Contains(string(msg), "error") {
		t.Errorf("a stream of a revoked key: %s %v", msg, err)
	}
	b.until(func() bool { return b.server.sockets.open() == 0 || !b.server.users.hears(first.account) })
	api := b.dial("/ws-api/v3")
	request := b.wsRequest(second, "userDataStream.subscribe.signature", nil)
	b.server.keys.keep(newKey(&exchange.KeyInfo{Account: second.account, Key: second.name, Kind: "ed25519", Scopes: all,
		Secret: second.private.Public().(ed25519.PublicKey)}, b.clock()), b.server.keys.now())
	b.toll = revoke(second)
	if m := api.ask(request); outcome(m) != "401 -2015" {
		t.Errorf("a subscription with a revoked key: %v", m)
	}
	for _, tr := range []*trader{first, second} {
		if b.server.users.hears(tr.account) {
			t.Errorf("account %d is still heard", tr.account)
		}
	}
}

// Control 18: a customer makes listen keys without end, each of them another name of the same stream. His events are
// written for so many, and no more: meanwhile those of all others wait.
func TestControl018OneAccountHasSoManyStreams(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	key := r.server.keys.find(tr.name, r.clock())
	if key == nil {
		key, _ = r.server.fetchKey(t.Context(), tr.name, r.clock())
	}
	var names []string
	for range userSubsMax + 1 {
		names = append(names, r.server.listen.make(key, r.clock()))
	}
	list, _ := json.Marshal(names[:userSubsMax])
	s := r.dial("/ws")
	if m := s.ask(`{"id":1,"method":"SUBSCRIBE","params":` + string(list) + `}`); m["error"] != nil {
		t.Fatal(m)
	}
	for _, path := range []string{"/ws", "/stream"} {
		if m := r.dial(path).ask(`{"id":1,"method":"SUBSCRIBE","params":["` + names[userSubsMax] + `"]}`); m["error"] == nil {
			t.Errorf("one more: %v", m)
		}
	}
	if m := r.dial("/ws-api/v3").ask(r.wsRequest(tr, "userDataStream.subscribe.signature", nil)); outcome(m) != "400 -1101" {
		t.Errorf("one more: %v", m)
	}
	if m := s.ask(`{"id":2,"method":"UNSUBSCRIBE","params":["` + names[0] + `"]}`); m["error"] != nil {
		t.Fatal(m)
	}
	if m := r.dial("/ws").ask(`{"id":1,"method":"SUBSCRIBE","params":["` + names[userSubsMax] + `"]}`); m["error"] != nil {
		t.Errorf("there is room again: %v", m)
	}
}

// Control 18: a client that asks and does not read gets no further answers: they would be memory of this side.
func TestControl018AnswersAreMadeAsFastAsTheyAreRead(t *testing.T) {
	q := newQueue()
	ended, end := context.WithCancel(t.Context())
	end()
	answer := make([]byte, answersBytes/2+1)
	for _, want := range []bool{true, false} {
		if q.put(answer); q.drained(ended, answersBytes) != want {
			t.Errorf("read on with %d bytes unread: %v", q.bytes, !want)
		}
	}
	q.take() // the writer has them, and the client not yet
	if q.drained(ended, answersBytes) {
		t.Error("what is being written takes no room")
	}
	for range 100 {
		q.put(answer)
	}
	if q.bytes > queuedBytes {
		t.Errorf("%d bytes wait", q.bytes)
	}
	q = newQueue()
	q.put(answer)
	q.put(answer)
	msgs := q.take()
	go q.wrote(msgs[0])
	if !q.drained(t.Context(), answersBytes) {
		t.Error("not read on")
	}
}

// Control 77: who is banned is told so once more, and is not heard any longer on the connections that are open.
func TestControl077ABanEndsTheConnectionsOfTheWebSocketAPI(t *testing.T) {
	r := newLimitedRig(t, limits.Options{AddressWeight: 100})
	s := r.dial("/ws-api/v3")
	last := map[string]any{}
	for range 1000 {
		if err := s.ws.Write(t.Context(), websocket.MessageText, []byte(`{"id":1,"method":"exchangeInfo"}`)); err != nil {
			break
		}
		_, msg, err := s.ws.Read(t.Context())
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Error(err)
			}
			if outcome(last) != "418 -1003" {
				t.Errorf("the last answer: %v", last)
			}
			return
		}
		last = s.parse(msg)
	}
	t.Errorf("a banned address is heard on: %v", last)
}

// Control 18: strangers who send wrong signatures, each from another address and for another key, write no log without
// end. How many there were is told.
func TestControl018StrangersWriteNoLogWithoutEnd(t *testing.T) {
	var log strings.Builder
	r := newRig(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	tr := r.trader("trader", "hmac", all)
	wrong := func(n int) {
		for i := range n {
			r.elsewhere(raw("GET", "/api/v3/account", fmt.Sprintf("timestamp=%d&signature=%064x", r.clock().UnixMilli(), i), tr.name), i)
		}
	}
	wrong(1000)
	if n := strings.Count(log.String(), "a key was refused"); n != saidMax {
		t.Errorf("%d lines", n)
	}
	r.pass(time.Second)
	wrong(1)
	if !strings.Contains(log.String(), fmt.Sprintf("unsaid=%d", 1000-saidMax)) {
		t.Errorf("nobody says how many there were: %s", log.String()[max(0, log.Len()-300):])
	}
	r.set(&r.late, true)
	for i := range 1000 {
		r.elsewhere(r.request("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1m", nil), i)
	}
	if n := strings.Count(log.String(), "\n"); n > 5*saidMax {
		t.Errorf("%d lines when the engine is away", n)
	}
}

// A gateway whose engine is away tells old books: it says that it is not ready, and is ready again by itself.
func TestAGatewayThatHearsNoEngineIsNotReady(t *testing.T) {
	r := newRig(t)
	r.set(&r.late, true)
	if r.pass(awayAfter); r.server.ready() != "" {
		t.Error("a moment counts")
	}
	if r.pass(time.Millisecond); r.server.ready() == "" {
		t.Error("ready")
	}
	r.set(&r.late, false)
	r.until(func() bool { return r.server.ready() == "" })
}

// What is a customer's own stays in no proxy: an address with a signature in it would fetch it there for whoever knows it.
func TestControl082AnswersOfACustomerAreKeptNowhere(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	for _, e := range routes() {
		q := raw(e.method, e.path, "", tr.name)
		if e.auth == authSigned {
			q = raw(e.method, e.path, tr.sign("", r.clock()), tr.name)
		}
		w := httptest.NewRecorder()
		r.server.Public().ServeHTTP(w, q)
		if kept := w.Header().Get("Cache-Control") != "no-store"; kept && (e.auth != authNone || e.page != nil) {
			t.Errorf("%s %s: %v", e.method, e.path, w.Header())
		}
	}
}

// Control 77: a change of subscriptions costs its address, so nobody makes them without end from hundreds of connections.
func TestControl077SubscriptionsCostTheirAddress(t *testing.T) {
	r := newLimitedRig(t, limits.Options{AddressWeight: 10})
	s := r.dial("/ws")
	for i := range 12 {
		method := []string{"SUBSCRIBE", "UNSUBSCRIBE"}[i%2]
		r.pass(200 * time.Millisecond)
		if m := s.ask(`{"id":1,"method":"` + method + `","params":["btcusdt@depth@0ms"]}`); (m["error"] != nil) != (i >= 8) {
			t.Errorf("message %d: %v", i, m)
		}
	}
}

// slowly is an engine that takes a while for candles.
type slowly struct {
	*rig
	asked map[exchange.Millis]int
}

func (e *slowly) Ask(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	if q.Candles != nil {
		e.asked[q.Candles.Interval]++
		e.pass(candleTime/2 + time.Millisecond)
	}
	return e.rig.Ask(ctx, q)
}

// Control 18: strangers who listen to the candles of every interval do not keep the books from being told: candles have
// so much of a second, and all of them their turn.
func TestControl018CandlesDoNotKeepTheBooksWaiting(t *testing.T) {
	e := &slowly{asked: map[exchange.Millis]int{}}
	r := newRig(t)
	e.rig = r
	timer, err := New(Options{Engine: e, Limits: open{}, Clock: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := timer.loadCatalogue(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	cat := timer.catalogue.Load()
	listening := 0
	for _, m := range cat.markets {
		for _, topic := range timer.books.of(m.ID).topics.klines {
			topic.count.Store(1)
			listening++
		}
	}
	for range listening/2 + 1 {
		before := r.clock()
		timer.tellKlines(t.Context(), cat, exchange.Millis(before.UnixMilli()))
		if took := r.clock().Sub(before); took > 2*candleTime {
			t.Errorf("a second's candles take %v", took)
		}
	}
	turns := 0
	for _, n := range e.asked {
		turns += n
	}
	if turns < listening || len(e.asked) < len(intervals)-1 {
		t.Errorf("%d turns of %d candles, %d intervals", turns, listening, len(e.asked))
	}
}
