package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// raw makes a request that no HTTP client would make.
func raw(method, path, query, key string) *http.Request {
	return (&http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"X-Mbx-Apikey": {key}}, RemoteAddr: "192.0.2.7:999",
		Host: "x", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(context.Background())
}

// Each bit of a signed request is turned: method, path, query with its signature, and the name of the key.
func TestControl026EveryBitOfASignedRequestCounts(t *testing.T) {
	for _, kind := range []string{"hmac", "ed25519"} {
		r := newRig(t)
		tr := r.trader("trader", kind, all)
		good := tr.sign(limitBuy+"&newClientOrderId=one", r.clock())
		parts := [4]string{"POST", "/api/v3/order", good, tr.name}
		for i, part := range parts {
			for bit := range 8 * len(part) {
				turned := []byte(part)
				turned[bit/8] ^= 1 << (bit % 8)
				sent := parts
				sent[i] = string(turned)
				if a := r.send(raw(sent[0], sent[1], sent[2], sent[3])); a.status < 400 {
					t.Fatalf("%s: bit %d of %q was turned and the request passed: %s", kind, bit, part, a.body)
				}
			}
		}
		if len(r.commands) != 0 {
			t.Fatalf("%s: %d turned requests reached the engine", kind, len(r.commands))
		}
		if a := r.send(raw(parts[0], parts[1], parts[2], parts[3])); a.status != 200 {
			t.Errorf("%s: the request itself is refused: %s", kind, a.body)
		}
	}
}

func TestControl083TimestampsCountForThirtySecondsAndOnce(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	r.pass(time.Hour)
	at := func(offset time.Duration, window string) answer {
		return r.send(raw("GET", "/api/v3/account", tr.sign("recvWindow="+window+"&timestamp="+fmt.Sprint(r.clock().Add(offset).UnixMilli()), r.clock()), tr.name))
	}
	for _, c := range []struct {
		offset time.Duration
		window string
		code   int
	}{
		{-30_000 * time.Millisecond, "30000", 0}, {-30_001 * time.Millisecond, "30000", -1021}, {-5_001 * time.Millisecond, "5000", -1021}, {-5_000 * time.Millisecond, "5000", 0},
		{5_000 * time.Millisecond, "5000", 0}, {5_001 * time.Millisecond, "5000", -1021}, {-30_000 * time.Millisecond, "60000", 0}, {-30_001 * time.Millisecond, "60000", -1021},
		{-time.Second, "60001", -1131},
	} {
		if a := at(c.offset, c.window); a.code() != c.code {
			t.Errorf("%v of %s: %s", c.offset, c.window, a.body)
		}
	}
	// The same bytes again are refused: at the same place, at another place, inside the whole window.
	test := tr.sign(limitBuy+"&recvWindow=30000", r.clock())
	if a := r.send(raw("POST", "/api/v3/order/test", test, tr.name)); a.status != 200 {
		t.Fatal(a.body)
	}
	for range 2 {
		for _, path := range []string{"/api/v3/order/test", "/api/v3/order"} {
			if a := r.send(raw("POST", path, test, tr.name)); a.code() != -1021 || !strings.Contains(a.body, "already used") {
				t.Errorf("a signature passed twice: %s", a.body)
			}
		}
		r.pass(30 * time.Second)
	}
	r.pass(time.Millisecond)
	if a := r.send(raw("POST", "/api/v3/order", test, tr.name)); a.code() != -1021 {
		t.Error(a.body)
	}
	if len(r.commands) != 0 {
		t.Error("a captured test of an order became an order")
	}
}

