package store

import "context"

// Event is one line of the append-only audit list. Its hash covers the hash before it.
type Event struct {
	Seq  uint64 // from 1
	At   int64  // Unix seconds
	Kind string // e.g. "intent-sealed"
	Text string // JSON
	Hash [32]byte
}

// Log appends an event; detail is encoded as JSON.
func (s *Store) Log(ctx context.Context, kind string, detail any) (Event, error) {
	return Event{}, errUnfinished
}

// Events returns up to limit events after seq, oldest first.
func (s *Store) Events(ctx context.Context, after uint64, limit int) ([]Event, error) {
	return nil, errUnfinished
}

// VerifyEvents recomputes the whole chain of hashes and returns the last event; a broken link is a refusal
// (events-tampered).
func (s *Store) VerifyEvents(ctx context.Context) (Event, error) { return Event{}, errUnfinished }
