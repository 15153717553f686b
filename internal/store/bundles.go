package store

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Bundle is a sealed bundle of an intent.
type Bundle struct {
	ID       [32]byte // bundle.ID: over intent bytes and payload
	Serial   uint64   // of its intent
	Bytes    []byte   // as sealed
	Payload  []byte   // the PSBT, with its proofs
	Plan     []byte   // the treasury's own record of how it was built
	TxID     chainhash.Hash
	SealedAt int64 // Unix seconds; set by the store
	Live     bool  // false once replaced
}

// Sealing is a bundle with everything that becomes true together with it.
type Sealing struct {
	Bundle      Bundle
	Coins       []wire.OutPoint // every input of the payload
	HasChange   bool
	ChangeIndex uint32    // must not be below the wallet's next change index, and is used up
	Replaces    *[32]byte // the live bundle that this one takes the place of; the two must share a coin
}

// Seal moves approved to sealed: it stores the bundle, reserves its coins and uses its change index up, all or nothing.
// With Replaces it exchanges the live bundle of a sealed intent. The same bundle again changes nothing.
// Refusals: coin-unavailable, coin-reserved, change-index-used, intent-expired, intent-state, replacement-shares-no-coin.
func (s *Store) Seal(ctx context.Context, sealing Sealing) error { return errUnfinished }

// LiveBundle returns the live bundle of an intent; none is a refusal (bundle-unknown).
func (s *Store) LiveBundle(ctx context.Context, serial uint64) (Bundle, error) {
	return Bundle{}, errUnfinished
}

// Bundle returns a bundle by its identity; an unknown one is a refusal (bundle-unknown).
func (s *Store) Bundle(ctx context.Context, id [32]byte) (Bundle, error) {
	return Bundle{}, errUnfinished
}

// Transaction is a final transaction of an intent. It is stored before it is sent.
type Transaction struct {
	TxID   chainhash.Hash
	Raw    []byte
	Serial uint64
	Height uint32 // of the block that has it, 0 while none has
}

// Finish moves sealed to signed with the final transaction of the live bundle; from here on Raw may be broadcast, and
// broadcast again. The same transaction again changes nothing.
func (s *Store) Finish(ctx context.Context, bundle [32]byte, raw []byte) (Transaction, error) {
	return Transaction{}, errUnfinished
}

// MarkBroadcast moves signed to broadcast once a node took the transaction. Again, or when it is confirmed already, it
// changes nothing.
func (s *Store) MarkBroadcast(ctx context.Context, serial uint64) error { return errUnfinished }

// Transaction returns the final transaction of an intent, or false when it has none yet.
func (s *Store) Transaction(ctx context.Context, serial uint64) (Transaction, bool, error) {
	return Transaction{}, false, errUnfinished
}

// Unconfirmed returns the final transactions of signed and broadcast intents that no block has: those to send (again).
func (s *Store) Unconfirmed(ctx context.Context) ([]Transaction, error) { return nil, errUnfinished }
