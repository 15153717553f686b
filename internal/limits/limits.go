// Package limits says whether a request may pass: per address, per account and per endpoint, over any window. What may
// never happen here: a clock of its own, or memory that an attacker can grow without bound.
package limits

import (
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Class is the kind of endpoint that a request asks for.
type Class uint8

// The classes, from the one with the widest limit to the one with the narrowest.
const (
	General   Class = iota // market data, and what an account reads
	Trading                // orders
	Sensitive              // withdrawals, keys, address books
)

// Failure says what was wrong with a request, as far as the gateway knows.
type Failure uint8

// The failures.
const (
	NoFailure    Failure = iota
	BadSignature         // Account is the account whose key was named: it is not charged
	BadKey               // no such key
	BadRequest           // nothing that a client of the API sends
)

// Request is one request to the API. The gateway verifies the signature first and asks once: Account counts only when
// Failure is NoFailure.
type Request struct {
	IP      netip.Addr
	Account exchange.Account // zero: nobody
	Class   Class
	Failure Failure
	Weight  uint16 // of the endpoint
	Orders  uint16 // how many orders it places
}

// Verdict is what happens to a request.
type Verdict uint8

// The verdicts.
const (
	Pass     Verdict = iota
	SlowDown         // HTTP 429: over a limit; come back after RetryAfter
	Banned           // HTTP 418: kept on after being told to slow down
	Blocked          // HTTP 403: for good, until people have looked at it
)

// Why says which limit it was.
type Why uint8

// The reasons.
const (
	WhyNothing Why = iota
	WhyAddressWeight
	WhyAccountWeight
	WhyOrders10s
	WhyOrdersDay
	WhyHammering  // went on while being told to slow down
	WhyStuffing   // wrong signatures for many accounts
	WhyRepeatedly // banned again and again
)

// Decision answers a Request.
type Decision struct {
	Verdict    Verdict
	Why        Why
	Used       uint16          // weight of the address in the last minute, this request included
	Orders10s  uint32          // of the account
	OrdersDay  uint32          // of the account
	RetryAfter exchange.Millis // from now; zero for Pass and Blocked
}

// Exception gives the addresses of a block a limit of their own: offices behind one address, market makers.
type Exception struct {
	Block  netip.Prefix
	Weight uint16 // in any 60 seconds
}

// Options make a Table. Zero values stand for the defaults.
type Options struct {
	AddressWeight uint16 // in any 60 seconds; 1,200
	AccountWeight uint32 // in any 60 seconds; 6,000
	Orders10s     uint32 // 200
	OrdersDay     uint32 // 1,000,000
	Addresses     int    // that are remembered one by one; 1,000,000
	Exceptions    []Exception
}

// Table counts requests. Its methods may be called from several goroutines.
type Table struct{}

// New returns an empty table.
func New(o Options) (*Table, error) { return &Table{}, nil }

// Take counts a request and says whether it may pass. Time never goes back: an older now counts as the newest one.
func (t *Table) Take(r Request, now exchange.Millis) Decision { return Decision{} }

// Append appends the request's bytes.
func (r *Request) Append(out []byte) []byte { return out }

// Read reads one request from the front of raw and returns what follows.
func (r *Request) Read(raw []byte) (rest []byte, err error) { return nil, exchange.ErrBytes }

// Append appends the decision's bytes.
func (d *Decision) Append(out []byte) []byte { return out }

// Read reads one decision from the front of raw and returns what follows.
func (d *Decision) Read(raw []byte) (rest []byte, err error) { return nil, exchange.ErrBytes }

// Ticket is a block for good that people have to look at.
type Ticket struct {
	Number uint64
	Block  netip.Prefix // the address, or the /64 of IPv6
	Why    Why
	At     exchange.Millis
}

// Tickets returns the open tickets, oldest first.
func (t *Table) Tickets() []Ticket { return nil }

// Unban forgives an address and closes its ticket. The caller has made sure that two people want it.
func (t *Table) Unban(ip netip.Addr) bool { return false }
