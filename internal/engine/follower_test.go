package engine_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// slate is a sink in memory.
type slate struct {
	seq    uint64
	events []byte
	calls  int
	fails  error
}

func (s *slate) Last(context.Context) (uint64, error) { return s.seq, nil }

func (s *slate) Write(_ context.Context, seq uint64, _ exchange.Millis, events []byte) error {
	if s.fails != nil {
		return s.fails
	}
	s.seq, s.events, s.calls = seq, append(s.events, events...), s.calls+1
	return nil
}

// traded is a journal with so many frames of two traders, and the events that it makes.
func traded(t *testing.T, frames int) (p *paper, events []byte, state *engine.State) {
	t.Helper()
	p = &paper{}
	state = engine.NewState(engine.StateOptions{})
	var results engine.Results
	put := func(f engine.Frame) {
		if err := errors.Join(p.Append(t.Context(), f, nil), state.Apply(f, &results)); err != nil {
			t.Fatal(err)
		}
		events = append(events, results.Events...)
	}
	at := storetest.Genesis(customers, put)
	traders := []*storetest.Trader{storetest.NewTrader(1, 7), storetest.NewTrader(2, 8)}
	for range frames {
		f := engine.Frame{First: state.Seq() + 1, At: at, Count: 20}
		at += 5
		for i := range f.Count {
			c := traders[i%2].Next()
			f.Commands = c.Append(f.Commands)
		}
		put(f)
		for i := range results.Outcomes {
			traders[i%2].Saw(&results.Outcomes[i])
		}
	}
	return p, events, state
}

func (p *paper) follower(t *testing.T, o engine.FollowerOptions) *engine.Follower {
	t.Helper()
	o.Journal = p
	f, err := engine.NewFollower(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code || r.Fix == "" {
		t.Fatalf("%v; want %s with the next command", err, code)
	}
}

func TestSinksGetEveryEventOnceWhateverTheyKnew(t *testing.T) {
	p, events, state := traded(t, 60)
	known := p.frames[len(p.frames)-30]
	half := &slate{seq: known.First - 1}
	fresh, whole := &slate{}, &slate{seq: state.Seq()}
	f := p.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Sinks: []engine.Sink{half, fresh, whole}})
	for range 2 {
		if err := f.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(fresh.events, events) || !bytes.HasSuffix(events, half.events) || len(half.events) == 0 || whole.calls != 0 {
		t.Fatalf("%d, %d and %d bytes of %d", len(fresh.events), len(half.events), len(whole.events), len(events))
	}
	if half.seq != state.Seq() || fresh.seq != state.Seq() || f.Recorded() != state.Seq() {
		t.Fatalf("they know %d and %d of %d", half.seq, fresh.seq, state.Seq())
	}
	var e exchange.Event
	if rest, err := e.Read(half.events); err != nil || e.Seq < known.First || len(rest) == 0 {
		t.Fatalf("its first event is of command %d, it knew %d: %v", e.Seq, known.First-1, err)
	}
}

func TestASinkThatFailsStopsTheEngine(t *testing.T) {
	failure := errors.New("no room")
	tail := engine.NewTail()
	e := open(t, func(o *engine.RunnerOptions) { o.Tail = tail })
	f := e.journal.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Tail: tail, Sinks: []engine.Sink{&slate{fails: failure}}})
	if err := f.Run(t.Context()); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	if err := e.stop(); err != nil && !errors.Is(err, failure) {
		t.Fatal(err)
	}
}

