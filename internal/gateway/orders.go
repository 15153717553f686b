package gateway

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// respType says how much of an order's outcome is told.
type respType uint8

const (
	respACK respType = iota
	respResult
	respFull
)

// side, force and mode read Binance's words.
func (q *params) side() exchange.Side {
	switch q.must(pSide) {
	case "BUY":
		return exchange.Buy
	case "SELL":
		return exchange.Sell
	}
	q.fail(refuse(-1117, "Invalid side."))
	return exchange.Buy
}

func (q *params) force() exchange.Force {
	switch q.must(pTimeInForce) {
	case "GTC":
		return exchange.GoodTillCancel
	case "IOC":
		return exchange.ImmediateOrCancel
	case "FOK":
		return exchange.FillOrKill
	}
	q.fail(refuse(-1115, "Invalid timeInForce."))
	return exchange.GoodTillCancel
}

func (q *params) selfTrade() exchange.SelfTrade {
	switch q.text[pSelfTrade] {
	case "", "EXPIRE_MAKER":
		return exchange.ExpireMaker
	case "NONE":
		return exchange.AllowSelfTrade
	case "EXPIRE_TAKER":
		return exchange.ExpireTaker
	case "EXPIRE_BOTH":
		return exchange.ExpireBoth
	}
	q.fail(invalid(pSelfTrade))
	return exchange.ExpireMaker
}

func (q *params) respType(other respType) respType {
	switch q.text[pNewOrderRespType] {
	case "":
		return other
	case "ACK":
		return respACK
	case "RESULT":
		return respResult
	case "FULL":
		return respFull
	}
	q.fail(refuse(-1136, "Invalid newOrderRespType."))
	return other
}

// readOrder fills the command with a new order and returns its market and how much the client wants to hear.
func (c *call) readOrder(kind exchange.Kind) (*market, respType) {
	q, o := &c.q, &c.command[0]
	m := c.market(pSymbol)
	if m == nil {
		return nil, respACK
	}
	o.Kind, o.Account, o.Market = kind, c.key.account, m.ID
	copy(o.ID[:], c.digest[:16])
	o.Side, o.SelfTrade = q.side(), q.selfTrade()
	resp := respACK
	switch q.must(pType) {
	case "LIMIT":
		o.Type, o.Force, resp = exchange.Limit, q.force(), respFull
		q.forbid(pQuoteOrderQty, pStopPrice)
	case "LIMIT_MAKER":
		o.Type, o.Force = exchange.Limit, exchange.PostOnly
		q.forbid(pTimeInForce, pQuoteOrderQty, pStopPrice)
	case "MARKET":
		o.Type, o.Force, resp = exchange.MarketOrder, exchange.ImmediateOrCancel, respFull
		q.forbid(pTimeInForce, pPrice, pStopPrice, pIcebergQty)
	case "STOP_LOSS":
		o.Type, o.Force = exchange.Stop, exchange.GoodTillCancel
		q.forbid(pTimeInForce, pPrice, pQuoteOrderQty, pIcebergQty)
	case "STOP_LOSS_LIMIT":
		o.Type, o.Force = exchange.StopLimit, q.force()
		q.forbid(pQuoteOrderQty)
	default:
		q.fail(refuse(-1116, "Invalid orderType."))
	}
	c.readNumbers(m)
	if o.Client = q.client(pNewClientOrderID); o.Client.IsZero() {
		o.Client = ownName(c.digest)
	}
	return m, q.respType(resp)
}

// ownName is the name of an order that its client did not name.
func ownName(digest [32]byte) exchange.Client {
	var text [22]byte
	hex.Encode(text[:], digest[:11])
	name, _ := exchange.NewClient(string(text[:]))
	return name
}

