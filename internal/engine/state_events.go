package engine

import (
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
)

// fillsMax is the most fills that an outcome tells; the sums are whole all the same.
const fillsMax = 1 << 14

// handle posts what a book said and tells it.
func (s *State) handle(m *market) {
	for i := range s.events {
		switch e := &s.events[i]; e.Kind {
		case matching.Accepted:
			s.tell(e.Tag, exchange.StatusNew, exchange.CauseNew)
		case matching.Traded:
			s.trade(m, e)
		case matching.Cancelled:
			s.gone(m, e)
		case matching.Triggered:
			r := &s.orders[e.Tag]
			r.changed = s.now
			s.tell(e.Tag, r.status(), exchange.CauseTriggered)
			if r.typ == exchange.StopLimit {
				s.risen = append(s.risen, e.Tag)
				s.level(m, r.side, r.price)
			}
		case matching.Amended:
			s.amended(m, e)
		}
	}
	// A stop order that came to life and did not end rests now.
	for _, tag := range s.risen {
		if r := &s.orders[tag]; r.id != 0 {
			r.flags |= resting
		}
	}
	s.risen = s.risen[:0]
}

// trade posts one trade of two orders.
func (s *State) trade(m *market, e *matching.Event) {
	t, k := &s.orders[e.Tag], &s.orders[e.MakerTag]
	buyer, seller := t, k
	if e.Side == matching.Sell {
		buyer, seller = k, t
	}
	volume := int64(e.Price) * int64(e.Qty)
	post := ledger.Trade{Base: m.info.Base, Quote: m.info.Quote, Size: notional(m.lot, int64(e.Qty)), Cost: notional(m.unit, volume)}
	post.BuyerBase, post.BuyerQuote = s.baseOf(m, buyer), s.cashOf(m, buyer)
	post.SellerBase, post.SellerQuote = s.baseOf(m, seller), s.cashOf(m, seller)
	post.Reserved = post.Cost
	if buyer.price != 0 && int64(e.Price) != int64(buyer.price) {
		post.Reserved = notional(m.unit, int64(buyer.price)*int64(e.Qty))
	}
	post.BuyerPPM, post.SellerPPM = s.fees(t, k, e.Side)
	buyerFee, sellerFee := s.ledger.Settle(&post)
	if e.Tag == s.taker.tag {
		s.taker.budget -= volume
		s.taker.lots -= int64(e.Qty)
	}
	for _, r := range [...]*order{t, k} {
		r.executed += int32(e.Qty)
		r.quote += volume
		r.changed = s.now
	}
	id := m.nextTrade
	m.nextTrade++
	s.digest.Add(uint64(id)^uint64(e.Price)<<32^uint64(e.Qty), uint64(t.id)^uint64(k.id)<<24)
	takerFee, makerFee := exchange.Half{Fee: buyerFee, FeeAsset: m.info.Base}, exchange.Half{Fee: sellerFee, FeeAsset: m.info.Quote}
	if e.Side == matching.Sell {
		takerFee, makerFee = makerFee, takerFee
	}
	s.fill(e, id, takerFee, makerFee)
	if !s.options.NoEvents {
		s.tellTrade(m, e, id, takerFee, makerFee)
		s.touchTrade(&post)
		s.level(m, k.side, k.price)
		if t.flags&resting != 0 { // in an auction
			s.level(m, t.side, t.price)
		}
	}
	s.traded(m, e.Tag, e.Rest == 0 && !(e.Tag == s.taker.tag && t.typ == exchange.MarketOrder && t.qty == 0 && t.side == exchange.Buy))
	s.traded(m, e.MakerTag, e.MakerRest == 0)
}

// fees are what the two sides pay, in millionths of what they receive. In an auction nobody takes: both pay as makers.
func (s *State) fees(t, k *order, side matching.Side) (buyer, seller uint32) {
	taker, maker := s.ledger.Terms(t.account), s.ledger.Terms(k.account)
	buyer, seller = taker.TakerPPM, maker.MakerPPM
	if t.flags&resting != 0 {
		buyer = taker.MakerPPM
	}
	if side == matching.Sell {
		buyer, seller = seller, buyer
	}
	return buyer, seller
}

