package store

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Tip returns the highest block applied, or the zero hash when there is none.
func (s *Store) Tip(ctx context.Context) (uint32, chainhash.Hash, error) {
	return 0, chainhash.Hash{}, errUnfinished
}

// HashAt returns the hash of the block applied at height, or the zero hash.
func (s *Store) HashAt(ctx context.Context, height uint32) (chainhash.Hash, error) {
	return chainhash.Hash{}, errUnfinished
}

// Apply records a verified block: coins that pay our scripts, our coins it spends, transactions of ours it confirms.
func (s *Store) Apply(ctx context.Context, height uint32, hash, prev chainhash.Hash, block *wire.MsgBlock) error {
	return errUnfinished
}

// Rollback undoes every block above height.
func (s *Store) Rollback(ctx context.Context, height uint32) error { return errUnfinished }

// StateHash digests everything that blocks decide: blocks, coins, heights of transactions and states of intents.
// Applying blocks and rolling them back gives the same hash again. Index counters and events only ever grow and are
// not part of it.
func (s *Store) StateHash(ctx context.Context) ([32]byte, error) { return [32]byte{}, errUnfinished }

// Confirmations returns how many blocks, its own included, bury a transaction that paid or spent one of our coins; 0
// when no block has it.
func (s *Store) Confirmations(ctx context.Context, txid chainhash.Hash) (uint32, error) {
	return 0, errUnfinished
}
