package bus

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Limits of one connection.
const (
	pendingMax      = 4096 // requests that wait for a reply
	backlogMax      = 8192 // messages of one subscription that wait here
	backlogBytesMax = 64 << 20
	requestTime     = 5 * time.Second // when the caller gives no time
	greetTime       = 2 * time.Second
)

// Options say how a segment comes to the bus.
type Options struct {
	Credentials Credentials
	Server      *Server     // in this process; or
	URLs        []string    // of a server or of a cluster
	TLS         *tls.Config // for every server that is not on this machine
	Log         *slog.Logger
	Now         func() time.Time // nil: the machine's clock, for differences alone
	Random      io.Reader        // nil: the operating system's
}

// Conn is one segment's connection. Its methods may be called from many goroutines.
type Conn struct {
	o       Options
	self    Segment
	nc      *nats.Conn
	inbox   string
	started time.Time
	ctx     context.Context // ends when the connection is closed
	stop    context.CancelFunc
	closing sync.Once
	busy    sync.WaitGroup // handlers

	mu       sync.Mutex
	calls    map[uint64]*call
	talks    map[string]*talk   // by subject
	missed   map[string]failure // by subject
	streams  map[string]*Publisher
	answers  bool       // the epochs of our streams are being served
	greeting sync.Mutex // one handshake at a time

	lastCall atomic.Uint64
	counts   counters
}

// Stats counts what a connection refused or lost since it began.
type Stats struct {
	Forged     uint64 // not sealed by who it says, or damaged
	Replayed   uint64 // came a second time, or out of order
	Late       uint64 // came after its time
	Strange    uint64 // of a session or epoch that is not known
	Denied     uint64 // refused by the server's permissions
	Slow       uint64 // times that messages were lost because they were not read in time
	Gaps       uint64 // holes in streams of events
	Busy       uint64 // requests refused because too many were under way
	Reconnects uint64
	Pending    int // requests that wait for a reply now
}

type counters struct {
	forged, replayed, late, strange, denied, slow, gaps, busy atomic.Uint64
}

