package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Bundle is a sealed bundle of an intent.
type Bundle struct {
	ID       [32]byte // bundle.ID: over intent bytes and payload
	Serial   uint64   // of its intent
	Bytes    []byte   // as sealed
	Payload  []byte   // the PSBT inside
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
	Replaces    *[32]byte // the live bundle that this one takes the place of; it must share a coin with every earlier one
}

const (
	bundleColumns = "id, serial, bytes, payload, plan, txid, sealed_at, live"
	selectBundle  = "SELECT " + bundleColumns + " FROM bundles WHERE id = ?"
	selectLive    = "SELECT " + bundleColumns + " FROM bundles WHERE serial = ? AND live = 1"
	selectByTx    = "SELECT " + bundleColumns + " FROM bundles WHERE txid = ? ORDER BY live DESC LIMIT 1"
	selectLineage = "SELECT id FROM bundles WHERE serial = ? ORDER BY rowid"
	insertBundle  = "INSERT INTO bundles(" + bundleColumns + ") VALUES(?, ?, ?, ?, ?, ?, ?, 1)"
	retireBundle  = "UPDATE bundles SET live = 0 WHERE id = ?"
	reserveCoin   = "INSERT INTO reservations(txid, vout, serial) VALUES(?, ?, ?) ON CONFLICT DO NOTHING"
	insertInput   = "INSERT INTO inputs(bundle, txid, vout) VALUES(?, ?, ?)"

	// selectApart finds an earlier bundle of the intent that has no coin in common with bundle ?2.
	selectApart = `SELECT id FROM bundles WHERE serial = ?1 AND id <> ?2 AND NOT EXISTS(
		SELECT 1 FROM inputs a JOIN inputs b ON a.txid = b.txid AND a.vout = b.vout WHERE a.bundle = bundles.id AND b.bundle = ?2) LIMIT 1`
	selectHolder = `SELECT wallet, spent_by IS NOT NULL, coalesce(serial, 0) FROM coins
		LEFT JOIN reservations ON reservations.txid = coins.txid AND reservations.vout = coins.vout WHERE coins.txid = ? AND coins.vout = ?`
)

func scanBundle(row scanner) (b Bundle, err error) {
	return b, row.Scan(into(&b.ID), &b.Serial, &b.Bytes, &b.Payload, &b.Plan, into(&b.TxID), &b.SealedAt, &b.Live)
}

// Seal moves approved to sealed: it stores the bundle, reserves its coins and uses its change index up, all or nothing.
// With Replaces it exchanges the live bundle of a sealed intent, or of one whose transaction no block has yet: the state
// stays, and the coins of both stay reserved, because the first may have been signed. The same bundle again changes
// nothing.
// Refusals: coin-unavailable, coin-reserved, change-index-used, intent-expired, intent-state, bundle-conflict,
// replacement-unknown, replacement-shares-no-coin, halted.
func (s *Store) Seal(ctx context.Context, sealing Sealing) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		b := sealing.Bundle
		old, err := bundleOf(ctx, tx, selectBundle, b.ID[:])
		switch {
		case err == nil && old.Serial == b.Serial && bytes.Equal(old.Bytes, b.Bytes):
			return nil
		case err == nil:
			return spend.Refuse("bundle-conflict", "bundle "+hex.EncodeToString(b.ID[:4]), "the bytes sealed first", "other bytes under the same identity",
				"use the bundle that is stored")
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := refuseHalted(ctx, tx); err != nil {
			return err
		}
		i, err := intentOf(ctx, tx, b.Serial)
		if err != nil {
			return err
		}
		if err := s.unexpired(i); err != nil {
			return err
		}
		if err := s.replace(ctx, tx, i, sealing); err != nil {
			return err
		}
		if err := s.reserve(ctx, tx, i, sealing); err != nil {
			return err
		}
		if err := s.insertBundle(ctx, tx, sealing); err != nil {
			return err
		}
		_, err = s.log(ctx, tx, "intent-sealed", fact{"serial": b.Serial, "bundle": hex.EncodeToString(b.ID[:]), "txid": b.TxID.String(),
			"coins": len(sealing.Coins)})
		return err
	})
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// insertBundle stores the bundle with its inputs, and refuses one that could be confirmed beside an earlier bundle of
// the same intent (attack 073): both may be signed, and only a common coin makes the chain itself refuse one of them.
func (s *Store) insertBundle(ctx context.Context, tx *sql.Tx, sealing Sealing) error {
	b := sealing.Bundle
	_, err := tx.ExecContext(ctx, insertBundle, b.ID[:], int64(b.Serial), blob(b.Bytes), blob(b.Payload), blob(b.Plan), b.TxID[:], s.now())
	if err != nil {
		return err
	}
	for _, coin := range sealing.Coins {
		if _, err := tx.ExecContext(ctx, insertInput, b.ID[:], coin.Hash[:], coin.Index); err != nil {
			return err
		}
	}
	var apart [32]byte
	err = tx.QueryRowContext(ctx, selectApart, int64(b.Serial), b.ID[:]).Scan(into(&apart))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return spend.Refuse("replacement-shares-no-coin", fmt.Sprintf("intent %d", b.Serial), "a coin in common with every earlier bundle",
		"none in common with bundle "+hex.EncodeToString(apart[:4]), "build the replacement from the coins of the first bundle")
}

