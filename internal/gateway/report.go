package gateway

import (
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// causeName is Binance's execution type.
func causeName(c exchange.Cause) string {
	switch c {
	case exchange.CauseTrade:
		return "TRADE"
	case exchange.CauseCancelled, exchange.CauseReplaced:
		return "CANCELED"
	case exchange.CauseExpired:
		return "EXPIRED"
	case exchange.CausePrevented:
		return "TRADE_PREVENTION"
	case exchange.CauseAmended:
		return "REPLACED"
	}
	return "NEW"
}

// executionReport writes what happened to an order. t is the trade that changed it, nil for every other cause.
func (w *writer) executionReport(m *market, e *exchange.Event, t *exchange.TradeRecord, fee exchange.AssetInfo) {
	o := &e.Order
	w.open('{')
	w.text("e", "executionReport")
	w.number("E", int64(e.At))
	w.text("s", m.Symbol)
	if o.Orig.IsZero() {
		w.client("c", o.Client)
	} else {
		w.client("c", o.Orig) // what the client named its cancel
	}
	w.text("S", sideName(o.Side))
	w.text("o", typeName(o.Type, o.Force))
	w.text("f", forceName(o.Type, o.Force))
	w.scaled("q", quantity(o.Qty, o.Executed), m.lot())
	w.scaled("p", o.Price, m.tick())
	w.scaled("P", o.Stop, m.tick())
	w.scaled("F", o.Show, m.lot())
	w.number("g", -1)
	if o.Status == exchange.StatusCancelled {
		w.client("C", o.Client)
	} else {
		w.text("C", "")
	}
	w.text("x", causeName(o.Cause))
	w.text("X", statusName(o.Status))
	w.text("r", "NONE")
	w.number("i", int64(o.Order))
	half, maker := w.lastTrade(m, o, t)
	w.scaled("z", o.Executed, m.lot())
	if half == nil {
		w.scaled("n", 0, 8)
		w.name("N")
		w.b = append(w.b, "null"...)
		w.number("t", -1)
	} else {
		w.units("n", half.Fee, int(fee.Decimals))
		w.text("N", fee.Symbol)
		w.number("t", int64(t.Trade))
	}
	w.number("T", int64(e.At))
	w.number("I", int64(e.Seq))
	change := changed{e.Seq, e.At, *o}
	view := change.view()
	since, working := works(&view)
	if o.Cause == exchange.CauseTriggered {
		since, working = e.At, true
	}
	w.flag("w", working && !o.Status.Ended())
	w.flag("m", maker)
	w.flag("M", false)
	w.number("O", int64(o.Created))
	w.scaled("Z", o.Quote, m.notional())
	w.scaled("Q", o.QuoteMax, m.notional())
	if working {
		w.number("W", int64(since))
	}
	w.text("V", selfTradeName(o.SelfTrade))
	if o.Cause == exchange.CausePrevented {
		w.scaled("A", max(o.Qty-o.Executed, 0), m.lot())
		w.scaled("B", max(o.Qty-o.Executed, 0), m.lot())
	}
	w.close('}')
}

// lastTrade writes the last trade's quantity, price and worth, and returns the order's half of it.
func (w *writer) lastTrade(m *market, o *exchange.OrderRecord, t *exchange.TradeRecord) (half *exchange.Half, maker bool) {
	if t != nil && o.Cause == exchange.CauseTrade {
		half, maker = halfOf(o, t)
	}
	if half == nil {
		w.scaled("l", 0, m.lot())
		w.scaled("L", 0, m.tick())
		w.scaled("Y", 0, m.notional())
		return nil, false
	}
	worth, _ := product(t.Price, t.Qty)
	w.scaled("l", t.Qty, m.lot())
	w.scaled("L", t.Price, m.tick())
	w.scaled("Y", worth, m.notional())
	return half, maker
}

// halfOf returns the order's half of a trade. The same account may be on both sides.
func halfOf(o *exchange.OrderRecord, t *exchange.TradeRecord) (half *exchange.Half, maker bool) {
	if t.Market != o.Market {
		return nil, false
	}
	switch o.Order {
	case t.Taker.Order:
		return &t.Taker, false
	case t.Maker.Order:
		return &t.Maker, true
	}
	return nil, false
}

// tradeMessage and aggMessage are what the streams tell of a trade.
func (w *writer) tradeMessage(m *market, e *exchange.Event) {
	t := &e.Trade
	w.open('{')
	w.text("e", "trade")
	w.number("E", int64(e.At))
	w.text("s", m.Symbol)
	w.number("t", int64(t.Trade))
	w.scaled("p", t.Price, m.tick())
	w.scaled("q", t.Qty, m.lot())
	w.number("T", int64(e.At))
	w.flag("m", t.TakerSide == exchange.Sell)
	w.flag("M", true)
	w.close('}')
}

func (w *writer) aggMessage(m *market, e *exchange.Event) {
	t := &e.Trade
	w.open('{')
	w.text("e", "aggTrade")
	w.number("E", int64(e.At))
	w.text("s", m.Symbol)
	w.number("a", int64(t.Trade))
	w.scaled("p", t.Price, m.tick())
	w.scaled("q", t.Qty, m.lot())
	w.number("f", int64(t.Trade))
	w.number("l", int64(t.Trade))
	w.number("T", int64(e.At))
	w.flag("m", t.TakerSide == exchange.Sell)
	w.flag("M", true)
	w.close('}')
}

// tellMove tells an account that money came from outside, or went there.
func (s *Server) tellMove(e *exchange.Event, account exchange.Account, id exchange.Asset, sign string, amount money.U128) {
	asset, known := s.catalogue.Load().asset[id]
	if !known {
		return
	}
	var w writer
	w.open('{')
	w.text("e", "balanceUpdate")
	w.number("E", int64(e.At))
	w.text("a", asset.Symbol)
	w.name("d")
	w.b = append(append(w.b, '"'), sign...)
	w.b = append(appendUnits(w.b, amount, int(asset.Decimals)), '"')
	w.number("T", int64(e.At))
	w.close('}')
	s.users.send(account, w.b)
}
