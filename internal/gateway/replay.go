package gateway

import (
	"sync"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Bounds of time. A signed request counts from skewMax before its timestamp until windowMax after it.
const (
	windowMax     = 30_000 // milliseconds
	windowDefault = 5_000
	skewMax       = 5_000
)

const (
	slotWidth    = 5_000                                // milliseconds of timestamps in one slot
	slotCount    = (windowMax+skewMax)/slotWidth + 2    // the living ones, and one that is being emptied
	slotMax      = 2_000_000 / slotCount / replayShards // signatures in one slot of one shard
	replayShards = 16
)

// replayed remembers which signatures were used, as long as their timestamps would let them pass again. A signature
// covers its timestamp, so the same signature always falls into the same slot: one look is enough, and a slot is
// forgotten as a whole when the last of its timestamps is too old. Memory is bounded: a full slot refuses.
type replayed struct {
	shards [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	slots [slotCount]replaySlot
}

type replaySlot struct {
	number int64 // of the slot since the epoch
	used   map[[16]byte]struct{}
}

func newReplayed() *replayed {
	r := &replayed{}
	for i := range r.shards {
		for j := range r.shards[i].slots {
			r.shards[i].slots[j].used = make(map[[16]byte]struct{})
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

// take notes a signature whose timestamp has been found good.
func (r *replayed) take(signature [16]byte, timestamp exchange.Millis) used {
	shard := &r.shards[signature[0]%replayShards]
	number := int64(timestamp) / slotWidth
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
	if _, found := slot.used[signature]; found {
		return usedAlready
	}
	if len(slot.used) >= slotMax {
		return tooMany
	}
	slot.used[signature] = struct{}{}
	return firstUse
}
