package records

// A table knows how all of it is read, in the order of its key, and how a row is put. kinds has a letter for every
// column: i a whole number, a an amount, t text, b bytes. The same statements serve both databases: parameters appear in
// the order of their numbers, which is what SQLite goes by.
type table struct {
	name, kinds      string
	all, put, delete string
}

// tables are all projections, in the order in which they are hashed and backed up.
func tables() []table {
	return []table{
		{"assets", "ititaaa", allAssets, putAsset, deleteAssets},
		{"markets", "itiiiiiiiiiii", allMarkets, putMarket, deleteMarkets},
		{"accounts", "ibiiibii", allAccounts, putAccount, deleteAccounts},
		{"api_keys", "tiitbbbiii", allKeys, putKey, deleteKeys},
		{"book", "iibbbiii", allBook, putBook, deleteBook},
		{"deposit_addresses", "iiibi", allDepositAddresses, putDepositAddress, deleteDepositAddresses},
		{"deposits", "iiiabibii", allDeposits, putDeposit, deleteDeposits},
		{"withdrawals", "iiiaabtibbii", allWithdrawals, putWithdrawal, deleteWithdrawals},
		{"changes", "ibbi", allChanges, putChange, deleteChanges},
		{"tickets", "iitti", allTickets, putTicket, deleteTickets},
		{"orders", ordersKinds, allOrders, putOrder, deleteOrders},
		{"trades", tradesKinds, allTrades, putTrade, deleteTrades},
		{"candles", candlesKinds, allCandles, putCandle, deleteCandles},
		{"balances", balancesKinds, allBalances, putBalance, deleteBalances},
	}
}

