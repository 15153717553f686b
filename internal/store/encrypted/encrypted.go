// Package encrypted opens SQLite files of which every page is encrypted, and keeps them to one process at a time.
//
// The cipher is Adiantum under a key of 32 bytes: a file is a row of blocks of 4096 bytes, each encrypted by itself with
// its place as the tweak, in the file of the database and in its log (-wal) alike. That hides what is written and does
// not prove who wrote it; rooms that need proof bring their own. A log's frame is a page with 24 bytes before it, so that
// SQLite's own writes meet no block's border: frames.go gathers those of a transaction.
//
// What may never happen here: a page written in clear, a key in an error or in a file's name, or a frame of a finished
// transaction that is held back.
package encrypted

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/vfs"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // registers the encrypting file system by its name
	"golang.org/x/sys/unix"
)

// KeyBytes is how long a key is.
const KeyBytes = 32

const (
	// system is the name by which SQLite finds the file system of this room.
	system     = "coldsign"
	everywhere = "PRAGMA busy_timeout=10000; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON"
)

// Options say which file to open.
type Options struct {
	Path  string
	Key   []byte                    // 32 bytes; the caller may wipe it afterwards
	Begin func(*sqlite3.Conn) error // tells every new connection what does not hold for all encrypted files
	Most  int                       // connections at a time
}

// ErrLocked says that a process that still runs holds the lock.
var ErrLocked = errors.New("another process has it open")

// Open opens a pool of connections to a file, which Create made. Nothing is read before the first question.
func Open(o Options) (*sql.DB, error) {
	source, begin, err := unlocked(o)
	if err != nil {
		return nil, err
	}
	pool, err := driver.Open(source, begin)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(o.Most)
	return pool, nil
}

// Connect opens one connection, without database/sql around it, for one goroutine at a time.
func Connect(o Options) (*sqlite3.Conn, error) {
	source, begin, err := unlocked(o)
	if err != nil {
		return nil, err
	}
	c, err := sqlite3.Open(source)
	if err != nil {
		return nil, err
	}
	if err := begin(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// unlocked returns where a file is, and what gives a new connection its key before anything is read. The key goes in as
// a PRAGMA, which takes no parameter: hexadecimal digits of our own making are the one text in this room that joins SQL.
func unlocked(o Options) (source string, begin func(*sqlite3.Conn) error, err error) {
	if len(o.Key) != KeyBytes {
		return "", nil, fmt.Errorf("a key of %d bytes, where %d are needed", len(o.Key), KeyBytes)
	}
	// The same file system again, if it is known already. It keeps nothing of its own.
	vfs.Register(system, frameSystem{vfs.Find("adiantum")})
	where := url.URL{Scheme: "file", OmitHost: true, Path: o.Path, RawQuery: "vfs=" + system}
	unlock := "PRAGMA hexkey='" + hex.EncodeToString(o.Key) + "'"
	return where.String(), func(c *sqlite3.Conn) error {
		if err := c.Exec(unlock); err != nil {
			return errors.New("the file system refuses the key") // the driver's error would quote the statement
		}
		if err := c.Exec(everywhere); err != nil {
			return err
		}
		return o.Begin(c)
	}, nil
}

// Create makes an empty file that nobody else may read, where there is none.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Protect takes away the rights that SQLite gave to others for the files that it made itself, with the mode of the
// umask. They hold no plain text, and still are nobody else's. The database must have been read or written before: only
// then are they there.
func Protect(path string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Lock holds an advisory lock on a file of its own until the file is closed or the process ends, however it ends.
// ErrLocked: another process holds it.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// IsDamaged reports whether SQLite found bytes that no database has: another key, or a damaged file.
func IsDamaged(err error) bool {
	return errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT)
}
