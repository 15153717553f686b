package engine

import (
	"cmp"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
)

// order is the engine's record of an order that is open, or that a command is about. It fills two lines of the cache,
// and what trading needs is in the first.
type order struct {
	account  exchange.Account
	id       exchange.OrderID
	quote    int64 // ticks x lots traded so far
	changed  exchange.Millis
	price    int32 // limit; of a buying stop the worst price; zero for any
	qty      int32 // lots; zero of a market order by quote
	executed int32
	base     ledger.Place // found when it is first needed
	cash     ledger.Place // the row of the quote asset
	name     uint32       // hash of the client name, when it is named
	market   exchange.Market
	side     exchange.Side
	typ      exchange.OrderType
	force    exchange.Force
	self     exchange.SelfTrade
	flags    uint8

	created exchange.Millis
	bound   int64 // of a good-till-time order when it expires; of a market order what it may spend, in ticks x lots
	show    int32
	stop    int32
	client  exchange.Client
}

// expire returns when an order leaves by itself, zero for never.
func (r *order) expire() exchange.Millis {
	if r.force == exchange.GoodTillTime {
		return exchange.Millis(r.bound)
	}
	return 0
}

// quoteMax returns what a market order may spend or earn, in ticks x lots; zero for any.
func (r *order) quoteMax() int64 {
	if r.typ == exchange.MarketOrder {
		return r.bound
	}
	return 0
}

// The flags of an order.
const (
	resting uint8 = 1 << iota // on its level, where others see it
	guarded                   // its worst price is ours, not its owner's
	named                     // in the table of client names
	ended                     // it left; its record goes when the command is done
)

// taker is what is known of the order that a command brings, while it trades.
type taker struct {
	tag     uint32
	instead uint32 // the order that leaves for it, whose hold was released already
	budget  int64  // of a market order's hold: ticks x lots that are left
	lots    int64  // of a market order's hold: lots that are left
	status  exchange.Status
	cause   exchange.Cause   // of cancellations that somebody asked for
	name    *exchange.Client // that a client gave to a cancel or a replace; within the command
	fills   int              // where those of the outcome begin in out.fills
}

// orig is the name that a client gave to the command.
func (t *taker) orig() exchange.Client {
	if t.name == nil {
		return exchange.Client{}
	}
	return *t.name
}

// seat is who trades where.
type seat struct {
	m     *market
	terms ledger.Terms
}

func (s *State) seat(c *exchange.Command) (seat, exchange.Code) {
	if int(c.Market) >= len(s.markets) || c.Market == 0 {
		return seat{}, exchange.UnknownMarket
	}
	terms := s.ledger.Terms(c.Account)
	if !terms.Known {
		return seat{}, exchange.UnknownAccount
	}
	return seat{s.markets[c.Market], terms}, exchange.Done
}

// place takes a new order.
func (s *State) place(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	at, code := s.seat(c)
	if code != exchange.Done {
		return code
	}
	if !at.terms.Active {
		return exchange.NotAllowed
	}
	return s.enter(at.m, c, o, 0)
}

// replace cancels an order and places another, both or neither.
func (s *State) replace(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	at, code := s.seat(c)
	if code != exchange.Done {
		return code
	}
	old := s.named(at.m, c)
	switch {
	case !at.terms.Active:
		return exchange.NotAllowed
	case old == 0:
		return exchange.UnknownOrder
	}
	id := s.orders[old].id
	funds, amount := s.reserve(at.m, &s.orders[old])
	s.ledger.Release(funds, amount)
	if code := s.enter(at.m, c, o, old); code != exchange.Done {
		if !s.ledger.Hold(funds, amount) {
			panic("engine: what was released cannot be held again")
		}
		return code
	}
	s.touch(funds) // on the other side the new order stands on another row
	o.Replaced = id
	return exchange.Done
}

// named returns the open order that a command names by identity or by client name, zero when its account has none such.
func (s *State) named(m *market, c *exchange.Command) uint32 {
	if c.Order == 0 {
		return s.findClient(c.Account, c.Market, &c.Orig)
	}
	tag := m.book.Tag(matching.OrderID(c.Order))
	if r := &s.orders[tag]; tag == 0 || r.account != c.Account || !c.Orig.IsZero() && r.client != c.Orig {
		return 0
	}
	return tag
}

// reserve is what an open order still has on hold, and where.
func (s *State) reserve(m *market, r *order) (ledger.Place, money.U128) {
	rest := r.qty - r.executed
	if r.side == exchange.Buy {
		return s.cashOf(m, r), notional(m.unit, int64(r.price)*int64(rest))
	}
	return s.baseOf(m, r), notional(m.lot, int64(rest))
}

