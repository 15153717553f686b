package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Forge changes the records as an attacker with the key and the file would, past every method of the room.
func (s *Store) Forge(ctx context.Context, what string) error {
	statement, known := map[string]string{
		"UPDATE_OUTPOINT": "DROP TRIGGER outpoints_stay; UPDATE outpoints SET value = value + 1",
		"UPDATE_COIN":     "UPDATE coins SET value = value + 1",
		"UPDATE_PARENT":   "UPDATE parents SET raw = zeroblob(10)",
		"UPDATE_EVENT":    "UPDATE events SET text = '{}' WHERE seq = 4",
		"DELETE_EVENT":    "DELETE FROM events WHERE seq = 4",
		"DROP_TRIGGERS":   "DROP TRIGGER events_stay; DROP TRIGGER events_last",
		"UPDATE_INTENT":   "UPDATE intents SET bytes = zeroblob(10)",
		"TWO_LIVE":        "UPDATE bundles SET live = 1",
		"NEWER":           "PRAGMA user_version = 99",
		"VERSION_1":       versionOne(),
		"UPDATE_STUCK":    "UPDATE stuck SET raw = zeroblob(10)",
		"STRAY_APPROVAL":  "UPDATE approvals SET serial = 99",
	}[what]
	if !known {
		return fmt.Errorf("unknown forgery %s", what)
	}
	if _, err := s.writer.ExecContext(ctx, "PRAGMA foreign_keys=OFF"); err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	})
}

// Fail runs a transaction that writes an event and then fails.
func (s *Store) Fail(ctx context.Context, with error) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := s.log(ctx, tx, "never", nil); err != nil {
			return err
		}
		if with == nil {
			panic("broken invariant")
		}
		return with
	})
}

// TimeNow is the fixed clock of tests outside the package.
func TimeNow() time.Time { return time.Unix(1_800_000_000, 0) }

// versionOne undoes the third migration and the second.
func versionOne() string {
	_, rest, _ := strings.Cut(schema, "CREATE TABLE intents(")
	first, _, _ := strings.Cut(rest, "STRICT;")
	return "DROP TABLE stuck; CREATE TABLE intents_before(" + first + `STRICT;
INSERT INTO intents_before SELECT serial, id, bytes, request, state, before, network, purpose, issuer, proposer, source, target, target_index,
	units, symbol, decimals, created_at, expires_at, updated_at FROM intents;
DROP TABLE intents; ALTER TABLE intents_before RENAME TO intents; CREATE INDEX intents_state ON intents(state);
DROP TABLE planned; ALTER TABLE answers RENAME TO later;
CREATE TABLE answers(
	bundle BLOB NOT NULL REFERENCES bundles(id), position INTEGER NOT NULL, wallet BLOB NOT NULL, bytes BLOB NOT NULL,
	counter INTEGER NOT NULL, refusal TEXT NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY(bundle, position), UNIQUE(wallet, position, counter)) STRICT;
INSERT INTO answers SELECT * FROM later; DROP TABLE later; PRAGMA user_version = 1`
}
