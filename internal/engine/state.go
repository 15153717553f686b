package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/near"
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
	fills    []exchange.Fill    // those of the outcomes
}

// StateOptions say what is not part of the state itself. Two states with different options have the same hash; but the
// rules belong to the journal's beginning, and a snapshot knows its own.
type StateOptions struct {
	NoEvents bool            // nobody listens: Results.Events stays empty
	Rules    accounts.Rules  // of a new state; all zero: the default ones
	Opener   accounts.Opener // opens customers' secrets; nil: every one-time code is refused
}

// ErrFrame says that bytes are no frame that follows the state. Nothing was applied.
var ErrFrame = errors.New("engine: no frame that follows the state")

// State is everything that the commands so far have made: catalogue, accounts, balances, books. It is not safe for
// concurrent use: one engine writes.
type State struct {
	options StateOptions
	seq     uint64
	now     exchange.Millis
	digest  ledger.Digest // of every outcome and every change of an order, in their order

	catalogue
	funds
	accounts *accounts.Book
	ledger   *ledger.Ledger

	orders  []order // a slab; books know their places as tags
	free    uint32
	open    int
	clients finder // orders by account, market and client name
	window  window

	// What is used within a frame and means nothing between frames.
	commands []exchange.Command
	events   []matching.Event
	tags     []uint32
	out      *Results
	taker    taker
	crossed  []*market // where the commands at hand will trade
	makers   []maker
	ahead    near.List
	risen    []uint32       // stop orders that came to life
	levels   []uint64       // touched: market, side, price
	touched  []ledger.Place // their rows are marked
}

// NewState makes the state before the first command.
func NewState(o StateOptions) *State {
	return &State{options: o, accounts: accounts.New(accounts.Options{Rules: o.Rules, Opener: o.Opener}), ledger: ledger.New(),
		orders: make([]order, 1, 1024), catalogue: newCatalogue(), funds: newFunds()}
}

// Seq returns the sequence number of the last command that was applied, zero before the first.
func (s *State) Seq() uint64 { return s.seq }

// Now returns the engine's time: that of the last frame.
func (s *State) Now() exchange.Millis { return s.now }

// Hash is of everything that the commands so far did: every outcome, every change of an order, every balance that a
// posting made, folded together as it happened, so that it costs next to nothing to ask. Two states with the same
// journal have the same hash; when they differ, so do the histories. It notices faults and not enemies: a state is
// compared whole by its snapshot, which has one spelling, and the journal is sealed.
func (s *State) Hash() [32]byte {
	money := s.ledger.Digest()
	raw := binary.LittleEndian.AppendUint64([]byte("coldsign-state-1"), s.seq)
	for _, n := range []uint64{uint64(s.now), s.digest[0], s.digest[1], money[0], money[1], uint64(s.open), uint64(s.accounts.Len()), s.serial} {
		raw = binary.LittleEndian.AppendUint64(raw, n)
	}
	return sha256.Sum256(raw)
}

// Apply applies a frame. Its error is for bytes that are no frame alone, and then nothing was applied; a command that
// is refused has an outcome that says so.
func (s *State) Apply(f Frame, out *Results) error {
	out.Outcomes, out.Events, out.fills = out.Outcomes[:0], out.Events[:0], out.fills[:0]
	if err := s.decode(f); err != nil {
		return err
	}
	s.now = max(s.now, f.At)
	s.out = out
	s.seq++ // what expires now does so on behalf of the first command
	s.advance()
	s.seq--
	for i := range s.commands {
		if i%aheadLen == 0 {
			s.lookAhead(s.commands[i:min(i+aheadLen, len(s.commands))])
		}
		s.seq++
		out.Outcomes = append(out.Outcomes, exchange.Outcome{})
		s.apply(&s.commands[i], &out.Outcomes[i])
	}
	s.flush()
	s.out = nil
	clear(s.commands) // they share memory with the frame
	return nil
}

// decode reads every command before the first is applied.
func (s *State) decode(f Frame) error {
	if f.First != s.seq+1 || f.Count < 1 || f.Count > len(f.Commands) {
		return fmt.Errorf("%w: %d commands from %d on, after %d", ErrFrame, f.Count, f.First, s.seq)
	}
	for len(s.commands) < f.Count {
		s.commands = append(s.commands, exchange.Command{})
	}
	s.commands = s.commands[:f.Count]
	rest, err := f.Commands, error(nil)
	for i := range s.commands {
		if rest, err = s.commands[i].Read(rest); err != nil {
			return fmt.Errorf("%w: command %d: %w", ErrFrame, f.First+uint64(i), err)
		}
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes behind the last command", ErrFrame, len(rest))
	}
	return nil
}

// apply applies one command, or says again what it was answered.
func (s *State) apply(c *exchange.Command, o *exchange.Outcome) {
	if c.Kind == exchange.Tick {
		o.ID, o.Seq, o.At = c.ID, s.seq, s.now
		return
	}
	hash := hashOf(c.ID)
	if a := s.window.find(hash, c.ID); a != nil {
		a.outcome(o)
		return
	}
	o.ID, o.Seq, o.At = c.ID, s.seq, s.now
	s.perform(c, o)
	a := s.window.add(hash, s.now)
	a.keep(o, c.Kind)
	s.digest.Add(a.order^uint64(a.code)<<48^uint64(a.status)<<40, uint64(a.quote)^a.number<<1)
}

func (s *State) perform(c *exchange.Command, o *exchange.Outcome) {
	switch c.Kind {
	case exchange.Place:
		o.Code = s.place(c, o)
	case exchange.Cancel:
		o.Code = s.cancel(c, o)
	case exchange.CancelAll:
		o.Code = s.cancelAll(c, o)
	case exchange.Replace:
		o.Code = s.replace(c, o)
	case exchange.Amend:
		o.Code = s.amend(c, o)
	case exchange.Deposit:
		o.Code = s.deposit(c, o)
	case exchange.WithdrawRequest:
		o.Code = s.withdraw(c, o)
	case exchange.WithdrawSettle, exchange.WithdrawRelease:
		o.Code = s.withdrawn(c, o)
	case exchange.Adjust, exchange.Change:
		o.Code = s.change(c, o)
	case exchange.AccountOpen, exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign:
		o.Code = s.customer(c, o)
	case exchange.PasskeyOffer, exchange.PasskeyEnrol, exchange.Approve:
		o.Code = s.passkey(c, o)
	}
}

// Allowed reports whether commands of a kind may come from a segment: gateway, wallet, admin, or the engine itself.
func Allowed(kind exchange.Kind, segment string) bool {
	switch kind {
	case exchange.Place, exchange.Cancel, exchange.CancelAll, exchange.Replace, exchange.Amend, exchange.WithdrawRequest,
		exchange.DepositAssign, exchange.PasskeyEnrol, exchange.Approve:
		return segment == "gateway"
	case exchange.Deposit, exchange.WithdrawSettle, exchange.WithdrawRelease:
		return segment == "wallet"
	case exchange.Adjust, exchange.Change, exchange.AccountOpen, exchange.PasskeyOffer:
		return segment == "admin"
	case exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove:
		return segment == "gateway" || segment == "admin"
	case exchange.Tick:
		return segment == "engine"
	}
	return false
}
