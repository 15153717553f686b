package bus

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// talk is this end of a session: what we ask of whoever serves one subject.
type talk struct {
	subject string
	peer    Segment
	id      mark
	ask     cipher.AEAD
	hear    cipher.AEAD
	theirs  uint64    // the other end's clock when it said welcome
	at      time.Time // our clock when that came: the true time there is a little later, which is the safe side
	mu      sync.Mutex
	seq     uint64
}

// call is a request that waits for its reply. Whoever takes it out of the connection's map ends it, so it ends once.
type call struct {
	number  uint64
	subject string
	talk    *talk // nil for a greeting
	seq     uint64
	again   bool   // sent before, in a session that the other end had forgotten
	payload []byte // kept only until the reply, for sending it again
	until   time.Time
	timer   *time.Timer
	greeted func(h header, sealed []byte) // of a greeting
	done    func([]byte, error)
}

// Request sends a request and waits for its reply: until ctx ends, or five seconds where ctx has no end. The reply's
// bytes belong to the caller. ErrUnknown and the end of ctx leave open whether the request was taken.
func (c *Conn) Request(ctx context.Context, subject string, payload []byte) ([]byte, error) {
	type result struct {
		reply []byte
		err   error
	}
	got := make(chan result, 1)
	number := c.send(ctx, subject, payload, func(reply []byte, err error) { got <- result{reply, err} })
	select {
	case r := <-got:
		return r.reply, r.err
	case <-ctx.Done():
		if waiting := c.take(number); waiting == nil && number != 0 {
			r := <-got // it came at the same moment
			return r.reply, r.err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// Send sends a request and returns; done gets the reply or the error, once, from another goroutine, and must not block.
// The payload must stay as it is until then. ctx counts for its deadline, and for the greeting where there is no session.
func (c *Conn) Send(ctx context.Context, subject string, payload []byte, done func([]byte, error)) {
	c.send(ctx, subject, payload, done)
}

// send returns the number of the call, or zero when done has been called already.
func (c *Conn) send(ctx context.Context, subject string, payload []byte, done func([]byte, error)) uint64 {
	if len(payload) > MessageMax {
		done(nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(payload), MessageMax))
		return 0
	}
	session, err := c.session(ctx, subject, nil)
	if err != nil {
		done(nil, err)
		return 0
	}
	until, given := ctx.Deadline()
	if !given {
		until = time.Now().Add(requestTime)
	}
	waiting := &call{number: c.number(), subject: subject, talk: session, payload: payload, until: until, done: done}
	return c.transmit(waiting)
}

// transmit seals and sends a call, and returns its number, or zero when it ended already. The payload is read before
// the call is registered: from then on it may end at any moment, and the payload is its owner's again.
func (c *Conn) transmit(waiting *call) uint64 {
	session, number := waiting.talk, waiting.number
	left := max(time.Until(waiting.until), time.Millisecond)
	theirs := session.theirs + uint64((c.o.Now().Sub(session.at) + left).Milliseconds())
	// Sealing and sending under one lock: sequences go out in the order in which they rise.
	session.mu.Lock()
	session.seq++
	waiting.seq = session.seq
	h := header{kind: request, from: c.self, to: session.peer, id: session.id, seq: session.seq, until: theirs}
	sealed := seal(session.ask, &h, session.subject, waiting.payload)
	err := c.register(waiting)
	if err != nil {
		session.mu.Unlock()
		waiting.done(nil, err)
		return 0
	}
	err = c.nc.PublishRequest(session.subject, c.inboxFor(number), sealed)
	session.mu.Unlock()
	if err != nil {
		if taken := c.take(number); taken != nil {
			taken.done(nil, c.failed(err))
			return 0
		}
	}
	return number
}

// number draws the next call's number.
func (c *Conn) number() uint64 { return c.lastCall.Add(1) }

func (c *Conn) inboxFor(number uint64) string { return c.inbox + "." + strconv.FormatUint(number, 36) }

// register lets a call be ended: by its reply, by its time, by the connection.
func (c *Conn) register(waiting *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	if len(c.calls) >= pendingMax {
		c.counts.busy.Add(1)
		return fmt.Errorf("%w: %d requests wait for replies", ErrBusy, pendingMax)
	}
	number := waiting.number
	c.calls[number] = waiting
	waiting.timer = time.AfterFunc(time.Until(waiting.until), func() {
		if late := c.take(number); late != nil {
			late.done(nil, ErrUnknown)
		}
	})
	return nil
}

// take removes a call; whoever gets it ends it.
func (c *Conn) take(number uint64) *call {
	c.mu.Lock()
	waiting := c.calls[number]
	delete(c.calls, number)
	c.mu.Unlock()
	if waiting != nil {
		waiting.timer.Stop()
	}
	return waiting
}

// fail ends every call that is meant, and reports whether there was one.
func (c *Conn) fail(meant func(*call) bool, err error) bool {
	var ended []*call
	c.mu.Lock()
	for number, waiting := range c.calls {
		if meant(waiting) {
			ended = append(ended, waiting)
			delete(c.calls, number)
		}
	}
	c.mu.Unlock()
	for _, waiting := range ended {
		waiting.timer.Stop()
		waiting.done(nil, err)
	}
	return len(ended) > 0
}

// orphaned ends the calls whose session was made with a process that is gone: the reply will not come, and asking again
// is better than waiting for the end of its time. Sessions that are older than the last word of that process were its own.
func (c *Conn) orphaned(peer Segment, heard int64) {
	c.fail(func(w *call) bool {
		return w.talk != nil && w.talk.peer == peer && w.talk.at.Sub(c.started).Milliseconds() < heard
	}, ErrUnknown)
}

// noResponders is the status by which a NATS server says that a request found nobody.
const noResponders = "503"

// replied takes a message from our inbox. What is not authentic ends nothing: the true reply may still come.
func (c *Conn) replied(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[len(c.inbox)+1:], 36, 64)
	if err == nil && len(m.Data) == 0 && m.Header.Get("Status") == noResponders {
		// The server says that nobody serves the subject. It is not believed so far as to say that nothing was taken.
		if waiting := c.take(number); waiting != nil {
			waiting.done(nil, ErrUnknown)
		}
		return
	}
	h, sealed, errHeader := readHeader(m.Data)
	if err != nil || errHeader != nil {
		c.counts.forged.Add(1)
		return
	}
	c.mu.Lock()
	waiting := c.calls[number]
	c.mu.Unlock()
	if waiting == nil {
		return // it came after we stopped waiting
	}
	if waiting.greeted != nil {
		waiting.greeted(h, sealed)
		return
	}
	session := waiting.talk
	switch {
	case h.kind == stranger && h.id == session.id && !waiting.again:
		go c.resend(number, session)
	case h.kind == reply && h.from == session.peer && h.to == c.self && h.id == session.id && h.seq == waiting.seq:
		plain, err := open(session.hear, &h, session.subject, sealed)
		if err != nil || len(plain) == 0 {
			c.counts.forged.Add(1)
			return
		}
		if taken := c.take(number); taken != nil {
			taken.finish(plain)
		}
	default:
		c.counts.forged.Add(1)
	}
}

// What a reply begins with.
const (
	replyDone byte = iota
	replyError
	replyBusy
	replyLate
)

func (w *call) finish(plain []byte) {
	switch body := plain[1:]; plain[0] {
	case replyDone:
		w.done(body, nil)
	case replyBusy:
		w.done(nil, fmt.Errorf("%w by %s", ErrBusy, w.talk.peer))
	case replyLate:
		w.done(nil, ErrLate)
	default:
		w.done(nil, &Remote{string(body)})
	}
}

// resend sends a call again because the other end has forgotten the session: it was started again. What it was asked
// before it ended may have been taken, which is why everything that changes something carries its own identity.
func (c *Conn) resend(number uint64, old *talk) {
	ctx, cancel := context.WithTimeout(c.ctx, greetTime)
	defer cancel()
	session, err := c.session(ctx, old.subject, old)
	waiting := c.take(number)
	switch {
	case waiting == nil: // it ended meanwhile
	case err != nil:
		waiting.done(nil, ErrUnknown)
	default:
		waiting.talk, waiting.again = session, true
		c.transmit(waiting)
	}
}

// session returns the session of a subject, and makes one where there is none but stale.
func (c *Conn) session(ctx context.Context, subject string, stale *talk) (*talk, error) {
	c.mu.Lock()
	session := c.talks[subject]
	c.mu.Unlock()
	if session != nil && session != stale {
		return session, nil
	}
	c.greeting.Lock()
	defer c.greeting.Unlock()
	c.mu.Lock()
	session, missed := c.talks[subject], c.missed[subject]
	c.mu.Unlock()
	if session != nil && session != stale {
		return session, nil
	}
	if missed.err != nil && c.o.Now().Sub(missed.at) < missedTime {
		return nil, missed.err // whoever waited for the greeting does not wait for one more
	}
	session, err := c.greet(ctx, subject)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.missed[subject] = failure{err, c.o.Now()}
		return nil, err
	}
	delete(c.missed, subject)
	c.talks[subject] = session
	return session, nil
}

