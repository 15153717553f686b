package records

import (
	"database/sql"
	"errors"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
)

const (
	publicColumns = `SELECT id, price, qty, taker_side, at FROM trades `
	publicOldest  = publicColumns + `WHERE market = $1 AND id >= $2 AND id <= $3 AND at >= $4 AND at <= $5 ORDER BY id LIMIT $6`
	publicNewest  = publicColumns + `WHERE market = $1 AND id >= $2 AND id <= $3 AND at >= $4 AND at <= $5 ORDER BY id DESC LIMIT $6`

	// An account's trades are those in which it took and those in which it made; both, when it traded with itself.
	ownColumns = `SELECT id, price, qty, taker_side, at, own_order, maker, fee, fee_asset FROM (
	SELECT id, price, qty, taker_side, at, taker_order AS own_order, 0 AS maker, taker_fee AS fee, taker_asset AS fee_asset FROM trades
	WHERE taker_account = $1 AND market = $2 AND id >= $3 AND id <= $4 AND at >= $5 AND at <= $6 AND (taker_order = $7 OR $7 = 0)
	UNION ALL
	SELECT id, price, qty, taker_side, at, maker_order AS own_order, 1 AS maker, maker_fee AS fee, maker_asset AS fee_asset FROM trades
	WHERE maker_account = $1 AND market = $2 AND id >= $3 AND id <= $4 AND at >= $5 AND at <= $6 AND (maker_order = $7 OR $7 = 0)) AS own `
	ownOldest = ownColumns + `ORDER BY id, maker LIMIT $8`
	ownNewest = ownColumns + `ORDER BY id DESC, maker DESC LIMIT $8`

	// Trades are kept by number alone; candles say which numbers a time has.
	tradeFrom = `SELECT first_trade FROM candles WHERE market = $1 AND span = 60000 AND start >= $2 ORDER BY start LIMIT 1`
	tradeTo   = `SELECT last_trade FROM candles WHERE market = $1 AND span = 60000 AND start <= $2 ORDER BY start DESC LIMIT 1`
)

// trades answers with trades of a market, or of an account in it, oldest first; without a beginning the newest.
func (a *answer) trades(q *exchange.TradesQuestion) error {
	from, to, err := a.tradeRange(q)
	if err != nil {
		return err
	}
	until := q.Until
	if until == 0 {
		until = 1<<63 - 1
	}
	oldest, limit := q.From != 0 || q.Since != 0, limitOf(q.Limit, tradesMax)
	var rows *sql.Rows
	switch {
	case q.Account == 0 && oldest:
		rows, err = a.tx.QueryContext(a.ctx, publicOldest, int64(q.Market), from, to, int64(q.Since), int64(until), limit)
	case q.Account == 0:
		rows, err = a.tx.QueryContext(a.ctx, publicNewest, int64(q.Market), from, to, int64(q.Since), int64(until), limit)
	case oldest:
		rows, err = a.tx.QueryContext(a.ctx, ownOldest, int64(q.Account), int64(q.Market), from, to, int64(q.Since), int64(until), int64(q.Order), limit)
	default:
		rows, err = a.tx.QueryContext(a.ctx, ownNewest, int64(q.Account), int64(q.Market), from, to, int64(q.Since), int64(until), int64(q.Order), limit)
	}
	err = each(rows, err, func() error {
		t, err := scanTrade(rows, q)
		a.Trades = append(a.Trades, t)
		return err
	})
	if !oldest {
		slices.Reverse(a.Trades)
	}
	return err
}

func scanTrade(rows *sql.Rows, q *exchange.TradesQuestion) (exchange.TradeView, error) {
	t := exchange.TradeView{Market: q.Market}
	if q.Account == 0 {
		err := rows.Scan(&t.Trade, &t.Price, &t.Qty, &t.TakerSide, &t.At)
		return t, err
	}
	err := rows.Scan(&t.Trade, &t.Price, &t.Qty, &t.TakerSide, &t.At, &t.Order, &t.Maker, amountInto{&t.Fee}, &t.FeeAsset)
	t.Side = t.TakerSide
	if t.Maker {
		t.Side = exchange.Sell - t.TakerSide
	}
	return t, err
}

// tradeRange turns the times of a question into numbers of trades, so that no answer walks over what it does not want.
func (a *answer) tradeRange(q *exchange.TradesQuestion) (from, to int64, err error) {
	from, to = int64(q.From), 1<<63-1
	if q.Since > 0 {
		first := int64(0)
		if err := a.tx.QueryRowContext(a.ctx, tradeFrom, int64(q.Market), int64(q.Since-q.Since%minuteSpan)).Scan(&first); errors.Is(err, sql.ErrNoRows) {
			first = to // nothing was traded since
		} else if err != nil {
			return 0, 0, err
		}
		from = max(from, first)
	}
	if q.Until > 0 {
		if err := a.tx.QueryRowContext(a.ctx, tradeTo, int64(q.Market), int64(q.Until)).Scan(&to); errors.Is(err, sql.ErrNoRows) {
			to = 0
		} else if err != nil {
			return 0, 0, err
		}
	}
	return from, to, nil
}
