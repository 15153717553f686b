package matching_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/coldsign/coldsign/internal/matching"
)

// commander draws random commands around a moving price, so that books are deep, prices meet and owners meet themselves.
type commander struct {
	r      *rand.Rand
	next   OrderID
	now    Time
	dense  bool
	middle Price
}

func newCommander(seed uint64, dense bool) *commander {
	return &commander{r: rand.New(rand.NewPCG(seed, 1)), dense: dense, middle: 5000}
}

func (c *commander) id() OrderID {
	c.next++
	if c.dense {
		return c.next
	}
	return OrderID(uint64(c.next)*0x9E3779B97F4A7C15 | 1)
}

func (c *commander) known() OrderID {
	back := OrderID(c.r.Uint64N(300))
	if back >= c.next {
		back = 0
	}
	n := c.next - back
	if c.dense {
		return max(n, 1)
	}
	return OrderID(uint64(n)*0x9E3779B97F4A7C15 | 1)
}

func (c *commander) order() Order {
	c.now += Time(c.r.IntN(3))
	c.middle = min(max(c.middle+Price(c.r.IntN(5)-2), 200), 9000)
	o := Order{ID: c.id(), Owner: Owner(1 + c.r.IntN(8)), Side: Side(c.r.IntN(2)), SelfTrade: SelfTrade(c.r.IntN(4)),
		Price: c.middle + Price(c.r.IntN(41)-20), Qty: Qty(1 + c.r.IntN(30)), Tag: c.r.Uint32()}
	switch c.r.IntN(13) {
	case 0:
		o.Force = ImmediateOrCancel
	case 1:
		o.Force = FillOrKill
	case 2:
		o.Force = PostOnly
	case 3:
		o.Force, o.Expire = GoodTillTime, c.now+1+Time(c.r.IntN(60))
	case 4:
		o.Show = 1 + Qty(c.r.IntN(int(o.Qty)))
	case 5:
		o.Type, o.Price, o.Force = Market, 0, []Force{ImmediateOrCancel, FillOrKill}[c.r.IntN(2)]
	case 6:
		o.Type, o.Price, o.Qty, o.Force, o.Quote = Market, 0, 0, ImmediateOrCancel, 1+c.r.Int64N(100_000)
	case 7:
		o.Type, o.Price, o.Stop = Stop, 0, c.middle+Price(c.r.IntN(61)-30)
		if c.r.IntN(2) == 0 {
			o.Price = o.Stop + Price(c.r.IntN(41)-20)
		}
	case 8:
		o.Type, o.Stop = StopLimit, c.middle+Price(c.r.IntN(61)-30)
		o.Force = Force(c.r.IntN(4))
	case 9:
		o.Type, o.Price, o.Force, o.Quote = Market, 0, []Force{ImmediateOrCancel, FillOrKill}[c.r.IntN(2)], 1+c.r.Int64N(200_000)
	}
	return o
}

// A book written from the rules alone, which searches a list for everything, gives the same events, one by one.
func TestTheNaiveBookGivesTheSameEvents(t *testing.T) {
	commands := 1_000_000
	if raceEnabled {
		commands = 50_000
	}
	for _, dense := range []bool{true, false} {
		c := newCommander(7, dense)
		limits := Limits{PriceMin: 100, PriceMax: 9500, OwnerMax: 60}
		book, reference := New(Options{Limits: limits, ArbitraryID: !dense}), &naive{limits: limits}
		var got []Event
		seen, reasons := map[Kind]int{}, map[Reason]int{}
		for i := range commands / 2 {
			var want []Event
			if c.r.IntN(100) < 30 {
				id, owner := c.known(), Owner(c.r.IntN(9))
				got, want = book.Cancel(id, owner, got[:0]), reference.cancel(id, owner)
			} else {
				o := c.order()
				got, want = book.Place(o, c.now, got[:0]), reference.place(o, c.now)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("command %d, dense %v:\n got %+v\nwant %+v", i, dense, got, want)
			}
			for _, e := range got {
				seen[e.Kind]++
				reasons[e.Reason]++
			}
			if bid, ok := book.Best(Buy); ok {
				if ask, ok := book.Best(Sell); ok && bid >= ask {
					t.Fatalf("command %d: the book is crossed at %d and %d", i, bid, ask)
				}
			}
		}
		for kind, least := range map[Kind]int{Traded: commands / 20, Triggered: commands / 1000, Cancelled: commands / 20, Rejected: commands / 50} {
			if seen[kind] < least {
				t.Errorf("only %d events of kind %d: the commands test too little", seen[kind], kind)
			}
		}
		t.Logf("dense %v: events by kind %v, by reason %v, %d orders at the end", dense, seen, reasons, book.Len())
		if book.Len() != len(reference.orders) || book.Last() != reference.last {
			t.Errorf("%d orders and last %d, the reference %d and %d", book.Len(), book.Last(), len(reference.orders), reference.last)
		}
	}
}