const (
	sqliteTables = `
CREATE TABLE assets(id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, decimals INTEGER NOT NULL, network TEXT NOT NULL, withdraw_min TEXT NOT NULL, withdraw_fee TEXT NOT NULL,
	withdraw_day_max TEXT NOT NULL) STRICT;
CREATE TABLE markets(id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, base INTEGER NOT NULL, quote INTEGER NOT NULL, tick_decimals INTEGER NOT NULL, lot_decimals INTEGER NOT NULL,
	price_min INTEGER NOT NULL, price_max INTEGER NOT NULL, qty_min INTEGER NOT NULL, qty_max INTEGER NOT NULL, notional_min INTEGER NOT NULL, orders_max INTEGER NOT NULL, state INTEGER NOT NULL) STRICT;
CREATE TABLE accounts(id INTEGER PRIMARY KEY, name BLOB NOT NULL, state INTEGER NOT NULL, maker_ppm INTEGER NOT NULL, taker_ppm INTEGER NOT NULL, totp BLOB NOT NULL, created INTEGER NOT NULL,
	own INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE api_keys(name TEXT PRIMARY KEY, account INTEGER NOT NULL, scopes INTEGER NOT NULL, kind TEXT NOT NULL, secret BLOB NOT NULL, allowed BLOB NOT NULL, label BLOB NOT NULL,
	created INTEGER NOT NULL, usable INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_account ON api_keys(account, created, name);
CREATE TABLE book(account INTEGER NOT NULL, asset INTEGER NOT NULL, tag BLOB NOT NULL, address BLOB NOT NULL, label BLOB NOT NULL, added INTEGER NOT NULL, usable INTEGER NOT NULL,
	removed INTEGER NOT NULL, PRIMARY KEY(account, asset, tag)) STRICT, WITHOUT ROWID;
CREATE TABLE deposit_addresses(asset INTEGER NOT NULL, place INTEGER NOT NULL, account INTEGER NOT NULL, address BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(asset, place)) STRICT, WITHOUT ROWID;
CREATE INDEX deposit_addresses_account ON deposit_addresses(account, at);
CREATE TABLE deposits(number INTEGER PRIMARY KEY, account INTEGER NOT NULL, asset INTEGER NOT NULL, amount TEXT NOT NULL, txid BLOB NOT NULL, output INTEGER NOT NULL, address BLOB NOT NULL,
	height INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX deposits_account ON deposits(account, number);
CREATE TABLE withdrawals(number INTEGER PRIMARY KEY, account INTEGER NOT NULL, asset INTEGER NOT NULL, amount TEXT NOT NULL, fee TEXT NOT NULL, address BLOB NOT NULL, client TEXT NOT NULL,
	state INTEGER NOT NULL, txid BLOB NOT NULL, reason BLOB NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;
CREATE INDEX withdrawals_account ON withdrawals(account, number);
CREATE TABLE changes(serial INTEGER PRIMARY KEY, intent BLOB NOT NULL, approvers BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE tickets(number INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE orders(market INTEGER NOT NULL, id INTEGER NOT NULL, account INTEGER NOT NULL, side INTEGER NOT NULL, kind INTEGER NOT NULL, force INTEGER NOT NULL, self_trade INTEGER NOT NULL,
	status INTEGER NOT NULL, price INTEGER NOT NULL, stop INTEGER NOT NULL, qty INTEGER NOT NULL, shown INTEGER NOT NULL, quote_max INTEGER NOT NULL, executed INTEGER NOT NULL, quote INTEGER NOT NULL,
	expire INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, client TEXT NOT NULL, PRIMARY KEY(market, id)) STRICT, WITHOUT ROWID;
CREATE INDEX orders_account ON orders(account, market, created, id);
CREATE INDEX orders_client ON orders(account, market, client, id) WHERE client <> '';
CREATE TABLE trades(market INTEGER NOT NULL, id INTEGER NOT NULL, price INTEGER NOT NULL, qty INTEGER NOT NULL, taker_side INTEGER NOT NULL, at INTEGER NOT NULL,
	taker_order INTEGER NOT NULL, taker_account INTEGER NOT NULL, taker_fee TEXT NOT NULL, taker_asset INTEGER NOT NULL,
	maker_order INTEGER NOT NULL, maker_account INTEGER NOT NULL, maker_fee TEXT NOT NULL, maker_asset INTEGER NOT NULL, PRIMARY KEY(market, id)) STRICT, WITHOUT ROWID;
CREATE INDEX trades_taker ON trades(taker_account, market, id);
CREATE INDEX trades_maker ON trades(maker_account, market, id);
CREATE TABLE candles(market INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL, first INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL, last INTEGER NOT NULL,
	volume INTEGER NOT NULL, quote TEXT NOT NULL, trades INTEGER NOT NULL, buy_lots INTEGER NOT NULL, buy_quote TEXT NOT NULL, first_trade INTEGER NOT NULL, last_trade INTEGER NOT NULL,
	PRIMARY KEY(market, span, start)) STRICT, WITHOUT ROWID;
CREATE TABLE balances(account INTEGER NOT NULL, asset INTEGER NOT NULL, available TEXT NOT NULL, held TEXT NOT NULL, PRIMARY KEY(account, asset)) STRICT, WITHOUT ROWID;
CREATE TABLE proof(one INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE progress(one INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
INSERT INTO progress(one, seq, at) VALUES(1, 0, 0);
`

	postgresTables = `
CREATE TABLE assets(id bigint PRIMARY KEY, symbol text NOT NULL, decimals bigint NOT NULL, network text NOT NULL, withdraw_min numeric(39,0) NOT NULL, withdraw_fee numeric(39,0) NOT NULL,
	withdraw_day_max numeric(39,0) NOT NULL);
CREATE TABLE markets(id bigint PRIMARY KEY, symbol text NOT NULL, base bigint NOT NULL, quote bigint NOT NULL, tick_decimals bigint NOT NULL, lot_decimals bigint NOT NULL,
	price_min bigint NOT NULL, price_max bigint NOT NULL, qty_min bigint NOT NULL, qty_max bigint NOT NULL, notional_min bigint NOT NULL, orders_max bigint NOT NULL, state bigint NOT NULL);
CREATE TABLE accounts(id bigint PRIMARY KEY, name bytea NOT NULL, state bigint NOT NULL, maker_ppm bigint NOT NULL, taker_ppm bigint NOT NULL, totp bytea NOT NULL, created bigint NOT NULL,
	own bigint NOT NULL DEFAULT 0);
CREATE TABLE api_keys(name text COLLATE "C" PRIMARY KEY, account bigint NOT NULL, scopes bigint NOT NULL, kind text NOT NULL, secret bytea NOT NULL, allowed bytea NOT NULL, label bytea NOT NULL,
	created bigint NOT NULL, usable bigint NOT NULL, revoked bigint NOT NULL);
CREATE INDEX api_keys_account ON api_keys(account, created, name);
CREATE TABLE book(account bigint NOT NULL, asset bigint NOT NULL, tag bytea NOT NULL, address bytea NOT NULL, label bytea NOT NULL, added bigint NOT NULL, usable bigint NOT NULL,
	removed bigint NOT NULL, PRIMARY KEY(account, asset, tag));
CREATE TABLE deposit_addresses(asset bigint NOT NULL, place bigint NOT NULL, account bigint NOT NULL, address bytea NOT NULL, at bigint NOT NULL, PRIMARY KEY(asset, place));
CREATE INDEX deposit_addresses_account ON deposit_addresses(account, at);
CREATE TABLE deposits(number bigint PRIMARY KEY, account bigint NOT NULL, asset bigint NOT NULL, amount numeric(39,0) NOT NULL, txid bytea NOT NULL, output bigint NOT NULL, address bytea NOT NULL,
	height bigint NOT NULL, at bigint NOT NULL);
CREATE INDEX deposits_account ON deposits(account, number);
CREATE TABLE withdrawals(number bigint PRIMARY KEY, account bigint NOT NULL, asset bigint NOT NULL, amount numeric(39,0) NOT NULL, fee numeric(39,0) NOT NULL, address bytea NOT NULL, client text NOT NULL,
	state bigint NOT NULL, txid bytea NOT NULL, reason bytea NOT NULL, created bigint NOT NULL, changed bigint NOT NULL);
CREATE INDEX withdrawals_account ON withdrawals(account, number);
CREATE TABLE changes(serial bigint PRIMARY KEY, intent bytea NOT NULL, approvers bytea NOT NULL, at bigint NOT NULL);
CREATE TABLE tickets(number bigint PRIMARY KEY, account bigint NOT NULL, name text NOT NULL, why text NOT NULL, at bigint NOT NULL);
CREATE TABLE orders(market bigint NOT NULL, id bigint NOT NULL, account bigint NOT NULL, side bigint NOT NULL, kind bigint NOT NULL, force bigint NOT NULL, self_trade bigint NOT NULL,
	status bigint NOT NULL, price bigint NOT NULL, stop bigint NOT NULL, qty bigint NOT NULL, shown bigint NOT NULL, quote_max bigint NOT NULL, executed bigint NOT NULL, quote bigint NOT NULL,
	expire bigint NOT NULL, created bigint NOT NULL, changed bigint NOT NULL, client text COLLATE "C" NOT NULL, PRIMARY KEY(market, id));
CREATE INDEX orders_account ON orders(account, market, created, id);
CREATE INDEX orders_client ON orders(account, market, client, id) WHERE client <> '';
CREATE TABLE trades(market bigint NOT NULL, id bigint NOT NULL, price bigint NOT NULL, qty bigint NOT NULL, taker_side bigint NOT NULL, at bigint NOT NULL,
	taker_order bigint NOT NULL, taker_account bigint NOT NULL, taker_fee numeric(39,0) NOT NULL, taker_asset bigint NOT NULL,
	maker_order bigint NOT NULL, maker_account bigint NOT NULL, maker_fee numeric(39,0) NOT NULL, maker_asset bigint NOT NULL, PRIMARY KEY(market, id));
CREATE INDEX trades_taker ON trades(taker_account, market, id);
CREATE INDEX trades_maker ON trades(maker_account, market, id);
CREATE TABLE candles(market bigint NOT NULL, span bigint NOT NULL, start bigint NOT NULL, first bigint NOT NULL, high bigint NOT NULL, low bigint NOT NULL, last bigint NOT NULL,
	volume bigint NOT NULL, quote numeric(39,0) NOT NULL, trades bigint NOT NULL, buy_lots bigint NOT NULL, buy_quote numeric(39,0) NOT NULL, first_trade bigint NOT NULL, last_trade bigint NOT NULL,
	PRIMARY KEY(market, span, start));
CREATE TABLE balances(account bigint NOT NULL, asset bigint NOT NULL, available numeric(39,0) NOT NULL, held numeric(39,0) NOT NULL, PRIMARY KEY(account, asset));
CREATE TABLE proof(one bigint PRIMARY KEY, bytes bytea NOT NULL);
CREATE TABLE progress(one bigint PRIMARY KEY, seq bigint NOT NULL, at bigint NOT NULL);
INSERT INTO progress(one, seq, at) VALUES(1, 0, 0);
`
)

