package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// paper is a journal in memory that a test can hold up or break.
type paper struct {
	mu     sync.Mutex
	frames []engine.Frame
	begun  chan engine.Frame // gets every frame before it is durable, when not nil
	let    chan error        // then its outcome is read from here
	fails  error
	tries  int

	unwritten error // the write fails, before anything else happens
}

func (p *paper) Append(_ context.Context, f engine.Frame, meanwhile func()) error {
	if p.unwritten != nil {
		return p.unwritten
	}
	if p.begun != nil {
		p.begun <- f
	}
	var busy sync.WaitGroup
	if meanwhile != nil {
		busy.Go(meanwhile)
	}
	defer busy.Wait()
	if p.begun != nil {
		if err := <-p.let; err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.fails != nil {
		return p.fails
	}
	f.Commands = bytes.Clone(f.Commands)
	p.frames = append(p.frames, f)
	return nil
}

func (p *paper) Read(_ context.Context, from uint64, visit func(engine.Frame) error) error {
	p.mu.Lock()
	frames := slices.Clone(p.frames)
	p.mu.Unlock()
	for _, f := range frames {
		if f.First >= from {
			if err := visit(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *paper) Last(context.Context) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.frames) == 0 {
		return 0, nil
	}
	f := p.frames[len(p.frames)-1]
	return f.First + uint64(f.Count) - 1, nil
}

func (p *paper) Chain(_ context.Context, seq uint64) (hash [32]byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f.First+uint64(f.Count)-1 == seq {
			hash[0], hash[1] = byte(seq), byte(seq>>8)
			return hash, nil
		}
	}
	return hash, fmt.Errorf("no frame ends with %d", seq)
}

// opened is a running engine of a test, with customers who have money.
type opened struct {
	t       *testing.T
	journal *paper
	runner  *engine.Runner
	stop    func() error // ends the engine and returns what Run returned
	clock   atomic.Int64 // milliseconds
}

const customers = 3

func open(t *testing.T, change func(*engine.RunnerOptions)) *opened {
	t.Helper()
	e := &opened{t: t, journal: &paper{}}
	begin := storetest.Genesis(customers, func(f engine.Frame) {
		if err := e.journal.Append(t.Context(), f, nil); err != nil {
			t.Fatal(err)
		}
	})
	e.clock.Store(int64(begin))
	state := recovered(t, e.journal, engine.RecoverOptions{})
	o := engine.RunnerOptions{Journal: e.journal, State: state, Now: func() exchange.Millis { return exchange.Millis(e.clock.Load()) }}
	if change != nil {
		change(&o)
	}
	e.journal.tries = 0
	e.runner = engine.NewRunner(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.runner.Run(ctx) }()
	e.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { e.stop() })
	return e
}

func recovered(t *testing.T, j engine.Journal, o engine.RecoverOptions) *engine.State {
	t.Helper()
	state, _, err := engine.Recover(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// bid is a command of customer 1 that rests.
func bid(price int64) exchange.Command {
	return exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: 1, Market: enginetest.Pair, Price: price, Qty: 10}
}

func cancelAll() exchange.Command {
	return exchange.Command{ID: exchange.RandomID(), Kind: exchange.CancelAll, Account: 1, Market: enginetest.Pair}
}

func (e *opened) submit(commands ...exchange.Command) []exchange.Outcome {
	e.t.Helper()
	out := make([]exchange.Outcome, len(commands))
	if err := e.runner.Submit(e.t.Context(), "gateway", commands, out); err != nil {
		e.t.Fatal(err)
	}
	return out
}

// later submits without waiting and returns where the outcomes will be.
func (e *opened) later(commands ...exchange.Command) chan []exchange.Outcome {
	done := make(chan []exchange.Outcome, 1)
	go func() {
		out := make([]exchange.Outcome, len(commands))
		if err := e.runner.Submit(context.Background(), "gateway", commands, out); err != nil {
			out = nil
		}
		done <- out
	}()
	return done
}

// hold makes every commit wait for the test.
func hold(o *engine.RunnerOptions) {
	p := o.Journal.(*paper)
	p.begun, p.let = make(chan engine.Frame), make(chan error)
}

func kinds(t *testing.T, f engine.Frame) (out []exchange.Kind) {
	t.Helper()
	rest := f.Commands
	for range f.Count {
		var c exchange.Command
		var err error
		if rest, err = c.Read(rest); err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Kind)
	}
	return out
}

func TestNoReplyBeforeTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, hold)
		done := e.later(bid(100))
		<-e.journal.begun
		synctest.Wait() // everything that can happen without the commit has happened
		select {
		case <-done:
			t.Fatal("answered before the commit")
		default:
		}
		if e.runner.Applied() != recovered(t, e.journal, engine.RecoverOptions{}).Seq() {
			t.Fatal("applied before the commit")
		}
		e.journal.let <- nil
		if out := <-done; out == nil || out[0].Code != exchange.Done || out[0].Seq != e.runner.Applied() {
			t.Fatalf("%+v", out)
		}
		e.journal.begun = nil
		e.stop()
	})
}

func TestWhatComesDuringACommitIsOneFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, hold)
		first := e.later(bid(100))
		<-e.journal.begun
		var rest []chan []exchange.Outcome
		for i := range 50 {
			rest = append(rest, e.later(bid(int64(i+1))))
		}
		synctest.Wait()
		e.journal.let <- nil
		<-first
		if f := <-e.journal.begun; f.Count != 50 {
			t.Fatalf("a frame of %d commands", f.Count)
		}
		e.journal.let <- nil
		for _, done := range rest {
			if out := <-done; out == nil || out[0].Code != exchange.Done {
				t.Fatalf("%+v", out)
			}
		}
	})
}

func TestCancelsGoFirstAndLeaveAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, func(o *engine.RunnerOptions) { hold(o); o.FrameCommands = 8 })
		e.later(bid(100))
		<-e.journal.begun
		for i := range 20 {
			e.later(bid(int64(i + 1)))
			synctest.Wait()
			e.later(cancelAll())
			synctest.Wait()
		}
		e.journal.let <- nil
		want := append(slices.Repeat([]exchange.Kind{exchange.CancelAll}, 6), exchange.Place, exchange.Place)
		if got := kinds(t, <-e.journal.begun); !slices.Equal(got, want) {
			t.Fatalf("kinds %v", got)
		}
		e.journal.let <- errors.New("enough")
	})
}

func TestAFullQueueIsBusyAndStillTakesCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, func(o *engine.RunnerOptions) { hold(o); o.QueueMax = 2 })
		e.later(bid(100))
		<-e.journal.begun
		waiting := e.later(bid(101), bid(102))
		synctest.Wait()
		for _, o := range e.submit(bid(103), bid(104)) {
			if o.Code != exchange.Busy || o.Seq != 0 {
				t.Fatalf("%+v", o)
			}
		}
		e.later(cancelAll())
		synctest.Wait()
		e.journal.let <- nil
		if got := kinds(t, <-e.journal.begun); !slices.Equal(got, []exchange.Kind{exchange.CancelAll, exchange.Place, exchange.Place}) {
			t.Fatalf("kinds %v", got)
		}
		e.journal.let <- nil
		<-waiting
	})
}

func TestWhatASegmentMayNotSendIsNotJournalled(t *testing.T) {
	e := open(t, nil)
	before, _ := e.journal.Last(t.Context())
	bad := bid(100)
	bad.Side = 7
	out := e.submit(exchange.Command{Kind: exchange.Tick}, exchange.Command{Kind: exchange.Deposit}, exchange.Command{Kind: exchange.AccountOpen}, bad)
	want := []exchange.Code{exchange.NotAllowed, exchange.NotAllowed, exchange.NotAllowed, exchange.Malformed}
	for i := range want {
		if out[i].Code != want[i] {
			t.Errorf("command %d: code %d, want %d", i, out[i].Code, want[i])
		}
	}
	if err := e.runner.Submit(t.Context(), "engine", []exchange.Command{{Kind: exchange.Tick}}, out[:1]); err != nil || out[0].Code != exchange.NotAllowed {
		t.Errorf("a tick from outside: %+v, %v", out[0], err)
	}
	if after, _ := e.journal.Last(t.Context()); after != before {
		t.Fatalf("%d commands were journalled", after-before)
	}
}