// The same commands give the same events and the same state, and a restored book goes on as the one that was written.
func TestReplayAndRestoreGiveTheSameBook(t *testing.T) {
	run := func(book *Book, c *commander, n int) (events []Event) {
		for range n {
			switch c.r.IntN(20) {
			case 0:
				events = book.CancelAll(Owner(1+c.r.IntN(8)), events)
			case 1, 2:
				events = book.Amend(Amendment{c.known(), Owner(1 + c.r.IntN(8)), c.middle + Price(c.r.IntN(21)-10), Qty(1 + c.r.IntN(30))}, c.now, events)
			case 3:
				old := c.known()
				events = book.Replace(old, c.order(), c.now, events)
			case 4, 5, 6:
				events = book.Cancel(c.known(), 0, events)
			default:
				events = book.Place(c.order(), c.now, events)
			}
		}
		return events
	}
	one, two := New(Options{}), New(Options{})
	first, second := newCommander(3, true), newCommander(3, true)
	if !slices.Equal(run(one, first, 20_000), run(two, second, 20_000)) || !bytes.Equal(one.Snapshot(nil), two.Snapshot(nil)) {
		t.Fatal("the same commands gave two books")
	}
	restored, err := Restore(one.Snapshot(nil), Options{})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[OrderID]uint32{}
	one.Each(func(o Standing) uint32 { tags[o.ID] = o.Tag; return o.Tag })
	restored.Each(func(o Standing) uint32 { return tags[o.ID] })
	if !slices.Equal(run(restored, first, 20_000), run(two, second, 20_000)) || !bytes.Equal(restored.Snapshot(nil), two.Snapshot(nil)) {
		t.Error("the restored book went another way")
	}
}

func TestASnapshotThatIsNoneIsRefused(t *testing.T) {
	book := New(Options{})
	book.Place(Order{ID: 1, Owner: 1, Price: 10, Qty: 5}, 0, nil)
	book.Place(Order{ID: 2, Owner: 2, Side: Sell, Price: 12, Qty: 5}, 0, nil)
	raw := book.Snapshot(nil)
	for cut := range raw {
		if _, err := Restore(raw[:cut], Options{}); err == nil {
			t.Errorf("cut to %d of %d bytes it was restored", cut, len(raw))
		}
	}
	crossed := bytes.Clone(raw)
	crossed[len(raw)-60+48] = 9 // the sell's price
	if _, err := Restore(crossed, Options{}); err == nil {
		t.Error("a crossed market was restored")
	}
	if _, err := Restore(append(raw, raw[len(raw)-60:]...), Options{}); err == nil {
		t.Error("an order that stands twice was restored")
	}
}

func TestNothingIsAllocatedInTheSteadyState(t *testing.T) {
	for _, arbitrary := range []bool{false, true} {
		c := newCommander(11, !arbitrary)
		book := New(Options{ArbitraryID: arbitrary})
		events := make([]Event, 0, 4096)
		step := func() {
			if c.r.IntN(2) == 0 {
				events = book.Cancel(c.known(), 0, events[:0])
			} else {
				events = book.Place(c.order(), c.now, events[:0])
			}
		}
		for range 300_000 {
			step()
		}
		if n := testing.AllocsPerRun(100_000, step); n != 0 {
			t.Errorf("arbitrary %v: %v allocations a command", arbitrary, n)
		}
	}
}

func FuzzRestore(f *testing.F) {
	book := New(Options{})
	book.Place(Order{ID: 1, Owner: 1, Price: 10, Qty: 5, Show: 2}, 0, nil)
	f.Add(book.Snapshot(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Restore(raw, Options{ArbitraryID: true})
		if err != nil {
			return
		}
		again, err := Restore(b.Snapshot(nil), Options{ArbitraryID: true})
		if err != nil || !bytes.Equal(again.Snapshot(nil), b.Snapshot(nil)) {
			t.Fatalf("a restored book does not restore again: %v", err)
		}
	})
}
