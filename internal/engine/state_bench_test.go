package engine_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// market of the benchmark: its customers, and the orders that rest.
type bazaar struct {
	r        *rand.Rand
	w        *enginetest.World
	accounts int
	named    bool
	live     []resting
	place    map[exchange.OrderID]int // in live
	middle   int64
	sent     uint64
}

type resting struct {
	id      exchange.OrderID
	account exchange.Account
}

// newBazaar opens accounts and gives each both assets. The money comes as proven deposits, straight into the ledger: two
// signatures for each of a million customers would only measure signatures.
func newBazaar(b *testing.B, accounts int, named bool) *bazaar {
	z := &bazaar{r: rand.New(rand.NewPCG(42, 42)), w: enginetest.Open(engine.StateOptions{}), accounts: accounts, named: named, place: map[exchange.OrderID]int{}, middle: 1 << 18}
	batch := make([]exchange.Command, 0, 1000)
	for i := range accounts {
		c := exchange.Command{Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: fmt.Sprintf("customer-%d", i)})}
		binary.LittleEndian.PutUint64(c.ID[8:], uint64(i)+1)
		if batch = append(batch, c); len(batch) == cap(batch) || i == accounts-1 {
			z.w.Do(batch...)
			batch = batch[:0]
		}
	}
	l := z.w.State.Ledger()
	for i := 1; i <= accounts; i++ {
		for asset := exchange.Asset(1); asset <= 2; asset++ {
			d := chaintest.Deposit(chain.DepositFacts{Network: "bitcoin:regtest", TxID: fmt.Sprint(asset, i), Amount: money.New(money.Asset{}, units(1<<60))})
			if _, code := l.Credit(d, exchange.Account(i), asset); code != exchange.Done {
				b.Fatal(code)
			}
		}
	}
	return z
}

func (z *bazaar) id() (id exchange.ID) {
	z.sent++
	binary.LittleEndian.PutUint64(id[:], z.r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], z.sent|1<<63)
	return id
}

// order draws one that rests: half of the offsets are below 16 ticks, none above 4,096.
func (z *bazaar) order() exchange.Command {
	z.middle += z.r.Int64N(3) - 1
	offset := z.r.Int64N(16)
	for z.r.IntN(2) == 0 && offset < 2048 {
		offset = offset*2 + z.r.Int64N(16)
	}
	c := exchange.Command{ID: z.id(), Kind: exchange.Place, Account: exchange.Account(1 + z.r.IntN(z.accounts)), Market: pair, Side: exchange.Side(z.r.IntN(2)), Qty: 1 + z.r.Int64N(100)}
	if c.Price = z.middle - 1 - offset; c.Side == exchange.Sell {
		c.Price = z.middle + 1 + offset
	}
	if z.named {
		c.Client, _ = exchange.NewClient(fmt.Sprintf("x-%020d", z.sent))
	}
	return c
}

// next draws a command: 70 of 100 add, 20 cancel, half of these lately placed ones, 10 take about five makers.
func (z *bazaar) next() exchange.Command {
	switch n := z.r.IntN(100); {
	case n < 20 && len(z.live) > 0:
		at := z.r.IntN(len(z.live))
		if n < 10 {
			at = len(z.live) - 1 - z.r.IntN(min(1024, len(z.live)))
		}
		return exchange.Command{ID: z.id(), Kind: exchange.Cancel, Account: z.live[at].account, Market: pair, Order: z.live[at].id}
	case n < 30:
		c := z.order()
		c.Force, c.SelfTrade, c.Qty = exchange.ImmediateOrCancel, exchange.ExpireTaker, 100+z.r.Int64N(300)
		if c.Price = z.middle + 4096; c.Side == exchange.Sell {
			c.Price = z.middle - 4096
		}
		return c
	}
	return z.order()
}

// play applies a command and follows who rests.
func (z *bazaar) play(commands ...exchange.Command) {
	z.w.Do(commands...)
	var e exchange.Event
	for raw := z.w.Results.Events; len(raw) > 0; {
		raw, _ = e.Read(raw)
		if e.Kind != exchange.OrderChanged {
			continue
		}
		at, rests := z.place[e.Order.Order]
		switch ended := e.Order.Status.Ended(); {
		case ended && rests:
			last := z.live[len(z.live)-1]
			z.live[at], z.place[last.id] = last, at
			z.live = z.live[:len(z.live)-1]
			delete(z.place, e.Order.Order)
		case !ended && !rests:
			z.place[e.Order.Order] = len(z.live)
			z.live = append(z.live, resting{e.Order.Order, e.Order.Account})
		}
	}
}

