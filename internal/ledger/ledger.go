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
// Rows stand in a slab without pointers, one row to a line of the cache, those of an account in a chain whose beginning
// stands in a table of four bytes for each account. A row also knows its owner's fees: who trades touches that table and
// the rows, and nothing else. A row's place never changes, so whoever works with it often keeps its Place. A posting allocates nothing, and the garbage
// collector has nothing to scan.
//
// What may never happen here: a posting that does not balance, a credit without evidence, a clock, or a map that is
// walked.
package ledger

import (
	"encoding/binary"
	"math/bits"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/near"
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

// row is a balance with whose it is, and what orders need to know of them. It fills a line of the cache.
type row struct {
	Balance
	account exchange.Account
	terms   Terms
	next    Place  // of the same account
	mark    uint32 // the caller's own
	asset   exchange.Asset
	_       [2]byte
}

// Terms are what every order needs to know of its account. The zero Terms are those of nobody.
type Terms struct {
	MakerPPM, TakerPPM uint32 // fees, in millionths of what is received
	Known              bool
	Active             bool // it may place orders
}

// holder is an account: its terms, and where its rows begin. Its rows know the terms too.
type holder struct {
	terms Terms
	rows  Place
}

// Ledger is all balances. It is not safe for concurrent use: one engine writes.
type Ledger struct {
	rows    []row                        // by place
	first   []Place                      // by account, as in holders: small enough to stay near
	holders []holder                     // by account
	odd     map[exchange.Account]*holder // of accounts whose numbers are far beyond the others
	assets  []House                      // by asset
	done    []uint32                     // open addressing: places in order, plus one
	order   []Transfer                   // that happened, oldest first
	digest  Digest
}

// Transfer names something that may happen once.
type Transfer [16]byte

// AccountMax is the greatest account that has a ledger row.
const AccountMax exchange.Account = 1<<48 - 1

// gapMax is how far an account's number may be beyond those before it and still have an entry by its number.
const gapMax = 1 << 16

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{rows: make([]row, 1, 64), first: make([]Place, 1, 64), holders: make([]holder, 1, 64), odd: map[exchange.Account]*holder{}}
}

// holder returns an account's entry, or nil when it has none.
func (l *Ledger) holder(a exchange.Account) *holder {
	if uint64(a) < uint64(len(l.holders)) {
		return &l.holders[a]
	}
	return l.odd[a]
}

// enlist returns an account's entry, a new one when there was none.
func (l *Ledger) enlist(a exchange.Account) *holder {
	if a == 0 || a > AccountMax {
		panic("ledger: an account that nobody can have")
	}
	h := l.holder(a)
	if h != nil {
		return h
	}
	if uint64(a) > uint64(len(l.holders))+gapMax {
		l.odd[a] = &holder{}
		return l.odd[a]
	}
	for uint64(len(l.holders)) <= uint64(a) {
		next := holder{}
		if odd := l.odd[exchange.Account(len(l.holders))]; odd != nil {
			next = *odd
			delete(l.odd, exchange.Account(len(l.holders)))
		}
		l.holders, l.first = append(l.holders, next), append(l.first, next.rows)
	}
	return &l.holders[a]
}

// begin returns an account's first row, zero when it has none.
func (l *Ledger) begin(a exchange.Account) Place {
	if uint64(a) < uint64(len(l.first)) {
		return l.first[a]
	}
	if h := l.odd[a]; h != nil {
		return h.rows
	}
	return 0
}

// Terms returns what orders need to know of an account.
func (l *Ledger) Terms(a exchange.Account) Terms {
	if p := l.begin(a); p != 0 {
		return l.rows[p].terms
	}
	if h := l.holder(a); h != nil {
		return h.terms
	}
	return Terms{}
}

// SetTerms says what orders need to know of an account. Terms are not in the ledger's snapshot: whoever sets them keeps
// them.
func (l *Ledger) SetTerms(a exchange.Account, t Terms) {
	h := l.enlist(a)
	h.terms = t
	for p := h.rows; p != 0; p = l.rows[p].next {
		l.rows[p].terms = t
	}
}

// Find returns the row of an account and an asset, zero when there is none.
func (l *Ledger) Find(a exchange.Account, asset exchange.Asset) Place {
	p := l.begin(a)
	for p != 0 && l.rows[p].asset != asset {
		p = l.rows[p].next
	}
	return p
}

// Open returns the row of an account and an asset, an empty one when there was none.
func (l *Ledger) Open(a exchange.Account, asset exchange.Asset) Place {
	if p := l.Find(a, asset); p != 0 {
		return p
	}
	if asset == 0 {
		panic("ledger: a row of nothing")
	}
	h := l.enlist(a)
	l.rows = append(l.rows, row{account: a, asset: asset, terms: h.terms, next: h.rows})
	h.rows = Place(len(l.rows) - 1)
	if uint64(a) < uint64(len(l.first)) {
		l.first[a] = h.rows
	}
	l.asset(asset)
	return h.rows
}

// FetchEntry asks memory for where an account's rows begin. Whoever has many orders at hand asks for all of these, then
// for the rows that they name, then for the rows behind these: the answers of each round come together.
func (l *Ledger) FetchEntry(list *near.List, a exchange.Account) {
	if uint64(a) < uint64(len(l.first)) {
		near.Fetch(list, &l.first[a])
	}
}

// FetchRow asks for an account's first row. It follows FetchEntry.
func (l *Ledger) FetchRow(list *near.List, a exchange.Account) { near.Fetch(list, &l.rows[l.begin(a)]) }

// FetchNextRow asks for the row behind it. It follows FetchRow.
func (l *Ledger) FetchNextRow(list *near.List, a exchange.Account) {
	near.Fetch(list, &l.rows[l.rows[l.begin(a)].next])
}

// Mark sets a row's mark, which is the caller's own, and reports whether it had another one.
func (l *Ledger) Mark(p Place, mark uint32) bool {
	r := &l.rows[p]
	changed := r.mark != mark
	r.mark = mark
	return changed
}

// asset returns the house's side of an asset.
func (l *Ledger) asset(a exchange.Asset) *House {
	for int(a) >= len(l.assets) {
		l.assets = append(l.assets, House{})
	}
	return &l.assets[a]
}

// Balance returns what stands in a row; the row zero is empty.
func (l *Ledger) Balance(p Place) Balance { return l.rows[p].Balance }

// Owner returns whose row of what a place is.
func (l *Ledger) Owner(p Place) (exchange.Account, exchange.Asset) {
	return l.rows[p].account, l.rows[p].asset
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
func (l *Ledger) Done(t Transfer) bool {
	if len(l.done) == 0 {
		return false
	}
	return l.done[l.seat(t)] != 0
}

// seat is where a transfer stands in the table, or the free place where it would. Transfers are hashes already.
func (l *Ledger) seat(t Transfer) uint64 {
	mask := uint64(len(l.done) - 1)
	at := binary.LittleEndian.Uint64(t[:]) & mask
	for ; l.done[at] != 0 && l.order[l.done[at]-1] != t; at = (at + 1) & mask {
	}
	return at
}

func (l *Ledger) remember(t Transfer) {
	l.order = append(l.order, t)
	if 2*len(l.order) > len(l.done) {
		l.done = make([]uint32, max(64, 2*len(l.done)))
		for i := range l.order {
			l.done[l.seat(l.order[i])] = uint32(i + 1)
		}
	} else {
		l.done[l.seat(t)] = uint32(len(l.order))
	}
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
