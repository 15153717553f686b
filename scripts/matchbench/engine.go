package main

import "github.com/coldsign/coldsign/internal/matching"

// engine is an order book behind the operations of a tape. What an engine needs in a form of its own it may prepare for
// a chunk before the clock runs; what it reports is read after the clock has stopped.
type engine interface {
	prepare(chunk []op) (mallocs, bytes uint64)
	do(i int, o *op)
	drain(func(trade))
	live() int // orders, or -1 when the engine does not say
}

// entrant is an engine that takes part.
type entrant struct {
	name string
	note string
	kind role
	make func() engine
}

type role int

const (
	ours role = iota
	peer
	yardstick
)

func entrants() []entrant {
	return []entrant{
		{"coldsign, dense ids", "identities chosen by the engine", ours, func() engine { return newColdsign(false) }},
		{"coldsign, any ids", "64-bit identities in no order", ours, func() engine { return newColdsign(true) }},
		{"danielgatis/go-orderbook", "MIT, v0.0.0-20230808024110-7640955559eb; decimals, string ids", peer, newDanielgatis},
		{"plain", "no peer: integers, red-black tree, Go map, pooled list, written here as one would without measuring", yardstick, newPlain},
	}
}

// coldsign is the product's order book.
type coldsign struct {
	book   *matching.Book
	any    bool
	now    matching.Time
	events []matching.Event
	trades []trade
}

func newColdsign(any bool) engine {
	return &coldsign{book: matching.New(matching.Options{ArbitraryID: any}), any: any, events: make([]matching.Event, 0, 4096), trades: make([]trade, 0, 1<<16)}
}

func (c *coldsign) prepare([]op) (mallocs, bytes uint64) { return 0, 0 }
func (c *coldsign) live() int                            { return c.book.Len() }

func (c *coldsign) do(_ int, o *op) {
	id := matching.OrderID(o.id)
	if c.any {
		id = matching.OrderID(scramble(o.id))
	}
	if o.kind == cancel {
		c.events = c.book.Cancel(id, matching.Owner(o.owner), c.events[:0])
		return
	}
	order := matching.Order{ID: id, Owner: matching.Owner(o.owner), Side: matching.Side(o.side), SelfTrade: matching.SelfTrade(o.self),
		Price: matching.Price(o.price), Qty: matching.Qty(o.qty), Show: matching.Qty(o.show)}
	if o.expire != 0 {
		order.Force, order.Expire = matching.GoodTillTime, matching.Time(o.expire)
	}
	if o.kind == waiting {
		order.Type, order.Stop = matching.StopLimit, matching.Price(o.stop)
	}
	if o.kind == aggressive && o.self != 0 {
		order.Force = matching.ImmediateOrCancel
	}
	c.now++
	c.events = c.book.Place(order, c.now, c.events[:0])
	for i := range c.events {
		if e := &c.events[i]; e.Kind == matching.Traded {
			c.trades = append(c.trades, trade{uint64(e.Maker), uint64(e.Order), uint64(e.Price), uint64(e.Qty)})
		}
	}
}

func (c *coldsign) drain(see func(trade)) {
	for _, t := range c.trades {
		if c.any {
			t.maker, t.taker = unscramble(t.maker), unscramble(t.taker)
		}
		see(t)
	}
	c.trades = c.trades[:0]
}
