// Package ledger keeps who owns what: double entry in whole smallest units of 128 bits. It exists so that value can
// only move, never appear.
//
// For each asset there are the customers' rows (available and on hold), the house's fees and reserve, and the outside
// world. What customers and house have is at every moment exactly what the outside gave and did not get back; a posting
// that would break this ends the program. No account is exempt: nothing but the outside may go below zero, the house no
// more than a customer. A transfer has an identity and happens once. Nothing is edited or deleted: a mistake is undone by
// another posting.
//
// Value enters by evidence that only its proper room can make: Credit takes a chain.Deposit, which the Bitcoin room makes
// from a transaction under proof of work; Adjust takes an approvals.Grant, which the approvals room makes from the
// signatures of two people.
//
// Rows stand in a slab without pointers, found by open addressing, and their place never changes, so that whoever works
// with a row often keeps its Place. A posting allocates nothing, and the garbage collector has nothing to scan.
//
// What may never happen here: a posting that does not balance, a credit without evidence, a clock, or a map that is
// walked.
package ledger

import (
	"encoding/binary"
	"math/bits"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// Place is where the row of an account and an asset stands. It never changes. Zero is no row.
type Place uint32

// Balance is what an account has of an asset.
type Balance struct{ Available, Held money.U128 }

// House is what stands against the customers' rows of an asset.
type House struct {
	Customers money.U128 // all rows, available and on hold
	Fees      money.U128
	Reserve   money.U128 // the operator's own
	External  money.U128 // what came from outside and did not go back
}

// Ledger is all balances. It is not safe for concurrent use: one engine writes.
type Ledger struct {
	rows   []Balance // by place
	keys   []uint64  // by place: account and asset
	table  []entry
	shift  uint8
	assets []House // by asset
	done   map[Transfer]struct{}
	order  []Transfer // those of done, oldest first
	digest Digest
}

// Transfer names something that may happen once.
type Transfer [16]byte

// entry keeps key and place together, so that a look-up touches one line of the cache.
type entry struct {
	key   uint64
	place Place // 0: the entry is free
}

// AccountMax is the greatest account that has a ledger row.
const AccountMax exchange.Account = 1<<48 - 1

// New returns an empty ledger.
func New() *Ledger {
	l := &Ledger{rows: make([]Balance, 1, 64), keys: make([]uint64, 1, 64), done: map[Transfer]struct{}{}}
	l.resize(6)
	return l
}

func keyOf(a exchange.Account, asset exchange.Asset) uint64 { return uint64(a)<<16 | uint64(asset) }

// slot returns where a key stands in the table, or the free entry where it would.
func (l *Ledger) slot(key uint64) *entry {
	mask := uint64(len(l.table) - 1)
	for i := key * 0x9E3779B97F4A7C15 >> (l.shift & 63); ; i++ {
		if e := &l.table[i&mask]; e.key == key || e.place == 0 {
			return e
		}
	}
}

func (l *Ledger) resize(log int) {
	old := l.table
	l.table, l.shift = make([]entry, 1<<log), uint8(64-log)
	for _, e := range old {
		if e.place != 0 {
			*l.slot(e.key) = e
		}
	}
}

// Find returns the row of an account and an asset, zero when there is none.
func (l *Ledger) Find(a exchange.Account, asset exchange.Asset) Place {
	return l.slot(keyOf(a, asset)).place
}

// Open returns the row of an account and an asset, an empty one when there was none.
func (l *Ledger) Open(a exchange.Account, asset exchange.Asset) Place {
	key := keyOf(a, asset)
	e := l.slot(key)
	if e.place != 0 {
		return e.place
	}
	if a == 0 || a > AccountMax || asset == 0 {
		panic("ledger: a row of nobody or of nothing")
	}
	l.rows, l.keys = append(l.rows, Balance{}), append(l.keys, key)
	p := Place(len(l.rows) - 1)
	*e = entry{key, p}
	l.asset(asset)
	if len(l.rows)*3 > len(l.table)*2 {
		l.resize(bits.Len(uint(len(l.table))))
	}
	return p
}

// asset returns the house's side of an asset.
func (l *Ledger) asset(a exchange.Asset) *House {
	for int(a) >= len(l.assets) {
		l.assets = append(l.assets, House{})
	}
	return &l.assets[a]
}

// Balance returns what stands in a row; the row zero is empty.
func (l *Ledger) Balance(p Place) Balance { return l.rows[p] }

// Owner returns whose row of what a place is.
func (l *Ledger) Owner(p Place) (exchange.Account, exchange.Asset) {
	return exchange.Account(l.keys[p] >> 16), exchange.Asset(l.keys[p])
}

// House returns what stands against the customers' rows of an asset.
func (l *Ledger) House(a exchange.Asset) House {
	if int(a) >= len(l.assets) {
		return House{}
	}
	return l.assets[a]
}

// Rows returns how many rows there are. They have the places 1 to Rows.
func (l *Ledger) Rows() int { return len(l.rows) - 1 }

// Done reports whether a transfer has happened.
func (l *Ledger) Done(t Transfer) bool { _, done := l.done[t]; return done }

func (l *Ledger) remember(t Transfer) {
	l.done[t] = struct{}{}
	l.order = append(l.order, t)
	l.digest.Add(binary.LittleEndian.Uint64(t[:]), binary.LittleEndian.Uint64(t[8:]))
}

// Digest folds every balance that postings made, in their order: two ledgers with the same history have the same.
func (l *Ledger) Digest() Digest { return l.digest }

// Digest is a running sum over what happened. It notices that two histories differ; it is no defence against somebody
// who chooses what happens.
type Digest [2]uint64

// Add folds two numbers in.
func (d *Digest) Add(a, b uint64) {
	hi, lo := bits.Mul64(a^d[0]^0x9E3779B97F4A7C15, b^d[1]^0xC2B2AE3D27D4EB4F)
	d[0], d[1] = hi+bits.RotateLeft64(d[1], 23)+a, lo^bits.RotateLeft64(d[0], 41)+b
}

// posted folds a row in as it now is.
func (l *Ledger) posted(p Place, b *Balance) {
	l.digest.Add(b.Available.Lo^uint64(p)<<32, b.Held.Lo^bits.RotateLeft64(b.Available.Hi, 32)^b.Held.Hi)
}
