package matching

import "math/bits"

// slot is the place of an order in the slab. Zero is none.
type slot uint32

const (
	idPageBits = 12
	idPageLen  = 1 << idPageBits
)

// directory finds orders by identity. Dense identities use direct pages of 4,096 slots, given back when empty; arbitrary
// ones an open addressing table with Fibonacci hashing and backward-shift deletion, so that it never fills with tombs.
type directory struct {
	arbitrary bool
	shift     uint8
	count     int // of the table's entries

	pages []int32 // by id >> 12: index into slabs, 0 none
	used  []int32 // by slab: live entries
	slabs []*[idPageLen]slot
	free  []int32

	table []entry
}

// entry keeps identity and slot together, so that a look-up touches one line of the cache.
type entry struct {
	id OrderID
	s  slot // 0: the entry is free
}

func newDirectory(arbitrary bool) directory {
	d := directory{arbitrary: arbitrary}
	if arbitrary {
		d.resize(10)
	} else {
		d.slabs, d.used = append(d.slabs, new([idPageLen]slot)), append(d.used, 0) // slab 0 is none
	}
	return d
}

func (d *directory) get(id OrderID) slot {
	if d.arbitrary {
		return d.table[d.find(id)].s
	}
	page := uint64(id) >> idPageBits
	if page >= uint64(len(d.pages)) {
		return 0
	}
	return d.slabs[d.pages[page]][id&(idPageLen-1)]
}

// put adds an identity that the directory does not have.
func (d *directory) put(id OrderID, s slot) {
	if d.arbitrary {
		d.set(id, s)
		return
	}
	page := int(id >> idPageBits)
	if page >= len(d.pages) || d.pages[page] == 0 {
		d.newPage(page)
	}
	slab := d.pages[page]
	d.slabs[slab][id&(idPageLen-1)] = s
	d.used[slab]++
}

func (d *directory) newPage(page int) {
	for page >= len(d.pages) {
		d.pages = append(d.pages, 0)
	}
	if n := len(d.free); n > 0 {
		d.pages[page], d.free = d.free[n-1], d.free[:n-1]
		return
	}
	d.pages[page] = int32(len(d.slabs))
	d.slabs, d.used = append(d.slabs, new([idPageLen]slot)), append(d.used, 0)
}

// drop takes an identity out that the directory has.
func (d *directory) drop(id OrderID) {
	if d.arbitrary {
		d.remove(id)
		return
	}
	page := id >> idPageBits
	slab := d.pages[page]
	d.slabs[slab][id&(idPageLen-1)] = 0
	if d.used[slab]--; d.used[slab] == 0 {
		d.pages[page], d.free = 0, append(d.free, slab)
	}
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

// set puts a slot in the place of an identity in the table and returns the one that was there, or 0.
func (d *directory) set(id OrderID, s slot) slot {
	e := &d.table[d.find(id)]
	old := e.s
	*e = entry{id, s}
	if old == 0 {
		if d.count++; d.count*8 > len(d.table)*5 {
			d.resize(bits.Len(uint(len(d.table))))
		}
	}
	return old
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
