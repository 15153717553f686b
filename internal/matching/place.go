package matching

// Place takes a new order at a time and appends what happens. A rejected order changes nothing.
func (b *Book) Place(o Order, now Time, out []Event) []Event {
	out = b.Advance(now, out)
	if why := b.refuse(&o, 0, now); why != None {
		return append(out, Event{Kind: Rejected, Reason: why, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty})
	}
	out = append(out, Event{Kind: Accepted, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty})
	return b.triggers(b.enter(&o, out))
}

// Replace cancels one order and places another, both or neither.
func (b *Book) Replace(old OrderID, o Order, now Time, out []Event) []Event {
	out = b.Advance(now, out)
	s := b.ids.get(old)
	if s == 0 || b.orders[s].owner != o.Owner {
		return append(out, Event{Kind: Rejected, Reason: Unknown, Order: old, Owner: o.Owner})
	}
	if why := b.refuse(&o, s, now); why != None {
		return append(out, Event{Kind: Rejected, Reason: why, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty})
	}
	out = b.cancel(s, ByRequest, out)
	out = append(out, Event{Kind: Accepted, Side: o.Side, Tag: o.Tag, Order: o.ID, Owner: o.Owner, Price: o.Price, Rest: o.Qty})
	return b.triggers(b.enter(&o, out))
}

// Amendment is what a resting order shall be from now on.
type Amendment struct {
	ID    OrderID
	Owner Owner
	Price Price
	Qty   Qty // remaining
}

// Amend gives a resting order another price and another remaining quantity. Less quantity at the same price keeps its
// place in the queue; everything else goes to the end, and may trade at once.
func (b *Book) Amend(a Amendment, now Time, out []Event) []Event {
	out = b.Advance(now, out)
	s := b.ids.get(a.ID)
	if s == 0 || b.orders[s].owner != a.Owner || b.orders[s].typ != Limit {
		return append(out, Event{Kind: Rejected, Reason: Unknown, Order: a.ID, Owner: a.Owner})
	}
	old := b.orders[s]
	o := Order{ID: a.ID, Owner: a.Owner, Side: old.side, Force: old.force, SelfTrade: old.self, Price: a.Price, Qty: a.Qty, Expire: old.expire, Tag: old.tag}
	if old.peak < old.qty || Qty(old.peak) < a.Qty && old.shown < old.qty {
		o.Show = min(Qty(old.peak), a.Qty)
	}
	if why := b.refuse(&o, s, now); why != None {
		return append(out, Event{Kind: Rejected, Reason: why, Side: o.Side, Order: a.ID, Owner: a.Owner, Price: a.Price, Rest: a.Qty})
	}
	out = append(out, Event{Kind: Amended, Side: old.side, Tag: old.tag, Order: a.ID, Owner: a.Owner, Price: a.Price, Rest: a.Qty})
	if a.Price == Price(old.price) && a.Qty <= Qty(old.qty) {
		v, qty := &b.sides[old.side].levels[old.level], int32(a.Qty)
		shown := min(old.shown, qty)
		v.total -= Qty(old.qty - qty)
		v.shown -= Qty(old.shown - shown)
		b.orders[s].qty, b.orders[s].shown = qty, shown
		return out
	}
	b.forget(s)
	return b.triggers(b.enter(&o, out))
}

// refuse says why an order is not taken, before anything changes. instead is an order that leaves for it, or zero.
func (b *Book) refuse(o *Order, instead slot, now Time) Reason {
	l := &b.limits
	switch {
	case b.state == Halted:
		return MarketHalted
	case !wellFormed(o) || o.Force == GoodTillTime && o.Expire <= now:
		return BadOrder
	case b.ids.get(o.ID) != 0 && (instead == 0 || b.orders[instead].id != o.ID):
		return Duplicate
	case l.OrdersMax > 0 && instead == 0 && b.open >= l.OrdersMax:
		return BookFull
	case l.OwnerMax > 0 && instead == 0 && int(b.owners.claim(o.Owner).n) >= l.OwnerMax:
		return OwnerFull
	case b.state == Auction && (o.Type != Limit || o.Force != GoodTillCancel && o.Force != GoodTillTime):
		return AuctionRunning
	case o.Qty > 0 && o.Qty < l.QtyMin || o.Qty == 0 && o.Quote < l.NotionalMin:
		return TooSmall
	case l.QtyMax > 0 && o.Qty > l.QtyMax:
		return TooLarge
	}
	if o.Type == Limit || o.Type == StopLimit {
		if l.PriceMax > 0 && (o.Price < l.PriceMin || o.Price > l.PriceMax) {
			return OutsideBand
		}
		if int64(o.Price)*int64(o.Qty) < l.NotionalMin {
			return TooSmall
		}
	}
	if b.state == Open && (o.Type == Limit || o.Type == Market) {
		return b.refuseForce(o)
	}
	return None
}

