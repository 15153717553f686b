package engine_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
)

// `make sim` says for how long, or which seed.
var (
	simSeed = flag.Uint64("seed", 0, "play this one world of TestSimulatedEnginesLoseNothing")
	simFor  = flag.Duration("for", 0, "play worlds for so long, beginning with a seed of the clock")
)

// machine is one engine's process. One that crashed stops where it was; what it had sent may still arrive, as with a
// machine that the network cut off.
type machine struct {
	hand    *hand
	runner  *engine.Runner
	dead    atomic.Bool // it stopped at a boundary, and customers go elsewhere
	crashAt atomic.Value
	ended   chan error
	stop    context.CancelFunc
}

// boundary ends the machine where the world wants it: the goroutine that came there goes on when the world is over.
func (m *machine) boundary(point string) {
	if want, _ := m.crashAt.Load().(string); want == point && m.dead.CompareAndSwap(false, true) {
		<-m.hand.gone
	}
}

// request is a command of a customer, who goes on asking until they know what became of it.
type request struct {
	command exchange.Command
	answer  *exchange.Outcome
	held    bool // still on its way: others overtake it
	cancels []context.CancelFunc
}

// simulation is a world: engines, a disk, customers and a clock, all moved by one seed.
type simulation struct {
	t        *testing.T
	r        *rand.Rand
	crowd    *crowd // its world follows the disk, its model follows the events
	snapshot []byte
	disk     *disk
	machines []*machine // the last one is the one that customers reach
	clock    atomic.Int64
	gone     chan struct{}
	truth    map[exchange.ID]exchange.Outcome

	mu       sync.Mutex
	requests map[exchange.ID]*request
	order    []exchange.ID
	kinds    map[string]int
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, r: rand.New(rand.NewPCG(seed, 77)), crowd: newCrowd(t, seed, engine.StateOptions{}), gone: make(chan struct{}),
		truth: map[exchange.ID]exchange.Outcome{}, requests: map[exchange.ID]*request{}, kinds: map[string]int{}}
	var raw bytes.Buffer
	if err := s.crowd.w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	s.snapshot = raw.Bytes()
	s.disk = &disk{base: s.crowd.w.State.Seq()}
	s.clock.Store(int64(s.crowd.w.Now))
	return s
}

