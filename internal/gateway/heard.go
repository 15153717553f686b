package gateway

import (
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/exchange"
)

// heardSlots is how many numbers are kept. Accounts that share a slot wait for each other's records, and nothing worse.
const heardSlots = 1 << 14

// heard keeps, for every account, the last command that did something to it, as far as this gateway has heard from the
// events: also those that a customer gave to another gateway. Questions to the records then wait for it.
type heard struct{ last [heardSlots]atomic.Uint64 }

func (h *heard) slot(a exchange.Account) *atomic.Uint64 { return &h.last[uint64(a)%heardSlots] }

// note is called by the feed alone, by rising numbers.
func (h *heard) note(a exchange.Account, seq uint64) { h.slot(a).Store(seq) }

func (h *heard) of(a exchange.Account) uint64 { return h.slot(a).Load() }
