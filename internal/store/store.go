// Package store keeps the daemon's records in one encrypted SQLite file.
//
// A directory holds lock (one daemon at a time), records.db and SQLite's own -wal and -shm files. Everything but the
// lock is encrypted page by page with Adiantum under a 32-byte key that the caller hands over; that hides the records
// and does not authenticate them, so events are hash-chained and an outpoint is remembered with its amount for good.
// One connection writes, in WAL mode with synchronous=FULL; readers have connections of their own and never block it.
//
// Life of an intent, each step one transaction together with its effect and its event:
//
//	proposed -> approved -> sealed -> signed -> broadcast -> confirmed
//	proposed | approved | sealed -> cancelled | expired
//	confirmed -> broadcast when a reorg takes the transaction out of the chain
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
	"errors"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

var errUnfinished = errors.New("unfinished")

// Options say which records to open.
type Options struct {
	Dir           string // must exist; 0700
	Key           []byte // 32 bytes
	Network       spend.Network
	Confirmations uint32           // blocks, its own included, after which a transaction is confirmed; at least 1
	Now           func() time.Time // stamps records and events, and decides about expiry
}

// Store is the open database. Its methods may be called from several goroutines.
type Store struct{}

// Open opens the records, or makes them, and brings the schema up to date. It refuses a wrong key (store-key-wrong), a
// directory that another process has open (store-in-use) and records of another network (store-other-network).
func Open(ctx context.Context, o Options) (*Store, error) { return nil, errUnfinished }

// Close ends the connections and gives up the lock.
func (s *Store) Close() error { return errUnfinished }