// A question and a change can be the same bytes. Who captured a question cannot make a change of it; its own sender, in
// the same millisecond, can.
func TestControl083AQuestionOfOthersNeverBecomesAChange(t *testing.T) {
	const thief, owner = "203.0.113.66:1", "192.0.2.7:5"
	type try struct {
		from, method, path string
		code               int
	}
	for i, tries := range [][]try{
		{{owner, "GET", "/api/v3/openOrders", 0}, {owner, "GET", "/api/v3/allOrders", 0}, {owner, "GET", "/api/v3/openOrders", -1021}, {thief, "DELETE", "/api/v3/openOrders", -1021},
			{owner, "DELETE", "/api/v3/openOrders", 0}, {owner, "DELETE", "/api/v3/openOrders", -1021}, {thief, "GET", "/api/v3/myTrades", -1021}},
		{{owner, "DELETE", "/api/v3/openOrders", 0}, {thief, "GET", "/api/v3/openOrders", -1021}, {owner, "GET", "/api/v3/openOrders", 0}, {owner, "DELETE", "/api/v3/openOrders", -1021}},
	} {
		r := newRig(t)
		tr := r.trader("trader", "hmac", all)
		r.signed(tr, "POST", "/api/v3/order", limitBuy)
		query := tr.sign("symbol=BTCUSDT", r.clock())
		for j, c := range tries {
			q := raw(c.method, c.path, query, tr.name)
			q.RemoteAddr = c.from
			if a := r.send(q); a.code() != c.code {
				t.Errorf("%d.%d: %s %s: %s", i, j, c.method, c.path, a.body)
			}
		}
	}
}

