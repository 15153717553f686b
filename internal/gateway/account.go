package gateway

import (
	"github.com/coldsign/coldsign/internal/exchange"
)

func (s *Server) queryOrder(c *call) *problem {
	q := &c.q
	m := c.market(pSymbol)
	id := exchange.OrderID(q.whole(pOrderID, 0, 1, 1<<62))
	name := q.client(pOrigClientOrderID)
	if id == 0 && name.IsZero() {
		q.fail(refuse(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"))
	}
	if q.fault != nil {
		return q.fault
	}
	v, p := s.order(c, exchange.OrdersQuestion{Account: c.key.account, Market: m.ID, Order: id, Client: name.String()})
	if p != nil {
		return p
	}
	if id != 0 && !name.IsZero() && v.Client != name.String() {
		return noSuchOrder()
	}
	c.w.orderView(m, &v)
	return nil
}

func (s *Server) openOrders(c *call) *problem {
	question := exchange.OrdersQuestion{Account: c.key.account, Open: true, Limit: ordersMost}
	if c.q.has(pSymbol) {
		m := c.market(pSymbol)
		if m == nil {
			return c.q.fault
		}
		question.Market = m.ID
	}
	return s.orderList(c, question)
}

// ordersMost is how many rows one answer holds.
const ordersMost = 1000

func (s *Server) allOrders(c *call) *problem {
	q := &c.q
	m := c.market(pSymbol)
	question := exchange.OrdersQuestion{Account: c.key.account, History: true, Limit: q.limit(500, ordersMost)}
	question.Since, question.Until = q.times()
	question.Order = exchange.OrderID(q.whole(pOrderID, 0, 0, 1<<62))
	if q.fault != nil {
		return q.fault
	}
	question.Market = m.ID
	return s.orderList(c, question)
}

func (s *Server) orderList(c *call, question exchange.OrdersQuestion) *problem {
	answer, p := s.ask(c, exchange.Question{Orders: &question})
	if p != nil {
		return p
	}
	c.w.open('[')
	for i := range answer.Orders {
		if m := c.cat.byID[answer.Orders[i].Market]; m != nil {
			c.w.orderView(m, &answer.Orders[i])
		}
	}
	c.w.close(']')
	return nil
}

// rates writes an account's commission rates.
func (c *call) rates(a *exchange.AccountInfo) {
	w := &c.w
	var maker, taker int64
	if a != nil {
		maker, taker = int64(a.MakerPPM), int64(a.TakerPPM)
	}
	rate := func(name string, maker, taker int64) {
		w.object(name)
		w.scaled("maker", maker, 6)
		w.scaled("taker", taker, 6)
		w.scaled("buyer", 0, 6)
		w.scaled("seller", 0, 6)
		w.close('}')
	}
	rate("standardCommissionForOrder", maker, taker)
	rate("specialCommissionForOrder", 0, 0)
	rate("taxCommissionForOrder", 0, 0)
}

// discount says that fees are paid in no asset of the house.
func (w *writer) discount() {
	w.object("discount")
	w.flag("enabledForAccount", false)
	w.flag("enabledForSymbol", false)
	w.text("discountAsset", "")
	w.scaled("discount", 0, 8)
	w.close('}')
}

func (s *Server) account(c *call) *problem {
	omit := c.q.truth(pOmitZero)
	answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
	if p != nil {
		return p
	}
	if answer.Account == nil {
		return rejectedKey()
	}
	a, w := answer.Account, &c.w
	active := a.State == exchange.AccountActive
	w.open('{')
	w.number("makerCommission", int64(a.MakerPPM/100)) // Binance counts hundredths of a percent
	w.number("takerCommission", int64(a.TakerPPM/100))
	w.number("buyerCommission", 0)
	w.number("sellerCommission", 0)
	w.object("commissionRates")
	w.scaled("maker", int64(a.MakerPPM), 6)
	w.scaled("taker", int64(a.TakerPPM), 6)
	w.scaled("buyer", 0, 6)
	w.scaled("seller", 0, 6)
	w.close('}')
	w.flag("canTrade", active && c.key.may(exchange.ScopeTrade, c.now))
	w.flag("canWithdraw", active && c.key.may(exchange.ScopeWithdraw, c.now))
	w.flag("canDeposit", active)
	w.flag("brokered", false)
	w.flag("requireSelfTradePrevention", false)
	w.flag("preventSor", true)
	w.number("updateTime", int64(answer.At))
	w.text("accountType", "SPOT")
	w.array("balances")
	for _, b := range answer.Balances {
		asset, known := c.cat.asset[b.Asset]
		if !known || omit && b.Available.Hi|b.Available.Lo|b.Held.Hi|b.Held.Lo == 0 {
			continue
		}
		w.open('{')
		w.text("asset", asset.Symbol)
		w.units("free", b.Available, int(asset.Decimals))
		w.units("locked", b.Held, int(asset.Decimals))
		w.close('}')
	}
	w.close(']')
	w.array("permissions")
	w.itemText("SPOT")
	w.close(']')
	w.number("uid", int64(a.ID))
	w.close('}')
	return nil
}

func (s *Server) commission(c *call) *problem {
	m := c.market(pSymbol)
	answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
	if p != nil {
		return p
	}
	w := &c.w
	w.open('{')
	w.text("symbol", m.Symbol)
	var maker, taker int64
	if a := answer.Account; a != nil {
		maker, taker = int64(a.MakerPPM), int64(a.TakerPPM)
	}
	for _, kind := range [...]string{"standardCommission", "specialCommission", "taxCommission"} {
		w.object(kind)
		w.scaled("maker", maker, 6)
		w.scaled("taker", taker, 6)
		w.scaled("buyer", 0, 6)
		w.scaled("seller", 0, 6)
		w.close('}')
		maker, taker = 0, 0
	}
	w.discount()
	w.close('}')
	return nil
}

func (s *Server) myTrades(c *call) *problem {
	q := &c.q
	m := c.market(pSymbol)
	question := exchange.TradesQuestion{Account: c.key.account, Limit: q.limit(500, ordersMost)}
	question.Since, question.Until = q.times()
	question.Order = exchange.OrderID(q.whole(pOrderID, 0, 0, 1<<62))
	question.From = exchange.TradeID(q.whole(pFromID, 0, 0, 1<<62))
	if question.From != 0 && (question.Since != 0 || question.Until != 0) {
		q.fail(refuse(-1128, "Combination of optional parameters invalid."))
	}
	if q.fault != nil {
		return q.fault
	}
	question.Market = m.ID
	answer, p := s.ask(c, exchange.Question{Trades: &question})
	if p != nil {
		return p
	}
	w := &c.w
	w.open('[')
	for i := range answer.Trades {
		t := &answer.Trades[i]
		fee := c.cat.asset[t.FeeAsset]
		worth, _ := product(t.Price, t.Qty)
		w.open('{')
		w.text("symbol", m.Symbol)
		w.number("id", int64(t.Trade))
		w.number("orderId", int64(t.Order))
		w.number("orderListId", -1)
		w.scaled("price", t.Price, m.tick())
		w.scaled("qty", t.Qty, m.lot())
		w.scaled("quoteQty", worth, m.notional())
		w.units("commission", t.Fee, int(fee.Decimals))
		w.text("commissionAsset", fee.Symbol)
		w.number("time", int64(t.At))
		w.flag("isBuyer", t.Side == exchange.Buy)
		w.flag("isMaker", t.Maker)
		w.flag("isBestMatch", true)
		w.close('}')
	}
	w.close(']')
	return nil
}

func (s *Server) orderCounts(c *call) *problem {
	c.w.open('[')
	s.orderLimits(&c.w, c)
	c.w.close(']')
	return nil
}

// orderLimits writes how many orders the account may place, and has placed.
func (s *Server) orderLimits(w *writer, c *call) {
	for _, row := range [...]struct {
		interval     string
		num          int64
		limit, count uint32
	}{{"SECOND", 10, s.o.Orders10s, c.ruling.Orders10s}, {"DAY", 1, s.o.OrdersDay, c.ruling.OrdersDay}} {
		w.open('{')
		w.text("rateLimitType", "ORDERS")
		w.text("interval", row.interval)
		w.number("intervalNum", row.num)
		w.number("limit", int64(row.limit))
		w.number("count", int64(row.count))
		w.close('}')
	}
}

func (s *Server) apiRestrictions(c *call) *problem {
	w, scopes := &c.w, c.key.info.Scopes
	w.open('{')
	w.flag("ipRestrict", len(c.key.info.Allowed) > 0)
	w.number("createTime", int64(c.key.info.Created))
	w.flag("enableReading", scopes&exchange.ScopeRead != 0)
	w.flag("enableWithdrawals", c.key.may(exchange.ScopeWithdraw, c.now))
	w.flag("enableSpotAndMarginTrading", scopes&exchange.ScopeTrade != 0)
	for _, other := range [...]string{"enableInternalTransfer", "enableMargin", "enableFutures", "permitsUniversalTransfer", "enableVanillaOptions"} {
		w.flag(other, false)
	}
	w.close('}')
	return nil
}

func (s *Server) accountStatus(c *call) *problem {
	answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
	if p != nil {
		return p
	}
	state := "Normal"
	if answer.Account != nil && answer.Account.State == exchange.AccountFrozen {
		state = "Locked"
	}
	c.w.open('{')
	c.w.text("data", state)
	c.w.close('}')
	return nil
}

func (s *Server) tradeFee(c *call) *problem {
	markets := c.cat.markets
	if c.q.has(pSymbol) {
		markets = []*market{c.market(pSymbol)}
	}
	answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
	if p != nil {
		return p
	}
	c.w.open('[')
	for _, m := range markets {
		c.w.open('{')
		c.w.text("symbol", m.Symbol)
		var maker, taker int64
		if answer.Account != nil {
			maker, taker = int64(answer.Account.MakerPPM), int64(answer.Account.TakerPPM)
		}
		c.w.scaled("makerCommission", maker, 6)
		c.w.scaled("takerCommission", taker, 6)
		c.w.close('}')
	}
	c.w.close(']')
	return nil
}

// nothing answers what clients ask at their start about things that this exchange does not have.
func (s *Server) nothing(c *call) *problem {
	c.w.b = append(c.w.b, "[]"...)
	return nil
}
