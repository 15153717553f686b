package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// world is a set of segments' credentials.
type world struct {
	creds map[Segment]Credentials
	users Users
}

func newWorld(t testing.TB) world {
	t.Helper()
	all, err := NewCredentials(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := world{creds: map[Segment]Credentials{}, users: UsersOf(all)}
	for _, c := range all {
		w.creds[c.Segment()] = c
	}
	return w
}

func (w world) server(t testing.TB, listen string) *Server {
	t.Helper()
	s, err := NewServer(ServerOptions{Users: w.users, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (w world) dial(t testing.TB, s Segment, o Options) *Conn {
	t.Helper()
	o.Credentials = w.creds[s]
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t testing.TB, c *Conn, subject string, h Handler) {
	t.Helper()
	if err := c.Serve(subject, 16, h); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, c *Conn, subject, text string) string {
	t.Helper()
	out, err := c.Request(context.Background(), subject, []byte(text))
	if err != nil {
		t.Fatalf("%s %q: %v", subject, text, err)
	}
	return string(out)
}

// log is a handler that answers "did: " and keeps what it did, in order.
type log struct {
	mu   sync.Mutex
	did  []string
	hold chan struct{} // when set, each handler waits for it
}

func (l *log) handle(_ context.Context, _ Segment, payload []byte) ([]byte, error) {
	l.mu.Lock()
	l.did = append(l.did, string(payload))
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return append([]byte("did: "), payload...), nil
}

func (l *log) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.did...)
}

// hostile is a bus between two servers, that does with messages what it likes: the gateway is connected to one, the
// engine to the other.
type hostile struct {
	near, far      *Server // of the gateway and of the engine
	nearNC, farNC  *nats.Conn
	gateway, other *Conn

	mu    sync.Mutex
	cross func(m *nats.Msg, inward bool) []*nats.Msg // what to deliver for what came; nil: the same
}

func (h *hostile) rule(cross func(m *nats.Msg, inward bool) []*nats.Msg) {
	h.mu.Lock()
	h.cross = cross
	h.mu.Unlock()
}

// everything makes a server that also admits a user who may do everything: who holds the server is such a user.
func (w world) everything(t testing.TB) (*Server, *nats.Conn) {
	t.Helper()
	options := serverOptions(w.users)
	options.DontListen = true
	master, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := master.PublicKey()
	options.Nkeys = append(options.Nkeys, &server.NkeyUser{Nkey: public, Account: options.Accounts[0]})
	s, err := startServer(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	nc, err := nats.Connect("", nats.InProcessServer(s.server), nats.Nkey(public, master.Sign), nats.NoEcho())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return s, nc
}

// newHostile puts the hostile bus between a gateway and an engine whose clock is given.
func newHostile(t testing.TB, clock func() time.Time) *hostile {
	t.Helper()
	w := newWorld(t)
	h := &hostile{}
	h.near, h.nearNC = w.everything(t)
	h.far, h.farNC = w.everything(t)
	bridge := func(from, to *nats.Conn, subject string, inward bool) {
		_, err := from.Subscribe(subject, func(m *nats.Msg) {
			h.mu.Lock()
			cross := h.cross
			h.mu.Unlock()
			send := []*nats.Msg{m}
			if cross != nil {
				send = cross(m, inward)
			}
			for _, one := range send {
				if err := to.PublishMsg(&nats.Msg{Subject: one.Subject, Reply: one.Reply, Data: one.Data}); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
					t.Error(err)
				}
			}
		})
		if err := errors.Join(err, from.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"cmd.>", "qry.>", "epoch.>"} {
		bridge(h.nearNC, h.farNC, subject, true)
	}
	bridge(h.farNC, h.nearNC, "_INBOX.>", false)
	bridge(h.farNC, h.nearNC, "evt.>", false)
	h.gateway = w.dial(t, Gateway, Options{Server: h.near})
	h.other = w.dial(t, Engine, Options{Server: h.far, Now: clock})
	return h
}

// copyOf copies a message, so that it can be sent again or changed.
func copyOf(m *nats.Msg) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Reply: m.Reply, Data: append([]byte(nil), m.Data...)}
}

// heardEvents is a listener that tells what it hears.
type heardEvents chan string

func (h heardEvents) Missed()              { h <- "missed" }
func (h heardEvents) Event(payload []byte) { h <- string(payload) }