// A request that is sent to two gateways is one command, and the engine applies a command once.
func TestControl083ARequestAtTwoGatewaysIsOneCommand(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	second := &rig{t: t}
	var err error
	if second.server, err = New(Options{Engine: r, Limits: open{}, Clock: r.clock}); err != nil {
		t.Fatal(err)
	}
	if err := second.server.loadCatalogue(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	query := tr.sign(limitBuy, r.clock())
	a, b := r.send(raw("POST", "/api/v3/order", query, tr.name)), second.send(raw("POST", "/api/v3/order", query, tr.name))
	if a.status != 200 || b.status != 200 || a.field("orderId") != b.field("orderId") {
		t.Errorf("%s\n%s", a.body, b.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/openOrders", ""); strings.Count(a.body, "orderId") != 1 {
		t.Errorf("one request made more than one order: %s", a.body)
	}
}

// A client may have method and path signed too.
func TestControl083AClientMayBindMethodAndPath(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	query := limitBuy + "&timestamp=" + fmt.Sprint(r.clock().UnixMilli())
	bound := query + "&signature=" + tr.signature("POST /api/v3/order/test\n"+query)
	elsewhere, here := raw("POST", "/api/v3/order", bound, tr.name), raw("POST", "/api/v3/order/test", bound, tr.name)
	elsewhere.Header.Set(boundHeader, "1")
	here.Header.Set(boundHeader, "1")
	if a := r.send(elsewhere); a.code() != -1022 {
		t.Error(a.body)
	}
	if a := r.send(raw("POST", "/api/v3/order/test", bound, tr.name)); a.code() != -1022 {
		t.Errorf("without the header: %s", a.body)
	}
	if a := r.send(here); a.status != 200 {
		t.Error(a.body)
	}
}

// Query and body are signed as one text; a cut at another place would give other parameters to the same signature.
func TestControl083ARequestCannotBeCutElsewhere(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	whole := limitBuy + "&newClientOrderId=cut&timestamp=" + fmt.Sprint(r.clock().UnixMilli())
	signature := "&signature=" + tr.signature(whole)
	post := func(query, body string) answer {
		q := raw("POST", "/api/v3/order", query, tr.name)
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Body, q.ContentLength = http.NoBody, 0
		if body != "" {
			q.Body, q.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
		}
		return r.send(q)
	}
	for cut := 1; cut < len(whole); cut++ {
		if a := post(whole[:cut], whole[cut:]+signature); a.status < 400 {
			t.Fatalf("cut at %d, %q passed: %s", cut, whole[:cut], a.body)
		}
	}
	if a := post("", whole+signature); a.status != 200 {
		t.Errorf("all in the body: %s", a.body)
	}
	half := "symbol=BTCUSDT&side=BUY&type=LIMIT"
	rest := "timeInForce=GTC&quantity=0.001&price=1000&timestamp=" + fmt.Sprint(r.clock().UnixMilli())
	if a := post(half, rest+"&signature="+tr.signature(half+rest)); a.status != 200 {
		t.Errorf("half in the query, as Binance allows: %s", a.body)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestControl084KeysAreUsedFromTheirAddresses(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	v4 := r.trader("fourfour", "hmac", all, "198.51.100.0/24", "203.0.113.9")
	v6 := r.trader("sixsix", "hmac", all, "2001:db8:1::/48")
	from := func(tr *trader, remote string, forwarded ...string) int {
		r.pass(time.Millisecond)
		q := raw("GET", "/api/v3/account", tr.sign("", r.clock()), tr.name)
		q.RemoteAddr = remote
		for _, f := range forwarded {
			q.Header.Add("X-Forwarded-For", f)
		}
		return r.send(q).code()
	}
	for _, c := range []struct {
		tr        *trader
		remote    string
		forwarded string
		code      int
	}{
		{v4, "198.51.100.0:1", "", 0}, {v4, "198.51.100.255:1", "", 0}, {v4, "198.51.101.0:1", "", -2015}, {v4, "203.0.113.9:1", "", 0}, {v4, "203.0.113.8:1", "", -2015},
		{v4, "[::ffff:198.51.100.7]:1", "", 0}, {v4, "[2001:db8:1::1]:1", "", -2015}, {v4, "[::198.51.100.7]:1", "", -2015},
		{v6, "[2001:db8:1:ffff:ffff:ffff:ffff:ffff]:1", "", 0}, {v6, "[2001:db8:2::]:1", "", -2015}, {v6, "198.51.100.7:1", "", -2015},
		{v4, "192.0.2.1:1", "198.51.100.7", -2015},           // a stranger's word
		{v4, "10.1.1.1:1", "198.51.100.7", 0},                // our proxy's
		{v4, "10.1.1.1:1", "198.51.100.7, 192.0.2.1", -2015}, // what the stranger told our proxy
		{v4, "10.1.1.1:1", "192.0.2.1, 198.51.100.7, 10.2.2.2", 0},
		{v4, "10.1.1.1:1", "198.51.100.7, junk", -2015},
	} {
		var f []string
		if c.forwarded != "" {
			f = append(f, c.forwarded)
		}
		if code := from(c.tr, c.remote, f...); code != c.code {
			t.Errorf("from %s (%s): %d, want %d", c.remote, c.forwarded, code, c.code)
		}
	}
	for text, addr := range map[string]string{"::ffff:192.0.2.0/120": "192.0.2.77", "::ffff:192.0.2.1": "192.0.2.1"} {
		k := &key{allowed: []netip.Prefix{readPrefix(text)}}
		if !k.admits(netip.MustParseAddr(addr)) {
			t.Errorf("%s does not admit %s", text, addr)
		}
	}
	for _, junk := range []string{"", "*", "198.51.100.0/33", "::/0x", "::ffff:0:0/40", "fe80::1%eth0"} {
		k := &key{allowed: []netip.Prefix{readPrefix(junk)}}
		if k.admits(netip.MustParseAddr("198.51.100.7")) || k.admits(netip.MustParseAddr("::1")) {
			t.Errorf("%q admits somebody", junk)
		}
	}
	if (&key{info: exchange.KeyInfo{Scopes: exchange.ScopeWithdraw}}).admits(netip.MustParseAddr("198.51.100.7")) {
		t.Error("a key that may withdraw is admitted from everywhere")
	}
}

// Nobody who reads the logs learns what signs a request.
func TestControl082SecretsStayOutOfLogsAndStateChangesAreSigned(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	tr := r.trader("trader", "hmac", all)
	query := tr.sign(limitBuy, r.clock())
	r.send(raw("POST", "/api/v3/order", query, tr.name))
	r.send(raw("POST", "/api/v3/order", query, tr.name))
	r.send(raw("POST", "/api/v3/order", query[:len(query)-1]+"x", tr.name))
	r.send(raw("POST", "/api/v3/userDataStream", "", tr.name))
	k := r.server.keys.find(tr.name, r.clock())
	fmt.Fprintf(&log, "%v %+v %s", k, k, k)
	for _, secret := range []string{tr.secret, tr.name, query[len(query)-64:], "quantity"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the logs:\n%s", secret, log.String())
		}
	}
	if !strings.Contains(log.String(), "a key was refused") {
		t.Errorf("a refused signature is not logged:\n%s", log.String())
	}
	for _, route := range routes() {
		listen := route.path == "/api/v3/userDataStream"                                      // opens a stream of what the key may read anyway; Binance signs it not
		judged := route.auth == authEngine && route.class == limits.Sensitive && route.object // a passkey or a code, which the engine judges
		if route.method != get && route.auth != authSigned && !(listen && route.auth == authKey) && !judged {
			t.Errorf("%s %s changes something and is not signed", route.method, route.path)
		}
		if route.auth == authSigned && (route.params&timing() != timing() || route.scope == 0) {
			t.Errorf("%s %s is signed without a time or a scope", route.method, route.path)
		}
	}
}

// toll counts what requests cost.
type toll struct{ asked []limits.Request }

func (l *toll) Take(_ context.Context, r limits.Request) (limits.Decision, error) {
	l.asked = append(l.asked, r)
	return limits.Decision{}, nil
}

func TestControl078EveryRouteHasALimit(t *testing.T) {
	seen := map[string]bool{}
	for _, route := range routes() {
		name := route.method + " " + route.path
		if seen[name] || route.weight == 0 || route.handle == nil || methodIndex(route.method) < 0 {
			t.Errorf("%s: twice, without a weight, or without a handler", name)
		}
		seen[name] = true
		sensitive := strings.Contains(route.path, "withdraw/apply") || strings.HasSuffix(route.path, "deposit/address") || strings.HasPrefix(route.path, "/security") && route.method == post
		if (route.class == limits.Sensitive) != sensitive {
			t.Errorf("%s is of class %d", name, route.class)
		}
		if (route.class == limits.Trading) != (route.scope == exchange.ScopeTrade) {
			t.Errorf("%s is of class %d and scope %d", name, route.class, route.scope)
		}
	}
	count := &toll{}
	r := newRig(t, func(o *Options) { o.Limits = count })
	for _, target := range []string{"/api/v3/ping", "/nowhere", "/api/v3/order", "/ws/btcusdt@trade", "/stream", "/ws-api/v3", "/api/v3/depth?symbol=%00", "/api/v3/%6frder"} {
		before := len(count.asked)
		w := nobody{}
		r.server.Public().ServeHTTP(w, r.request("GET", target, nil))
		if len(count.asked) != before+1 || count.asked[before].Weight == 0 || !count.asked[before].IP.IsValid() {
			t.Errorf("%s cost %+v", target, count.asked[before:])
		}
	}
}

type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

func TestControl087HeavyRequestsCostWhatTheyWeigh(t *testing.T) {
	count := &toll{}
	r := newRig(t, func(o *Options) { o.Limits = count })
	for target, weight := range map[string]uint16{"/api/v3/depth?symbol=BTCUSDT&limit=5": 5, "/api/v3/depth?symbol=BTCUSDT": 5, "/api/v3/depth?symbol=BTCUSDT&limit=1000": 50,
		"/api/v3/depth?symbol=BTCUSDT&limit=5000": 250, "/api/v3/ticker/24hr": 80, "/api/v3/ticker/24hr?symbol=BTCUSDT": 2, "/api/v3/exchangeInfo": 20} {
		r.get(target)
		if got := count.asked[len(count.asked)-1].Weight; got != weight {
			t.Errorf("%s weighs %d, want %d", target, got, weight)
		}
	}
	if 250 != 50*5 {
		t.Error("a full book costs fifty times the least")
	}
	for query, code := range map[string]int{"limit=0": -1130, "limit=5001": -1130, "limit=abc": -1100, "limit=1e3": -1100, "limit=05": -1100} {
		if a := r.get("/api/v3/depth?symbol=BTCUSDT&" + query); a.code() != code {
			t.Errorf("%s: %s", query, a.body)
		}
	}
}
