package engine

import (
	"math"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
)

// market is one book with what the catalogue says of it.
type market struct {
	info      exchange.MarketInfo
	book      *matching.Book
	unit      uint64 // smallest units of quote in one tick x lot
	lot       uint64 // smallest units of base in one lot
	nextOrder exchange.OrderID
	nextTrade exchange.TradeID
}

// Limits of a market that no catalogue can lift.
const (
	ordersMax    = 1 << 23 // resting and waiting orders of a market
	ownOrdersMax = 10_000  // of one account in one market
	ownOrders    = 200     // of one account where the catalogue says nothing
	quoteLimit   = int64(matching.PriceMax) * int64(matching.QtyMax)
)

// limits are the book's filters for what the catalogue says.
func limits(i *exchange.MarketInfo) matching.Limits {
	own := i.OrdersMax
	if own == 0 {
		own = ownOrders
	}
	return matching.Limits{PriceMin: matching.Price(i.PriceMin), PriceMax: matching.Price(i.PriceMax), QtyMin: matching.Qty(i.QtyMin), QtyMax: matching.Qty(i.QtyMax),
		NotionalMin: i.NotionalMin, OrdersMax: ordersMax, OwnerMax: own}
}

// shape turns a command into an order for the book, or says what no such order may have. The book judges the market's
// filters; here is what has to be right before anything can be held.
func (m *market) shape(c *exchange.Command, now exchange.Millis) (matching.Order, exchange.Code) {
	o := matching.Order{Owner: matching.Owner(c.Account), Side: matching.Side(c.Side), Type: matching.Type(c.Type), Force: matching.Force(c.Force),
		SelfTrade: matching.SelfTrade(c.SelfTrade), Price: matching.Price(c.Price), Stop: matching.Price(c.Stop), Qty: matching.Qty(c.Qty), Show: matching.Qty(c.Show),
		Quote: c.Quote, Expire: matching.Time(c.Expire)}
	if !inRange(c.Price, int64(matching.PriceMax)) || !inRange(c.Stop, int64(matching.PriceMax)) || !inRange(c.Qty, int64(matching.QtyMax)) ||
		!inRange(c.Show, c.Qty) || !inRange(c.Quote, quoteLimit) || (c.Force == exchange.GoodTillTime) != (c.Expire != 0) || c.Expire != 0 && c.Expire <= now {
		return o, exchange.Malformed
	}
	priced := c.Type == exchange.Limit || c.Type == exchange.StopLimit
	stops := c.Type == exchange.Stop || c.Type == exchange.StopLimit
	byQuote := c.Type == exchange.MarketOrder && c.Qty == 0
	switch {
	case priced && c.Price == 0, c.Type == exchange.MarketOrder && c.Price != 0, stops != (c.Stop != 0), byQuote != (c.Quote != 0), !byQuote && c.Qty == 0:
		return o, exchange.Malformed
	case c.Type == exchange.MarketOrder && c.Force == exchange.GoodTillCancel:
		o.Force = matching.ImmediateOrCancel // a market order cannot stay; many clients do not say so
	case stops && m.reached(c.Side, c.Stop):
		return o, exchange.StopWouldTrigger
	case c.Type == exchange.Stop && c.Side == exchange.Buy && c.Price == 0:
		o.Price = m.worst(c.Stop)
	case byQuote && c.Quote < m.info.NotionalMin:
		return o, exchange.BelowMin
	}
	return o, exchange.Done
}

func inRange(n, most int64) bool { return n >= 0 && n <= most }

// reached reports whether a stop of a side would be set off at once.
func (m *market) reached(side exchange.Side, stop int64) bool {
	last := int64(m.book.Last())
	return last != 0 && (side == exchange.Buy && last >= stop || side == exchange.Sell && last <= stop)
}

// worst is the highest price that a buying stop without a price of its own pays: five per cent above the stop, so that
// what has to be on hold is known when it is placed.
func (m *market) worst(stop int64) matching.Price {
	most := int64(matching.PriceMax)
	if m.info.PriceMax > 0 {
		most = m.info.PriceMax
	}
	return matching.Price(max(min(stop+stop/20, most), stop))
}

// size says what an order has to hold. A market order is bounded by what is available: a purchase by quantity gets a
// quote, a sale by quote gets a quantity.
func (m *market) size(o *matching.Order, available money.U128) (money.U128, exchange.Code) {
	buys := o.Side == matching.Buy
	switch {
	case o.Type != matching.Market && buys:
		return notional(m.unit, int64(o.Price)*int64(o.Qty)), exchange.Done
	case buys && o.Qty > 0:
		worst := int64(matching.PriceMax)
		if m.info.PriceMax > 0 {
			worst = m.info.PriceMax
		}
		if o.Quote = min(whole(available, m.unit), worst*int64(o.Qty)); o.Quote == 0 {
			return money.U128{}, exchange.InsufficientFunds
		}
		return notional(m.unit, o.Quote), exchange.Done
	case buys:
		return notional(m.unit, o.Quote), exchange.Done
	case o.Quote > 0:
		most := int64(matching.QtyMax)
		if m.info.QtyMax > 0 {
			most = m.info.QtyMax
		}
		if o.Qty = matching.Qty(min(whole(available, m.lot), most)); int64(o.Qty) < max(m.info.QtyMin, 1) {
			return money.U128{}, exchange.InsufficientFunds
		}
	}
	return notional(m.lot, int64(o.Qty)), exchange.Done
}

// whole is how often a unit is in an amount, as far as it can be counted.
func whole(amount money.U128, unit uint64) int64 {
	times, _ := amount.DivMod64(unit)
	if times.Hi != 0 || times.Lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(times.Lo)
}

// codeOf says a book's reason in the words of the exchange.
func codeOf(why matching.Reason) exchange.Code {
	switch why {
	case matching.OutsideBand:
		return exchange.OutsideBand
	case matching.TooSmall:
		return exchange.BelowMin
	case matching.TooLarge:
		return exchange.AboveMax
	case matching.MarketHalted:
		return exchange.Halted
	case matching.AuctionRunning:
		return exchange.InAuction
	case matching.WouldTake:
		return exchange.WouldTake
	case matching.NotFillable:
		return exchange.OrderNotFilled
	case matching.BookFull, matching.OwnerFull:
		return exchange.TooManyOrders
	case matching.Unknown:
		return exchange.UnknownOrder
	}
	return exchange.Malformed
}