// fill adds a trade to the outcome of the command's own order.
func (s *State) fill(e *matching.Event, id exchange.TradeID, taker, maker exchange.Half) {
	if s.taker.tag == 0 || len(s.out.fills)-s.taker.fills >= fillsMax {
		return
	}
	own := taker
	switch s.taker.tag {
	case e.Tag:
	case e.MakerTag:
		own = maker
	default:
		return
	}
	s.out.fills = append(s.out.fills, exchange.Fill{Trade: id, Price: int64(e.Price), Qty: int64(e.Qty), Fee: own.Fee, FeeAsset: own.FeeAsset})
}

// traded tells what became of an order that traded, and lets it go when it is done.
func (s *State) traded(m *market, tag uint32, done bool) {
	r := &s.orders[tag]
	status := exchange.StatusPartiallyFilled
	if done {
		if status = exchange.StatusFilled; r.qty == 0 {
			status = exchange.StatusExpired // a sale by quote that the seller's balance ended
		}
	}
	s.tell(tag, status, exchange.CauseTrade)
	if done {
		s.release(m, tag)
		s.end(tag)
	}
}

// release makes available what an order that ends has still on hold.
func (s *State) release(m *market, tag uint32) {
	r := &s.orders[tag]
	var funds ledger.Place
	var amount money.U128
	switch {
	case tag == s.taker.instead:
		return
	case r.typ != exchange.MarketOrder:
		funds, amount = s.reserve(m, r)
	case r.side == exchange.Buy:
		funds, amount = r.cash, notional(m.unit, s.taker.budget)
	default:
		funds, amount = r.base, notional(m.lot, s.taker.lots)
	}
	if amount != (money.U128{}) {
		s.ledger.Release(funds, amount)
		s.touch(funds)
	}
}

// end takes an order out of the tables. The command's own order is in none yet, and is needed for the outcome.
func (s *State) end(tag uint32) {
	if tag == s.taker.tag {
		s.orders[tag].flags |= ended
		return
	}
	s.leave(tag)
}

// gone posts a cancellation.
func (s *State) gone(m *market, e *matching.Event) {
	r := &s.orders[e.Tag]
	r.changed = s.now
	status, cause := exchange.StatusExpired, exchange.CauseExpired
	switch e.Reason {
	case matching.ByRequest:
		status, cause = exchange.StatusCancelled, s.taker.cause
	case matching.SelfTraded:
		status, cause = exchange.StatusExpiredInMatch, exchange.CausePrevented
	case matching.Spent:
		if r.quoteMax() > 0 && r.executed > 0 {
			status = exchange.StatusFilled // it spent what buys whole lots
		}
	}
	s.release(m, e.Tag)
	if r.flags&resting != 0 {
		s.level(m, r.side, r.price)
	}
	s.digest.Add(uint64(r.id)^uint64(e.Reason)<<56, uint64(e.Rest))
	s.tell(e.Tag, status, cause)
	s.end(e.Tag)
}

// amended posts a lower remaining quantity.
func (s *State) amended(m *market, e *matching.Event) {
	r := &s.orders[e.Tag]
	funds, before := s.reserve(m, r)
	r.qty, r.changed = r.executed+int32(e.Rest), s.now
	_, after := s.reserve(m, r)
	less, _ := before.Sub(after)
	s.ledger.Release(funds, less)
	s.touch(funds)
	s.level(m, r.side, r.price)
	s.digest.Add(uint64(r.id), uint64(e.Rest))
	s.tell(e.Tag, r.status(), exchange.CauseAmended)
}

// tell appends an order as it now is.
func (s *State) tell(tag uint32, status exchange.Status, cause exchange.Cause) {
	r := &s.orders[tag]
	if tag == s.taker.tag {
		s.taker.status = status
	}
	if s.options.NoEvents {
		return
	}
	s.out.Events = exchange.AppendHead(s.out.Events, exchange.OrderChanged, s.seq, s.now)
	record := r.view()
	record.Status, record.Cause = status, cause
	if cause == exchange.CauseCancelled || cause == exchange.CauseReplaced {
		record.Orig = s.taker.orig()
	}
	s.out.Events = record.Append(s.out.Events)
}