// missedTime is how long a greeting that failed stands for those who come right after it.
const missedTime = 100 * time.Millisecond

// failure is a greeting that failed.
type failure struct {
	err error
	at  time.Time
}

// greet makes a session. A greeting that gets no answer changed nothing, so its failure is never ErrUnknown.
func (c *Conn) greet(ctx context.Context, subject string) (*talk, error) {
	peer, err := towards(c.self, subject, false)
	if err != nil {
		return nil, err
	}
	ours, err := c.mark()
	if err != nil {
		return nil, err
	}
	box, err := c.o.Credentials.box(c.self, peer, ours[:], "hello")
	if err != nil {
		return nil, err
	}
	until, given := ctx.Deadline()
	if !given || time.Until(until) > greetTime {
		until = time.Now().Add(greetTime)
	}
	session := &talk{subject: subject, peer: peer}
	ended := make(chan error, 1)
	waiting := &call{number: c.number(), subject: subject, until: until, done: func(_ []byte, err error) { ended <- err }}
	waiting.greeted = func(h header, sealed []byte) {
		if h.kind != welcome || c.welcomed(session, ours, h, sealed) != nil {
			c.counts.forged.Add(1)
		} else if c.take(waiting.number) != nil {
			ended <- nil
		}
	}
	if err := c.register(waiting); err != nil {
		return nil, err
	}
	h := header{kind: hello, from: c.self, to: peer, id: ours}
	if err := c.nc.PublishRequest(subject, c.inboxFor(waiting.number), seal(box, &h, subject)); err != nil {
		c.take(waiting.number)
		return nil, c.failed(err)
	}
	if err := <-ended; errors.Is(err, ErrUnknown) {
		return nil, fmt.Errorf("%w: nobody serves %s", ErrDown, subject)
	} else if err != nil {
		return nil, err
	}
	return session, nil
}

