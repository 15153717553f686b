package engine

import (
	"encoding/binary"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/near"
)

// finder finds slots of a slab by a hash of 32 bits, which it keeps beside each slot, so that it touches the slab only
// where the owner will find what it looks for. Whoever asks compares.
type finder struct {
	table []found
	count int
}

type found struct{ hash, slot uint32 } // slot 0: free

const finderLeast = 64

// first returns a slot that may be the one, and where to go on; zero when there is none.
func (f *finder) first(hash uint32) (slot, at uint32) { return f.next(hash, hash-1) }

func (f *finder) next(hash, at uint32) (slot, next uint32) {
	if len(f.table) == 0 {
		return 0, 0
	}
	mask := uint32(len(f.table) - 1)
	for at++; ; at++ {
		if e := f.table[at&mask]; e.slot == 0 || e.hash == hash {
			return e.slot, at
		}
	}
}

// fetch asks for where a hash would stand.
func (f *finder) fetch(l *near.List, hash uint32) {
	if len(f.table) > 0 {
		near.Fetch(l, &f.table[hash&uint32(len(f.table)-1)])
	}
}

// put adds a slot, which is not zero.
func (f *finder) put(hash, slot uint32) {
	if f.count++; f.count*2 > len(f.table) {
		f.grow()
	}
	f.seat(found{hash, slot})
}

func (f *finder) seat(e found) {
	mask := uint32(len(f.table) - 1)
	at := e.hash
	for ; f.table[at&mask].slot != 0; at++ {
	}
	f.table[at&mask] = e
}

func (f *finder) grow() {
	old := f.table
	f.table = make([]found, max(2*len(old), finderLeast))
	for _, e := range old {
		if e.slot != 0 {
			f.seat(e)
		}
	}
}

// drop takes a slot out and closes the gap: entries behind it that may stand at it move up.
func (f *finder) drop(hash, slot uint32) {
	mask := uint32(len(f.table) - 1)
	gap := hash & mask
	for ; f.table[gap] != (found{hash, slot}); gap = (gap + 1) & mask {
		if f.table[gap].slot == 0 {
			panic("engine: a name that is not in its table")
		}
	}
	f.count--
	for i := (gap + 1) & mask; f.table[i].slot != 0; i = (i + 1) & mask {
		if (i-f.table[i].hash)&mask >= (i-gap)&mask {
			f.table[gap] = f.table[i]
			gap = i
		}
	}
	f.table[gap] = found{}
}

// What is remembered of the last commands: half a million of them at least, and however many come, all of the last 40
// seconds. A signed request is good for 35, and a gateway that was started in the meantime does not know it: then the
// engine alone keeps it from counting twice. Beyond two million in that time, 52,000 a second, count and not time is what
// is held to.
const (
	windowLen = 1 << 19
	windowAge = exchange.Millis(40_000)
	windowMax = 1<<windowBits - 1
)

// window remembers what the last commands were answered, in two generations: when the newer one is full and the older
// one old enough, the older one is forgotten whole. So nothing is ever taken out one by one.
type window struct{ newer, older generation }

type generation struct {
	answers []answer
	table   []uint32 // open addressing: eleven bits of the hash, and the place in answers plus one in the lower twenty-one
}

const windowBits = 21

// answer is an outcome without fills and reason, in one line of the cache.
type answer struct {
	id       exchange.ID
	seq      uint64
	at       exchange.Millis
	order    uint64
	quote    int64
	number   uint64 // Number, Replaced or Canceled: a command has one of them
	executed uint32
	code     exchange.Code
	status   exchange.Status
	kind     exchange.Kind
}

func hashOf(id exchange.ID) uint64 {
	return (binary.LittleEndian.Uint64(id[:]) ^ binary.LittleEndian.Uint64(id[8:])*0xC2B2AE3D27D4EB4F) * 0x9E3779B97F4A7C15
}

