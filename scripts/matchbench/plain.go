package main

import (
	"cmp"

	"github.com/emirpasic/gods/trees/redblacktree"
)

// plain is a limit order book as one writes it in Go without measuring: integers, a red-black tree of prices for each
// side, a Go map from identity to order, and lists of pooled orders. It is no peer, but it is free of decimals and
// strings, so it shows what the structures of package matching are worth.
type plain struct {
	sides  [2]*redblacktree.Tree
	byID   map[uint64]*plainOrder
	free   *plainOrder
	trades []trade
}

type plainOrder struct {
	id, price, qty uint64
	prev, next     *plainOrder
	level          *plainLevel
	side           uint8
}

type plainLevel struct {
	price      uint64
	head, tail *plainOrder
}

func newPlain() engine {
	up := func(a, b any) int { return cmp.Compare(a.(uint64), b.(uint64)) }
	down := func(a, b any) int { return cmp.Compare(b.(uint64), a.(uint64)) }
	sides := [2]*redblacktree.Tree{redblacktree.NewWith(down), redblacktree.NewWith(up)}
	return &plain{sides: sides, byID: map[uint64]*plainOrder{}, trades: make([]trade, 0, 1<<16)}
}

func (p *plain) prepare([]op) (mallocs, bytes uint64) { return 0, 0 }
func (p *plain) live() int                            { return len(p.byID) }

func (p *plain) do(_ int, o *op) {
	if o.kind == cancel {
		p.remove(p.byID[o.id])
		return
	}
	qty := uint64(o.qty)
	for qty > 0 {
		best := p.sides[1-o.side].Left()
		if best == nil || o.side == 0 && best.Key.(uint64) > uint64(o.price) || o.side == 1 && best.Key.(uint64) < uint64(o.price) {
			break
		}
		maker := best.Value.(*plainLevel).head
		take := min(qty, maker.qty)
		p.trades = append(p.trades, trade{maker.id, o.id, maker.price, take})
		qty -= take
		if maker.qty -= take; maker.qty == 0 {
			p.remove(maker)
		}
	}
	if qty > 0 {
		p.add(o, qty)
	}
}

func (p *plain) add(o *op, qty uint64) {
	var level *plainLevel
	if v, ok := p.sides[o.side].Get(uint64(o.price)); ok {
		level = v.(*plainLevel)
	} else {
		level = &plainLevel{price: uint64(o.price)}
		p.sides[o.side].Put(uint64(o.price), level)
	}
	r := p.free
	if r != nil {
		p.free = r.next
	} else {
		r = new(plainOrder)
	}
	*r = plainOrder{id: o.id, price: uint64(o.price), qty: qty, prev: level.tail, level: level, side: o.side}
	if level.tail != nil {
		level.tail.next = r
	} else {
		level.head = r
	}
	level.tail = r
	p.byID[o.id] = r
}

func (p *plain) remove(r *plainOrder) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		r.level.head = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		r.level.tail = r.prev
	}
	if r.level.head == nil {
		p.sides[r.side].Remove(r.price)
	}
	delete(p.byID, r.id)
	*r = plainOrder{next: p.free}
	p.free = r
}

func (p *plain) drain(see func(trade)) {
	for _, t := range p.trades {
		see(t)
	}
	p.trades = p.trades[:0]
}
