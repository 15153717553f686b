// Package records keeps what can be asked later: orders, trades, accounts, deposits and withdrawals, as projections of
// the journal, in SQLite or PostgreSQL. What may never happen here: SQL built from data, or a record without its sequence.
package records
