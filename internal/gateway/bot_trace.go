package gateway

import (
	"net/http"
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// trace is what the scorer gets to know of a request: hashes, so that nothing of a client is kept as it came, and no
// text is copied on the way of an order.
func (s *Server) trace(c *call, toll *limits.Request) limits.Trace {
	t := limits.Trace{Shape: c.shape, Denied: c.denied}
	if c.route != nil && !c.asking {
		t.Route = uint8(min(c.route.number, 255))
	}
	switch toll.Failure {
	case limits.NoFailure:
		switch {
		case c.key != nil && toll.Account == 0:
			t.Route = 0 // a name alone, or a signature of before, proves nothing of whoever sends it, good or bad
		case toll.Account == 0:
			t.Target = hashText(0, c.q.text[pSymbol])
		case toll.Orders > 0:
			t.Fills = s.fills.take(toll.Account)
		}
	case limits.BadRequest:
		t.Target = hashText(1, c.path)
	default:
		t.Target = hashText(2, c.keyName)
	}
	return t
}

// countRefused counts a request that the engine refused where money leaves and nobody signs before the engine looks:
// codes and passkeys are tried there. What it is answered was decided without it.
func (s *Server) countRefused(c *call) {
	_ = s.take(c, limits.Request{Weight: 1, Class: limits.Sensitive, Failure: limits.BadRequest})
}

// shapeOf hashes what a client calls itself and which headers it sends. Clients of one library are alike; so are the
// addresses of one attacker.
func shapeOf(h http.Header) uint32 {
	shape := uint32(0)
	for i, name := range [...]string{"User-Agent", "Accept", "Accept-Encoding", "Accept-Language"} {
		if values := h[name]; len(values) > 0 {
			shape = hashText(shape+uint32(i), values[0])
		}
	}
	return shape
}

// hashText is FNV-1a over words of four bytes: every gateway of an exchange hashes alike, and an order waits a few
// nanoseconds for it.
func hashText(seed uint32, text string) uint32 {
	const prime = 16777619
	h := 2166136261 ^ seed*prime
	i := 0
	for ; i+4 <= len(text) && i < 256; i += 4 {
		h = (h ^ (uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16 | uint32(text[i+3])<<24)) * prime
		h ^= h >> 15
	}
	for ; i < len(text) && i < 256; i++ {
		h = (h ^ uint32(text[i])) * prime
	}
	return (h ^ h>>13) * 0x85ebca6b
}

// fills count how often accounts traded since they were asked for last. Accounts share counters: one who never trades
// may be taken for somebody who does, never the other way round.
type fills [4096]atomic.Uint32

func (f *fills) note(t *exchange.TradeRecord) {
	f[uint64(t.Taker.Account)%4096].Add(1)
	f[uint64(t.Maker.Account)%4096].Add(1)
}

func (f *fills) take(a exchange.Account) uint16 {
	if f[uint64(a)%4096].Load() == 0 {
		return 0 // the usual case writes nothing that processors share
	}
	return uint16(min(f[uint64(a)%4096].Swap(0), 1<<16-1))
}
