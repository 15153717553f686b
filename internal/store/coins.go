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
	Leaving   int64 // of the reserved ones, held by an intent that pays another wallet
	Spendable int64 // of all, free, deep enough, and mature
}

const (
	maturity = 100 // confirmations before a mined coin may be spent, by consensus

	selectCoins = `SELECT coins.txid, vout, wallet, branch, idx, value, height, coinbase,
			coalesce((SELECT serial FROM reservations r WHERE r.txid = coins.txid AND r.vout = coins.vout), 0)
		FROM coins WHERE wallet = ? AND spent_by IS NULL ORDER BY value DESC, coins.txid, vout`
	selectParents = `SELECT txid, raw FROM parents WHERE txid IN (SELECT txid FROM coins WHERE wallet = ? AND spent_by IS NULL)`
	selectBalance = `SELECT coalesce(sum(value), 0), coalesce(sum(value) FILTER (WHERE r.serial IS NOT NULL), 0),
			coalesce(sum(value) FILTER (WHERE r.serial IS NOT NULL AND source IS NOT target), 0),
			coalesce(sum(value) FILTER (WHERE r.serial IS NULL AND ?2 + 1 - height >= CASE coinbase WHEN 1 THEN max(?3, ?4) ELSE ?3 END), 0)
		FROM coins LEFT JOIN reservations r ON r.txid = coins.txid AND r.vout = coins.vout LEFT JOIN intents ON intents.serial = r.serial
		WHERE wallet = ?1 AND spent_by IS NULL`
)

func scanCoin(row scanner) (c Coin, err error) {
	return c, row.Scan(into(&c.Outpoint.Hash), &c.Outpoint.Index, into(&c.Wallet), &c.Branch, &c.Index, &c.Value, &c.Height, &c.Coinbase, &c.ReservedBy)
}

// parent is a previous transaction, read once for all of its coins.
type parent struct {
	raw []byte
	tx  wire.MsgTx
}

func readParent(txid chainhash.Hash, raw []byte) *parent {
	p := &parent{raw: raw}
	if err := p.tx.Deserialize(bytes.NewReader(raw)); err != nil || p.tx.TxHash() != txid {
		return nil
	}
	return p
}

// prove holds the record of a coin against the previous transaction, whose hash is the coin's name: amounts that lead to
// signatures are taken from bytes that prove themselves.
func (c *Coin) prove(by *parent) error {
	if by == nil || uint64(c.Outpoint.Index) >= uint64(len(by.tx.TxOut)) || by.tx.TxOut[c.Outpoint.Index].Value != c.Value {
		return spend.Distrust("coin-unproven", "coin "+c.Outpoint.String(), fmt.Sprintf("a previous transaction that pays %d satoshi", c.Value),
			"other bytes in the records", "the operator stops and compares the records with a backup")
	}
	c.PrevTx = by.raw
	return nil
}

// free reports whether an intent may take the coin when tip is the highest block.
func (c Coin) free(tip, depth uint32) bool {
	if c.Coinbase {
		depth = max(depth, maturity)
	}
	return c.ReservedBy == 0 && tip+1-c.Height >= depth
}

// Coins returns every unspent coin of a wallet, reserved ones included, largest first. Coins of one transaction share
// its bytes.
func (s *Store) Coins(ctx context.Context, wallet spend.WalletID) (out []Coin, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		out, err = coinsOf(ctx, tx, wallet)
		return err
	})
	return out, err
}

func coinsOf(ctx context.Context, q querier, wallet spend.WalletID) ([]Coin, error) {
	parents := map[chainhash.Hash]*parent{}
	rows, err := q.QueryContext(ctx, selectParents, wallet[:])
	err = each(rows, err, func(row scanner) error {
		var txid chainhash.Hash
		var raw []byte
		err := row.Scan(into(&txid), &raw)
		parents[txid] = readParent(txid, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []Coin
	rows, err = q.QueryContext(ctx, selectCoins, wallet[:])
	err = each(rows, err, func(row scanner) error {
		c, err := scanCoin(row)
		if err != nil {
			return err
		}
		out = append(out, c)
		return out[len(out)-1].prove(parents[c.Outpoint.Hash])
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
func (s *Store) Balance(ctx context.Context, wallet spend.WalletID, depth uint32) (b Balance, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		tip, hash, err := tipOf(ctx, tx)
		if err != nil || hash == (chainhash.Hash{}) {
			return err
		}
		// At most 21e14 satoshi exist, so no sum of coins overflows.
		return tx.QueryRowContext(ctx, selectBalance, wallet[:], tip, depth, maturity).Scan(&b.Total, &b.Reserved, &b.Leaving, &b.Spendable)
	})
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
