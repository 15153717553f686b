package records

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// A transaction costs the pages that it touches, and frames that come one after the other touch the same ones: the ends
// of tables and indexes, the balances of whoever trades. So what is told is gathered for a short while and written
// together. Who asks is not kept waiting for that: an answer calls for what was told before it.
const (
	gatherTime = 100 * time.Millisecond // between the beginnings of two transactions, when events come all the time
	calledTime = 5 * time.Millisecond   // the same, when an answer waits
	// gatherEnough bytes of events are a transaction whatever the time: so it goes when much is to be caught up.
	gatherEnough = 4 << 20
	gatherMost   = 16 << 20 // with so many, Write waits
	closeMax     = 10 * time.Second
	settleMax    = 250 * time.Millisecond // an answer waits so long for what was told before it
)

// errClosed is what Write says after Close.
var errClosed = errors.New("records: closed")

// gathering is what was told and is not written yet.
type gathering struct {
	sync.Mutex
	events []byte
	pieces []piece
	told   uint64 // last command of what was told
	// failed is why a transaction was not made. Nothing is taken from then on, so that no gap can come to be, until
	// whoever tells has asked Last.
	failed  error
	called  bool // somebody waits for the next transaction
	busy    bool // a transaction is being made
	closing bool
	idle    bool          // the writing goroutine waits for anything at all
	wake    chan struct{} // has a token when it should look again
	ended   chan struct{} // closed when it ended
	spare   gathered      // the buffers of the last transaction
}

// piece is what one Write told: the events from the end of the piece before it.
type piece struct {
	seq uint64 // of the last command
	at  exchange.Millis
	end int
}

// gathered is what becomes one transaction.
type gathered struct {
	events []byte
	pieces []piece
}

// Write takes the events of all commands up to seq that were not told before; at is the time of the last frame. They
// are in the tables a moment later (Flush). When a transaction failed, the next Write says so and takes nothing, as does
// every other one until Last was asked: it says from where to tell again.
func (r *Records) Write(ctx context.Context, seq uint64, at exchange.Millis, events []byte) error {
	if r.read {
		return errors.New("records: opened for reading")
	}
	g := &r.gathering
	g.Lock()
	defer g.Unlock()
	for g.failed == nil && len(g.events) > 0 && len(g.events)+len(events) > gatherMost {
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	switch {
	case g.failed != nil:
		return g.failed
	case g.closing:
		return errClosed
	case seq <= g.told:
		return nil // told again
	}
	g.events = append(g.events, events...)
	g.pieces = append(g.pieces, piece{seq, at, len(g.events)})
	g.told = seq
	if g.idle || len(g.events) >= gatherEnough {
		g.look()
	}
	return nil
}

// Flush returns when what was told is in the tables.
func (r *Records) Flush(ctx context.Context) error {
	g := &r.gathering
	g.Lock()
	defer g.Unlock()
	return r.reach(ctx, g.told)
}

// reach waits until a command is in the tables. The caller holds the lock.
func (r *Records) reach(ctx context.Context, seq uint64) error {
	g := &r.gathering
	for g.failed == nil && (g.busy || len(g.pieces) > 0) && r.written.Load() < seq {
		g.called = true
		g.look()
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	return g.failed
}

// wait waits, without the lock, until a transaction ended.
func (r *Records) wait(ctx context.Context) error {
	moved := r.nextMove()
	r.gathering.Unlock()
	defer r.gathering.Lock()
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("records: %w", ctx.Err())
	}
}

func (g *gathering) look() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// writeAlways makes transactions until Close.
func (r *Records) writeAlways() {
	g := &r.gathering
	defer close(g.ended)
	var last time.Time
	for g.ripe(last) {
		last = time.Now()
		g.Lock()
		batch := gathered{g.events, g.pieces}
		g.events, g.pieces = g.spare.events[:0], g.spare.pieces[:0]
		g.busy, g.called = true, false
		g.Unlock()
		err := r.put(r.life, batch)
		g.Lock()
		g.spare, g.busy = batch, false
		if err != nil {
			g.failed, g.events, g.pieces = err, g.events[:0], g.pieces[:0]
		}
		g.Unlock()
		r.wake()
		r.db.tidy()
	}
}

// ripe waits until there is something to write and the time for it; false: the records were closed.
func (g *gathering) ripe(last time.Time) bool {
	for {
		g.Lock()
		pending, pause := len(g.pieces) > 0, gatherTime
		switch {
		case g.closing || len(g.events) >= gatherEnough:
			pause = 0
		case g.called:
			pause = calledTime
		}
		closing, left := g.closing, time.Until(last.Add(pause))
		g.idle = !pending && !closing
		g.Unlock()
		if pending && left <= 0 || closing {
			return pending
		}
		if !pending {
			<-g.wake
			continue
		}
		timer := time.NewTimer(left)
		select {
		case <-g.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// forgive forgets why a transaction failed, and what was told since the last one that did not.
func (r *Records) forgive() {
	g := &r.gathering
	g.Lock()
	defer g.Unlock()
	g.failed, g.events, g.pieces, g.told = nil, g.events[:0], g.pieces[:0], 0
}

// endWriting writes what was told and ends the goroutine that writes.
func (r *Records) endWriting() error {
	g := &r.gathering
	g.Lock()
	g.closing = true
	failed := g.failed
	g.look()
	g.Unlock()
	timer := time.AfterFunc(closeMax, r.kill)
	<-g.ended
	timer.Stop()
	r.kill()
	g.Lock()
	defer g.Unlock()
	if failed == nil {
		return g.failed // nobody was told of it yet
	}
	return nil
}

// call has a command written soon that was told.
func (r *Records) call(seq uint64) {
	g := &r.gathering
	g.Lock()
	defer g.Unlock()
	if r.written.Load() < seq && len(g.pieces) > 0 {
		g.called = true
		g.look()
	}
}

// settle waits a short while for what was told before.
func (r *Records) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	r.Flush(ctx) // an answer that is a moment old is better than none
}

// everybodys reports whether a question is about what all customers see. Its answer may be a moment old.
func everybodys(q exchange.Question) bool {
	return q.Candles != nil || q.Tickers != nil || q.Status != nil || q.Trades != nil && q.Trades.Account == 0
}
