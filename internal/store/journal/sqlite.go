package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

const (
	fileName = "journal.db"
	lockName = "lock"
	version  = 1 // of the tables, in both databases

	// The log is written from its beginning again after each checkpoint: a flush of bytes that lie inside the file is
	// cheaper than one that makes the file longer, so its size is not cut, and opening makes it long (logFile.extend). A
	// frame of 64 orders is 6 KB: pages of 16 KiB hold it whole, and most commits write a single one.
	sqliteSession = `PRAGMA busy_timeout=10000; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;
PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=-1; PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-16384`
	sqliteReader = `PRAGMA busy_timeout=10000; PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA cache_size=-8192`
	sqliteTables = `BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs(epoch INTEGER PRIMARY KEY, salt BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS frames(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, at INTEGER NOT NULL,
	epoch INTEGER NOT NULL, prev BLOB NOT NULL, sealed BLOB NOT NULL) STRICT;
PRAGMA user_version=1;
COMMIT`

	sqliteVersion  = `PRAGMA user_version`
	sqliteInsert   = `INSERT INTO frames(first, count, at, epoch, prev, sealed) VALUES(?, ?, ?, ?, ?, ?)`
	sqlitePage     = `SELECT first, count, at, epoch, prev, sealed FROM frames WHERE first >= ? ORDER BY first`
	sqliteBefore   = `SELECT first, count, at, epoch, prev, sealed FROM frames WHERE first < ? ORDER BY first DESC LIMIT 1`
	sqliteSalts    = `SELECT epoch, salt FROM epochs`
	sqliteNewEpoch = `INSERT INTO epochs(epoch, salt) SELECT coalesce(max(epoch), 0) + 1, ? FROM epochs RETURNING epoch`
	sqliteSalt     = `INSERT INTO epochs(epoch, salt) VALUES(?, ?)`
	sqliteMeta     = `SELECT value FROM meta WHERE name = ?`
	sqliteSetMeta  = `INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value`
	sqliteRemove   = `DELETE FROM frames WHERE first < ?`
)

// sqliteTable is the journal in one file of a directory, with SQLite's own -wal and -shm and a lock beside it.
type sqliteTable struct {
	path   string
	source string
	held   *os.File // the lock, held by the writer for its life
	faults engine.Faults

	writer *sqlite3.Conn
	insStm *sqlite3.Stmt
	log    *logFile // the writer's

	reading sync.Mutex // the reader serves one caller at a time; it never waits for the writer
	reader  *sqlite3.Conn
	pageStm *sqlite3.Stmt
	befStm  *sqlite3.Stmt
}

func openSQLite(o Options) (*sqliteTable, error) {
	path := filepath.Join(o.Dir, fileName)
	source := url.URL{Scheme: "file", OmitHost: true, Path: path}
	if o.FileSystem != "" {
		source.RawQuery = url.Values{"vfs": {o.FileSystem}}.Encode()
	}
	t := &sqliteTable{path: path, source: source.String(), faults: o.Faults}
	err := t.connect(o)
	if err != nil {
		return nil, errors.Join(explainOpen(err, path), t.close())
	}
	return t, nil
}

func (t *sqliteTable) connect(o Options) (err error) {
	if o.Follow {
		if _, err := os.Stat(t.path); errors.Is(err, os.ErrNotExist) {
			return missing(t.path)
		}
		return t.openReader()
	}
	if t.held, err = takeLock(filepath.Join(o.Dir, lockName)); err != nil {
		return err
	}
	// The file is made here, so that its mode, and those of the files that SQLite puts beside it, are for nobody else.
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := t.openWriter(o.FileSystem); err != nil {
		return err
	}
	return t.openReader()
}

func (t *sqliteTable) openWriter(below string) error {
	system, err := over(below)
	if err != nil {
		return err
	}
	source := url.URL{Scheme: "file", OmitHost: true, Path: t.path, RawQuery: url.Values{"vfs": {system}}.Encode()}
	if t.writer, err = sqlite3.Open(source.String()); err != nil {
		return err
	}
	if err := t.writer.Exec(sqliteSession); err != nil {
		return err
	}
	if err := t.makeTables(); err != nil {
		return err
	}
	if t.log, err = logOf(t.writer); err != nil {
		return err
	}
	if err := t.log.extend(); err != nil {
		return err
	}
	t.insStm, _, err = t.writer.Prepare(sqliteInsert)
	return err
}

func (t *sqliteTable) makeTables() error {
	found, err := t.version()
	if err != nil {
		return err
	}
	if found > version {
		return newer(t.path, "tables of version", version, uint64(found))
	}
	return t.writer.Exec(sqliteTables)
}

