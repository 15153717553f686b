package gateway

import (
	"sync"

	"github.com/coldsign/coldsign/internal/exchange"
)

// books are the mirrors of all markets. A market is never taken out.
type books struct {
	mu   sync.RWMutex
	byID map[exchange.Market]*book
}

func (bs *books) of(id exchange.Market) *book {
	bs.mu.RLock()
	defer bs.mu.RUnlock()
	return bs.byID[id]
}

func (bs *books) all() []*book {
	bs.mu.RLock()
	defer bs.mu.RUnlock()
	out := make([]*book, 0, len(bs.byID))
	for _, b := range bs.byID {
		out = append(out, b)
	}
	return out
}

// add makes the books of markets that are new.
func (bs *books) add(c *catalogue) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, m := range c.markets {
		if bs.byID[m.ID] == nil {
			bs.byID[m.ID] = &book{id: m.ID, asks: side{sell: true}, topics: newTopics(m.lower)}
		}
	}
}
