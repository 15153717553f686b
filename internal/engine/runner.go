package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	queueMax       = 1 << 16          // commands that wait, cancels apart
	queueBytesMax  = 64 << 20         // and their bytes
	frameCommands  = 1024             // commands of one frame
	frameBytes     = 1 << 20          // and their bytes, except for a single longer one
	commitTimeout  = 15 * time.Second // a database server that does not answer by then has failed
	tickEvery      = time.Second      // how soon an order expires when nothing else happens
	asksMax        = 4096             // questions that wait for a command to be applied
	asksAtOnce     = 64               // questions that wait for the state
	overlapShare   = 4                // from a quarter of a frame on, the next one does not wait for answers
	settleYields   = 256              // times that others get the processor and bring nothing, before a frame is gathered
	ordersShare    = 4                // a quarter of a frame is for others than cancels, when they wait
	stoppedShortly = "the engine is stopping"
)

// ErrStopping says that the engine takes nothing more because it was told to end.
var ErrStopping = errors.New("engine: " + stoppedShortly)

// RunnerOptions say what an engine runs on. Journal, State and Now are needed.
type RunnerOptions struct {
	Journal Journal
	State   *State // recovered: it knows everything that the journal holds; the runner's own from now on
	Now     func() exchange.Millis
	// Publish takes the events of every frame, in order, once the frame is durable and applied. The bytes are its own
	// until it returns; it must not wait for anybody.
	Publish func(seq uint64, at exchange.Millis, events []byte)
	Tail    *Tail // shared with the follower of the same process; nil: there is none
	Mark    *Mark // remembers what was acknowledged; nil: nothing does
	Faults  Faults

	QueueMax, CancelsMax int // commands; zero: 65,536
	FrameCommands        int // zero: 1,024
}

// Runner is the one writer of a journal: it gathers commands to frames, has each frame made durable and applies it, and
// only then answers. While a frame is on its way to the disk it is applied and the next one gathers; there is no timer,
// so a lonely command goes at once and a thousand go together.
//
// Between a frame's end in the state and its end in the journal the state knows more than is durable. Nobody sees that:
// the state goes from hand to hand with a token. The loop that commits takes it to apply a frame, and gives it on to the
// one that publishes and answers questions when the frame is durable; where the commit fails it keeps it for ever.
type Runner struct {
	o     RunnerOptions
	queue queue
	last  uint64          // of the last frame that was given to the journal
	at    exchange.Millis // its time
	// returning says that most of those who were answered last sent their next command before a frame was gathered.
	returning bool

	rest    chan struct{} // has a token when nobody has the state
	frames  chan *batch   // durable and applied, to be handed on; with each goes the token
	results Results       // of the last frame; whoever has the token has them
	asks    chan *ask
	due     atomic.Int64 // the earliest time at which an order may expire; noDue when none
	applied atomic.Uint64

	stopOnce sync.Once
	stopped  chan struct{} // closed when nothing is taken any more
	reason   error         // why; set before stopped is closed
}

// NewRunner makes an engine. Run lets it work.
func NewRunner(o RunnerOptions) *Runner {
	r := &Runner{o: o, frames: make(chan *batch, 1), rest: make(chan struct{}, 1), asks: make(chan *ask, asksAtOnce), stopped: make(chan struct{}), last: o.State.Seq(), at: o.State.Now()}
	r.rest <- struct{}{}
	r.queue.init(o)
	if r.o.FrameCommands == 0 {
		r.o.FrameCommands = frameCommands
	}
	r.applied.Store(r.last)
	r.due.Store(int64(o.State.due()))
	if o.Tail != nil {
		o.Tail.begin(r.last)
	}
	return r
}

// Run works until ctx ends, then commits and answers what is waiting, and returns nil; or until the journal fails, or
// the follower disagrees, and returns why. Nothing that failed is tried again: whoever starts the engine anew learns
// from the journal what is durable.
func (r *Runner) Run(ctx context.Context) error {
	held, err := r.o.Journal.Last(ctx)
	if err == nil && held != r.last {
		err = spend.Distrust("engine-behind", "the engine's state", fmt.Sprintf("a state after command %d, as the journal", held), fmt.Sprintf("one after command %d", r.last),
			"recover the state from this journal before running it")
	}
	if err != nil {
		r.stop(err)
		r.queue.fail(r.reason)
		return err
	}
	var serving sync.WaitGroup
	serving.Go(r.serveAll)
	r.commitAll(ctx)
	if r.o.Tail != nil {
		r.o.Tail.rest(true)
	}
	close(r.frames)
	serving.Wait()
	r.stop(ErrStopping)
	r.queue.fail(r.reason)
	if errors.Is(r.reason, ErrStopping) {
		return nil
	}
	return r.reason
}

// stop lets nothing more in. The first reason counts.
func (r *Runner) stop(reason error) {
	r.stopOnce.Do(func() {
		r.reason = reason
		close(r.stopped)
	})
}

// Stopped returns why the engine takes nothing more, nil while it does.
func (r *Runner) Stopped() error {
	select {
	case <-r.stopped:
		return r.reason
	default:
		return nil
	}
}

