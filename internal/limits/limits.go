// Package limits says whether a request may pass: per address, per account and per endpoint, over any window.
//
// All gateways ask one Table, over the bus (codec.go), so that a limit holds over all of them together. A request costs
// weight; an address has 1,200 of it in ANY 60 seconds, not in a minute of the clock that lets twice as much pass around
// its end. To know that exactly would take a list of every request; the table counts in 13 buckets of 5 seconds, which
// reach back at least 60 seconds at every moment, so what it lets pass is never more, and at most a bucket's share less.
// An IPv6 customer owns 2^64 addresses: the /64 counts as one.
//
//	bucket   k-12  k-11  ...  k-1   k
//	         |<------ counted ------->|      an address may use 1,200 over all of them
//	            |<---- 60 s -------->| now
//
// Whoever goes over a limit is told to slow down. Who goes on is banned for a while, longer each time, and in the end
// for good; then two people look at it. Good conduct makes up for it, one step every six hours.
//
//	pass -> slow down (429) -> banned (418) 2 min, 10 min, 1 h, 6 h, 24 h -> blocked (403) and a ticket
//
// Wrong signatures count against the address that sends them and never against the account that they name: else anybody
// could lock anybody out. Wrong signatures for many accounts are somebody trying stolen secrets, and ban at once.
//
// What may never happen here: a clock of its own, memory that an attacker can grow without bound, or an address under a
// ban that is forgotten to make room.
package limits

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Class is the kind of endpoint that a request asks for.
type Class uint8

// The classes, from the one with the widest limit to the one with the narrowest.
const (
	General   Class = iota // market data, and what an account reads
	Trading                // orders
	Sensitive              // withdrawals, keys, address books: each costs an address twenty times its weight
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

// Request is one request to the API. The gateway verifies the signature first and asks once: Account is charged only when
// Failure is NoFailure and the key may do what it is used for, from there.
type Request struct {
	IP      netip.Addr
	Account exchange.Account // zero: nobody
	Class   Class
	Failure Failure
	Weight  uint16 // of the endpoint; zero counts as one, because nothing is free
	Orders  uint16 // how many orders it places
	Trace   Trace
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
	WhyConduct    // what the scorer found
)

// Decision answers a Request.
type Decision struct {
	Verdict    Verdict
	Why        Why
	Used       uint16          // weight of the address in the last minute, this request included if it passed
	Orders10s  uint32          // of the account
	OrdersDay  uint32          // of the account
	RetryAfter exchange.Millis // from now; zero for Pass and Blocked
	Conduct    Conduct         // of the account that signed, else of the address: ask for a challenge before you answer
}

// Exception gives the addresses of a block a limit of their own: offices behind one address, market makers. They are
// banned like others, but never for good.
type Exception struct {
	Block  netip.Prefix
	Weight uint16 // in any 60 seconds, of each address
}

// Options make a Table. Zero values stand for the defaults.
type Options struct {
	AddressWeight uint16 // in any 60 seconds; 1,200
	AccountWeight uint16 // in any 60 seconds; 6,000
	Orders10s     uint32 // in 10 seconds of the clock; 200
	OrdersDay     uint32 // in a day of UTC; 1,000,000
	Addresses     int    // that are remembered one by one; 1,000,000
	Exceptions    []Exception
	Sentences     []Sentence // what an earlier table knew
	Seed          uint64     // of the scorer; zero: drawn
}

const (
	weightMax     = 60_000 // so that no sum of buckets leaves 16 bits
	addressesMax  = 1 << 24
	exceptionsMax = 256
)

// Table counts requests. Its methods may be called from several goroutines.
type Table struct {
	mu      sync.Mutex
	now     exchange.Millis // the newest time that was given
	o       Options
	changes uint64 // of sentences

	notices     []Notice
	noticesLost uint64
	addresses   addresses
	accounts    map[exchange.Account]*conduct
	bots        *Scorer
}

// New returns an empty table.
func New(o Options) (*Table, error) {
	o.AddressWeight, o.AccountWeight = or(o.AddressWeight, 1_200), or(o.AccountWeight, 6_000)
	o.Orders10s, o.OrdersDay, o.Addresses = or(o.Orders10s, 200), or(o.OrdersDay, 1_000_000), or(o.Addresses, 1_000_000)
	if o.AddressWeight > weightMax || o.AccountWeight > weightMax || o.Addresses < 1 || o.Addresses > addressesMax {
		return nil, fmt.Errorf("limits: weights %d and %d (at most %d), %d addresses (1 to %d)", o.AddressWeight, o.AccountWeight, weightMax, o.Addresses, addressesMax)
	}
	if len(o.Exceptions) > exceptionsMax {
		return nil, fmt.Errorf("limits: %d exceptions, at most %d", len(o.Exceptions), exceptionsMax)
	}
	for _, e := range o.Exceptions {
		if block := e.Block; !block.IsValid() || block != block.Masked() || block.Addr().Is4In6() || block.Addr().Is6() && block.Bits() > 64 || e.Weight == 0 || e.Weight > weightMax {
			return nil, fmt.Errorf("limits: exception %v with weight %d: a block (IPv6: of /64 or wider) and a weight of 1 to %d are needed", block, e.Weight, weightMax)
		}
	}
	t := &Table{o: o, addresses: newAddresses(o.Addresses), accounts: map[exchange.Account]*conduct{}}
	if o.Seed == 0 {
		o.Seed = maphash.Comparable(t.addresses.seed, "scorer")
	}
	t.bots = NewScorer(o.Seed)
	for _, s := range o.Sentences {
		if err := t.addresses.sentence(s); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func or[N comparable](n, instead N) N {
	var zero N
	if n == zero {
		return instead
	}
	return n
}

// Take counts a request and says whether it may pass. Time never goes back: an older now counts as the newest one.
func (t *Table) Take(r Request, now exchange.Millis) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	now = max(now, t.now, 0)
	t.now = now
	limit, excepted := t.limit(r.IP)
	e, own := t.addresses.entry(keyOf(r.IP), now)
	finding := t.bots.See(&r, now)
	if finding.Fresh {
		t.found(r, finding, now)
	}
	judge := judgement{e: e, now: now, limit: limit, own: own, excepted: excepted, slowed: finding.slows() && !excepted}
	level, until := e.level, e.until
	d := judge.take(r)
	d.Conduct = finding.Conduct
	if e.level != level || e.until != until {
		t.changes++
		t.sentenced(e, level, now)
	}
	if d.Verdict != Pass || r.Account == 0 || r.Failure != NoFailure || r.Trace.Denied {
		return d
	}
	return t.takeAccount(r, d, now)
}

// limit returns what an address may use, and whether that is an exception.
func (t *Table) limit(ip netip.Addr) (uint16, bool) {
	if len(t.o.Exceptions) > 0 {
		ip = ip.Unmap().WithZone("")
		for _, e := range t.o.Exceptions {
			if e.Block.Contains(ip) {
				return e.Weight, true
			}
		}
	}
	return t.o.AddressWeight, false
}

// TakeAll reads requests until raw ends and appends a decision for each, in their order. Bytes that are no requests
// count nothing.
func (t *Table) TakeAll(raw, out []byte, now exchange.Millis) ([]byte, error) {
	var r Request
	var err error
	for check := raw; len(check) > 0; {
		if check, err = r.Read(check); err != nil {
			return out, err
		}
	}
	for len(raw) > 0 {
		raw, _ = r.Read(raw)
		d := t.Take(r, now)
		out = d.Append(out)
	}
	return out, nil
}