func (t *sqliteTable) version() (int64, error) {
	stm, _, err := t.writer.Prepare(sqliteVersion)
	if err != nil {
		return 0, err
	}
	defer stm.Close()
	stm.Step()
	return stm.ColumnInt64(0), stm.Err()
}

func (t *sqliteTable) openReader() (err error) {
	if t.reader, err = sqlite3.OpenFlags(t.source, sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI); err != nil {
		return err
	}
	if err := t.reader.Exec(sqliteReader); err != nil {
		return err
	}
	// Whoever only reads leaves the files as they are, even when it is the last one to close them.
	if _, err := t.reader.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
		return err
	}
	if t.pageStm, _, err = t.reader.Prepare(sqlitePage); err != nil {
		return err
	}
	t.befStm, _, err = t.reader.Prepare(sqliteBefore)
	return err
}

// explainOpen turns what SQLite says of a file that is no database into a refusal with the next command.
func explainOpen(err error, path string) error {
	if errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) {
		return fmt.Errorf("%w: %w", spend.Distrust("journal-damaged", path, "a whole database", "bytes that no database has", fixDamaged), err)
	}
	return fmt.Errorf("journal %s: %w", path, err)
}

// takeLock holds an advisory lock on a file of its own until the process ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, inUse(path)
		}
		return nil, err
	}
	return f, nil
}

func inUse(place string) error {
	return spend.Refuse("journal-in-use", place, "a journal that no other engine writes", "a running engine on it",
		"leave that one running, or stop it first; a standby takes over by itself when it ends")
}

func (t *sqliteTable) place() string { return t.path }

// lock has nothing to do: opening for writing took it, before any file was touched.
func (t *sqliteTable) lock(context.Context) error { return nil }

