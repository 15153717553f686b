package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
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

const (
	maturity = 100 // confirmations before a mined coin may be spent, by consensus

	selectCoins = `SELECT coins.txid, vout, wallet, branch, idx, value, height, coinbase, raw,
			coalesce((SELECT serial FROM reservations r WHERE r.txid = coins.txid AND r.vout = coins.vout), 0)
		FROM coins JOIN parents ON parents.txid = coins.txid
		WHERE wallet = ? AND spent_by IS NULL ORDER BY value DESC, coins.txid, vout`
)

func scanCoin(row scanner) (c Coin, err error) {
	err = row.Scan(into(&c.Outpoint.Hash), &c.Outpoint.Index, into(&c.Wallet), &c.Branch, &c.Index, &c.Value, &c.Height, &c.Coinbase,
		&c.PrevTx, &c.ReservedBy)
	if err != nil {
		return Coin{}, err
	}
	return c, c.check()
}

// check holds the record against the previous transaction, whose hash is the coin's name: amounts that lead to
// signatures are taken from bytes that prove themselves.
func (c Coin) check() error {
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(c.PrevTx)); err == nil && tx.TxHash() == c.Outpoint.Hash &&
		int(c.Outpoint.Index) < len(tx.TxOut) && tx.TxOut[c.Outpoint.Index].Value == c.Value {
		return nil
	}
	return spend.Distrust("coin-unproven", "coin "+c.Outpoint.String(), fmt.Sprintf("a previous transaction that pays %d satoshi", c.Value),
		"other bytes in the records", "the operator stops and compares the records with a backup")
}

// free reports whether an intent may take the coin when tip is the highest block.
func (c Coin) free(tip, depth uint32) bool {
	if c.Coinbase {
		depth = max(depth, maturity)
	}
	return c.ReservedBy == 0 && tip+1-c.Height >= depth
}

// Coins returns every unspent coin of a wallet, reserved ones included, largest first.
func (s *Store) Coins(ctx context.Context, wallet spend.WalletID) ([]Coin, error) {
	return coinsOf(ctx, s.reader, wallet)
}

func coinsOf(ctx context.Context, q querier, wallet spend.WalletID) ([]Coin, error) {
	var out []Coin
	rows, err := q.QueryContext(ctx, selectCoins, wallet[:])
	err = each(rows, err, func(row scanner) error {
		c, err := scanCoin(row)
		out = append(out, c)
		return err
	})
	return out, err
}

// Spendable returns the coins of a wallet that are free, have at least depth confirmations and, when mined, 100;
// largest first.
func (s *Store) Spendable(ctx context.Context, wallet spend.WalletID, depth uint32) ([]Coin, error) {
	coins, tip, err := s.coinsAndTip(ctx, wallet)
	var out []Coin
	for _, c := range coins {
		if c.free(tip, depth) {
			out = append(out, c)
		}
	}
	return out, err
}

// Balance sums a wallet's unspent coins; depth is as in Spendable.
func (s *Store) Balance(ctx context.Context, wallet spend.WalletID, depth uint32) (Balance, error) {
	coins, tip, err := s.coinsAndTip(ctx, wallet)
	var b Balance
	for _, c := range coins {
		b.Total += c.Value // at most 21e14 satoshi exist, so no sum of coins overflows
		switch {
		case c.ReservedBy != 0:
			b.Reserved += c.Value
		case c.free(tip, depth):
			b.Spendable += c.Value
		}
	}
	return b, err
}

func (s *Store) coinsAndTip(ctx context.Context, wallet spend.WalletID) (coins []Coin, tip uint32, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		var hash chainhash.Hash
		if tip, hash, err = tipOf(ctx, tx); err != nil || hash == (chainhash.Hash{}) {
			return err
		}
		coins, err = coinsOf(ctx, tx, wallet)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return coins, tip, nil
}
