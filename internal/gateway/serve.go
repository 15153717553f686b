package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// call is one request on its way. Calls are used again: nothing of one may be kept after its answer.
type call struct {
	ctx       context.Context
	request   uint64 // number in the logs
	route     *route
	stats     *routeStats
	cat       *catalogue
	q         params
	payload   []byte // what the signature is over
	body      []byte
	addr      netip.Addr
	key       *key
	at        time.Time
	now       exchange.Millis
	timestamp exchange.Millis
	digest    [32]byte // of a signed request; see fingerprint
	ruling    limits.Decision
	denied    bool   // the key may not do this, or not from there
	asking    bool   // whether the engine may be asked for the key; the scorer does not count it
	shape     uint32 // how the client looks
	path      string // that was asked for, of HTTP
	keyName   string
	token     string // of a challenge
	w         writer
	command   [1]exchange.Command
	outcome   [1]exchange.Outcome
	header    [4][1]string
	conn      *conn // of the WebSocket API
}

// endpoint is a path and its methods.
type endpoint struct {
	routes [4]*route
	stats  [4]*routeStats
}

func methodIndex(method string) int {
	switch method {
	case get:
		return 0
	case post:
		return 1
	case put:
		return 2
	case del:
		return 3
	}
	return -1
}

// serve answers one request of a customer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.webSocket(w, r) {
		return
	}
	c := s.calls.Get().(*call)
	defer s.calls.Put(c)
	s.begin(c, r)
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	defer cancel()
	c.ctx = ctx
	p := s.answer(c, r)
	s.finish(c, w, p)
}

// begin makes a used call new.
func (s *Server) begin(c *call, r *http.Request) {
	s.await(r.Context())
	c.request, c.at = s.requests.Add(1), s.o.Clock()
	s.renew(c)
	c.addr = s.clientAddr(r)
	c.shape, c.path, c.token = shapeOf(r.Header), r.URL.Path, r.Header.Get(challengeHeader)
}

// renew forgets the request that the call served before.
func (s *Server) renew(c *call) {
	c.now = exchange.Millis(c.at.UnixMilli())
	c.cat = s.catalogue.Load()
	c.route, c.stats, c.key, c.timestamp, c.ruling, c.denied, c.asking = nil, s.unrouted, nil, 0, limits.Decision{}, false, false
	c.shape, c.path, c.keyName, c.token = 0, "", "", ""
	c.digest = [32]byte{}
	c.q.reset()
	c.payload, c.body, c.w.b = c.payload[:0], c.body[:0], c.w.b[:0]
	c.command[0], c.outcome[0] = exchange.Command{}, exchange.Outcome{}
}

