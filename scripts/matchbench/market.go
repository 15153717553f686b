package main

// market is the generator's own book: plain arrays over the few prices that a tape has. It is the judge of the trades.
type market struct {
	orders []simple // by identity
	levels [2][]queue
	best   [2]uint32 // price
	count  [2]int
	alive  []uint64
	last   uint64
	trades uint64
	digest digest
}

type simple struct {
	prev, next   uint64
	price, qty   uint32
	owner, place uint32 // place in alive
	side         uint8
}

type queue struct{ head, tail uint64 }

// Prices of a tape lie between zero and twice the middle; its walk cannot leave that.
const middle = 1 << 18

func newMarket(orders int) *market {
	m := &market{orders: make([]simple, orders+1), digest: fnvOffset, best: [2]uint32{0, 2 * middle}}
	for s := range m.levels {
		m.levels[s] = make([]queue, 2*middle+1)
	}
	return m
}

func (m *market) live() int { return len(m.alive) }

func (m *market) nextID() uint64 {
	m.last++
	return m.last
}

func (m *market) add(o op) {
	q := &m.levels[o.side][o.price]
	m.orders[o.id] = simple{prev: q.tail, price: o.price, qty: o.qty, owner: o.owner, place: uint32(len(m.alive)), side: o.side}
	if q.tail != 0 {
		m.orders[q.tail].next = o.id
	} else {
		q.head = o.id
	}
	q.tail = o.id
	m.alive = append(m.alive, o.id)
	m.count[o.side]++
	if o.side == 0 {
		m.best[0] = max(m.best[0], o.price)
	} else {
		m.best[1] = min(m.best[1], o.price)
	}
}

func (m *market) remove(id uint64) {
	o := &m.orders[id]
	q := &m.levels[o.side][o.price]
	if o.prev != 0 {
		m.orders[o.prev].next = o.next
	} else {
		q.head = o.next
	}
	if o.next != 0 {
		m.orders[o.next].prev = o.prev
	} else {
		q.tail = o.prev
	}
	o.qty = 0
	moved := m.alive[len(m.alive)-1]
	m.alive[o.place], m.orders[moved].place = moved, o.place
	m.alive = m.alive[:len(m.alive)-1]
	m.count[o.side]--
	for at := &m.best[o.side]; *at > 0 && *at < 2*middle && m.levels[o.side][*at].head == 0; {
		if o.side == 0 {
			*at--
		} else {
			*at++
		}
	}
}

// eat trades the oldest orders at the best prices of a side: full ones whole, and by the draw a part of the next.
func (m *market) eat(taker uint64, side uint8, full int, draw uint64) (price, qty uint32) {
	for i := 0; i <= full; i++ {
		id := m.levels[side][m.best[side]].head
		o := &m.orders[id]
		take := o.qty
		if i == full {
			if full > 0 && (draw&1 == 0 || o.qty == 1) {
				break
			}
			take = max(uint32(uint64(o.qty)*(draw>>1&0xff)>>8), 1)
		}
		price, qty = o.price, qty+take
		m.trades++
		m.digest = m.digest.add(trade{id, taker, uint64(price), uint64(take)})
		if take == o.qty {
			m.remove(id)
		} else {
			o.qty -= take
		}
	}
	return price, qty
}