func TestAResentCommandIsAnsweredAgainAndNotAppliedTwice(t *testing.T) {
	e := open(t, nil)
	c := bid(100)
	first := e.submit(c)[0]
	again := e.submit(c, c)
	for _, o := range again {
		if !o.Again || o.Code != first.Code || o.Order != first.Order || o.Seq != first.Seq {
			t.Fatalf("%+v; first %+v", o, first)
		}
	}
	a, live, err := e.runner.Ask(t.Context(), exchange.Question{Status: &struct{}{}, After: first.Seq})
	if err != nil || !live || a.Status.OpenCount != 1 {
		t.Fatalf("%+v, %v, %v", a, live, err)
	}
}

func TestAfterAFailedCommitNothingIsTriedAgain(t *testing.T) {
	e := open(t, nil)
	failure := spend.Refuse("journal-full", "here", "room", "none", "free space")
	e.journal.fails = failure
	out := make([]exchange.Outcome, 1)
	for range 3 {
		if err := e.runner.Submit(t.Context(), "gateway", []exchange.Command{bid(100)}, out); !errors.Is(err, failure) {
			t.Fatalf("%v", err)
		}
	}
	if e.journal.tries != 1 {
		t.Fatalf("%d tries", e.journal.tries)
	}
	if err := e.stop(); !errors.Is(err, failure) || e.runner.Stopped() == nil {
		t.Fatalf("Run returned %v", err)
	}
}

func TestASupersededEngineSaysSoAndStops(t *testing.T) {
	e := open(t, nil)
	e.journal.fails = fmt.Errorf("%w: %w", engine.ErrSuperseded, spend.Refuse("journal-superseded", "here", "one", "two", "stop"))
	for range 2 {
		if out := e.submit(bid(100)); out[0].Code != exchange.Superseded {
			t.Fatalf("%+v", out)
		}
	}
	if err := e.stop(); !errors.Is(err, engine.ErrSuperseded) {
		t.Fatalf("Run returned %v", err)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	e := open(t, nil)
	e.clock.Add(1000)
	late := e.submit(bid(100))[0].At
	e.clock.Add(-900)
	if at := e.submit(bid(101))[0].At; at != late {
		t.Fatalf("%d after %d", at, late)
	}
}

func TestAnIdleEngineTicksWhenAnOrderExpiresAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, nil)
		c := bid(100)
		c.Force, c.Expire = exchange.GoodTillTime, exchange.Millis(e.clock.Load())+3600_000
		e.submit(c)
		frames := len(e.journal.frames)
		time.Sleep(time.Minute) // of the bubble
		if len(e.journal.frames) != frames {
			t.Fatal("a tick that changes nothing")
		}
		e.clock.Add(3600_001)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if a, _, err := e.runner.Ask(t.Context(), exchange.Question{Status: &struct{}{}}); err != nil || a.Status.OpenCount != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		time.Sleep(time.Minute)
		if len(e.journal.frames) != frames+1 {
			t.Fatalf("%d frames for one expiry", len(e.journal.frames)-frames)
		}
		e.stop()
	})
}

func TestWhatWaitsWhenTheEngineIsToldToEndIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, func(o *engine.RunnerOptions) { hold(o); o.FrameCommands = 2 })
		var all []chan []exchange.Outcome
		for i := range 7 {
			all = append(all, e.later(bid(int64(i+1))))
			synctest.Wait()
		}
		<-e.journal.begun
		go e.stop()
		synctest.Wait()
		go func() {
			for range e.journal.begun {
				e.journal.let <- nil
			}
		}()
		e.journal.let <- nil
		for _, done := range all {
			if out := <-done; out == nil || out[0].Code != exchange.Done {
				t.Fatalf("%+v", out)
			}
		}
		if err := e.stop(); err != nil {
			t.Fatal(err)
		}
		if err := e.runner.Submit(t.Context(), "gateway", []exchange.Command{bid(1)}, make([]exchange.Outcome, 1)); !errors.Is(err, engine.ErrStopping) {
			t.Fatal(err)
		}
		close(e.journal.begun)
	})
}