// welcomed checks a welcome and makes the session's keys from both fresh numbers.
func (c *Conn) welcomed(session *talk, ours mark, h header, sealed []byte) error {
	salt := append(ours[:len(ours):len(ours)], h.id[:]...)
	box, err := c.o.Credentials.box(session.peer, c.self, salt, "welcome")
	if err != nil {
		return err
	}
	plain, err := open(box, &h, session.subject, sealed)
	if err != nil || len(plain) != 8 || h.from != session.peer || h.to != c.self {
		return errEnvelope
	}
	keys, err := sessionKeys(c.o.Credentials, c.self, session.peer, salt)
	if err != nil {
		return err
	}
	session.id, session.ask, session.hear = keys.id, keys.ask, keys.answer
	session.theirs, session.at = binary.LittleEndian.Uint64(plain), c.o.Now()
	return nil
}

// keysOfSession are what both ends make of a session's salt.
type keysOfSession struct {
	id          mark
	ask, answer cipher.AEAD
}

func sessionKeys(c Credentials, asker, server Segment, salt []byte) (k keysOfSession, err error) {
	id, err := c.derive(asker, server, salt, "session", len(k.id))
	if err != nil {
		return k, err
	}
	k.id = mark(id)
	if k.ask, err = c.box(asker, server, salt, "request"); err != nil {
		return k, err
	}
	k.answer, err = c.box(server, asker, salt, "reply")
	return k, err
}
