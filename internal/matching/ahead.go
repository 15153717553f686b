package matching

import "github.com/coldsign/coldsign/internal/near"

// Whoever has many commands at hand asks memory for what they will touch before the first of them comes. Each method here
// reads what the one before it asked for, and puts on a list what stands behind it; nothing here changes the book.

// aheadMax is the most orders that are read ahead.
const aheadMax = 1024

// scout walks the orders that coming takers will meet on one side, best price and oldest first.
type scout struct {
	want  int64 // lots that the takers ask for and the walk has not reached
	at    slot  // next to read; zero before the first
	level uint32
}

// FetchEntry asks for where an owner's orders begin, and where an order is found, if one is named.
func (b *Book) FetchEntry(l *near.List, o Owner, id OrderID) {
	b.owners.fetch(l, o)
	if id != 0 {
		b.ids.fetch(l, id)
	}
}

// FetchFresh asks for where an order of a new identity will be found.
func (b *Book) FetchFresh(l *near.List, id OrderID) { b.ids.fetch(l, id) }

// FetchEnds asks for the owner's first order, and for the last one at a price. It follows FetchEntry.
func (b *Book) FetchEnds(l *near.List, o Owner, s Side, p Price) {
	near.Fetch(l, &b.owned[b.owners.claim(o).first])
	if p > 0 && p <= PriceMax {
		side := &b.sides[s&1]
		near.Fetch(l, &b.orders[side.levels[side.at(p)].tail])
	}
}

// FetchOrder asks for an order. It follows FetchEntry.
func (b *Book) FetchOrder(l *near.List, id OrderID) {
	s := b.ids.get(id)
	near.Fetch(l, &b.orders[s])
	near.Fetch(l, &b.owned[s])
}

// FetchLinks asks for what stands beside an order, and returns its tag. It follows FetchOrder.
func (b *Book) FetchLinks(l *near.List, id OrderID) uint32 {
	s := b.ids.get(id)
	if s == 0 {
		return 0
	}
	o := &b.orders[s]
	near.Fetch(l, &b.orders[o.prev])
	near.Fetch(l, &b.orders[o.next])
	b.fetchOwned(l, s)
	return o.tag
}

func (b *Book) fetchOwned(l *near.List, s slot) {
	o := b.owned[s]
	if o.next != 0 {
		near.Fetch(l, &b.owned[o.next])
	}
	if o.prev != 0 {
		near.Fetch(l, &b.owned[o.prev])
	}
}

// Expect says that a taker may come with so many lots and that limit, zero for any, and reports whether it would meet
// somebody. Zero lots are few.
func (b *Book) Expect(taker Side, limit Price, lots Qty) bool {
	other := 1 - taker&1
	best := b.best[other]
	if best == 0 || limit > 0 && !crosses(taker, limit, Price(b.sides[other].levels[best].price)) {
		return false
	}
	w := &b.scouts[other]
	if w.at == 0 && w.want == 0 {
		w.level, w.at = best, b.sides[other].levels[best].head
		near.Now(&b.orders[w.at])
	}
	w.want += max(int64(lots), 1)
	return true
}

// Step reads the next order on each side that an expected taker will meet, asks for the one behind it, and reports
// whether there was one.
func (b *Book) Step() bool {
	before := len(b.ahead)
	for side := range b.scouts {
		w := &b.scouts[side]
		if w.want <= 0 || w.at == 0 || len(b.ahead) >= aheadMax {
			continue
		}
		o := &b.orders[w.at]
		b.ahead = append(b.ahead, w.at)
		w.want -= int64(o.shown)
		if w.at = o.next; w.at == 0 {
			if w.level = b.behind(Side(side), w.level); w.level != 0 {
				w.at = b.sides[side].levels[w.level].head
			}
		}
		near.Now(&b.orders[w.at])
	}
	return len(b.ahead) > before
}

// Ahead returns how many orders Step has read since the last Arrive.
func (b *Book) Ahead() int { return len(b.ahead) }

// FetchMaker asks for what ends with the n-th of them, and returns its tag and owner.
func (b *Book) FetchMaker(l *near.List, n int) (tag uint32, owner Owner) {
	s := b.ahead[n]
	o := &b.orders[s]
	near.Fetch(l, &b.owned[s])
	b.FetchEntry(l, o.owner, o.id)
	return o.tag, o.owner
}

// FetchMakerLinks asks for what stands beside the n-th of them. It follows FetchMaker.
func (b *Book) FetchMakerLinks(l *near.List, n int) { b.fetchOwned(l, b.ahead[n]) }

// Arrive forgets what was read ahead.
func (b *Book) Arrive() {
	b.ahead, b.scouts = b.ahead[:0], [2]scout{}
}
