package gateway

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

func appendNumber(out []byte, n uint64) []byte { return strconv.AppendUint(out, n, 10) }

func (s *Server) ping(c *call) *problem {
	c.w.b = append(c.w.b, "{}"...)
	return nil
}

func (s *Server) time(c *call) *problem {
	c.w.open('{')
	c.w.number("serverTime", int64(c.now))
	c.w.close('}')
	return nil
}

func (s *Server) systemStatus(c *call) *problem {
	c.w.open('{')
	if s.ready() == "" {
		c.w.number("status", 0)
		c.w.text("msg", "normal")
	} else {
		c.w.number("status", 1)
		c.w.text("msg", "system_maintenance")
	}
	c.w.close('}')
	return nil
}

func (s *Server) exchangeInfo(c *call) *problem {
	markets, _ := c.selected()
	if c.q.has(pSymbolStatus) {
		markets = c.ofStatus(markets)
	}
	if c.q.has(pPermissions) && c.q.text[pPermissions] != "SPOT" && !slices.Contains(c.q.list(pPermissions), "SPOT") {
		c.q.fail(invalid(pPermissions))
	}
	c.q.truth(pShowPermissionSets)
	if c.q.fault != nil {
		return c.q.fault
	}
	w := &c.w
	w.open('{')
	w.text("timezone", "UTC")
	w.number("serverTime", int64(c.now))
	w.array("rateLimits")
	limit := func(kind, interval string, num, limit int64) {
		w.open('{')
		w.text("rateLimitType", kind)
		w.text("interval", interval)
		w.number("intervalNum", num)
		w.number("limit", limit)
		w.close('}')
	}
	limit("REQUEST_WEIGHT", "MINUTE", 1, int64(s.o.AddressWeight))
	limit("ORDERS", "SECOND", 10, int64(s.o.Orders10s))
	limit("ORDERS", "DAY", 1, int64(s.o.OrdersDay))
	w.close(']')
	w.array("exchangeFilters")
	w.close(']')
	w.array("symbols")
	for _, m := range markets {
		w.symbol(m)
	}
	w.close(']')
	w.close('}')
	return nil
}

// ofStatus keeps the markets of the state that is asked for, where no market is named.
func (c *call) ofStatus(all []*market) (some []*market) {
	status := c.q.text[pSymbolStatus]
	switch {
	case c.q.has(pSymbol) || c.q.has(pSymbols):
		c.q.fail(refuse(-1128, "Combination of optional parameters invalid."))
	case !slices.Contains([]string{"TRADING", "HALT", "BREAK", "AUCTION_MATCH", "END_OF_DAY"}, status):
		c.q.fail(refuse(-1122, "Invalid symbolStatus."))
	}
	for _, m := range all {
		if stateName(m.State) == status {
			some = append(some, m)
		}
	}
	return some
}

// stateName is Binance's word for what a market takes.
func stateName(s exchange.MarketState) string {
	switch s {
	case exchange.MarketHalted:
		return "HALT"
	case exchange.MarketAuction:
		return "AUCTION_MATCH"
	}
	return "TRADING"
}

func (w *writer) symbol(m *market) {
	w.open('{')
	w.text("symbol", m.Symbol)
	w.text("status", stateName(m.State))
	w.text("baseAsset", m.base.Symbol)
	w.number("baseAssetPrecision", int64(m.base.Decimals))
	w.text("quoteAsset", m.quote.Symbol)
	w.number("quotePrecision", int64(m.quote.Decimals))
	w.number("quoteAssetPrecision", int64(m.quote.Decimals))
	w.number("baseCommissionPrecision", int64(m.base.Decimals))
	w.number("quoteCommissionPrecision", int64(m.quote.Decimals))
	w.array("orderTypes")
	for _, t := range [...]string{"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"} {
		w.itemText(t)
	}
	w.close(']')
	for _, can := range [...]string{"icebergAllowed", "quoteOrderQtyMarketAllowed", "cancelReplaceAllowed", "amendAllowed", "isSpotTradingAllowed"} {
		w.flag(can, true)
	}
	for _, cannot := range [...]string{"ocoAllowed", "otoAllowed", "allowTrailingStop", "pegInstructionsAllowed", "isMarginTradingAllowed"} {
		w.flag(cannot, false)
	}
	w.filters(m)
	w.array("permissions")
	w.close(']')
	w.array("permissionSets")
	w.open('[')
	w.itemText("SPOT")
	w.close(']')
	w.close(']')
	w.text("defaultSelfTradePreventionMode", "EXPIRE_MAKER")
	w.array("allowedSelfTradePreventionModes")
	for _, mode := range [...]string{"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"} {
		w.itemText(mode)
	}
	w.close(']')
	w.close('}')
}

