package matching

import "github.com/coldsign/coldsign/internal/near"

const (
	rosterBits = 6       // owners of a page
	rosterMax  = 1 << 26 // owners beyond are rare, and stand in a map
)

// claim is what an owner has in the book.
type claim struct {
	first slot   // of their orders
	n     uint32 // how many; 0: nothing else counts
}

type rosterPage [1 << rosterBits]claim

// roster finds the orders of an owner. Owners are numbered in the order in which they came, so they stand in pages by
// their number; a page in which nobody has an order is given back.
type roster struct {
	pages []uint32 // by owner >> 6: into slab, 0 none
	slab  []rosterPage
	used  []uint16 // owners of a page, by place in slab
	free  []uint32
	odd   map[Owner]claim
}

func newRoster() roster {
	return roster{slab: make([]rosterPage, 1), used: make([]uint16, 1), odd: map[Owner]claim{}}
}

// claim returns what an owner has.
func (r *roster) claim(o Owner) claim {
	if n := o >> rosterBits; n < Owner(len(r.pages)) {
		return r.slab[r.pages[n]][o&(1<<rosterBits-1)]
	}
	if len(r.odd) == 0 {
		return claim{}
	}
	return r.odd[o]
}

// fetch asks for where an owner's claim stands.
func (r *roster) fetch(l *near.List, o Owner) {
	if n := o >> rosterBits; n < Owner(len(r.pages)) {
		near.Fetch(l, &r.slab[r.pages[n]][o&(1<<rosterBits-1)])
	}
}

// set says what an owner has from now on.
func (r *roster) set(o Owner, c claim) {
	if o >= rosterMax {
		if r.odd[o] = c; c.n == 0 {
			delete(r.odd, o)
		}
		return
	}
	n := int(o >> rosterBits)
	for len(r.pages) <= n {
		r.pages = append(r.pages, 0)
	}
	if r.pages[n] == 0 {
		if c.n == 0 {
			return
		}
		r.pages[n] = r.newPage()
	}
	at := r.pages[n]
	e := &r.slab[at][o&(1<<rosterBits-1)]
	switch {
	case e.n == 0 && c.n != 0:
		r.used[at]++
	case e.n != 0 && c.n == 0:
		if r.used[at]--; r.used[at] == 0 {
			r.pages[n], r.free = 0, append(r.free, at)
		}
	}
	if *e = c; c.n == 0 {
		*e = claim{}
	}
}

func (r *roster) newPage() uint32 {
	if n := len(r.free); n > 0 {
		at := r.free[n-1]
		r.free = r.free[:n-1]
		return at
	}
	r.slab, r.used = append(r.slab, rosterPage{}), append(r.used, 0)
	return uint32(len(r.slab) - 1)
}
