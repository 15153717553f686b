// Package gateway is the public API of the exchange: the conventions of Binance Spot over HTTP and WebSocket, so that
// the trading programs that people already run work by changing one address.
//
// It exists to turn text of strangers into exchange commands and questions, and the answers into text. A request passes
// these steps, in this order, and stops at the first that refuses: route (one table says method, path, weight, limit
// class and who may come), limits, signature (key, address, time window, used once), strict decoding, command, answer.
// Market data is served from a mirror of the engine's book that follows the events and is asked for anew after a gap;
// update numbers are the journal's sequence numbers, so that all gateways give the same.
//
// What may never happen here: a secret in a log, a decision about money, a field that is ignored instead of refused, a
// float, a buffer that a stranger can grow without bound.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Engine is the gateway's only view of the engine. It is the bus, or in tests an engine in the same process.
type Engine interface {
	// Do sends commands and waits until they are durable and applied; out has one place for each. An error says that
	// the outcome is not known: the same command with the same ID may be sent again.
	Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error
	Ask(ctx context.Context, q exchange.Question) (exchange.Answer, error)
}

// Options are what a gateway is made of.
type Options struct {
	Engine  Engine
	Limits  Limits
	Clock   func() time.Time // nil: the machine's
	Log     *slog.Logger     // nil: nothing is logged
	Proxies []netip.Prefix   // proxies whose X-Forwarded-For is believed; none by default
	Timeout time.Duration    // how long an engine's answer is waited for; zero: 5 s
	Conns   int              // open WebSockets at most; zero: 10,000
}

// Server is the gateway of one process. Its methods may be called from many goroutines.
type Server struct {
	o Options
}

// New makes a gateway. Until Run has the catalogue from the engine, it answers that it is not ready.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Limits == nil {
		return nil, errors.New("a gateway needs an engine and limits")
	}
	return &Server{o: o}, nil
}

// Run follows the engine until the context ends: catalogue, mirror, timers of the streams.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Events takes what the commands first..last of the journal caused, in the order of the journal. Frames without events
// must be given too: a gap in the numbers makes the gateway ask for the books anew. It must be called from one
// goroutine at a time.
func (s *Server) Events(first, last uint64, events []byte) {}

// Public serves customers.
func (s *Server) Public() http.Handler { return http.NotFoundHandler() }

// Internal serves the operator: health, readiness and metrics. It belongs on a listener that customers cannot reach.
func (s *Server) Internal() http.Handler { return http.NotFoundHandler() }
