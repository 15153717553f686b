package bus

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	sessionsMax = 256 // of one subject; the one that was used least recently makes room
	textMax     = 1024
)

// Handler answers one request. Its context ends when the asker no longer waits. The payload is the handler's. ErrBusy
// tells the asker that nothing was taken; another error's text travels to the asker.
type Handler func(ctx context.Context, from Segment, payload []byte) ([]byte, error)

// heldSession is the other end of a session. Only the subscription's goroutine touches it.
type heldSession struct {
	from    Segment
	keys    keysOfSession
	seq     uint64 // the highest that was taken
	used    uint64 // for finding the least recent
	trusted bool   // a message came that only the true asker can seal
}

// desk serves one subject.
type desk struct {
	conn     *Conn
	subject  string
	handler  Handler
	places   chan struct{}
	sessions map[mark]*heldSession
	turn     uint64
}

// Serve answers requests on a subject until the connection is closed, at most workers of them at a time; what comes
// beyond that is refused as busy at once. Within a session requests start in the order in which they were sent.
func (c *Conn) Serve(subject string, workers int, handler Handler) error {
	if err := takes(c.self, subject, false); err != nil {
		return err
	}
	d := &desk{conn: c, subject: subject, handler: handler, places: make(chan struct{}, workers), sessions: map[mark]*heldSession{}}
	return c.listen(subject, d.took)
}

func (d *desk) took(m *nats.Msg) {
	c := d.conn
	h, sealed, err := readHeader(m.Data)
	if err != nil || h.to != c.self || m.Reply == "" {
		c.counts.forged.Add(1)
		return
	}
	switch h.kind {
	case hello:
		d.welcome(m, h, sealed)
	case request:
		d.judge(m, h, sealed)
	default:
		c.counts.forged.Add(1)
	}
}

// welcome makes a session for whoever shares a key with us. A recorded hello makes a session that its sender cannot
// use, and that is the first to make room.
func (d *desk) welcome(m *nats.Msg, h header, sealed []byte) {
	c := d.conn
	if from, err := towards(h.from, d.subject, false); err != nil || from != c.self {
		c.counts.forged.Add(1)
		return
	}
	box, err := c.o.Credentials.box(h.from, c.self, h.id[:], "hello")
	if err != nil {
		c.counts.forged.Add(1)
		return
	}
	if _, err := open(box, &h, d.subject, sealed); err != nil {
		c.counts.forged.Add(1)
		return
	}
	ours, err := c.mark()
	if err != nil {
		c.o.Log.Error("bus: random numbers", "error", err)
		return
	}
	salt := append(h.id[:], ours[:]...)
	keys, errKeys := sessionKeys(c.o.Credentials, h.from, c.self, salt)
	grant, errBox := c.o.Credentials.box(c.self, h.from, salt, "welcome")
	if err := errors.Join(errKeys, errBox); err != nil {
		c.o.Log.Error("bus: session", "error", err)
		return
	}
	d.makeRoom()
	d.turn++
	d.sessions[keys.id] = &heldSession{from: h.from, keys: keys, used: d.turn}
	back := header{kind: welcome, from: c.self, to: h.from, id: ours}
	c.publish(m.Reply, seal(grant, &back, d.subject, binary.LittleEndian.AppendUint64(nil, c.clock())))
}

// makeRoom forgets the session that was used least recently, unproven ones first. Its owner says hello again.
func (d *desk) makeRoom() {
	if len(d.sessions) < sessionsMax {
		return
	}
	var oldest mark
	var found *heldSession
	for id, s := range d.sessions {
		if found == nil || found.trusted && !s.trusted || found.trusted == s.trusted && s.used < found.used {
			oldest, found = id, s
		}
	}
	delete(d.sessions, oldest)
}

// judge takes a request once, in its order and in its time, or not at all.
func (d *desk) judge(m *nats.Msg, h header, sealed []byte) {
	c := d.conn
	session := d.sessions[h.id]
	if session == nil {
		c.counts.strange.Add(1)
		back := header{kind: stranger, from: c.self, to: h.from, id: h.id, seq: h.seq}
		c.publish(m.Reply, back.append(nil))
		return
	}
	payload, err := open(session.keys.ask, &h, d.subject, sealed)
	if err != nil || h.from != session.from {
		c.counts.forged.Add(1)
		return
	}
	if h.seq <= session.seq {
		c.counts.replayed.Add(1) // no reply: each sequence is sealed for once
		return
	}
	d.turn++
	session.seq, session.used, session.trusted = h.seq, d.turn, true
	now := c.clock()
	if h.until < now {
		c.counts.late.Add(1)
		d.answer(m.Reply, session.keys.answer, h, replyLate, nil)
		return
	}
	select {
	case d.places <- struct{}{}:
	default:
		c.counts.busy.Add(1)
		d.answer(m.Reply, session.keys.answer, h, replyBusy, nil)
		return
	}
	left := time.Duration(min(h.until-now, uint64(replyLife/time.Millisecond))) * time.Millisecond
	c.busy.Go(func() { d.work(m.Reply, session.keys.answer, h, payload, left) })
}

func (d *desk) work(to string, box cipher.AEAD, h header, payload []byte, left time.Duration) {
	defer func() { <-d.places }()
	ctx, cancel := context.WithTimeout(d.conn.ctx, left)
	defer cancel()
	out, err := d.handler(ctx, h.from, payload)
	switch {
	case errors.Is(err, ErrBusy):
		d.answer(to, box, h, replyBusy, nil)
	case err != nil:
		text := err.Error()
		d.answer(to, box, h, replyError, []byte(text[:min(len(text), textMax)]))
	case len(out) > MessageMax:
		d.answer(to, box, h, replyError, []byte("the reply is too large"))
	default:
		d.answer(to, box, h, replyDone, out)
	}
}

func (d *desk) answer(to string, box cipher.AEAD, asked header, code byte, body []byte) {
	back := header{kind: reply, from: d.conn.self, to: asked.from, id: asked.id, seq: asked.seq}
	d.conn.publish(to, seal(box, &back, d.subject, []byte{code}, body))
}

// publish sends what nobody waits for here. When it is lost, the other end's time runs out.
func (c *Conn) publish(subject string, message []byte) {
	if err := c.nc.Publish(subject, message); err != nil {
		c.o.Log.Warn("bus: not sent", "segment", c.self.String(), "error", err.Error())
	}
}
