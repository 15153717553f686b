package gateway

import (
	"net/http"

	"github.com/coldsign/coldsign/internal/exchange"
)

func (s *Server) cancelOrder(c *call) *problem {
	q, o := &c.q, &c.command[0]
	m := c.market(pSymbol)
	o.Kind, o.Account = exchange.Cancel, c.key.account
	copy(o.ID[:], c.digest[:16])
	c.readCancel(pOrderID, pOrigClientOrderID)
	if o.Client = q.client(pNewClientOrderID); o.Client.IsZero() {
		o.Client = ownName(c.digest)
	}
	if q.fault != nil {
		return q.fault
	}
	o.Market = m.ID
	if p := s.do(c); p != nil {
		return p
	}
	view := s.ended(c, c.outcome[0].Order)
	c.w.open('{')
	c.cancelled(m, &view, o.Client.String())
	c.w.close('}')
	return nil
}

// nameOr is the name that a client gave to its cancel, or one of ours.
func (c *call) nameOr(name exchange.Client) string {
	if name.IsZero() {
		name = ownName(c.digest)
	}
	return name.String()
}

// ended returns an order that the command of this call took out or changed. When its events are late or were missed, the
// records are asked; when they are late too, what the outcome holds is told: the cancel is done and durable all the same.
func (s *Server) ended(c *call, id exchange.OrderID) exchange.OrderView {
	out := &c.outcome[0]
	all, _ := s.recent.of(c, out.Seq, c.key.account)
	for i := range all {
		if all[i].record.Order == id {
			return all[i].view()
		}
	}
	if view, p := s.order(c, exchange.OrdersQuestion{Account: c.key.account, Market: c.command[0].Market, Order: id}); p == nil {
		return view
	}
	return exchange.OrderView{Order: id, Client: c.command[0].Orig.String(), Status: exchange.StatusCancelled, Executed: out.Executed, Quote: out.Quote}
}

// cancelled writes the members of a cancelled order. by names the cancel itself.
func (c *call) cancelled(m *market, v *exchange.OrderView, by string) {
	w := &c.w
	w.text("symbol", m.Symbol)
	w.text("origClientOrderId", v.Client)
	w.number("orderId", int64(v.Order))
	w.number("orderListId", -1)
	w.text("clientOrderId", by)
	w.number("transactTime", int64(c.outcome[0].At))
	w.orderNumbers(m, v)
	w.text("selfTradePreventionMode", selfTradeName(v.SelfTrade))
}

func (s *Server) cancelAll(c *call) *problem {
	m := c.market(pSymbol)
	if m == nil {
		return c.q.fault
	}
	o := &c.command[0]
	o.Kind, o.Account, o.Market = exchange.CancelAll, c.key.account, m.ID
	copy(o.ID[:], c.digest[:16])
	if p := s.do(c); p != nil {
		return p
	}
	if c.outcome[0].Canceled == 0 {
		return refuse(-2011, "Unknown order sent.")
	}
	views := s.endedAll(c)
	by := c.nameOr(exchange.Client{})
	c.w.open('[')
	for i := range views {
		c.w.open('{')
		c.cancelled(m, &views[i], by)
		c.w.close('}')
	}
	c.w.close(']')
	return nil
}

// endedAll returns the orders that a CancelAll took out: from its events or, when those are late or were missed, from the
// records, where they are the ones that changed at its time.
func (s *Server) endedAll(c *call) []exchange.OrderView {
	out := &c.outcome[0]
	all, _ := s.recent.of(c, out.Seq, c.key.account)
	views := make([]exchange.OrderView, 0, len(all))
	for i := range all {
		views = append(views, all[i].view())
	}
	if int64(len(views)) >= out.Canceled {
		return views
	}
	answer, p := s.ask(c, exchange.Question{After: out.Seq, Orders: &exchange.OrdersQuestion{Account: c.key.account, Market: c.command[0].Market, History: true, Limit: ordersMost}})
	if p != nil {
		return views // it is done and durable all the same
	}
	views = views[:0]
	for _, v := range answer.Orders {
		if v.Status == exchange.StatusCancelled && v.Changed == out.At {
			views = append(views, v)
		}
	}
	return views
}

