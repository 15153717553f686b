package store

import (
	"context"

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
	Request   string // the proposer's idempotency key
	UpdatedAt int64  // Unix seconds of the last transition
}

// Draft is what the store gives a new intent: both are used up only when the intent is stored.
type Draft struct {
	Serial  uint64
	ToIndex uint32 // receive index of the destination, reserved for this intent
}

// Write completes an intent with its draft and encodes it. It runs inside the transaction and must not call the store.
type Write func(Draft) (intent spend.Intent, encoded []byte, err error)

// Propose stores a new intent that pays wallet to, with the next serial and the next receive index. The same request
// again returns the intent that it made the first time, and false.
func (s *Store) Propose(ctx context.Context, request string, to spend.WalletID, write Write) (Intent, bool, error) {
	return Intent{}, false, errUnfinished
}

// Approval is one person's signature over an intent's bytes.
type Approval struct {
	Person    string
	Key       string // fingerprint
	Signature []byte // armored SSHSIG
	At        int64  // Unix seconds; set by the store
}

// Judge says whether these approvals are enough; an error takes the newest one back. It runs inside the transaction
// and must not call the store.
type Judge func(Intent, []Approval) (enough bool, err error)

// Approve adds an approval and, when the judge finds them enough, moves proposed to approved. The same signature again
// changes nothing; another one by the same person is refused (approval-repeated).
func (s *Store) Approve(ctx context.Context, serial uint64, a Approval, judge Judge) (Intent, error) {
	return Intent{}, errUnfinished
}

// Approvals returns an intent's approvals in the order they came.
func (s *Store) Approvals(ctx context.Context, serial uint64) ([]Approval, error) {
	return nil, errUnfinished
}

// Intent returns one intent; an unknown serial is a refusal (intent-unknown).
func (s *Store) Intent(ctx context.Context, serial uint64) (Intent, error) {
	return Intent{}, errUnfinished
}

// Intents returns the intents in any of the states, all when none is named, by serial.
func (s *Store) Intents(ctx context.Context, states ...State) ([]Intent, error) {
	return nil, errUnfinished
}

// Cancel ends an intent that is not signed yet. The coins of a sealed one stay reserved until its bundle can no longer
// be signed (see Expire).
func (s *Store) Cancel(ctx context.Context, serial uint64, by, reason string) error {
	return errUnfinished
}

// Expire ends every unsigned intent whose time is over, frees the coins of ended intents whose bundles no signer
// accepts any more, and returns the serials that expired.
func (s *Store) Expire(ctx context.Context) ([]uint64, error) { return nil, errUnfinished }
