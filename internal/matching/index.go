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
	count     int

	pages []int32 // by id >> 12: index into slabs, 0 none
	used  []int32 // by slab: live entries
	slabs [][idPageLen]slot
	free  []int32

	keys  []OrderID
	slots []slot
	shift uint8
}

func newDirectory(arbitrary bool) directory {
	d := directory{arbitrary: arbitrary}
	if arbitrary {
		d.resize(10)
	} else {
		d.slabs, d.used = make([][idPageLen]slot, 1, 8), make([]int32, 1, 8) // slab 0 is none
	}
	return d
}

func (d *directory) get(id OrderID) slot {
	if d.arbitrary {
		return d.find(id)
	}
	page := uint64(id) >> idPageBits
	if page >= uint64(len(d.pages)) {
		return 0
	}
	return d.slabs[d.pages[page]][id&(idPageLen-1)]
}

func (d *directory) put(id OrderID, s slot) {
	d.count++
	if d.arbitrary {
		d.insert(id, s)
		return
	}
	page := int(id >> idPageBits)
	for page >= len(d.pages) {
		d.pages = append(d.pages, 0)
	}
	slab := d.pages[page]
	if slab == 0 {
		if n := len(d.free); n > 0 {
			slab, d.free = d.free[n-1], d.free[:n-1]
		} else {
			slab = int32(len(d.slabs))
			d.slabs, d.used = append(d.slabs, [idPageLen]slot{}), append(d.used, 0)
		}
		d.pages[page] = slab
	}
	d.slabs[slab][id&(idPageLen-1)] = s
	d.used[slab]++
}

func (d *directory) drop(id OrderID) {
	d.count--
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

func (d *directory) home(id OrderID) int { return int(uint64(id) * 0x9E3779B97F4A7C15 >> d.shift) }

func (d *directory) find(id OrderID) slot {
	for i := d.home(id); ; i = (i + 1) & (len(d.keys) - 1) {
		if d.slots[i] == 0 {
			return 0
		}
		if d.keys[i] == id {
			return d.slots[i]
		}
	}
}

func (d *directory) insert(id OrderID, s slot) {
	if d.count*8 > len(d.keys)*5 {
		d.resize(bits.Len(uint(len(d.keys))))
	}
	i := d.home(id)
	for d.slots[i] != 0 {
		i = (i + 1) & (len(d.keys) - 1)
	}
	d.keys[i], d.slots[i] = id, s
}

// remove closes the gap: entries behind it that may stand at it move up.
func (d *directory) remove(id OrderID) {
	mask := len(d.keys) - 1
	gap := d.home(id)
	for d.keys[gap] != id || d.slots[gap] == 0 {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; d.slots[i] != 0; i = (i + 1) & mask {
		if home := d.home(d.keys[i]); (i-home)&mask >= (i-gap)&mask {
			d.keys[gap], d.slots[gap] = d.keys[i], d.slots[i]
			gap = i
		}
	}
	d.keys[gap], d.slots[gap] = 0, 0
}

func (d *directory) resize(log int) {
	keys, slots := d.keys, d.slots
	d.keys, d.slots, d.shift = make([]OrderID, 1<<log), make([]slot, 1<<log), uint8(64-log)
	for i, s := range slots {
		if s != 0 {
			j := d.home(keys[i])
			for d.slots[j] != 0 {
				j = (j + 1) & (len(d.keys) - 1)
			}
			d.keys[j], d.slots[j] = keys[i], s
		}
	}
}