// Submit has commands of a segment made durable and applied, and writes their outcomes to out, which has as many places.
// Its error is for all of them: then it is not known whether they will be applied, and they may be sent again with the
// same identities. Busy outcomes mean that nothing was journalled.
func (r *Runner) Submit(ctx context.Context, segment string, commands []exchange.Command, out []exchange.Outcome) error {
	if len(out) != len(commands) {
		return fmt.Errorf("%d places for the outcomes of %d commands", len(out), len(commands))
	}
	j := r.queue.job(len(commands))
	for i := range commands {
		c := &commands[i]
		out[i] = exchange.Outcome{ID: c.ID}
		if !Allowed(c.Kind, segment) || c.Kind == exchange.Tick {
			out[i].Code = exchange.NotAllowed
		} else if !j.add(i, c) {
			out[i].Code = exchange.Malformed
		}
	}
	if len(j.entries) == 0 {
		r.queue.recycle(j)
		return nil
	}
	if err := r.Stopped(); err != nil {
		return r.refuse(err, j, out)
	}
	if !r.queue.put(j) {
		if err := r.Stopped(); err != nil {
			return r.refuse(err, j, out)
		}
		for _, e := range j.entries {
			out[e.at].Code = exchange.Busy
		}
		r.queue.recycle(j)
		return nil
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		return ctx.Err() // the job stays with the engine, which answers to nobody
	}
	if j.failed != nil {
		return r.refuse(j.failed, j, out)
	}
	for _, e := range j.entries {
		out[e.at] = j.outcomes[e.at]
	}
	r.queue.recycle(j)
	return nil
}

// refuse says why nothing was done: another engine that writes is an outcome, so that the sender asks that one.
func (r *Runner) refuse(err error, j *job, out []exchange.Outcome) error {
	if !errors.Is(err, ErrSuperseded) {
		return err
	}
	for _, e := range j.entries {
		out[e.at].Code = exchange.Superseded
	}
	return nil
}

// commitAll makes frames durable and applies them, one after the other, until ctx ends or something fails.
func (r *Runner) commitAll(ctx context.Context) {
	for {
		b := r.gather(ctx)
		if b == nil {
			return
		}
		if err := r.commit(ctx, b); err != nil {
			r.stop(err)
			b.fail(err)
			return
		}
		expected := r.queue.len() + len(b.entries) // when everybody who is answered sends one more
		r.answerAll(b)
		r.settle(b, expected)
		r.frames <- b
	}
}

// commit makes a frame durable, applies it meanwhile, and remembers that it is durable. It has the state when it
// returns: after a failure that may be ahead of the journal.
func (r *Runner) commit(ctx context.Context, b *batch) error {
	r.o.Faults.at("append-before")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	taken, applied := false, error(nil)
	err := r.o.Journal.Append(ctx, b.frame, func() {
		<-r.rest
		taken = true
		applied = r.apply(b)
	})
	if !taken {
		<-r.rest
		applied = errors.New("the journal said that a frame is durable and did not let it be applied")
	}
	if err := cmp.Or(err, applied); err != nil {
		return err
	}
	r.o.Faults.at("append-after")
	r.last, r.at = b.last(), b.frame.At
	if r.o.Mark == nil {
		return nil
	}
	return r.o.Mark.Set(r.last)
}

// settle lets those who were answered send their next command before the next frame is gathered, unless much is waiting
// already. They do so at once, so that one flush carries all of them; going on immediately would make two cohorts that
// take turns, and each flush would carry half. There is no timer in it: what is waited for is that a frame is applied,
// which takes a fraction of a commit, and that as many commands wait as are expected, for as long as giving others the
// processor brings any.
func (r *Runner) settle(b *batch, expected int) {
	if r.queue.len() >= r.o.FrameCommands/overlapShare {
		return
	}
	patience := 1
	if r.returning {
		patience = settleYields
	}
	for before, idle := 0, 0; idle < patience && before < expected; runtime.Gosched() {
		idle++
		if waiting := r.queue.len(); waiting > before {
			before, idle = waiting, 0
		}
	}
	r.returning = r.queue.len() > expected-len(b.entries)/2
}

// gather waits for commands and makes a frame of them. It returns nil when there is nothing more to do.
func (r *Runner) gather(ctx context.Context) *batch {
	for {
		if r.o.Tail != nil && r.o.Tail.Failed() != nil {
			r.stop(r.o.Tail.Failed())
		}
		stopped := r.Stopped()
		if stopped != nil && stopped != ErrStopping {
			return nil
		}
		if b := r.queue.take(r.o.FrameCommands, r.last+1, max(r.o.Now(), r.at)); b != nil {
			return b
		}
		switch {
		case stopped != nil:
			return nil // the door is shut and nothing waits behind it
		case ctx.Err() != nil:
			r.stop(ErrStopping)
			r.queue.close()
		default:
			if b := r.tick(ctx); b != nil {
				return b
			}
		}
	}
}

// tick waits for something to do. When nothing comes and an order's time has come, it makes a frame that says so.
func (r *Runner) tick(ctx context.Context) *batch {
	var timer <-chan time.Time
	if exchange.Millis(r.due.Load()) != noDue {
		t := time.NewTimer(tickEvery)
		defer t.Stop()
		timer = t.C
	}
	var disagreed <-chan struct{}
	if r.o.Tail != nil {
		disagreed = r.o.Tail.failed
		r.o.Tail.rest(true)
		defer r.o.Tail.rest(false)
	}
	select {
	case <-r.queue.wake:
	case <-ctx.Done():
	case <-r.stopped:
	case <-disagreed:
	case <-timer:
		if now := r.o.Now(); now >= exchange.Millis(r.due.Load()) && now > r.at {
			return newTick(r.last+1, now)
		}
	}
	return nil
}