// filters writes what is true of the market and nothing else: there is no PERCENT_PRICE, since the band is fixed.
func (w *writer) filters(m *market) {
	begin := func(kind string) { w.open('{'); w.text("filterType", kind) }
	w.array("filters")
	begin("PRICE_FILTER")
	w.scaled("minPrice", max(m.PriceMin, 1), m.tick())
	highest, largest := int64(priceMax), int64(qtyMax)
	if m.PriceMax > 0 {
		highest = min(highest, m.PriceMax)
	}
	if m.QtyMax > 0 {
		largest = min(largest, m.QtyMax)
	}
	w.scaled("maxPrice", highest, m.tick())
	w.scaled("tickSize", 1, m.tick())
	w.close('}')
	for _, kind := range [...]string{"LOT_SIZE", "MARKET_LOT_SIZE"} {
		begin(kind)
		w.scaled("minQty", max(m.QtyMin, 1), m.lot())
		w.scaled("maxQty", largest, m.lot())
		w.scaled("stepSize", 1, m.lot())
		w.close('}')
	}
	begin("NOTIONAL")
	w.scaled("minNotional", m.NotionalMin, m.notional())
	w.flag("applyMinToMarket", false) // only to those by quoteOrderQty
	w.scaled("maxNotional", math.MaxInt64, m.notional())
	w.flag("applyMaxToMarket", true)
	w.number("avgPriceMins", 0)
	w.close('}')
	begin("MAX_NUM_ORDERS")
	w.number("maxNumOrders", int64(cmp.Or(m.OrdersMax, ownOrders)))
	w.close('}')
	w.close(']')
}

func (s *Server) depth(c *call) *problem {
	m := c.market(pSymbol)
	n := c.q.limit(100, 5000)
	if c.q.has(pSymbolStatus) {
		c.q.fail(notRequired(pSymbolStatus))
	}
	if c.q.fault != nil {
		return c.q.fault
	}
	b := s.books.of(m.ID)
	known, whole := b.depth(&c.w, m, n)
	switch {
	case whole:
		return nil
	case !known:
		return notReady()
	}
	answer, p := s.ask(c, exchange.Question{After: b.number(), Depth: &exchange.DepthQuestion{Market: m.ID, Limit: n}})
	if p != nil {
		return p
	}
	c.w.open('{')
	c.w.number("lastUpdateId", int64(answer.Seq))
	for _, side := range [...]struct {
		name   string
		levels []exchange.LevelRecord
	}{{"bids", answer.Bids}, {"asks", answer.Asks}} {
		c.w.array(side.name)
		for _, l := range side.levels {
			c.w.level(l.Price, l.Qty, m)
		}
		c.w.close(']')
	}
	c.w.close('}')
	return nil
}

// trades, historicalTrades and aggTrades tell the same trades: nothing is aggregated here, each trade is its own.
func (s *Server) trades(c *call) *problem {
	m := c.market(pSymbol)
	n := c.q.limit(500, 1000)
	return s.tradeList(c, m, exchange.TradesQuestion{Limit: n}, (*writer).trade)
}

func (s *Server) historicalTrades(c *call) *problem {
	m := c.market(pSymbol)
	n := c.q.limit(500, 1000)
	from := exchange.TradeID(c.q.whole(pFromID, 0, 0, 1<<62))
	return s.tradeList(c, m, exchange.TradesQuestion{Limit: n, From: from}, (*writer).trade)
}

