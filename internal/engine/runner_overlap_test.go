package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// ahead is an engine whose commits wait for the test, with everybody who could see its state: a subscriber, a follower
// that writes snapshots, and people who ask.
type ahead struct {
	*opened
	applied   chan struct{} // has a token when a frame is in the state
	published atomic.Uint64
	follower  *engine.Follower
	durable   uint64 // last command of the journal at the beginning
	unfollow  func() error
}

func runAhead(t *testing.T) *ahead {
	a := &ahead{applied: make(chan struct{}, 16)}
	tail := engine.NewTail()
	a.opened = open(t, func(o *engine.RunnerOptions) {
		hold(o)
		o.Tail = tail
		o.Publish = func(seq uint64, _ exchange.Millis, _ []byte) { a.published.Store(seq) }
		o.Faults = func(point string) {
			if point == "apply-after" {
				a.applied <- struct{}{}
			}
		}
	})
	a.durable = a.runner.Applied()
	a.follower = a.journal.follower(t, engine.FollowerOptions{State: recovered(t, a.journal, engine.RecoverOptions{}), Tail: tail, Snapshots: snapshots(t, t.TempDir())})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.follower.Run(ctx) }()
	a.unfollow = func() error { cancel(); return <-ended }
	return a
}

// inTheStateAlone has a frame applied whose commit has begun and not ended.
func (a *ahead) inTheStateAlone() chan []exchange.Outcome {
	done := a.later(bid(100))
	<-a.journal.begun
	<-a.applied
	return done
}

// asked asks how many orders are open.
func (a *ahead) asked() chan exchange.Answer {
	answer := make(chan exchange.Answer, 1)
	go func() {
		defer close(answer)
		if found, live, err := a.runner.Ask(context.Background(), exchange.Question{Status: &struct{}{}}); err == nil && live {
			answer <- found
		}
	}()
	return answer
}

// unseen fails the test when anything tells of a command after the last one that was durable at the beginning.
func (a *ahead) unseen() {
	a.t.Helper()
	if a.published.Load() != 0 || a.runner.Applied() != a.durable || a.follower.Seq() != a.durable {
		a.t.Fatalf("published %d, applied %d, followed %d; durable %d", a.published.Load(), a.runner.Applied(), a.follower.Seq(), a.durable)
	}
}

func TestNobodySeesWhatIsAppliedBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := runAhead(t)
		done := a.inTheStateAlone()
		answer := a.asked()
		synctest.Wait() // everything that can happen without the commit has happened
		select {
		case <-done:
			t.Fatal("answered before the commit")
		case <-answer:
			t.Fatal("a question was answered from a state ahead of the journal")
		default:
		}
		a.unseen()
		if info, err := a.follower.Snapshot(t.Context()); err != nil || info.Seq != a.durable {
			t.Fatalf("a snapshot of command %d, %v", info.Seq, err)
		}
		a.journal.let <- nil
		if out := <-done; out == nil || out[0].Code != exchange.Done {
			t.Fatalf("%+v", out)
		}
		if found := <-answer; found.Status == nil || found.Status.OpenCount != 1 {
			t.Fatalf("%+v", found)
		}
		synctest.Wait()
		if a.published.Load() != a.durable+1 || a.follower.Seq() != a.durable+1 {
			t.Fatalf("published %d, followed %d", a.published.Load(), a.follower.Seq())
		}
		if err := errors.Join(a.stop(), a.unfollow()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNobodyEverSeesWhatWasAppliedWhenItsCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := runAhead(t)
		done := a.inTheStateAlone()
		before := a.asked()
		synctest.Wait()
		failure := spend.Refuse("journal-full", "here", "room", "none", "free space")
		a.journal.let <- failure
		if out := <-done; out != nil {
			t.Fatalf("%+v was acknowledged", out)
		}
		if found, given := <-before; given {
			t.Fatalf("the question of before was answered: %+v", found)
		}
		for range 8 { // whatever a select picks
			if found, given := <-a.asked(); given {
				t.Fatalf("a question was answered: %+v", found)
			}
		}
		if err := a.stop(); !errors.Is(err, failure) {
			t.Fatalf("Run returned %v", err)
		}
		synctest.Wait()
		a.unseen()
		if info, err := a.follower.Snapshot(t.Context()); err != nil || info.Seq != a.durable {
			t.Fatalf("a snapshot of command %d, %v", info.Seq, err)
		}
		if err := a.unfollow(); err != nil {
			t.Fatal(err)
		}
		a.unseen()
	})
}

func TestAFrameThatWasNotWrittenIsNotApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := runAhead(t)
		failure := errors.New("no room")
		a.journal.unwritten = failure
		if out := <-a.later(bid(100)); out != nil {
			t.Fatalf("%+v was acknowledged", out)
		}
		for range 8 { // whatever a select picks
			if found, given := <-a.asked(); given {
				t.Fatalf("a question was answered: %+v", found)
			}
		}
		if err := a.stop(); !errors.Is(err, failure) {
			t.Fatalf("Run returned %v", err)
		}
		synctest.Wait()
		if len(a.applied) != 0 {
			t.Fatal("a frame that was not written is in the state")
		}
		a.unseen()
		if err := a.unfollow(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestACommitThatIsFasterThanTheStateIsAnsweredAfterBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		e := open(t, func(o *engine.RunnerOptions) {
			o.FrameCommands = 4
			o.Faults = func(point string) {
				if point == "apply-before" {
					<-slow
				}
			}
		})
		before := e.runner.Applied()
		first := e.later(bid(100))
		synctest.Wait()
		if last, err := e.journal.Last(t.Context()); err != nil || last != before+1 || e.runner.Applied() != before {
			t.Fatalf("durable %d, applied %d, %v", last, e.runner.Applied(), err)
		}
		select {
		case <-first:
			t.Fatal("answered before it was applied")
		default:
		}
		second := e.later(bid(101))
		synctest.Wait()
		close(slow)
		for i, done := range []chan []exchange.Outcome{first, second} {
			if out := <-done; out == nil || out[0].Code != exchange.Done || out[0].Seq != before+1+uint64(i) {
				t.Fatalf("%+v", out)
			}
		}
		if err := e.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFollowerIsNeverLeftBehindAnIdleEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tail := engine.NewTail()
		e := open(t, func(o *engine.RunnerOptions) { hold(o); o.Tail = tail })
		f := e.journal.follower(t, engine.FollowerOptions{State: recovered(t, e.journal, engine.RecoverOptions{}), Tail: tail})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		before := f.Seq()
		for i := range 20 { // a next command is always there when a frame is durable, until the last
			e.later(bid(int64(i + 1)))
			if i == 0 {
				<-e.journal.begun
				continue
			}
			synctest.Wait()
			e.journal.let <- nil
			<-e.journal.begun
			synctest.Wait()
			if behind := before + uint64(i) - f.Seq(); behind > 8 {
				t.Fatalf("%d frames behind a busy engine", behind)
			}
		}
		e.journal.let <- nil
		synctest.Wait()
		if f.Seq() != e.runner.Applied() || f.Seq() != before+20 {
			t.Fatalf("the follower is at %d, the engine at %d, and rests", f.Seq(), e.runner.Applied())
		}
		cancel()
		if err := errors.Join(<-ended, e.stop()); err != nil {
			t.Fatal(err)
		}
	})
}