// refuseForce holds post-only and fill-or-kill against the book as it is.
func (b *Book) refuseForce(o *Order) Reason {
	if best, any := b.Best(1 - o.Side); o.Force == PostOnly && any && crosses(o.Side, o.Price, best) {
		return WouldTake
	}
	if o.Force == FillOrKill && b.reachable(o) < o.Qty {
		return NotFillable
	}
	return None
}

func wellFormed(o *Order) bool {
	price, qty := o.Price >= 1 && o.Price <= PriceMax, o.Qty >= 1 && o.Qty <= QtyMax
	stop := o.Stop >= 1 && o.Stop <= PriceMax
	if o.ID == 0 || o.Owner == 0 || o.Side > Sell || o.Type > Stop || o.Force > GoodTillTime || o.SelfTrade > ExpireBoth ||
		o.Show < 0 || o.Show > o.Qty || o.Show > 0 && (o.Type == Market || o.Type == Stop) {
		return false
	}
	switch o.Type {
	case Limit:
		return price && qty && o.Stop == 0 && o.Quote == 0
	case StopLimit:
		return price && qty && stop && o.Quote == 0
	case Stop:
		return qty && stop && (price || o.Price == 0) && o.Quote == 0 && (o.Force == GoodTillCancel || o.Force == GoodTillTime)
	}
	if o.Price != 0 || o.Stop != 0 || o.Quote < 0 || o.Quote > int64(PriceMax)*int64(QtyMax) {
		return false
	}
	return qty && (o.Force == ImmediateOrCancel || o.Force == FillOrKill) || o.Qty == 0 && o.Quote > 0 && o.Force == ImmediateOrCancel
}

// enter lets an accepted order wait, trade and rest.
func (b *Book) enter(o *Order, out []Event) []Event {
	r := resting{id: o.ID, owner: o.Owner, expire: o.Expire, qty: int32(o.Qty), peak: int32(o.Qty), price: int32(o.Price), stop: int32(o.Stop), tag: o.Tag,
		side: o.Side, typ: o.Type, force: o.Force, self: o.SelfTrade}
	if o.Show > 0 {
		r.peak = int32(o.Show)
	}
	r.shown = min(r.peak, r.qty)
	switch {
	case o.Type == Stop || o.Type == StopLimit:
		if !b.reached(o.Side, o.Stop) {
			b.add(&r)
			return out
		}
		return b.release(&r, out)
	case b.state == Auction:
		b.add(&r)
		return out
	}
	return b.trade(&r, o.Quote, out)
}

// trade takes what the book has for an order and lets the rest stay or go. An order by quote alone has no rest: its last
// event is always a cancellation of what it could not spend.
func (b *Book) trade(r *resting, quote int64, out []Event) []Event {
	byQuote := r.qty == 0
	out, why := b.take(r, quote, out)
	switch {
	case r.qty == 0 && !byQuote:
		return out
	case why == Unfilled && r.typ == Limit && r.force != ImmediateOrCancel && r.force != FillOrKill:
		r.shown = min(r.peak, r.qty)
		b.add(r)
		return out
	}
	return append(out, Event{Kind: Cancelled, Reason: why, Side: r.side, Tag: r.tag, Order: r.id, Owner: r.owner, Price: Price(r.price), Rest: Qty(r.qty)})
}
