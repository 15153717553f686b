package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// noDue is the time at which nothing expires.
const noDue = exchange.Millis(math.MaxInt64)

// ask is a question that waits for the loop which owns the state.
type ask struct {
	ctx      context.Context
	question exchange.Question
	answer   exchange.Answer
	live     bool
	done     chan struct{}
}

// Ask answers a question about what is now, from what is durable and applied. It reports false when the question is
// about history, which the records answer. A question that names a command by After waits for it.
func (r *Runner) Ask(ctx context.Context, q exchange.Question) (exchange.Answer, bool, error) {
	a := &ask{ctx: ctx, question: q, done: make(chan struct{}, 1)}
	select {
	case r.asks <- a:
	case <-r.stopped:
		return exchange.Answer{}, false, r.reason
	case <-ctx.Done():
		return exchange.Answer{}, false, ctx.Err()
	}
	select {
	case <-a.done:
		return a.answer, a.live, nil
	case <-r.stopped:
		return exchange.Answer{}, false, r.reason
	case <-ctx.Done():
		return exchange.Answer{}, false, ctx.Err()
	}
}

// Applied returns the sequence number of the last command that is durable and applied.
func (r *Runner) Applied() uint64 { return r.applied.Load() }

// serveAll hands on each frame that is durable and applied, and answers questions when the state is what the journal
// holds. After a failure it never has the state again.
func (r *Runner) serveAll() {
	var asked, waiting []*ask // nobody has looked at them; they wait for a command that is not applied yet
	for {
		asks, rest := r.asks, r.rest
		if len(asked) == 0 {
			rest = nil
		} else if len(asked) == asksAtOnce {
			asks = nil
		}
		select {
		case a := <-asks:
			asked = append(asked, a)
			continue
		case b, more := <-r.frames:
			if !more {
				return
			}
			r.handOn(b)
			waiting = slices.DeleteFunc(waiting, func(a *ask) bool { return a.ctx.Err() != nil || r.answer(a) })
		case <-rest:
		}
		for _, a := range asked {
			waiting = r.answerOrWait(a, waiting)
		}
		clear(asked)
		asked = asked[:0]
		r.rest <- struct{}{}
	}
}

func (r *Runner) answerOrWait(a *ask, waiting []*ask) []*ask {
	switch {
	case r.answer(a):
		return waiting
	case len(waiting) < asksMax:
		return append(waiting, a)
	}
	a.answer.Code, a.live = exchange.Busy, true
	a.done <- struct{}{}
	return waiting
}

// answer answers a question unless it waits for a command that is not applied yet.
func (r *Runner) answer(a *ask) bool {
	if a.question.After > r.o.State.Seq() {
		return false
	}
	a.answer, a.live = r.o.State.Answer(a.question)
	if a.answer.Status != nil {
		a.answer.Status.Queue = r.queue.len()
	}
	a.done <- struct{}{}
	return true
}

// apply applies a frame and writes down its outcomes, which nobody reads before it is durable. It does not when the
// follower disagrees; that the engine was told to end is no reason.
func (r *Runner) apply(b *batch) error {
	if err := r.Stopped(); err != nil && err != ErrStopping {
		return err
	}
	r.o.Faults.at("apply-before")
	if err := r.o.State.Apply(b.frame, &r.results); err != nil {
		return fmt.Errorf("%w: %w", spend.Distrust("engine-frame", fmt.Sprintf("frame %d", b.frame.First), "a frame that can be applied", "one that cannot",
			"this is a fault of the program: keep the journal and the log, and start an older version"), err)
	}
	for i, e := range b.entries {
		o := &e.job.outcomes[e.at]
		*o = r.results.Outcomes[i]
		o.Fills = slices.Clone(o.Fills) // the results are used again
		r.expires(e, o)
	}
	if len(b.entries) == 0 {
		r.due.Store(int64(r.o.State.due()))
	}
	r.o.Faults.at("apply-after")
	return nil
}

// answerAll answers whoever waits for a frame that is durable and applied.
func (r *Runner) answerAll(b *batch) {
	r.applied.Store(b.last())
	r.o.Faults.at("reply-before")
	for i := range b.entries {
		b.entries[i].job.answered(nil)
	}
	r.o.Faults.at("reply-after")
}

// handOn gives a frame that is durable and applied to those who follow.
func (r *Runner) handOn(b *batch) {
	if r.o.Publish != nil {
		r.o.Publish(b.last(), b.frame.At, r.results.Events)
	}
	if r.o.Tail != nil {
		r.o.Tail.put(b.frame, r.o.State)
	}
}

// expires remembers when an order that stays in the book must leave it.
func (r *Runner) expires(e entry, o *exchange.Outcome) {
	if o.Order == 0 || o.Status.Ended() || o.Code != exchange.Done {
		return
	}
	var c exchange.Command
	if _, err := c.Read(e.job.raw[e.from:e.to]); err != nil || c.Force != exchange.GoodTillTime {
		return
	}
	if int64(c.Expire) < r.due.Load() {
		r.due.Store(int64(c.Expire))
	}
}

// due returns the earliest time at which an open order expires. It looks at every record, so it is asked when the engine
// starts and after a tick, and not for each frame.
func (s *State) due() exchange.Millis {
	earliest := noDue
	for i := range s.orders {
		if o := &s.orders[i]; o.id != 0 && o.force == exchange.GoodTillTime && o.expire() < earliest {
			earliest = o.expire()
		}
	}
	return earliest
}
