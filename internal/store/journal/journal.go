// Package journal keeps the frames of commands in one durable order, in SQLite (default) or in PostgreSQL. It is the
// truth of the exchange: ledger, books and records are what replaying it gives.
//
// One frame is one row, and one row is one commit:
//
//	first   sequence number of the first command; the primary key, by which a second writer is refused
//	count   how many commands
//	at      the engine's time, milliseconds
//	epoch   which writer wrote it: every opening for writing is an epoch of its own
//	prev    SHA-256 over the row before it, 32 bytes (zeros before the first)
//	sealed  the commands, AES-256-GCM: ciphertext and tag
//
// The key of an epoch is HKDF-SHA256(store key, salt of the epoch, "coldsign journal frame v1"), the nonce is four zero
// bytes and first, big endian. A nonce is never used twice with one key: within an epoch first only rises and a failed
// frame is not tried again, and every epoch has its own random salt. That matters because a frame that was being written
// when the process died may lie on the disk beside the one that took its number later. Everything but sealed is
// authenticated as additional data; the next row holds the hash over all of it. So no command is in plain text in any
// file, and a frame that was changed, moved, cut or taken out is found and named.
//
// The salt of an epoch also names the language of the commands that its writer wrote (exchange.Language): 32 random
// bytes, and from language 2 on four more, the language, big endian. All of them make the key, so a language that was
// changed in the database opens no frame. A journal is in the language of its last frame: a newer program raises it with
// the first frame that it writes, not by opening the journal, and from then on an older one refuses to open or to follow
// (journal-newer).
//
// A meta row holds what pruning left: the last sequence number that is gone and the hash up to it, with an HMAC.
//
// What may never happen here: a frame overwritten, a second writer that goes unnoticed, a failed write tried again on
// the same handle (after a failed fsync the kernel may have dropped the pages and call the next one a success), or SQL
// built from data.
package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	keyBytes = 32
	// FrameMax is the longest commands part of a frame: a full body of one command and a queue of small ones.
	FrameMax  = 8 << 20
	pageRows  = 256     // frames that are read at once
	pageBytes = 4 << 20 // and after how many bytes no further one is
)

// Options say which journal to open.
type Options struct {
	Dir   string // SQLite: a directory that exists, 0700
	URL   string // PostgreSQL: the connection string; it may hold a password and is never in an error
	Group string // PostgreSQL: which market group's journal it is, at most 64 characters; SQLite has a directory for each
	Key   []byte // 32 bytes: the store key

	// Follow opens the journal for reading, beside its writer.
	Follow bool
	// Language is the newest language of commands that is read here, and the one that is written; zero: exchange.Language.
	Language uint32

	Random     io.Reader     // for salts; nil: the operating system
	Faults     engine.Faults // told every boundary of a write
	FileSystem string        // SQLite: the name of its VFS; empty: the plain one
}

// row is a frame as the databases hold it. Its slices may share memory with a buffer of the reader.
type row struct {
	first  uint64
	count  uint64
	at     exchange.Millis
	epoch  uint64
	prev   [32]byte
	sealed []byte
}

// table is what the two databases have in common. Methods for reading may run beside one for writing.
type table interface {
	// lock takes the writer's place, or refuses it (journal-in-use).
	lock(ctx context.Context) error
	// claim begins a new epoch.
	claim(ctx context.Context, salt []byte) (epoch uint64, err error)
	// insert commits a row durably. errTaken: the place of its first is taken, or a later writer has the journal.
	// meanwhile may be nil; it is called at most once, and has returned when insert does.
	insert(ctx context.Context, r *row, meanwhile func()) error
	// page appends the rows from first on, in order, to p: at least one if there is one.
	page(ctx context.Context, first uint64, p *page) error
	// before returns the last row whose first is below.
	before(ctx context.Context, first uint64) (row, bool, error)
	// salts returns the salts of all epochs.
	salts(ctx context.Context) (map[uint64][]byte, error)
	// remove takes out the rows whose first is below and remembers value under name, both or neither.
	remove(ctx context.Context, below uint64, name string, value []byte) error
	meta(ctx context.Context, name string) ([]byte, error) // nil when there is none
	setMeta(ctx context.Context, name string, value []byte) error
	// restoreSalts and restoreRows write what a backup holds into an empty journal.
	restoreSalts(ctx context.Context, salts map[uint64][]byte) error
	restoreRows(ctx context.Context, rows []row) error
	close() error
	place() string // how errors call it
}

