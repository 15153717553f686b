package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/encrypted"
	"github.com/ncruces/go-sqlite3"
)

const (
	fileName   = "history.db"
	lockName   = "history.lock"
	readersMax = 4
	loggedMost = 16_000 // pages; then the log is folded into the file

	// NORMAL: when the power fails, the last transactions may be missing, whole ones, and the journal tells them again.
	pragmaWrite   = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536"
	pragmaRead    = "PRAGMA query_only=ON; PRAGMA cache_size=-16384"
	sqliteVersion = "PRAGMA user_version"
	sqliteMake    = "BEGIN IMMEDIATE;" + sqliteTables + "PRAGMA user_version=3; COMMIT"
)

// sqlite is the records in one encrypted file of a directory.
type sqlite struct {
	reader   *sql.DB
	lock     *os.File
	using    sync.Mutex // held while the connection below is used
	writer   *sqlite3.Conn
	logged   int // pages in the log after the last transaction
	prepared map[string]*sqlite3.Stmt
}

func openSQLite(ctx context.Context, o Options) (*sqlite, error) {
	s := &sqlite{prepared: map[string]*sqlite3.Stmt{}}
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
	if s.writer, err = encrypted.Connect(encrypted.Options{Path: path, Key: o.Key, Begin: beginWrite}); err != nil {
		return fmt.Errorf("records %s: %w", path, err)
	}
	s.writer.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		s.logged = pages
		return nil
	})
	found, err := s.version()
	if err != nil {
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
		if err := s.writer.Exec(step.sql); err != nil {
			return fmt.Errorf("records %s: %w", path, err)
		}
	}
	if err := encrypted.Protect(path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return s.connectReader(path, o.Key)
}

func beginWrite(c *sqlite3.Conn) error { return c.Exec(pragmaWrite) }

// tidy brings a long log's pages into the file, which SQLite would do within the transaction that made it long. A
// failure is told by a transaction that finds no room; until then nothing is lost.
func (s *sqlite) tidy() {
	s.using.Lock()
	defer s.using.Unlock()
	if s.logged >= loggedMost {
		s.writer.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
		s.logged = 0 // until the next transaction tells anew
	}
}

func beginRead(c *sqlite3.Conn) error { return c.Exec(pragmaRead) }

// version returns which tables there are, zero for none.
func (s *sqlite) version() (int, error) {
	stmt, _, err := s.writer.Prepare(sqliteVersion)
	if err != nil {
		return 0, err
	}
	stmt.Step()
	found := stmt.ColumnInt(0)
	return found, errors.Join(stmt.Err(), stmt.Close())
}

func (s *sqlite) connectReader(path string, key []byte) (err error) {
	if s.reader, err = encrypted.Open(encrypted.Options{Path: path, Key: key, Begin: beginRead, Most: readersMax}); err != nil {
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

// commit takes no notice of a context: what it waits for is this machine's disk.
func (s *sqlite) commit(_ context.Context, calls []call, many ...rows) (err error) {
	if s.writer == nil {
		return errors.New("records: opened for reading")
	}
	s.using.Lock()
	defer s.using.Unlock()
	defer func() {
		if err != nil && !errors.Is(err, ErrOther) {
			err = fmt.Errorf("records: %w", err)
		}
	}()
	tx, err := s.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	for i, c := range calls {
		stmt, err := s.statement(c.query)
		if err != nil {
			return err
		}
		if err := errors.Join(bind(stmt, c.args), stmt.Exec()); err != nil {
			return err
		}
		if i == 0 && s.writer.Changes() != 1 {
			return ErrOther
		}
	}
	for _, r := range many {
		if err := s.putAll(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlite) putAll(r rows) error {
	if len(r.values) == 0 {
		return nil
	}
	stmt, err := s.statement(r.put)
	if err != nil {
		return err
	}
	for at := 0; at < len(r.values); at += len(r.kinds) {
		for i := range len(r.kinds) {
			if v := &r.values[at+i]; r.kinds[i] == 'i' {
				err = stmt.BindInt64(i+1, v.number)
			} else {
				err = stmt.BindText(i+1, v.text)
			}
			if err != nil {
				return err
			}
		}
		if err := stmt.Exec(); err != nil {
			return err
		}
	}
	return nil
}

// statement prepares a statement once.
func (s *sqlite) statement(query string) (*sqlite3.Stmt, error) {
	if stmt := s.prepared[query]; stmt != nil {
		return stmt, nil
	}
	stmt, _, err := s.writer.PrepareFlags(query, sqlite3.PREPARE_PERSISTENT)
	if err == nil {
		s.prepared[query] = stmt
	}
	return stmt, err
}

func bind(stmt *sqlite3.Stmt, args []any) (err error) {
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			err = stmt.BindInt64(i+1, v)
		case string:
			err = stmt.BindText(i+1, v)
		case []byte:
			err = stmt.BindBlob(i+1, v)
		default:
			err = fmt.Errorf("a value of type %T", arg)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil { // the last to go: it folds the log into the file
		for _, stmt := range s.prepared {
			errs = append(errs, stmt.Close())
		}
		errs = append(errs, s.writer.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