func (s *Server) aggTrades(c *call) *problem {
	m := c.market(pSymbol)
	q := exchange.TradesQuestion{Limit: c.q.limit(500, 1000), From: exchange.TradeID(c.q.whole(pFromID, 0, 0, 1<<62))}
	q.Since, q.Until = c.q.times()
	if q.From != 0 && (q.Since != 0 || q.Until != 0) {
		c.q.fail(refuse(-1128, "Combination of optional parameters invalid."))
	}
	return s.tradeList(c, m, q, (*writer).aggTrade)
}

func (s *Server) tradeList(c *call, m *market, q exchange.TradesQuestion, write func(*writer, *market, *exchange.TradeView)) *problem {
	if c.q.fault != nil {
		return c.q.fault
	}
	q.Market = m.ID
	answer, p := s.ask(c, exchange.Question{Trades: &q})
	if p != nil {
		return p
	}
	c.w.open('[')
	for i := range answer.Trades {
		c.w.open('{')
		write(&c.w, m, &answer.Trades[i])
		c.w.close('}')
	}
	c.w.close(']')
	return nil
}

func (w *writer) trade(m *market, t *exchange.TradeView) {
	worth, _ := product(t.Price, t.Qty)
	w.number("id", int64(t.Trade))
	w.scaled("price", t.Price, m.tick())
	w.scaled("qty", t.Qty, m.lot())
	w.scaled("quoteQty", worth, m.notional())
	w.number("time", int64(t.At))
	w.flag("isBuyerMaker", t.TakerSide == exchange.Sell)
	w.flag("isBestMatch", true)
}

func (w *writer) aggTrade(m *market, t *exchange.TradeView) {
	w.number("a", int64(t.Trade))
	w.scaled("p", t.Price, m.tick())
	w.scaled("q", t.Qty, m.lot())
	w.number("f", int64(t.Trade))
	w.number("l", int64(t.Trade))
	w.number("T", int64(t.At))
	w.flag("m", t.TakerSide == exchange.Sell)
	w.flag("M", true)
}

// interval is one of Binance's, by its name. A calendar month has no length.
type interval struct {
	name   string
	millis exchange.Millis
}

// intervals are all of Binance's.
var intervals = [...]interval{{"1s", 1000}, {"1m", 60_000}, {"3m", 180_000}, {"5m", 300_000}, {"15m", 900_000}, {"30m", 1_800_000}, {"1h", 3_600_000}, {"2h", 7_200_000}, {"4h", 14_400_000},
	{"6h", 21_600_000}, {"8h", 28_800_000}, {"12h", 43_200_000}, {"1d", 86_400_000}, {"3d", 259_200_000}, {"1w", 604_800_000}, {"1M", 0}}

func intervalOf(name string) (interval, bool) {
	for _, i := range intervals {
		if i.name == name {
			return i, true
		}
	}
	return interval{}, false
}

func (i interval) question(m exchange.Market) exchange.CandlesQuestion {
	return exchange.CandlesQuestion{Market: m, Interval: i.millis, Month: i.millis == 0}
}

// end is when the candle ends that begins at a time.
func (i interval) end(open exchange.Millis) exchange.Millis {
	if i.millis == 0 {
		return exchange.Millis(time.UnixMilli(int64(open)).UTC().AddDate(0, 1, 0).UnixMilli())
	}
	return open + i.millis
}

