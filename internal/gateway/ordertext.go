package gateway

import (
	"github.com/coldsign/coldsign/internal/exchange"
)

// Binance's words for what an order is.

func sideName(s exchange.Side) string {
	if s == exchange.Buy {
		return "BUY"
	}
	return "SELL"
}

func typeName(t exchange.OrderType, f exchange.Force) string {
	switch t {
	case exchange.MarketOrder:
		return "MARKET"
	case exchange.StopLimit:
		return "STOP_LOSS_LIMIT"
	case exchange.Stop:
		return "STOP_LOSS"
	}
	if f == exchange.PostOnly {
		return "LIMIT_MAKER"
	}
	return "LIMIT"
}

// forceName has no word of Binance's for good-till-time, which its spot market does not have; GTD is that of its futures.
// Of a market order Binance says GTC.
func forceName(t exchange.OrderType, f exchange.Force) string {
	if t == exchange.MarketOrder {
		return "GTC"
	}
	switch f {
	case exchange.ImmediateOrCancel:
		return "IOC"
	case exchange.FillOrKill:
		return "FOK"
	case exchange.GoodTillTime:
		return "GTD"
	}
	return "GTC"
}

func statusName(s exchange.Status) string {
	switch s {
	case exchange.StatusPartiallyFilled:
		return "PARTIALLY_FILLED"
	case exchange.StatusFilled:
		return "FILLED"
	case exchange.StatusCancelled:
		return "CANCELED"
	case exchange.StatusRejected:
		return "REJECTED"
	case exchange.StatusExpired:
		return "EXPIRED"
	case exchange.StatusExpiredInMatch:
		return "EXPIRED_IN_MATCH"
	}
	return "NEW"
}

func selfTradeName(m exchange.SelfTrade) string {
	switch m {
	case exchange.ExpireTaker:
		return "EXPIRE_TAKER"
	case exchange.ExpireMaker:
		return "EXPIRE_MAKER"
	case exchange.ExpireBoth:
		return "EXPIRE_BOTH"
	}
	return "NONE"
}

// client writes an order's name. Its alphabet needs no escaping.
func (w *writer) client(n string, c exchange.Client) {
	w.name(n)
	w.b = append(w.b, '"')
	w.b = append(w.b, c.String()...)
	w.b = append(w.b, '"')
}

// orderNumbers writes what queries, cancels and replacements tell alike.
func (w *writer) orderNumbers(m *market, v *exchange.OrderView) {
	w.scaled("price", v.Price, m.tick())
	w.scaled("origQty", quantity(v.Qty, v.Executed), m.lot())
	w.scaled("executedQty", v.Executed, m.lot())
	w.scaled("origQuoteOrderQty", v.QuoteMax, m.notional())
	w.scaled("cummulativeQuoteQty", v.Quote, m.notional())
	w.text("status", statusName(v.Status))
	w.text("timeInForce", forceName(v.Type, v.Force))
	w.text("type", typeName(v.Type, v.Force))
	w.text("side", sideName(v.Side))
	if v.Stop > 0 {
		w.scaled("stopPrice", v.Stop, m.tick())
	}
	if v.Show > 0 {
		w.scaled("icebergQty", v.Show, m.lot())
	}
}

// quantity is what an order is for. One by quote quantity is for what it bought or sold.
func quantity(qty, executed int64) int64 {
	if qty == 0 {
		return executed
	}
	return qty
}

// prevented writes how much of an order ended because it would have traded with its own account.
func (w *writer) prevented(m *market, v *exchange.OrderView) {
	if v.Status == exchange.StatusExpiredInMatch {
		w.scaled("preventedQuantity", max(v.Qty-v.Executed, 0), m.lot())
	}
}

// works reports whether an order is or was where others see it, and since when. A stop order begins when it is touched,
// which changes it for the first time; it cannot be amended before. Of one that ended without a trade nobody knows
// whether it was touched, unless it ended by a rule for orders that were.
func works(v *exchange.OrderView) (since exchange.Millis, working bool) {
	if v.Type != exchange.Stop && v.Type != exchange.StopLimit {
		return v.Created, true
	}
	switch {
	case v.Executed > 0, v.Status == exchange.StatusFilled, v.Status == exchange.StatusExpired, v.Status == exchange.StatusExpiredInMatch,
		!v.Status.Ended() && v.Changed > v.Created:
		return v.Changed, true
	}
	return -1, false
}

// orderView writes an order as queries tell it.
func (w *writer) orderView(m *market, v *exchange.OrderView) {
	w.open('{')
	w.text("symbol", m.Symbol)
	w.number("orderId", int64(v.Order))
	w.number("orderListId", -1)
	w.text("clientOrderId", v.Client)
	w.scaled("price", v.Price, m.tick())
	w.scaled("origQty", quantity(v.Qty, v.Executed), m.lot())
	w.scaled("executedQty", v.Executed, m.lot())
	w.scaled("cummulativeQuoteQty", v.Quote, m.notional())
	w.text("status", statusName(v.Status))
	w.text("timeInForce", forceName(v.Type, v.Force))
	w.text("type", typeName(v.Type, v.Force))
	w.text("side", sideName(v.Side))
	w.scaled("stopPrice", v.Stop, m.tick())
	w.scaled("icebergQty", v.Show, m.lot())
	w.number("time", int64(v.Created))
	w.number("updateTime", int64(v.Changed))
	since, working := works(v)
	w.flag("isWorking", working)
	w.number("workingTime", int64(since))
	w.scaled("origQuoteOrderQty", v.QuoteMax, m.notional())
	w.text("selfTradePreventionMode", selfTradeName(v.SelfTrade))
	w.prevented(m, v)
	w.close('}')
}
