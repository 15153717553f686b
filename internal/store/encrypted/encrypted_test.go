package encrypted

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"pgregory.net/rapid"
)

func key(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func open(t *testing.T, path, name, pragmas string) *sql.DB {
	t.Helper()
	pool, err := Open(Options{Path: path, Key: key(name), Begin: func(c *sqlite3.Conn) error { return c.Exec(pragmas) }, Most: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

// plainly opens the same file as anybody else would, with the encrypting file system alone.
func plainly(t *testing.T, path string) *sql.DB {
	t.Helper()
	pool, err := driver.Open("file:"+path+"?vfs=adiantum", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(key("one")) + "'")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func count(t *testing.T, pool *sql.DB) (n int) {
	t.Helper()
	if err := pool.QueryRow("SELECT count(*) FROM notes").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	makeNotes = "CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL); CREATE INDEX notes_text ON notes(text)"
	addNotes  = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) INSERT INTO notes(text) SELECT hex(randomblob(200)) || $2 FROM n"
	small     = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=20; PRAGMA wal_autocheckpoint=300"
)

// Whoever reads the same files without the gathering sees every finished transaction at once, and nothing of one that
// was given up, however large it was and however little SQLite could keep in memory.
func TestEveryFinishedTransactionIsInTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	writer := open(t, path, "one", small)
	if _, err := writer.Exec(makeNotes); err != nil {
		t.Fatal(err)
	}
	other, mine, want := plainly(t, path), open(t, path, "one", small), 0
	for round := range 40 {
		tx, err := writer.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 1 + round*round // from one page to thousands, which do not fit into the cache
		if _, err := tx.Exec(addNotes, n, "x"); err != nil {
			t.Fatal(err)
		}
		if round%3 == 2 {
			err = tx.Rollback()
		} else {
			err, want = tx.Commit(), want+n
		}
		if err != nil {
			t.Fatal(err)
		}
		if a, b := count(t, other), count(t, mine); a != want || b != want {
			t.Fatalf("round %d: %d and %d notes, want %d", round, a, b, want)
		}
	}
	var verdict string
	if err := other.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatal(verdict, err)
	}
}

// A process that is killed leaves the files as they are: a copy of them has what was committed.
func TestAKilledProcessLosesNothingThatWasCommitted(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	path := filepath.Join(from, "notes.db")
	writer := open(t, path, "one", small)
	if _, err := writer.Exec(makeNotes); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 400; n += 57 {
		if _, err := writer.Exec(addNotes, 57, "x"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"notes.db", "notes.db-wal"} {
			raw, err := os.ReadFile(filepath.Join(from, name))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw, []byte("CREATE TABLE")) {
				t.Fatal(name, "is in clear")
			}
			if err := os.WriteFile(filepath.Join(to, name), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		os.Remove(filepath.Join(to, "notes.db-shm"))
		copied := open(t, filepath.Join(to, "notes.db"), "one", small)
		if got := count(t, copied); got != n+56 {
			t.Fatalf("%d notes, want %d", got, n+56)
		}
		if err := copied.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnotherKeyAndASecondProcessAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes.db")
	writer := open(t, path, "one", small)
	if _, err := writer.Exec(makeNotes); err != nil {
		t.Fatal(err)
	}
	if err := Protect(path); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", suffix, info, err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, "two", "").PingContext(context.Background()); err != nil && !IsDamaged(err) {
		t.Error(err)
	}
	if _, err := open(t, path, "two", "").Exec("SELECT * FROM notes"); !IsDamaged(err) {
		t.Error("another key:", err)
	}
	if _, err := Open(Options{Path: path, Key: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
	lock, err := Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(filepath.Join(dir, "lock")); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = Lock(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

// Whatever is written, read and cut in whatever order, the gathering file gives what a plain one gives, and after the
// last frame of a transaction nothing waits.
func TestTheGatheringFileIsAFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var below, model vfsutil.SliceFile
		f := &frameLog{File: &below, next: -1}
		next := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "acts") {
			at := next
			if rapid.IntRange(0, 5).Draw(t, "jump") == 0 {
				at = rapid.Int64Range(0, int64(len(model))).Draw(t, "at")
			}
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0: // anything
				p := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "bytes")
				both(t, f, &model, p, at)
				next = at + int64(len(p))
			case 1, 2: // a frame
				head, page := make([]byte, frameHead), bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, 512)
				head[0] = 7
				last := rapid.Bool().Draw(t, "last")
				if last {
					head[7] = 9
				}
				both(t, f, &model, head, at)
				both(t, f, &model, page, at+frameHead)
				if next = at + frameHead + 512; last && len(f.waiting) > 0 {
					t.Fatal("a finished transaction waits")
				}
			case 3:
				size := rapid.Int64Range(0, int64(len(model))).Draw(t, "size")
				if err := errors.Join(f.Truncate(size), model.Truncate(size)); err != nil {
					t.Fatal(err)
				}
				next = min(next, size)
			case 4:
				p, q := make([]byte, 300), make([]byte, 300)
				n, _ := f.ReadAt(p, at)
				m, _ := model.ReadAt(q, at)
				if n != m || !bytes.Equal(p, q) {
					t.Fatal("it reads something else")
				}
			}
		}
		size, err := f.Size()
		if err != nil || size != int64(len(model)) || !bytes.Equal(below, model) {
			t.Fatalf("%d bytes below, want %d: %v", size, len(model), err)
		}
	})
}

func both(t *rapid.T, f *frameLog, model *vfsutil.SliceFile, p []byte, at int64) {
	_, err1 := f.WriteAt(p, at)
	_, err2 := model.WriteAt(p, at)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
}