// begin starts a machine, which takes the writer's place from whoever has it, and recovers what is durable.
func (s *simulation) begin() {
	state, err := engine.RestoreState(bytes.NewReader(s.snapshot), engine.StateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.disk.mu.Lock()
	s.disk.writer++
	m := &machine{ended: make(chan error, 1)}
	m.hand = &hand{disk: s.disk, writer: s.disk.writer, turn: make(chan fate), gone: s.gone}
	s.disk.mu.Unlock()
	var results engine.Results
	if err := m.hand.Read(context.Background(), 0, func(f engine.Frame) error { return state.Apply(f, &results) }); err != nil {
		s.t.Fatal(err)
	}
	m.runner = engine.NewRunner(engine.RunnerOptions{Journal: m.hand, State: state, Faults: m.boundary, FrameCommands: 1 + s.r.IntN(12), QueueMax: 40,
		Now: func() exchange.Millis { return exchange.Millis(s.clock.Load()) }})
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() { m.ended <- m.runner.Run(ctx) }()
	s.machines = append(s.machines, m)
	synctest.Wait()
}

// current is the machine that customers reach, nil when it is down.
func (s *simulation) current() *machine {
	if len(s.machines) == 0 {
		return nil
	}
	m := s.machines[len(s.machines)-1]
	if m.dead.Load() || m.runner.Stopped() != nil {
		return nil
	}
	return m
}

// deliver brings a request to the machine that is reached now.
func (s *simulation) deliver(q *request) {
	m := s.current()
	if m == nil {
		return
	}
	segment := ""
	for _, name := range []string{"gateway", "admin", "wallet"} {
		if engine.Allowed(q.command.Kind, name) {
			segment = name
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	q.held = false
	q.cancels = append(q.cancels, cancel)
	s.mu.Unlock()
	go func() {
		out := make([]exchange.Outcome, 1)
		err := m.runner.Submit(ctx, segment, []exchange.Command{q.command}, out)
		if err != nil || out[0].Code == exchange.Busy || out[0].Code == exchange.Superseded {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		o := out[0]
		o.Again, o.Fills, o.Reason = false, nil, ""
		switch {
		case q.answer == nil:
			q.answer = &o
		case !same(*q.answer, o):
			s.t.Errorf("command %s was answered %+v, and later %+v", o.ID, *q.answer, o)
		}
	}()
	synctest.Wait() // one at a time, so that a seed gives one order of arrival
}

// same compares what an answer keeps.
func same(a, b exchange.Outcome) bool {
	return a.ID == b.ID && a.Code == b.Code && a.Seq == b.Seq && a.Order == b.Order && a.Number == b.Number && a.Status == b.Status && a.Executed == b.Executed && a.Quote == b.Quote
}

// send has a customer think of a command.
func (s *simulation) send() {
	c := s.crowd.next()
	if q := s.requests[c.ID]; q != nil {
		s.deliver(q) // the same again
		return
	}
	q := &request{command: c, held: s.r.IntN(5) == 0}
	s.requests[c.ID] = q
	s.order = append(s.order, c.ID)
	if !q.held {
		s.deliver(q)
	}
}

// any is a request of late; open: one whose customer does not know its outcome.
func (s *simulation) any(open bool) *request {
	for range 40 {
		if len(s.order) == 0 {
			return nil
		}
		q := s.requests[s.order[len(s.order)-1-s.r.IntN(min(len(s.order), 60))]]
		s.mu.Lock()
		known := q.answer != nil
		s.mu.Unlock()
		if known != open {
			return q
		}
	}
	return nil
}

// step does one thing.
func (s *simulation) step() {
	s.clock.Add(int64(s.r.IntN(30)))
	switch n := s.r.IntN(100); {
	case n < 45:
		s.send()
	case n < 78:
		s.turn(written)
	case n < 84:
		if q := s.any(true); q != nil {
			s.deliver(q) // held until now, or asked again
		}
	case n < 88:
		if q := s.any(false); q != nil {
			s.deliver(q) // a duplicate, long after its answer
		}
	case n < 91:
		s.loseReply()
	case n < 93:
		s.kinds["slow"]++
		time.Sleep(time.Duration(s.r.IntN(20_000)) * time.Millisecond) // the journal may time out; orders expire
	case n < 94:
		s.kinds["clock"]++
		s.clock.Add(int64(s.r.IntN(20_000) - 10_000))
	default:
		s.fault()
	}
	synctest.Wait()
	s.follow()
}

// turn lets the oldest append that somebody waits for go on.
func (s *simulation) turn(what fate) {
	for _, m := range s.machines {
		if m.hand.waiting.Load() {
			m.hand.turn <- what
			return
		}
	}
}

// loseReply has a customer give up waiting.
func (s *simulation) loseReply() {
	if q := s.any(true); q != nil {
		s.kinds["reply"]++
		for _, cancel := range q.cancels {
			cancel()
		}
	}
}

// fault breaks something, or has another machine take over.
func (s *simulation) fault() {
	m := s.current()
	if m == nil {
		s.kinds["start"]++
		s.begin()
		return
	}
	switch s.r.IntN(8) {
	case 0:
		s.kinds["disk"]++
		s.turn(unwritten)
	case 1:
		s.kinds["unheard"]++
		s.turn(unheard)
	case 2:
		s.kinds["takeover"]++
		s.begin()
	case 3, 4:
		points := []string{"append-before", "append-after", "apply-before", "apply-after", "reply-before", "reply-after"}
		point := points[s.r.IntN(len(points))]
		s.kinds["crash "+point]++
		m.crashAt.Store(point)
	}
}

// follow applies what has become durable to the world that the crowd looks at, and judges what customers were told.
func (s *simulation) follow() {
	w := s.crowd.w
	s.disk.mu.Lock()
	frames := s.disk.frames
	s.disk.mu.Unlock()
	for _, f := range frames {
		if f.First <= w.State.Seq() {
			continue
		}
		if err := w.State.Apply(f, &w.Results); err != nil {
			s.t.Fatal(err)
		}
		w.Now = max(w.Now, f.At)
		s.remember(f)
		s.crowd.m.read(s.t, w.Results.Events)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order[max(0, len(s.order)-200):] {
		q := s.requests[id]
		if truth, durable := s.truth[id]; q.answer != nil && (!durable && q.answer.Code != exchange.Malformed || durable && !same(truth, *q.answer)) {
			s.t.Fatalf("a customer was told %+v; durable is %v, %+v", *q.answer, durable, truth)
		}
	}
}

// remember notes what each command of a durable frame did, which it may do once.
func (s *simulation) remember(f engine.Frame) {
	rest := f.Commands
	for _, o := range s.crowd.w.Results.Outcomes {
		var c exchange.Command
		var err error
		if rest, err = c.Read(rest); err != nil {
			s.t.Fatal(err)
		}
		if c.Kind == exchange.Tick {
			continue
		}
		before, twice := s.truth[c.ID]
		if twice != o.Again || twice && !same(before, o) {
			s.t.Fatalf("command %s is durable with %+v; before: %v, %+v", c.ID, o, twice, before)
		}
		s.truth[c.ID] = o
		s.crowd.market(c, &o)
	}
}

// end leaves everybody in peace until all customers know, and compares everything with everything.
func (s *simulation) end() {
	for round := 0; ; round++ {
		if s.current() == nil {
			s.begin()
		}
		s.current().crashAt.Store("")
		left := 0
		for _, id := range s.order {
			if q := s.requests[id]; q.answer == nil {
				left++
				if left <= 20 {
					s.deliver(q)
				}
			}
		}
		for range 40 {
			s.turn(written)
			synctest.Wait()
		}
		s.follow()
		if left == 0 {
			break
		}
		if round > 2000 {
			s.t.Fatalf("%d commands are never answered", left)
		}
	}
	m := s.current()
	a, _, err := m.runner.Ask(context.Background(), exchange.Question{Status: &struct{}{}})
	if err != nil || a.Status.Hash != s.crowd.w.State.Hash() {
		s.t.Fatalf("the engine's state is another one than the disk's: %v", err)
	}
	if err := s.crowd.w.State.Verify(); err != nil {
		s.t.Fatal(err)
	}
	s.close()
	s.crowd.finish(s.t)
}

// close lets every machine go. It may be called again.
func (s *simulation) close() {
	select {
	case <-s.gone:
		return
	default:
	}
	close(s.gone)
	for _, m := range s.machines {
		m.stop()
		<-m.ended
	}
	synctest.Wait()
}

// simulate plays the world of a seed.
func simulate(t *testing.T, seed uint64, steps int) (told string) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, seed)
		defer s.close() // also where something is found
		s.begin()
		for range steps {
			s.step()
		}
		s.end()
		told = fmt.Sprintf("%d commands in %d frames on %d machines, %v", len(s.truth), len(s.disk.frames), len(s.machines), s.kinds)
	})
	return told
}

// Engines that crash at every boundary of a write, disks that fail before or after the write, takeovers, lost replies,
// duplicates and overtaking requests, clocks that jump: nothing that a customer was told is lost or done twice, and the
// last engine's state is the journal's. All of it happens in simulated time, and a seed plays it again.
func TestSimulatedEnginesLoseNothing(t *testing.T) {
	switch {
	case *simSeed != 0:
		t.Logf("seed %d: %s", *simSeed, simulate(t, *simSeed, 3000))
	case *simFor != 0:
		first := uint64(time.Now().UnixNano() >> 10)
		for seed, began := first, time.Now(); time.Since(began) < *simFor && !t.Failed(); seed++ {
			t.Logf("seed %d: %s", seed, simulateOr(t, seed))
		}
	default:
		for seed := range uint64(3) {
			t.Logf("seed %d: %s", seed+1, simulate(t, seed+1, 600))
		}
	}
}

// simulateOr says how to play a world again when it fails.
func simulateOr(t *testing.T, seed uint64) string {
	defer func() {
		if t.Failed() {
			t.Logf("play it again: make sim SIM=\"-seed %d\"", seed)
		}
	}()
	return simulate(t, seed, 3000)
}
