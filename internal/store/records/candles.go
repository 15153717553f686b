package records

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

const (
	secondSpan = exchange.Millis(1000)
	minuteSpan = 60 * secondSpan
	hourSpan   = 60 * minuteSpan
	daySpan    = 24 * hourSpan
)

// spans are the lengths of the candles that are kept. Every other one is made of the longest that divides it.
func spans() [4]exchange.Millis {
	return [...]exchange.Millis{secondSpan, minuteSpan, hourSpan, daySpan}
}

// chart is one market in one length of candle.
type chart struct {
	market exchange.Market
	span   exchange.Millis
}

type chartRow struct {
	chart
	start exchange.Millis
}

// candle also knows the first and the last of its trades, so that trades are found by time.
type candle struct {
	exchange.Candle
	firstTrade, lastTrade exchange.TradeID
}

// add counts a trade and reports whether the sums still fit.
func (c *candle) add(t *exchange.TradeRecord) bool {
	quote, ok := money.U128{Lo: uint64(t.Price)}.Mul64(uint64(t.Qty))
	one := candle{firstTrade: t.Trade, lastTrade: t.Trade, Candle: exchange.Candle{Open: c.Open, Prices: [4]int64{t.Price, t.Price, t.Price, t.Price}, Volume: t.Qty, Quote: quote, Trades: 1}}
	if t.TakerSide == exchange.Buy {
		one.BuyLots, one.BuyQuote = t.Qty, quote
	}
	return ok && c.join(&one)
}

// join adds the candle that follows and reports whether the sums still fit.
func (c *candle) join(next *candle) bool {
	if c.Trades == 0 {
		c.Prices, c.firstTrade = next.Prices, next.firstTrade
	}
	c.Prices[1], c.Prices[2], c.Prices[3] = max(c.Prices[1], next.Prices[1]), min(c.Prices[2], next.Prices[2]), next.Prices[3]
	c.lastTrade = next.lastTrade
	var ok1, ok2 bool
	c.Quote, ok1 = c.Quote.Add(next.Quote)
	c.BuyQuote, ok2 = c.BuyQuote.Add(next.BuyQuote)
	c.Volume, c.BuyLots, c.Trades = c.Volume+next.Volume, c.BuyLots+next.BuyLots, c.Trades+next.Trades
	return ok1 && ok2 && c.Volume >= next.Volume
}

const (
	newestCandles = `SELECT c.market, c.span, c.start, c.first, c.high, c.low, c.last, c.volume, c.quote, c.trades, c.buy_lots, c.buy_quote, c.first_trade, c.last_trade
	FROM candles c JOIN (SELECT market, span, max(start) AS start FROM candles GROUP BY market, span) n ON c.market = n.market AND c.span = n.span AND c.start = n.start`
	someCandles = `SELECT market, span, start, first, high, low, last, volume, quote, trades, buy_lots, buy_quote, first_trade, last_trade FROM candles
	WHERE market = $1 AND span = $2 AND start >= $3 AND start <= $4 ORDER BY start`
)

func scanCandle(rows *sql.Rows) (row chartRow, c candle, err error) {
	err = rows.Scan(&row.market, &row.span, &row.start, &c.Prices[0], &c.Prices[1], &c.Prices[2], &c.Prices[3], &c.Volume, amountInto{&c.Quote}, &c.Trades,
		&c.BuyLots, amountInto{&c.BuyQuote}, &c.firstTrade, &c.lastTrade)
	c.Open = row.start
	return row, c, err
}

func readCharts(ctx context.Context, tx *sql.Tx, into map[chart]*candle) error {
	rows, err := tx.QueryContext(ctx, newestCandles)
	return each(rows, err, func() error {
		row, c, err := scanCandle(rows)
		into[row.chart] = &c
		return err
	})
}

// each calls read for every row.
func each(rows *sql.Rows, err error, read func() error) error {
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(); err != nil {
			return fmt.Errorf("records: %w", err)
		}
	}
	return rows.Err()
}

const (
	candlesMax = 1500
	timeMax    = exchange.Millis(1 << 53) // beyond it a calendar has no months
	// mondayShift: weeks begin on Monday, and 1970 began on a Thursday.
	weekSpan    = 7 * daySpan
	mondayShift = 4 * daySpan
)

