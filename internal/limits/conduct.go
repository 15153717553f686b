package limits

import (
	"github.com/coldsign/coldsign/internal/exchange"
)

// conduct is what an account did lately. Orders are counted as Binance counts them: in intervals of the clock, which
// its clients know and wait for.
type conduct struct {
	window    window
	ten, day  uint32 // the intervals that the counts are of
	orders10s uint32
	ordersDay uint32
}

const (
	tenMillis = 10_000
	dayMillis = 86_400_000
	// accountsKept is how many accounts are remembered before idle ones go. Only a verified signature makes an entry, so
	// nobody can fill the table but customers.
	accountsKept = 1 << 14
	sweepCount   = 8
)

func (c *conduct) roll(now exchange.Millis) {
	c.window.roll(now)
	if ten := uint32(now / tenMillis); ten != c.ten {
		c.ten, c.orders10s = ten, 0
	}
	if day := uint32(now / dayMillis); day != c.day {
		c.day, c.ordersDay = day, 0
	}
}

func (t *Table) conduct(id exchange.Account, now exchange.Millis) *conduct {
	c := t.accounts[id]
	if c == nil {
		if len(t.accounts) >= accountsKept {
			t.sweep(now)
		}
		c = &conduct{}
		t.accounts[id] = c
	}
	c.roll(now)
	return c
}

// sweep drops a few accounts of which nothing counts any more. A map is walked from a random place, so every account's
// turn comes.
func (t *Table) sweep(now exchange.Millis) {
	seen := 0
	for id, c := range t.accounts {
		if c.window.idle(now) && c.day != uint32(now/dayMillis) {
			delete(t.accounts, id)
		}
		if seen++; seen == sweepCount {
			return
		}
	}
}

// takeAccount judges what the address may against the account. What is refused is not counted.
func (t *Table) takeAccount(r Request, d Decision, now exchange.Millis) Decision {
	c := t.conduct(r.Account, now)
	weight := uint32(max(r.Weight, 1))
	switch {
	case !c.window.fits(weight, t.o.AccountWeight):
		d.Verdict, d.Why, d.RetryAfter = SlowDown, WhyAccountWeight, c.window.wait(weight, t.o.AccountWeight, now)
	case d.Conduct == Quoting && c.orders10s+uint32(r.Orders) > quoteLimit:
		d.Verdict, d.Why, d.RetryAfter = SlowDown, WhyConduct, tenMillis-now%tenMillis
	case c.orders10s+uint32(r.Orders) > t.o.Orders10s:
		d.Verdict, d.Why, d.RetryAfter = SlowDown, WhyOrders10s, tenMillis-now%tenMillis
	case c.ordersDay+uint32(r.Orders) > t.o.OrdersDay:
		d.Verdict, d.Why, d.RetryAfter = SlowDown, WhyOrdersDay, dayMillis-now%dayMillis
	default:
		c.window.add(weight)
		c.orders10s += uint32(r.Orders)
		c.ordersDay += uint32(r.Orders)
	}
	d.Orders10s, d.OrdersDay = c.orders10s, c.ordersDay
	return d
}

// Accounts returns how many accounts are remembered.
func (t *Table) Accounts() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.accounts)
}
