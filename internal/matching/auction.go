package matching

// Resume opens a halted market again. Orders that the halt left rest as they were.
func (b *Book) Resume() { b.state = Open }

// Reopen ends an auction: everything that can trade does, at one price, and the market is open. The price is the one at
// which the most lots trade; of several, the one that leaves the least imbalance; of several, the one nearest to the
// last price, and then the lower one. Within the price, orders trade by price and age as always; where both are of one
// owner and the buyer asked for self-trade prevention, its mode decides as for a taker. Orders that this takes out may
// leave others that still meet; those trade in a second auction, at its own price.
func (b *Book) Reopen(now Time, out []Event) []Event {
	out = b.Advance(now, out)
	b.state = Open
	for price, any := b.clearing(); any; price, any = b.clearing() {
		out = b.clearAt(price, out)
	}
	return b.triggers(out)
}

func (b *Book) clearAt(price Price, out []Event) []Event {
	for {
		buy, sell := b.best[Buy], b.best[Sell]
		if buy == 0 || sell == 0 || b.price(Buy, buy) < price || b.price(Sell, sell) > price {
			return out
		}
		out = b.clear(b.sides[Buy].levels[buy].head, b.sides[Sell].levels[sell].head, price, out)
	}
}

// clear trades the first buyer with the first seller at the auction's price, hidden parts included.
func (b *Book) clear(buyer, seller slot, price Price, out []Event) []Event {
	x, y := &b.orders[buyer], &b.orders[seller]
	if x.owner == y.owner && x.self != Allow {
		if x.self != ExpireTaker {
			out = b.cancel(seller, SelfTraded, out)
		}
		if x.self != ExpireMaker {
			out = b.cancel(buyer, SelfTraded, out)
		}
		return out
	}
	qty := Qty(min(x.qty, y.qty))
	b.last = price
	out = append(out, Event{Kind: Traded, Side: Buy, Tag: x.tag, Order: x.id, Owner: x.owner, Maker: y.id, MakerOwner: y.owner, MakerTag: y.tag,
		Price: price, Qty: qty, Rest: Qty(x.qty) - qty, MakerRest: Qty(y.qty) - qty})
	b.reduce(buyer, int32(qty))
	b.reduce(seller, int32(qty))
	return out
}

// reduce takes a quantity from an order wherever it stands in its visible and hidden parts; it keeps its place.
func (b *Book) reduce(s slot, qty int32) {
	o := &b.orders[s]
	v := &b.sides[o.side].levels[o.level]
	if o.qty == qty {
		b.forget(s)
		return
	}
	shown := min(o.peak, o.qty-qty)
	v.total -= Qty(qty)
	v.shown += Qty(shown) - Qty(o.shown)
	o.qty, o.shown = o.qty-qty, shown
}

// clearing finds the auction's price among the prices that somebody named.
func (b *Book) clearing() (Price, bool) {
	low, anySell := b.Best(Sell)
	high, anyBuy := b.Best(Buy)
	if !anySell || !anyBuy || low > high {
		return 0, false
	}
	demand := Qty(0) // of buys at or above the candidate
	for at := b.best[Buy]; at != 0 && b.price(Buy, at) >= low; at = b.behind(Buy, at) {
		demand += b.sides[Buy].levels[at].total
	}
	var best candidate
	supply, sell, buy := Qty(0), b.best[Sell], b.sides[Buy].up(low)
	for sell != 0 || buy != 0 {
		price := b.lower(sell, buy)
		if price > high {
			break
		}
		if sell != 0 && b.price(Sell, sell) == price {
			supply += b.sides[Sell].levels[sell].total
			sell = b.behind(Sell, sell)
		}
		best = best.or(candidate{price, min(demand, supply), abs(demand - supply)}, b.last)
		if buy != 0 && b.price(Buy, buy) == price {
			demand -= b.sides[Buy].levels[buy].total
			buy = b.sides[Buy].up(price + 1)
		}
	}
	return best.price, best.volume > 0
}

// price of a level of a side.
func (b *Book) price(s Side, at uint32) Price { return Price(b.sides[s].levels[at].price) }

// lower is the lower price of two levels, either of which may be none.
func (b *Book) lower(sell, buy uint32) Price {
	switch {
	case sell == 0:
		return b.price(Buy, buy)
	case buy == 0:
		return b.price(Sell, sell)
	}
	return min(b.price(Sell, sell), b.price(Buy, buy))
}

type candidate struct {
	price     Price
	volume    Qty
	imbalance Qty
}

// or keeps the better of two candidates; c has the lower price.
func (c candidate) or(d candidate, last Price) candidate {
	switch {
	case d.volume != c.volume:
		if d.volume > c.volume {
			return d
		}
	case d.imbalance != c.imbalance:
		if d.imbalance < c.imbalance {
			return d
		}
	case last != 0 && abs(d.price-last) < abs(c.price-last):
		return d
	}
	return c
}

func abs[T ~int64](n T) T { return max(n, -n) }