func (s *State) cashOf(m *market, r *order) ledger.Place {
	if r.cash == 0 {
		r.cash = s.ledger.Open(r.account, m.info.Quote)
	}
	return r.cash
}

func (s *State) baseOf(m *market, r *order) ledger.Place {
	if r.base == 0 {
		r.base = s.ledger.Open(r.account, m.info.Base)
	}
	return r.base
}

// notional turns lots, or ticks x lots, into smallest units. Both factors are below 2^63, so the product fits.
func notional(unit uint64, n int64) money.U128 {
	product, fits := money.U128{Lo: unit}.Mul64(uint64(n))
	if !fits || n < 0 {
		panic("engine: a notional that does not fit")
	}
	return product
}

// enter holds what an order needs and gives it to the book. instead is the order that leaves for it, whose hold was
// released already, or zero. A refused order changes nothing.
func (s *State) enter(m *market, c *exchange.Command, o *exchange.Outcome, instead uint32) exchange.Code {
	p, code := m.shape(c, s.now)
	if code != exchange.Done {
		return code
	}
	if !c.Client.IsZero() {
		if twin := s.findClient(c.Account, c.Market, &c.Client); twin != 0 && twin != instead {
			return exchange.DuplicateClient
		}
	}
	asset := m.info.Base
	if c.Side == exchange.Buy {
		asset = m.info.Quote
	}
	funds := s.ledger.Find(c.Account, asset)
	hold, code := m.size(&p, s.ledger.Balance(funds).Available)
	if code != exchange.Done {
		return code
	}
	if !s.ledger.Hold(funds, hold) {
		return exchange.InsufficientFunds
	}
	tag := s.newOrder()
	p.ID, p.Tag = matching.OrderID(m.nextOrder), tag
	s.record(tag, c, &p, funds)
	s.begin(tag, c)
	s.taker.instead, s.taker.budget, s.taker.lots = instead, p.Quote, int64(p.Qty)
	if instead != 0 {
		s.events = m.book.Replace(matching.OrderID(s.orders[instead].id), p, matching.Time(s.now), s.events[:0])
	} else {
		s.events = m.book.Place(p, matching.Time(s.now), s.events[:0])
	}
	if e := &s.events[0]; e.Kind == matching.Rejected {
		s.ledger.Release(funds, hold)
		s.freeOrder(tag)
		return codeOf(e.Reason)
	}
	m.nextOrder++
	s.touch(funds)
	s.handle(m)
	s.finish(m, tag, o)
	return exchange.Done
}

// record fills the engine's record of a new order.
func (s *State) record(tag uint32, c *exchange.Command, p *matching.Order, funds ledger.Place) {
	r := &s.orders[tag] // field by field: whatever it was before is written over
	r.account, r.id, r.quote, r.changed = c.Account, exchange.OrderID(p.ID), 0, s.now
	r.price, r.qty, r.executed, r.base, r.cash, r.name, r.market = int32(p.Price), int32(c.Qty), 0, 0, 0, 0, c.Market
	r.side, r.typ, r.force, r.self, r.flags = c.Side, c.Type, c.Force, c.SelfTrade, 0
	r.created, r.bound, r.show, r.stop, r.client = s.now, int64(c.Expire), int32(c.Show), int32(c.Stop), c.Client
	if c.Type == exchange.MarketOrder {
		r.bound = c.Quote
	}
	if c.Side == exchange.Buy {
		r.cash = funds
	} else {
		r.base = funds
	}
	if c.Type == exchange.Stop && c.Price == 0 && p.Price != 0 {
		r.flags |= guarded
	}
}

// finish tells the outcome of a new order, and keeps or forgets its record.
func (s *State) finish(m *market, tag uint32, o *exchange.Outcome) {
	r := &s.orders[tag]
	if r.flags&ended == 0 {
		if r.typ == exchange.Limit {
			r.flags |= resting
			s.level(m, r.side, r.price)
		}
		s.open++
		if !r.client.IsZero() {
			r.flags |= named
			r.name = nameHash(&r.client, r.account, r.market)
			s.clients.put(r.name, tag)
		}
	}
	o.Order, o.Status, o.Executed, o.Quote = r.id, s.taker.status, int64(r.executed), r.quote
	o.Fills = s.out.fills[s.taker.fills:len(s.out.fills):len(s.out.fills)]
	if r.flags&ended != 0 {
		s.freeOrder(tag)
	}
}

func (r *order) status() exchange.Status {
	switch {
	case r.executed == 0:
		return exchange.StatusNew
	case r.executed < r.qty || r.qty == 0:
		return exchange.StatusPartiallyFilled
	}
	return exchange.StatusFilled
}

