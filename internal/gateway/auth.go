package gateway

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// Binance signs parameters only: the query and then the body, as they are on the wire, without the signature itself. A
// signature counts once (replay.go), so that a captured test of an order cannot be sent as the order. A client that wants method and path signed too sends the header boundHeader, and signs "POST /api/v3/order\n" before the
// parameters.
const boundHeader = "X-Coldsign-Bound"

const signatureMax = 128 // characters

// verify finds out who sends the request. What it returns beside the problem is for the limits.
func (s *Server) verify(c *call, in *session) (limits.Failure, *problem) {
	k := c.key
	if in != nil {
		return s.verifySession(c, in)
	}
	if c.route.auth == authKey {
		return limits.NoFailure, s.admit(c)
	}
	if !c.q.has(pSignature) {
		return limits.BadRequest, mandatory(pSignature)
	}
	var raw [ed25519.SignatureSize]byte
	size, ok := k.readSignature(raw[:], c.q.text[pSignature])
	if !ok || !k.signed(c, raw[:size]) {
		return limits.BadSignature, badSignature()
	}
	if p := s.inTime(c); p != nil {
		return limits.NoFailure, p
	}
	if p := s.admit(c); p != nil {
		return limits.NoFailure, p
	}
	c.digest = fingerprint(k.name, raw[:size])
	return limits.NoFailure, nil
}

// admit checks address and scope.
func (s *Server) admit(c *call) *problem {
	if !c.key.admits(c.addr) || !c.key.may(c.route.scope, c.now) {
		c.denied = true
		s.keyAbroad(c)
		return rejectedKey()
	}
	return nil
}

// inTime checks the time window: at most recvWindow old, at most skewMax ahead.
func (s *Server) inTime(c *call) *problem {
	window := exchange.Millis(c.q.whole(pRecvWindow, windowDefault, 0, 1<<40))
	c.q.must(pTimestamp)
	c.timestamp = exchange.Millis(c.q.whole(pTimestamp, 0, 0, 1<<53))
	switch {
	case c.q.fault != nil:
		return c.q.fault
	case window > windowSent:
		return refuse(-1131, "recvWindow must be less than 60000")
	case c.timestamp > c.now+skewMax:
		return aheadOfTime()
	case c.now-c.timestamp > min(window, windowMax):
		return badWindow()
	}
	return nil
}

// use is what the request uses its signature for.
func (c *call) use() use {
	u := use{signature: [16]byte(c.digest[16:]), timestamp: c.timestamp, purpose: toChange, place: c.route.number, from: c.addr}
	if c.route.method == get {
		u.purpose = toRead
	}
	return u
}

// once notes that the signature was used.
func (s *Server) once(c *call) *problem {
	switch s.replayed.take(c.use()) {
	case usedAlready:
		return usedBefore()
	case tooMany:
		return overloaded()
	}
	return nil
}

// fingerprint names a signed request for ever: the first half is the identity of its command, the second one that of
// its signature. A request that a second gateway gets again has the same command, which the engine applies once.
func fingerprint(name string, signature []byte) [32]byte {
	var text [keyLength + ed25519.SignatureSize]byte
	return sha256.Sum256(append(append(text[:0], name...), signature...))
}

// readSignature decodes a signature. It has one spelling, but that hexadecimal digits may be all small or all capital:
// a changed bit is never the same signature.
func (k *key) readSignature(out []byte, text string) (int, bool) {
	if len(text) > signatureMax {
		return 0, false
	}
	var buf [signatureMax]byte
	raw := append(buf[:0], text...)
	if k.public == nil {
		if len(raw) != hex.EncodedLen(sha256.Size) || strings.ContainsAny(text, "abcdef") && strings.ContainsAny(text, "ABCDEF") {
			return 0, false
		}
		n, err := hex.Decode(out, raw)
		return n, err == nil
	}
	if len(raw) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) {
		return 0, false
	}
	if strings.ContainsAny(text, "\r\n") {
		return 0, false
	}
	var wide [(signatureMax / 4) * 3]byte
	n, err := base64.StdEncoding.Strict().Decode(wide[:], raw)
	return copy(out, wide[:n]), err == nil && n == ed25519.SignatureSize
}

// signed compares the signature with the bytes that came.
func (k *key) signed(c *call, signature []byte) bool {
	if k.public != nil {
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, c.payload, signature)
	}
	if k.macs.New == nil {
		return false
	}
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.Reset()
	m.Write(c.payload)
	return subtle.ConstantTimeCompare(m.Sum(m.sum[:0]), signature) == 1
}

// clientAddr returns the address that the request comes from. A header is believed only from a configured proxy, and
// then its last entry that is not itself a proxy's.
func (s *Server) clientAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	if !s.isProxy(addr) {
		return addr
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(chain) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
		if !s.isProxy(addr) {
			break
		}
	}
	return addr
}

func (s *Server) isProxy(addr netip.Addr) bool {
	for _, p := range s.o.Proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
