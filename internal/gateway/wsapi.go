package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/limits"
)

// The WebSocket API asks for the same things as HTTP does, so each of its methods is a row of the route table. What is
// signed are the parameters by name, joined as in a query.

func (s *Server) apiMethods() map[string]*route {
	m := map[string]*route{}
	for name, at := range map[string][2]string{
		"ping": {get, "/api/v3/ping"}, "time": {get, "/api/v3/time"}, "exchangeInfo": {get, "/api/v3/exchangeInfo"},
		"depth": {get, "/api/v3/depth"}, "trades.recent": {get, "/api/v3/trades"}, "trades.aggregate": {get, "/api/v3/aggTrades"},
		"klines": {get, "/api/v3/klines"}, "uiKlines": {get, "/api/v3/uiKlines"}, "avgPrice": {get, "/api/v3/avgPrice"},
		"ticker.24hr": {get, "/api/v3/ticker/24hr"}, "ticker.price": {get, "/api/v3/ticker/price"}, "ticker.book": {get, "/api/v3/ticker/bookTicker"},
		"order.place": {post, "/api/v3/order"}, "order.test": {post, "/api/v3/order/test"}, "order.status": {get, "/api/v3/order"},
		"order.cancel": {del, "/api/v3/order"}, "order.cancelReplace": {post, "/api/v3/order/cancelReplace"},
		"order.amend.keepPriority": {put, "/api/v3/order/amend/keepPriority"}, "openOrders.status": {get, "/api/v3/openOrders"},
		"openOrders.cancelAll": {del, "/api/v3/openOrders"}, "allOrders": {get, "/api/v3/allOrders"}, "myTrades": {get, "/api/v3/myTrades"},
		"account.status": {get, "/api/v3/account"}, "account.commission": {get, "/api/v3/account/commission"},
		"account.rateLimits.orders": {get, "/api/v3/rateLimit/order"}, "trades.historical": {get, "/api/v3/historicalTrades"},
		"userDataStream.start": {post, "/api/v3/userDataStream"}, "userDataStream.ping": {put, "/api/v3/userDataStream"},
		"userDataStream.stop": {del, "/api/v3/userDataStream"},
	} {
		m[name] = s.endpoints[at[1]].routes[methodIndex(at[0])]
	}
	for _, r := range s.sessionMethods() {
		m[r.path] = r
	}
	return m
}

// apiCommand answers a request of the WebSocket API.
func (s *Server) apiCommand(conn *conn, raw []byte) []byte {
	c := s.calls.Get().(*call)
	defer s.calls.Put(c)
	c.request, c.at = s.requests.Add(1), s.o.Clock()
	s.renew(c)
	c.addr, c.conn, c.shape = conn.addr, conn, conn.shape
	defer func() { c.conn = nil }()
	ctx, cancel := context.WithTimeout(conn.ctx, s.o.Timeout)
	defer cancel()
	c.ctx = ctx
	r, err := readRequest(raw)
	var p *problem
	if err != nil {
		p = malformed(err.Error())
	} else {
		p = s.apiAnswer(c, r)
	}
	if p != nil && c.route == nil {
		if limit := s.take(c, limits.Request{Weight: 1, Failure: limits.BadRequest}); limit != nil {
			p = limit
		}
	}
	status := http.StatusOK
	if p != nil {
		status = p.status
	}
	conn.banned = c.ruling.Verdict >= limits.Banned
	s.record(c, status, p)
	return c.apiResult(r.id, status, p, s)
}

func (s *Server) apiAnswer(c *call, r wsRequest) *problem {
	c.path = r.method
	route := s.methods[r.method]
	if route == nil {
		return unsupported()
	}
	c.route = route
	if c.cat == nil {
		return notReady()
	}
	keyName, p := c.readMembers(r.params)
	if p != nil {
		if limit := s.take(c, limits.Request{Weight: route.weight, Class: route.class, Failure: limits.BadRequest}); limit != nil {
			return limit
		}
		return p
	}
	return s.dispatch(c, keyName)
}

// readMembers reads the parameters of a JSON object, and what a signature has to be over.
func (c *call) readMembers(raw json.RawMessage) (keyName string, p *problem) {
	if len(raw) == 0 {
		return "", nil
	}
	if len(raw) > queryMax {
		return "", malformed("There are too many of them.")
	}
	members, err := object(raw)
	if err != nil {
		return "", malformed("params must be an object, each of its members once.")
	}
	allowed := c.route.params | setOf(pReturnLimits)
	if c.route.auth != authNone {
		allowed |= setOf(pAPIKey)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		id, known := c.q.names[name]
		if !known || !allowed.has(id) {
			return "", unread(popcount(c.q.sent), len(members))
		}
		value, ok := memberText(members[name])
		if !ok {
			return "", illegal(id, "printable ASCII")
		}
		if value == "" {
			return "", emptied(id)
		}
		c.q.text[id], c.q.sent = value, c.q.sent|1<<id
		if id == pSignature {
			continue
		}
		if len(c.payload) > 0 {
			c.payload = append(c.payload, '&')
		}
		c.payload = append(append(append(c.payload, name...), '='), value...)
	}
	c.q.truth(pReturnLimits)
	return c.q.text[pAPIKey], c.q.fault
}

// memberText is a value as it is signed: a string's characters, a number's digits, a list as clients write it.
func memberText(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil || len(text) > valueMax || !printable(text) {
			return "", false
		}
		return text, true
	case '[':
		var names []string
		if json.Unmarshal(raw, &names) != nil || len(names) == 0 {
			return "", false
		}
		for _, n := range names {
			if n == "" || strings.ContainsAny(n, `"\,`) || !printable(n) {
				return "", false
			}
		}
		return `["` + strings.Join(names, `","`) + `"]`, true
	case '{', 'n':
		return "", false
	}
	return string(bytes.TrimSpace(raw)), true
}

// apiResult wraps the answer.
func (c *call) apiResult(id json.RawMessage, status int, p *problem, s *Server) []byte {
	w := writer{b: make([]byte, 0, len(c.w.b)+256)}
	w.open('{')
	w.name("id")
	w.b = append(w.b, id...)
	w.number("status", int64(status))
	if p != nil {
		w.name("error")
		var e writer
		p.dated(c.now).append(&e)
		w.b = append(w.b, e.b...)
	} else {
		w.name("result")
		w.b = append(w.b, c.w.b...)
	}
	if said := c.q.text[pReturnLimits]; said == "false" || said == "" && !c.conn.told {
		w.close('}')
		return w.b
	}
	w.array("rateLimits")
	if c.route != nil && c.route.orders > 0 {
		s.orderLimits(&w, c)
	}
	w.open('{')
	w.text("rateLimitType", "REQUEST_WEIGHT")
	w.text("interval", "MINUTE")
	w.number("intervalNum", 1)
	w.number("limit", int64(s.o.AddressWeight))
	w.number("count", int64(c.ruling.Used))
	w.close('}')
	w.close(']')
	w.close('}')
	return w.b
}
