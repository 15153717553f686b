// Package records keeps what can be asked later: accounts, keys, orders, trades, candles, balances, deposits and
// withdrawals, as projections of the journal, in SQLite or PostgreSQL.
//
// A follower hands over the events of committed frames (Write). They are gathered for a moment (gather.go) and go into the
// tables together with the sequence number of the last command, in one transaction: a process that dies between two of
// them is told the same events again, and takes each exactly once. Nothing here decides anything. Records that are lost or doubted are made again
// from the journal (Rebuild), compared with the engine's state (Compare), and have a hash (Hash) that is equal wherever
// the same journal was followed with the same key, in either database.
//
// SQLite encrypts every page with Adiantum. A PostgreSQL server sees what a query must filter or sum by: numbers of
// accounts, orders, amounts, times. Names, addresses, labels, transactions, intents and secrets are sealed field by
// field before they leave this room, in both databases (seal.go).
//
// An amount is a whole number of up to 39 digits: numeric(39,0) in PostgreSQL, text of exactly 39 digits in SQLite,
// whose own numbers end at 63 bits.
//
// What may never happen here: SQL built from data (a house test reads every statement), a float near an amount, a
// record without its sequence, or an answer that knows less than the question demands.
package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/encrypted"
)

const (
	keyBytes = encrypted.KeyBytes
	version  = 3 // of the tables
	// waitMax is how long an answer waits for the command that the question names; after that it is Busy.
	waitMax = 2 * time.Second
	// pollEvery is for records that another process writes; a writer in this process wakes the readers itself.
	pollEvery = 10 * time.Millisecond
)

// Options say which records to open.
type Options struct {
	Dir string // SQLite: an existing directory, 0700
	URL string // PostgreSQL: its connection string; then Dir is not used
	Key []byte // 32 bytes; all records of one exchange need the same
	// Read opens records that another process writes.
	Read bool
}

// Records is the open database. Write, Rebuild and Restore are for one goroutine; everything else may be called from
// several.
type Records struct {
	db   database
	seal sealer

	gathering gathering
	life      context.Context // of transactions: it outlives those who tell
	kill      context.CancelFunc

	writing sync.Mutex // held by whoever makes a transaction
	batch   *batch
	charts  map[chart]*candle // the newest candle of each market and span, so that a trade needs no read
	seq     uint64            // as last written
	known   bool              // seq and charts are those of the tables
	written atomic.Uint64     // seq, for those who do not make transactions

	moving  sync.Mutex
	moved   chan struct{} // closed when records were written, or not
	closing sync.Once
	read    bool
}

// database is what SQLite and PostgreSQL have in common here.
type database interface {
	// commit runs the calls and then puts the rows, in one transaction. The first call must change exactly one row, else
	// nothing is changed and the error is ErrOther.
	commit(ctx context.Context, calls []call, many ...rows) error
	// tidy does what can wait until a transaction was announced.
	tidy()
	// view reads one unchanging state.
	view(ctx context.Context, do func(tx *sql.Tx) error) error
	close() error
}

// call is one statement, a constant, with its values.
type call struct {
	query string
	args  []any
}

// ErrOther says that somebody else wrote these records meanwhile. Whoever gets it must not write again before it has
// asked Last.
var ErrOther = errors.New("records: another follower writes them")

// ErrUnfinished says that these records were being restored or made again when that was interrupted.
var ErrUnfinished = errors.New("records: a restore did not end; make them again from the journal")

// Open opens the records, or makes them.
func Open(ctx context.Context, o Options) (*Records, error) {
	if len(o.Key) != keyBytes || (o.Dir == "") == (o.URL == "") {
		return nil, fmt.Errorf("records options: a key of %d bytes (%d), and a directory or a connection string, are needed", len(o.Key), keyBytes)
	}
	seal, err := newSealer(o.Key)
	if err != nil {
		return nil, err
	}
	r := &Records{seal: seal, batch: newBatch(seal), charts: map[chart]*candle{}, moved: make(chan struct{}), read: o.Read}
	r.gathering.wake, r.gathering.ended = make(chan struct{}, 1), make(chan struct{})
	r.life, r.kill = context.WithCancel(context.WithoutCancel(ctx))
	if o.URL != "" {
		r.db, err = openPostgres(ctx, o)
	} else {
		r.db, err = openSQLite(ctx, o)
	}
	if err != nil {
		r.kill()
		return nil, err
	}
	if err := r.check(ctx, o.Read); err != nil {
		r.kill()
		return nil, errors.Join(explainOpen(err, o.Dir), r.db.close())
	}
	go r.writeAlways() // until Close
	return r, nil
}

// check refuses records that were sealed with another key: reading them would fail one by one, and writing them would
// mix two keys.
func (r *Records) check(ctx context.Context, read bool) error {
	want := r.seal.proof()
	var found []byte
	err := r.db.view(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, selectProof).Scan(&found)
		if errors.Is(err, sql.ErrNoRows) && !read {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if found == nil {
		return r.db.commit(ctx, []call{{query: insertProof, args: []any{want}}})
	}
	if string(found) != string(want) {
		return errors.New("records: they were sealed with another key")
	}
	return nil
}

// Close writes what was told and ends the connections.
func (r *Records) Close() error {
	var err error
	r.closing.Do(func() { err = errors.Join(r.endWriting(), r.db.close()) })
	return err
}

// Last writes what was told and returns the sequence number of the last command whose events are in the tables: from
// there on events are to be told, also after a failure.
func (r *Records) Last(ctx context.Context) (uint64, error) {
	if err := r.Flush(ctx); err != nil {
		if ctx.Err() != nil {
			return 0, err
		}
		r.forgive()
	}
	return r.last(ctx)
}

func (r *Records) last(ctx context.Context) (uint64, error) {
	var seq uint64
	err := r.db.view(ctx, func(tx *sql.Tx) (err error) {
		seq, _, err = progress(ctx, tx)
		return err
	})
	return seq, err
}

func progress(ctx context.Context, tx *sql.Tx) (seq uint64, at exchange.Millis, err error) {
	var number int64
	if err := tx.QueryRowContext(ctx, selectProgress).Scan(&number, &at); err != nil {
		return 0, 0, fmt.Errorf("records: progress: %w", err)
	}
	if number < 0 {
		return 0, 0, ErrUnfinished
	}
	return uint64(number), at, nil
}

// wake lets waiting answers look again.
func (r *Records) wake() {
	r.moving.Lock()
	defer r.moving.Unlock()
	close(r.moved)
	r.moved = make(chan struct{})
}

// nextMove is closed when the next transaction ended.
func (r *Records) nextMove() <-chan struct{} {
	r.moving.Lock()
	defer r.moving.Unlock()
	return r.moved
}

// await waits until the records know a command, and reports whether they do.
func (r *Records) await(ctx context.Context, seq uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	for {
		moved := r.nextMove()
		r.call(seq)
		if r.written.Load() >= seq {
			return true, nil
		}
		last, err := r.last(ctx) // another process may write
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		case last >= seq:
			return true, nil
		}
		timer := time.NewTimer(pollEvery)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}
