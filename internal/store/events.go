package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	eventTag      = "coldsign/store-event/v1"
	eventBytesMax = 64 << 10
)

// Event is one line of the append-only audit list. Its hash covers the hash before it:
// SHA-256(tag, previous hash, seq, at, kind, text), text fields with their length before them, numbers as 8 bytes big
// endian; before the first event stands a hash of zeros. A changed, removed or inserted line breaks every later one; a
// cut tail shows only against a hash that was kept elsewhere.
type Event struct {
	Seq  uint64 // from 1
	At   int64  // Unix seconds
	Kind string // e.g. "intent-sealed"
	Text string // JSON
	Hash [32]byte
}

func (e Event) chained(prev [32]byte) [32]byte {
	h := sha256.New()
	number := func(n uint64) { h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	field := func(text string) { number(uint64(len(text))); h.Write([]byte(text)) }
	field(eventTag)
	h.Write(prev[:])
	number(e.Seq)
	number(uint64(e.At))
	field(e.Kind)
	field(e.Text)
	return [32]byte(h.Sum(nil))
}

const (
	selectLastEvent = "SELECT seq, at, kind, text, hash FROM events ORDER BY seq DESC LIMIT 1"
	selectEvents    = "SELECT seq, at, kind, text, hash FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
	insertEvent     = "INSERT INTO events(seq, at, kind, text, hash) VALUES(?, ?, ?, ?, ?)"
)

func scanEvent(row scanner) (e Event, err error) {
	return e, row.Scan(&e.Seq, &e.At, &e.Kind, &e.Text, into(&e.Hash))
}

// fact is the detail of an event that the store itself writes.
type fact map[string]any

// log appends an event within a transaction, so that a step and its line are one.
func (s *Store) log(ctx context.Context, tx *sql.Tx, kind string, detail any) (Event, error) {
	text, err := json.Marshal(detail)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", kind, err)
	}
	if len(text) > eventBytesMax {
		return Event{}, fmt.Errorf("event %s has %d bytes, at most %d", kind, len(text), eventBytesMax)
	}
	last, err := scanEvent(tx.QueryRowContext(ctx, selectLastEvent))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Event{}, err
	}
	e := Event{Seq: last.Seq + 1, At: s.now(), Kind: kind, Text: string(text)}
	e.Hash = e.chained(last.Hash)
	_, err = tx.ExecContext(ctx, insertEvent, int64(e.Seq), e.At, e.Kind, e.Text, e.Hash[:])
	return e, err
}

// Log appends an event; detail is encoded as JSON.
func (s *Store) Log(ctx context.Context, kind string, detail any) (e Event, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		e, err = s.log(ctx, tx, kind, detail)
		return err
	})
	return e, err
}

// Events returns up to limit events after seq, oldest first.
func (s *Store) Events(ctx context.Context, after uint64, limit int) ([]Event, error) {
	var out []Event
	rows, err := s.reader.QueryContext(ctx, selectEvents, int64(after), limit)
	err = each(rows, err, func(row scanner) error {
		e, err := scanEvent(row)
		out = append(out, e)
		return err
	})
	return out, err
}

// VerifyEvents recomputes the whole chain of hashes and returns the last event; a broken link is a refusal
// (events-tampered).
func (s *Store) VerifyEvents(ctx context.Context) (Event, error) {
	var last Event
	rows, err := s.reader.QueryContext(ctx, selectEvents, 0, -1)
	err = each(rows, err, func(row scanner) error {
		e, err := scanEvent(row)
		if err != nil {
			return err
		}
		if e.Seq != last.Seq+1 || e.Hash != e.chained(last.Hash) {
			return spend.Distrust("events-tampered", fmt.Sprintf("event %d", last.Seq+1), "an event that continues the chain of hashes",
				fmt.Sprintf("event %d %s", e.Seq, e.Kind), "the operator stops, keeps a copy of the records, and compares them with a backup")
		}
		last = e
		return nil
	})
	return last, err
}
