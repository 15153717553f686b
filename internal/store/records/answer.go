package records

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
)

// answer is an answer that is being made, from one unchanging state of the tables.
type answer struct {
	exchange.Answer
	ctx  context.Context
	tx   *sql.Tx
	seal sealer
}

const (
	ordersMax    = 1000
	tradesMax    = 1000
	historyMax   = 1000
	offsetMax    = 1_000_000
	directoryMax = 10_000
)

// limitOf is how many rows an answer has at most.
func limitOf(asked, most int) int {
	if asked <= 0 {
		return min(500, most)
	}
	return min(asked, most)
}

// Answer answers a question about history, and those about what is now as the records know it. It waits a short while
// for the command that the question names, and is Busy when the records do not get there. Questions that only the
// engine can answer, about depth and keys' secrets, are NotAllowed.
func (r *Records) Answer(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	if q.After > 0 {
		there, err := r.await(ctx, q.After)
		if err != nil || !there {
			return exchange.Answer{Code: exchange.Busy}, err
		}
	}
	if !everybodys(q) {
		r.settle(ctx)
	}
	a := answer{ctx: ctx, seal: r.seal}
	err := r.db.view(ctx, func(tx *sql.Tx) (err error) {
		a.tx = tx
		if a.Seq, a.At, err = progress(ctx, tx); err != nil {
			return err
		}
		return a.answer(q)
	})
	return a.Answer, err
}

func (a *answer) answer(q exchange.Question) (err error) {
	switch {
	case q.Catalogue != nil:
		if a.Markets, err = a.markets(); err == nil {
			a.Assets, err = a.assets()
		}
	case q.Account != nil:
		err = a.account(q.Account.Account)
	case q.Orders != nil:
		err = a.orders(q.Orders)
	case q.Trades != nil:
		err = a.trades(q.Trades)
	case q.Deposits != nil:
		err = a.deposits(q.Deposits)
	case q.Withdraws != nil:
		err = a.withdrawals(q.Withdraws)
	case q.Addresses != nil:
		err = a.addresses(q.Addresses)
	case q.Candles != nil:
		err = a.candles(q.Candles)
	case q.Tickers != nil:
		err = a.tickers(q.Tickers)
	case q.Accounts != nil:
		err = a.directory(q.Accounts.Account)
	case q.Tickets != nil:
		err = a.tickets(q.Tickets)
	case q.Unbans != nil:
		err = a.unbans(q.Unbans)
	case q.Status != nil:
		a.Status = &exchange.EngineStatus{Seq: a.Seq, Records: a.Seq}
	default:
		a.Code = exchange.NotAllowed
	}
	return err
}

const (
	accountsFrom = `SELECT id, name, state, maker_ppm, taker_ppm, totp, created, own FROM accounts WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3`
	balancesOf   = `SELECT account, asset, available, held FROM balances WHERE account = $1 ORDER BY asset`
	keysOf       = `SELECT name, account, scopes, kind, allowed, label, created, usable, revoked FROM api_keys WHERE account = $1 ORDER BY created, name`
	bookOf       = `SELECT account, asset, tag, address, label, added, usable FROM book WHERE account = $1 AND removed = 0 AND (asset = $2 OR $2 = 0) ORDER BY added, asset, tag`
)

func (a *answer) assets() (out []exchange.AssetInfo, err error) {
	rows, err := a.tx.QueryContext(a.ctx, allAssets)
	err = each(rows, err, func() error {
		var i exchange.AssetInfo
		err := rows.Scan(&i.ID, &i.Symbol, &i.Decimals, &i.Network, amountInto{&i.WithdrawMin}, amountInto{&i.WithdrawFee}, amountInto{&i.WithdrawDayMax})
		out = append(out, i)
		return err
	})
	return out, err
}

func (a *answer) markets() (out []exchange.MarketInfo, err error) {
	rows, err := a.tx.QueryContext(a.ctx, allMarkets)
	err = each(rows, err, func() error {
		var m exchange.MarketInfo
		err := rows.Scan(&m.ID, &m.Symbol, &m.Base, &m.Quote, &m.TickDecimals, &m.LotDecimals, &m.PriceMin, &m.PriceMax, &m.QtyMin, &m.QtyMax, &m.NotionalMin, &m.OrdersMax, &m.State)
		out = append(out, m)
		return err
	})
	return out, err
}

// accounts reads accounts of a range of numbers, without their one-time-code secrets.
func (a *answer) accounts(from, to exchange.Account, limit int) (out []exchange.AccountInfo, err error) {
	rows, err := a.tx.QueryContext(a.ctx, accountsFrom, int64(from), int64(to), limit)
	err = each(rows, err, func() error {
		var i exchange.AccountInfo
		var name, totp []byte
		var own int64
		if err := rows.Scan(&i.ID, &name, &i.State, &i.MakerPPM, &i.TakerPPM, &totp, &i.Created, &own); err != nil {
			return err
		}
		plain, err := a.seal.open(field("accounts.name", uint64(i.ID)), name)
		i.Name, i.Own = string(plain), own != 0
		out = append(out, i)
		return err
	})
	return out, err
}