func TestTheFollowerKeepsUpAndHasTheSameState(t *testing.T) {
	tail := engine.NewTail()
	e := open(t, func(o *engine.RunnerOptions) { o.Tail = tail })
	sink := &slate{}
	mine := engine.NewState(engine.StateOptions{})
	f := e.journal.follower(t, engine.FollowerOptions{State: mine, Tail: tail, Sinks: []engine.Sink{sink}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	trader := storetest.NewTrader(1, 1)
	for range 3000 {
		out := e.submit(trader.Next())
		trader.Saw(&out[0])
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if want := recovered(t, e.journal, engine.RecoverOptions{}); want.Hash() != mine.Hash() || sink.seq != want.Seq() {
		t.Fatalf("the follower is at %d, the journal at %d", mine.Seq(), want.Seq())
	}
}

func TestAStateThatDiffersStopsBoth(t *testing.T) {
	tail := engine.NewTail()
	e := open(t, func(o *engine.RunnerOptions) { o.Tail = tail })
	other := &paper{frames: slices.Clone(e.journal.frames)}
	wrong := &other.frames[len(other.frames)-1] // the last gift to a customer: another amount
	wrong.At++
	f := other.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Tail: tail})
	ended := make(chan error, 1)
	go func() { ended <- f.Run(t.Context()) }()
	commands := make([]exchange.Command, 1100)
	for i := range commands {
		commands[i] = cancelAll()
	}
	// Whether these are answered, or the engine stops before that, is a race that does not matter.
	e.runner.Submit(t.Context(), "gateway", commands, make([]exchange.Outcome, len(commands)))
	refused(t, <-ended, "engine-states-differ")
	for e.runner.Stopped() == nil {
		out := make([]exchange.Outcome, 1)
		if err := e.runner.Submit(t.Context(), "gateway", []exchange.Command{cancelAll()}, out); err != nil {
			break
		}
	}
	refused(t, e.stop(), "engine-states-differ")
}

func snapshots(t *testing.T, dir string) *engine.Snapshots {
	t.Helper()
	s, err := engine.OpenSnapshots(dir, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshotsAndFramesGiveTheStateThatFramesAloneGive(t *testing.T) {
	p, _, want := traded(t, 200)
	dir := t.TempDir()
	var kept uint64
	f := p.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Snapshots: snapshots(t, dir), SnapshotEvery: 900,
		Prune: func(_ context.Context, keep uint64) error { kept = keep; return nil }})
	if err := f.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := snapshots(t, dir).List()
	if err != nil || len(list) != 2 || list[0].Seq <= list[1].Seq || kept != list[1].Seq+1 || f.SnapshotSeq() != list[0].Seq {
		t.Fatalf("%+v, %v; pruned before %d", list, err, kept)
	}
	state, done, err := engine.Recover(t.Context(), p, engine.RecoverOptions{Snapshots: snapshots(t, dir)})
	if err != nil || done.Snapshot != list[0].Seq || done.Frames == 0 || len(done.PassedOver) != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	var a, b bytes.Buffer
	if err := errors.Join(state.Snapshot(&a), want.Snapshot(&b)); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) || state.Hash() != want.Hash() {
		t.Fatalf("another state, %v", err)
	}
	if bounded, done, err := engine.Recover(t.Context(), p, engine.RecoverOptions{Snapshots: snapshots(t, dir), Bounded: true, AtMost: list[1].Seq}); err != nil || done.Snapshot != list[1].Seq || bounded.Hash() != want.Hash() {
		t.Fatalf("%+v, %v", done, err)
	}
	if part := recovered(t, p, engine.RecoverOptions{Snapshots: snapshots(t, dir), To: list[0].Seq}); part.Seq() != list[0].Seq {
		t.Fatalf("to %d: %d", list[0].Seq, part.Seq())
	}
	raw, err := os.ReadFile(list[0].Path)
	if err != nil || bytes.Contains(raw, []byte("BTCUSDT")) {
		t.Fatalf("a snapshot in plain text, %v", err)
	}
}

