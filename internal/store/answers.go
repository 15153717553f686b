package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/coldsign/coldsign/internal/spend"
)

// Answer is what a signer gave back for a bundle.
type Answer struct {
	Bundle   [32]byte
	Position int // of the key in the wallet
	Bytes    []byte
	Counter  uint64
	Bare     bool   // without receipt: signatures of a device that gives none; there is no counter
	Refusal  string // code; empty when it signed
	At       int64  // Unix seconds; set by the store
	Nonces   []Nonce
}

// Nonce is the public half of a signature's nonce with what it signed.
type Nonce struct {
	PubKey [33]byte
	R      [32]byte
	Digest [32]byte
}

const (
	selectAnswers  = "SELECT bundle, position, bytes, counter, refusal, at FROM answers WHERE bundle = ? ORDER BY position"
	insertAnswer   = "INSERT INTO answers(bundle, position, wallet, bytes, counter, refusal, at) VALUES(?, ?, ?, ?, ?, ?, ?)"
	withdrawAnswer = "DELETE FROM answers WHERE bundle = ? AND position = ? AND refusal = ''"
	selectCount    = "SELECT bundle FROM answers WHERE wallet = ? AND position = ? AND counter = ?"
	selectLast     = "SELECT position, max(counter) FROM answers WHERE wallet = ? AND counter > 0 GROUP BY position"
	insertNonce    = "INSERT INTO nonces(r, pubkey, digest) VALUES(?, ?, ?) ON CONFLICT DO NOTHING"
	selectNonce    = "SELECT pubkey, digest FROM nonces WHERE r = ?"
)

// AddAnswer stores a verified answer to a live bundle, and its nonces. One that comes after its intent was signed is
// kept too: its nonces count. The same bytes again change nothing and return false. A refusal by a key that has signed
// takes the place of its signatures while they are not enough: a keyholder may think again. Refusals: answer-conflict
// (other bytes by the same key), answer-counter-reused (a signer's ledger went back or was copied), bundle-unknown,
// bundle-replaced, intent-state, and nonce-reused, which halts the store for a person to look.
func (s *Store) AddAnswer(ctx context.Context, a Answer) (fresh bool, err error) {
	if a.Counter > math.MaxInt64 {
		return false, spend.Malformed("answer-counter-reused", "answer", "counter %d", a.Counter)
	}
	var alarm *spend.Refusal
	err = s.write(ctx, func(tx *sql.Tx) error {
		i, known, err := s.admit(ctx, tx, a)
		if err != nil || known {
			return err
		}
		// The alarm is committed although the answer is refused, so it travels beside the transaction's error.
		if alarm, err = s.nonces(ctx, tx, a); err != nil || alarm != nil {
			return err
		}
		if a.Refusal != "" {
			if _, err := tx.ExecContext(ctx, withdrawAnswer, a.Bundle[:], a.Position); err != nil {
				return err
			}
		}
		counter := sql.NullInt64{Int64: int64(a.Counter), Valid: !a.Bare}
		if _, err := tx.ExecContext(ctx, insertAnswer, a.Bundle[:], a.Position, i.From[:], a.Bytes, counter, a.Refusal, s.now()); err != nil {
			return err
		}
		fresh = true
		_, err = s.log(ctx, tx, "answer-added", fact{"serial": i.Serial, "bundle": hex.EncodeToString(a.Bundle[:]), "position": a.Position,
			"counter": a.Counter, "receipt": !a.Bare, "refusal": a.Refusal})
		return err
	})
	if err != nil {
		return false, err
	}
	if alarm != nil {
		return false, alarm
	}
	return fresh, nil
}