func (a *answer) account(id exchange.Account) error {
	found, err := a.accounts(id, id, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		a.Code = exchange.UnknownAccount
		return nil
	}
	a.Account = &found[0]
	rows, err := a.tx.QueryContext(a.ctx, balancesOf, int64(id))
	return each(rows, err, func() error {
		var b exchange.BalanceRecord
		err := rows.Scan(&b.Account, &b.Asset, amountInto{&b.Available}, amountInto{&b.Held})
		a.Balances = append(a.Balances, b)
		return err
	})
}

// directory answers an operator: all accounts, or one with its keys and address book.
func (a *answer) directory(id exchange.Account) (err error) {
	if id == 0 {
		a.Accounts, err = a.accounts(0, 1<<62, directoryMax)
		return err
	}
	if a.Accounts, err = a.accounts(id, id, 1); err != nil {
		return err
	}
	if len(a.Accounts) == 0 {
		a.Code = exchange.UnknownAccount
		return nil
	}
	rows, err := a.tx.QueryContext(a.ctx, keysOf, int64(id))
	err = each(rows, err, func() error {
		var k exchange.KeyInfo
		var allowed, label []byte
		err := rows.Scan(&k.Key, &k.Account, &k.Scopes, &k.Kind, &allowed, &label, &k.Created, &k.Usable, &k.Revoked)
		if err == nil {
			allowed, err = a.seal.open(field("api_keys.allowed\x00"+k.Key), allowed)
		}
		if err == nil {
			k.Allowed, err = exchange.DecodeBody[[]string](allowed)
		}
		if err == nil {
			label, err = a.seal.open(field("api_keys.label\x00"+k.Key), label)
		}
		k.Label = string(label)
		a.Keys = append(a.Keys, k)
		return err
	})
	if err != nil {
		return err
	}
	return a.book(id, 0)
}

// book reads an account's withdrawal book.
func (a *answer) book(id exchange.Account, asset exchange.Asset) error {
	rows, err := a.tx.QueryContext(a.ctx, bookOf, int64(id), int64(asset))
	return each(rows, err, func() error {
		var i exchange.AddressInfo
		var tag, address, label []byte
		err := rows.Scan(&i.Account, &i.Asset, &tag, &address, &label, &i.Added, &i.Usable)
		if err == nil {
			address, err = a.seal.open(field("book.address\x00"+string(tag), uint64(i.Account), uint64(i.Asset)), address)
		}
		if err == nil {
			label, err = a.seal.open(field("book.label\x00"+string(tag), uint64(i.Account), uint64(i.Asset)), label)
		}
		i.Address, i.Label = string(address), string(label)
		a.Book = append(a.Book, i)
		return err
	})
}

const (
	depositColumns = `SELECT number, account, asset, amount, txid, output, address, height, at FROM deposits `
	depositsOf     = depositColumns + `WHERE account = $1 AND (asset = $2 OR $2 = 0) AND at >= $3 AND at <= $4 ORDER BY number DESC LIMIT $5 OFFSET $6`
	depositsOfAll  = depositColumns + `WHERE (asset = $1 OR $1 = 0) AND at >= $2 AND at <= $3 ORDER BY number DESC LIMIT $4 OFFSET $5`
	depositNumber  = depositColumns + `WHERE number = $1`
	depositOutputs = depositColumns + `WHERE output = $1 ORDER BY number DESC`

	withdrawalColumns = `SELECT number, account, asset, amount, fee, address, client, state, txid, reason, created, changed FROM withdrawals `
	withdrawalNumber  = withdrawalColumns + `WHERE number = $1`
	withdrawalsOf     = withdrawalColumns + `WHERE account = $1 AND (asset = $2 OR $2 = 0) AND created >= $3 AND created <= $4 AND (client = $5 OR $5 = '') ORDER BY number DESC LIMIT $6 OFFSET $7`
	ticketsOf         = `SELECT number, account, name, why, at FROM tickets
	WHERE (account = $1 OR $1 = 0) AND at >= $2 AND at <= $3 ORDER BY number DESC LIMIT $4 OFFSET $5`
	changesSince       = `SELECT serial, intent, at FROM changes WHERE at >= $1 AND at <= $2 ORDER BY serial DESC`
	depositAddressAt   = `SELECT asset, place, account, address, at FROM deposit_addresses WHERE asset = $1 AND place = $2`
	depositAddressesOf = `SELECT asset, place, account, address, at FROM deposit_addresses
	WHERE account = $1 AND (asset = $2 OR $2 = 0) AND at >= $3 AND at <= $4 ORDER BY at DESC, asset, place DESC LIMIT $5 OFFSET $6`
)

