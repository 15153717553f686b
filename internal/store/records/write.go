package records

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// batch is what the events of one transaction leave behind: of an order and of a balance only the last word counts. It
// is used again for the next one.
type batch struct {
	seal     sealer
	charts   map[chart]*candle
	calls    []call
	changed  []orderRow
	places   map[orderKey]int // in changed
	balances map[balanceKey]exchange.BalanceRecord
	dirty    map[chartRow]*candle

	orders, trades, purses, candles rows
}

func newBatch(s sealer) *batch {
	return &batch{seal: s, places: map[orderKey]int{}, balances: map[balanceKey]exchange.BalanceRecord{}, dirty: map[chartRow]*candle{},
		orders: ordersRows(), trades: tradesRows(), purses: balancesRows(), candles: candlesRows()}
}

// begin forgets the transaction before.
func (b *batch) begin(charts map[chart]*candle) {
	b.charts, b.calls, b.changed = charts, b.calls[:0], b.changed[:0]
	clear(b.places)
	clear(b.balances)
	clear(b.dirty)
	for _, r := range []*rows{&b.orders, &b.trades, &b.purses, &b.candles} {
		r.values = r.values[:0]
	}
}

type orderKey struct {
	market exchange.Market
	order  exchange.OrderID
}

type orderRow struct {
	record  exchange.OrderRecord
	changed exchange.Millis
}

type balanceKey struct {
	account exchange.Account
	asset   exchange.Asset
}

func (b *batch) add(query string, args ...any) {
	b.calls = append(b.calls, call{query: query, args: args})
}

// put writes what was told in one transaction, together with the sequence number. After an error nothing was written,
// or, when the connection broke, perhaps everything: the next one looks first.
func (r *Records) put(ctx context.Context, told gathered) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.learn(ctx); err != nil {
		return err
	}
	last := told.pieces[len(told.pieces)-1]
	if last.seq <= r.seq {
		return nil // told again
	}
	b := r.batch
	b.begin(r.charts)
	b.add(updateProgress, int64(last.seq), int64(last.at), int64(r.seq))
	r.known = false // until the tables have it: the charts in memory move first
	known, rest := r.seq, told.events
	for _, p := range told.pieces {
		size := p.end - (len(told.events) - len(rest))
		if err := b.takeAll(rest[:size], known); err != nil {
			return fmt.Errorf("records: events up to command %d: %w", p.seq, err)
		}
		known, rest = max(known, p.seq), rest[size:]
	}
	if err := r.db.commit(ctx, b.calls, b.finish()...); err != nil {
		return err
	}
	r.seq, r.known = last.seq, true
	r.written.Store(last.seq)
	return nil
}

// takeAll takes the events of commands beyond those that are known: the follower may give more than was asked for.
func (b *batch) takeAll(events []byte, known uint64) error {
	var e exchange.Event
	for len(events) > 0 {
		rest, err := e.Read(events)
		if err != nil {
			return err
		}
		if e.Seq > known {
			if err := b.take(&e); err != nil {
				return fmt.Errorf("command %d: %w", e.Seq, err)
			}
		}
		events = rest
	}
	return nil
}

// learn reads where the tables are, after opening and after every failure.
func (r *Records) learn(ctx context.Context) error {
	if r.known {
		return nil
	}
	clear(r.charts)
	err := r.db.view(ctx, func(tx *sql.Tx) (err error) {
		if r.seq, _, err = progress(ctx, tx); err != nil {
			return err
		}
		return readCharts(ctx, tx, r.charts)
	})
	if r.known = err == nil; r.known {
		r.written.Store(r.seq)
	}
	return err
}

func (b *batch) take(e *exchange.Event) error {
	switch e.Kind {
	case exchange.OrderChanged:
		key := orderKey{e.Order.Market, e.Order.Order}
		place, found := b.places[key]
		if !found {
			place = len(b.changed)
			b.places[key], b.changed = place, append(b.changed, orderRow{})
		}
		b.changed[place] = orderRow{e.Order, e.At}
	case exchange.Traded:
		return b.trade(&e.Trade, e.At)
	case exchange.BalanceChanged:
		b.balances[balanceKey{e.Balance.Account, e.Balance.Asset}] = e.Balance
	case exchange.RecordChanged:
		return b.record(e)
	}
	return nil // levels are what is now, and the engine answers for that
}

