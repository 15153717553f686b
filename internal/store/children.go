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

// A child is an intent that spends an output of ours which no block has, so that miners take the stuck transaction for
// its sake (CPFP). Such an output is no coin yet: nothing else may spend it, and no balance counts it. The child keeps the
// bytes of the transaction that it pays for, and of each ancestor that no block has either.

const (
	insertStuck  = "INSERT INTO stuck(serial, number, raw) VALUES(?, ?, ?)"
	selectStuck  = "SELECT raw FROM stuck WHERE serial = ? ORDER BY number"
	selectReason = `SELECT coalesce(json_extract(text, '$.by') || ': ' || json_extract(text, '$.reason'), '') FROM events
		WHERE kind = 'intent-cancelled' AND json_extract(text, '$.serial') = ? ORDER BY seq DESC LIMIT 1`
	selectReservation = "SELECT serial FROM reservations WHERE txid = ? AND vout = ?"
)

// readWhole reads the bytes of one transaction and nothing behind it.
func readWhole(raw []byte) (*wire.MsgTx, bool) {
	tx, r := new(wire.MsgTx), bytes.NewReader(raw)
	err := tx.Deserialize(r)
	return tx, err == nil && r.Len() == 0
}

// parentOf names the last of the stuck transactions, the zero hash when there are none.
func parentOf(stuck [][]byte) (chainhash.Hash, error) {
	if len(stuck) == 0 {
		return chainhash.Hash{}, nil
	}
	tx, whole := readWhole(stuck[len(stuck)-1])
	if !whole {
		return chainhash.Hash{}, fmt.Errorf("stuck transaction of %d bytes is not one transaction", len(stuck[len(stuck)-1]))
	}
	return tx.TxHash(), nil
}

// Stuck returns the transactions that a child pays for, ancestors first and its parent last; none for any other intent.
// The parent is held against the identity that was stored with the intent.
func (s *Store) Stuck(ctx context.Context, serial uint64) (out [][]byte, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		i, err := intentOf(ctx, tx, serial)
		if err != nil {
			return err
		}
		out, err = stuckOf(ctx, tx, i)
		return err
	})
	return out, err
}

func stuckOf(ctx context.Context, q querier, i Intent) ([][]byte, error) {
	var out [][]byte
	rows, err := q.QueryContext(ctx, selectStuck, int64(i.Serial))
	err = each(rows, err, func(row scanner) error {
		var raw []byte
		err := row.Scan(&raw)
		out = append(out, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	if found, err := parentOf(out); err != nil || found != i.Parent {
		return nil, spend.Distrust("parent-damaged", fmt.Sprintf("intent %d", i.Serial), "the bytes of transaction "+i.Parent.String(), "other bytes",
			"the operator stops and compares the records with a backup")
	}
	return out, nil
}

// unconfirmedHolder finds whose an output of a child's parent is. The answer for any other coin is that it is spent.
func unconfirmedHolder(ctx context.Context, tx *sql.Tx, i Intent, coin wire.OutPoint) (wallet spend.WalletID, spent bool, serial uint64, err error) {
	if i.Parent == (chainhash.Hash{}) || coin.Hash != i.Parent {
		return wallet, true, 0, nil
	}
	stuck, err := stuckOf(ctx, tx, i)
	if err != nil {
		return wallet, true, 0, err
	}
	parent, _ := readWhole(stuck[len(stuck)-1])
	if uint64(coin.Index) >= uint64(len(parent.TxOut)) {
		return wallet, true, 0, nil
	}
	owner, known, err := ownerOf(ctx, tx, parent.TxOut[coin.Index].PkScript)
	if err != nil || !known {
		return wallet, true, 0, err
	}
	serial, err = reservedBy(ctx, tx, coin)
	return owner.Wallet, false, serial, err
}

// ReservedBy returns the serial of the intent that holds a coin, 0 when none does. No block needs to have the coin.
func (s *Store) ReservedBy(ctx context.Context, coin wire.OutPoint) (uint64, error) {
	return reservedBy(ctx, s.reader, coin)
}

func reservedBy(ctx context.Context, q querier, coin wire.OutPoint) (serial uint64, err error) {
	err = q.QueryRowContext(ctx, selectReservation, coin.Hash[:], coin.Index).Scan(&serial)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return serial, err
}

// TransactionOf returns a final transaction of ours by its identity, or false.
func (s *Store) TransactionOf(ctx context.Context, txid chainhash.Hash) (Transaction, bool, error) {
	t, err := scanTransaction(s.reader.QueryRowContext(ctx, selectTransaction, txid[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return t, false, nil
	}
	return t, err == nil, err
}

// Reason says who cancelled an intent and why, as the events have it; nothing when nobody did.
func (s *Store) Reason(ctx context.Context, serial uint64) (text string, err error) {
	err = s.reader.QueryRowContext(ctx, selectReason, int64(serial)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return text, err
}

// Void ends a child whose parent can never be confirmed any more, and so neither can the child, signed or not. Should the
// chain have it after all, it is confirmed all the same. An intent that is no child is never voided.
func (s *Store) Void(ctx context.Context, serial uint64, reason string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		i, err := intentOf(ctx, tx, serial)
		if err != nil || i.State == Cancelled {
			return err
		}
		if i.Parent == (chainhash.Hash{}) {
			return fmt.Errorf("intent %d pays for no other transaction, so nothing voids it", serial)
		}
		if err := inState(i, Proposed, Approved, Sealed, Signed, Broadcast); err != nil {
			return err
		}
		if err := s.move(ctx, tx, i, Cancelled); err != nil {
			return err
		}
		_, err = s.log(ctx, tx, "intent-cancelled", fact{"serial": serial, "by": "the chain", "reason": reason, "was": i.State})
		return err
	})
}