// begin makes ready for the events of a command.
func (s *State) begin(tag uint32, c *exchange.Command) {
	s.taker = taker{tag: tag, cause: exchange.CauseCancelled, name: &c.Client, fills: len(s.out.fills)}
	if c.Kind == exchange.Replace {
		s.taker.cause = exchange.CauseReplaced
	}
}

// cancel takes an order out.
func (s *State) cancel(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	at, code := s.seat(c)
	if code != exchange.Done {
		return code
	}
	tag := s.named(at.m, c)
	if tag == 0 {
		return exchange.UnknownOrder
	}
	r := &s.orders[tag]
	o.Order, o.Status, o.Executed, o.Quote = r.id, exchange.StatusCancelled, int64(r.executed), r.quote
	s.begin(0, c)
	s.events = at.m.book.Cancel(matching.OrderID(r.id), matching.Owner(c.Account), s.events[:0])
	s.handle(at.m)
	return exchange.Done
}

// cancelAll takes every order of an account in a market out.
func (s *State) cancelAll(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	at, code := s.seat(c)
	if code != exchange.Done {
		return code
	}
	s.begin(0, c)
	s.events = at.m.book.CancelAll(matching.Owner(c.Account), s.events[:0])
	o.Canceled = int64(len(s.events))
	s.handle(at.m)
	return exchange.Done
}

// amend gives a resting order a lower remaining quantity; it keeps its place.
func (s *State) amend(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	at, code := s.seat(c)
	if code != exchange.Done {
		return code
	}
	tag := s.named(at.m, c)
	if tag == 0 {
		return exchange.UnknownOrder
	}
	r := &s.orders[tag]
	switch rest := int64(r.qty - r.executed); {
	case r.flags&resting == 0:
		return exchange.WrongState
	case c.Qty < 1 || c.Qty >= rest:
		return exchange.Malformed
	}
	s.begin(0, c)
	s.events = at.m.book.Amend(matching.Amendment{ID: matching.OrderID(r.id), Owner: matching.Owner(r.account), Price: matching.Price(r.price), Qty: matching.Qty(c.Qty)},
		matching.Time(s.now), s.events[:0])
	if e := &s.events[0]; e.Kind == matching.Rejected {
		return codeOf(e.Reason)
	}
	s.handle(at.m)
	r = &s.orders[tag]
	o.Order, o.Status, o.Executed, o.Quote = r.id, r.status(), int64(r.executed), r.quote
	return exchange.Done
}

// advance expires orders whose time has come, in every market.
func (s *State) advance() {
	for _, m := range s.markets[1:] {
		s.events = m.book.Advance(matching.Time(s.now), s.events[:0])
		if len(s.events) > 0 {
			s.taker = taker{}
			s.handle(m)
		}
	}
}

// newOrder returns a free record.
func (s *State) newOrder() uint32 {
	if tag := s.free; tag != 0 {
		s.free = uint32(s.orders[tag].qty)
		return tag
	}
	s.orders = append(s.orders, order{})
	return uint32(len(s.orders) - 1)
}

func (s *State) freeOrder(tag uint32) {
	r := &s.orders[tag]
	r.id, r.flags, r.qty = 0, 0, int32(s.free) // the next order writes the rest
	s.free = tag
}

// leave takes an order that was open out of the tables and frees its record.
func (s *State) leave(tag uint32) {
	r := &s.orders[tag]
	s.open--
	if r.flags&named != 0 {
		s.clients.drop(r.name, tag)
	}
	s.freeOrder(tag)
}

// nameHash is where the table of client names has a name that an account gave in a market.
func nameHash(name *exchange.Client, a exchange.Account, m exchange.Market) uint32 {
	return uint32(name.Hash(uint64(a)<<16^uint64(m)) >> 32)
}

func (s *State) findClient(a exchange.Account, m exchange.Market, name *exchange.Client) uint32 {
	if name.IsZero() {
		return 0
	}
	hash := nameHash(name, a, m)
	for tag, at := s.clients.first(hash); tag != 0; tag, at = s.clients.next(hash, at) {
		if r := &s.orders[tag]; r.account == a && r.market == m && r.client == *name {
			return tag
		}
	}
	return 0
}

// ownOrders returns the tags of an account's open orders in a market by rising identity.
func (s *State) ownOrders(m *market, a exchange.Account) []uint32 {
	s.tags = m.book.Owned(matching.Owner(a), s.tags[:0])
	slices.SortFunc(s.tags, func(x, y uint32) int { return cmp.Compare(s.orders[x].id, s.orders[y].id) })
	return s.tags
}