func (t *sqliteTable) claim(_ context.Context, salt []byte) (uint64, error) {
	stm, _, err := t.writer.Prepare(sqliteNewEpoch)
	if err != nil {
		return 0, err
	}
	defer stm.Close()
	if err := stm.BindBlob(1, salt); err != nil {
		return 0, err
	}
	stm.Step()
	epoch := uint64(stm.ColumnInt64(0))
	for stm.Step() { // to its end, so that it commits
	}
	if err := stm.Err(); err != nil {
		return 0, err
	}
	// The log was made just now, at the latest. Its name must be as durable as what will be written to it; the driver
	// flushes the file where it means the directory.
	return epoch, syncDir(filepath.Dir(t.path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (t *sqliteTable) insert(_ context.Context, r *row, meanwhile func()) error {
	t.fault("journal-bind")
	s := t.insStm
	if err := errors.Join(s.BindInt64(1, int64(r.first)), s.BindInt64(2, int64(r.count)), s.BindInt64(3, int64(r.at)),
		s.BindInt64(4, int64(r.epoch)), s.BindBlob(5, r.prev[:]), s.BindBlob(6, r.sealed)); err != nil {
		return err
	}
	t.fault("journal-commit")
	t.log.meanwhile = meanwhile
	err := s.Exec()
	t.log.meanwhile = nil
	if errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY) || errors.Is(err, sqlite3.CONSTRAINT_ROWID) {
		return fmt.Errorf("frame %d: %w", r.first, errTaken)
	}
	if err == nil {
		t.fault("journal-committed")
	} else if t.full() {
		return fmt.Errorf("%w: %w", err, syscall.ENOSPC)
	}
	return err
}

// full looks whether the disk, or the limit on the size of files, has no room for a frame. SQLite forgets the reason of
// a failed write while it undoes the transaction.
func (t *sqliteTable) full() bool {
	var disk unix.Statfs_t
	if unix.Statfs(filepath.Dir(t.path), &disk) == nil && disk.Bavail*uint64(disk.Bsize) < FrameMax {
		return true
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) != nil || limit.Cur == unix.RLIM_INFINITY {
		return false
	}
	for _, name := range []string{t.path, t.path + "-wal"} {
		if info, err := os.Stat(name); err == nil && uint64(info.Size())+FrameMax > limit.Cur {
			return true
		}
	}
	return false
}

func (t *sqliteTable) fault(point string) {
	if t.faults != nil {
		t.faults(point)
	}
}

// scan reads the row that a statement stands on; its bytes go to buf.
func scan(s *sqlite3.Stmt, buf []byte) (r row, out []byte, err error) {
	r = row{first: uint64(s.ColumnInt64(0)), count: uint64(s.ColumnInt64(1)), at: exchange.Millis(s.ColumnInt64(2)), epoch: uint64(s.ColumnInt64(3))}
	if prev := s.ColumnRawBlob(4); len(prev) == len(r.prev) {
		r.prev = [32]byte(prev)
	}
	sealed := s.ColumnRawBlob(5)
	if len(sealed) > FrameMax+1024 {
		return r, buf, fmt.Errorf("frame %d of %d bytes", r.first, len(sealed))
	}
	start := len(buf)
	buf = append(buf, sealed...)
	r.sealed = buf[start:len(buf):len(buf)]
	return r, buf, nil
}

func (t *sqliteTable) page(ctx context.Context, first uint64, p *page) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	if err := cmp.Or(ctx.Err(), t.closed()); err != nil {
		return err
	}
	s := t.pageStm
	defer s.Reset() // its error is that of the last Step, which s.Err told already
	if err := s.BindInt64(1, int64(first)); err != nil {
		return err
	}
	for !p.full() && s.Step() {
		r, buf, err := scan(s, p.bytes)
		if err != nil {
			return err
		}
		p.rows, p.bytes = append(p.rows, r), buf
	}
	return t.explainRead(s.Err())
}

// closed says that the journal was closed while somebody still read it.
func (t *sqliteTable) closed() error {
	if t.reader == nil {
		return errClosed
	}
	return nil
}

func (t *sqliteTable) explainRead(err error) error {
	if err == nil {
		return nil
	}
	return explainOpen(err, t.path)
}

func (t *sqliteTable) before(_ context.Context, first uint64) (r row, found bool, err error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if err := t.closed(); err != nil {
		return r, false, err
	}
	s := t.befStm
	defer s.Reset()
	if err := s.BindInt64(1, int64(first)); err != nil {
		return r, false, err
	}
	if s.Step() {
		if r, _, err = scan(s, nil); err != nil {
			return r, false, err
		}
		found = true
	}
	return r, found, t.explainRead(s.Err())
}

func (t *sqliteTable) salts(context.Context) (map[uint64][]byte, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if err := t.closed(); err != nil {
		return nil, err
	}
	s, _, err := t.reader.Prepare(sqliteSalts)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out := map[uint64][]byte{}
	for s.Step() {
		out[uint64(s.ColumnInt64(0))] = s.ColumnBlob(1, nil)
	}
	return out, t.explainRead(s.Err())
}

func (t *sqliteTable) meta(_ context.Context, name string) ([]byte, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if err := t.closed(); err != nil {
		return nil, err
	}
	s, _, err := t.reader.Prepare(sqliteMeta)
	if err != nil {
		return nil, t.explainRead(err)
	}
	defer s.Close()
	if err := s.BindText(1, name); err != nil {
		return nil, err
	}
	if s.Step() {
		return s.ColumnBlob(0, []byte{}), t.explainRead(s.Err())
	}
	return nil, t.explainRead(s.Err())
}

func (t *sqliteTable) setMeta(_ context.Context, name string, value []byte) error {
	s, _, err := t.writer.Prepare(sqliteSetMeta)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := errors.Join(s.BindText(1, name), s.BindBlob(2, value)); err != nil {
		return err
	}
	return s.Exec()
}

func (t *sqliteTable) remove(ctx context.Context, below uint64, name string, value []byte) (err error) {
	t.fault("journal-prune")
	tx, err := t.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	s, _, err := t.writer.Prepare(sqliteRemove)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.BindInt64(1, int64(below)); err != nil {
		return err
	}
	if err := s.Exec(); err != nil {
		return err
	}
	t.fault("journal-prune-mark")
	return t.setMeta(ctx, name, value)
}

func (t *sqliteTable) restoreSalts(_ context.Context, salts map[uint64][]byte) (err error) {
	tx, err := t.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	s, _, err := t.writer.Prepare(sqliteSalt)
	if err != nil {
		return err
	}
	defer s.Close()
	for epoch, salt := range salts {
		if err := errors.Join(s.BindInt64(1, int64(epoch)), s.BindBlob(2, salt), s.Exec()); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTable) restoreRows(ctx context.Context, rows []row) (err error) {
	tx, err := t.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	for i := range rows {
		if err := t.insert(ctx, &rows[i], nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTable) close() error {
	t.reading.Lock()
	defer t.reading.Unlock()
	var errs []error
	for _, s := range []*sqlite3.Stmt{t.insStm, t.pageStm, t.befStm} {
		errs = append(errs, s.Close()) // of nil it does nothing
	}
	for _, c := range []*sqlite3.Conn{t.reader, t.writer} { // the writer last: it folds the log into the file
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	if t.held != nil {
		errs = append(errs, t.held.Close())
	}
	t.insStm, t.pageStm, t.befStm, t.reader, t.writer, t.held = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