// What older tables lack. An asset of version 1 has no limit of a day, so that nothing of it leaves until two people
// state one. Before version 3 nobody paid fees by default, so that every fee was an account's own.
const (
	sqliteFrom1 = `BEGIN IMMEDIATE;
ALTER TABLE assets ADD COLUMN withdraw_day_max TEXT NOT NULL DEFAULT '000000000000000000000000000000000000000';
CREATE TABLE tickets(number INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
PRAGMA user_version=2; COMMIT`
	sqliteFrom2 = `BEGIN IMMEDIATE;
ALTER TABLE accounts ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET own = 1 WHERE maker_ppm <> 0 OR taker_ppm <> 0;
PRAGMA user_version=3; COMMIT`
	postgresFrom1 = `
ALTER TABLE assets ADD COLUMN withdraw_day_max numeric(39,0) NOT NULL DEFAULT 0;
CREATE TABLE tickets(number bigint PRIMARY KEY, account bigint NOT NULL, name text NOT NULL, why text NOT NULL, at bigint NOT NULL);
UPDATE version SET number = 2 WHERE one = 1`
	postgresFrom2 = `
ALTER TABLE accounts ADD COLUMN own bigint NOT NULL DEFAULT 0;
UPDATE accounts SET own = 1 WHERE maker_ppm <> 0 OR taker_ppm <> 0;
UPDATE version SET number = 3 WHERE one = 1`
)