func (w *window) find(hash uint64, id exchange.ID) *answer {
	if a := w.newer.find(hash, id); a != nil {
		return a
	}
	return w.older.find(hash, id)
}

func (g *generation) find(hash uint64, id exchange.ID) *answer {
	if len(g.table) == 0 {
		return nil
	}
	mask := uint64(len(g.table) - 1)
	for at := hash >> 40 & mask; g.table[at] != 0; at = (at + 1) & mask {
		e := g.table[at]
		if e>>windowBits == uint32(hash)>>windowBits {
			if a := &g.answers[e&(1<<windowBits-1)-1]; a.id == id {
				return a
			}
		}
	}
	return nil
}

// fetch asks for where an identity of that hash would stand.
func (g *generation) fetch(l *near.List, hash uint64) {
	if len(g.table) > 0 {
		near.Fetch(l, &g.table[hash>>40&uint64(len(g.table)-1)])
	}
}

// add returns the place of a new answer, now, for an identity of that hash.
func (w *window) add(hash uint64, now exchange.Millis) *answer {
	if n := len(w.newer.answers); n >= windowLen && (n >= windowMax || now-w.older.last() >= windowAge) {
		w.turn()
	}
	return w.newer.add(hash)
}

// turn forgets the older generation and begins a new one, in its memory unless that is more than half a million need.
func (w *window) turn() {
	w.newer, w.older = w.older, w.newer
	if g := &w.newer; cap(g.answers) > 2*windowLen {
		*g = generation{}
	} else {
		g.answers = g.answers[:0]
		clear(g.table)
	}
}

// last is when the last command of a generation came; long ago when there is none.
func (g *generation) last() exchange.Millis {
	if n := len(g.answers); n > 0 {
		return g.answers[n-1].at
	}
	return -windowAge
}

func (g *generation) add(hash uint64) *answer {
	if 2*len(g.answers) >= len(g.table) {
		g.grow()
	}
	n := len(g.answers)
	if n < cap(g.answers) {
		g.answers = g.answers[:n+1]
	} else {
		g.answers = append(g.answers, answer{})
	}
	g.seat(hash, n+1)
	return &g.answers[n]
}

func (g *generation) grow() {
	size := max(finderLeast, 2*len(g.table))
	if size > 1<<14 { // whoever has so many will have half a million
		size = max(size, 2*windowLen)
		g.answers = slices.Grow(g.answers, size/2-len(g.answers))
	}
	g.table = make([]uint32, size)
	for n := range g.answers {
		g.seat(hashOf(g.answers[n].id), n+1)
	}
}

// seat enters the answer of that number, from one on.
func (g *generation) seat(hash uint64, number int) {
	mask := uint64(len(g.table) - 1)
	at := hash >> 40 & mask
	for ; g.table[at] != 0; at = (at + 1) & mask {
	}
	g.table[at] = uint32(hash)>>windowBits<<windowBits | uint32(number)
}

// keep is what an outcome says.
func (a *answer) keep(o *exchange.Outcome, kind exchange.Kind) {
	a.id, a.seq, a.at, a.order, a.quote = o.ID, o.Seq, o.At, uint64(o.Order), o.Quote
	a.number = uint64(o.Replaced) + uint64(o.Canceled) + o.Number
	a.executed, a.code, a.status, a.kind = uint32(o.Executed), o.Code, o.Status, kind
}

// outcome says it again.
func (a *answer) outcome(o *exchange.Outcome) {
	*o = exchange.Outcome{ID: a.id, Seq: a.seq, At: a.at, Code: a.code, Again: true, Order: exchange.OrderID(a.order), Status: a.status,
		Executed: int64(a.executed), Quote: a.quote}
	switch a.kind {
	case exchange.Replace:
		o.Replaced = exchange.OrderID(a.number)
	case exchange.CancelAll:
		o.Canceled = int64(a.number)
	default:
		o.Number = a.number
	}
}
