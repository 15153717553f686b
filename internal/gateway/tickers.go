package gateway

import (
	"github.com/coldsign/coldsign/internal/exchange"
)

// tickersOf asks what the last 24 hours of some markets were like.
func (s *Server) tickersOf(c *call, ms []*market) ([]exchange.Ticker, *problem) {
	if c.q.fault != nil {
		return nil, c.q.fault
	}
	question := exchange.TickersQuestion{}
	if len(ms) == 1 {
		question.Market = ms[0].ID
	}
	answer, p := s.ask(c, exchange.Question{Tickers: &question})
	if p != nil {
		return nil, p
	}
	byID := map[exchange.Market]exchange.Ticker{}
	for _, t := range answer.Tickers {
		byID[t.Market] = t
	}
	out := make([]exchange.Ticker, len(ms))
	for i, m := range ms {
		out[i] = byID[m.ID]
		out[i].Market = m.ID
		if out[i].At == 0 {
			out[i].At = c.now
		}
	}
	return out, nil
}

// each writes one object for each market, in an array unless one was named alone.
func (c *call) each(ms []*market, alone bool, write func(i int, m *market)) *problem {
	if c.q.has(pSymbolStatus) {
		c.q.fail(notRequired(pSymbolStatus))
	}
	if c.q.fault != nil {
		return c.q.fault
	}
	if !alone {
		c.w.open('[')
	}
	for i, m := range ms {
		c.w.open('{')
		write(i, m)
		c.w.close('}')
	}
	if !alone {
		c.w.close(']')
	}
	return nil
}

func (s *Server) ticker24(c *call) *problem {
	ms, alone := c.selected()
	mini := c.q.text[pType] == "MINI"
	if c.q.has(pType) && !mini && c.q.text[pType] != "FULL" {
		c.q.fail(invalid(pType))
	}
	ts, p := s.tickersOf(c, ms)
	if p != nil {
		return p
	}
	return c.each(ms, alone, func(i int, m *market) { c.w.ticker(m, &ts[i], mini) })
}

func (w *writer) ticker(m *market, t *exchange.Ticker, mini bool) {
	d := &t.Day
	first, last := d.Prices[0], d.Prices[3]
	w.text("symbol", m.Symbol)
	if !mini {
		w.scaled("priceChange", last-first, m.tick())
		w.name("priceChangePercent")
		w.b = append(appendPercent(append(w.b, '"'), first, last), '"')
		w.average("weightedAvgPrice", d.Quote, d.Volume, m)
		w.scaled("prevClosePrice", first, m.tick())
	}
	w.scaled("lastPrice", last, m.tick())
	if !mini {
		w.scaled("lastQty", 0, m.lot())
		w.scaled("bidPrice", t.Bid, m.tick())
		w.scaled("bidQty", t.BidQty, m.lot())
		w.scaled("askPrice", t.Ask, m.tick())
		w.scaled("askQty", t.AskQty, m.lot())
	}
	w.scaled("openPrice", first, m.tick())
	w.scaled("highPrice", d.Prices[1], m.tick())
	w.scaled("lowPrice", d.Prices[2], m.tick())
	w.scaled("volume", d.Volume, m.lot())
	w.units("quoteVolume", d.Quote, m.notional())
	w.number("openTime", int64(t.At)-dayMillis)
	w.number("closeTime", int64(t.At))
	w.number("firstId", tradeOrNone(t.First))
	w.number("lastId", tradeOrNone(t.Last))
	w.number("count", d.Trades)
}

const dayMillis = 86_400_000

func tradeOrNone(id exchange.TradeID) int64 {
	if id == 0 {
		return -1
	}
	return int64(id)
}

// appendPercent appends by how much percent last is above first, with three decimals, rounded towards zero.
func appendPercent(out []byte, first, last int64) []byte {
	if first <= 0 {
		return append(out, "0.000"...)
	}
	thousandths := (last - first) * 100_000 / first
	if thousandths < 0 {
		out, thousandths = append(out, '-'), -thousandths
	}
	out = appendNumber(out, uint64(thousandths/1000))
	rest := thousandths % 1000
	return append(out, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

func (s *Server) tickerPrice(c *call) *problem {
	ms, alone := c.selected()
	ts, p := s.tickersOf(c, ms)
	if p != nil {
		return p
	}
	return c.each(ms, alone, func(i int, m *market) {
		c.w.text("symbol", m.Symbol)
		c.w.scaled("price", ts[i].Day.Prices[3], m.tick())
	})
}

func (s *Server) bookTicker(c *call) *problem {
	ms, alone := c.selected()
	return c.each(ms, alone, func(_ int, m *market) {
		bid, ask := s.books.of(m.ID).best()
		c.w.text("symbol", m.Symbol)
		c.w.scaled("bidPrice", bid.Price, m.tick())
		c.w.scaled("bidQty", bid.Qty, m.lot())
		c.w.scaled("askPrice", ask.Price, m.tick())
		c.w.scaled("askQty", ask.Qty, m.lot())
	})
}
