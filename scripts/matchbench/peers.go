package main

import (
	"fmt"
	"strconv"

	danielgatis "github.com/danielgatis/go-orderbook"
	"github.com/shopspring/decimal"
)

// absent lists the order books that were asked for and that the module proxy did not give, with what it said.
func absent() [][2]string {
	const refused = "403 Forbidden: This module version is not available"
	return [][2]string{
		{"github.com/geseq/orderbook v0.0.0-20260725040736-088c6cfe3e28", refused},
		{"github.com/i25959341/orderbook v0.2.0, and as muzykantov/orderbook", refused},
		{"github.com/fmstephe/matching_engine at fdc2088cfe508d78e2ec5fa6dfa2d8cb3a189873", refused},
		{"github.com/0x5487/matching-engine v0.7.0 (GPL-3: it would be for this bench alone)", refused},
		{"github.com/intrepidkarthi/orderbook v0.26.0", refused},
	}
}

// danielgatisBook is a peer. It finds a price's queue by a map of decimals, which hold pointers, so equal prices must be
// one decimal; it never trades orders of one trader with each other, so makers and takers get two names.
type danielgatisBook struct {
	book   *danielgatis.OrderBook
	prices map[uint32]decimal.Decimal
	chunk  []command
	trades []*danielgatis.Trade
}

type command struct {
	id         string
	price, qty decimal.Decimal
}

func newDanielgatis() engine {
	return &danielgatisBook{book: danielgatis.NewOrderBook("A"), prices: map[uint32]decimal.Decimal{}, chunk: make([]command, chunkLen)}
}

func (d *danielgatisBook) live() int { return -1 } // it does not say

func (d *danielgatisBook) prepare(chunk []op) (mallocs, bytes uint64) {
	for i, o := range chunk {
		p, ok := d.prices[o.price]
		if !ok {
			p = decimal.NewFromInt(int64(o.price))
			d.prices[o.price] = p
		}
		d.chunk[i] = command{strconv.FormatUint(o.id, 10), p, decimal.NewFromInt(int64(o.qty))}
	}
	// A string, and a big.Int with its word for the quantity; new prices are few.
	return 3 * uint64(len(chunk)), 48 * uint64(len(chunk))
}

func (d *danielgatisBook) do(i int, o *op) {
	c, trader := &d.chunk[i], "maker"
	switch o.kind {
	case cancel:
		d.book.CancelOrder(c.id)
		return
	case aggressive:
		trader = "taker"
	}
	side := danielgatis.Buy
	if o.side == 1 {
		side = danielgatis.Sell
	}
	trades, err := d.book.ProcessLimitOrder(c.id, trader, side, c.qty, c.price)
	if err != nil {
		panic(fmt.Sprintf("danielgatis: order %s: %v", c.id, err))
	}
	d.trades = append(d.trades, trades...)
}

func (d *danielgatisBook) drain(see func(trade)) {
	number := func(s string) uint64 { n, _ := strconv.ParseUint(s, 10, 64); return n }
	for _, t := range d.trades {
		see(trade{number(t.MakerOrderID()), number(t.TakerOrderID()), uint64(t.Price().IntPart()), uint64(t.Amount().IntPart())})
	}
	clear(d.trades)
	d.trades = d.trades[:0]
}