// await waits for the catalogue. A gateway that was just started has none for a moment: its first customers wait, and are
// not told to come again.
func (s *Server) await(ctx context.Context) {
	if s.catalogue.Load() != nil {
		return
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	late := time.NewTimer(s.o.Timeout)
	defer late.Stop()
	select {
	case <-s.begun:
	case <-ctx.Done():
	case <-late.C:
	}
}

// answer takes the steps of the package comment.
func (s *Server) answer(c *call, r *http.Request) *problem {
	e := s.endpoints[r.URL.Path]
	method := methodIndex(r.Method)
	if e == nil || method < 0 || e.routes[method] == nil || r.URL.RawPath != "" {
		if p := s.take(c, limits.Request{Weight: 1, Failure: limits.BadRequest}); p != nil {
			return p
		}
		return unsupported()
	}
	c.route, c.stats = e.routes[method], e.stats[method]
	if c.cat == nil {
		return notReady()
	}
	if p := s.decode(c, r); p != nil {
		if limit := s.take(c, limits.Request{Weight: c.route.weight, Class: c.route.class, Failure: limits.BadRequest}); limit != nil {
			return limit
		}
		return p
	}
	return s.dispatch(c, r.Header.Get("X-Mbx-Apikey"))
}

// dispatch takes the steps that HTTP and the WebSocket API share: who, how often, and what.
func (s *Server) dispatch(c *call, keyName string) *problem {
	if p := s.enter(c, keyName); p != nil {
		return p
	}
	p := c.route.handle(s, c)
	if p == nil {
		p = c.q.fault
	}
	if p != nil && c.route.auth == authEngine && p.status/100 == 4 {
		s.countRefused(c)
	}
	return p
}

// enter finds the key, and has limits and signature checked.
func (s *Server) enter(c *call, keyName string) *problem {
	toll := limits.Request{Class: c.route.class, Weight: c.route.weight, Orders: c.route.orders}
	if c.route.weigh != nil {
		toll.Weight = c.route.weigh(&c.q)
	}
	if c.route.auth == authNone || c.route.auth == authEngine {
		return s.take(c, toll)
	}
	in := c.session()
	switch {
	case in != nil:
		keyName = in.key
	case c.conn != nil && !c.q.has(pAPIKey): // perhaps its session has ended: that is no attempt with a wrong key
		toll.Orders = 0
		if limit := s.take(c, toll); limit != nil {
			return limit
		}
		return rejectedKey()
	}
	c.keyName = keyName
	if !wellFormed(keyName) {
		toll.Failure, toll.Orders = limits.BadKey, 0
		if limit := s.take(c, toll); limit != nil {
			return limit
		}
		return badKeyFormat()
	}
	if c.key = s.keys.find(keyName, c.at); c.key == nil {
		// The engine is asked only for who may ask at all. What follows then costs the account, not the address again.
		c.asking = true
		if limit := s.take(c, limits.Request{Class: toll.Class, Weight: toll.Weight}); limit != nil {
			return limit
		}
		toll.Weight, c.asking = 0, false
		var p *problem
		if c.key, p = s.fetchKey(c.ctx, keyName, c.at); p != nil {
			return p
		}
		if c.key == nil {
			toll.Failure, toll.Orders = limits.BadKey, 0
			if limit := s.take(c, toll); limit != nil {
				return limit
			}
			if p := s.challenged(c, limits.BadKey); p != nil {
				return p
			}
			return rejectedKey()
		}
	}
	return s.prove(c, in, toll)
}

// prove checks that the owner of the key sent the request, charges whoever it was, and notes the signature as used.
func (s *Server) prove(c *call, in *session, toll limits.Request) *problem {
	failure, p := s.verify(c, in)
	fresh := p == nil && c.route.auth == authSigned && in == nil
	if fresh && s.replayed.knows(c.use()) {
		fresh, p = false, usedBefore()
	}
	toll.Failure = failure
	if p != nil {
		toll.Orders = 0
	}
	// The account is charged for what its owner sent now, and for nothing else: neither a key's name nor a signature that
	// was used, or is old, says who sends it.
	if fresh || p == nil && in != nil || failure == limits.BadSignature || c.denied && c.route.auth == authSigned {
		toll.Account = c.key.account
	}
	if limit := s.take(c, toll); limit != nil {
		return limit
	}
	if p := s.challenged(c, failure); p != nil {
		return p
	}
	if p != nil {
		s.refusedKey(c, p)
		return p
	}
	if fresh {
		return s.once(c)
	}
	return nil
}

// refusedKey tells the operator of a key that was refused: its first characters, never more, and where it came from.
func (s *Server) refusedKey(c *call, p *problem) {
	s.stats.refused.Inc()
	s.say(slog.LevelWarn, "a key was refused", "request", s.requestName(c.request), "key", c.key.name[:6], "account", uint64(c.key.account), "addr", c.addr.String(), "code", p.code,
		"path", c.route.path)
}

func (s *Server) take(c *call, toll limits.Request) *problem {
	toll.IP, toll.Trace = c.addr, s.trace(c, &toll)
	d, err := s.o.Limits.Take(c.ctx, toll)
	if err != nil {
		s.say(slog.LevelError, "limits are out of reach", "request", s.requestName(c.request), "error", err)
		return overloaded()
	}
	c.ruling = d
	if d.Verdict != limits.Pass {
		return limited(d)
	}
	return nil
}

// decode reads query and body into parameters, and what a signature has to be over.
func (s *Server) decode(c *call, r *http.Request) *problem {
	if c.route.object {
		return c.readObject(r)
	}
	if c.route.auth == authSigned && r.Header.Get(boundHeader) != "" {
		c.payload = append(append(append(append(c.payload, r.Method...), ' '), r.URL.Path...), '\n')
	}
	signed, p := c.q.scan(r.URL.RawQuery, c.route.params)
	if p != nil {
		return p
	}
	c.payload = append(c.payload, signed...)
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	if r.Method == get {
		return malformed("This method has no body.")
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		return malformed("A body must be application/x-www-form-urlencoded.")
	}
	if p := c.readBody(r.Body); p != nil {
		return p
	}
	if signed, p = c.q.scan(string(c.body), c.route.params); p != nil {
		return p
	}
	c.payload = append(c.payload, signed...)
	return nil
}

func (c *call) readBody(body io.Reader) *problem {
	if cap(c.body) <= queryMax {
		c.body = make([]byte, 0, queryMax+1)
	}
	for len(c.body) < cap(c.body) {
		n, err := body.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return malformed("The body ends early.")
		}
	}
	if len(c.body) > queryMax {
		return malformed("There are too many of them.")
	}
	return nil
}

