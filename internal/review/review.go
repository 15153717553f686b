// Package review lays out the screen that a person reads before anything is signed.
package review

import (
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/spend"
)

// Request is everything that is shown.
type Request struct {
	Intent    spend.Intent
	Effects   chain.Effects
	Verdict   spend.Verdict
	Bundle    [32]byte // identity of the bundle; its twelve words are read aloud
	Policy    [32]byte // version of the signer's policy
	Approvers []string // one line for each person who approved
	Need      int      // approvals that the policy asks for
	Limits    []string // one line for each limit, from policy.Limits
	FromName  string   // names as this signer pinned them
	ToName    string
	Now       time.Time
	Notes     []string // what a person must know beside the facts, e.g. "third issue of this intent"
	Claim     string   // text from outside that nobody verified; shown quoted
}

// State says where a session is.
type State uint8

// The states of a session.
const (
	Viewing State = iota
	Confirming
	Declining
	Approved
	Declined
	Refused
	Locked
)

// Session is the review as a state machine: keys in, screens out.
type Session struct{ state State }

// NewSession begins a review.
func NewSession(req Request) *Session { return &Session{} }

// Screen returns the lines to draw.
func (s *Session) Screen(cols, rows int) []string { return nil }

// Key takes one key.
func (s *Session) Key(key string) {}

// Confirming reports whether typed keys count as confirmation.
func (s *Session) Confirming() bool { return s.state == Confirming }

// Done reports whether the session has ended.
func (s *Session) Done() bool { return s.state >= Approved }

// State returns where the session is.
func (s *Session) State() State { return s.state }

// Reason returns the code of the reason that a person gave for declining.
func (s *Session) Reason() string { return "" }

// Plain returns the same content as one linear text.
func Plain(req Request) string { return "" }

// Confirmation is what must be retyped.
type Confirmation struct{ Prompt string }

// Confirm says what must be retyped for a request.
func Confirm(req Request) Confirmation { return Confirmation{} }

// Check reports whether text confirms.
func (c Confirmation) Check(text string) bool { return false }