// replace moves the intent, or retires the bundle that the new one stands for.
func (s *Store) replace(ctx context.Context, tx *sql.Tx, i Intent, sealing Sealing) error {
	if sealing.Replaces == nil {
		if err := inState(i, Approved); err != nil {
			return err
		}
		return s.move(ctx, tx, i, Sealed)
	}
	if err := inState(i, Sealed, Signed, Broadcast); err != nil {
		return err
	}
	where := fmt.Sprintf("intent %d", i.Serial)
	live, err := bundleOf(ctx, tx, selectLive, int64(i.Serial))
	if err != nil {
		return err
	}
	if live.ID != *sealing.Replaces {
		return spend.Refuse("replacement-unknown", where, "the live bundle "+hex.EncodeToString(live.ID[:4]), hex.EncodeToString(sealing.Replaces[:4]),
			"read the live bundle again and replace that one")
	}
	_, err = tx.ExecContext(ctx, retireBundle, live.ID[:])
	return err
}

// holderOf finds whose a coin is and which intent holds it. A coin that no block has is nobody's, unless the intent was
// proposed to spend it.
func holderOf(ctx context.Context, tx *sql.Tx, i Intent, coin wire.OutPoint) (wallet spend.WalletID, spent bool, serial uint64, err error) {
	err = tx.QueryRowContext(ctx, selectHolder, coin.Hash[:], coin.Index).Scan(into(&wallet), &spent, &serial)
	if errors.Is(err, sql.ErrNoRows) {
		return unconfirmedHolder(ctx, tx, i, coin)
	}
	return wallet, spent, serial, err
}

// reserve takes the coins and the change index, which must all be as they were when the payload was built.
func (s *Store) reserve(ctx context.Context, tx *sql.Tx, i Intent, sealing Sealing) error {
	if len(sealing.Coins) == 0 {
		return spend.Refuse("coin-unavailable", fmt.Sprintf("intent %d", i.Serial), "at least one coin", "none", "build the payload again")
	}
	for _, coin := range sealing.Coins {
		wallet, spent, holder, err := holderOf(ctx, tx, i, coin)
		switch {
		case err != nil:
			return err
		case spent || wallet != i.From:
			return spend.Refuse("coin-unavailable", "coin "+coin.String(), "an unspent coin of wallet "+i.From.Short(), "a coin that is spent, gone or not its own",
				"build the payload again from the coins that are left")
		case holder != 0 && holder != i.Serial:
			return spend.Refuse("coin-reserved", "coin "+coin.String(), "a coin that no intent holds", fmt.Sprintf("held by intent %d", holder),
				"build the payload again from other coins, or cancel that intent")
		}
		if _, err := tx.ExecContext(ctx, reserveCoin, coin.Hash[:], coin.Index, int64(i.Serial)); err != nil {
			return err
		}
	}
	if !sealing.HasChange {
		return nil
	}
	change, err := counterOf(ctx, tx, i.From, changeBranch)
	if err != nil {
		return err
	}
	if sealing.ChangeIndex < change.Next || sealing.ChangeIndex >= change.Watched {
		return spend.Refuse("change-index-used", "wallet "+i.From.Short(), fmt.Sprintf("a change index from %d to below %d", change.Next, change.Watched),
			fmt.Sprintf("index %d", sealing.ChangeIndex), "build the payload again with the next change index")
	}
	_, err = tx.ExecContext(ctx, raiseCounter, i.From[:], changeBranch, sealing.ChangeIndex+1)
	return err
}

// LiveBundle returns the live bundle of an intent; none is a refusal (bundle-unknown).
func (s *Store) LiveBundle(ctx context.Context, serial uint64) (Bundle, error) {
	b, err := bundleOf(ctx, s.reader, selectLive, int64(serial))
	return b, bundleUnknown(err, fmt.Sprintf("intent %d", serial))
}

// Bundle returns a bundle by its identity; an unknown one is a refusal (bundle-unknown).
func (s *Store) Bundle(ctx context.Context, id [32]byte) (Bundle, error) {
	b, err := bundleOf(ctx, s.reader, selectBundle, id[:])
	return b, bundleUnknown(err, "bundle "+hex.EncodeToString(id[:4]))
}

// BundleOf returns the bundle that was sealed for a transaction; none is a refusal (bundle-unknown).
func (s *Store) BundleOf(ctx context.Context, txid chainhash.Hash) (Bundle, error) {
	b, err := bundleOf(ctx, s.reader, selectByTx, txid[:])
	return b, bundleUnknown(err, "transaction "+txid.String())
}

// Lineage returns the identities of an intent's bundles, the first one first.
func (s *Store) Lineage(ctx context.Context, serial uint64) ([][32]byte, error) {
	var out [][32]byte
	rows, err := s.reader.QueryContext(ctx, selectLineage, int64(serial))
	err = each(rows, err, func(row scanner) error {
		var id [32]byte
		err := row.Scan(into(&id))
		out = append(out, id)
		return err
	})
	return out, err
}

func bundleOf(ctx context.Context, q querier, query string, key any) (Bundle, error) {
	return scanBundle(q.QueryRowContext(ctx, query, key))
}

func bundleUnknown(err error, where string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return spend.Distrust("bundle-unknown", where, "a bundle that this daemon sealed", "none", "ask treasury staff which intent it belongs to")
	}
	return err
}
