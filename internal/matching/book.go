package matching

import (
	"cmp"
	"slices"
)

// resting is an order in the slab: on a price level, waiting for its stop, or free. It fills one line of the cache, so
// prices and quantities, which are below 2^31 by the rules, take four bytes each. The fields are in the order in which
// trading needs them.
type resting struct {
	id          OrderID
	owner       Owner
	expire      Time
	qty         int32 // what is left
	shown       int32 // of it, visible now
	peak        int32 // iceberg: visible at most
	price, stop int32
	prev, next  slot // on the level
	level       uint32
	tag         uint32
	side        Side
	typ         Type // Limit when it rests; Stop and StopLimit while it waits
	force       Force
	self        SelfTrade
}

// belonging links the orders of one owner. It is kept beside the slab, because adding and taking out an order touches
// its neighbours, and eight of these share a line of the cache.
type belonging struct{ prev, next slot }

// Book is the order book of one market. It is not safe for concurrent use: one engine writes.
type Book struct {
	limits Limits
	state  State
	last   Price // of the last trade; zero before the first

	orders []resting
	owned  []belonging // by slot
	free   slot
	open   int
	timed  int // of these, with an expiry

	ids    directory
	owners roster
	sides  [2]ladder
	best   [2]uint32 // level of the best price of a side, 0 none
	stops  [2]ladder // waiting buys trigger upwards, waiting sells downwards
	expiry []expiring

	scratch []slot // reused by CancelAll
	scouts  [2]scout
	ahead   []slot // what scouts have read
}

// New makes an empty, open book.
func New(o Options) *Book {
	b := &Book{limits: o.Limits, ids: newDirectory(o.ArbitraryID), owners: newRoster()}
	b.orders, b.owned = make([]resting, 1, 1024), make([]belonging, 1, 1024)
	for s := range b.sides {
		b.sides[s], b.stops[s] = newLadder(), newLadder()
	}
	return b
}

// State returns what the market takes now.
func (b *Book) State() State { return b.state }

// Last returns the price of the last trade, zero before the first.
func (b *Book) Last() Price { return b.last }

// Len returns how many orders rest or wait.
func (b *Book) Len() int { return b.open }

// SetLimits changes the filters. Orders that rest already stay.
func (b *Book) SetLimits(l Limits) { b.limits = l }

// Halt stops trading: nothing but cancels is taken until Resume.
func (b *Book) Halt() { b.state = Halted }

// Call begins an auction: limit orders collect without trading until Reopen.
func (b *Book) Call() { b.state = Auction }

// crosses reports whether a taker of a side with a limit may trade at a price.
func crosses(taker Side, limit, price Price) bool {
	if taker == Buy {
		return price <= limit
	}
	return price >= limit
}

// Best returns the best visible price of a side, or false when it is empty.
func (b *Book) Best(s Side) (Price, bool) {
	if b.best[s] == 0 {
		return 0, false
	}
	return Price(b.sides[s].levels[b.best[s]].price), true
}

// Level is one price as others see it.
type Level struct {
	Price  Price
	Qty    Qty // visible
	Orders int
}

// Depth appends the n best levels of a side.
func (b *Book) Depth(s Side, n int, out []Level) []Level {
	l := &b.sides[s]
	for at := b.best[s]; at != 0 && n > 0; n-- {
		v := &l.levels[at]
		out = append(out, Level{Price(v.price), v.shown, int(v.count)})
		at = b.behind(s, at)
	}
	return out
}

// Visible returns the visible quantity at a price, zero when nothing stands there.
func (b *Book) Visible(s Side, p Price) Qty {
	if at := b.sides[s].at(p); at != 0 {
		return b.sides[s].levels[at].shown
	}
	return 0
}

// Tag returns the tag of an order in the book, zero when there is none of that identity.
func (b *Book) Tag(id OrderID) uint32 { return b.orders[b.ids.get(id)].tag }

// Owned appends the tags of an owner's orders, in no order that means anything.
func (b *Book) Owned(owner Owner, out []uint32) []uint32 {
	for s := b.owners.claim(owner).first; s != 0; s = b.owned[s].next {
		out = append(out, b.orders[s].tag)
	}
	return out
}

// behind returns the level after one, away from the spread.
func (b *Book) behind(s Side, at uint32) uint32 {
	l := &b.sides[s]
	p := Price(l.levels[at].price)
	if s == Buy {
		if p == 0 {
			return 0
		}
		return l.down(p - 1)
	}
	return l.up(p + 1)
}

// take a free slot of the slab, or make one.
func (b *Book) newSlot() slot {
	if s := b.free; s != 0 {
		b.free = b.orders[s].next
		return s
	}
	b.orders, b.owned = append(b.orders, resting{}), append(b.owned, belonging{})
	return slot(len(b.orders) - 1)
}

