package matching_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/coldsign/coldsign/internal/matching"
)

// with makes a book that holds the given limit orders.
func with(orders ...Order) *Book {
	b := New(Options{})
	for _, o := range orders {
		b.Place(o, 0, nil)
	}
	return b
}

func buy(id OrderID, price Price, qty Qty) Order {
	return Order{ID: id, Owner: Owner(id), Price: price, Qty: qty}
}

func sell(id OrderID, price Price, qty Qty) Order {
	return Order{ID: id, Owner: Owner(id), Side: Sell, Price: price, Qty: qty}
}

// makers lists who traded, in order.
func makers(events []Event) (out []OrderID) {
	for _, e := range events {
		if e.Kind == Traded {
			out = append(out, e.Maker)
		}
	}
	return out
}

func TestOlderOrdersTradeFirstAndAmendingUpLosesThePlace(t *testing.T) {
	for name, c := range map[string]struct {
		amend func(*Book)
		want  []OrderID
	}{
		"untouched":      {func(*Book) {}, []OrderID{1, 2}},
		"less":           {func(b *Book) { b.Amend(Amendment{1, 1, 10, 3}, 0, nil) }, []OrderID{1, 2}},
		"more":           {func(b *Book) { b.Amend(Amendment{1, 1, 10, 6}, 0, nil) }, []OrderID{2, 1}},
		"another's":      {func(b *Book) { b.Amend(Amendment{1, 2, 10, 6}, 0, nil) }, []OrderID{1, 2}},
		"to a worse one": {func(b *Book) { b.Amend(Amendment{1, 1, 11, 5}, 0, nil) }, []OrderID{2, 1}},
	} {
		b := with(sell(1, 10, 5), sell(2, 10, 5))
		c.amend(b)
		if got := makers(b.Place(buy(9, 11, 7), 0, nil)); !slices.Equal(got, c.want) {
			t.Errorf("%s: makers %v, want %v", name, got, c.want)
		}
	}
}

func TestAmendingAcrossTheSpreadTrades(t *testing.T) {
	b := with(buy(1, 8, 5), sell(2, 10, 3))
	events := b.Amend(Amendment{1, 1, 10, 5}, 0, nil)
	if !slices.Equal(makers(events), []OrderID{2}) || events[0].Kind != Amended {
		t.Errorf("events %+v", events)
	}
	if price, ok := b.Best(Buy); !ok || price != 10 || b.Len() != 1 {
		t.Errorf("best buy %d %v, %d orders", price, ok, b.Len())
	}
}

func TestReplaceDoesBothOrNeither(t *testing.T) {
	b := with(buy(1, 8, 5), sell(2, 10, 3))
	before := b.Snapshot(nil)
	post := Order{ID: 3, Owner: 1, Force: PostOnly, Price: 10, Qty: 5}
	for _, events := range [][]Event{b.Replace(1, post, 0, nil), b.Replace(7, buy(3, 7, 1), 0, nil), b.Replace(1, Order{ID: 2, Owner: 1, Price: 7, Qty: 1}, 0, nil)} {
		if len(events) != 1 || events[0].Kind != Rejected {
			t.Errorf("events %+v", events)
		}
	}
	if !slices.Equal(before, b.Snapshot(nil)) {
		t.Error("a refused replacement changed the book")
	}
	post.Price = 9
	if events := b.Replace(1, post, 0, nil); len(events) != 2 || events[0].Kind != Cancelled || events[1].Kind != Accepted {
		t.Errorf("events %+v", events)
	}
}

func TestAHaltedMarketTakesOnlyCancels(t *testing.T) {
	b := with(buy(1, 8, 5), buy(2, 9, 5))
	b.Halt()
	if e := b.Place(sell(3, 8, 1), 0, nil); e[0].Reason != MarketHalted {
		t.Errorf("place: %+v", e)
	}
	if e := b.Amend(Amendment{1, 1, 8, 1}, 0, nil); e[0].Reason != MarketHalted {
		t.Errorf("amend: %+v", e)
	}
	if e := b.Cancel(1, 1, nil); e[0].Kind != Cancelled {
		t.Errorf("cancel: %+v", e)
	}
	b.Resume()
	if e := b.Place(sell(3, 8, 1), 0, nil); !slices.Equal(makers(e), []OrderID{2}) {
		t.Errorf("after the halt: %+v", e)
	}
}

