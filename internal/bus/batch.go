package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// BatchOptions are the limits of a batcher; zero takes the default.
type BatchOptions struct {
	Frames   int           // messages under way at a time; 4
	Commands int           // in one message; 512
	Queue    int           // commands that wait; 16,384
	Timeout  time.Duration // of a message; 5 s
}

const (
	batchBytes = 1 << 20  // a message is closed when it is this long; one more command with the longest body still fits
	queueBytes = 64 << 20 // of commands that wait
)

// Batcher sends commands on one subject. Whatever is pending goes in one message, without waiting for more: under load
// messages grow by themselves. No goroutine of its own stands between a caller and the wire.
type Batcher struct {
	conn    *Conn
	subject string
	o       BatchOptions

	mu      sync.Mutex
	queue   []*ticket
	waiting int      // commands in queue
	bytes   int      // of them
	frames  int      // under way
	spare   [][]byte // buffers of frames
}

// Reader takes its part from the front of a reply and returns the rest. Without keep it only finds where its part ends:
// whoever asked has left, and what Reader writes to is no longer lent to it.
type Reader func(reply []byte, keep bool) (rest []byte, err error)

// ticket is one caller's part of a message.
type ticket struct {
	raw   []byte
	count int
	read  Reader
	ended chan error
	mu    sync.Mutex
	gone  bool // the caller no longer waits: what read would write to is its own again
}

// NewBatcher makes a batcher for a subject of commands.
func NewBatcher(conn *Conn, subject string, o BatchOptions) *Batcher {
	if o.Frames == 0 {
		o.Frames = 4
	}
	if o.Commands == 0 {
		o.Commands = 512
	}
	if o.Queue == 0 {
		o.Queue = 16384
	}
	if o.Timeout == 0 {
		o.Timeout = requestTime
	}
	return &Batcher{conn: conn, subject: subject, o: o}
}

// Do sends commands and waits for their outcomes, one in out for each. Without an error every command was decided; an
// outcome may still say Busy or Superseded. ErrBusy, ErrDenied, ErrDown and ErrLate mean that none was taken. ErrUnknown,
// and the end of ctx, leave it open: send the same commands again.
func (b *Batcher) Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	if len(cmds) == 0 || len(cmds) > b.o.Commands || len(out) < len(cmds) {
		return fmt.Errorf("bus: %d commands with %d places for outcomes; from 1 to %d", len(cmds), len(out), b.o.Commands)
	}
	raw := make([]byte, 0, len(cmds)*160)
	for i := range cmds {
		raw = cmds[i].Append(raw)
	}
	count := len(cmds)
	return b.Raw(ctx, raw, count, func(reply []byte, keep bool) (rest []byte, err error) {
		for i := range count {
			var dropped exchange.Outcome
			to := &dropped
			if keep {
				to = &out[i]
			}
			if reply, err = to.Read(reply); err != nil {
				return nil, err
			}
		}
		return reply, nil
	})
}

// Raw sends count things of any kind in one piece of a message, and has read take their part from the front of the
// reply.
func (b *Batcher) Raw(ctx context.Context, raw []byte, count int, read Reader) error {
	if len(raw) > batchBytes+exchange.BodyMax {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(raw))
	}
	t := &ticket{raw: raw, count: count, read: read, ended: make(chan error, 1)}
	b.mu.Lock()
	if b.waiting+t.count > b.o.Queue || b.bytes+len(t.raw) > queueBytes {
		b.mu.Unlock()
		b.conn.counts.busy.Add(1)
		return fmt.Errorf("%w: %d commands wait", ErrBusy, b.o.Queue)
	}
	b.queue = append(b.queue, t)
	b.waiting += t.count
	b.bytes += len(t.raw)
	mine := b.frames < b.o.Frames
	if mine {
		b.frames++
	}
	b.mu.Unlock()
	if mine {
		b.pump()
	}
	select {
	case err := <-t.ended:
		return err
	case <-ctx.Done():
		t.mu.Lock()
		t.gone = true
		t.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// pump sends what is pending as one message, in the place of a frame that its caller holds.
func (b *Batcher) pump() {
	b.mu.Lock()
	if len(b.queue) == 0 {
		b.frames--
		b.mu.Unlock()
		return
	}
	var frame []byte
	if n := len(b.spare); n > 0 {
		frame, b.spare = b.spare[n-1][:0], b.spare[:n-1]
	}
	taken, count := 0, 0
	for _, t := range b.queue {
		if taken > 0 && (count+t.count > b.o.Commands || len(frame)+len(t.raw) > batchBytes) {
			break
		}
		frame = append(frame, t.raw...)
		count += t.count
		b.bytes -= len(t.raw)
		taken++
	}
	tickets := append([]*ticket(nil), b.queue[:taken]...)
	rest := copy(b.queue, b.queue[taken:])
	clear(b.queue[rest:])
	b.queue = b.queue[:rest]
	b.waiting -= count
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.conn.ctx, b.o.Timeout)
	b.conn.Send(ctx, b.subject, frame, func(reply []byte, err error) {
		cancel()
		b.mu.Lock()
		if len(b.spare) < b.o.Frames && cap(frame) <= 2*batchBytes {
			b.spare = append(b.spare, frame)
		}
		b.mu.Unlock()
		deliver(tickets, reply, err)
		b.pump()
	})
}

// deliver gives each caller its part. A reply that does not fit says nothing about what was done; a caller that has left
// has its part read past.
func deliver(tickets []*ticket, reply []byte, err error) {
	for _, t := range tickets {
		if err == nil {
			t.mu.Lock()
			reply, err = t.read(reply, !t.gone)
			t.mu.Unlock()
			if err != nil {
				err = errors.Join(ErrUnknown, err)
			}
		}
		t.ended <- err
	}
}
