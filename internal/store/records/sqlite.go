package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/encrypted"
)

const (
	fileName   = "history.db"
	lockName   = "history.lock"
	readersMax = 4

	// NORMAL: when the power fails, the last transactions may be missing, whole ones, and the journal tells them again.
	pragmaWrite   = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=16000; PRAGMA cache_size=-65536"
	pragmaRead    = "PRAGMA query_only=ON; PRAGMA cache_size=-16384"
	sqliteVersion = "PRAGMA user_version"
	sqliteMake    = "BEGIN IMMEDIATE;" + sqliteTables + "PRAGMA user_version=3; COMMIT"
)

// sqlite is the records in one encrypted file of a directory.
type sqlite struct {
	writer, reader *sql.DB
	lock           *os.File
	prepared       map[string]*sql.Stmt
}

func openSQLite(ctx context.Context, o Options) (*sqlite, error) {
	s := &sqlite{prepared: map[string]*sql.Stmt{}}
	if err := s.connect(ctx, o); err != nil {
		return nil, errors.Join(explainOpen(err, o.Dir), s.close())
	}
	return s, nil
}

// explainOpen turns SQLite's "not a database" into what it means here: another key, or a damaged file.
func explainOpen(err error, dir string) error {
	if !encrypted.IsDamaged(err) {
		return err
	}
	return spend.Distrust("records-damaged", filepath.Join(dir, fileName), "whole records, encrypted with this key", "bytes that no such database has",
		"check the key; else remove the file and make the records again from the journal")
}

func (s *sqlite) connect(ctx context.Context, o Options) (err error) {
	path := filepath.Join(o.Dir, fileName)
	if o.Read {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("records: %w", err)
		}
		return s.connectReader(path, o.Key)
	}
	if s.lock, err = takeLock(filepath.Join(o.Dir, lockName)); err != nil {
		return err
	}
	if err := encrypted.Create(path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if s.writer, err = encrypted.Open(encrypted.Options{Path: path, Key: o.Key, Pragmas: pragmaWrite, Most: 1}); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	var found int
	if err := s.writer.QueryRowContext(ctx, sqliteVersion).Scan(&found); err != nil {
		return fmt.Errorf("records %s: %w", path, err)
	}
	if found > version {
		return newer(path, found)
	}
	for _, step := range []struct {
		from, to int
		sql      string
	}{{0, version, sqliteMake}, {1, 2, sqliteFrom1}, {2, version, sqliteFrom2}} {
		if found != step.from {
			continue
		}
		found = step.to
		if _, err := s.writer.ExecContext(ctx, step.sql); err != nil {
			return fmt.Errorf("records %s: %w", path, err)
		}
	}
	if err := encrypted.Protect(ctx, s.writer, path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return s.connectReader(path, o.Key)
}

func (s *sqlite) connectReader(path string, key []byte) (err error) {
	if s.reader, err = encrypted.Open(encrypted.Options{Path: path, Key: key, Pragmas: pragmaRead, Most: readersMax}); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

func newer(where string, found int) error {
	return spend.Refuse("records-newer", where, fmt.Sprintf("tables of version %d", version), fmt.Sprintf("version %d", found), "use the program that wrote them, or a later one")
}

func takeLock(path string) (*os.File, error) {
	lock, err := encrypted.Lock(path)
	if errors.Is(err, encrypted.ErrLocked) {
		return nil, spend.Refuse("records-in-use", path, "records that nobody else writes", "a running process that writes them",
			"stop the other one first, or give this one a directory of its own")
	}
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	return lock, nil
}

func (s *sqlite) commit(ctx context.Context, calls []call) error {
	if s.writer == nil {
		return errors.New("records: opened for reading")
	}
	// Prepared before the transaction takes the one connection: the pool has no other.
	for _, c := range calls {
		if s.prepared[c.query] != nil {
			continue
		}
		stmt, err := s.writer.PrepareContext(ctx, c.query)
		if err != nil {
			return fmt.Errorf("records: %w", err)
		}
		s.prepared[c.query] = stmt
	}
	tx, err := s.writer.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer tx.Rollback()              // after a commit it does nothing
	ctx = context.WithoutCancel(ctx) // watching a context costs more than most of the statements
	var last string
	var stmt *sql.Stmt
	for i, c := range calls {
		if c.query != last {
			last, stmt = c.query, tx.StmtContext(ctx, s.prepared[c.query])
		}
		result, err := stmt.ExecContext(ctx, c.args...)
		if err != nil {
			return fmt.Errorf("records: %w", err)
		}
		if n, err := result.RowsAffected(); i == 0 && (err != nil || n != 1) {
			return errors.Join(ErrOther, err)
		}
	}
	return tx.Commit()
}

func (s *sqlite) view(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer tx.Rollback()
	return do(tx)
}

func (s *sqlite) close() error {
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	for _, pool := range []*sql.DB{s.reader, s.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