func TestADamagedSnapshotIsPassedOver(t *testing.T) {
	p, _, want := traded(t, 120)
	dir := t.TempDir()
	s := snapshots(t, dir)
	f := p.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Snapshots: s, SnapshotEvery: 1000})
	if err := f.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 2 {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(list[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return b[:10] },
		func(b []byte) []byte { return append(b, 0) },
	} {
		if err := os.WriteFile(list[0].Path, damage(bytes.Clone(raw)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Load(list[0], engine.StateOptions{})
		refused(t, err, "snapshot-damaged")
		state, done, err := engine.Recover(t.Context(), p, engine.RecoverOptions{Snapshots: s})
		if err != nil || done.Snapshot != list[1].Seq || len(done.PassedOver) != 1 || state.Hash() != want.Hash() {
			t.Fatalf("%+v, %v", done, err)
		}
	}
}

func TestASnapshotOfAnotherJournalIsRefused(t *testing.T) {
	p, _, _ := traded(t, 60)
	dir := t.TempDir()
	state := recovered(t, p, engine.RecoverOptions{})
	if _, err := snapshots(t, dir).Write(state, [32]byte{0xff}); err != nil {
		t.Fatal(err)
	}
	_, _, err := engine.Recover(t.Context(), p, engine.RecoverOptions{Snapshots: snapshots(t, dir)})
	refused(t, err, "snapshot-foreign")
}

func TestAJournalThatLostItsEndIsRefused(t *testing.T) {
	p, _, state := traded(t, 60)
	dir := t.TempDir()
	chain, err := p.Chain(t.Context(), state.Seq())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshots(t, dir).Write(state, chain); err != nil {
		t.Fatal(err)
	}
	short := &paper{frames: p.frames[:len(p.frames)-1]}
	_, _, err = engine.Recover(t.Context(), short, engine.RecoverOptions{Snapshots: snapshots(t, dir)})
	refused(t, err, "journal-behind")

	mark, err := engine.OpenMark(t.TempDir())
	if err == nil {
		err = mark.Set(state.Seq())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	_, _, err = engine.Recover(t.Context(), short, engine.RecoverOptions{Mark: mark})
	refused(t, err, "journal-behind")
	if _, _, err = engine.Recover(t.Context(), p, engine.RecoverOptions{Mark: mark}); err != nil {
		t.Fatal(err)
	}
}

func TestAMarkThatWasHalfWrittenCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	for _, raw := range [][]byte{nil, {1, 2, 3}, make([]byte, 16)} {
		if err := os.WriteFile(filepath.Join(dir, "acknowledged"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := engine.OpenMark(dir)
		if err != nil || m.Seq() != 0 {
			t.Fatalf("%x: %d, %v", raw, m.Seq(), err)
		}
		if err := errors.Join(m.Set(77), m.Close()); err != nil {
			t.Fatal(err)
		}
		if m, err = engine.OpenMark(dir); err != nil || m.Seq() != 77 {
			t.Fatalf("%d, %v", m.Seq(), err)
		}
		m.Close()
	}
}

func TestWhatACrashLeftOfASnapshotIsRemoved(t *testing.T) {
	dir := t.TempDir()
	half := filepath.Join(dir, "unfinished-1")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	snapshots(t, dir)
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestAFollowerDoesNotBeginAfterWhatItsSinkKnows(t *testing.T) {
	p, _, state := traded(t, 10)
	_, err := engine.NewFollower(t.Context(), engine.FollowerOptions{Journal: p, State: state, Sinks: []engine.Sink{&slate{seq: 3}}})
	refused(t, err, "follower-ahead")
}

// Records of a longer journal would take the next commands for some that they know, and pass over them.
func TestRecordsThatKnowMoreThanTheJournalAreRefused(t *testing.T) {
	p, _, state := traded(t, 10)
	short := &paper{frames: p.frames[:len(p.frames)-1]}
	_, err := engine.NewFollower(t.Context(), engine.FollowerOptions{Journal: short, State: recovered(t, short, engine.RecoverOptions{}), Sinks: []engine.Sink{&slate{seq: state.Seq()}}})
	refused(t, err, "journal-behind")
}

// Bytes of a snapshot come from a disk: whatever they are, loading ends with a refusal or with the state.
func FuzzLoadSnapshot(f *testing.F) {
	dir := f.TempDir()
	s, err := engine.OpenSnapshots(dir, make([]byte, 32), nil)
	if err != nil {
		f.Fatal(err)
	}
	info, err := s.Write(engine.NewState(engine.StateOptions{}), [32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(info.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte("coldsign snapshot v1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		here := info
		here.Path = filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(here.Path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Load(here, engine.StateOptions{}); err != nil {
			refused(t, err, "snapshot-damaged")
		} else if !bytes.Equal(raw, whole) {
			t.Fatal("it took other bytes")
		}
	})
}

func TestASnapshotCanBeAskedFor(t *testing.T) {
	tail, dir := engine.NewTail(), t.TempDir()
	e := open(t, func(o *engine.RunnerOptions) { o.Tail = tail })
	f := e.journal.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Tail: tail, Snapshots: snapshots(t, dir)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	info, err := f.Snapshot(t.Context())
	if err != nil || info.Seq != e.runner.Applied() || f.SnapshotSeq() != info.Seq {
		t.Fatalf("%+v, %v", info, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	without := e.journal.follower(t, engine.FollowerOptions{State: engine.NewState(engine.StateOptions{}), Tail: tail})
	_, err = without.Snapshot(t.Context())
	refused(t, err, "snapshot-nowhere")
}

func TestAStateThatIsNotAtTheJournalsEndDoesNotRun(t *testing.T) {
	p, _, state := traded(t, 3)
	r := engine.NewRunner(engine.RunnerOptions{Journal: &paper{frames: p.frames[:len(p.frames)-1]}, State: state, Now: state.Now})
	refused(t, r.Run(t.Context()), "engine-behind")
	err := r.Submit(t.Context(), "gateway", []exchange.Command{cancelAll()}, make([]exchange.Outcome, 1))
	refused(t, err, "engine-behind")
}

func TestAStandbyAsksASilentServerLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := traded(t, 3)
		var tries []time.Time
		standby := engine.NewStandby(engine.StandbyOptions{Journal: p, State: engine.NewState(engine.StateOptions{}), Claim: func(context.Context) (engine.Journal, error) {
			tries = append(tries, time.Now())
			switch n := len(tries); {
			case n < 20:
				return nil, errors.New("no answer")
			case n < 23:
				return nil, spend.Refuse("journal-in-use", "here", "nobody", "somebody", "wait")
			}
			return p, nil
		}})
		if _, _, err := standby.TakeOver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if silent, well := tries[19].Sub(tries[18]), tries[22].Sub(tries[21]); silent != 250*time.Millisecond || well != 50*time.Millisecond {
			t.Fatalf("%s between tries of a silent server, %s of one that answers", silent, well)
		}
	})
}

// A database server may fail over to a replica that has not the end of the journal. A standby that had not read that end
// yet learns of it from the mark of the engine that it follows.
func TestAStandbyDoesNotTakeOverAJournalThatLostItsEnd(t *testing.T) {
	p, _, state := traded(t, 10)
	short, dir := &paper{frames: p.frames[:len(p.frames)-1]}, t.TempDir()
	writes, err := engine.OpenMark(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer writes.Close()
	follows, err := engine.OpenMark(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer follows.Close()
	standby := engine.NewStandby(engine.StandbyOptions{Journal: short, State: recovered(t, short, engine.RecoverOptions{Mark: follows}), Mark: follows,
		Claim: func(context.Context) (engine.Journal, error) { return short, writes.Set(state.Seq()) }})
	_, _, err = standby.TakeOver(t.Context())
	refused(t, err, "journal-behind")
}

// failedOver is a journal on a server whose place a copy takes.
type failedOver struct {
	*paper
	copy byte
}

func (j *failedOver) Chain(ctx context.Context, seq uint64) ([32]byte, error) {
	hash, err := j.paper.Chain(ctx, seq)
	hash[31] = j.copy
	return hash, err
}

// A copy that lacks the last frames gets others with their numbers from another engine, before this standby hears of it.
func TestAStandbyNoticesThatWhatItAppliedWasLost(t *testing.T) {
	p, _, state := traded(t, 3)
	server := &failedOver{paper: &paper{frames: p.frames[:len(p.frames)-1]}}
	claims := 0
	standby := engine.NewStandby(engine.StandbyOptions{Journal: server, State: engine.NewState(engine.StateOptions{}), Claim: func(context.Context) (engine.Journal, error) {
		if claims++; claims == 2 {
			server.paper, server.copy = p, 1
		}
		if claims < 3 {
			return nil, errors.New("the server does not answer")
		}
		return server, nil
	}})
	_, _, err := standby.TakeOver(t.Context())
	refused(t, err, "journal-behind")
	if standby.Seq() >= state.Seq() {
		t.Error("it went on behind frames that it does not know")
	}
}