// view is the order as others know it.
func (r *order) view() exchange.OrderRecord {
	o := exchange.OrderRecord{Market: r.market, Order: r.id, Account: r.account, Side: r.side, Type: r.typ, Force: r.force, SelfTrade: r.self,
		Status: r.status(), Price: int64(r.price), Stop: int64(r.stop), Qty: int64(r.qty), Show: int64(r.show), QuoteMax: r.quoteMax(),
		Executed: int64(r.executed), Quote: r.quote, Expire: r.expire(), Created: r.created, Client: r.client}
	if r.flags&guarded != 0 {
		o.Price = 0
	}
	return o
}

func (s *State) tellTrade(m *market, e *matching.Event, id exchange.TradeID, taker, maker exchange.Half) {
	taker.Order, taker.Account = exchange.OrderID(e.Order), exchange.Account(e.Owner)
	maker.Order, maker.Account = exchange.OrderID(e.Maker), exchange.Account(e.MakerOwner)
	s.out.Events = exchange.AppendHead(s.out.Events, exchange.Traded, s.seq, s.now)
	record := exchange.TradeRecord{Market: m.info.ID, Trade: id, Price: int64(e.Price), Qty: int64(e.Qty), TakerSide: exchange.Side(e.Side), Taker: taker, Maker: maker}
	s.out.Events = record.Append(s.out.Events)
}

// tellRecord appends a rarer record as it now is.
func (s *State) tellRecord(kind exchange.Record, body any) {
	if s.options.NoEvents {
		return
	}
	raw, err := exchange.EncodeBody(body)
	if err != nil {
		panic("engine: a record that cannot be written: " + err.Error())
	}
	s.out.Events = exchange.AppendRecord(exchange.AppendHead(s.out.Events, exchange.RecordChanged, s.seq, s.now), kind, raw)
}

// level remembers that the visible quantity of a price may have changed. Prices are below 2^31.
func (s *State) level(m *market, side exchange.Side, price int32) {
	if !s.options.NoEvents {
		s.levels = append(s.levels, uint64(m.info.ID)<<48|uint64(side)<<47|uint64(price))
	}
}

// touch remembers that a balance changed.
func (s *State) touch(p ledger.Place) {
	if s.options.NoEvents {
		return
	}
	if s.ledger.Mark(p, 1) {
		s.touched = append(s.touched, p)
	}
}

func (s *State) touchTrade(t *ledger.Trade) {
	s.touch(t.BuyerBase)
	s.touch(t.BuyerQuote)
	s.touch(t.SellerBase)
	s.touch(t.SellerQuote)
}

// flush tells levels and balances once, as they are at the end of the frame.
func (s *State) flush() {
	if s.options.NoEvents {
		return
	}
	slices.Sort(s.levels)
	s.levels = slices.Compact(s.levels)
	for _, key := range s.levels {
		record := exchange.LevelRecord{Market: exchange.Market(key >> 48), Side: exchange.Side(key >> 47 & 1), Price: int64(key & (1<<47 - 1))}
		record.Qty = int64(s.markets[record.Market].book.Visible(matching.Side(record.Side), matching.Price(record.Price)))
		s.out.Events = record.Append(exchange.AppendHead(s.out.Events, exchange.LevelChanged, s.seq, s.now))
	}
	for _, p := range s.touched {
		s.ledger.Mark(p, 0)
		b := s.ledger.Balance(p)
		account, asset := s.ledger.Owner(p)
		record := exchange.BalanceRecord{Account: account, Asset: asset, Available: b.Available, Held: b.Held}
		s.out.Events = record.Append(exchange.AppendHead(s.out.Events, exchange.BalanceChanged, s.seq, s.now))
	}
	s.levels, s.touched = s.levels[:0], s.touched[:0]
}
