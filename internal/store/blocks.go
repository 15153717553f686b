package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	selectTip      = "SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1"
	selectHashAt   = "SELECT hash FROM blocks WHERE height = ?"
	insertBlock    = "INSERT INTO blocks(height, hash, prev) VALUES(?, ?, ?)"
	selectBuried   = "SELECT serial FROM intents WHERE state <> 'confirmed' AND serial IN (SELECT serial FROM transactions WHERE height <= ?) ORDER BY serial"
	confirmIntent  = "UPDATE intents SET before = state, state = 'confirmed', updated_at = ?2 WHERE serial = ?1"
	selectUnburied = `SELECT serial FROM intents WHERE state = 'confirmed'
		AND NOT EXISTS(SELECT 1 FROM transactions WHERE transactions.serial = intents.serial AND height <= ?) ORDER BY serial`
	unconfirmIntent     = "UPDATE intents SET state = before, before = NULL, updated_at = ?2 WHERE serial = ?1"
	forgetTransactions  = "UPDATE transactions SET height = NULL WHERE height > ?"
	forgetSpends        = "UPDATE coins SET spent_by = NULL, spent_height = NULL WHERE spent_height > ?"
	forgetCoins         = "DELETE FROM coins WHERE height > ?"
	forgetBlocks        = "DELETE FROM blocks WHERE height > ?"
	selectConfirmations = `SELECT coalesce((SELECT max(height) FROM blocks) + 1 - min(height), 0) FROM (
		SELECT height FROM coins WHERE txid = ?1 UNION ALL SELECT spent_height FROM coins WHERE spent_by = ?1
		UNION ALL SELECT height FROM transactions WHERE txid = ?1 AND height IS NOT NULL)`
)

// Tip returns the highest block applied, or the zero hash when there is none.
func (s *Store) Tip(ctx context.Context) (uint32, chainhash.Hash, error) { return tipOf(ctx, s.reader) }

func tipOf(ctx context.Context, q querier) (height uint32, hash chainhash.Hash, err error) {
	err = q.QueryRowContext(ctx, selectTip).Scan(&height, into(&hash))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, chainhash.Hash{}, nil
	}
	return height, hash, err
}

// HashAt returns the hash of the block applied at height, or the zero hash.
func (s *Store) HashAt(ctx context.Context, height uint32) (hash chainhash.Hash, err error) {
	err = s.reader.QueryRowContext(ctx, selectHashAt, height).Scan(into(&hash))
	if errors.Is(err, sql.ErrNoRows) {
		return chainhash.Hash{}, nil
	}
	return hash, err
}

// Apply records a verified block: coins that pay our scripts, our coins it spends, transactions of ours it confirms.
// The tip again changes nothing; a block that does not stand on the tip is refused (block-unlinked).
func (s *Store) Apply(ctx context.Context, height uint32, hash, prev chainhash.Hash, block *wire.MsgBlock) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		top, tip, err := tipOf(ctx, tx)
		switch {
		case err != nil:
			return err
		case tip == hash && top == height:
			return nil
		case tip != chainhash.Hash{} && (height != top+1 || prev != tip):
			return spend.Distrust("block-unlinked", fmt.Sprintf("block %s at height %d", hash, height),
				fmt.Sprintf("a block on %s at height %d", tip, top), "one on "+prev.String(), "the follower rolls back to the fork first")
		}
		if _, err := tx.ExecContext(ctx, insertBlock, height, hash[:], prev[:]); err != nil {
			return err
		}
		scan, err := s.newScan(ctx, tx, height)
		if err != nil {
			return err
		}
		for i, t := range block.Transactions {
			if err := scan.transaction(ctx, t, i == 0); err != nil {
				return err
			}
		}
		return s.confirm(ctx, tx, height)
	})
}

// buried is the height at and below which a transaction is confirmed when tip is the highest block.
func (s *Store) buried(tip uint32) int64 { return int64(tip) + 1 - int64(s.confirmations) }

func (s *Store) confirm(ctx context.Context, tx *sql.Tx, tip uint32) error {
	serials, err := serialsOf(ctx, tx, selectBuried, s.buried(tip))
	if err != nil {
		return err
	}
	for _, serial := range serials {
		if _, err := tx.ExecContext(ctx, confirmIntent, int64(serial), s.now()); err != nil {
			return err
		}
		if _, err := s.log(ctx, tx, "intent-confirmed", fact{"serial": serial, "height": tip, "confirmations": s.confirmations}); err != nil {
			return err
		}
	}
	return nil
}

func serialsOf(ctx context.Context, q querier, query string, args ...any) (out []uint64, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	err = each(rows, err, func(row scanner) error {
		var serial uint64
		err := row.Scan(&serial)
		out = append(out, serial)
		return err
	})
	return out, err
}

// Rollback undoes every block above height. Reservations stay: a coin that comes back in another block still belongs to
// the intent that holds it.
func (s *Store) Rollback(ctx context.Context, height uint32) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		top, tip, err := tipOf(ctx, tx)
		if err != nil || tip == (chainhash.Hash{}) || height >= top {
			return err
		}
		if _, err := tx.ExecContext(ctx, forgetTransactions, height); err != nil {
			return err
		}
		serials, err := serialsOf(ctx, tx, selectUnburied, s.buried(height))
		if err != nil {
			return err
		}
		for _, serial := range serials {
			if _, err := tx.ExecContext(ctx, unconfirmIntent, int64(serial), s.now()); err != nil {
				return err
			}
			if _, err := s.log(ctx, tx, "intent-unconfirmed", fact{"serial": serial, "height": height}); err != nil {
				return err
			}
		}
		for _, forget := range []string{forgetSpends, forgetCoins, forgetBlocks} {
			if _, err := tx.ExecContext(ctx, forget, height); err != nil {
				return err
			}
		}
		_, err = s.log(ctx, tx, "blocks-rolled-back", fact{"from": top, "tip": tip.String(), "to": height})
		return err
	})
}

// stateQueries select everything that blocks decide, in an order of its own.
func stateQueries() []string {
	return []string{
		"SELECT height, hash, prev FROM blocks ORDER BY height",
		"SELECT txid, vout, wallet, branch, idx, value, height, coinbase, spent_by, spent_height FROM coins ORDER BY txid, vout",
		"SELECT txid, serial, height FROM transactions WHERE height IS NOT NULL ORDER BY txid",
		"SELECT serial, state, before FROM intents ORDER BY serial",
	}
}

// StateHash digests everything that blocks decide: blocks, coins, heights of transactions and states of intents.
// Applying blocks and rolling them back gives the same hash again. Index counters and events only ever grow and are
// not part of it.
func (s *Store) StateHash(ctx context.Context) ([32]byte, error) {
	h := sha256.New()
	err := s.view(ctx, func(tx *sql.Tx) error {
		for number, query := range stateQueries() {
			rows, err := tx.QueryContext(ctx, query)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return errors.Join(err, rows.Close())
			}
			err = each(rows, nil, func(row scanner) error {
				values, to := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					to[i] = &values[i]
				}
				if err := row.Scan(to...); err != nil {
					return err
				}
				for _, value := range append(values, number) {
					text := fmt.Appendf(nil, "%T %x", value, value)
					h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
					h.Write(text)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return [32]byte(h.Sum(nil)), err
}

// Confirmations returns how many blocks, its own included, bury a transaction that paid or spent one of our coins; 0
// when no block has it.
func (s *Store) Confirmations(ctx context.Context, txid chainhash.Hash) (n uint32, err error) {
	err = s.reader.QueryRowContext(ctx, selectConfirmations, txid[:]).Scan(&n)
	return n, err
}
