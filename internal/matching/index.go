package matching

import (
	"math/bits"

	"github.com/coldsign/coldsign/internal/near"
)

// slot is the place of an order in the slab. Zero is none.
type slot uint32

const (
	idPageBits = 12
	idPageLen  = 1 << idPageBits
	sparse     = 64   // a page with fewer identities, and not the newest, is given up
	gapMax     = 1024 // pages; beyond such a jump of identities the pages begin anew
)

// directory finds orders by identity. Rising identities stand in direct pages of 4,096 slots. Old orders would pin such
// pages for ever, so a page that has become sparse gives its identities to the table, and only the newest identities open
// a page. Arbitrary identities all stand in the table: open addressing, Fibonacci hashing, and deletion that shifts back,
// so that it never fills with tombs.
type directory struct {
	arbitrary bool
	shift     uint8
	count     int // of the table's entries

	first uint64    // number of pages[0]
	pages []*idPage // by id >> 12 less first; nil and all before: in the table
	used  []uint16  // identities of each page: beside them, so that to count reads no line of a page
	free  []*idPage

	table []entry
}

type idPage [idPageLen]slot

// entry keeps identity and slot together, so that a look-up touches one line of the cache.
type entry struct {
	id OrderID
	s  slot // 0: the entry is free
}

func newDirectory(arbitrary bool) directory {
	d := directory{arbitrary: arbitrary}
	d.resize(10)
	return d
}

// direct returns the page of an identity, or nil when the table has it. Pages before the first wrap to no page.
func (d *directory) direct(id OrderID) *idPage {
	if n := uint64(id)>>idPageBits - d.first; n < uint64(len(d.pages)) {
		return d.pages[n]
	}
	return nil
}

func (d *directory) get(id OrderID) slot {
	if p := d.direct(id); p != nil {
		return p[id&(idPageLen-1)]
	}
	return d.table[d.find(id)].s
}

// fetch asks for where an identity is found.
func (d *directory) fetch(l *near.List, id OrderID) {
	if p := d.direct(id); p != nil {
		near.Fetch(l, &p[id&(idPageLen-1)])
		return
	}
	near.Fetch(l, &d.table[d.home(id)&uint64(len(d.table)-1)])
}

// put adds an identity that the directory does not have.
func (d *directory) put(id OrderID, s slot) {
	if n := uint64(id) >> idPageBits; !d.arbitrary && (len(d.pages) == 0 || n >= d.first+uint64(len(d.pages))) {
		d.extend(n)
	}
	if p := d.direct(id); p != nil {
		p[id&(idPageLen-1)] = s
		d.used[uint64(id)>>idPageBits-d.first]++
		return
	}
	d.set(id, s)
}

// drop takes an identity out that the directory has.
func (d *directory) drop(id OrderID) {
	p := d.direct(id)
	if p == nil {
		d.remove(id)
		return
	}
	p[id&(idPageLen-1)] = 0
	n := int(uint64(id)>>idPageBits - d.first)
	if d.used[n]--; d.used[n] < sparse && n < len(d.pages)-1 {
		d.giveUp(n)
	}
}

// preparedMax is how many pages before the newest identity prepare looks at.
const preparedMax = 1 << 18

// prepare opens pages for identities that will be put in no order, where enough of them stand together. Each visits them
// all. The directory is empty.
func (d *directory) prepare(each func(visit func(OrderID))) {
	newest, oldest := uint64(0), ^uint64(0)
	each(func(id OrderID) {
		newest, oldest = max(newest, uint64(id)>>idPageBits), min(oldest, uint64(id)>>idPageBits)
	})
	if d.arbitrary || oldest > newest {
		return
	}
	if newest-oldest >= preparedMax {
		oldest = newest - preparedMax + 1
	}
	counts := make([]uint32, newest-oldest+1)
	each(func(id OrderID) {
		if n := uint64(id)>>idPageBits - oldest; n < uint64(len(counts)) {
			counts[n]++
		}
	})
	d.first, d.pages, d.used = oldest, make([]*idPage, len(counts)), make([]uint16, len(counts))
	for n, count := range counts {
		if count >= sparse || n == len(counts)-1 {
			d.pages[n] = new(idPage)
		}
	}
}

// extend opens the page of that number, which is after all others. Whether the identities of the new page are in the
// table is no question: they are newer than every identity so far, or the page begins anew without any.
func (d *directory) extend(number uint64) {
	n := len(d.pages)
	if n == 0 || number-d.first-uint64(n) > gapMax {
		for i := range d.pages {
			d.giveUp(i)
		}
		d.pages, d.used, d.first = d.pages[:0], d.used[:0], number
	} else if d.pages[n-1] != nil && d.used[n-1] < sparse {
		d.giveUp(n - 1)
	}
	if len(d.pages) == cap(d.pages) {
		d.trim()
	}
	for number > d.first+uint64(len(d.pages)) {
		d.pages, d.used = append(d.pages, nil), append(d.used, 0)
	}
	page := (*idPage)(nil)
	if n := len(d.free); n > 0 {
		page, d.free = d.free[n-1], d.free[:n-1]
	} else {
		page = new(idPage)
	}
	d.pages, d.used = append(d.pages, page), append(d.used, 0)
}

// trim forgets leading pages that were given up, when they are most.
func (d *directory) trim() {
	given := 0
	for given < len(d.pages) && d.pages[given] == nil {
		given++
	}
	if given > 0 && 2*given >= len(d.pages) {
		d.pages, d.used = d.pages[:copy(d.pages, d.pages[given:])], d.used[:copy(d.used, d.used[given:])]
		d.first += uint64(given)
	}
}

// giveUp moves what a page still has into the table.
func (d *directory) giveUp(n int) {
	p := d.pages[n]
	if p == nil {
		return
	}
	d.pages[n] = nil
	for i := 0; d.used[n] > 0; i++ {
		if s := p[i]; s != 0 {
			d.set(OrderID((d.first+uint64(n))<<idPageBits+uint64(i)), s)
			p[i] = 0
			d.used[n]--
		}
	}
	d.free = append(d.free, p)
}

func (d *directory) home(id OrderID) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 >> (d.shift & 63) }

// find returns where an identity stands in the table, or the free entry where it would.
func (d *directory) find(id OrderID) uint64 {
	mask := uint64(len(d.table) - 1)
	for i := d.home(id) & mask; ; i = (i + 1) & mask {
		if e := &d.table[i]; e.id == id || e.s == 0 {
			return i
		}
	}
}

// set enters an identity that the table does not have.
func (d *directory) set(id OrderID, s slot) {
	d.table[d.find(id)] = entry{id, s}
	if d.count++; d.count*2 > len(d.table) {
		d.resize(bits.Len(uint(len(d.table))))
	}
}

// remove closes the gap: entries behind it that may stand at it move up.
func (d *directory) remove(id OrderID) {
	d.count--
	mask := uint64(len(d.table) - 1)
	gap := d.find(id)
	for i := (gap + 1) & mask; d.table[i].s != 0; i = (i + 1) & mask {
		if (i-d.home(d.table[i].id))&mask >= (i-gap)&mask {
			d.table[gap] = d.table[i]
			gap = i
		}
	}
	d.table[gap] = entry{}
}

func (d *directory) resize(log int) {
	old := d.table
	d.table, d.shift = make([]entry, 1<<log), uint8(64-log)
	for _, e := range old {
		if e.s != 0 {
			d.table[d.find(e.id)] = e
		}
	}
}