// lately is a time in or before the candle that ended last.
func (i interval) lately(now exchange.Millis) exchange.Millis {
	if i.millis == 0 {
		t := time.UnixMilli(int64(now)).UTC()
		return exchange.Millis(time.Date(t.Year(), t.Month()-1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	}
	return now - now%i.millis - i.millis
}

func (s *Server) klines(c *call) *problem {
	m := c.market(pSymbol)
	interval, known := intervalOf(c.q.must(pInterval))
	if !known {
		c.q.fail(refuse(-1120, "Invalid interval."))
	}
	if c.q.has(pTimeZone) && c.q.text[pTimeZone] != "0" && c.q.text[pTimeZone] != "0:00" && c.q.text[pTimeZone] != "00:00" {
		c.q.fail(invalid(pTimeZone))
	}
	limit := c.q.limit(500, klinesMax)
	since, until := c.q.times()
	if c.q.fault != nil {
		return c.q.fault
	}
	question := interval.question(m.ID)
	question.Since, question.Until, question.Limit = since, until, limit
	answer, p := s.ask(c, exchange.Question{Candles: &question})
	if p != nil {
		return p
	}
	all := filled(answer.Candles, interval, closing(c.now, &question))
	if since == 0 {
		all = all[max(0, len(all)-limit):] // the newest
	}
	c.w.open('[')
	for i := range all[:min(len(all), limit)] {
		c.w.candle(&all[i], m, interval)
	}
	c.w.close(']')
	return nil
}

// closing is the time before which the candles of an answer begin.
func closing(now exchange.Millis, q *exchange.CandlesQuestion) exchange.Millis {
	to := now + 1
	if q.Until > 0 {
		to = min(to, q.Until+1)
	}
	if q.Since > 0 && q.Interval > 0 {
		to = min(to, q.Since+exchange.Millis(q.Limit)*q.Interval)
	}
	return to
}

// filled puts in the candles in which nothing was traded, behind the first one: as Binance does, with the price at which
// the one before ended.
func filled(candles []exchange.Candle, i interval, to exchange.Millis) []exchange.Candle {
	var all []exchange.Candle
	for n := range candles {
		all = append(all, candles[n])
		next := to
		if n+1 < len(candles) {
			next = candles[n+1].Open
		}
		last := candles[n].Prices[3]
		for at, most := i.end(candles[n].Open), 2*klinesMax; at < next && most > 0; at, most = i.end(at), most-1 {
			all = append(all, exchange.Candle{Open: at, Prices: [4]int64{last, last, last, last}})
		}
	}
	return all
}

// klinesMax is how many candles one answer holds.
const klinesMax = 1000

func (w *writer) candle(k *exchange.Candle, m *market, i interval) {
	w.open('[')
	w.itemNumber(int64(k.Open))
	for _, price := range k.Prices {
		w.itemScaled(price, m.tick())
	}
	// Prices are first, highest, lowest, last: Binance's order.
	w.itemScaled(k.Volume, m.lot())
	w.itemNumber(int64(i.end(k.Open)) - 1)
	w.itemUnits(k.Quote, m.notional())
	w.itemNumber(k.Trades)
	w.itemScaled(k.BuyLots, m.lot())
	w.itemUnits(k.BuyQuote, m.notional())
	w.itemText("0")
	w.close(']')
}

// ownOrders is how many open orders an account may have in a market of which the catalogue says nothing else.
const ownOrders = 200

const avgMins = 5

func (s *Server) avgPrice(c *call) *problem {
	m := c.market(pSymbol)
	if m == nil {
		return c.q.fault
	}
	since := c.now/60_000*60_000 - (avgMins-1)*60_000
	answer, p := s.ask(c, exchange.Question{Candles: &exchange.CandlesQuestion{Market: m.ID, Interval: 60_000, Since: since, Limit: avgMins + 1}})
	if p != nil {
		return p
	}
	var lots int64
	var worth money.U128
	var last int64
	for i := range answer.Candles {
		k := &answer.Candles[i]
		lots += k.Volume
		worth, _ = worth.Add(k.Quote)
		last = k.Prices[3]
	}
	c.w.open('{')
	c.w.number("mins", avgMins)
	if lots > 0 {
		c.w.average("price", worth, lots, m)
	} else {
		c.w.scaled("price", last, m.tick())
	}
	c.w.number("closeTime", int64(c.now))
	c.w.close('}')
	return nil
}

// average writes worth / lots, a price, with eight decimals or more, rounded down.
func (w *writer) average(n string, worth money.U128, lots int64, m *market) {
	extra := max(shownMin-m.tick(), 0)
	w.units(n, ratio(worth, extra, uint64(lots)), m.tick()+extra)
}
