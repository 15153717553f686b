package matching

import "math/bits"

// A ladder is one side of a book: price levels, found by price, and the next occupied price in either direction. Prices
// are cut into pages of 4,096 ticks; a page has a bitmap of its occupied prices in two steps of 64, and the pages
// themselves have one. Finding the next price is a few count-zeros instructions, whatever the spread of prices.
const (
	pageBits = 12
	pageLen  = 1 << pageBits
	words    = pageLen / 64
)

type page struct {
	levels  [pageLen]uint32 // into ladder.levels, 0 none
	bitmap  [words]uint64
	summary uint64 // bit i: bitmap[i] is not zero
	count   uint32
}

// level is all orders of one price, oldest first. Two share a line of the cache.
type level struct {
	total      Qty // visible and hidden
	shown      Qty
	price      int32
	head, tail slot // head of a free level: the next free one
	count      uint32
}

type ladder struct {
	pages     []uint32 // by price >> 12: into slab, 0 none
	slab      []page
	freePages []uint32
	occupied  []uint64 // bitmap over pages
	levels    []level
	freeLevel uint32
	depth     int // occupied prices
}

func newLadder() ladder {
	return ladder{slab: make([]page, 1), levels: make([]level, 1, 1024)}
}

// at returns the level of a price, or 0.
func (l *ladder) at(p Price) uint32 {
	n := uint64(p) >> pageBits
	if n >= uint64(len(l.pages)) {
		return 0
	}
	return l.slab[l.pages[n]].levels[p&(pageLen-1)]
}

// make returns the level of a price, new when there was none.
func (l *ladder) make(p Price) uint32 {
	if at := l.at(p); at != 0 {
		return at
	}
	n := int(p >> pageBits)
	for n >= len(l.pages) {
		l.pages = append(l.pages, 0)
		if len(l.pages) > len(l.occupied)*64 {
			l.occupied = append(l.occupied, 0)
		}
	}
	if l.pages[n] == 0 {
		l.pages[n] = l.newPage()
		l.occupied[n/64] |= 1 << (n % 64)
	}
	at := l.newLevel(p)
	pg, i := &l.slab[l.pages[n]], int(p&(pageLen-1))
	pg.levels[i] = at
	pg.bitmap[i/64] |= 1 << (i % 64)
	pg.summary |= 1 << (i / 64)
	pg.count++
	l.depth++
	return at
}

func (l *ladder) newPage() uint32 {
	if n := len(l.freePages); n > 0 {
		at := l.freePages[n-1]
		l.freePages = l.freePages[:n-1]
		return at
	}
	l.slab = append(l.slab, page{})
	return uint32(len(l.slab) - 1)
}

func (l *ladder) newLevel(p Price) uint32 {
	at := l.freeLevel
	if at != 0 {
		l.freeLevel = uint32(l.levels[at].head)
	} else {
		l.levels = append(l.levels, level{})
		at = uint32(len(l.levels) - 1)
	}
	l.levels[at] = level{price: int32(p)}
	return at
}

// drop gives an empty level back.
func (l *ladder) drop(at uint32) {
	p := l.levels[at].price
	n, i := int(p>>pageBits), int(p&(pageLen-1))
	pg := &l.slab[l.pages[n]]
	pg.levels[i] = 0
	if pg.bitmap[i/64] &^= 1 << (i % 64); pg.bitmap[i/64] == 0 {
		pg.summary &^= 1 << (i / 64)
	}
	if pg.count--; pg.count == 0 {
		l.freePages = append(l.freePages, l.pages[n])
		l.pages[n] = 0
		l.occupied[n/64] &^= 1 << (n % 64)
	}
	l.levels[at].head = slot(l.freeLevel)
	l.freeLevel = at
	l.depth--
}

// up returns the level of the least occupied price at or above p, or 0.
func (l *ladder) up(p Price) uint32 {
	n := int(p >> pageBits)
	if n < len(l.pages) && l.pages[n] != 0 {
		if at := l.slab[l.pages[n]].up(int(p & (pageLen - 1))); at != 0 {
			return at
		}
	}
	for w := (n + 1) / 64; w < len(l.occupied); w++ {
		word := l.occupied[w]
		if w == (n+1)/64 {
			word &= ^uint64(0) << ((n + 1) % 64)
		}
		if word != 0 {
			return l.slab[l.pages[w*64+bits.TrailingZeros64(word)]].up(0)
		}
	}
	return 0
}

// down returns the level of the greatest occupied price at or below p, or 0.
func (l *ladder) down(p Price) uint32 {
	n := int(p >> pageBits)
	if n < len(l.pages) && l.pages[n] != 0 {
		if at := l.slab[l.pages[n]].down(int(p & (pageLen - 1))); at != 0 {
			return at
		}
	}
	n = min(n, len(l.pages)) - 1
	for w := n / 64; n >= 0 && w >= 0; w-- {
		word := l.occupied[w]
		if w == n/64 {
			word &= ^uint64(0) >> (63 - n%64)
		}
		if word != 0 {
			return l.slab[l.pages[w*64+63-bits.LeadingZeros64(word)]].down(pageLen - 1)
		}
	}
	return 0
}

func (pg *page) up(i int) uint32 {
	w := i / 64
	if word := pg.bitmap[w] & (^uint64(0) << (i % 64)); word != 0 {
		return pg.levels[w*64+bits.TrailingZeros64(word)]
	}
	if rest := pg.summary & (^uint64(0) << w << 1); rest != 0 {
		w = bits.TrailingZeros64(rest)
		return pg.levels[w*64+bits.TrailingZeros64(pg.bitmap[w])]
	}
	return 0
}

func (pg *page) down(i int) uint32 {
	w := i / 64
	if word := pg.bitmap[w] & (^uint64(0) >> (63 - i%64)); word != 0 {
		return pg.levels[w*64+63-bits.LeadingZeros64(word)]
	}
	if rest := pg.summary & (1<<w - 1); rest != 0 {
		w = 63 - bits.LeadingZeros64(rest)
		return pg.levels[w*64+63-bits.LeadingZeros64(pg.bitmap[w])]
	}
	return 0
}
