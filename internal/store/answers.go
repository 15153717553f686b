package store

import "context"

// Answer is what a signer gave back for a bundle.
type Answer struct {
	Bundle   [32]byte
	Position int // of the key in the wallet
	Bytes    []byte
	Counter  uint64
	Refusal  string // code; empty when it signed
	At       int64  // Unix seconds; set by the store
	Nonces   []Nonce
}

// Nonce is the public half of a signature's nonce with what it signed.
type Nonce struct {
	PubKey [33]byte
	R      [32]byte
	Digest [32]byte
}

// AddAnswer stores a verified answer to the live bundle of a sealed intent, and its nonces. The same bytes again change
// nothing and return false. Refusals: answer-conflict (other bytes by the same key), answer-counter-reused,
// bundle-unknown, bundle-replaced, intent-state, and nonce-reused, which halts the store for a person to look.
func (s *Store) AddAnswer(ctx context.Context, a Answer) (fresh bool, err error) {
	return false, errUnfinished
}

// Answers returns the answers to a bundle by position, without nonces.
func (s *Store) Answers(ctx context.Context, bundle [32]byte) ([]Answer, error) {
	return nil, errUnfinished
}

// Halt is a standing alarm: while there is one, nothing is proposed, sealed or finished.
type Halt struct {
	Code string
	Text string
	At   int64
}

// Halt raises an alarm.
func (s *Store) Halt(ctx context.Context, code, text string) error { return errUnfinished }

// Halts returns the standing alarms.
func (s *Store) Halts(ctx context.Context) ([]Halt, error) { return nil, errUnfinished }

// ClearHalts takes the alarms down; by says who decided it, and goes into the events.
func (s *Store) ClearHalts(ctx context.Context, by, reason string) error { return errUnfinished }