// Whole tables: read in the order of their keys, rows put, everything taken out.
const (
	allAssets           = `SELECT id, symbol, decimals, network, withdraw_min, withdraw_fee, withdraw_day_max FROM assets ORDER BY id`
	allMarkets          = `SELECT id, symbol, base, quote, tick_decimals, lot_decimals, price_min, price_max, qty_min, qty_max, notional_min, orders_max, state FROM markets ORDER BY id`
	allAccounts         = `SELECT id, name, state, maker_ppm, taker_ppm, totp, created, own FROM accounts ORDER BY id`
	allKeys             = `SELECT name, account, scopes, kind, secret, allowed, label, created, usable, revoked FROM api_keys ORDER BY name`
	allBook             = `SELECT account, asset, tag, address, label, added, usable, removed FROM book ORDER BY account, asset, tag`
	allDepositAddresses = `SELECT asset, place, account, address, at FROM deposit_addresses ORDER BY asset, place`
	allDeposits         = `SELECT number, account, asset, amount, txid, output, address, height, at FROM deposits ORDER BY number`
	allWithdrawals      = `SELECT number, account, asset, amount, fee, address, client, state, txid, reason, created, changed FROM withdrawals ORDER BY number`
	allChanges          = `SELECT serial, intent, approvers, at FROM changes ORDER BY serial`
	allTickets          = `SELECT number, account, name, why, at FROM tickets ORDER BY number`
	allOrders           = `SELECT market, id, account, side, kind, force, self_trade, status, price, stop, qty, shown, quote_max, executed, quote, expire, created, changed, client FROM orders ORDER BY market, id`
	allTrades           = `SELECT market, id, price, qty, taker_side, at, taker_order, taker_account, taker_fee, taker_asset, maker_order, maker_account, maker_fee, maker_asset FROM trades ORDER BY market, id`
	allCandles          = `SELECT market, span, start, first, high, low, last, volume, quote, trades, buy_lots, buy_quote, first_trade, last_trade FROM candles ORDER BY market, span, start`
	allBalances         = `SELECT account, asset, available, held FROM balances ORDER BY account, asset`

	putAsset = `INSERT INTO assets(id, symbol, decimals, network, withdraw_min, withdraw_fee, withdraw_day_max) VALUES($1, $2, $3, $4, $5, $6, $7)
	ON CONFLICT(id) DO UPDATE SET symbol = excluded.symbol, decimals = excluded.decimals, network = excluded.network, withdraw_min = excluded.withdraw_min, withdraw_fee = excluded.withdraw_fee,
	withdraw_day_max = excluded.withdraw_day_max`
	putMarket = `INSERT INTO markets(id, symbol, base, quote, tick_decimals, lot_decimals, price_min, price_max, qty_min, qty_max, notional_min, orders_max, state)
	VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
	ON CONFLICT(id) DO UPDATE SET symbol = excluded.symbol, base = excluded.base, quote = excluded.quote, tick_decimals = excluded.tick_decimals, lot_decimals = excluded.lot_decimals,
	price_min = excluded.price_min, price_max = excluded.price_max, qty_min = excluded.qty_min, qty_max = excluded.qty_max, notional_min = excluded.notional_min,
	orders_max = excluded.orders_max, state = excluded.state`
	putAccount = `INSERT INTO accounts(id, name, state, maker_ppm, taker_ppm, totp, created, own) VALUES($1, $2, $3, $4, $5, $6, $7, $8)
	ON CONFLICT(id) DO UPDATE SET name = excluded.name, state = excluded.state, maker_ppm = excluded.maker_ppm, taker_ppm = excluded.taker_ppm, totp = excluded.totp, created = excluded.created,
	own = excluded.own`
	putDefault = `UPDATE accounts SET maker_ppm = $1, taker_ppm = $2 WHERE own = 0`
	putKey     = `INSERT INTO api_keys(name, account, scopes, kind, secret, allowed, label, created, usable, revoked) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
	ON CONFLICT(name) DO UPDATE SET account = excluded.account, scopes = excluded.scopes, kind = excluded.kind, secret = excluded.secret, allowed = excluded.allowed, label = excluded.label,
	created = excluded.created, usable = excluded.usable, revoked = excluded.revoked`
	putBook = `INSERT INTO book(account, asset, tag, address, label, added, usable, removed) VALUES($1, $2, $3, $4, $5, $6, $7, $8)
	ON CONFLICT(account, asset, tag) DO UPDATE SET address = excluded.address, label = excluded.label, added = excluded.added, usable = excluded.usable, removed = excluded.removed`
	putDepositAddress = `INSERT INTO deposit_addresses(asset, place, account, address, at) VALUES($1, $2, $3, $4, $5)
	ON CONFLICT(asset, place) DO UPDATE SET account = excluded.account, address = excluded.address, at = excluded.at`
	putDeposit = `INSERT INTO deposits(number, account, asset, amount, txid, output, address, height, at) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)
	ON CONFLICT(number) DO UPDATE SET account = excluded.account, asset = excluded.asset, amount = excluded.amount, txid = excluded.txid, output = excluded.output, address = excluded.address,
	height = excluded.height, at = excluded.at`
	putWithdrawal = `INSERT INTO withdrawals(number, account, asset, amount, fee, address, client, state, txid, reason, created, changed)
	VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
	ON CONFLICT(number) DO UPDATE SET account = excluded.account, asset = excluded.asset, amount = excluded.amount, fee = excluded.fee, address = excluded.address, client = excluded.client,
	state = excluded.state, txid = excluded.txid, reason = excluded.reason, created = excluded.created, changed = excluded.changed`
	putChange = `INSERT INTO changes(serial, intent, approvers, at) VALUES($1, $2, $3, $4)
	ON CONFLICT(serial) DO UPDATE SET intent = excluded.intent, approvers = excluded.approvers, at = excluded.at`
	putTicket = `INSERT INTO tickets(number, account, name, why, at) VALUES($1, $2, $3, $4, $5)
	ON CONFLICT(number) DO UPDATE SET account = excluded.account, name = excluded.name, why = excluded.why, at = excluded.at`
	putOrder   = insertOrder + `VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)` + changeOrder
	bulkOrders = insertOrder + `SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
	$11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[])` + changeOrder
	insertOrder = `INSERT INTO orders(market, id, account, side, kind, force, self_trade, status, price, stop, qty, shown, quote_max, executed, quote, expire, created, changed, client) `
	changeOrder = `
	ON CONFLICT(market, id) DO UPDATE SET status = excluded.status, price = excluded.price, stop = excluded.stop, qty = excluded.qty, shown = excluded.shown, quote_max = excluded.quote_max,
	executed = excluded.executed, quote = excluded.quote, expire = excluded.expire, changed = excluded.changed`
	putTrade   = insertTrade + `VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	bulkTrades = insertTrade + `SELECT a, b, c, d, e, f, g, h, i::numeric, j, k, l, m::numeric, n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
	$7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[]) AS t(a, b, c, d, e, f, g, h, i, j, k, l, m, n)`
	insertTrade = `INSERT INTO trades(market, id, price, qty, taker_side, at, taker_order, taker_account, taker_fee, taker_asset, maker_order, maker_account, maker_fee, maker_asset) `

	putCandle   = insertCandle + `VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)` + changeCandle
	bulkCandles = insertCandle + `SELECT a, b, c, d, e, f, g, h, i::numeric, j, k, l::numeric, m, n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
	$7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[]) AS t(a, b, c, d, e, f, g, h, i, j, k, l, m, n)` + changeCandle
	insertCandle = `INSERT INTO candles(market, span, start, first, high, low, last, volume, quote, trades, buy_lots, buy_quote, first_trade, last_trade) `
	changeCandle = `
	ON CONFLICT(market, span, start) DO UPDATE SET first = excluded.first, high = excluded.high, low = excluded.low, last = excluded.last, volume = excluded.volume, quote = excluded.quote,
	trades = excluded.trades, buy_lots = excluded.buy_lots, buy_quote = excluded.buy_quote, first_trade = excluded.first_trade, last_trade = excluded.last_trade`
	putBalance    = insertBalance + `VALUES($1, $2, $3, $4)` + changeBalance
	bulkBalances  = insertBalance + `SELECT a, b, c::numeric, d::numeric FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS t(a, b, c, d)` + changeBalance
	insertBalance = `INSERT INTO balances(account, asset, available, held) `
	changeBalance = `
	ON CONFLICT(account, asset) DO UPDATE SET available = excluded.available, held = excluded.held`

	deleteAssets           = `DELETE FROM assets`
	deleteMarkets          = `DELETE FROM markets`
	deleteAccounts         = `DELETE FROM accounts`
	deleteKeys             = `DELETE FROM api_keys`
	deleteBook             = `DELETE FROM book`
	deleteDepositAddresses = `DELETE FROM deposit_addresses`
	deleteDeposits         = `DELETE FROM deposits`
	deleteWithdrawals      = `DELETE FROM withdrawals`
	deleteChanges          = `DELETE FROM changes`
	deleteTickets          = `DELETE FROM tickets`
	deleteOrders           = `DELETE FROM orders`
	deleteTrades           = `DELETE FROM trades`
	deleteCandles          = `DELETE FROM candles`
	deleteBalances         = `DELETE FROM balances`

	selectProof    = `SELECT bytes FROM proof WHERE one = 1`
	insertProof    = `INSERT INTO proof(one, bytes) VALUES(1, $1)`
	selectProgress = `SELECT seq, at FROM progress WHERE one = 1`
	// The row changes only if it is as this writer left it: two writers cannot both go on.
	updateProgress = `UPDATE progress SET seq = $1, at = $2 WHERE one = 1 AND seq = $3`
)