// add puts an order into the book: on its level, or among the waiting stops.
func (b *Book) add(r *resting) {
	s := b.newSlot()
	o := &b.orders[s]
	*o = *r
	b.enlist(s, o.owner)
	b.link(s, o)
	b.ids.put(o.id, s)
	b.open++
	if o.force == GoodTillTime {
		b.timed++
		b.pushExpiry(expiring{o.expire, s, o.id})
	}
}

// place of an order: the ladder and price it stands at.
func (b *Book) ladder(o *resting) (*ladder, Price) {
	if o.typ == Limit {
		return &b.sides[o.side&1], Price(o.price)
	}
	return &b.stops[o.side&1], Price(o.stop)
}

// link appends an order to its level.
func (b *Book) link(s slot, o *resting) {
	l, price := b.ladder(o)
	o.level = l.make(price)
	v := &l.levels[o.level]
	o.prev, o.next = v.tail, 0
	if v.tail != 0 {
		b.orders[v.tail].next = s
	} else {
		v.head = s
	}
	v.tail = s
	v.total += Qty(o.qty)
	v.shown += Qty(o.shown)
	if v.count++; v.count == 1 && o.typ == Limit {
		if best := b.best[o.side&1]; best == 0 || better(o.side, price, Price(l.levels[best].price)) {
			b.best[o.side&1] = o.level
		}
	}
}

func better(s Side, p, than Price) bool {
	if s == Buy {
		return p > than
	}
	return p < than
}

// unlink takes an order off its level, and the level off the ladder when it was the last.
func (b *Book) unlink(o *resting) {
	l, _ := b.ladder(o)
	v := &l.levels[o.level]
	if v.count == 1 {
		if o.typ == Limit && b.best[o.side&1] == o.level {
			b.best[o.side&1] = b.behind(o.side, o.level)
		}
		l.drop(o.level)
		return
	}
	v.count--
	if o.prev != 0 {
		b.orders[o.prev].next = o.next
	} else {
		v.head = o.next
	}
	if o.next != 0 {
		b.orders[o.next].prev = o.prev
	} else {
		v.tail = o.prev
	}
	v.total -= Qty(o.qty)
	v.shown -= Qty(o.shown)
}

// enlist puts an order before the others of its owner.
func (b *Book) enlist(s slot, owner Owner) {
	had := b.owners.claim(owner)
	b.owned[s] = belonging{next: had.first}
	if had.first != 0 {
		b.owned[had.first].prev = s
	}
	b.owners.set(owner, claim{s, had.n + 1})
}

func (b *Book) delist(s slot, owner Owner) {
	o, has := b.owned[s], b.owners.claim(owner)
	if o.next != 0 {
		b.owned[o.next].prev = o.prev
	}
	if o.prev != 0 {
		b.owned[o.prev].next = o.next
	} else {
		has.first = o.next
	}
	b.owners.set(owner, claim{has.first, has.n - 1})
}

// forget takes an order out of the book altogether.
func (b *Book) forget(s slot) {
	o := &b.orders[s]
	b.unlink(o)
	b.delist(s, o.owner)
	b.ids.drop(o.id)
	if o.force == GoodTillTime {
		b.timed--
	}
	o.id, o.next = 0, b.free
	b.free = s
	b.open--
}

// Cancel takes an order out for its owner; owner zero is the operator, who may cancel any.
func (b *Book) Cancel(id OrderID, owner Owner, out []Event) []Event {
	s := b.ids.get(id)
	if s == 0 || owner != 0 && b.orders[s].owner != owner {
		return append(out, Event{Kind: Rejected, Reason: Unknown, Order: id, Owner: owner})
	}
	return b.cancel(s, ByRequest, out)
}

func (b *Book) cancel(s slot, why Reason, out []Event) []Event {
	o := &b.orders[s]
	out = append(out, Event{Kind: Cancelled, Reason: why, Side: o.side, Tag: o.tag, Order: o.id, Owner: o.owner, Price: Price(o.price), Rest: Qty(o.qty)})
	b.forget(s)
	return out
}

// CancelAll takes every order of an owner out, by rising identity: the result does not depend on how the list came
// about, so a restored book gives the same events.
func (b *Book) CancelAll(owner Owner, out []Event) []Event {
	b.scratch = b.scratch[:0]
	for s := b.owners.claim(owner).first; s != 0; s = b.owned[s].next {
		b.scratch = append(b.scratch, s)
	}
	slices.SortFunc(b.scratch, func(x, y slot) int { return cmp.Compare(b.orders[x].id, b.orders[y].id) })
	for _, s := range b.scratch {
		out = b.cancel(s, ByRequest, out)
	}
	return out
}
