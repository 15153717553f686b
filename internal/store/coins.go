package store

import (
	"context"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Coin is an output of the chain that pays one of our scripts.
type Coin struct {
	Outpoint   wire.OutPoint
	Wallet     spend.WalletID
	Branch     uint32
	Index      uint32
	Value      int64 // satoshi
	Height     uint32
	Coinbase   bool
	PrevTx     []byte // the transaction that made it, without witness; hashes to the outpoint
	ReservedBy uint64 // serial of the intent that holds it, 0 when free
}

// Balance sums the unspent coins of a wallet, in satoshi.
type Balance struct {
	Total     int64 // every unspent coin in the chain
	Reserved  int64 // of those, held by an intent
	Spendable int64 // of those, free, deep enough, and mature
}

// Spendable returns the coins of a wallet that are free, have at least depth confirmations and, when mined, 100;
// largest first.
func (s *Store) Spendable(ctx context.Context, wallet spend.WalletID, depth uint32) ([]Coin, error) {
	return nil, errUnfinished
}

// Coins returns every unspent coin of a wallet, reserved ones included, largest first.
func (s *Store) Coins(ctx context.Context, wallet spend.WalletID) ([]Coin, error) {
	return nil, errUnfinished
}

// Balance sums a wallet's unspent coins; depth is as in Spendable.
func (s *Store) Balance(ctx context.Context, wallet spend.WalletID, depth uint32) (Balance, error) {
	return Balance{}, errUnfinished
}
