// Package store keeps the daemon's records in one encrypted SQLite file.
//
// A directory holds lock (one daemon at a time), records.check (by which a wrong key is known before anything is
// touched), records.db and SQLite's own -wal and -shm files. The records and the log are encrypted page by page with Adiantum under a 32-byte key that the caller hands over; that
// hides the records and does not authenticate them, so events are hash-chained, an outpoint is remembered with its
// amount for good, and a previous transaction is hashed again when it is read. One connection writes, in WAL mode with
// synchronous=FULL; readers have connections of their own and never block it.
//
// Life of an intent, each step one transaction together with its effect and its event:
//
//	proposed -> approved -> sealed -> signed -> broadcast -> confirmed
//	sealed | signed | broadcast -> the same, with a bundle that replaces the first; signed again when it is finished
//	proposed | approved | sealed -> cancelled | expired
//	confirmed -> the state before it, when a reorg takes the transaction out of the chain
//	any -> confirmed when the chain has the transaction after all
//
// A transition names the state that it leaves; when the record is in another state nothing changes and the caller gets
// a refusal. So a process killed between any two steps repeats nothing and loses nothing.
//
// What may never happen here: SQL built from data, a float near an amount, a coin reserved by two live intents, a
// transaction sent that was not written first, or an event changed after it was written.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/encrypted"
	"github.com/ncruces/go-sqlite3"
)

const (
	keyBytes    = encrypted.KeyBytes
	readersMax  = 4
	fileName    = "records.db"
	lockName    = "lock"
	pragmaWrite = "PRAGMA foreign_keys=ON; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"
	pragmaRead  = "PRAGMA foreign_keys=ON; PRAGMA query_only=ON"
)

// Options say which records to open.
type Options struct {
	Dir           string // must exist; 0700
	Key           []byte // 32 bytes
	Network       spend.Network
	Confirmations uint32           // blocks, its own included, after which a transaction is confirmed; at least 1
	Now           func() time.Time // stamps records and events, and decides about expiry
}

// Store is the open database. Its methods may be called from several goroutines.
type Store struct {
	writer, reader *sql.DB
	lock           *os.File
	network        spend.Network
	confirmations  uint32
	clock          func() time.Time
}

// Open opens the records, or makes them, and brings the schema up to date. It refuses a wrong key (store-key-wrong), a
// directory that another process has open (store-in-use), records of another network (store-other-network) or of a
// newer daemon (store-newer), and records that were damaged or changed (store-damaged, events-tampered).
func Open(ctx context.Context, o Options) (*Store, error) {
	if len(o.Key) != keyBytes || o.Confirmations < 1 || o.Now == nil || o.Network == "" {
		return nil, fmt.Errorf("store options: a key of %d bytes (32), %d confirmations (at least 1), a clock and a network are needed",
			len(o.Key), o.Confirmations)
	}
	lock, err := takeLock(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock, network: o.Network, confirmations: o.Confirmations, clock: o.Now}
	if err := s.connect(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context, o Options) (err error) {
	if err := checkKey(o.Dir, o.Key); err != nil {
		return err
	}
	path := filepath.Join(o.Dir, fileName)
	if err := encrypted.Create(path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if s.writer, err = encrypted.Open(encrypted.Options{Path: path, Key: o.Key, Begin: beginWrite, Most: 1}); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if err := s.writer.PingContext(ctx); err != nil {
		return explainOpen(err, path)
	}
	if err := s.migrate(ctx); err != nil {
		return explainOpen(err, path)
	}
	if err := encrypted.Protect(path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if s.reader, err = encrypted.Open(encrypted.Options{Path: path, Key: o.Key, Begin: beginRead, Most: readersMax}); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if err := s.inspect(ctx); err != nil {
		return explainOpen(err, path)
	}
	return nil
}

func beginWrite(c *sqlite3.Conn) error { return c.Exec(pragmaWrite) }

func beginRead(c *sqlite3.Conn) error { return c.Exec(pragmaRead) }

// explainOpen turns SQLite's "not a database" into what it means here, where the key is known to be right.
func explainOpen(err error, path string) error {
	if encrypted.IsDamaged(err) {
		return spend.Distrust("store-damaged", path, "whole records", "bytes that no database has", "the operator restores the records from a backup")
	}
	return fmt.Errorf("records %s: %w", path, err)
}

// inspect refuses records that are damaged, of another network, or whose events were changed. Encryption without
// authentication does not show a changed page by itself.
func (s *Store) inspect(ctx context.Context) error {
	var verdict string
	if err := s.reader.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return spend.Distrust("store-damaged", fileName, "whole records", verdict, "the operator restores the records from a backup")
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta(key, value) VALUES('network', ?) ON CONFLICT DO NOTHING", string(s.network)); err != nil {
			return err
		}
		var found string
		if err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'network'").Scan(&found); err != nil {
			return err
		}
		if found != string(s.network) {
			return spend.Distrust("store-other-network", fileName, string(s.network), found, "the operator points the daemon at the records of "+string(s.network))
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.VerifyEvents(ctx)
	return err
}

// takeLock holds the records until the process ends, however it ends.
func takeLock(path string) (*os.File, error) {
	lock, err := encrypted.Lock(path)
	if errors.Is(err, encrypted.ErrLocked) {
		return nil, spend.Refuse("store-in-use", path, "records that no other daemon has open", "a running daemon on the same records",
			"stop the other daemon first, or give this one a data directory of its own")
	}
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	return lock, nil
}

// Close ends the connections and gives up the lock.
func (s *Store) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{s.reader, s.writer} { // the writer last: it folds the log into the file
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

func (s *Store) now() int64 { return s.clock().Unix() }

// write runs one transaction that takes the write lock at once. Any error undoes everything.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing; after a panic it is what keeps the records whole
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// view runs several reads against one unchanging state.
func (s *Store) view(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return do(tx)
}

// querier is what a transaction and a pool of readers have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is a row, of one or of many.
type scanner interface{ Scan(dest ...any) error }

// each calls read for every row.
func each(rows *sql.Rows, err error, read func(scanner) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// digest reads a column of 32 bytes into any array of that size.
type digest[T ~[32]byte] struct{ to *T }

// Scan insists on 32 bytes.
func (d digest[T]) Scan(value any) error {
	raw, ok := value.([]byte)
	if !ok || len(raw) != 32 {
		return fmt.Errorf("a column of %d bytes where 32 are stored", len(raw))
	}
	*d.to = T(raw)
	return nil
}

func into[T ~[32]byte](to *T) digest[T] { return digest[T]{to} }
