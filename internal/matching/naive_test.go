package matching_test

import (
	"cmp"
	"slices"

	. "github.com/coldsign/coldsign/internal/matching"
)

// naive is an order book as somebody would write it from the rules alone: one list of orders, searched from end to end
// for everything. It shares no code and no structure with the book it judges.
type naive struct {
	orders []*naiveOrder
	last   Price
	clock  int // age of the next order
	limits Limits
}

type naiveOrder struct {
	Order
	left, shown, peak Qty
	age               int
}

func (o *naiveOrder) waits() bool { return o.Type == Stop || o.Type == StopLimit }

func (n *naive) find(id OrderID) *naiveOrder {
	for _, o := range n.orders {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (n *naive) remove(o *naiveOrder) {
	n.orders = slices.DeleteFunc(n.orders, func(x *naiveOrder) bool { return x == o })
}

func (n *naive) best(s Side) *naiveOrder {
	var best *naiveOrder
	for _, o := range n.orders {
		if o.Side != s || o.waits() {
			continue
		}
		if best == nil || s == Buy && o.Price > best.Price || s == Sell && o.Price < best.Price || o.Price == best.Price && o.age < best.age {
			best = o
		}
	}
	return best
}

func (n *naive) worst(t *naiveOrder) Price {
	switch {
	case t.Type != Market || t.Price > 0:
		return t.Price
	case t.Side == Sell:
		return max(1, n.limits.PriceMin)
	case n.limits.PriceMax > 0:
		return n.limits.PriceMax
	}
	return PriceMax
}

func trades(t *naiveOrder, limit, price Price) bool {
	return t.Side == Buy && price <= limit || t.Side == Sell && price >= limit
}

func (n *naive) reject(o Order, why Reason) []Event {
	return []Event{{Kind: Rejected, Reason: why, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty}}
}

func (n *naive) gone(o *naiveOrder, why Reason) Event {
	return Event{Kind: Cancelled, Reason: why, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.left}
}

// take trades t and returns the events and why it stopped.
func (n *naive) take(t *naiveOrder, quote int64) (events []Event, why Reason) {
	byQuote, bounded := t.left == 0, quote > 0
	for t.left > 0 || byQuote {
		m := n.best(1 - t.Side)
		if m == nil || !trades(t, n.worst(t), m.Price) {
			return events, Unfilled
		}
		if m.Owner == t.Owner && t.SelfTrade != Allow {
			if t.SelfTrade != ExpireTaker {
				events = append(events, n.gone(m, SelfTraded))
				n.remove(m)
			}
			if t.SelfTrade != ExpireMaker {
				return events, SelfTraded
			}
			continue
		}
		qty := m.shown
		if !byQuote {
			qty = min(qty, t.left)
			t.left -= qty
		}
		for bounded && int64(qty)*int64(m.Price) > quote { // one lot at a time, as somebody counts who does not divide
			qty--
			if !byQuote {
				t.left++
			}
		}
		if qty == 0 {
			return events, Spent
		}
		quote -= int64(qty) * int64(m.Price)
		m.left -= qty
		m.shown -= qty
		n.last = m.Price
		events = append(events, Event{Kind: Traded, Side: t.Side, Tag: t.Tag, Order: t.ID, Owner: t.Owner, Maker: m.ID, MakerOwner: m.Owner, Price: m.Price, Qty: qty, Rest: t.left, MakerRest: m.left, MakerTag: m.Tag})
		if m.left == 0 {
			n.remove(m)
		} else if m.shown == 0 {
			m.shown = min(m.peak, m.left)
			m.age = n.next()
		}
	}
	return events, Unfilled
}

func (n *naive) next() int { n.clock++; return n.clock }

// copy lets fill-or-kill be decided by trying.
func (n *naive) copy() *naive {
	c := &naive{last: n.last, clock: n.clock, limits: n.limits}
	for _, o := range n.orders {
		twin := *o
		c.orders = append(c.orders, &twin)
	}
	return c
}

func (n *naive) fillable(t naiveOrder) bool {
	_, why := n.copy().take(&t, t.Quote)
	return why == Unfilled && t.left == 0
}

func (n *naive) taker(o Order) *naiveOrder {
	t := &naiveOrder{Order: o, left: o.Qty, peak: o.Qty}
	if o.Show > 0 {
		t.peak = o.Show
	}
	return t
}

func (n *naive) run(t *naiveOrder, quote int64) []Event {
	byQuote := t.left == 0
	events, why := n.take(t, quote)
	switch {
	case t.left == 0 && !byQuote:
		return events
	case why != Unfilled:
		return append(events, n.gone(t, why))
	case t.Type == Limit && t.Force != ImmediateOrCancel && t.Force != FillOrKill:
		t.shown, t.age = min(t.peak, t.left), n.next()
		n.orders = append(n.orders, t)
		return events
	}
	return append(events, n.gone(t, Unfilled))
}

func (n *naive) place(o Order, now Time) []Event {
	events := n.advance(now)
	if n.find(o.ID) != nil {
		return append(events, n.reject(o, Duplicate)...)
	}
	if own := len(slices.DeleteFunc(slices.Clone(n.orders), func(x *naiveOrder) bool { return x.Owner != o.Owner })); n.limits.OwnerMax > 0 && own >= n.limits.OwnerMax {
		return append(events, n.reject(o, OwnerFull)...)
	}
	if l := n.limits; (o.Type == Limit || o.Type == StopLimit) && l.PriceMax > 0 && (o.Price < l.PriceMin || o.Price > l.PriceMax) {
		return append(events, n.reject(o, OutsideBand)...)
	}
	t := n.taker(o)
	if o.Type == Limit || o.Type == Market {
		if m := n.best(1 - o.Side); o.Force == PostOnly && m != nil && trades(t, t.Price, m.Price) {
			return append(events, n.reject(o, WouldTake)...)
		}
		if o.Force == FillOrKill && !n.fillable(*t) {
			return append(events, n.reject(o, NotFillable)...)
		}
	}
	events = append(events, Event{Kind: Accepted, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty})
	switch {
	case t.waits() && !n.reached(t):
		t.shown, t.age = min(t.peak, t.left), n.next()
		n.orders = append(n.orders, t)
	case t.waits():
		events = append(events, n.release(t)...)
	default:
		events = append(events, n.run(t, o.Quote)...)
	}
	return append(events, n.triggers()...)
}

func (n *naive) reached(t *naiveOrder) bool {
	return n.last != 0 && (t.Side == Buy && n.last >= t.Stop || t.Side == Sell && n.last <= t.Stop)
}

func (n *naive) release(t *naiveOrder) []Event {
	events := []Event{{Kind: Triggered, Side: t.Side, Tag: t.Tag, Order: t.ID, Owner: t.Owner, Price: t.Stop, Rest: t.left}}
	if t.Type == Stop {
		t.Type, t.Force = Market, ImmediateOrCancel
		return append(events, n.run(t, 0)...)
	}
	t.Type = Limit
	if m := n.best(1 - t.Side); t.Force == PostOnly && m != nil && trades(t, t.Price, m.Price) {
		return append(events, n.gone(t, WouldTake))
	}
	if t.Force == FillOrKill && !n.fillable(*t) {
		return append(events, n.gone(t, NotFillable))
	}
	return append(events, n.run(t, 0)...)
}

func (n *naive) triggers() (events []Event) {
	for {
		var due []*naiveOrder
		for _, o := range n.orders {
			if o.waits() && n.reached(o) {
				due = append(due, o)
			}
		}
		if len(due) == 0 {
			return events
		}
		first := slices.MinFunc(due, func(x, y *naiveOrder) int {
			if c := cmp.Compare(x.Side, y.Side); c != 0 {
				return c
			}
			c := cmp.Compare(x.Stop, y.Stop)
			if x.Side == Sell {
				c = -c
			}
			return cmp.Or(c, cmp.Compare(x.age, y.age))
		})
		n.remove(first)
		events = append(events, n.release(first)...)
	}
}

func (n *naive) advance(now Time) (events []Event) {
	var over []*naiveOrder
	for _, o := range n.orders {
		if o.Force == GoodTillTime && o.Expire <= now {
			over = append(over, o)
		}
	}
	slices.SortFunc(over, func(x, y *naiveOrder) int {
		return cmp.Or(cmp.Compare(x.Expire, y.Expire), cmp.Compare(x.ID, y.ID))
	})
	for _, o := range over {
		events = append(events, n.gone(o, Expired))
		n.remove(o)
	}
	return events
}

func (n *naive) cancel(id OrderID, owner Owner) []Event {
	o := n.find(id)
	if o == nil || owner != 0 && o.Owner != owner {
		return []Event{{Kind: Rejected, Reason: Unknown, Order: id, Owner: owner}}
	}
	n.remove(o)
	return []Event{n.gone(o, ByRequest)}
}