func (b *batch) trade(t *exchange.TradeRecord, at exchange.Millis) error {
	b.trades.add(number(t.Market), number(t.Trade), number(t.Price), number(t.Qty), number(t.TakerSide), number(at),
		number(t.Taker.Order), number(t.Taker.Account), text(amount(t.Taker.Fee)), number(t.Taker.FeeAsset),
		number(t.Maker.Order), number(t.Maker.Account), text(amount(t.Maker.Fee)), number(t.Maker.FeeAsset))
	for _, span := range spans() {
		c := b.charts[chart{t.Market, span}]
		if start := at - at%span; c == nil || c.Open != start {
			c = &candle{Candle: exchange.Candle{Open: start}}
			b.charts[chart{t.Market, span}] = c
		}
		if !c.add(t) {
			return errors.New("a candle's volume does not fit")
		}
		b.dirty[chartRow{chart{t.Market, span}, c.Open}] = c
	}
	return nil
}

// finish adds the last words, in the order of their keys, which the tables like best.
func (b *batch) finish() []rows {
	slices.SortFunc(b.changed, func(x, y orderRow) int {
		return cmp.Or(cmp.Compare(x.record.Market, y.record.Market), cmp.Compare(x.record.Order, y.record.Order))
	})
	for i := range b.changed {
		o := &b.changed[i].record
		b.orders.add(number(o.Market), number(o.Order), number(o.Account), number(o.Side), number(o.Type), number(o.Force), number(o.SelfTrade), number(o.Status),
			number(o.Price), number(o.Stop), number(o.Qty), number(o.Show), number(o.QuoteMax), number(o.Executed), number(o.Quote), number(o.Expire), number(o.Created),
			number(b.changed[i].changed), text(o.Client.String()))
	}
	for _, key := range slices.SortedFunc(maps.Keys(b.balances), func(x, y balanceKey) int {
		return cmp.Or(cmp.Compare(x.account, y.account), cmp.Compare(x.asset, y.asset))
	}) {
		balance := b.balances[key]
		b.purses.add(number(key.account), number(key.asset), text(amount(balance.Available)), text(amount(balance.Held)))
	}
	for _, row := range slices.SortedFunc(maps.Keys(b.dirty), func(x, y chartRow) int {
		return cmp.Or(cmp.Compare(x.market, y.market), cmp.Compare(x.span, y.span), cmp.Compare(x.start, y.start))
	}) {
		c := b.dirty[row]
		b.candles.add(number(row.market), number(row.span), number(row.start), number(c.Prices[0]), number(c.Prices[1]), number(c.Prices[2]), number(c.Prices[3]),
			number(c.Volume), text(amount(c.Quote)), number(c.Trades), number(c.BuyLots), text(amount(c.BuyQuote)), number(c.firstTrade), number(c.lastTrade))
	}
	return []rows{b.orders, b.trades, b.purses, b.candles}
}

// amount writes an amount as exactly 39 digits, so that text sorts as the number does.
func amount(n money.U128) string {
	const zeros = "000000000000000000000000000000000000000"
	digits := n.String()
	return zeros[len(digits):] + digits
}

// amountInto reads an amount that either database gives.
type amountInto struct{ to *money.U128 }

// Scan reads digits.
func (a amountInto) Scan(value any) error {
	var text string
	switch v := value.(type) {
	case string:
		text = v
	case []byte:
		text = string(v)
	default:
		return fmt.Errorf("an amount of type %T", value)
	}
	n, err := money.ParseU128(text)
	if err != nil {
		return fmt.Errorf("amount %q: %w", text, err)
	}
	*a.to = n
	return nil
}
