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
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/prometheus/client_golang/prometheus"
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
	// Challenge asks people to prove that they are some, where the scorer found something. nil: nobody is asked.
	Challenge *Challenge
	Notice    func(Notice) // hears what people have to; it must not wait for anybody. nil: nobody hears
	// Secret seals listen keys. Gateways with the same one take each other's; all zero: one is drawn for this process.
	Secret [32]byte
	// The limits as exchangeInfo tells them; zero: the defaults of room limits.
	AddressWeight uint32
	Orders10s     uint32
	OrdersDay     uint32
}

// Server is the gateway of one process. Its methods may be called from many goroutines.
type Server struct {
	o         Options
	endpoints map[string]*endpoint
	methods   map[string]*route // of the WebSocket API
	verdicts  *verdicts
	calls     sync.Pool
	requests  atomic.Uint64
	boot      string // begins the names of requests
	jsonType  []string
	noSniff   []string
	noStore   []string
	catalogue atomic.Pointer[catalogue]
	begun     chan struct{} // closed when there is one
	waiting   atomic.Int64  // requests that wait for it
	stale     atomic.Bool   // the catalogue has to be read again
	keys      keyring
	replayed  *replayed
	recent    *recent
	books     books
	feed      feed
	users     users
	listen    listenKeys
	sockets   sockets
	sessions  sessions
	heard     heard
	said      said
	candle    int          // which is told next; of the timer alone
	alive     atomic.Int64 // when the engine was heard last
	stats     *stats
	unrouted  *routeStats
	gaps      prometheus.Counter
	fills     fills

	allTickers, allMini *topic

	work    sync.WaitGroup
	closing context.Context
	close   context.CancelFunc
}

// New makes a gateway. Until Run has the catalogue from the engine, it answers that it is not ready.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Limits == nil {
		return nil, errors.New("a gateway needs an engine and limits")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Conns = cmp.Or(o.Conns, 10_000)
	o.AddressWeight, o.Orders10s, o.OrdersDay = cmp.Or(o.AddressWeight, 1200), cmp.Or(o.Orders10s, 200), cmp.Or(o.OrdersDay, 1_000_000)
	if o.Secret == [32]byte{} {
		rand.Read(o.Secret[:]) // it never fails: crypto/rand ends the program instead
	}
	listen, err := newListenKeys(o.Secret)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, begun: make(chan struct{}), endpoints: map[string]*endpoint{}, verdicts: newVerdicts(), replayed: newReplayed(), recent: newRecent(), listen: listen,
		jsonType: []string{"application/json;charset=UTF-8"}, noSniff: []string{"nosniff"}, noStore: []string{"no-store"}, allTickers: newTopic("!ticker@arr"), allMini: newTopic("!miniTicker@arr")}
	s.keys.keys = map[string]*key{}
	s.sockets.counts = map[netip.Addr]int{}
	s.books.byID = map[exchange.Market]*book{}
	s.users.byAccount = map[exchange.Account]map[*userSub]struct{}{}
	s.feed.people = map[exchange.Account]*writer{}
	s.closing, s.close = context.WithCancel(context.Background())
	id := exchange.RandomID()
	s.boot = id.String()[:8] + "-"
	s.stats = newStats(s)
	s.unrouted = s.stats.of("", "other")
	names := newParamNames()
	s.calls.New = func() any { return &call{q: params{names: names}} }
	for _, r := range routes() {
		e := s.endpoints[r.path]
		if e == nil {
			e = &endpoint{}
			s.endpoints[r.path] = e
		}
		i := methodIndex(r.method)
		e.routes[i], e.stats[i] = &r, s.stats.of(r.method, r.path)
	}
	s.methods = s.apiMethods()
	return s, nil
}

// Public serves customers.
func (s *Server) Public() http.Handler { return http.HandlerFunc(s.serve) }