func TestFiltersHoldAtTheirBounds(t *testing.T) {
	b := New(Options{Limits: Limits{PriceMin: 10, PriceMax: 20, QtyMin: 2, QtyMax: 50, NotionalMin: 40, OrdersMax: 3}})
	for i, c := range []struct {
		o    Order
		want Reason
	}{
		{buy(1, 10, 4), None}, {buy(2, 9, 5), OutsideBand}, {buy(3, 20, 2), None}, {buy(4, 21, 5), OutsideBand}, {buy(5, 20, 1), TooSmall},
		{buy(6, 13, 3), TooSmall}, {buy(7, 10, 51), TooLarge}, {buy(1, 10, 5), Duplicate}, {buy(8, 10, 50), None}, {buy(9, 10, 50), BookFull},
		{Order{ID: 10, Owner: 1, Side: Sell, Type: Market, Force: ImmediateOrCancel, Quote: 39}, BookFull},
		{Order{}, BadOrder}, {Order{ID: 11, Price: 10, Qty: 5}, BadOrder}, {Order{ID: 12, Owner: 1, Price: 10, Qty: 5, Show: 6}, BadOrder},
		{Order{ID: 13, Owner: 1, Type: Market, Qty: 5}, BadOrder}, {Order{ID: 14, Owner: 1, Price: 10, Qty: 5, Force: GoodTillTime}, BadOrder},
	} {
		events := b.Place(c.o, 0, nil)
		if got := events[0].Reason; got != c.want {
			t.Errorf("order %d: reason %d, want %d", i, got, c.want)
		}
	}
}

// A market order stops at the edge of the band: what lies beyond it is not a price but a mistake.
func TestMarketOrdersStopAtTheBand(t *testing.T) {
	b := with(sell(1, 10, 5), sell(2, 90, 5))
	b.SetLimits(Limits{PriceMin: 5, PriceMax: 20})
	events := b.Place(Order{ID: 9, Owner: 9, Type: Market, Force: ImmediateOrCancel, Qty: 8}, 0, nil)
	if last := events[len(events)-1]; !slices.Equal(makers(events), []OrderID{1}) || last.Kind != Cancelled || last.Rest != 3 {
		t.Errorf("events %+v", events)
	}
}

func TestAnIcebergShowsItsPeakAndGoesBehindWhenItShowsMore(t *testing.T) {
	b := with(Order{ID: 1, Owner: 1, Side: Sell, Price: 10, Qty: 9, Show: 3}, sell(2, 10, 3))
	if d := b.Depth(Sell, 5, nil); len(d) != 1 || d[0] != (Level{Price: 10, Qty: 6, Orders: 2}) {
		t.Errorf("depth %+v", d)
	}
	if got := makers(b.Place(buy(9, 10, 10), 0, nil)); !slices.Equal(got, []OrderID{1, 2, 1, 1}) {
		t.Errorf("makers %v", got)
	}
}

func TestAnAuctionClearsAtThePriceOfMostVolume(t *testing.T) {
	b := New(Options{})
	b.Call()
	for _, o := range []Order{buy(1, 105, 10), buy(2, 102, 20), buy(3, 100, 30), sell(4, 99, 15), sell(5, 101, 10), sell(6, 104, 40)} {
		if e := b.Place(o, 0, nil); len(e) != 1 || e[0].Kind != Accepted {
			t.Fatalf("during the auction: %+v", e)
		}
	}
	if e := b.Place(Order{ID: 7, Owner: 7, Type: Market, Force: ImmediateOrCancel, Qty: 1}, 0, nil); e[0].Reason != AuctionRunning {
		t.Errorf("a market order: %+v", e)
	}
	traded, price := Qty(0), Price(0)
	for _, e := range b.Reopen(0, nil) {
		traded, price = traded+e.Qty, e.Price
	}
	// At 101 and at 102, 25 lots can trade (10+20 wanted, 15+10 offered), with 5 left over at either; the lower price wins.
	if traded != 25 || price != 101 {
		t.Errorf("%d lots at %d", traded, price)
	}
	bid, _ := b.Best(Buy)
	ask, _ := b.Best(Sell)
	if bid != 102 || ask != 104 || b.State() != Open {
		t.Errorf("after the auction %d and %d, state %d", bid, ask, b.State())
	}
}

