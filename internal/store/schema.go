package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/spend"
)

// schema is version 1. STRICT tables take no value of another type than declared, so an amount cannot become a float.
// Satoshi fit an INTEGER with room to spare (2.1e15 of 9.2e18); an intent's amount is decimal text, because other
// assets have 128 bits.
const schema = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE wallets(
	id BLOB PRIMARY KEY CHECK(length(id) = 32), name TEXT NOT NULL UNIQUE, tier TEXT NOT NULL, file BLOB NOT NULL) STRICT;
CREATE TABLE counters(
	wallet BLOB NOT NULL REFERENCES wallets(id), branch INTEGER NOT NULL CHECK(branch IN (0, 1)),
	next INTEGER NOT NULL CHECK(next BETWEEN 0 AND 2147483648), PRIMARY KEY(wallet, branch)) STRICT;
CREATE TABLE scripts(
	script BLOB PRIMARY KEY, wallet BLOB NOT NULL REFERENCES wallets(id), branch INTEGER NOT NULL CHECK(branch IN (0, 1)),
	idx INTEGER NOT NULL CHECK(idx BETWEEN 0 AND 2147483647), UNIQUE(wallet, branch, idx)) STRICT;
CREATE TABLE blocks(
	height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE CHECK(length(hash) = 32), prev BLOB NOT NULL CHECK(length(prev) = 32)) STRICT;
CREATE TABLE parents(txid BLOB PRIMARY KEY CHECK(length(txid) = 32), raw BLOB NOT NULL) STRICT;
CREATE TABLE outpoints(
	txid BLOB NOT NULL, vout INTEGER NOT NULL, value INTEGER NOT NULL, script BLOB NOT NULL, PRIMARY KEY(txid, vout)) STRICT;
CREATE TABLE coins(
	txid BLOB NOT NULL REFERENCES parents(txid), vout INTEGER NOT NULL CHECK(vout >= 0), wallet BLOB NOT NULL REFERENCES wallets(id),
	branch INTEGER NOT NULL, idx INTEGER NOT NULL, value INTEGER NOT NULL CHECK(value BETWEEN 0 AND 2100000000000000),
	height INTEGER NOT NULL REFERENCES blocks(height), coinbase INTEGER NOT NULL CHECK(coinbase IN (0, 1)),
	spent_by BLOB CHECK(length(spent_by) = 32), spent_height INTEGER REFERENCES blocks(height),
	PRIMARY KEY(txid, vout), CHECK((spent_by IS NULL) = (spent_height IS NULL))) STRICT;
CREATE INDEX coins_height ON coins(height);
CREATE INDEX coins_spent ON coins(spent_height) WHERE spent_height IS NOT NULL;
CREATE INDEX coins_unspent ON coins(wallet, value) WHERE spent_by IS NULL;
CREATE TABLE intents(
	serial INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK(length(id) = 32), bytes BLOB NOT NULL, request TEXT NOT NULL UNIQUE,
	state TEXT NOT NULL CHECK(state IN ('proposed', 'approved', 'sealed', 'signed', 'broadcast', 'confirmed', 'cancelled', 'expired')),
	before TEXT CHECK((before IS NOT NULL) = (state = 'confirmed')),
	network TEXT NOT NULL, purpose TEXT NOT NULL, issuer TEXT NOT NULL, proposer TEXT NOT NULL,
	source BLOB NOT NULL REFERENCES wallets(id), target BLOB NOT NULL REFERENCES wallets(id), target_index INTEGER NOT NULL,
	units TEXT NOT NULL, symbol TEXT NOT NULL, decimals INTEGER NOT NULL,
	created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE(target, target_index)) STRICT;
CREATE INDEX intents_state ON intents(state);
CREATE TABLE approvals(
	number INTEGER PRIMARY KEY, serial INTEGER NOT NULL REFERENCES intents(serial), person TEXT NOT NULL, key TEXT NOT NULL,
	signature BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE(serial, person), UNIQUE(serial, key)) STRICT;
CREATE TABLE bundles(
	id BLOB PRIMARY KEY CHECK(length(id) = 32), serial INTEGER NOT NULL REFERENCES intents(serial), bytes BLOB NOT NULL,
	payload BLOB NOT NULL, plan BLOB NOT NULL, txid BLOB NOT NULL CHECK(length(txid) = 32), sealed_at INTEGER NOT NULL,
	live INTEGER NOT NULL CHECK(live IN (0, 1))) STRICT;
CREATE UNIQUE INDEX bundles_live ON bundles(serial) WHERE live = 1;
CREATE INDEX bundles_txid ON bundles(txid);
CREATE TABLE inputs(
	bundle BLOB NOT NULL REFERENCES bundles(id), txid BLOB NOT NULL, vout INTEGER NOT NULL, PRIMARY KEY(bundle, txid, vout)) STRICT;
CREATE TABLE reservations(
	txid BLOB NOT NULL, vout INTEGER NOT NULL, serial INTEGER NOT NULL REFERENCES intents(serial), PRIMARY KEY(txid, vout)) STRICT;
CREATE INDEX reservations_serial ON reservations(serial);
CREATE TABLE answers(
	bundle BLOB NOT NULL REFERENCES bundles(id), position INTEGER NOT NULL, wallet BLOB NOT NULL, bytes BLOB NOT NULL,
	counter INTEGER NOT NULL, refusal TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY(bundle, position), UNIQUE(wallet, position, counter)) STRICT;
CREATE TABLE nonces(
	r BLOB PRIMARY KEY CHECK(length(r) = 32), pubkey BLOB NOT NULL CHECK(length(pubkey) = 33), digest BLOB NOT NULL CHECK(length(digest) = 32)) STRICT;
