package engine

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
)

// Verify adds up what orders and withdrawals have on hold and compares it with every row; it asks the ledger to add up
// itself, and looks whether an open market is crossed.
func (s *State) Verify() error {
	held := make([]money.U128, s.ledger.Rows()+1)
	add := func(p ledger.Place, amount money.U128) {
		sum, fits := held[p].Add(amount)
		if !fits || p == 0 {
			panic("a hold of nobody")
		}
		held[p] = sum
	}
	for _, w := range s.waiting {
		add(s.ledger.Find(w.Account, w.Asset), w.Amount)
	}
	open := 0
	for _, m := range s.markets[1:] {
		m.book.Each(func(o matching.Standing) uint32 {
			r := &s.orders[o.Tag]
			if r.id != exchange.OrderID(o.ID) || r.account != exchange.Account(o.Owner) || int64(r.qty-r.executed) != int64(o.Rest) || (r.flags&resting != 0) != (o.Type == matching.Limit) {
				panic(fmt.Sprintf("order %d: record %+v, book %+v", o.ID, r, o))
			}
			add(s.reserve(m, r))
			open++
			return o.Tag
		})
		bid, buys := m.book.Best(matching.Buy)
		ask, sells := m.book.Best(matching.Sell)
		if buys && sells && bid >= ask && m.book.State() == matching.Open {
			return fmt.Errorf("market %d is crossed at %d and %d", m.info.ID, bid, ask)
		}
	}
	if open != s.open {
		return fmt.Errorf("%d orders are open, %d counted", open, s.open)
	}
	for p := 1; p < len(held); p++ {
		if b := s.ledger.Balance(ledger.Place(p)); b.Held != held[p] {
			account, asset := s.ledger.Owner(ledger.Place(p))
			return fmt.Errorf("account %d has %s of asset %d on hold, its orders and withdrawals %s", account, b.Held, asset, held[p])
		}
	}
	return s.ledger.Verify()
}

// Ledger is the state's ledger, for benchmarks that need a million customers with money.
func (s *State) Ledger() *ledger.Ledger { return s.ledger }
