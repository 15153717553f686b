package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// socket is a client's WebSocket.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

func (r *rig) dial(path string) *socket {
	r.t.Helper()
	site := httptest.NewServer(r.server.Public())
	r.t.Cleanup(site.Close)
	ws, _, err := websocket.Dial(r.t.Context(), "ws"+strings.TrimPrefix(site.URL, "http")+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	ws.SetReadLimit(16 << 20)
	r.t.Cleanup(func() { ws.CloseNow() })
	return &socket{r.t, ws}
}

func (s *socket) read() map[string]any {
	s.t.Helper()
	_, msg, err := s.ws.Read(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return s.parse(msg)
}

func (s *socket) parse(msg []byte) map[string]any {
	s.t.Helper()
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(string(msg)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		s.t.Fatalf("%v: %s", err, msg)
	}
	return m
}

func (s *socket) ask(msg string) map[string]any {
	s.t.Helper()
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, []byte(msg)); err != nil {
		s.t.Fatal(err)
	}
	return s.read()
}

func number(v any) uint64 {
	n, err := strconv.ParseUint(fmt.Sprint(v), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// localBook is what Binance tells clients to do: buffer updates, take a snapshot, drop what it knows, apply the rest,
// and begin anew when a number is missing.
type localBook struct {
	t      *testing.T
	last   uint64
	synced bool
	sides  [2]map[string]string
}

func (b *localBook) snapshot(a answer) {
	m := a.json.(map[string]any)
	b.last, b.synced = number(m["lastUpdateId"]), false
	for i, side := range []string{"bids", "asks"} {
		b.sides[i] = map[string]string{}
		b.put(i, m[side])
	}
}

func (b *localBook) put(side int, levels any) {
	for _, l := range levels.([]any) {
		price, qty := l.([]any)[0].(string), l.([]any)[1].(string)
		if strings.Trim(qty, "0.") == "" {
			delete(b.sides[side], price)
		} else {
			b.sides[side][price] = qty
		}
	}
}

// update applies an update; it fails the test when the numbers do not follow.
func (b *localBook) update(m map[string]any) {
	b.t.Helper()
	first, last := number(m["U"]), number(m["u"])
	if last <= b.last {
		return
	}
	if first > b.last+1 || b.synced && first != b.last+1 {
		b.t.Fatalf("update %d..%d after %d", first, last, b.last)
	}
	b.synced, b.last = true, last
	b.put(0, m["b"])
	b.put(1, m["a"])
}

func (b *localBook) same(a answer) {
	b.t.Helper()
	other := &localBook{t: b.t}
	other.snapshot(a)
	if fmt.Sprint(b.sides) != fmt.Sprint(other.sides) {
		b.t.Fatalf("after %d the local book is\n%v\nthe snapshot %d says\n%v", b.last, b.sides, other.last, other.sides)
	}
}

// shower sends n random orders and cancels straight to the engine.
func (r *rig) shower(tr *trader, random *rand.Rand, n int) {
	for range n {
		c := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: tr.account, Market: enginetest.Pair, Type: exchange.Limit,
			Side: exchange.Side(random.IntN(2)), Price: 5_000_000 + int64(random.IntN(60)), Qty: 1 + int64(random.IntN(50))}
		if random.IntN(3) == 0 {
			c = exchange.Command{ID: exchange.RandomID(), Kind: exchange.CancelAll, Account: tr.account, Market: enginetest.Pair}
		}
		var out [1]exchange.Outcome
		if err := r.Do(context.Background(), []exchange.Command{c}, out[:]); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestALocalBookKeptAsBinanceSaysEqualsTheSnapshots(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	random := rand.New(rand.NewPCG(1, 2))
	r.shower(tr, random, 50)
	fast, slow, each := r.dial("/ws/btcusdt@depth@100ms"), r.dial("/stream?streams=btcusdt@depth"), r.dial("/ws/btcusdt@depth@0ms")
	r.heard("btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@depth@0ms")
	books := [3]*localBook{{t: t}, {t: t}, {t: t}}
	r.shower(tr, random, 20)
	books[0].snapshot(r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
	books[1].snapshot(r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
	books[2].snapshot(r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
	for round := range 300 {
		r.shower(tr, random, 1+random.IntN(5))
		gap := round%60 == 30
		if gap { // the bus loses messages; the streams go on and are right again
			r.setLost(true)
			r.shower(tr, random, 30)
			r.setLost(false)
			r.shower(tr, random, 3)
			r.until(func() bool { b := r.server.books.of(enginetest.Pair); b.mu.Lock(); defer b.mu.Unlock(); return b.live })
		}
		want := r.server.books.of(enginetest.Pair).number()
		before := books[0].last
		r.server.Tick(t.Context(), true)
		a := r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000")
		if want == before {
			continue
		}
		for books[0].last < want {
			books[0].update(fast.read())
		}
		for books[1].last < want {
			m := slow.read()
			if m["stream"] != "btcusdt@depth" {
				t.Fatalf("%v", m)
			}
			books[1].update(m["data"].(map[string]any))
		}
		for books[2].last < r.server.books.of(enginetest.Pair).told() {
			books[2].update(each.read())
		}
		for _, b := range books {
			b.same(a)
		}
	}
}

// told is the number of the last update of depth@0ms: what a resync found to be unchanged is not told.
func (b *book) told() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.each.from - 1
}

// heard waits until streams have listeners.
func (r *rig) heard(names ...string) {
	for _, name := range names {
		topic, _ := r.server.stream(name)
		r.until(topic.heard)
	}
}

func (r *rig) setLost(lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = lost
}

func TestTradesThatTheBusLostAreToldAllTheSame(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	other := r.trader("other", "hmac", all)
	trade := func() {
		r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000")
		r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.001&price=50000")
	}
	s := r.dial("/ws/btcusdt@trade/btcusdt@aggTrade")
	r.heard("btcusdt@trade", "btcusdt@aggTrade")
	trade()
	r.setLost(true)
	trade()
	trade()
	r.setLost(false)
	trade()
	for want := uint64(1); want <= 4; want++ {
		for range 2 {
			m := s.read()
			id := m["t"]
			if m["e"] == "aggTrade" {
				id = m["a"]
			}
			if number(id) != want || m["p"] != "50000.00000000" || m["q"] != "0.00100000" || m["m"] != false {
				t.Fatalf("%d: %v", want, m)
			}
		}
	}
}

func TestSubscriptionsAreTakenAndListed(t *testing.T) {
	r := newRig(t)
	s := r.dial("/ws/0") // some clients number their connections
	for _, c := range []struct{ ask, want string }{
		{`{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth20@100ms","btcusdt@kline_1m"],"id":1}`, `{"id":1,"result":null}`},
		{`{"method":"LIST_SUBSCRIPTIONS","id":"x"}`, `{"id":"x","result":["btcusdt@depth20@100ms","btcusdt@kline_1m","btcusdt@trade"]}`},
		{`{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":null}`, `{"id":null,"result":null}`},
		{`{"method":"SUBSCRIBE","params":["btcusdt@nothing"],"id":2}`, `{"error":{"code":2,"msg":"Invalid request: there is no such stream"},"id":2}`},
		{`{"method":"SUBSCRIBE","params":["BTCUSDT@trade"],"id":2}`, `{"error":{"code":2,"msg":"Invalid request: there is no such stream"},"id":2}`},
		{`{"method":"SUBSCRIBE","method":"SUBSCRIBE","params":["btcusdt@trade"],"id":2}`, `{"error":{"code":3,"msg":"Invalid request: ` + errWords.Error() + `"},"id":null}`},
		{`{"method":"SUBSCRIBE","extra":1}`, `{"error":{"code":3,"msg":"Invalid request: ` + errWords.Error() + `"},"id":null}`},
		{`[]`, `{"error":{"code":3,"msg":"Invalid request: ` + errWords.Error() + `"},"id":null}`},
	} {
		got, _ := json.Marshal(s.ask(c.ask))
		if string(got) != c.want {
			t.Errorf("%s: %s", c.ask, got)
		}
		r.server.o.Clock()
		r.pass(time.Second)
	}
}

func TestUserStreamsTellOrdersTradesAndBalances(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	q := r.request("POST", "/api/v3/userDataStream", tr)
	key := r.send(q).field("listenKey")
	if a := r.send(r.request("PUT", "/api/v3/userDataStream?listenKey="+key, tr)); a.body != "{}" {
		t.Fatal(a.body)
	}
	if a := r.send(r.request("PUT", "/api/v3/userDataStream?listenKey="+key, other)); a.code() != -1125 {
		t.Errorf("another account keeps the listen key alive: %s", a.body)
	}
	s := r.dial("/ws/" + key)
	r.until(func() bool { return r.server.users.hears(tr.account) })
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.002&price=50000&newClientOrderId=mine")
	if m := s.read(); m["e"] != "executionReport" || m["x"] != "NEW" || m["X"] != "NEW" || m["c"] != "mine" || m["q"] != "0.00200000" || m["N"] != nil {
		t.Fatal(m)
	}
	if m := s.read(); m["e"] != "outboundAccountPosition" || !strings.Contains(fmt.Sprint(m["B"]), "a:BTC") {
		t.Fatal(m)
	}
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.0015")
	if m := s.read(); m["x"] != "TRADE" || m["X"] != "PARTIALLY_FILLED" || m["l"] != "0.00150000" || m["L"] != "50000.00000000" || m["z"] != "0.00150000" ||
		m["Y"] != "75.00000000" || m["m"] != true || m["N"] != "USDT" || fmt.Sprint(m["t"]) != "1" {
		t.Fatal(m)
	}
	s.read() // balances
	r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=mine&newClientOrderId=stop")
	if m := s.read(); m["x"] != "CANCELED" || m["C"] != "mine" || m["c"] != "stop" {
		t.Fatal(m)
	}
	s.read()
	if a := r.send(r.request("DELETE", "/api/v3/userDataStream?listenKey="+key, tr)); a.body != "{}" {
		t.Fatal(a.body)
	}
	if _, _, err := s.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the stream of a closed listen key goes on: %v", err)
	}
}

func TestUserStreamsEndWithTheirKey(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	key := r.send(r.request("POST", "/api/v3/userDataStream", tr)).field("listenKey")
	s := r.dial("/ws/" + key)
	r.until(func() bool { return r.server.users.hears(tr.account) })
	asked := r.asked
	r.inWorld(func(w *enginetest.World) {
		w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyRevoke, Account: tr.account, Body: enginetest.Body(exchange.KeyBody{Key: tr.name})})
	})
	if _, _, err := s.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("%v", err)
	}
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.code() != -2015 || r.asked == asked {
		t.Errorf("a revoked key was not asked for again: %s", a.body)
	}
}

// What ccxt does: no listen key, a signed request on the WebSocket API.
func TestTheWebSocketAPIAnswersAsHTTPDoes(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	s := r.dial("/ws-api/v3")
	signed := func(method string, params map[string]string) map[string]any {
		r.pass(time.Millisecond)
		params["apiKey"], params["timestamp"] = tr.name, fmt.Sprint(r.clock().UnixMilli())
		var names, pairs []string
		for n := range params {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			pairs = append(pairs, n+"="+params[n])
		}
		params["signature"] = tr.signature(strings.Join(pairs, "&"))
		raw, _ := json.Marshal(map[string]any{"id": "7", "method": method, "params": params})
		return s.ask(string(raw))
	}
	if m := signed("userDataStream.subscribe.signature", map[string]string{}); fmt.Sprint(m["status"]) != "200" || fmt.Sprint(m["result"]) != "map[subscriptionId:0]" {
		t.Fatal(m)
	}
	m := signed("order.place", map[string]string{"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "40000"})
	for range 2 { // the answer, and two events in any order
		m2 := s.read()
		if m2["status"] != nil {
			m, m2 = m2, m
		}
		if event, _ := m2["event"].(map[string]any); event == nil || fmt.Sprint(m2["subscriptionId"]) != "0" {
			t.Fatal(m2)
		}
	}
	if fmt.Sprint(m["status"]) != "200" || m["id"] != "7" {
		t.Fatal(m)
	}
	if m := s.ask(`{"id":1,"method":"depth","params":{"symbol":"BTCUSDT","limit":5}}`); !strings.Contains(fmt.Sprint(m["result"]), "40000.00000000") {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"depth","params":{"symbol":"BTCUSDT","limit":5,"limit":6}}`); fmt.Sprint(m["status"]) != "400" {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"no.such"}`); fmt.Sprint(m["status"]) != "404" {
		t.Error(m)
	}
}

// A client that does not read is dropped, and nobody waits for it.
func TestSlowClientsAreDropped(t *testing.T) {
	fresh := func() (*conn, context.Context) {
		ctx, stop := context.WithCancelCause(t.Context())
		return &conn{queue: newQueue(), stop: stop, ctx: ctx}, ctx
	}
	many, ctx := fresh()
	topic := newTopic("x")
	topic.join(many)
	for range queuedMax {
		topic.publish([]byte("{}"))
	}
	if ctx.Err() != nil {
		t.Error("dropped too early")
	}
	if topic.publish([]byte("{}")); context.Cause(ctx) != errSlow {
		t.Errorf("messages in a queue are not bounded: %v", context.Cause(ctx))
	}
	big, ctx := fresh()
	if big.send(make([]byte, queuedBytes-1)); ctx.Err() != nil {
		t.Error("dropped too early")
	}
	if big.send(make([]byte, 2)); context.Cause(ctx) != errSlow {
		t.Error("bytes in a queue are not bounded")
	}
}

func TestOneAddressCannotHaveAllConnections(t *testing.T) {
	s := sockets{counts: map[netip.Addr]int{}}
	for i := range perAddress {
		if !s.enter(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)), 1000) {
			t.Fatal(i)
		}
	}
	if s.enter(netip.MustParseAddr("2001:db8::ffff"), 1000) || !s.enter(netip.MustParseAddr("2001:db8:0:1::1"), 1000) || s.enter(netip.MustParseAddr("192.0.2.1"), perAddress+1) {
		t.Error("the bounds do not hold")
	}
	s.leave(netip.MustParseAddr("2001:db8::1"))
	if !s.enter(netip.MustParseAddr("2001:db8::2"), 1000) || s.open() != perAddress+1 {
		t.Error(s.open())
	}
}
