package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Transaction is a final transaction of an intent. It is stored before it is sent.
type Transaction struct {
	TxID   chainhash.Hash
	Raw    []byte
	Serial uint64
	Height uint32 // of the block that has it, 0 while none has
}

const (
	selectTransaction = "SELECT txid, raw, serial, coalesce(height, 0) FROM transactions WHERE txid = ?"
	selectFinal       = "SELECT txid, raw, serial, coalesce(height, 0) FROM transactions WHERE serial = ? ORDER BY height IS NULL, rowid DESC LIMIT 1"
	selectUnconfirmed = `SELECT txid, raw, serial, 0 FROM transactions t WHERE height IS NULL
		AND serial IN (SELECT serial FROM intents WHERE state IN ('signed', 'broadcast'))
		AND rowid = (SELECT max(rowid) FROM transactions n WHERE n.serial = t.serial)
		AND NOT EXISTS(SELECT 1 FROM transactions o WHERE o.serial = t.serial AND o.height IS NOT NULL) ORDER BY serial`
	insertTransaction = "INSERT INTO transactions(txid, serial, raw) VALUES(?, ?, ?)"
)

func scanTransaction(row scanner) (t Transaction, err error) {
	return t, row.Scan(into(&t.TxID), &t.Raw, &t.Serial, &t.Height)
}

// Finish moves sealed to signed with the final transaction of the live bundle; from here on Raw may be broadcast, and
// broadcast again. The bundle may stand for an earlier one whose transaction was finished already; then that one is
// not sent again. When the transaction is stored already, by an earlier call or because a block has it, that one is
// returned and nothing changes: its witnesses may differ, its effect cannot.
// Refusals: bundle-unknown, bundle-replaced, transaction-mismatch, intent-state, halted.
func (s *Store) Finish(ctx context.Context, bundle [32]byte, raw []byte) (out Transaction, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		b, err := bundleOf(ctx, tx, selectBundle, bundle[:])
		if err != nil {
			return bundleUnknown(err, "bundle "+hex.EncodeToString(bundle[:4]))
		}
		if err := matches(b, raw); err != nil {
			return err
		}
		old, err := scanTransaction(tx.QueryRowContext(ctx, selectTransaction, b.TxID[:]))
		if err == nil {
			out = old
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := errors.Join(refuseHalted(ctx, tx), refuseReplaced(b)); err != nil {
			return err
		}
		i, err := intentOf(ctx, tx, b.Serial)
		if err != nil {
			return err
		}
		if err := inState(i, Sealed, Signed, Broadcast); err != nil {
			return err
		}
		if err := s.move(ctx, tx, i, Signed); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertTransaction, b.TxID[:], int64(b.Serial), raw); err != nil {
			return err
		}
		out = Transaction{TxID: b.TxID, Raw: raw, Serial: b.Serial}
		_, err = s.log(ctx, tx, "intent-signed", fact{"serial": b.Serial, "txid": b.TxID.String()})
		return err
	})
	if err != nil {
		return Transaction{}, err
	}
	return out, nil
}

func refuseReplaced(b Bundle) error {
	if b.Live {
		return nil
	}
	return spend.Distrust("bundle-replaced", "bundle "+hex.EncodeToString(b.ID[:4]), "the live bundle of its intent", "a bundle that was replaced",
		"sign the bundle that took its place")
}

// matches refuses bytes that are not the transaction the bundle was sealed for.
func matches(b Bundle, raw []byte) error {
	var tx wire.MsgTx
	r := bytes.NewReader(raw)
	if err := tx.Deserialize(r); err == nil && r.Len() == 0 && tx.TxHash() == b.TxID {
		return nil
	}
	return spend.Distrust("transaction-mismatch", "bundle "+hex.EncodeToString(b.ID[:4]), "transaction "+b.TxID.String(), "other bytes",
		"finalise the answers to this very bundle")
}

// MarkBroadcast moves signed to broadcast once a node took the transaction. Again, or when it is confirmed already, it
// changes nothing.
func (s *Store) MarkBroadcast(ctx context.Context, serial uint64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		i, err := intentOf(ctx, tx, serial)
		if err != nil {
			return err
		}
		if err := inState(i, Signed, Broadcast, Confirmed); err != nil || i.State != Signed {
			return err
		}
		if err := s.move(ctx, tx, i, Broadcast); err != nil {
			return err
		}
		_, err = s.log(ctx, tx, "intent-broadcast", fact{"serial": serial})
		return err
	})
}

// Transaction returns the transaction of an intent, or false when it has none yet: the one in a block, else the last
// that was finished.
func (s *Store) Transaction(ctx context.Context, serial uint64) (Transaction, bool, error) {
	t, err := scanTransaction(s.reader.QueryRowContext(ctx, selectFinal, int64(serial)))
	if errors.Is(err, sql.ErrNoRows) {
		return t, false, nil
	}
	return t, err == nil, err
}

// Unconfirmed returns the final transactions of signed and broadcast intents that no block has, for each intent the
// last one: those to send (again).
func (s *Store) Unconfirmed(ctx context.Context) ([]Transaction, error) {
	var out []Transaction
	rows, err := s.reader.QueryContext(ctx, selectUnconfirmed)
	err = each(rows, err, func(row scanner) error {
		t, err := scanTransaction(row)
		out = append(out, t)
		return err
	})
	return out, err
}