// readNumbers reads prices and quantities, and applies the filters that need no book.
func (c *call) readNumbers(m *market) {
	q, o := &c.q, &c.command[0]
	if o.Type == exchange.Limit || o.Type == exchange.StopLimit {
		q.must(pPrice)
		o.Price = q.price(pPrice, m)
	}
	if o.Type == exchange.Stop || o.Type == exchange.StopLimit {
		q.must(pStopPrice)
		o.Stop = q.price(pStopPrice, m)
	}
	if o.Type == exchange.MarketOrder && q.has(pQuoteOrderQty) {
		q.forbid(pQuantity)
		o.Quote = q.scaled(pQuoteOrderQty, m.notional(), int(m.quote.Decimals), "NOTIONAL")
		if q.fault == nil && (o.Quote == 0 || o.Quote < m.NotionalMin) {
			q.fail(filter("NOTIONAL"))
		}
		return
	}
	q.must(pQuantity)
	o.Qty = q.lots(pQuantity, m)
	if q.has(pIcebergQty) {
		o.Show = q.scaled(pIcebergQty, m.lot(), int(m.base.Decimals), "LOT_SIZE")
		if q.fault == nil && (o.Force != exchange.GoodTillCancel && o.Force != exchange.PostOnly || o.Show == 0 || o.Show > o.Qty) {
			q.fail(refuse(-1013, "Invalid icebergQty: it must be above zero, at most the quantity, and the order good till cancelled."))
		}
	}
	if q.fault == nil && o.Price > 0 {
		if worth, fits := product(o.Price, o.Qty); !fits || worth < m.NotionalMin {
			q.fail(filter("NOTIONAL"))
		}
	}
}

// price reads a price in ticks, inside the market's band.
func (q *params) price(id param, m *market) int64 {
	p := q.scaled(id, m.tick(), int(m.quote.Decimals), "PRICE_FILTER")
	if q.fault == nil && (p <= 0 || p < m.PriceMin || m.PriceMax > 0 && p > m.PriceMax || p > priceMax) {
		q.fail(filter("PRICE_FILTER"))
	}
	return p
}

// lots reads a quantity in lots, inside the market's bounds.
func (q *params) lots(id param, m *market) int64 {
	n := q.scaled(id, m.lot(), int(m.base.Decimals), "LOT_SIZE")
	if q.fault == nil && (n <= 0 || n < m.QtyMin || m.QtyMax > 0 && n > m.QtyMax || n > qtyMax) {
		q.fail(filter("LOT_SIZE"))
	}
	return n
}

// The engine's own bounds: price times quantity fits 63 bits.
const (
	priceMax = 1<<31 - 1
	qtyMax   = 1<<31 - 1
)

// do sends the command and waits. A refusal of the engine is a problem.
func (s *Server) do(c *call) *problem {
	if c.q.fault != nil {
		return c.q.fault
	}
	if err := s.o.Engine.Do(c.ctx, c.command[:], c.outcome[:]); err != nil {
		s.say(slog.LevelWarn, "the engine did not answer", "request", s.requestName(c.request), "error", err)
		return timedOut()
	}
	out := &c.outcome[0]
	if out.Seq > 0 {
		c.key.told(out.Seq)
	}
	return s.verdicts.refusal(out.Code, out.Reason)
}

func (s *Server) placeOrder(c *call) *problem {
	m, resp := c.readOrder(exchange.Place)
	if p := s.do(c); p != nil {
		return p
	}
	s.completeFills(c, m, resp)
	c.w.open('{')
	c.placed(m, resp)
	c.w.close('}')
	return nil
}

// completeFills asks the records for an order's first trades. The engine keeps the sums of a command that it answers
// again, as it does when the answer to the first time was lost, but not its trades.
func (s *Server) completeFills(c *call, m *market, resp respType) {
	out := &c.outcome[0]
	if resp != respFull || !out.Again || out.Executed == 0 {
		return
	}
	answer, p := s.ask(c, exchange.Question{After: out.Seq, Trades: &exchange.TradesQuestion{Account: c.key.account, Market: m.ID, Order: out.Order, Limit: ordersMost}})
	if p != nil {
		return // the sums are true without them
	}
	left := out.Executed
	for i := range answer.Trades {
		t := &answer.Trades[i]
		if left -= t.Qty; left < 0 || t.Maker || t.Order != out.Order {
			return // later trades, of the order at rest
		}
		out.Fills = append(out.Fills, exchange.Fill{Trade: t.Trade, Price: t.Price, Qty: t.Qty, Fee: t.Fee, FeeAsset: t.FeeAsset})
	}
}

