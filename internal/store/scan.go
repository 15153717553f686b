package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	spendCoin      = "UPDATE coins SET spent_by = ?3, spent_height = ?4 WHERE txid = ?1 AND vout = ?2 AND spent_by IS NULL"
	insertParent   = "INSERT INTO parents(txid, raw) VALUES(?, ?) ON CONFLICT DO NOTHING"
	insertOutpoint = "INSERT INTO outpoints(txid, vout, value, script) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING"
	selectOutpoint = "SELECT value, script FROM outpoints WHERE txid = ? AND vout = ?"
	insertCoin     = "INSERT INTO coins(txid, vout, wallet, branch, idx, value, height, coinbase) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
	selectSealed   = "SELECT serial FROM bundles WHERE txid = ? LIMIT 1"
	includeTx      = "INSERT INTO transactions(txid, serial, raw, height) VALUES(?, ?, ?, ?) ON CONFLICT(txid) DO UPDATE SET height = excluded.height"
)

// scan reads one block into the records. The two questions that are asked of every input and output of a block are
// prepared once.
type scan struct {
	store        *Store
	tx           *sql.Tx
	height       uint32
	owner, spend *sql.Stmt
}

func (s *Store) newScan(ctx context.Context, tx *sql.Tx, height uint32) (*scan, error) {
	owner, err := tx.PrepareContext(ctx, selectOwner)
	if err != nil {
		return nil, err
	}
	spend, err := tx.PrepareContext(ctx, spendCoin)
	return &scan{s, tx, height, owner, spend}, err // the transaction closes its statements
}

func (c *scan) transaction(ctx context.Context, t *wire.MsgTx, coinbase bool) error {
	txid := t.TxHash()
	spent := []string{}
	for _, in := range t.TxIn {
		result, err := c.spend.ExecContext(ctx, in.PreviousOutPoint.Hash[:], in.PreviousOutPoint.Index, txid[:], c.height)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n > 0 {
			spent = append(spent, in.PreviousOutPoint.String())
		}
	}
	if len(spent) > 0 {
		if err := c.spending(ctx, t, txid, spent); err != nil {
			return err
		}
	}
	for vout, out := range t.TxOut {
		if err := c.output(ctx, t, wire.OutPoint{Hash: txid, Index: uint32(vout)}, coinbase); err != nil {
			return fmt.Errorf("output %d of %d satoshi: %w", vout, out.Value, err)
		}
	}
	return nil
}

// spending handles a transaction that takes coins of ours. Its identity is known before anybody signs (segwit), so one
// that we never sealed was signed behind our back, and everything stops for a person to look.
func (c *scan) spending(ctx context.Context, t *wire.MsgTx, txid chainhash.Hash, spent []string) error {
	var serial int64
	err := c.tx.QueryRowContext(ctx, selectSealed, txid[:]).Scan(&serial)
	if errors.Is(err, sql.ErrNoRows) {
		const named = 20 // an event has a size, and hundreds of coins would stop the chain at this block
		return c.store.halt(ctx, c.tx, "coin-spent-unknown", fact{"txid": txid.String(), "height": c.height, "count": len(spent),
			"coins": spent[:min(len(spent), named)]})
	}
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	if err := t.Serialize(&raw); err != nil {
		return err
	}
	if _, err := c.tx.ExecContext(ctx, includeTx, txid[:], serial, raw.Bytes(), c.height); err != nil {
		return err
	}
	_, err = c.store.log(ctx, c.tx, "transaction-in-block", fact{"serial": serial, "txid": txid.String(), "height": c.height})
	return err
}

func (c *scan) output(ctx context.Context, t *wire.MsgTx, at wire.OutPoint, coinbase bool) error {
	out := t.TxOut[at.Index]
	var owner Owner
	err := c.owner.QueryRowContext(ctx, out.PkScript).Scan(into(&owner.Wallet), &owner.Branch, &owner.Index)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	if err := t.SerializeNoWitness(&raw); err != nil {
		return err
	}
	if _, err := c.tx.ExecContext(ctx, insertParent, at.Hash[:], raw.Bytes()); err != nil {
		return err
	}
	if err := c.remember(ctx, at, out); err != nil {
		return err
	}
	if _, err := c.tx.ExecContext(ctx, insertCoin, at.Hash[:], at.Index, owner.Wallet[:], owner.Branch, owner.Index, out.Value, c.height, coinbase); err != nil {
		return err
	}
	// An index on which a coin was seen is used, whoever gave it out.
	_, err = c.tx.ExecContext(ctx, raiseCounter, owner.Wallet[:], owner.Branch, owner.Index+1)
	return err
}

// remember holds every outpoint that we ever saw against its amount and script, reorgs and all. A hash commits to both,
// so a difference means damaged or forged records (attack 026).
func (c *scan) remember(ctx context.Context, at wire.OutPoint, out *wire.TxOut) error {
	if _, err := c.tx.ExecContext(ctx, insertOutpoint, at.Hash[:], at.Index, out.Value, out.PkScript); err != nil {
		return err
	}
	var value int64
	var script []byte
	if err := c.tx.QueryRowContext(ctx, selectOutpoint, at.Hash[:], at.Index).Scan(&value, &script); err != nil {
		return err
	}
	if value != out.Value || !bytes.Equal(script, out.PkScript) {
		return spend.Distrust("outpoint-amount-changed", "coin "+at.String(), fmt.Sprintf("%d satoshi to %x, as seen before", value, script),
			fmt.Sprintf("%d satoshi to %x", out.Value, out.PkScript), "the operator stops and compares the records with a backup")
	}
	return nil
}
