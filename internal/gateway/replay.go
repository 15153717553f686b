package gateway

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Bounds of time. A signed request counts from skewMax before its timestamp until windowMax after it.
const (
	windowMax     = 30_000 // milliseconds
	windowSent    = 60_000 // what a client may ask for; it gets windowMax at most
	windowDefault = 5_000
	skewMax       = 5_000
)

const (
	slotWidth    = 5_000                                // milliseconds of timestamps in one slot
	slotCount    = (windowMax+skewMax)/slotWidth + 2    // the living ones, and one that is being emptied
	slotMax      = 5_000_000 / slotCount / replayShards // signatures in one slot of one shard: 110,000 requests a second
	replayShards = 16
)

// What a signature was used for.
type purpose uint8

const (
	toRead   purpose = iota + 1 // once at each place
	toChange                    // once
)

// use is one use of a signature.
type use struct {
	signature [16]byte
	timestamp exchange.Millis
	purpose   purpose
	place     uint16 // the route's number
	from      netip.Addr
}

// replayed remembers which signatures were used, as long as their timestamps would let them pass again. A signature
// covers its timestamp, so the same signature always falls into the same slot: one look is enough, and a slot is
// forgotten as a whole when the last of its timestamps is too old. Memory is bounded: a full slot refuses.
//
// Binance signs neither method nor path, so a captured question for open orders is, byte for byte, the order to cancel
// them all; and addresses with signatures in them lie in the logs of proxies. So a signature changes something once, asks
// for each thing once, and is of the address that used it first. Clients do use one for several things: they ask for two
// of them in one millisecond with equal parameters, or for an order and at once for its cancel.
type replayed struct {
	seed   maphash.Seed // so that nobody can look for an address that passes for another
	shards [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	slots [slotCount]replaySlot
}

type replaySlot struct {
	number int64 // of the slot since the epoch
	used   map[[16]byte]uint64
}

func newReplayed() *replayed {
	r := &replayed{seed: maphash.MakeSeed()}
	for i := range r.shards {
		for j := range r.shards[i].slots {
			r.shards[i].slots[j].used = make(map[[16]byte]uint64)
		}
	}
	return r
}

type used uint8

const (
	firstUse used = iota
	usedAlready
	tooMany
)

// here names a use at one place: a hash, and another one that differs in the number of a place alone does not come up.
func (u *use) here() [16]byte {
	here := u.signature
	here[14], here[15] = here[14]^byte(u.place>>8), here[15]^byte(u.place)
	return here
}

func (r *replayed) mark(u *use) uint64 {
	return maphash.Comparable(r.seed, u.from)&^3 | uint64(u.purpose)
}

// refuses reports whether the signature was used before in a way that leaves no room for this use.
func (s *replaySlot) refuses(u *use, mark uint64) bool {
	before := s.used[u.signature]
	return before != 0 && (before&^3 != mark&^3 || purpose(before&3) == toChange && u.purpose == toChange) || s.used[u.here()] != 0
}

// knows reports whether take would find the signature used, and notes nothing.
func (r *replayed) knows(u use) bool {
	shard := &r.shards[u.signature[0]%replayShards]
	number := int64(u.timestamp) / slotWidth
	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := &shard.slots[number%slotCount]
	return slot.number > number || slot.number == number && slot.refuses(&u, r.mark(&u))
}

// take notes a use of a signature whose timestamp has been found good.
func (r *replayed) take(u use) used {
	shard := &r.shards[u.signature[0]%replayShards]
	number, mark := int64(u.timestamp)/slotWidth, r.mark(&u)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := &shard.slots[number%slotCount]
	if slot.number != number {
		if slot.number > number {
			return usedAlready // its slot is gone: it is too old whatever the clock says
		}
		clear(slot.used)
		slot.number = number
	}
	switch {
	case slot.refuses(&u, mark):
		return usedAlready
	case len(slot.used)+2 > slotMax:
		return tooMany
	}
	if u.purpose == toRead {
		slot.used[u.here()] = mark
	}
	if purpose(slot.used[u.signature]&3) != toChange {
		slot.used[u.signature] = mark
	}
	return firstUse
}
