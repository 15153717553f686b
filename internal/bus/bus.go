// Package bus carries requests, replies and events between the segments of the exchange over NATS, embedded or an
// external cluster, and remembers nothing.
//
// Two walls stand between segments. NATS admits each segment by its own nkey and lets it reach its own subjects only
// (subjects.go). And because a NATS server is nobody's friend, every message is also sealed between the two segments
// that it concerns (AES-256-GCM, keys.go), so that a hostile server can lose messages and delay them, and nothing else.
// A message is a header of 36 bytes and sealed bytes; numbers are little endian; subject and header are authenticated:
//
//	version 1 | kind 1 | sender 1 | receiver 1 | session or epoch 16 | sequence 8 | until 8 | sealed
//
// A request belongs to a session, which both ends made with fresh numbers (hello, welcome), so nothing that was recorded
// from an earlier run of either end is taken. Its sequence rises within the session, and what does not rise is dropped:
// a message that comes twice, or out of order, is not taken. Its "until" is a time on the receiver's own clock, and what
// arrives later is refused: a message that was held back does nothing. A reply carries its request's session and sequence.
//
// The bus is at most once by nature. ErrUnknown says that an outcome is not known: whoever asked asks again with the
// same identity, so what changes anything carries an identity of its own. Events carry the publisher's epoch and a
// sequence without holes, so a receiver knows when it missed something, and asks for the whole again.
//
// What may never happen here: a segment that reaches a subject which is not its own, a message taken twice, a queue
// without an end.
package bus

import (
	"errors"
	"fmt"
)

// The failures that a caller tells apart. Of all of them only ErrUnknown leaves open whether the message was taken.
var (
	// ErrUnknown says that no reply came in time: the request was taken or not. Ask again by its identity.
	ErrUnknown = errors.New("bus: no reply in time, so the outcome is not known; ask again with the same identity")
	// ErrDenied says that this segment may not do that.
	ErrDenied = errors.New("bus: denied")
	// ErrBusy says that a queue is full: the message was not taken.
	ErrBusy = errors.New("bus: busy, nothing was taken")
	// ErrLate says that the request came to the other end after its time: it was not taken.
	ErrLate = errors.New("bus: the request came too late and was not taken")
	// ErrTooLarge says that a message is longer than MessageMax.
	ErrTooLarge = errors.New("bus: message too large")
	// ErrClosed says that the connection was closed here.
	ErrClosed = errors.New("bus: closed")
	// ErrCredentials says that the server turned this segment's key away.
	ErrCredentials = errors.New("bus: the server does not know this segment's key")
	// ErrDown says that there is no connection to a server right now: the message was not sent.
	ErrDown = errors.New("bus: not connected, nothing was sent")
)

// MessageMax is the longest message, in bytes: a full batch of commands of which the last has the longest body.
const MessageMax = 4 << 20

// Remote is an error that the other end's handler returned.
type Remote struct{ Text string }

// Error returns the other end's words.
func (r *Remote) Error() string { return r.Text }

// Segment is one of the parts that the exchange runs as.
type Segment uint8

// The segments. A number is never given to another meaning: it travels.
const (
	Gateway Segment = iota + 1 // serves customers
	Engine                     // orders, matches, keeps the ledger
	Wallet                     // follows the chain
	Admin                      // serves the staff
	Limits                     // counts requests for all gateways together
)

// Segments returns all segments in their order.
func Segments() []Segment { return []Segment{Gateway, Engine, Wallet, Admin, Limits} }

// String returns the segment's name.
func (s Segment) String() string {
	switch s {
	case Gateway:
		return "gateway"
	case Engine:
		return "engine"
	case Wallet:
		return "wallet"
	case Admin:
		return "admin"
	case Limits:
		return "limits"
	}
	return fmt.Sprintf("segment-%d", uint8(s))
}

// ParseSegment reads a segment's name.
func ParseSegment(name string) (Segment, error) {
	for _, s := range Segments() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("segment %q is not gateway, engine, wallet, admin or limits", name)
}