// page is some rows and the memory that holds their bytes.
type page struct {
	rows  []row
	bytes []byte
}

func (p *page) full() bool { return len(p.rows) >= pageRows || len(p.bytes) >= pageBytes }

func (p *page) reset() { p.rows, p.bytes = p.rows[:0], p.bytes[:0] }

// errTaken says that somebody else's frame stands where this one was to go.
var errTaken = errors.New("the place is taken")

var errClosed = errors.New("the journal is closed")

// Journal is an open journal. Append and Prune are for one writer; reading may happen beside them.
type Journal struct {
	table    table
	keys     keyring
	language uint32

	writing sync.Mutex // held by Append and Prune
	epoch   uint64     // zero: opened to follow
	last    uint64
	at      exchange.Millis
	head    [32]byte
	sealed  []byte // reused
	stopped error  // why nothing is taken any more
}

// Open opens the journal, or makes it. It refuses a wrong key (journal-key-wrong), a journal that another process
// writes (journal-in-use), one of a newer program (journal-newer), a PostgreSQL server that does not commit durably
// (journal-not-durable), and a last frame that is damaged (journal-damaged). Verify checks all the others.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if len(o.Key) != keyBytes || (o.Dir == "") == (o.URL == "") || len(o.Group) > 64 {
		return nil, fmt.Errorf("journal options: a key of %d bytes (32), and either a directory or a server, are needed", len(o.Key))
	}
	var t table
	var err error
	if o.Dir != "" {
		t, err = openSQLite(o)
	} else {
		t, err = openPostgres(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return open(ctx, t, o)
}

// open takes over the tables, and closes them when it fails.
func open(ctx context.Context, t table, o Options) (*Journal, error) {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	j := &Journal{table: t, language: o.language()}
	if err := j.begin(ctx, o); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return j, nil
}

func (o Options) language() uint32 { return cmp.Or(o.Language, exchange.Language) }

func (j *Journal) begin(ctx context.Context, o Options) error {
	keys, err := newKeyring(o.Key)
	if err != nil {
		return err
	}
	j.keys = keys
	fresh, err := j.checkKey(ctx, o.Follow)
	if err != nil {
		return err
	}
	if !o.Follow {
		if err := j.claim(ctx, o.Random); err != nil {
			return err
		}
	}
	if fresh {
		if err := j.table.setMeta(ctx, metaKey, j.keys.check()); err != nil {
			return err
		}
	}
	if err := j.learnSalts(ctx); err != nil {
		return err
	}
	return j.toEnd(ctx)
}

// claim takes the writer's place and begins an epoch. A journal in a newer language is left as it is.
func (j *Journal) claim(ctx context.Context, random io.Reader) error {
	if err := j.table.lock(ctx); err != nil {
		return err
	}
	if err := j.learnSalts(ctx); err != nil {
		return err
	}
	r, found, err := j.table.before(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	if found {
		if err := j.understands(&r); err != nil {
			return err
		}
	}
	salt, err := newSalt(random, j.language)
	if err != nil {
		return err
	}
	j.epoch, err = j.table.claim(ctx, salt)
	return err
}

// understands refuses a row whose commands are in a newer language than this program's.
func (j *Journal) understands(r *row) error {
	if e, known := j.keys.epoch(r.epoch); known && e.language > j.language {
		return newer(j.table.place(), "commands of language", uint64(j.language), uint64(e.language))
	}
	return nil
}

func newer(place, what string, known, found uint64) error {
	return spend.Refuse("journal-newer", place, fmt.Sprintf("%s %d or older", what, known), fmt.Sprintf("%d", found),
		"run the version of the program that wrote it, or a newer one; nothing was changed")
}

// checkKey compares the key with the one that made the journal, so that a wrong one is not taken for damage. It reports
// whether there is no journal yet, which only a writer may find.
func (j *Journal) checkKey(ctx context.Context, follow bool) (fresh bool, err error) {
	found, err := j.table.meta(ctx, metaKey)
	if err != nil {
		return false, err
	}
	begun, err := j.table.meta(ctx, metaRestore)
	switch {
	case err != nil:
		return false, err
	case len(begun) == 1 && begun[0] == 1:
		return false, spend.Distrust("restore-unfinished", j.table.place(), "a journal that was restored to its end", "one whose restore failed or still runs",
			"remove it and restore a whole backup into an empty place")
	case found == nil && follow:
		return false, missing(j.table.place())
	case found != nil && !equal(found, j.keys.check()):
		return false, spend.Distrust("journal-key-wrong", j.table.place(), "the key that the journal was made with", "another key",
			"give the store key of this exchange; it stands in the configuration under store.key")
	}
	return found == nil, nil
}

func missing(place string) error {
	return spend.Refuse("journal-missing", place, "a journal", "none", "start the engine that writes it first")
}

func (j *Journal) learnSalts(ctx context.Context) error {
	salts, err := j.table.salts(ctx)
	if err != nil {
		return err
	}
	return j.keys.learn(salts)
}

// toEnd proves the last frame and takes its numbers.
func (j *Journal) toEnd(ctx context.Context) error {
	pruned, hash, err := j.anchor(ctx)
	if err != nil {
		return err
	}
	r, found, err := j.table.before(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	if !found {
		j.last, j.head = pruned, hash
		return nil
	}
	if err := j.understands(&r); err != nil {
		return err
	}
	if _, err := j.keys.open(nil, &r); err != nil {
		return j.damaged(&r)
	}
	j.last, j.at, j.head = r.first+r.count-1, r.at, r.hash()
	return nil
}

// Append makes a frame durable. See engine.Journal.
func (j *Journal) Append(ctx context.Context, f engine.Frame, meanwhile func()) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	switch {
	case j.stopped != nil:
		return j.stopped
	case j.epoch == 0:
		return errors.New("the journal was opened to follow, not to write")
	case f.First <= j.last:
		return j.stop(fmt.Errorf("frame %d: %w", f.First, errTaken))
	case f.First != j.last+1 || f.Count < 1 || len(f.Commands) == 0 || len(f.Commands) > FrameMax || f.At < j.at:
		return fmt.Errorf("frame %d of %d commands, %d bytes, at %d does not follow command %d at %d", f.First, f.Count, len(f.Commands), f.At, j.last, j.at)
	}
	r := row{first: f.First, count: uint64(f.Count), at: f.At, epoch: j.epoch, prev: j.head}
	j.sealed = j.keys.seal(j.sealed[:0], &r, f.Commands)
	r.sealed = j.sealed
	head := r.hash()
	if err := j.table.insert(ctx, &r, meanwhile); err != nil {
		return j.stop(err)
	}
	j.last, j.at, j.head = f.First+r.count-1, f.At, head
	return nil
}

// stop ends the writing for good and returns what every later Append gets as well.
func (j *Journal) stop(err error) error {
	j.stopped = explain(err, j.table.place(), j.last)
	return j.stopped
}

// Last returns the sequence number of the last durable command.
func (j *Journal) Last(ctx context.Context) (uint64, error) {
	r, found, err := j.table.before(ctx, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	if !found {
		pruned, _, err := j.anchor(ctx)
		return pruned, err
	}
	return r.first + r.count - 1, nil
}

// Close gives up the writer's place and the database.
func (j *Journal) Close() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	if j.stopped == nil {
		j.stopped = errClosed
	}
	return j.table.close()
}
