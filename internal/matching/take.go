package matching

// limitOf is the worst price an order may trade at: its own, or for market orders without one the edge of the band.
func (b *Book) limitOf(r *resting) Price {
	switch {
	case r.typ != Market || r.price > 0:
		return Price(r.price)
	case r.side == Sell:
		return max(b.limits.PriceMin, 1)
	case b.limits.PriceMax > 0:
		return b.limits.PriceMax
	}
	return PriceMax
}

// take trades an order against the other side, best price and oldest first, until it is filled, its limit or quote is
// reached, or self-trade prevention ends it. An order by quote alone has no quantity; what it may still spend counts.
func (b *Book) take(r *resting, quote int64, out []Event) ([]Event, Reason) {
	other, limit := 1-r.side&1, b.limitOf(r)
	bounded, byQuote := quote > 0, r.qty == 0
	for b.best[other] != 0 && (r.qty > 0 || byQuote) {
		v := &b.sides[other].levels[b.best[other]]
		price := Price(v.price)
		if !crosses(r.side, limit, price) {
			break
		}
		s := v.head
		maker := &b.orders[s]
		if maker.owner == r.owner && r.self != Allow {
			if r.self != ExpireTaker {
				out = b.cancel(s, SelfTraded, out)
			}
			if r.self != ExpireMaker {
				return out, SelfTraded
			}
			continue
		}
		qty := maker.shown
		if !byQuote {
			qty = min(qty, r.qty)
		}
		if bounded {
			if qty = int32(min(int64(qty), quote/int64(price))); qty == 0 {
				return out, Spent
			}
			quote -= int64(qty) * int64(price)
		}
		if !byQuote {
			r.qty -= qty
		}
		b.last = price
		out = append(out, Event{Kind: Traded, Side: r.side, Tag: r.tag, Order: r.id, Owner: r.owner, Maker: maker.id, MakerOwner: maker.owner,
			MakerTag: maker.tag, Price: price, Qty: Qty(qty), Rest: Qty(r.qty), MakerRest: Qty(maker.qty - qty)})
		b.fill(s, v, qty)
	}
	return out, Unfilled
}

// fill takes a quantity from a resting order. An iceberg whose visible part is gone shows more, behind the others.
func (b *Book) fill(s slot, v *level, qty int32) {
	o := &b.orders[s]
	o.qty -= qty
	o.shown -= qty
	v.total -= Qty(qty)
	v.shown -= Qty(qty)
	switch {
	case o.qty == 0:
		b.forget(s)
	case o.shown == 0:
		o.shown = min(o.peak, o.qty)
		v.shown += Qty(o.shown)
		b.toTail(s, v)
	}
}

// toTail moves an order behind the others of its level.
func (b *Book) toTail(s slot, v *level) {
	if v.tail == s {
		return
	}
	o := &b.orders[s]
	if o.prev != 0 {
		b.orders[o.prev].next = o.next
	} else {
		v.head = o.next
	}
	b.orders[o.next].prev = o.prev
	o.prev, o.next = v.tail, 0
	b.orders[v.tail].next = s
	v.tail = s
}

// reachable is how much of an order the other side would fill now, by its limit, its quote and its self-trade mode.
func (b *Book) reachable(o *Order) Qty {
	r := resting{typ: o.Type, side: o.Side, price: int32(o.Price)}
	other, limit := 1-o.Side, b.limitOf(&r)
	careful := o.SelfTrade != Allow && b.owners.claim(o.Owner).n != 0
	sum, quote := Qty(0), o.Quote
	for at := b.best[other]; at != 0 && sum < o.Qty; at = b.behind(other, at) {
		v := &b.sides[other].levels[at]
		if !crosses(o.Side, limit, Price(v.price)) {
			break
		}
		here, ends := v.total, false
		if careful {
			here, ends = b.before(v, o)
		}
		if o.Quote > 0 {
			here = min(here, o.Qty-sum)
			afford := Qty(quote / int64(v.price))
			if afford < here {
				return sum + afford
			}
			quote -= int64(here) * int64(v.price)
		}
		if sum += here; ends {
			return sum
		}
	}
	return sum
}

// before is how much of a level an order can count on when it may meet orders of its own owner. Under ExpireMaker those
// leave, and all others count. Under the other modes the first of them ends the order; nothing behind it counts, and of
// what stands in front only the visible parts.
func (b *Book) before(v *level, o *Order) (sum Qty, ends bool) {
	front := Qty(0)
	for s := v.head; s != 0; s = b.orders[s].next {
		maker := &b.orders[s]
		switch {
		case maker.owner != o.Owner:
			sum, front = sum+Qty(maker.qty), front+Qty(maker.shown)
		case o.SelfTrade != ExpireMaker:
			return front, true
		}
	}
	return sum, false
}
