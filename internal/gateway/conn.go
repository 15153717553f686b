package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// Bounds of a WebSocket connection.
const (
	queuedMax     = 16 << 10         // messages that wait for a slow client; then it is dropped
	queuedBytes   = 4 << 20          // the same, in bytes
	answersBytes  = 256 << 10        // with so many that wait, no further request of the client is read
	perAddress    = 300              // open connections of one address; of IPv6, its /64
	incomingMax   = 64 << 10         // bytes of one message from a client
	incomingRate  = 10               // messages a second from a client of the streams
	apiRate       = 1000             // the same of the WebSocket API, where each message costs its weight
	subscribedMax = 1024             // streams of one connection
	connLife      = 24 * time.Hour   // then the client has to come again
	pingEvery     = 20 * time.Second //
	pongWithin    = 60 * time.Second // of a ping
	writeWithin   = 10 * time.Second // of a message
)

// errSlow and others end a connection with a reason that the client is told.
var (
	errSlow = errors.New("too slow: messages waited until there was no room")
	errDay  = errors.New("a connection lives for a day: come again")
	errBan  = errors.New("this address is banned for now")

	errStreams  = errors.New("too many streams")
	errNoStream = errors.New("there is no such stream")
)

// conn is one WebSocket. Its reader is the handler's goroutine, its writer one more; whoever publishes only puts bytes
// into its queue and never waits for it.
type conn struct {
	ws       *websocket.Conn
	addr     netip.Addr
	shape    uint32 // how the client looked when it came
	combined bool   // messages say which stream they are of
	queue    queue
	stop     context.CancelCauseFunc
	ctx      context.Context // ends with stop
	life     context.Context // of reads and writes: a connection whose read is cut off cannot say goodbye

	session atomic.Pointer[session] // of the WebSocket API; nil before a logon
	since   time.Time
	told    bool // answers of the WebSocket API tell what was used

	// Of the reader alone.
	joined map[string]joined
	window time.Time
	count  int
	rate   int
	subs   int64 // user streams of the WebSocket API, numbered
	banned bool  // nothing is answered any more
}

// joined is a stream that a connection listens to: a topic, or an account's events.
type joined struct {
	topic *topic
	book  *book
	user  *userSub
}

// send queues a message, or ends the connection when there is no room.
func (c *conn) send(msg []byte) {
	if !c.queue.put(msg) {
		c.stop(errSlow)
	}
}

// queue is what waits for a connection's writer. It takes memory only while something waits.
type queue struct {
	mu    sync.Mutex
	msgs  [][]byte
	bytes int           // also of what is being written
	ready chan struct{} // holds one token while there is something
	moved chan struct{} // holds one token when something was written
}

func newQueue() queue {
	return queue{ready: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
}

// put reports false when there is no room.
func (q *queue) put(msg []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.msgs) >= queuedMax || q.bytes+len(msg) > queuedBytes {
		return false
	}
	q.msgs, q.bytes = append(q.msgs, msg), q.bytes+len(msg)
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true
}

// take returns all that waits. Each message takes room until it was written.
func (q *queue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs := q.msgs
	q.msgs = nil
	return msgs
}

func (q *queue) wrote(msg []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(msg)
	select {
	case q.moved <- struct{}{}:
	default:
	}
}

// drained waits until at most so many bytes wait, and reports false when the connection ends before.
func (q *queue) drained(ctx context.Context, most int) bool {
	for {
		q.mu.Lock()
		fits := q.bytes <= most
		q.mu.Unlock()
		if fits {
			return true
		}
		select {
		case <-q.moved:
		case <-ctx.Done():
			return false
		}
	}
}

// end ends the connection with a reason for the client.
func (c *conn) end(why string) { c.stop(errors.New(why)) }

