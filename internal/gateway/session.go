package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// session is who a connection of the WebSocket API has logged on as. It stands for the signatures of the requests that
// follow and for nothing else: each of them is still checked for the key's scopes and addresses and for its time, by the
// key as the engine tells it then. Only keys without a secret at the server may open one.
type session struct {
	key     string
	account exchange.Account
	since   time.Time
	nonce   [32]byte
	count   uint64 // requests; of the connection's reader alone
}

// sessions are the connections that have logged on, so that they can be ended.
type sessions struct {
	mu sync.Mutex
	of map[*conn]*session
}

func (s *sessions) enter(c *conn, in *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[*conn]*session{}
	}
	s.of[c] = in
	c.session.Store(in)
}

func (s *sessions) leave(c *conn) {
	c.session.Store(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, c)
}

// end ends the sessions that are meant, and their connections, at once: a request that is under way finds none.
func (s *sessions) end(meant func(*session) bool, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, in := range s.of {
		if meant(in) {
			c.session.Store(nil)
			delete(s.of, c)
			c.end(why)
		}
	}
}

// digest names a request of a session for ever, as fingerprint does for one that is signed: its first half is the
// identity of its command.
func (s *session) digest() [32]byte {
	s.count++
	var text [40]byte
	copy(text[:], s.nonce[:])
	binary.BigEndian.PutUint64(text[32:], s.count)
	return sha256.Sum256(text[:])
}

// session is the one that stands for the signature of this request: neither a key nor a signature is sent.
func (c *call) session() *session {
	if c.conn == nil || c.route.logon || c.q.has(pAPIKey) || c.q.has(pSignature) {
		return nil
	}
	return c.conn.session.Load()
}

// verifySession checks what verify checks behind the signature.
func (s *Server) verifySession(c *call, in *session) (limits.Failure, *problem) {
	if c.route.auth == authKey {
		return limits.NoFailure, s.admit(c)
	}
	if p := s.inTime(c); p != nil {
		return limits.NoFailure, p
	}
	if p := s.admit(c); p != nil {
		return limits.NoFailure, p
	}
	c.digest = in.digest()
	return limits.NoFailure, nil
}

// sessionMethods are those of the WebSocket API alone.
func (s *Server) sessionMethods() []*route {
	last := uint16(len(routes()))
	method := func(name string, params set, handle func(*Server, *call) *problem) *route {
		last++
		return &route{method: get, path: name, class: limits.General, weight: 2, params: params, handle: handle, number: last}
	}
	signed := func(r *route) *route { r.auth, r.scope = authSigned, exchange.ScopeRead; return r }
	logon := signed(method("session.logon", timing(), (*Server).logon))
	logon.logon = true
	return []*route{
		signed(method("userDataStream.subscribe.signature", timing(), (*Server).userSubscription)),
		logon,
		method("session.status", 0, (*Server).sessionStatus),
		method("session.logout", 0, (*Server).logout),
		method("session.subscriptions", 0, (*Server).subscriptions),
		method("userDataStream.subscribe", 0, (*Server).sessionSubscription),
		method("userDataStream.unsubscribe", setOf(pSubscriptionID), (*Server).unsubscribe),
	}
}

// logon makes the connection's session. A second one takes the place of the first.
func (s *Server) logon(c *call) *problem {
	if c.key.public == nil {
		return &problem{status: http.StatusUnauthorized, code: -4056, msg: "HMAC_SHA256 API key is not supported."}
	}
	in := &session{key: c.key.name, account: c.key.account, since: c.at}
	rand.Read(in.nonce[:]) // it never fails: crypto/rand ends the program instead
	s.sessions.enter(c.conn, in)
	return s.tellSession(c)
}

func (s *Server) logout(c *call) *problem {
	s.sessions.leave(c.conn)
	return s.tellSession(c)
}

func (s *Server) sessionStatus(c *call) *problem {
	if p := s.standing(c); p != nil && p.status != http.StatusUnauthorized {
		return p
	}
	return s.tellSession(c)
}

// standing finds the key of the connection's session. A session whose key may no longer read ends.
func (s *Server) standing(c *call) *problem {
	in := c.conn.session.Load()
	if in == nil {
		return rejectedKey()
	}
	var p *problem
	if c.key = s.keys.find(in.key, c.at); c.key == nil {
		if c.key, p = s.fetchKey(c.ctx, in.key, c.at); p != nil {
			return p
		}
	}
	if c.key == nil || c.key.account != in.account || !c.key.admits(c.addr) || !c.key.may(exchange.ScopeRead, c.now) {
		s.sessions.leave(c.conn)
		return rejectedKey()
	}
	return nil
}

func (s *Server) tellSession(c *call) *problem {
	w, in := &c.w, c.conn.session.Load()
	w.open('{')
	if in == nil {
		w.null("apiKey")
		w.null("authorizedSince")
	} else {
		w.text("apiKey", in.key)
		w.number("authorizedSince", in.since.UnixMilli())
	}
	w.number("connectedSince", c.conn.since.UnixMilli())
	w.flag("returnRateLimits", c.conn.told)
	w.number("serverTime", int64(c.now))
	hears := false
	for _, j := range c.conn.joined {
		hears = hears || j.user != nil
	}
	w.flag("userDataStream", hears)
	w.close('}')
	return nil
}

func (w *writer) null(n string) {
	w.name(n)
	w.b = append(w.b, "null"...)
}

// sessionSubscription makes the connection hear of the account that it has logged on as.
func (s *Server) sessionSubscription(c *call) *problem {
	if p := s.standing(c); p != nil {
		return p
	}
	return s.userSubscription(c)
}

// subscriptions lists what the connection hears of accounts.
func (s *Server) subscriptions(c *call) *problem {
	var numbers []int64
	for _, j := range c.conn.joined {
		if j.user != nil {
			numbers = append(numbers, j.user.number)
		}
	}
	slices.Sort(numbers)
	c.w.open('[')
	for _, n := range numbers {
		c.w.open('{')
		c.w.number("subscriptionId", n)
		c.w.close('}')
	}
	c.w.close(']')
	return nil
}

// unsubscribe ends one subscription, or all of them.
func (s *Server) unsubscribe(c *call) *problem {
	one := c.q.whole(pSubscriptionID, -1, 0, 1<<53)
	if c.q.fault != nil {
		return c.q.fault
	}
	found := one < 0
	for name, j := range c.conn.joined {
		if j.user != nil && (one < 0 || one == j.user.number) {
			s.leave(c.conn, name)
			found = true
		}
	}
	if !found {
		return refuse(-2036, "User Data Stream subscription not active.")
	}
	c.w.b = append(c.w.b, "{}"...)
	return nil
}