CREATE TABLE transactions(
	txid BLOB PRIMARY KEY CHECK(length(txid) = 32), serial INTEGER NOT NULL REFERENCES intents(serial), raw BLOB NOT NULL,
	height INTEGER REFERENCES blocks(height)) STRICT;
CREATE INDEX transactions_serial ON transactions(serial);
CREATE INDEX transactions_height ON transactions(height) WHERE height IS NOT NULL;
CREATE TABLE halts(number INTEGER PRIMARY KEY, code TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE events(
	seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, hash BLOB NOT NULL CHECK(length(hash) = 32)) STRICT;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER outpoints_stay BEFORE UPDATE ON outpoints BEGIN SELECT RAISE(ABORT, 'outpoints are append-only'); END;
CREATE TRIGGER nonces_stay BEFORE UPDATE ON nonces BEGIN SELECT RAISE(ABORT, 'nonces are append-only'); END;
PRAGMA user_version = 1;
`

// schemaPlans is version 2: what was planned with an intent, and answers of signers that give no receipt, whose counter
// is NULL.
const schemaPlans = `
ALTER TABLE intents ADD COLUMN plan BLOB NOT NULL DEFAULT x'';
CREATE TABLE planned(
	serial INTEGER NOT NULL REFERENCES intents(serial), txid BLOB NOT NULL, vout INTEGER NOT NULL, PRIMARY KEY(serial, txid, vout)) STRICT;
ALTER TABLE answers RENAME TO answers_before;
CREATE TABLE answers(
	bundle BLOB NOT NULL REFERENCES bundles(id), position INTEGER NOT NULL, wallet BLOB NOT NULL, bytes BLOB NOT NULL,
	counter INTEGER, refusal TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY(bundle, position), UNIQUE(wallet, position, counter)) STRICT;
INSERT INTO answers SELECT bundle, position, wallet, bytes, counter, refusal, at FROM answers_before;
DROP TABLE answers_before;
PRAGMA user_version = 2;
`

// schemaPayments is version 3: intents that pay an entry of the address book have no target of ours, and children that
// pay for a stuck transaction name it, with its bytes and those of its ancestors. SQLite drops a NOT NULL only by making
// the table anew, so its foreign keys rest meanwhile and are checked afterwards.
const schemaPayments = `
CREATE TABLE intents_after(
	serial INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK(length(id) = 32), bytes BLOB NOT NULL, request TEXT NOT NULL UNIQUE,
	state TEXT NOT NULL CHECK(state IN ('proposed', 'approved', 'sealed', 'signed', 'broadcast', 'confirmed', 'cancelled', 'expired')),
	before TEXT CHECK((before IS NOT NULL) = (state = 'confirmed')),
	network TEXT NOT NULL, purpose TEXT NOT NULL, issuer TEXT NOT NULL, proposer TEXT NOT NULL,
	source BLOB NOT NULL REFERENCES wallets(id), target BLOB REFERENCES wallets(id), target_index INTEGER, entry TEXT NOT NULL,
	units TEXT NOT NULL, symbol TEXT NOT NULL, decimals INTEGER NOT NULL,
	created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, plan BLOB NOT NULL,
	parent BLOB CHECK(length(parent) = 32), UNIQUE(target, target_index),
	CHECK((target IS NULL) = (entry <> '')), CHECK((target IS NULL) = (target_index IS NULL))) STRICT;
INSERT INTO intents_after SELECT serial, id, bytes, request, state, before, network, purpose, issuer, proposer, source, target, target_index, '',
	units, symbol, decimals, created_at, expires_at, updated_at, plan, NULL FROM intents;
DROP TABLE intents;
ALTER TABLE intents_after RENAME TO intents;
CREATE INDEX intents_state ON intents(state);
CREATE TABLE stuck(
	serial INTEGER NOT NULL REFERENCES intents(serial), number INTEGER NOT NULL CHECK(number >= 0), raw BLOB NOT NULL,
	PRIMARY KEY(serial, number)) STRICT;
PRAGMA user_version = 3;
`

// migrations bring records from version i to i+1; each is one constant and sets the version it leads to. A released
// one never changes.
func migrations() []string { return []string{schema, schemaPlans, schemaPayments} }

// migrate applies what is missing, all in one transaction: records are of the old version or of the new one. Foreign keys
// rest while tables are made anew, and every one of them holds before the new version counts.
func (s *Store) migrate(ctx context.Context) (err error) {
	if _, err := s.writer.ExecContext(ctx, "PRAGMA foreign_keys=OFF"); err != nil {
		return err
	}
	defer func() {
		_, restored := s.writer.ExecContext(ctx, "PRAGMA foreign_keys=ON")
		err = errors.Join(err, restored)
	}()
	steps := migrations()
	return s.write(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if version > len(steps) {
			return spend.Refuse("store-newer", fileName, fmt.Sprintf("records of version %d or older", len(steps)), fmt.Sprintf("version %d", version),
				"the operator runs the newer daemon that wrote these records")
		}
		for _, step := range steps[version:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return err
			}
		}
		if version == len(steps) {
			return nil
		}
		return foreignKeysHold(ctx, tx)
	})
}

// foreignKeysHold refuses records in which a row names another one that is not there.
func foreignKeysHold(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1")
	return each(rows, err, func(row scanner) error {
		var table string
		if err := row.Scan(&table); err != nil {
			return err
		}
		return spend.Distrust("store-damaged", fileName, "whole records", "a row of "+table+" that belongs to none",
			"the operator restores the records from a backup")
	})
}