// months is the interval of candles that are calendar months.
const months = exchange.Millis(-1)

// opening is when the candle of a time begins.
func opening(at, interval exchange.Millis) exchange.Millis {
	if interval == months {
		t := time.UnixMilli(int64(at)).UTC()
		return exchange.Millis(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	}
	shift := exchange.Millis(0)
	if interval%weekSpan == 0 {
		shift = mondayShift
	}
	if at < shift {
		return 0
	}
	return (at-shift)/interval*interval + shift
}

// further is when the candle begins that comes so many after the one that begins at a time; before it, when n is negative.
func further(start, interval exchange.Millis, n int) exchange.Millis {
	if interval == months {
		return exchange.Millis(time.UnixMilli(int64(start)).UTC().AddDate(0, n, 0).UnixMilli())
	}
	return start + exchange.Millis(n)*interval
}

// candles answers with candles in which something was traded, oldest first: from Since on, or else the newest.
func (a *answer) candles(q *exchange.CandlesQuestion) error {
	span := exchange.Millis(0)
	for _, s := range spans() {
		if q.Interval > 0 && q.Interval%s == 0 && (s > secondSpan || q.Interval < minuteSpan) {
			span = s
		}
	}
	interval, limit := q.Interval, int(limitOf(q.Limit, candlesMax))
	if q.Month && interval == 0 {
		interval, span = months, daySpan
	}
	if span == 0 || q.Month && interval != months || interval > 366*daySpan || q.Since < 0 || q.Until < 0 || max(q.Since, q.Until) > timeMax {
		a.Code = exchange.Malformed
		return nil
	}
	until := a.At
	if q.Until != 0 {
		until = min(until, q.Until)
	}
	from := opening(q.Since, interval)
	if from < q.Since {
		from = further(from, interval, 1) // candles that begin in the range
	}
	if q.Since == 0 {
		from = max(0, further(opening(until, interval), interval, 1-limit))
	}
	last := further(opening(until, interval), interval, 1) - 1
	if q.Since != 0 {
		last = min(last, further(from, interval, limit)-1)
	}
	rows, err := a.tx.QueryContext(a.ctx, someCandles, int64(q.Market), int64(span), int64(from), int64(last))
	return each(rows, err, func() error {
		row, c, err := scanCandle(rows)
		if err != nil {
			return err
		}
		start := opening(row.start, interval)
		n := len(a.Candles)
		if n == 0 || a.Candles[n-1].Open != start {
			c.Open = start
			a.Candles = append(a.Candles, c.Candle)
			return nil
		}
		sum := candle{Candle: a.Candles[n-1]}
		if !sum.join(&c) {
			return fmt.Errorf("a candle's volume does not fit")
		}
		a.Candles[n-1] = sum.Candle
		return nil
	})
}

// tickers answers with the last 24 hours, to the minute, of one market or of all. What is offered now is the engine's to
// say.
func (a *answer) tickers(q *exchange.TickersQuestion) error {
	markets, err := a.markets()
	if err != nil {
		return err
	}
	for _, m := range markets {
		if q.Market != 0 && q.Market != m.ID {
			continue
		}
		day := candle{Candle: exchange.Candle{Open: max(0, a.At-a.At%minuteSpan-daySpan+minuteSpan)}}
		rows, err := a.tx.QueryContext(a.ctx, someCandles, int64(m.ID), int64(minuteSpan), int64(day.Open), int64(a.At))
		err = each(rows, err, func() error {
			_, c, err := scanCandle(rows)
			if err == nil && !day.join(&c) {
				err = fmt.Errorf("a day's volume does not fit")
			}
			return err
		})
		if err != nil {
			return err
		}
		a.Tickers = append(a.Tickers, exchange.Ticker{Market: m.ID, Day: day.Candle, First: day.firstTrade, Last: day.lastTrade, At: a.At})
	}
	if len(a.Tickers) == 0 && q.Market != 0 {
		a.Code = exchange.UnknownMarket
	}
	return nil
}