// Whatever the orders: after an auction the book is not crossed, no order traded beyond its limit, all at one price, and
// no price would have traded more.
func TestAuctionsOfAnyOrdersClear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for round := range 3000 {
		b := New(Options{})
		b.Call()
		limit := map[OrderID]Order{}
		for id := OrderID(1); id <= OrderID(2+r.IntN(20)); id++ {
			o := Order{ID: id, Owner: Owner(1 + r.IntN(40)), Side: Side(r.IntN(2)), Price: Price(1 + r.IntN(30)), Qty: Qty(1 + r.IntN(20))}
			o.Show = Qty(r.IntN(int(o.Qty) + 1))
			limit[id] = o
			b.Place(o, 0, nil)
		}
		volume, price := Qty(0), Price(0)
		for _, e := range b.Reopen(0, nil) {
			if price != 0 && e.Price != price || e.Price > limit[e.Order].Price || e.Price < limit[e.Maker].Price {
				t.Fatalf("round %d: %+v", round, e)
			}
			volume, price = volume+e.Qty, e.Price
		}
		bid, buys := b.Best(Buy)
		ask, sells := b.Best(Sell)
		if buys && sells && bid >= ask {
			t.Fatalf("round %d: crossed at %d and %d", round, bid, ask)
		}
		for p := Price(1); p <= 30; p++ {
			if most := executable(limit, p); most > volume {
				t.Fatalf("round %d: %d lots at %d, but %d could trade at %d", round, volume, price, most, p)
			}
		}
	}
}

// Self-trade prevention takes orders out while an auction trades; what still meets then trades too.
func TestAuctionsWithSelfTradePreventionLeaveNoCrossedBook(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for round := range 5000 {
		b := New(Options{})
		b.Call()
		for id := OrderID(1); id <= 20; id++ {
			b.Place(Order{ID: id, Owner: Owner(1 + r.IntN(3)), Side: Side(r.IntN(2)), SelfTrade: SelfTrade(r.IntN(4)), Price: Price(1 + r.IntN(30)), Qty: Qty(1 + r.IntN(20))}, 0, nil)
		}
		b.Reopen(0, nil)
		bid, buys := b.Best(Buy)
		ask, sells := b.Best(Sell)
		if buys && sells && bid >= ask {
			t.Fatalf("round %d: crossed at %d and %d", round, bid, ask)
		}
	}
}

func executable(orders map[OrderID]Order, p Price) Qty {
	demand, supply := Qty(0), Qty(0)
	for _, o := range orders {
		if o.Side == Buy && o.Price >= p {
			demand += o.Qty
		} else if o.Side == Sell && o.Price <= p {
			supply += o.Qty
		}
	}
	return min(demand, supply)
}

func TestOrdersWithATimeLeaveWhenItComesAndTheHeapStaysSmall(t *testing.T) {
	b := New(Options{})
	for id := OrderID(1); id <= 10_000; id++ {
		b.Place(Order{ID: id, Owner: 1, Price: 10, Qty: 1, Force: GoodTillTime, Expire: Time(id) + 100}, Time(id), nil)
		if id%3 != 0 {
			b.Cancel(id, 1, nil)
		}
	}
	if got := len(b.Advance(10_099, nil)); got != 33 || b.Len() != 0 {
		t.Errorf("%d orders expired at the end, %d are left", got, b.Len())
	}
}