// Dial connects. It waits for the first connection until ctx ends; after that the connection is made again whenever it
// breaks, for ever.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Server == nil && len(o.URLs) == 0 {
		return nil, errors.New("bus: neither a server nor the address of one is given")
	}
	if err := checkURLs(o); err != nil {
		return nil, err
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		o.TLS.MinVersion = tls.VersionTLS13
	}
	c := &Conn{o: o, self: o.Credentials.segment, started: o.Now(), calls: map[uint64]*call{}, talks: map[string]*talk{}, missed: map[string]failure{},
		streams: map[string]*Publisher{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	token, err := c.mark()
	if err != nil {
		return nil, err
	}
	c.inbox = fmt.Sprintf("%s.%x", inboxOf(c.self), token)
	if c.nc, err = c.connect(ctx); err != nil {
		c.stop()
		return nil, err
	}
	if err := c.listen(c.inbox+".*", c.replied); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// checkURLs refuses a server on another machine without TLS: what is sealed cannot be read, but who speaks with whom,
// and how much, can.
func checkURLs(o Options) error {
	if o.Server != nil || o.TLS != nil {
		return nil
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("bus: server address %q is not like nats://127.0.0.1:4222", text)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			return fmt.Errorf("bus: server %s is not on this machine, so it needs TLS with certificates on both ends", u.Host)
		}
	}
	return nil
}

// connect tries until it works, ctx ends, or the server turns the key away.
func (c *Conn) connect(ctx context.Context) (*nats.Conn, error) {
	options := []nats.Option{nats.Name(c.self.String()), nats.Nkey(c.o.Credentials.user, c.o.Credentials.sign), nats.MaxReconnects(-1),
		nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.Timeout(2 * time.Second), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(3), nats.NoEcho(), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(c.troubled), nats.DisconnectErrHandler(c.parted), nats.ReconnectHandler(func(nc *nats.Conn) {
			c.o.Log.Info("bus: connected again", "server", nc.ConnectedUrlRedacted())
		})}
	if c.o.Server != nil {
		options = append(options, nats.InProcessServer(c.o.Server.server))
	}
	if c.o.TLS != nil {
		options = append(options, nats.Secure(c.o.TLS))
	}
	for {
		nc, err := nats.Connect(strings.Join(c.o.URLs, ","), options...)
		if err == nil {
			return nc, nil
		}
		if turnedAway(err) {
			return nil, fmt.Errorf("%w (segment %s, key %s)", ErrCredentials, c.self, c.o.Credentials.user)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrDown, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// turnedAway reports whether a failure to connect means a wrong key. Within one process the server just closes the pipe.
func turnedAway(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, io.ErrClosedPipe)
}

// Segment returns who this connection is.
func (c *Conn) Segment() Segment { return c.self }

// Connected reports whether there is a connection to a server right now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Stats returns the counts so far.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	pending := len(c.calls)
	c.mu.Unlock()
	n := &c.counts
	return Stats{Forged: n.forged.Load(), Replayed: n.replayed.Load(), Late: n.late.Load(), Strange: n.strange.Load(), Denied: n.denied.Load(),
		Slow: n.slow.Load(), Gaps: n.gaps.Load(), Busy: n.busy.Load(), Reconnects: c.nc.Stats().Reconnects, Pending: pending}
}

// Close ends the connection. Handlers under way are told by their context and waited for; requests under way end with
// ErrClosed.
func (c *Conn) Close() {
	c.closing.Do(func() {
		c.stop()
		c.busy.Wait()
		if err := c.nc.FlushTimeout(time.Second); err != nil {
			c.o.Log.Debug("bus: last messages", "error", err)
		}
		c.nc.Close()
		c.fail(func(*call) bool { return true }, ErrClosed)
	})
}

// clock is this connection's own clock, in milliseconds; nobody sets it back.
func (c *Conn) clock() uint64 { return uint64(c.o.Now().Sub(c.started).Milliseconds()) + 1 }

func (c *Conn) mark() (m mark, err error) {
	_, err = io.ReadFull(c.o.Random, m[:])
	return m, err
}

// listen subscribes and waits until the server has said whether it may.
func (c *Conn) listen(subject string, take nats.MsgHandler) error {
	sub, err := c.nc.Subscribe(subject, take)
	if err != nil {
		return c.failed(err)
	}
	if err := sub.SetPendingLimits(backlogMax, backlogBytesMax); err != nil {
		return err
	}
	// The server answers in order: whatever it has against the subscription comes before the end of the flush.
	if err := c.nc.FlushTimeout(greetTime); err != nil {
		return errors.Join(c.failed(err), sub.Unsubscribe())
	}
	if err := c.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`) {
		return errors.Join(fmt.Errorf("%w: the server does not let %s listen on %s", ErrDenied, c.self, subject), sub.Unsubscribe())
	}
	return nil
}

// failed translates a failure to send.
func (c *Conn) failed(err error) error {
	switch {
	case c.ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed):
		return ErrClosed
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	}
	return fmt.Errorf("%w: %w", ErrDown, err)
}

// troubled hears what the server, or the client library, has to say outside of any call.
func (c *Conn) troubled(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		c.counts.denied.Add(1)
		subject := between(err.Error(), `"`)
		denied := fmt.Errorf("%w: the server does not let %s send on %s", ErrDenied, c.self, subject)
		c.mu.Lock()
		if stream := c.streams[subject]; stream != nil {
			stream.denied.Store(true)
		}
		c.mu.Unlock()
		if !c.fail(func(waiting *call) bool { return waiting.subject == subject }, denied) {
			c.o.Log.Warn("bus: denied", "segment", c.self.String(), "error", err.Error())
		}
	case errors.Is(err, nats.ErrSlowConsumer):
		c.counts.slow.Add(1)
		subject := ""
		if sub != nil {
			subject = sub.Subject
		}
		c.o.Log.Warn("bus: messages were lost because they were not read in time", "segment", c.self.String(), "subject", subject)
	default:
		c.o.Log.Warn("bus: trouble", "segment", c.self.String(), "error", err.Error())
	}
}

// parted tells everybody who waits that the reply may never come: asking again is better than waiting.
func (c *Conn) parted(_ *nats.Conn, err error) {
	if c.ctx.Err() != nil {
		return
	}
	c.o.Log.Warn("bus: connection lost", "segment", c.self.String(), "error", fmt.Sprint(err))
	c.fail(func(*call) bool { return true }, ErrUnknown)
}

// between returns what stands between the first two quotes.
func between(text, quote string) string {
	_, rest, _ := strings.Cut(text, quote)
	inner, _, _ := strings.Cut(rest, quote)
	return inner
}