// admit says whether the answer is known already, or why it cannot be taken.
func (s *Store) admit(ctx context.Context, tx *sql.Tx, a Answer) (i Intent, known bool, err error) {
	b, err := bundleOf(ctx, tx, selectBundle, a.Bundle[:])
	if err != nil {
		return i, false, bundleUnknown(err, "bundle "+hex.EncodeToString(a.Bundle[:4]))
	}
	if i, err = intentOf(ctx, tx, b.Serial); err != nil {
		return i, false, err
	}
	answers, err := answersOf(ctx, tx, a.Bundle)
	if err != nil {
		return i, false, err
	}
	where := fmt.Sprintf("intent %d, key %d", b.Serial, a.Position)
	for _, old := range answers {
		if old.Position == a.Position && bytes.Equal(old.Bytes, a.Bytes) {
			return i, true, nil
		}
		withdrawn := a.Refusal != "" && old.Refusal == "" && i.State == Sealed
		if old.Position == a.Position && !withdrawn {
			return i, false, spend.Distrust("answer-conflict", where, "one answer by each key to a bundle", "a second one with other bytes",
				"treasury staff ask the keyholder which answer is theirs; a new try needs a new bundle")
		}
	}
	if err := errors.Join(refuseReplaced(b), inState(i, Sealed, Signed, Broadcast, Confirmed)); err != nil {
		return i, false, err
	}
	if a.Bare {
		return i, false, nil
	}
	var other [32]byte
	err = tx.QueryRowContext(ctx, selectCount, i.From[:], a.Position, int64(a.Counter)).Scan(into(&other))
	if err == nil {
		return i, false, spend.Distrust("answer-counter-reused", where, "a counter of its own for each answer of a signer",
			fmt.Sprintf("counter %d, given to bundle %x before", a.Counter, other[:4]),
			"the keyholder stops: the signer's ledger was restored from an old copy, or there are two of it")
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return i, false, err
}

// nonces records the nonces, or raises the alarm: two digests under one nonce give the private key away (attack 065).
// One nonce under two keys gives none away by itself, and still says that a random number came twice.
func (s *Store) nonces(ctx context.Context, tx *sql.Tx, a Answer) (alarm *spend.Refusal, err error) {
	for _, n := range a.Nonces {
		if _, err := tx.ExecContext(ctx, insertNonce, n.R[:], n.PubKey[:], n.Digest[:]); err != nil {
			return nil, err
		}
		var key []byte
		var signed [32]byte
		if err := tx.QueryRowContext(ctx, selectNonce, n.R[:]).Scan(&key, into(&signed)); err != nil {
			return nil, err
		}
		if bytes.Equal(key, n.PubKey[:]) && signed == n.Digest {
			continue
		}
		alarm = spend.Distrust("nonce-reused", fmt.Sprintf("answer of key %d", a.Position), "a nonce of its own for each signature",
			fmt.Sprintf("r %x by key %x over %x, and before by key %x over %x", n.R, n.PubKey, n.Digest, key, signed),
			"stop signing with this key at once and move its wallet's coins to a new wallet: its private key can be computed")
		return alarm, s.halt(ctx, tx, alarm.Code, fact{"bundle": hex.EncodeToString(a.Bundle[:]), "found": alarm.Found})
	}
	return nil, nil
}

// Answers returns the answers to a bundle by position, without nonces.
func (s *Store) Answers(ctx context.Context, bundle [32]byte) ([]Answer, error) {
	return answersOf(ctx, s.reader, bundle)
}

// Receipts returns the last counter of each key of a wallet, by position, of all answers that were ever taken. Keys that
// give no receipt are not in it.
func (s *Store) Receipts(ctx context.Context, wallet spend.WalletID) (map[int]uint64, error) {
	out := map[int]uint64{}
	rows, err := s.reader.QueryContext(ctx, selectLast, wallet[:])
	err = each(rows, err, func(row scanner) error {
		var position int
		var counter uint64
		err := row.Scan(&position, &counter)
		out[position] = counter
		return err
	})
	return out, err
}

func answersOf(ctx context.Context, q querier, bundle [32]byte) ([]Answer, error) {
	var out []Answer
	rows, err := q.QueryContext(ctx, selectAnswers, bundle[:])
	err = each(rows, err, func(row scanner) error {
		var a Answer
		var counter sql.NullInt64
		err := row.Scan(into(&a.Bundle), &a.Position, &a.Bytes, &counter, &a.Refusal, &a.At)
		a.Counter, a.Bare = uint64(counter.Int64), !counter.Valid
		out = append(out, a)
		return err
	})
	return out, err
}
