package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// State is where an intent stands.
type State string

// The states, in the order of a good life, then the two other ends.
const (
	Proposed  State = "proposed"
	Approved  State = "approved"
	Sealed    State = "sealed"
	Signed    State = "signed"
	Broadcast State = "broadcast"
	Confirmed State = "confirmed"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// Intent is an intent's record: what was asked, its exact bytes, and where it stands.
type Intent struct {
	spend.Intent
	ID        [32]byte // SHA-256 of Bytes
	Bytes     []byte   // the encoding that people approve
	State     State
	Request   string         // the proposer's idempotency key
	Plan      []byte         // the treasury's own record of what it would take, when it was proposed
	UpdatedAt int64          // Unix seconds of the last transition
	Parent    chainhash.Hash // the stuck transaction that it pays for; zero when it pays for none
}

// Proposal is what a new intent is stored with.
type Proposal struct {
	Request string         // the same request again proposes nothing new
	To      spend.WalletID // wallet that is paid, whose next receive index is used up; zero when an entry of the book is paid
	Plan    []byte
	Coins   []wire.OutPoint // coins it was planned with, if it was; they are not reserved
	Stuck   [][]byte        // of a child: the transactions that it pays for, ancestors first, its parent last
}

// Draft is what the store gives a new intent: both are used up only when the intent is stored.
type Draft struct {
	Serial  uint64
	ToIndex uint32 // receive index of the destination, reserved for this intent
}

// Write completes an intent with its draft and encodes it. It runs inside the transaction and must not call the store.
type Write func(Draft) (intent spend.Intent, encoded []byte, err error)

// reservationGrace is how long after an intent's end its coins stay reserved: a signer whose clock is slow accepts a
// bundle for a while after its time.
const reservationGrace = 15 * time.Minute

const (
	intentColumns = `serial, id, bytes, request, state, network, purpose, issuer, proposer, source, coalesce(target, zeroblob(32)),
		coalesce(target_index, 0), entry, units, symbol, decimals, created_at, expires_at, updated_at, plan, coalesce(parent, zeroblob(32))`
	selectIntent  = "SELECT " + intentColumns + " FROM intents WHERE serial = ?"
	selectRequest = "SELECT " + intentColumns + " FROM intents WHERE request = ?"
	selectIntents = "SELECT " + intentColumns + " FROM intents WHERE state IN (SELECT value FROM json_each(?1)) OR ?1 = '[]' ORDER BY serial"
	selectSerial  = "SELECT coalesce(max(serial), 0) + 1 FROM intents"
	insertIntent  = `INSERT INTO intents(serial, id, bytes, request, state, network, purpose, issuer, proposer, source, target, target_index, entry,
		units, symbol, decimals, created_at, expires_at, updated_at, plan, parent)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertPlanned  = "INSERT INTO planned(serial, txid, vout) VALUES(?, ?, ?)"
	selectPlanned  = "SELECT txid, vout FROM planned WHERE serial = ? ORDER BY txid, vout"
	moveIntent     = "UPDATE intents SET state = ?3, updated_at = ?4 WHERE serial = ?1 AND state = ?2"
	selectOver     = "SELECT serial FROM intents WHERE state IN ('proposed', 'approved', 'sealed') AND expires_at <= ? ORDER BY serial"
	releaseExpired = `DELETE FROM reservations WHERE serial IN
		(SELECT serial FROM intents WHERE state IN ('cancelled', 'expired') AND expires_at + ? <= ?)`
)

func scanIntent(row scanner) (i Intent, err error) {
	var units string
	var asset money.Asset
	err = row.Scan(&i.Serial, into(&i.ID), &i.Bytes, &i.Request, &i.State, &i.Network, &i.Purpose, &i.Issuer, &i.Proposer,
		into(&i.From), into(&i.To), &i.ToIndex, &i.Entry, &units, &asset.Symbol, &asset.Decimals, &i.CreatedAt, &i.ExpiresAt, &i.UpdatedAt, &i.Plan,
		into(&i.Parent))
	if err != nil {
		return Intent{}, err
	}
	if sha256.Sum256(i.Bytes) != i.ID {
		return Intent{}, spend.Distrust("intent-damaged", fmt.Sprintf("intent %d", i.Serial), "bytes that hash to "+hex.EncodeToString(i.ID[:]),
			"other bytes in the records", "the operator stops and compares the records with a backup")
	}
	count, err := money.ParseU128(units)
	i.Amount = money.New(asset, count)
	return i, err
}

// Propose stores a new intent with the next serial and, when it pays a wallet, the next receive index. The same request
// again returns the intent that it made the first time, and false. Refusals: wallet-unknown, lookahead-exhausted, halted.
func (s *Store) Propose(ctx context.Context, p Proposal, write Write) (out Intent, fresh bool, err error) {
	if p.Request == "" {
		return Intent{}, false, errors.New("a proposal needs a request key, so that asking twice proposes once")
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		old, err := scanIntent(tx.QueryRowContext(ctx, selectRequest, p.Request))
		if err == nil {
			out = old
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		out, err = s.propose(ctx, tx, p, write)
		fresh = err == nil
		return err
	})
	if err != nil {
		return Intent{}, false, err
	}
	return out, fresh, nil
}

func (s *Store) propose(ctx context.Context, tx *sql.Tx, p Proposal, write Write) (Intent, error) {
	if err := refuseHalted(ctx, tx); err != nil {
		return Intent{}, err
	}
	draft, err := draftOf(ctx, tx, p.To)
	if err != nil {
		return Intent{}, err
	}
	asked, encoded, err := write(draft)
	if err != nil {
		return Intent{}, err
	}
	now := s.now()
	if asked.Serial != draft.Serial || asked.ToIndex != draft.ToIndex || asked.To != p.To || asked.Network != s.network || asked.ExpiresAt <= now {
		return Intent{}, fmt.Errorf("intent %d to index %d on %s until %d does not keep to its draft: serial %d, index %d, %s, after %d",
			asked.Serial, asked.ToIndex, asked.Network, asked.ExpiresAt, draft.Serial, draft.ToIndex, s.network, now)
	}
	if _, err := counterOf(ctx, tx, asked.From, changeBranch); err != nil {
		return Intent{}, err
	}
	i := Intent{Intent: asked, ID: sha256.Sum256(encoded), Bytes: encoded, State: Proposed, Request: p.Request, Plan: blob(p.Plan), UpdatedAt: now}
	if i.Parent, err = parentOf(p.Stuck); err != nil {
		return Intent{}, err
	}
	if err := insert(ctx, tx, i, p); err != nil {
		return Intent{}, err
	}
	if _, err := tx.ExecContext(ctx, raiseCounter, p.To[:], receiveBranch, draft.ToIndex+1); err != nil {
		return Intent{}, err
	}
	_, err = s.log(ctx, tx, "intent-proposed", fact{"serial": i.Serial, "id": hex.EncodeToString(i.ID[:]), "proposer": i.Proposer,
		"amount": i.Amount.String(), "from": i.From.String(), "to": payeeOf(i), "index": i.ToIndex})
	return i, err
}

// payeeOf says in an event who is paid.
func payeeOf(i Intent) string {
	if i.Entry != "" {
		return "entry " + i.Entry
	}
	return i.To.String()
}

// draftOf finds the next serial and the next index of the wallet that is paid, if one is.
func draftOf(ctx context.Context, tx *sql.Tx, to spend.WalletID) (d Draft, err error) {
	if to == (spend.WalletID{}) {
		return d, tx.QueryRowContext(ctx, selectSerial).Scan(&d.Serial)
	}
	target, err := counterOf(ctx, tx, to, receiveBranch)
	if err != nil {
		return d, err
	}
	if target.Next >= target.Watched {
		return d, spend.Refuse("lookahead-exhausted", "wallet "+to.Short(), fmt.Sprintf("a watched script at index %d", target.Next),
			fmt.Sprintf("scripts below %d", target.Watched), "the daemon adds scripts to its look-ahead and asks again")
	}
	d.ToIndex = target.Next
	return d, tx.QueryRowContext(ctx, selectSerial).Scan(&d.Serial)
}

func insert(ctx context.Context, tx *sql.Tx, i Intent, p Proposal) error {
	var target, index, parent any // NULL unless the intent has one
	if i.To != (spend.WalletID{}) {
		target, index = i.To[:], i.ToIndex
	}
	if i.Parent != (chainhash.Hash{}) {
		parent = i.Parent[:]
	}
	asset := i.Amount.Asset()
	_, err := tx.ExecContext(ctx, insertIntent, int64(i.Serial), i.ID[:], i.Bytes, i.Request, string(i.State), string(i.Network), string(i.Purpose),
		i.Issuer, i.Proposer, i.From[:], target, index, i.Entry, i.Amount.Units().String(), asset.Symbol, asset.Decimals, i.CreatedAt, i.ExpiresAt,
		i.UpdatedAt, i.Plan, parent)
	if err != nil {
		return err
	}
	for _, coin := range p.Coins {
		if _, err := tx.ExecContext(ctx, insertPlanned, int64(i.Serial), coin.Hash[:], coin.Index); err != nil {
			return err
		}
	}
	for number, raw := range p.Stuck {
		if _, err := tx.ExecContext(ctx, insertStuck, int64(i.Serial), number, raw); err != nil {
			return err
		}
	}
	return nil
}

// Planned returns the coins that an intent was planned with, none when it was planned without.
func (s *Store) Planned(ctx context.Context, serial uint64) ([]wire.OutPoint, error) {
	var out []wire.OutPoint
	rows, err := s.reader.QueryContext(ctx, selectPlanned, int64(serial))
	err = each(rows, err, func(row scanner) error {
		var coin wire.OutPoint
		err := row.Scan(into(&coin.Hash), &coin.Index)
		out = append(out, coin)
		return err
	})
	return out, err
}

// Intent returns one intent; an unknown serial is a refusal (intent-unknown).
func (s *Store) Intent(ctx context.Context, serial uint64) (Intent, error) {
	return intentOf(ctx, s.reader, serial)
}

func intentOf(ctx context.Context, q querier, serial uint64) (Intent, error) {
	i, err := scanIntent(q.QueryRowContext(ctx, selectIntent, int64(serial)))
	if errors.Is(err, sql.ErrNoRows) {
		return i, spend.Refuse("intent-unknown", fmt.Sprintf("intent %d", serial), "the serial of a proposed intent", "none", "see which there are: warmctl topup list")
	}
	return i, err
}

// Intents returns the intents in any of the states, all when none is named, by serial.
func (s *Store) Intents(ctx context.Context, states ...State) ([]Intent, error) {
	if states == nil {
		states = []State{}
	}
	wanted, err := json.Marshal(states)
	if err != nil {
		return nil, err
	}
	var out []Intent
	rows, err := s.reader.QueryContext(ctx, selectIntents, string(wanted))
	err = each(rows, err, func(row scanner) error {
		i, err := scanIntent(row)
		out = append(out, i)
		return err
	})
	return out, err
}

// move is the compare-and-set of the state machine.
func (s *Store) move(ctx context.Context, tx *sql.Tx, i Intent, to State) error {
	result, err := tx.ExecContext(ctx, moveIntent, int64(i.Serial), string(i.State), string(to), s.now())
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("intent %d left state %s within one transaction", i.Serial, i.State))
	}
	return nil
}

// inState refuses an intent that is in none of the states.
func inState(i Intent, allowed ...State) error {
	var expected bytes.Buffer
	for n, state := range allowed {
		if i.State == state {
			return nil
		}
		if n > 0 {
			expected.WriteString(" or ")
		}
		expected.WriteString(string(state))
	}
	return spend.Refuse("intent-state", fmt.Sprintf("intent %d", i.Serial), expected.String(), string(i.State), fmt.Sprintf("see what happened to it: warmctl topup show %d", i.Serial))
}

// unexpired refuses an intent whose time is over, whether or not Expire has seen it.
func (s *Store) unexpired(i Intent) error {
	if now := s.now(); now >= i.ExpiresAt {
		return spend.Distrust("intent-expired", fmt.Sprintf("intent %d", i.Serial), "a time before "+time.Unix(i.ExpiresAt, 0).UTC().Format(time.RFC3339),
			time.Unix(now, 0).UTC().Format(time.RFC3339), "treasury staff propose it again: warmctl topup propose")
	}
	return nil
}

// Cancel ends an intent that is not signed yet. The coins of a sealed one stay reserved until its bundle can no longer
// be signed (see Expire).
func (s *Store) Cancel(ctx context.Context, serial uint64, by, reason string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		i, err := intentOf(ctx, tx, serial)
		if err != nil || i.State == Cancelled {
			return err
		}
		if err := inState(i, Proposed, Approved, Sealed); err != nil {
			return err
		}
		if err := s.move(ctx, tx, i, Cancelled); err != nil {
			return err
		}
		_, err = s.log(ctx, tx, "intent-cancelled", fact{"serial": serial, "by": by, "reason": reason, "was": i.State})
		return err
	})
}

// Expire ends every unsigned intent whose time is over, frees the coins of ended intents whose bundles no signer
// accepts any more (15 minutes after their time), and returns the serials that expired.
func (s *Store) Expire(ctx context.Context) (serials []uint64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if serials, err = serialsOf(ctx, tx, selectOver, s.now()); err != nil {
			return err
		}
		for _, serial := range serials {
			i, err := intentOf(ctx, tx, serial)
			if err != nil {
				return err
			}
			if err := s.move(ctx, tx, i, Expired); err != nil {
				return err
			}
			if _, err := s.log(ctx, tx, "intent-expired", fact{"serial": serial, "was": i.State}); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, releaseExpired, int64(reservationGrace/time.Second), s.now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return serials, nil
}
