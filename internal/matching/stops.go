package matching

// reached reports whether the last price sets a stop of a side off.
func (b *Book) reached(s Side, stop Price) bool {
	if b.last == 0 {
		return false
	}
	if s == Buy {
		return b.last >= stop
	}
	return b.last <= stop
}

// release turns a stop order whose price was reached into the order that it carries.
func (b *Book) release(r *resting, out []Event) []Event {
	out = append(out, Event{Kind: Triggered, Side: r.side, Tag: r.tag, Order: r.id, Owner: r.owner, Price: Price(r.stop), Rest: Qty(r.qty)})
	if r.typ == Stop {
		r.typ, r.force = Market, ImmediateOrCancel
		return b.trade(r, 0, out)
	}
	r.typ = Limit
	if best, any := b.Best(1 - r.side); r.force == PostOnly && any && crosses(r.side, Price(r.price), best) {
		return append(out, Event{Kind: Cancelled, Reason: WouldTake, Side: r.side, Tag: r.tag, Order: r.id, Owner: r.owner, Price: Price(r.price), Rest: Qty(r.qty)})
	}
	if r.force == FillOrKill {
		o := Order{Owner: r.owner, Side: r.side, Price: Price(r.price), Qty: Qty(r.qty), SelfTrade: r.self}
		if b.reachable(&o) < Qty(r.qty) {
			return append(out, Event{Kind: Cancelled, Reason: NotFillable, Side: r.side, Tag: r.tag, Order: r.id, Owner: r.owner, Price: Price(r.price), Rest: Qty(r.qty)})
		}
	}
	return b.trade(r, 0, out)
}

// triggers releases waiting orders that the last price has reached, one at a time, because each may move the price:
// buys first, the lowest stop and the oldest first; then sells, the highest stop and the oldest first.
func (b *Book) triggers(events []Event) []Event {
	if b.stops[Buy].depth|b.stops[Sell].depth == 0 {
		return events
	}
	return b.releaseDue(events)
}

func (b *Book) releaseDue(events []Event) []Event {
	for b.state == Open {
		s := b.due()
		if s == 0 {
			break
		}
		r := b.orders[s]
		b.forget(s)
		events = b.release(&r, events)
	}
	return events
}

// due returns the next waiting order to release, or zero.
func (b *Book) due() slot {
	if b.last == 0 {
		return 0
	}
	if buys := &b.stops[Buy]; buys.depth > 0 {
		if at := buys.up(0); at != 0 && Price(buys.levels[at].price) <= b.last {
			return buys.levels[at].head
		}
	}
	if sells := &b.stops[Sell]; sells.depth > 0 {
		if at := sells.down(PriceMax); at != 0 && Price(sells.levels[at].price) >= b.last {
			return sells.levels[at].head
		}
	}
	return 0
}

// expiring is an order's entry in the heap of expiry times. It may outlive its order: the identity tells.
type expiring struct {
	at Time
	s  slot
	id OrderID
}

func (e expiring) before(f expiring) bool { return e.at < f.at || e.at == f.at && e.id < f.id }

// Advance moves the time on and cancels the orders whose time has come, earliest first.
func (b *Book) Advance(now Time, out []Event) []Event {
	if len(b.expiry) == 0 || b.expiry[0].at > now {
		return out
	}
	return b.expire(now, out)
}

func (b *Book) expire(now Time, out []Event) []Event {
	for len(b.expiry) > 0 && b.expiry[0].at <= now {
		e := b.popExpiry()
		if o := &b.orders[e.s]; o.id == e.id && o.force == GoodTillTime && o.expire == e.at {
			out = b.cancel(e.s, Expired, out)
		}
	}
	return out
}

// pushExpiry adds to the heap. When most of it speaks of orders that are gone, those are taken out first.
func (b *Book) pushExpiry(e expiring) {
	if len(b.expiry) > 64 && len(b.expiry) > 2*b.timed {
		b.cleanExpiry()
	}
	b.expiry = append(b.expiry, e)
	for i := len(b.expiry) - 1; i > 0; {
		up := (i - 1) / 2
		if !b.expiry[i].before(b.expiry[up]) {
			return
		}
		b.expiry[i], b.expiry[up] = b.expiry[up], b.expiry[i]
		i = up
	}
}

func (b *Book) popExpiry() expiring {
	top, last := b.expiry[0], len(b.expiry)-1
	b.expiry[0] = b.expiry[last]
	b.expiry = b.expiry[:last]
	b.sink(0)
	return top
}

func (b *Book) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(b.expiry); child++ {
			if b.expiry[child].before(b.expiry[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		b.expiry[i], b.expiry[least] = b.expiry[least], b.expiry[i]
		i = least
	}
}

func (b *Book) cleanExpiry() {
	kept := b.expiry[:0]
	for _, e := range b.expiry {
		if o := &b.orders[e.s]; o.id == e.id && o.force == GoodTillTime && o.expire == e.at {
			kept = append(kept, e)
		}
	}
	b.expiry = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		b.sink(i)
	}
}