// bounds are the times, the limit and the offset of a question, as parameters.
func bounds(q *exchange.HistoryQuestion) (since, until int64, limit, offset int) {
	until = int64(q.Until)
	if until == 0 {
		until = 1<<63 - 1
	}
	return int64(q.Since), until, limitOf(q.Limit, historyMax), max(0, min(q.Offset, offsetMax))
}

func (a *answer) deposits(q *exchange.HistoryQuestion) error {
	rows, err := a.depositRows(q)
	return each(rows, err, func() error {
		var d exchange.DepositInfo
		var txid, address []byte
		err := rows.Scan(&d.Number, &d.Account, &d.Asset, amountInto{&d.Amount}, &txid, &d.Output, &address, &d.Height, &d.At)
		if err == nil {
			txid, err = a.seal.open(field("deposits.txid", d.Number), txid)
		}
		if err == nil {
			address, err = a.seal.open(field("deposits.address", d.Number), address)
		}
		d.TxID, d.Address = string(txid), string(address)
		if q.Output == "" || q.Output == fmt.Sprintf("%s:%d", d.TxID, d.Output) {
			a.Deposits = append(a.Deposits, d)
		}
		return err
	})
}

// depositRows finds the rows of a question. Transactions are sealed, so one that is asked for by its output is looked
// for among all that have the output's place.
func (a *answer) depositRows(q *exchange.HistoryQuestion) (*sql.Rows, error) {
	since, until, limit, offset := bounds(q)
	switch _, place, named := strings.Cut(q.Output, ":"); {
	case q.Number != 0:
		return a.tx.QueryContext(a.ctx, depositNumber, int64(q.Number))
	case named:
		n, err := strconv.ParseUint(place, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("records: output %q: %w", q.Output, err)
		}
		return a.tx.QueryContext(a.ctx, depositOutputs, int64(n))
	case q.Account == 0:
		return a.tx.QueryContext(a.ctx, depositsOfAll, int64(q.Asset), since, until, limit, offset)
	}
	return a.tx.QueryContext(a.ctx, depositsOf, int64(q.Account), int64(q.Asset), since, until, limit, offset)
}

func (a *answer) withdrawals(q *exchange.HistoryQuestion) error {
	since, until, limit, offset := bounds(q)
	rows, err := (*sql.Rows)(nil), error(nil)
	if q.Number != 0 {
		rows, err = a.tx.QueryContext(a.ctx, withdrawalNumber, int64(q.Number))
	} else {
		rows, err = a.tx.QueryContext(a.ctx, withdrawalsOf, int64(q.Account), int64(q.Asset), since, until, q.Client, limit, offset)
	}
	return each(rows, err, func() error {
		var w exchange.WithdrawalInfo
		var txid, address, reason []byte
		err := rows.Scan(&w.Number, &w.Account, &w.Asset, amountInto{&w.Amount}, amountInto{&w.Fee}, &address, &w.Client, &w.State, &txid, &reason, &w.Created, &w.Changed)
		if err == nil {
			txid, err = a.seal.open(field("withdrawals.txid", w.Number), txid)
		}
		if err == nil {
			address, err = a.seal.open(field("withdrawals.address", w.Number), address)
		}
		if err == nil {
			reason, err = a.seal.open(field("withdrawals.reason", w.Number), reason)
		}
		w.TxID, w.Address, w.Reason = string(txid), string(address), string(reason)
		a.Withdraws = append(a.Withdraws, w)
		return err
	})
}

// tickets answers what people have to look at, newest first.
func (a *answer) tickets(q *exchange.HistoryQuestion) error {
	since, until, limit, offset := bounds(q)
	rows, err := a.tx.QueryContext(a.ctx, ticketsOf, int64(q.Account), since, until, limit, offset)
	return each(rows, err, func() error {
		var t exchange.TicketInfo
		err := rows.Scan(&t.Number, &t.Account, &t.Key, &t.Why, &t.At)
		a.Tickets = append(a.Tickets, t)
		return err
	})
}

// unbans answers whom people forgave, newest first. Every change of the time is looked at, however many others lie
// between: limit and offset count unbans, because a change that was passed over would leave somebody banned whom two
// people forgave. Changes are made by people, so they are few.
func (a *answer) unbans(q *exchange.HistoryQuestion) error {
	since, until, limit, offset := bounds(q)
	rows, err := a.tx.QueryContext(a.ctx, changesSince, since, until)
	return each(rows, err, func() error {
		if len(a.Unbans) >= limit {
			return nil
		}
		var serial uint64
		var intent []byte
		var at exchange.Millis
		err := rows.Scan(&serial, &intent, &at)
		if err == nil {
			intent, err = a.seal.open(field("changes.intent", serial), intent)
		}
		if err != nil {
			return err
		}
		change, err := exchange.DecodeBody[exchange.ChangeIntent](intent)
		switch {
		case err != nil || change.Unban == "":
		case offset > 0:
			offset--
		default:
			a.Unbans = append(a.Unbans, exchange.UnbanInfo{Address: change.Unban, At: at})
		}
		return err
	})
}

