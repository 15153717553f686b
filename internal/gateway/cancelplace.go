package gateway

import (
	"net/http"

	"github.com/coldsign/coldsign/internal/exchange"
)

// cancelAndPlace is cancelReplace that allows failure: a cancel, and then an order whatever became of the cancel. They are
// two commands of the engine, each with an identity of its own that follows from the signature.
func (s *Server) cancelAndPlace(c *call, m *market, resp respType) *problem {
	order := c.command[0]
	order.Kind, order.Order, order.Orig = exchange.Place, 0, exchange.Client{}
	cancel := exchange.Command{Kind: exchange.Cancel, Account: order.Account, Market: order.Market, Order: c.command[0].Order, Orig: c.command[0].Orig,
		Client: c.q.client(pCancelNewClientOrderID)}
	copy(cancel.ID[:], c.digest[16:])
	if cancel.Client.IsZero() {
		cancel.Client = ownName(c.digest)
	}
	c.command[0] = cancel
	notCancelled := s.do(c)
	if notCancelled != nil && notCancelled.status != http.StatusBadRequest {
		return notCancelled // nobody knows, or nothing was tried
	}
	var gone writer
	if notCancelled == nil {
		old := s.ended(c, c.outcome[0].Order)
		gone = c.apart(func() { c.cancelled(m, &old, cancel.Client.String()) })
	}
	c.command[0], c.outcome[0] = order, exchange.Outcome{}
	notPlaced := s.do(c)
	if notPlaced != nil && notPlaced.status == http.StatusGatewayTimeout {
		return notPlaced
	}
	var fresh writer
	if notPlaced == nil {
		s.completeFills(c, m, resp)
		fresh = c.apart(func() { c.placed(m, resp) })
	}
	tell := func(w *writer) {
		w.text("cancelResult", resultName(notCancelled))
		w.text("newOrderResult", resultName(notPlaced))
		w.half("cancelResponse", notCancelled, &gone)
		w.half("newOrderResponse", notPlaced, &fresh)
	}
	switch {
	case notCancelled != nil && notPlaced != nil:
		return &problem{status: http.StatusBadRequest, code: -2022, msg: "Order cancel-replace failed.", data: tell}
	case notCancelled != nil || notPlaced != nil:
		return &problem{status: http.StatusConflict, code: -2021, msg: "Order cancel-replace partially failed.", data: tell}
	}
	c.w.open('{')
	tell(&c.w)
	c.w.close('}')
	return nil
}

// apart lets write fill the members of an object that is not the answer yet.
func (c *call) apart(write func()) writer {
	answer := c.w
	c.w = writer{}
	c.w.open('{')
	write()
	c.w.close('}')
	object := c.w
	c.w = answer
	return object
}

func resultName(p *problem) string {
	if p != nil {
		return "FAILURE"
	}
	return "SUCCESS"
}

// half writes what became of one half: a problem, or its answer.
func (w *writer) half(name string, p *problem, done *writer) {
	if p == nil {
		w.name(name)
		w.b = append(w.b, done.b...)
		return
	}
	w.object(name)
	w.number("code", int64(p.code))
	w.text("msg", p.msg)
	w.close('}')
}
