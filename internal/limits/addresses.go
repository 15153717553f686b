package limits

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// key names an address, or the /64 of one of IPv6. IPv4 stands in ffff:ffff::/32, which is multicast and sends nothing.
type key uint64

const keyOf4 = key(0xffffffff) << 32

func keyOf(ip netip.Addr) key {
	ip = ip.Unmap()
	raw := ip.As16()
	if ip.Is4() {
		return keyOf4 | key(binary.BigEndian.Uint32(raw[12:]))
	}
	return key(binary.BigEndian.Uint64(raw[:]))
}

// block returns what a key stands for.
func (k key) block() netip.Prefix {
	var raw [16]byte
	if k&keyOf4 == keyOf4 {
		binary.BigEndian.PutUint32(raw[:], uint32(k))
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(raw[:4])), 32)
	}
	binary.BigEndian.PutUint64(raw[:], uint64(k))
	return netip.PrefixFrom(netip.AddrFrom16(raw), 64)
}

// entry is what is known of an address. A million of them are kept, so every byte is a megabyte: 52 of them. Times are
// seconds of the Unix epoch.
type entry struct {
	high, low uint32 // of the key; two halves, because a 64-bit one would round the size up to 56
	window    window
	strikes   uint8
	level     uint8
	marks     uint16 // of accounts with a wrong signature
	struck    uint32 // when the last strike or mark was made
	until     uint32 // end of the ban
}

func (e *entry) key() key { return key(e.high)<<32 | key(e.low) }

// settle brings an entry up to date: weights grow old, and good conduct takes a level back.
func (e *entry) settle(now exchange.Millis) {
	e.window.roll(now)
	second := uint32(now / 1000)
	for since := max(e.struck, e.until); e.level > 0 && e.level < levelBlocked && second >= since+levelForget; since += levelForget {
		e.level--
		e.struck, e.strikes, e.marks = since+levelForget, 0, 0
	}
}

func (e *entry) reason() Why {
	switch {
	case e.marks != 0:
		return WhyStuffing
	case e.level == levelBlocked:
		return WhyRepeatedly
	}
	return WhyHammering
}

// idle reports whether forgetting the entry changes no later decision.
func (e *entry) idle(now exchange.Millis) bool {
	e.settle(now)
	second := uint32(now / 1000)
	return e.window.used == 0 && e.level == 0 && second >= e.until &&
		(e.strikes == 0 || second-e.struck > strikesForget) && (e.marks == 0 || second-e.struck > stuffingForget)
}

const (
	chunkSize   = 1 << 12
	shareCount  = 1 << 12
	evictProbes = 64
)

// addresses is an open-addressing index over a slab of entries. The index is as large from the beginning as it ever
// gets; the slab grows by chunks, and never beyond most entries. Then idle entries make room. While there are none, new
// addresses share entries: somebody who floods the table with addresses makes his own and some others' limits narrower
// and nobody's wider, and whoever was banned stays so.
type addresses struct {
	most  int
	seed  maphash.Seed // of the index only: no decision depends on where an entry lies, but an attacker's speed would
	index []uint32     // place in the slab plus one; zero: empty
	slab  [][]entry
	count int
	hand  int // where the search for an idle entry goes on
	share []entry
}

func newAddresses(most int) addresses {
	size := 2
	for size < most*2 {
		size *= 2
	}
	return addresses{most: most, seed: maphash.MakeSeed(), index: make([]uint32, size), share: make([]entry, shareCount)}
}

func (a *addresses) at(place int) *entry { return &a.slab[place/chunkSize][place%chunkSize] }

func (a *addresses) hash(k key) uint64 { return maphash.Comparable(a.seed, k) }

// find returns the place of a key in the slab, or -1, and where the search ended in the index.
func (a *addresses) find(k key) (place, slot int) {
	mask := len(a.index) - 1
	for slot = int(a.hash(k)) & mask; a.index[slot] != 0; slot = (slot + 1) & mask {
		if place := int(a.index[slot] - 1); a.at(place).key() == k {
			return place, slot
		}
	}
	return -1, slot
}

// entry returns the entry of a key, and whether it is its own.
func (a *addresses) entry(k key, now exchange.Millis) (*entry, bool) {
	place, _ := a.find(k)
	if place >= 0 {
		return a.at(place), true
	}
	share := &a.share[a.hash(k)>>32%shareCount]
	place, ok := a.room(now)
	if !ok {
		return share, false
	}
	_, slot := a.find(k) // making room may have moved the index
	a.index[slot] = uint32(place + 1)
	e := a.at(place)
	*e = entry{high: uint32(k >> 32), low: uint32(k)}
	// What it used while it had to share counts on, together with what the others used there.
	e.window = share.window
	return e, true
}

// room returns a place in the slab that is free, or was idle.
func (a *addresses) room(now exchange.Millis) (int, bool) {
	if a.count < a.most {
		if a.count%chunkSize == 0 {
			a.slab = append(a.slab, make([]entry, min(chunkSize, a.most-a.count)))
		}
		a.count++
		return a.count - 1, true
	}
	for range evictProbes {
		a.hand = (a.hand + 1) % a.count
		if e := a.at(a.hand); e.idle(now) {
			a.forget(e.key())
			return a.hand, true
		}
	}
	return 0, false
}

// forget takes a key out of the index and closes the gap, so that searches for others still find them.
func (a *addresses) forget(k key) {
	_, gap := a.find(k)
	mask := len(a.index) - 1
	a.index[gap] = 0
	for slot := (gap + 1) & mask; a.index[slot] != 0; slot = (slot + 1) & mask {
		home := int(a.hash(a.at(int(a.index[slot]-1)).key())) & mask
		if (slot-home)&mask >= (slot-gap)&mask {
			a.index[gap], a.index[slot] = a.index[slot], 0
			gap = slot
		}
	}
}
