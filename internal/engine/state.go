package engine

import (
	"errors"
	"io"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Frame is what the journal holds in one row: commands that became durable together, in their order.
type Frame struct {
	First    uint64          // sequence number of the first command
	At       exchange.Millis // the engine's time; it never goes back
	Commands []byte          // Count times exchange.Command
	Count    int
}

// Results are what a frame did. The caller keeps one and gives it to every Apply, which begins it anew.
type Results struct {
	Outcomes []exchange.Outcome // one for each command, in their order
	Events   []byte             // exchange events in a row; empty with StateOptions.NoEvents
}

// StateOptions say what is not part of the state itself. Two states with different options have the same hash.
type StateOptions struct {
	NoEvents bool // nobody listens: Results.Events stays empty
}

// ErrFrame says that bytes are no frame that follows the state. Nothing was applied.
var ErrFrame = errors.New("engine: no frame that follows the state")

// State is everything that the commands so far have made: catalogue, accounts, balances, books. It is not safe for
// concurrent use: one engine writes.
type State struct {
	options StateOptions
	seq     uint64
	now     exchange.Millis
}

// NewState makes the state before the first command.
func NewState(o StateOptions) *State { return &State{options: o} }

// Seq returns the sequence number of the last command that was applied, zero before the first.
func (s *State) Seq() uint64 { return s.seq }

// Now returns the engine's time: that of the last frame.
func (s *State) Now() exchange.Millis { return s.now }

// Apply applies a frame. Its error is for bytes that are no frame alone, and then nothing was applied; a command that
// is refused has an outcome that says so.
func (s *State) Apply(f Frame, out *Results) error { return ErrFrame }

// Hash is of the whole state: two states with the same future have the same hash.
func (s *State) Hash() [32]byte { return [32]byte{} }

// Snapshot writes the whole state.
func (s *State) Snapshot(w io.Writer) error { return nil }

// RestoreState reads the state that a snapshot describes.
func RestoreState(r io.Reader, o StateOptions) (*State, error) { return NewState(o), nil }

// Answer answers a question about what is now, and reports whether it is one of those.
func (s *State) Answer(q exchange.Question) (exchange.Answer, bool) { return exchange.Answer{}, false }

// Allowed reports whether commands of a kind may come from a segment: gateway, wallet or admin.
func Allowed(kind exchange.Kind, segment string) bool {
	switch kind {
	case exchange.Place, exchange.Cancel, exchange.CancelAll, exchange.Replace, exchange.Amend, exchange.WithdrawRequest,
		exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign:
		return segment == "gateway"
	case exchange.Deposit, exchange.WithdrawSettle, exchange.WithdrawRelease:
		return segment == "wallet"
	case exchange.Adjust, exchange.Change, exchange.AccountOpen, exchange.KeyAdd:
		return segment == "admin"
	case exchange.Tick:
		return segment == "engine"
	}
	return false
}
