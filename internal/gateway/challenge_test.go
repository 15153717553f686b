package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/limits"
)

// provider speaks siteverify as Turnstile and hCaptcha document it, over TLS, on this machine. The real ones are not
// reached by any test.
type provider struct {
	*httptest.Server
	mu    sync.Mutex
	asked []map[string]string
	reply func(w http.ResponseWriter)
}

const providerSecret = "0x4AAAAAAA-secret-of-the-site"

func newProvider(t *testing.T) *provider {
	p := &provider{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %v", r.Method, err)
		}
		p.mu.Lock()
		p.asked = append(p.asked, map[string]string{"secret": r.PostForm.Get("secret"), "response": r.PostForm.Get("response"), "remoteip": r.PostForm.Get("remoteip")})
		reply := p.reply
		p.mu.Unlock()
		reply(w)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) answers(reply func(w http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply = reply
}

func (p *provider) says(text string) {
	p.answers(func(w http.ResponseWriter) { fmt.Fprint(w, text) })
}

func (p *provider) requests() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *provider) challenge(t *testing.T, change ...func(*ChallengeOptions)) *Challenge {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	o := ChallengeOptions{URL: p.URL + "/turnstile/v0/siteverify", Secret: providerSecret, Hostname: "exchange.example", Action: "listen", TLS: &tls.Config{RootCAs: pool}, Timeout: 5 * time.Second}
	for _, c := range change {
		c(&o)
	}
	c, err := NewChallenge(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func verdictText(at time.Time, hostname, action string) string {
	raw, err := json.Marshal(map[string]any{"success": true, "challenge_ts": at.Format(time.RFC3339Nano), "hostname": hostname, "action": action, "cdata": "x", "error-codes": []string{}, "metadata": map[string]any{"interactive": true}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

var solver = netip.MustParseAddr("203.0.113.9")

// A token counts once, for our host, our action and five minutes, and only if the provider says so in so many words.
func TestControl024OnlyARightTokenCountsAndOnce(t *testing.T) {
	p, now := newProvider(t), time.Now()
	c := p.challenge(t)
	right := verdictText(now.Add(-time.Minute), "exchange.example", "listen")
	p.says(right)
	if err := c.Verify(t.Context(), "token-1", solver, now); err != nil {
		t.Fatal(err)
	}
	if got := p.requests()[0]; got["secret"] != providerSecret || got["response"] != "token-1" || got["remoteip"] != "203.0.113.9" {
		t.Errorf("%v", got)
	}
	if err := c.Verify(t.Context(), "token-1", solver, now); err == nil || len(p.requests()) != 1 {
		t.Errorf("a token counts twice: %v", err)
	}
	n := 1
	for what, text := range map[string]string{
		"refused":        `{"success": false, "error-codes": ["timeout-or-duplicate"]}`,
		"another host":   verdictText(now, "evil.example", "listen"),
		"host twice":     strings.Replace(right, `"hostname"`, `"hostname":"exchange.example","hostname"`, 1),
		"another action": verdictText(now, "exchange.example", "login"),
		"old":            verdictText(now.Add(-6*time.Minute), "exchange.example", "listen"),
		"future":         verdictText(now.Add(time.Minute), "exchange.example", "listen"),
		"no time":        `{"success": true, "hostname": "exchange.example", "action": "listen"}`,
		"text":           strings.Replace(right, `"success":true`, `"success":"true"`, 1),
		"number":         strings.Replace(right, `"success":true`, `"success":1`, 1),
		"list":           `[` + right + `]`,
		"two":            right + right,
		"cut":            right[:len(right)-1],
		"nothing":        "",
		"a page":         "<html>It works!</html>",
		"too long":       right + strings.Repeat(" ", challengeAnswerMax),
		"success twice":  strings.Replace(right, `{`, `{"success":false,`, 1),
	} {
		p.says(text)
		if n++; c.Verify(t.Context(), fmt.Sprint("token-", n), solver, now) == nil {
			t.Errorf("%s: %s counts", what, text[:min(len(text), 200)])
		}
	}
	for _, token := range []string{"", strings.Repeat("x", challengeTokenMax+1), "a\nb", "é"} {
		asked := len(p.requests())
		if c.Verify(t.Context(), token, solver, now) == nil || len(p.requests()) != asked {
			t.Errorf("%q", token)
		}
	}
}

// Of many requests with one token at the same time one counts. What did not count takes no memory, and when the memory
// of those that did is full, none does.
func TestControl024ATokenCountsOnceWhateverComesTogether(t *testing.T) {
	p, now := newProvider(t), time.Now()
	c := p.challenge(t)
	p.says(verdictText(now, "exchange.example", "listen"))
	var wait sync.WaitGroup
	var counted atomic.Int32
	for range 20 {
		wait.Go(func() {
			if c.Verify(t.Context(), "one", solver, now) == nil {
				counted.Add(1)
			}
		})
	}
	wait.Wait()
	if counted.Load() != 1 || len(p.requests()) != 1 {
		t.Errorf("it counts %d times, after %d requests", counted.Load(), len(p.requests()))
	}
	for _, later := range []time.Duration{11 * time.Minute, 19 * time.Minute} {
		if c.Verify(t.Context(), "one", solver, now.Add(later)) == nil {
			t.Errorf("it counts again after %v", later)
		}
	}
	p.says(`{"success": false}`)
	for i := range 50 {
		if c.Verify(t.Context(), fmt.Sprint("nobody solved ", i), solver, now) == nil {
			t.Fatal("it counts")
		}
	}
	if n := len(c.used[0]) + len(c.used[1]); n > 1 {
		t.Errorf("%d tokens are remembered", n)
	}
	for i := range challengesUsed {
		c.used[0][[16]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}] = struct{}{}
	}
	p.says(verdictText(now, "exchange.example", "listen"))
	if c.Verify(t.Context(), "another", solver, now) == nil {
		t.Error("there is no room to remember it, and it counts")
	}
}

// A provider that is out of reach, slow, elsewhere, or not who it should be lets nobody through.
func TestControl024AProviderThatFailsLetsNobodyThrough(t *testing.T) {
	p, now := newProvider(t), time.Now()
	right := verdictText(now, "exchange.example", "listen")
	for _, status := range []int{201, 204, 301, 302, 307, 400, 403, 429, 500, 503} {
		p.answers(func(w http.ResponseWriter) {
			w.Header().Set("Location", p.URL)
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				fmt.Fprint(w, right)
			}
		})
		if p.challenge(t).Verify(t.Context(), "t", solver, now) == nil {
			t.Errorf("%d counts", status)
		}
	}
	p.says(right)
	slow := newProvider(t)
	ended := make(chan struct{})
	slow.answers(func(http.ResponseWriter) { <-ended })
	t.Cleanup(func() { close(ended) })
	if slow.challenge(t, func(o *ChallengeOptions) { o.Timeout = 20 * time.Millisecond }).Verify(t.Context(), "t", solver, now) == nil {
		t.Error("no answer counts")
	}
	if p.challenge(t, func(o *ChallengeOptions) { o.TLS = &tls.Config{RootCAs: x509.NewCertPool()} }).Verify(t.Context(), "t", solver, now) == nil {
		t.Error("a certificate of nobody's authority counts")
	}
	gone := newProvider(t)
	c := gone.challenge(t)
	gone.Close()
	if c.Verify(t.Context(), "t", solver, now) == nil {
		t.Error("nobody there, and it counts")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if p.challenge(t).Verify(cancelled, "t", solver, now) == nil {
		t.Error("an ended request counts")
	}
	full := p.challenge(t)
	for range challengesAtOnce {
		full.room <- struct{}{}
	}
	if full.Verify(t.Context(), "t", solver, now) == nil {
		t.Error("there is no room, and it counts")
	}
	for _, o := range []ChallengeOptions{{}, {URL: "http://provider.example/", Secret: "s", Hostname: "h"}, {URL: p.URL, Hostname: "h"}, {URL: p.URL, Secret: "s"}} {
		if _, err := NewChallenge(o); err == nil {
			t.Errorf("%+v is taken", o.URL)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", full, full, full, full); strings.Contains(text, providerSecret) {
		t.Error("the secret is printed")
	}
}

// suspicious rules that the scorer found something.
type suspicious struct{}

func (suspicious) Take(_ context.Context, r limits.Request) (limits.Decision, error) {
	return limits.Decision{Conduct: limits.Enumerating}, nil
}

// Where the scorer found something, keys are neither named nor guessed at without a token; who signs rightly never
// needs one, and where no provider is configured nobody is asked.
func TestControl024AChallengeGuardsWhatNobodySigned(t *testing.T) {
	p := newProvider(t)
	guarded := newRig(t, func(o *Options) { o.Limits, o.Challenge = suspicious{}, p.challenge(t) })
	unguarded := newRig(t, func(o *Options) { o.Limits = suspicious{} })
	p.says(verdictText(guarded.clock(), "exchange.example", "listen"))
	traders := map[*rig]*trader{guarded: guarded.trader("trader", "hmac", all), unguarded: unguarded.trader("trader", "hmac", all)}
	token := 0
	for _, c := range []struct {
		what   string
		make   func(r *rig, tr *trader) *http.Request
		bare   int // status without a token and without a provider
		needed bool
	}{
		{"listen key", func(_ *rig, tr *trader) *http.Request { return raw("POST", "/api/v3/userDataStream", "", tr.name) }, 200, true},
		{"unknown key", func(*rig, *trader) *http.Request {
			return raw("GET", "/api/v3/account", "timestamp=1&signature="+strings.Repeat("0", 64), strings.Repeat("k", 64))
		}, 401, true},
		{"wrong signature", func(_ *rig, tr *trader) *http.Request {
			return raw("GET", "/api/v3/account", "timestamp=1&signature="+strings.Repeat("0", 64), tr.name)
		}, 400, true},
		{"right signature", func(r *rig, tr *trader) *http.Request {
			return raw("GET", "/api/v3/account", tr.sign(fmt.Sprintf("recvWindow=%d", 10_000+token), r.clock()), tr.name)
		}, 200, false},
		{"market data", func(r *rig, _ *trader) *http.Request { return r.request("GET", "/api/v3/ping", nil) }, 200, false},
	} {
		for _, r := range []*rig{unguarded, guarded} {
			tr := traders[r]
			want := c.bare
			if c.needed && r == guarded {
				want = http.StatusForbidden
			}
			token++
			if a := r.send(c.make(r, tr)); a.status != want || want == http.StatusForbidden && !strings.Contains(a.body, "-1099") {
				t.Errorf("%s: %d %s, want %d", c.what, a.status, a.body, want)
			}
			token++
			q := c.make(r, tr)
			q.Header.Set(challengeHeader, fmt.Sprint("token-", token))
			if a := r.send(q); a.status != c.bare {
				t.Errorf("%s with a token: %d %s", c.what, a.status, a.body)
			}
		}
	}
}

// The gateway tells the scorer enough: names of keys that do not exist, one after the other, are found over HTTP, and
// whoever signs at the same address is not disturbed.
func TestControl024TheGatewayTellsTheScorerEnough(t *testing.T) {
	r := newLimitedRig(t, limits.Options{AddressWeight: 6_000})
	bot := r.trader("bot", "hmac", all)
	slowed := 0
	for i := range 600 {
		r.pass(time.Second)
		q := raw("GET", "/api/v3/account", "timestamp=1&signature="+strings.Repeat("0", 64), fmt.Sprintf("%064d", i))
		q.RemoteAddr = "198.51.100.1:1"
		if a := r.send(q); a.status == http.StatusTooManyRequests {
			slowed++
		}
		q = raw("POST", "/api/v3/order/test", bot.sign(fmt.Sprintf("%s&newClientOrderId=n%d", limitBuy, i), r.clock()), bot.name)
		q.RemoteAddr = "198.51.100.1:1"
		if a := r.send(q); a.status != http.StatusOK {
			t.Fatalf("order %d: %d %s", i, a.status, a.body)
		}
	}
	table := r.server.o.Limits.(OwnLimits).Table
	list, _ := table.Notices()
	if len(list) != 1 || list[0].Conduct != limits.Enumerating {
		t.Errorf("%+v; %d slowed down", list, slowed)
	}
}

// Whoever was found with the product's own table gets no listen key without a token, whether the gateway knows the key
// already or not, and signed requests from his address need none.
func TestControl024WhoWasFoundGetsNoListenKeyWithoutAToken(t *testing.T) {
	p, r := newProvider(t), newLimitedRig(t, limits.Options{AddressWeight: 6_000})
	r.server.o.Challenge = p.challenge(t)
	p.says(verdictText(r.clock(), "exchange.example", "listen"))
	tr := r.trader("trader", "hmac", all)
	for i := range 30 {
		r.pass(time.Second)
		r.send(raw("GET", "/api/v3/account", "timestamp=1&signature="+strings.Repeat("0", 64), fmt.Sprintf("%064d", i)))
	}
	for _, known := range []bool{false, true} {
		if a := r.send(raw("POST", "/api/v3/userDataStream", "", tr.name)); a.status != http.StatusForbidden || a.code() != -1099 {
			t.Errorf("key known %v: %d %s", known, a.status, a.body)
		}
	}
	q := raw("POST", "/api/v3/userDataStream", "", tr.name)
	q.Header.Set(challengeHeader, "token")
	if a := r.send(q); a.status != http.StatusOK {
		t.Errorf("with a token: %d %s", a.status, a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.status != http.StatusOK {
		t.Errorf("signed: %d %s", a.status, a.body)
	}
	other := raw("POST", "/api/v3/userDataStream", "", tr.name)
	other.RemoteAddr = "198.51.100.9:1"
	if a := r.send(other); a.status != http.StatusOK {
		t.Errorf("from elsewhere: %d %s", a.status, a.body)
	}
}

// Codes and passkeys that are tried at the page, one after the other, are found as well: the engine judges them, and the
// gateway counts what it refused.
func TestControl024TryingCodesAtThePageIsFound(t *testing.T) {
	r := newLimitedRig(t, limits.Options{})
	for i := range 20 {
		r.pass(10 * time.Second)
		q := httptest.NewRequest(http.MethodPost, "/security/begin", strings.NewReader(fmt.Sprintf(`{"account":1,"code":"%06d"}`, i)))
		q.Header.Set("Content-Type", "application/json")
		if a := r.send(q); a.status/100 != 4 || a.status == http.StatusTeapot || a.status == http.StatusForbidden {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	list, _ := r.server.o.Limits.(OwnLimits).Table.Notices()
	if len(list) != 1 || list[0].Conduct != limits.Probing {
		t.Errorf("%+v", list)
	}
}

func FuzzReadSiteVerify(f *testing.F) {
	f.Add([]byte(verdictText(time.UnixMilli(1_760_000_000_000), "exchange.example", "listen")))
	f.Add([]byte(`{"success":false,"error-codes":["invalid-input-response"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := readSiteVerify(raw)
		if err != nil && v.success || v.success && v.at.IsZero() && err == nil && !strings.Contains(string(raw), "0001") {
			t.Errorf("%+v %v", v, err)
		}
	})
}

func BenchmarkTrace(b *testing.B) {
	h := http.Header{"User-Agent": {"ccxt/4.5.0 (+https://github.com/ccxt/ccxt) python-requests/2.32"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate"}}
	c, s := &call{route: &route{number: 9, auth: authSigned}}, &Server{}
	toll := limits.Request{Account: 7, Orders: 1}
	b.ReportAllocs()
	for b.Loop() {
		c.shape = shapeOf(h)
		s.trace(c, &toll)
	}
}