// placed writes the members of a new order's answer.
func (c *call) placed(m *market, resp respType) {
	w, o, out := &c.w, &c.command[0], &c.outcome[0]
	w.text("symbol", m.Symbol)
	w.number("orderId", int64(out.Order))
	w.number("orderListId", -1)
	w.client("clientOrderId", o.Client)
	w.number("transactTime", int64(out.At))
	if resp == respACK {
		return
	}
	view := exchange.OrderView{Type: o.Type, Force: o.Force, Side: o.Side, SelfTrade: o.SelfTrade, Status: out.Status, Price: o.Price, Stop: o.Stop, Qty: o.Qty, Show: o.Show,
		QuoteMax: o.Quote, Executed: out.Executed, Quote: out.Quote, Created: out.At, Changed: out.At}
	w.orderNumbers(m, &view)
	since, _ := works(&view)
	w.number("workingTime", int64(since))
	w.text("selfTradePreventionMode", selfTradeName(o.SelfTrade))
	w.prevented(m, &view)
	if resp != respFull {
		return
	}
	w.array("fills")
	for i := range out.Fills {
		f := &out.Fills[i]
		fee := c.cat.asset[f.FeeAsset]
		w.open('{')
		w.scaled("price", f.Price, m.tick())
		w.scaled("qty", f.Qty, m.lot())
		w.units("commission", f.Fee, int(fee.Decimals))
		w.text("commissionAsset", fee.Symbol)
		w.number("tradeId", int64(f.Trade))
		w.close('}')
	}
	w.close(']')
}

// testOrder checks all that placeOrder checks before the engine sees it, and places nothing.
func (s *Server) testOrder(c *call) *problem {
	m, _ := c.readOrder(exchange.Place)
	rates := c.q.truth(pCommissionRates)
	if c.q.fault != nil {
		return c.q.fault
	}
	c.w.open('{')
	if rates {
		answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
		if p != nil {
			return p
		}
		c.rates(answer.Account)
		c.w.discount()
	}
	c.w.close('}')
	_ = m
	return nil
}

// readCancel fills the command with which order is meant.
func (c *call) readCancel(id, orig param) {
	q, o := &c.q, &c.command[0]
	o.Order = exchange.OrderID(q.whole(id, 0, 1, 1<<62))
	if q.has(orig) {
		o.Orig = q.client(orig)
	}
	if !q.has(id) && !q.has(orig) {
		q.fail(refuse(-1102, "Param '"+orig.name()+"' or '"+id.name()+"' must be sent, but both were empty/null!"))
	}
	if q.has(pCancelRestrictions) {
		q.fail(refuse(-1145, "cancelRestrictions is not offered here: it needs a look at the order before its cancel."))
	}
}

// order asks for one order of the account, as it is after what the customer was told last. That there is none is believed
// only of records that know all that the engine knew by then: the order may have come by another gateway a moment ago.
func (s *Server) order(c *call, q exchange.OrdersQuestion) (exchange.OrderView, *problem) {
	q.Limit = 1
	after := uint64(0)
	for {
		answer, p := s.ask(c, exchange.Question{After: after, Orders: &q})
		switch {
		case p == nil && len(answer.Orders) > 0:
			return answer.Orders[0], nil
		case p != nil && p.code != noSuchOrder().code:
			return exchange.OrderView{}, p
		case after > 0:
			return exchange.OrderView{}, noSuchOrder()
		}
		now, p := s.ask(c, exchange.Question{Status: &struct{}{}})
		if p != nil {
			return exchange.OrderView{}, p
		}
		if after = now.Status.Seq; answer.Seq >= after {
			return exchange.OrderView{}, noSuchOrder()
		}
	}
}

// ask asks the engine on behalf of a customer.
func (s *Server) ask(c *call, q exchange.Question) (exchange.Answer, *problem) {
	if c.q.fault != nil {
		return exchange.Answer{}, c.q.fault
	}
	if c.key != nil {
		q.After = max(q.After, c.key.seen.Load(), s.heard.of(c.key.account))
	}
	answer, err := s.o.Engine.Ask(c.ctx, q)
	for wait := 2 * time.Millisecond; err == nil && answer.Code == exchange.Busy && q.After > 0 && c.pause(wait); wait *= 2 {
		answer, err = s.o.Engine.Ask(c.ctx, q) // the records were not there yet
	}
	if errors.Is(err, ErrBusy) {
		return exchange.Answer{}, overloaded()
	}
	if err != nil {
		s.say(slog.LevelWarn, "the engine did not answer a question", "request", s.requestName(c.request), "error", err)
		return exchange.Answer{}, notReady()
	}
	if answer.Code == exchange.UnknownOrder {
		return answer, noSuchOrder()
	}
	return answer, s.verdicts.refusal(answer.Code, "")
}

// pauseMax is the longest single wait for records that are behind.
const pauseMax = 300 * time.Millisecond

// pause waits, and reports whether another try makes sense.
func (c *call) pause(d time.Duration) bool {
	if d > pauseMax {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}