// finish writes the answer. It is bytes that are complete: no answer is ever half one thing and half another.
func (s *Server) finish(c *call, w http.ResponseWriter, p *problem) {
	status := http.StatusOK
	h := w.Header()
	if p != nil {
		status = p.status
		c.w.b = c.w.b[:0]
		p.append(&c.w)
		if p.retry > 0 {
			h["Retry-After"] = []string{strconv.FormatInt(int64((p.retry+time.Second-1)/time.Second), 10)}
		}
	}
	s.headers(c, h)
	w.WriteHeader(status)
	w.Write(c.w.b) // a client that is gone has no use for the error
	s.record(c, status, p)
}

func (s *Server) headers(c *call, h http.Header) {
	h["Content-Type"], h["X-Content-Type-Options"] = s.jsonType, s.noSniff // shared by all answers: net/http copies them
	if c.route != nil && c.route.auth != authNone {
		h["Cache-Control"] = s.noStore // what is a customer's own: no proxy on the way keeps it for the next one
	}
	c.header[0][0] = strconv.Itoa(int(c.ruling.Used))
	h["X-Mbx-Used-Weight"], h["X-Mbx-Used-Weight-1m"] = c.header[0][:], c.header[0][:]
	if c.route != nil && c.route.orders > 0 {
		c.header[1][0] = strconv.FormatUint(uint64(c.ruling.Orders10s), 10)
		c.header[2][0] = strconv.FormatUint(uint64(c.ruling.OrdersDay), 10)
		h["X-Mbx-Order-Count-10s"], h["X-Mbx-Order-Count-1d"] = c.header[1][:], c.header[2][:]
	}
	c.header[3][0] = s.requestName(c.request)
	h["X-Request-Id"] = c.header[3][:]
	if c.route != nil && c.route.page != nil {
		c.pageHeaders(h)
	}
}

// requestName is what the customer may quote and the operator finds in the logs.
func (s *Server) requestName(n uint64) string {
	var b [40]byte
	return string(strconv.AppendUint(append(b[:0], s.boot...), n, 36))
}

// record counts the answer and, when anybody listens, logs it. No parameter is logged: they hold signatures.
func (s *Server) record(c *call, status int, p *problem) {
	c.stats.count(status, s.o.Clock().Sub(c.at))
	if !s.o.Log.Enabled(c.ctx, slog.LevelDebug) && status < 500 {
		return
	}
	path, code := "", 0
	if c.route != nil {
		path = c.route.path
	}
	if p != nil {
		code = p.code
	}
	args := []any{"request", s.requestName(c.request), "path", path, "status", status, "code", code, "addr", c.addr.String()}
	if status >= 500 {
		s.say(slog.LevelWarn, "request", args...)
		return
	}
	s.o.Log.Debug("request", args...)
}
