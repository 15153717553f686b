package bus

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	beatTime    = time.Second     // a stream that has nothing to say says so
	silenceTime = 3 * time.Second // after which a listener asks whether it missed something
)

// Publisher sends the events of one subject to one segment, each with the next number.
type Publisher struct {
	conn    *Conn
	subject string
	to      Segment
	epoch   mark
	box     cipher.AEAD
	denied  atomic.Bool

	mu  sync.Mutex
	seq uint64
	at  time.Time // of the last message
}

// Publisher opens a stream. There is one of each subject in a connection, and one engine that has it: a listener
// believes whoever answers for the epoch.
func (c *Conn) Publisher(subject string) (*Publisher, error) {
	to, err := towards(c.self, subject, true)
	if err != nil {
		return nil, err
	}
	epoch, err := c.mark()
	if err != nil {
		return nil, err
	}
	p := &Publisher{conn: c, subject: subject, to: to, epoch: epoch, at: c.o.Now()}
	if p.box, err = c.o.Credentials.box(c.self, to, epoch[:], "event "+subject); err != nil {
		return nil, err
	}
	c.mu.Lock()
	_, open := c.streams[subject]
	if !open {
		c.streams[subject] = p
	}
	first := !c.answers
	c.answers = true
	c.mu.Unlock()
	if open {
		return nil, fmt.Errorf("bus: stream %s is open already", subject)
	}
	if first {
		if err := c.Serve("epoch."+c.self.String(), 16, c.epochs); err != nil {
			return nil, err
		}
		go c.beat()
	}
	return p, nil
}

// Publish sends one event. ErrDown says that nobody can get it right now, ErrTooLarge that nobody ever will; its number
// is used all the same, so that every listener sees the hole.
func (p *Publisher) Publish(payload []byte) error {
	if len(payload) > MessageMax {
		p.mu.Lock()
		p.seq++
		p.mu.Unlock()
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(payload), MessageMax)
	}
	if p.denied.Load() {
		return fmt.Errorf("%w: the server does not let %s publish on %s", ErrDenied, p.conn.self, p.subject)
	}
	return p.send([]byte{1}, payload)
}

func (p *Publisher) send(parts ...[]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	p.at = p.conn.o.Now()
	h := header{kind: event, from: p.conn.self, to: p.to, id: p.epoch, seq: p.seq}
	if err := p.conn.nc.Publish(p.subject, seal(p.box, &h, p.subject, parts...)); err != nil {
		return p.conn.failed(err)
	}
	return nil
}

// beat lets listeners notice a lost last event.
func (c *Conn) beat() {
	ticker := time.NewTicker(beatTime)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		streams := make([]*Publisher, 0, len(c.streams))
		for _, p := range c.streams {
			streams = append(streams, p)
		}
		c.mu.Unlock()
		for _, p := range streams {
			p.mu.Lock()
			quiet := c.o.Now().Sub(p.at) >= beatTime
			p.mu.Unlock()
			if quiet {
				_ = p.send([]byte{0}) // a beat that is lost is what the next one is for
			}
		}
	}
}

// epochs answers which epoch a stream has and how far it is: the proof that a listener's events are of now.
func (c *Conn) epochs(_ context.Context, from Segment, subject []byte) ([]byte, error) {
	c.mu.Lock()
	p := c.streams[string(subject)]
	c.mu.Unlock()
	if p == nil || p.to != from {
		return nil, errors.New("no such stream")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return binary.LittleEndian.AppendUint64(p.epoch[:len(p.epoch):len(p.epoch)], p.seq), nil
}

// Listener hears a stream. Its methods are called one at a time.
type Listener interface {
	// Missed says that events may be missing before the next one: at the start, after a hole, and when the publisher
	// was started again.
	Missed()
	// Event gets the next event. The payload is the listener's.
	Event(payload []byte)
}

// hearing is this end of a stream.
type hearing struct {
	conn     *Conn
	subject  string
	from     Segment
	listener Listener
	asking   atomic.Bool
	heard    atomic.Int64 // when something authentic came, on our clock

	mu    sync.Mutex
	epoch mark
	box   cipher.AEAD // nil until the publisher has told its epoch
	next  uint64
}

// Subscribe hears a stream until the connection is closed. It begins with Missed, once the publisher is there.
func (c *Conn) Subscribe(subject string, listener Listener) error {
	if err := takes(c.self, subject, true); err != nil {
		return err
	}
	r, _ := ruleOf(subject)
	h := &hearing{conn: c, subject: subject, from: r.from[0], listener: listener}
	if err := c.listen(subject, h.took); err != nil {
		return err
	}
	go h.watch()
	return nil
}

// watch asks the publisher whenever nothing authentic was heard for a while.
func (s *hearing) watch() {
	ticker := time.NewTicker(beatTime / 2)
	defer ticker.Stop()
	s.ask()
	for {
		select {
		case <-s.conn.ctx.Done():
			return
		case <-ticker.C:
		}
		quiet := int64(s.conn.clock())-s.heard.Load() >= silenceTime.Milliseconds()
		s.mu.Lock()
		begun := s.box != nil
		s.mu.Unlock()
		if quiet || !begun {
			s.ask()
		}
	}
}

// ask learns the epoch of now from the publisher itself, in a fresh session: nobody can play an old one.
func (s *hearing) ask() {
	if !s.asking.CompareAndSwap(false, true) {
		return
	}
	defer s.asking.Store(false)
	ctx, cancel := context.WithTimeout(s.conn.ctx, greetTime)
	defer cancel()
	told, err := s.conn.Request(ctx, "epoch."+s.from.String(), []byte(s.subject))
	if err != nil || len(told) != len(mark{})+8 {
		return // nobody publishes now; the next silence asks again
	}
	if before, again := s.learned(mark(told), binary.LittleEndian.Uint64(told[len(mark{}):])); again {
		s.conn.orphaned(s.from, before)
	}
}

// learned goes on from where the publisher is now. It reports whether that one was started again, and the time at which
// the one before was heard last.
func (s *hearing) learned(epoch mark, last uint64) (before int64, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box != nil && s.epoch == epoch && last < s.next {
		return 0, false // nothing was missed
	}
	box, err := s.conn.o.Credentials.box(s.from, s.conn.self, epoch[:], "event "+s.subject)
	if err != nil {
		return 0, false
	}
	if s.box != nil {
		s.conn.counts.gaps.Add(1)
	}
	before, again = s.heard.Load(), s.box != nil && s.epoch != epoch
	s.epoch, s.box, s.next = epoch, box, last+1
	s.heard.Store(int64(s.conn.clock()))
	s.listener.Missed()
	return before, again
}

func (s *hearing) took(m *nats.Msg) {
	c := s.conn
	h, sealed, err := readHeader(m.Data)
	if err != nil || h.kind != event || h.from != s.from || h.to != c.self {
		c.counts.forged.Add(1)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box == nil || h.id != s.epoch {
		c.counts.strange.Add(1)
		go s.ask()
		return
	}
	plain, err := open(s.box, &h, s.subject, sealed)
	if err != nil || len(plain) == 0 {
		c.counts.forged.Add(1)
		return
	}
	if h.seq < s.next {
		c.counts.replayed.Add(1)
		return
	}
	s.heard.Store(int64(c.clock()))
	if h.seq > s.next {
		c.counts.gaps.Add(1)
		s.listener.Missed()
	}
	s.next = h.seq + 1
	if plain[0] == 1 {
		s.listener.Event(plain[1:])
	}
}