// webSocket takes requests to the WebSocket paths and reports whether it was one.
func (s *Server) webSocket(w http.ResponseWriter, r *http.Request) bool {
	path := r.URL.Path
	switch {
	case path == "/ws" || strings.HasPrefix(path, "/ws/") || path == "/stream" || path == "/ws-api/v3":
	default:
		return false
	}
	c := s.calls.Get().(*call)
	s.begin(c, r)
	c.ctx = r.Context()
	p := s.take(c, limits.Request{Weight: 2, Class: limits.General})
	var names []string
	switch {
	case p != nil:
	case c.cat == nil:
		p = notReady()
	default:
		if names, p = streamNames(path, r.URL.RawQuery); p == nil && !s.sockets.enter(c.addr, s.o.Conns) {
			p = overloaded()
		}
	}
	addr := c.addr
	if p != nil {
		s.finish(c, w, p)
	}
	s.calls.Put(c)
	if p == nil {
		defer s.sockets.leave(addr)
		s.talk(w, r, addr, names)
	}
	return true
}

// sockets counts open connections, so that one address cannot have them all.
type sockets struct {
	mu     sync.Mutex
	total  int
	counts map[netip.Addr]int
}

// network is the address itself, or the /64 that an IPv6 customer owns.
func network(a netip.Addr) netip.Addr {
	if p, err := a.Prefix(64); err == nil && a.Is6() {
		return p.Addr()
	}
	return a
}

func (s *sockets) enter(a netip.Addr, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a = network(a)
	if s.total >= most || s.counts[a] >= perAddress {
		return false
	}
	s.total++
	s.counts[a]++
	return true
}

func (s *sockets) leave(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a = network(a)
	s.total--
	if s.counts[a]--; s.counts[a] == 0 {
		delete(s.counts, a)
	}
}

func (s *sockets) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// streamNames reads the streams out of the address: /ws/a/b or /stream?streams=a/b. A short number is what some clients
// put there to tell their connections apart.
func streamNames(path, query string) ([]string, *problem) {
	text := strings.TrimPrefix(strings.TrimPrefix(path, "/ws"), "/")
	switch {
	case path == "/ws-api/v3":
		_, p := limitsTold(query)
		return nil, p
	case path == "/stream":
		text = ""
		if query != "" {
			list, found := strings.CutPrefix(query, "streams=")
			if !found || strings.Contains(list, "&") {
				return nil, malformed("There is one parameter, streams.")
			}
			decoded, ok := unescape(list)
			if !ok {
				return nil, malformed("streams")
			}
			text = decoded
		}
	case query != "":
		return nil, malformed("This address takes no query.")
	}
	if text == "" || len(text) <= 4 && strings.Trim(text, "0123456789") == "" {
		return nil, nil
	}
	names := strings.Split(text, "/")
	if len(names) > subscribedMax {
		return nil, refuse(-1101, "Too many streams.")
	}
	return names, nil
}

// limitsTold reads the query of the WebSocket API: whether answers tell what was used, unless a request says otherwise.
// Times are milliseconds.
func limitsTold(query string) (told bool, p *problem) {
	told = true
	for pair := range strings.SplitSeq(query, "&") {
		switch pair {
		case "", "returnRateLimits=true", "timeUnit=MILLISECOND", "timeUnit=millisecond":
		case "returnRateLimits=false":
			told = false
		default:
			return false, malformed("The WebSocket API takes returnRateLimits, and timeUnit of milliseconds.")
		}
	}
	return told, nil
}

// talk turns the request into a WebSocket and serves it until it ends. Pages of other origins may come: there are no
// cookies and nothing that a browser would add by itself.
func (s *Server) talk(w http.ResponseWriter, r *http.Request, addr netip.Addr, names []string) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer ws.CloseNow()
	ws.SetReadLimit(incomingMax)
	life, done := context.WithCancel(context.WithoutCancel(r.Context()))
	defer done()
	ctx, stop := context.WithCancelCause(life)
	defer stop(nil)
	day := time.AfterFunc(connLife, func() { stop(errDay) })
	defer day.Stop()
	c := &conn{ws: ws, addr: addr, shape: shapeOf(r.Header), combined: r.URL.Path == "/stream", queue: newQueue(), rate: incomingRate, stop: stop, ctx: ctx, life: life, since: s.o.Clock(), joined: map[string]joined{}}
	defer s.leaveAll(c)
	defer s.sessions.leave(c)
	goodbye := context.AfterFunc(ctx, c.farewell)
	defer goodbye()
	unhook := context.AfterFunc(s.closing, func() { c.end("the gateway closes") })
	defer unhook()
	go c.write()
	go c.ping()
	for _, name := range names {
		if err := s.join(c, name); err != nil {
			c.end(err.Error())
			break
		}
	}
	answer := s.command
	if r.URL.Path == "/ws-api/v3" {
		answer, c.rate = s.apiCommand, apiRate
		c.told, _ = limitsTold(r.URL.RawQuery)
	}
	c.read(s, answer)
}

