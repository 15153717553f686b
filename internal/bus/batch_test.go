package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/nats-io/nats-server/v2/server"
)

// book is an engine as far as the bus needs one: it takes commands once each, and says which it had before.
type book struct {
	mu     sync.Mutex
	taken  map[exchange.ID]uint64
	twice  int // commands that came again
	frames int
	hold   chan struct{}
}

func (b *book) handle(_ context.Context, _ Segment, payload []byte) ([]byte, error) {
	if b.hold != nil {
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames++
	var out []byte
	for len(payload) > 0 {
		var c exchange.Command
		rest, err := c.Read(payload)
		if err != nil {
			return nil, err
		}
		payload = rest
		seq, again := b.taken[c.ID]
		if !again {
			seq = uint64(len(b.taken) + 1)
			b.taken[c.ID] = seq
		} else {
			b.twice++
		}
		o := exchange.Outcome{ID: c.ID, Seq: seq, Again: again}
		out = o.Append(out)
	}
	return out, nil
}

func newBook() *book { return &book{taken: map[exchange.ID]uint64{}} }

// do sends one command until its outcome is known.
func do(ctx context.Context, b *Batcher, id exchange.ID) (exchange.Outcome, error) {
	cmds, out := []exchange.Command{{ID: id, Kind: exchange.Place, Market: 1}}, make([]exchange.Outcome, 1)
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := b.Do(once, cmds, out)
		cancel()
		if err == nil || ctx.Err() != nil {
			return out[0], err
		}
	}
}

func TestPendingCommandsTravelTogether(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	b := newBook()
	b.hold = make(chan struct{})
	serve(t, engine, "cmd.order.1", b.handle)
	batcher := NewBatcher(gateway, "cmd.order.1", BatchOptions{Frames: 1})
	const callers = 100
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			id := exchange.RandomID()
			if o, err := do(context.Background(), batcher, id); err != nil || o.ID != id || o.Again {
				t.Errorf("%+v %v", o, err)
			}
		})
	}
	for { // all others are pending behind the first
		batcher.mu.Lock()
		waiting := batcher.waiting
		batcher.mu.Unlock()
		if waiting == callers-1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(b.hold)
	wait.Wait()
	if b.frames != 2 || len(b.taken) != callers {
		t.Errorf("%d commands in %d messages", len(b.taken), b.frames)
	}
}

func TestABatcherRefusesWhatItCannotKeep(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	b := newBook()
	b.hold = make(chan struct{})
	serve(t, engine, "cmd.order.1", b.handle)
	batcher := NewBatcher(gateway, "cmd.order.1", BatchOptions{Frames: 1, Queue: 10, Commands: 5})
	results := make(chan error, 40)
	for range 40 {
		go func() {
			out := make([]exchange.Outcome, 1)
			results <- batcher.Do(context.Background(), []exchange.Command{{ID: exchange.RandomID(), Kind: exchange.Place}}, out)
		}()
	}
	for range 40 - 11 { // one is under way and ten wait
		if err := <-results; !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
	}
	close(b.hold)
	for range 11 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := batcher.Do(context.Background(), make([]exchange.Command, 6), make([]exchange.Outcome, 6)); err == nil {
		t.Error("more commands than a message may have are taken")
	}
	big := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Deposit, Body: bytes.Repeat([]byte{1}, exchange.BodyMax)}
	if err := batcher.Do(context.Background(), []exchange.Command{big}, make([]exchange.Outcome, 1)); err != nil {
		t.Errorf("the longest command: %v", err)
	}
}