func (z *bazaar) fill(n int) {
	for len(z.live) < n {
		batch := make([]exchange.Command, min(1000, n-len(z.live)))
		for i := range batch {
			batch[i] = z.order()
		}
		z.play(batch...)
	}
}

// record plays commands, in frames of 256, and returns the frames.
func (z *bazaar) record(commands int) []engine.Frame {
	var frames []engine.Frame
	for n := 0; n < commands; n += 256 {
		batch := make([]exchange.Command, 256)
		for i := range batch {
			batch[i] = z.next()
		}
		z.w.Now++
		frames = append(frames, z.w.Frame(batch...))
		z.play(batch...)
	}
	return frames
}

// Commands a second, matching and ledger included, from the bytes of frames to outcomes. The frames are recorded once,
// and played by states that a snapshot from before them gives.
func BenchmarkEngine(b *testing.B) {
	const commands = 1_000_000
	for _, size := range []struct{ accounts, orders int }{{1000, 10_000}, {1_000_000, 10_000}, {1_000_000, 1_000_000}} {
		for _, named := range []bool{false, true} {
			b.Run(fmt.Sprintf("accounts=%d,orders=%d,names=%v", size.accounts, size.orders, named), func(b *testing.B) {
				z := newBazaar(b, size.accounts, named)
				z.fill(size.orders)
				var snapshot bytes.Buffer
				start := processor(b)
				if err := z.w.State.Snapshot(&snapshot); err != nil {
					b.Fatal(err)
				}
				wrote := processor(b) - start
				frames := z.record(commands)
				want := z.w.State.Hash()
				*z = bazaar{}
				for _, silent := range []bool{true, false} {
					b.Run(fmt.Sprintf("events=%v", !silent), func(b *testing.B) {
						least := time.Duration(math.MaxInt64)
						for range b.N {
							least = min(least, replay(b, snapshot.Bytes(), frames, engine.StateOptions{NoEvents: silent}, want))
						}
						b.ReportMetric(float64(least.Nanoseconds())/float64(len(frames)*256), "best-cpu-ns/cmd")
						b.ReportMetric(float64(wrote.Milliseconds()), "cpu-ms-write")
						b.ReportMetric(float64(snapshot.Len())/(1<<20), "MiB-snapshot")
					})
				}
			})
		}
	}
}

// replay loads a snapshot and plays frames, and returns the processor time that playing took.
func replay(b *testing.B, snapshot []byte, frames []engine.Frame, o engine.StateOptions, want [32]byte) time.Duration {
	b.StopTimer()
	start := processor(b)
	s, err := engine.RestoreState(bytes.NewReader(snapshot), o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((processor(b) - start).Milliseconds()), "cpu-ms-load")
	spent := play(b, s, frames)
	if s.Hash() != want {
		b.Fatal("another state than the one that was recorded")
	}
	return spent
}

// processor is the time that processors worked for this process, which others on the machine do not lengthen.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func play(b *testing.B, s *engine.State, frames []engine.Frame) time.Duration {
	var results engine.Results
	var before, after runtime.MemStats
	half := len(frames) / 2
	apply := func(frames []engine.Frame) {
		for _, f := range frames {
			if err := s.Apply(f, &results); err != nil {
				b.Fatal(err)
			}
		}
	}
	runtime.GC()
	b.StartTimer()
	start, spent := time.Now(), processor(b)
	apply(frames[:half])
	b.StopTimer()
	runtime.ReadMemStats(&before)
	b.StartTimer()
	apply(frames[half:])
	took, spent := time.Since(start), processor(b)-spent
	b.StopTimer()
	runtime.ReadMemStats(&after)
	n := float64(len(frames) * 256)
	b.ReportMetric(n/spent.Seconds()/1e6, "Mcmd/cpu-s")
	b.ReportMetric(float64(spent.Nanoseconds())/n, "cpu-ns/cmd")
	b.ReportMetric(n/took.Seconds()/1e6, "Mcmd/s")
	b.ReportMetric(float64(took.Nanoseconds())/n, "ns/cmd")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/(n/2), "allocs/cmd")
	return spent
}
