package main

// splitmix is the generator of random numbers: integers only, the same on every machine.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return scramble(uint64(*s))
}

func (s *splitmix) below(n uint64) uint64 { return s.next() >> 11 % n }

const (
	seed     = 42
	ownerMax = 10_000
	fewOwner = 64 // on the tape with rules, so that owners meet themselves
)

// writer makes a tape while it plays it on a market of its own.
type writer struct {
	r      splitmix
	m      *market
	mid    uint32
	target int
	rules  bool
	out    tape
}

// generate makes the tape of n resting orders and timed operations after them. With rules, one order in ten waits for a
// stop, one in sixteen is an iceberg, takers meet their own orders and ask for self-trade prevention, and what leaks
// from the generator's view of the book leaves by its time.
func generate(n, timed int, rules bool) tape {
	w := &writer{r: seed, mid: middle, target: n, rules: rules, m: newMarket(n + timed)}
	w.out = tape{preload: n, ops: make([]op, 0, n+timed)}
	for range n {
		w.passive()
	}
	for i := range timed {
		if i%64 == 0 {
			w.mid += uint32(w.r.below(3)) - 1
		}
		switch draw := w.r.below(10); {
		case draw < 7 || w.m.live() < 16:
			w.passive()
		case draw < 9:
			w.cancel()
		default:
			w.aggressive()
		}
	}
	if !rules {
		w.out.trades, w.out.digest = w.m.trades, uint64(w.m.digest)
	}
	return w.out
}

func (w *writer) emit(o op) {
	if w.rules {
		w.decorate(&o)
	}
	w.out.ops = append(w.out.ops, o)
}

// passive adds an order at a heavy-tailed distance from the middle: half of them within 16 ticks, none beyond 4,096.
func (w *writer) passive() {
	tail := 0
	for draw := w.r.next(); draw&1 == 1 && tail < 8; draw >>= 1 {
		tail++
	}
	away := uint32(1 + w.r.below(16<<tail))
	o := op{id: w.m.nextID(), kind: passive, side: uint8(w.r.below(2)), qty: uint32(1 + w.r.below(100)), owner: w.owner()}
	if o.side == 0 {
		o.price = min(w.mid-away, w.m.best[1]-1)
	} else {
		o.price = max(w.mid+away, w.m.best[0]+1)
	}
	w.m.add(o)
	w.emit(o)
}

func (w *writer) owner() uint32 {
	if w.rules {
		return uint32(1 + w.r.below(fewOwner))
	}
	return uint32(1 + w.r.below(ownerMax))
}

// cancel takes one of the last 1,024 orders out, or any.
func (w *writer) cancel() {
	id := uint64(0)
	if w.r.below(2) == 0 {
		for range 8 {
			if try := w.m.last - w.r.below(min(1024, w.m.last)); w.m.orders[try].qty > 0 {
				id = try
				break
			}
		}
	}
	if id == 0 {
		id = w.m.alive[w.r.below(uint64(len(w.m.alive)))]
	}
	w.emit(op{id: id, kind: cancel, owner: w.m.orders[id].owner, side: w.m.orders[id].side})
	w.m.remove(id)
}

// aggressive fills 0 to 10 makers, and half the time a part of the next. The draw leans towards the book's target size,
// and towards its larger side, so that the book stays as it is.
func (w *writer) aggressive() {
	full := w.r.below(11)
	if again := w.r.below(11); (again > full) == (w.m.live() > w.target) {
		full = again
	}
	side := uint8(0) // that is eaten
	if w.m.count[1] > w.m.count[0] {
		side = 1
	}
	if w.r.below(4) == 0 {
		side = 1 - side
	}
	if w.m.count[side] <= int(full)+2 {
		side = 1 - side
	}
	o := op{id: w.m.nextID(), kind: aggressive, side: 1 - side, owner: w.owner()}
	o.price, o.qty = w.m.eat(o.id, side, int(full), w.r.next())
	w.emit(o)
}

// decorate gives an operation of the tape with rules what its engine must honour.
func (w *writer) decorate(o *op) {
	switch now := uint32(len(w.out.ops)); o.kind {
	case aggressive:
		o.self = uint8(1 + w.r.below(3))
	case passive:
		o.self, o.expire = uint8(w.r.below(4)), now+uint32(4*w.target)
		switch draw := w.r.below(80); {
		case draw < 8:
			o.kind, o.expire = waiting, now+4096
			if away := uint32(1 + w.r.below(16)); o.side == 0 {
				o.stop, o.price = w.mid+away, w.mid+away+2
			} else {
				o.stop, o.price = w.mid-away, w.mid-away-2
			}
		case draw < 13:
			o.show = uint8(1 + w.r.below(uint64(o.qty)))
		}
	}
}