func TestACallerThatLeavesKeepsItsPlacesUntouched(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	b := newBook()
	b.hold = make(chan struct{})
	serve(t, engine, "cmd.order.1", b.handle)
	batcher := NewBatcher(gateway, "cmd.order.1", BatchOptions{Frames: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out := make([]exchange.Outcome, 1)
	id := exchange.RandomID()
	if err := batcher.Do(ctx, []exchange.Command{{ID: id, Kind: exchange.Place}}, out); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	close(b.hold)
	if o, err := do(context.Background(), batcher, id); err != nil || !o.Again {
		t.Errorf("asked again: %+v %v", o, err)
	}
	if out[0].ID != (exchange.ID{}) {
		t.Error("an outcome was written after Do had returned")
	}
}

// deaf is a listener that does not read until it is told to.
type deaf struct {
	wake   chan struct{}
	once   sync.Once
	missed atomic.Int64
	last   chan uint64
}

func (d *deaf) Missed() { d.missed.Add(1) }
func (d *deaf) Event(payload []byte) {
	<-d.wake
	if n := binary.LittleEndian.Uint64(payload); n == 3*backlogMax-1 {
		d.once.Do(func() { d.last <- n })
	}
}

func TestASlowListenerIsToldThatItMissedSomething(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	stream, err := engine.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{wake: make(chan struct{}), last: make(chan uint64, 1)}
	if err := gateway.Subscribe("evt.frame.1", d); err != nil {
		t.Fatal(err)
	}
	for d.missed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range uint64(3 * backlogMax) {
		if err := stream.Publish(binary.LittleEndian.AppendUint64(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(engine.nc.Flush(), gateway.nc.Flush()); err != nil { // everything is here, or was dropped here
		t.Fatal(err)
	}
	close(d.wake)
	for d.missed.Load() < 2 { // a later event, or a beat, shows the hole
		time.Sleep(time.Millisecond)
	}
	if got := gateway.Stats(); got.Slow == 0 || got.Gaps == 0 {
		t.Errorf("%+v", got)
	}
}

func TestAConnectionOutlivesItsServer(t *testing.T) {
	w := newWorld(t)
	s, err := NewServer(ServerOptions{Users: w.users, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{URLs: []string{s.URL()}}
	engine, gateway := w.dial(t, Engine, o), w.dial(t, Gateway, o)
	b := newBook()
	serve(t, engine, "cmd.order.1", b.handle)
	batcher := NewBatcher(gateway, "cmd.order.1", BatchOptions{Timeout: time.Second})
	if _, err := do(context.Background(), batcher, exchange.RandomID()); err != nil {
		t.Fatal(err)
	}
	address := s.URL()[len("nats://"):]
	s.Close()
	out := make([]exchange.Outcome, 1)
	if err := batcher.Do(context.Background(), []exchange.Command{{ID: exchange.RandomID(), Kind: exchange.Place}}, out); !errors.Is(err, ErrDown) && !errors.Is(err, ErrUnknown) {
		t.Errorf("without a server: %v", err)
	}
	again, err := NewServer(ServerOptions{Users: w.users, Listen: address})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := do(context.Background(), batcher, exchange.RandomID()); err != nil {
		t.Errorf("with a server again: %v", err)
	}
}

// newCluster starts three servers on loopback that form a cluster.
func newCluster(t *testing.T, w world) (servers []*Server, urls []string) {
	t.Helper()
	routes := ""
	for i := range 3 {
		options := serverOptions(w.users)
		options.ServerName = fmt.Sprintf("node-%d", i)
		options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
		options.Cluster = server.ClusterOpts{Name: "bus", Host: "127.0.0.1", Port: server.RANDOM_PORT}
		if routes != "" {
			options.Routes = server.RoutesFromStr(routes)
		}
		s, err := startServer(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if routes == "" {
			routes = "nats://" + s.server.ClusterAddr().String()
		}
		servers, urls = append(servers, s), append(urls, s.URL())
	}
	for _, s := range servers {
		for s.server.NumRoutes() < 2 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return servers, urls
}

// Three nodes, an engine and two gateways; each node in turn is killed under load. Whoever gets no answer asks again by
// identity; at the end every acknowledged command is there, once.
func TestAClusterLosesNothingAcknowledgedWhenAnyNodeDies(t *testing.T) {
	for victim := range 3 {
		t.Run(fmt.Sprint(victim), func(t *testing.T) {
			w := newWorld(t)
			servers, urls := newCluster(t, w)
			order := func(first int) []string { return append(slices.Clone(urls[first:]), urls[:first]...) }
			engine := w.dial(t, Engine, Options{URLs: order(0)})
			b := newBook()
			serve(t, engine, "cmd.order.1", b.handle)
			const callers, each = 8, 150
			var wait sync.WaitGroup
			var done atomic.Int64
			acked := make([][]exchange.Outcome, callers)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			batchers := []*Batcher{}
			for i := range 2 {
				batchers = append(batchers, NewBatcher(w.dial(t, Gateway, Options{URLs: order(1 + i)}), "cmd.order.1", BatchOptions{Timeout: time.Second}))
			}
			for i := range callers {
				wait.Go(func() {
					for range each {
						o, err := do(ctx, batchers[i%2], exchange.RandomID())
						if err != nil {
							t.Error(err)
							return
						}
						acked[i] = append(acked[i], o)
						done.Add(1)
					}
				})
			}
			for done.Load() < callers*each/4 {
				time.Sleep(time.Millisecond)
			}
			servers[victim].Close()
			wait.Wait()
			seen := map[uint64]bool{}
			for _, list := range acked {
				for _, o := range list {
					if b.taken[o.ID] != o.Seq || seen[o.Seq] {
						t.Fatalf("%+v was acknowledged; the engine has %d", o, b.taken[o.ID])
					}
					seen[o.Seq] = true
				}
			}
			if len(seen) != callers*each || len(b.taken) != len(seen) {
				t.Errorf("%d acknowledged, %d taken", len(seen), len(b.taken))
			}
		})
	}
}

func benchWorld(b *testing.B, listen string) (engine, gateway *Conn) {
	all, err := NewCredentials(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	w := world{creds: map[Segment]Credentials{}, users: UsersOf(all)}
	for _, c := range all {
		w.creds[c.Segment()] = c
	}
	s := w.server(b, listen)
	o := Options{Server: s}
	if listen != "" {
		o = Options{URLs: []string{s.URL()}}
	}
	return w.dial(b, Engine, o), w.dial(b, Gateway, o)
}

// percentiles reports the middle and the slowest hundredth of what callers waited.
func percentiles(b *testing.B, waits [][]time.Duration) {
	var all []time.Duration
	for _, w := range waits {
		all = append(all, w...)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "per-s")
}

// many runs b.N acts by a number of callers.
func many(b *testing.B, callers int, act func() error) {
	waits := make([][]time.Duration, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wait sync.WaitGroup
	b.ResetTimer()
	for i := range callers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := act(); err != nil {
					b.Error(err)
					return
				}
				waits[i] = append(waits[i], time.Since(start))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	percentiles(b, waits)
}

func BenchmarkBus(b *testing.B) {
	for _, listen := range []string{"", "127.0.0.1:0"} {
		name := map[string]string{"": "inprocess", "127.0.0.1:0": "tcp"}[listen]
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("request/%s/%d", name, callers), func(b *testing.B) {
				engine, gateway := benchWorld(b, listen)
				if err := engine.Serve("cmd.order.1", 1024, func(_ context.Context, _ Segment, p []byte) ([]byte, error) { return p, nil }); err != nil {
					b.Fatal(err)
				}
				payload := make([]byte, 128)
				many(b, callers, func() error {
					_, err := gateway.Request(context.Background(), "cmd.order.1", payload)
					return err
				})
			})
			b.Run(fmt.Sprintf("batched/%s/%d", name, callers), func(b *testing.B) {
				engine, gateway := benchWorld(b, listen)
				if err := engine.Serve("cmd.order.1", 1024, echoOutcomes); err != nil {
					b.Fatal(err)
				}
				batcher := NewBatcher(gateway, "cmd.order.1", BatchOptions{})
				many(b, callers, func() error {
					cmds, out := [1]exchange.Command{{ID: exchange.RandomID(), Kind: exchange.Place}}, [1]exchange.Outcome{}
					return batcher.Do(context.Background(), cmds[:], out[:])
				})
			})
		}
	}
}

func echoOutcomes(_ context.Context, _ Segment, payload []byte) (out []byte, err error) {
	var c exchange.Command
	for len(payload) > 0 && err == nil {
		if payload, err = c.Read(payload); err == nil {
			out = (&exchange.Outcome{ID: c.ID, Seq: 1}).Append(out)
		}
	}
	return out, err
}