// farewell tells the client why its connection ends, when there is a reason, and ends it. The reader then stops.
func (c *conn) farewell() {
	why := context.Cause(c.ctx)
	if why == nil || errors.Is(why, context.Canceled) {
		c.ws.CloseNow()
		return
	}
	c.ws.Close(websocket.StatusPolicyViolation, short(why.Error()))
}

// short cuts a reason to what a close frame holds.
func short(text string) string { return text[:min(len(text), 120)] }

func (c *conn) read(s *Server, answer func(*conn, []byte) []byte) {
	for {
		kind, msg, err := c.ws.Read(c.life)
		if err != nil {
			c.stop(nil)
			return
		}
		if kind != websocket.MessageText {
			c.end("only text is taken")
			return
		}
		if c.banned {
			continue
		}
		now := s.o.Clock()
		if now.Sub(c.window) >= time.Second {
			c.window, c.count = now, 0
		}
		if c.count++; c.count > c.rate {
			c.end("too many messages in a second")
			return
		}
		c.send(answer(c, msg))
		if c.banned {
			c.queue.drained(c.ctx, 0)
			c.stop(errBan)
			continue // until the goodbye is said
		}
		// Answers are made for this client alone: it gets no more of them than it reads.
		if !c.queue.drained(c.ctx, answersBytes) {
			return
		}
	}
}

func (c *conn) write() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.queue.ready:
		}
		msgs := c.queue.take()
		for _, msg := range msgs {
			if c.ctx.Err() != nil {
				return
			}
			ctx, cancel := context.WithTimeout(c.life, writeWithin)
			err := c.ws.Write(ctx, websocket.MessageText, msg)
			cancel()
			if err != nil {
				c.stop(err)
				return
			}
			c.queue.wrote(msg)
		}
	}
}

func (c *conn) ping() {
	every := time.NewTicker(pingEvery)
	defer every.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-every.C:
			ctx, cancel := context.WithTimeout(c.ctx, pongWithin)
			err := c.ws.Ping(ctx)
			cancel()
			if err != nil {
				c.stop(err)
				return
			}
		}
	}
}

// join makes a connection listen to a stream.
func (s *Server) join(c *conn, name string) error {
	if _, already := c.joined[name]; already {
		return nil
	}
	if len(c.joined) >= subscribedMax {
		return errStreams
	}
	switch user, err := s.userStream(c, name); {
	case err != nil:
		return err
	case user != nil:
		c.joined[name] = joined{user: user}
		return nil
	}
	t, b := s.stream(name)
	if t == nil {
		return errNoStream
	}
	t.join(c)
	b.attend()
	c.joined[name] = joined{topic: t, book: b}
	return nil
}

func (s *Server) leave(c *conn, name string) {
	j, listens := c.joined[name]
	if !listens {
		return
	}
	delete(c.joined, name)
	if j.user != nil {
		s.users.leave(j.user)
		return
	}
	j.topic.leave(c)
	j.book.attend()
}

func (s *Server) leaveAll(c *conn) {
	for name := range c.joined {
		s.leave(c, name)
	}
}

// userSub is a connection that hears an account's events.
type userSub struct {
	conn    *conn
	account exchange.Account
	key     string
	number  int64  // of the WebSocket API
	before  string // what stands before and behind an event
	behind  string
}