// addresses answers with the account's deposit addresses, newest first, and its withdrawal book.
func (a *answer) addresses(q *exchange.HistoryQuestion) error {
	since, until, limit, offset := bounds(q)
	rows, err := (*sql.Rows)(nil), error(nil)
	if q.Number != 0 {
		rows, err = a.tx.QueryContext(a.ctx, depositAddressAt, int64(q.Asset), int64(q.Number-1))
	} else {
		rows, err = a.tx.QueryContext(a.ctx, depositAddressesOf, int64(q.Account), int64(q.Asset), since, until, limit, offset)
	}
	err = each(rows, err, func() error {
		var d exchange.DepositAddressInfo
		var address []byte
		err := rows.Scan(&d.Asset, &d.Index, &d.Account, &address, &d.At)
		if err == nil {
			address, err = a.seal.open(field("deposit_addresses.address", uint64(d.Asset), uint64(d.Index)), address)
		}
		d.Address = string(address)
		a.Addresses = append(a.Addresses, d)
		return err
	})
	if err != nil {
		return err
	}
	return a.book(q.Account, q.Asset)
}

const (
	orderColumns = `SELECT market, id, account, side, kind, force, self_trade, status, price, stop, qty, shown, quote_max, executed, quote, expire, created, changed, client FROM orders `
	orderByID    = orderColumns + `WHERE market = $1 AND id = $2 AND account = $3`
	orderByName  = orderColumns + `WHERE account = $1 AND market = $2 AND client = $3 AND client <> '' ORDER BY id DESC LIMIT 1`
	ordersOpen   = orderColumns + `WHERE account = $1 AND (market = $2 OR $2 = 0) AND status <= 1 ORDER BY market, id LIMIT $3`
	// Identities of a market rise with time, so the first order that is wanted also tells the time to begin at: the
	// index goes by time.
	ordersOldest = orderColumns + `WHERE account = $1 AND market = $2
	AND created >= CASE WHEN CAST($3 AS bigint) = 0 THEN $4 ELSE coalesce((SELECT o.created FROM orders o WHERE o.market = $2 AND o.id >= $3 ORDER BY o.id LIMIT 1), 9223372036854775807) END
	AND created >= $4 AND created <= $5 AND id >= $3 ORDER BY created, id LIMIT $6`
	ordersNewest = orderColumns + `WHERE account = $1 AND market = $2 AND created <= $3 ORDER BY created DESC, id DESC LIMIT $4`
)

func (a *answer) orders(q *exchange.OrdersQuestion) error {
	account, market, limit := int64(q.Account), int64(q.Market), limitOf(q.Limit, ordersMax)
	until := q.Until
	if until == 0 {
		until = 1<<63 - 1
	}
	var rows *sql.Rows
	var err error
	newest := false
	switch {
	case q.Open:
		rows, err = a.tx.QueryContext(a.ctx, ordersOpen, account, market, limit)
	case q.History && (q.Order != 0 || q.Since != 0):
		rows, err = a.tx.QueryContext(a.ctx, ordersOldest, account, market, int64(q.Order), int64(q.Since), int64(until), limit)
	case q.History:
		newest = true
		rows, err = a.tx.QueryContext(a.ctx, ordersNewest, account, market, int64(until), limit)
	case q.Order != 0:
		rows, err = a.tx.QueryContext(a.ctx, orderByID, market, int64(q.Order), account)
	default:
		rows, err = a.tx.QueryContext(a.ctx, orderByName, account, market, q.Client)
	}
	err = a.scanOrders(rows, err)
	if newest {
		slices.Reverse(a.Orders)
	}
	if !q.Open && !q.History && len(a.Orders) == 0 {
		a.Code = exchange.UnknownOrder
	}
	return err
}

func (a *answer) scanOrders(rows *sql.Rows, err error) error {
	return each(rows, err, func() error {
		var o exchange.OrderView
		err := rows.Scan(&o.Market, &o.Order, &o.Account, &o.Side, &o.Type, &o.Force, &o.SelfTrade, &o.Status, &o.Price, &o.Stop, &o.Qty, &o.Show, &o.QuoteMax,
			&o.Executed, &o.Quote, &o.Expire, &o.Created, &o.Changed, &o.Client)
		a.Orders = append(a.Orders, o)
		return err
	})
}