// cancelReplace that stops on failure is atomic here, which Binance's is not: when the new order is refused, the old one
// stays. Whoever allows failure wants both halves tried, whatever becomes of the other.
func (s *Server) cancelReplace(c *call) *problem {
	q := &c.q
	m, resp := c.readOrder(exchange.Replace)
	either := false
	switch q.must(pCancelReplaceMode) {
	case "STOP_ON_FAILURE":
	case "ALLOW_FAILURE":
		either = true
	default:
		q.fail(invalid(pCancelReplaceMode))
	}
	c.readCancel(pCancelOrderID, pCancelOrigClientOrderID)
	by := q.client(pCancelNewClientOrderID)
	if q.fault != nil {
		return q.fault
	}
	if either {
		return s.cancelAndPlace(c, m, resp)
	}
	if p := s.do(c); p != nil {
		return s.notReplaced(c, p)
	}
	s.completeFills(c, m, resp)
	old := s.ended(c, c.outcome[0].Replaced)
	w := &c.w
	w.open('{')
	w.text("cancelResult", "SUCCESS")
	w.text("newOrderResult", "SUCCESS")
	w.object("cancelResponse")
	c.cancelled(m, &old, c.nameOr(by))
	w.close('}')
	w.object("newOrderResponse")
	c.placed(m, resp)
	w.close('}')
	w.close('}')
	return nil
}

// notReplaced words a replacement of which neither half was done.
func (s *Server) notReplaced(c *call, p *problem) *problem {
	if p.status != http.StatusBadRequest {
		return p
	}
	unknown := c.outcome[0].Code == exchange.UnknownOrder
	return &problem{status: p.status, code: -2022, msg: "Order cancel-replace failed.", data: func(w *writer) {
		half := func(n string) {
			w.object(n)
			w.number("code", int64(p.code))
			w.text("msg", p.msg)
			w.close('}')
		}
		w.text("cancelResult", "FAILURE")
		if unknown {
			w.text("newOrderResult", "NOT_ATTEMPTED")
			half("cancelResponse")
			w.name("newOrderResponse")
			w.b = append(w.b, "null"...)
			return
		}
		w.text("newOrderResult", "FAILURE")
		half("cancelResponse")
		half("newOrderResponse")
	}}
}

// amendOrder lowers an order's quantity; it keeps its place. Binance's newQty is the whole quantity of the order, the
// engine's what remains, so the order is looked at first. What trades in between comes on top, and never makes the order
// larger than it was: the engine refuses that.
func (s *Server) amendOrder(c *call) *problem {
	q, o := &c.q, &c.command[0]
	m := c.market(pSymbol)
	c.readCancel(pOrderID, pOrigClientOrderID)
	q.must(pNewQty)
	if q.has(pNewClientOrderID) {
		q.fail(refuse(-1106, "Parameter 'newClientOrderId' sent when not required: an amended order keeps its name here."))
	}
	if q.fault != nil {
		return q.fault
	}
	want := q.lots(pNewQty, m)
	before, p := s.order(c, exchange.OrdersQuestion{Account: c.key.account, Market: m.ID, Order: o.Order, Client: o.Orig.String()})
	if p != nil {
		return p
	}
	switch {
	case before.Status.Ended():
		return refuse(-2038, "Order amend rejected: the order has ended.")
	case want >= before.Qty:
		return refuse(-2038, "Order amend (quantity increase) is not supported.")
	case want <= before.Executed:
		return refuse(-2038, "Order amend rejected: that much has already traded.")
	}
	o.Kind, o.Account, o.Market, o.Order, o.Orig, o.Qty = exchange.Amend, c.key.account, m.ID, before.Order, exchange.Client{}, want-before.Executed
	copy(o.ID[:], c.digest[:16])
	if p := s.do(c); p != nil {
		return p
	}
	after := s.ended(c, before.Order)
	if after.Qty == 0 { // its event is late
		after = before
		after.Qty = want
	}
	w := &c.w
	w.open('{')
	w.number("transactTime", int64(c.outcome[0].At))
	w.number("executionId", int64(c.outcome[0].Seq))
	w.object("amendedOrder")
	w.text("symbol", m.Symbol)
	w.number("orderId", int64(after.Order))
	w.number("orderListId", -1)
	w.text("origClientOrderId", after.Client)
	w.text("clientOrderId", after.Client)
	w.scaled("price", after.Price, m.tick())
	w.scaled("qty", after.Qty, m.lot())
	w.scaled("executedQty", after.Executed, m.lot())
	w.scaled("preventedQty", 0, m.lot())
	w.scaled("quoteOrderQty", after.QuoteMax, m.notional())
	w.scaled("cumulativeQuoteQty", after.Quote, m.notional())
	w.text("status", statusName(after.Status))
	w.text("timeInForce", forceName(after.Type, after.Force))
	w.text("type", typeName(after.Type, after.Force))
	w.text("side", sideName(after.Side))
	since, _ := works(&after)
	w.number("workingTime", int64(since))
	w.text("selfTradePreventionMode", selfTradeName(after.SelfTrade))
	w.close('}')
	w.close('}')
	return nil
}
