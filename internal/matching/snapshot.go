package matching

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// snapshotFormat heads every snapshot; another layout gets another number.
const snapshotFormat = 2

// recordLen is the bytes of one order in a snapshot.
const recordLen = 8*6 + 4*2 + 4

// Snapshot appends the whole state: two books with the same future have the same snapshot, byte for byte. Orders stand
// in the order in which they would trade: buys, sells, waiting buys, waiting sells, each by rising price and by age.
// Numbers are little endian.
func (b *Book) Snapshot(out []byte) []byte {
	le := binary.LittleEndian
	out = append(out, snapshotFormat, byte(b.state))
	for _, n := range []int64{int64(b.last), int64(b.limits.PriceMin), int64(b.limits.PriceMax), int64(b.limits.QtyMin),
		int64(b.limits.QtyMax), b.limits.NotionalMin, int64(b.limits.OrdersMax), int64(b.limits.OwnerMax), int64(b.open)} {
		out = le.AppendUint64(out, uint64(n))
	}
	b.each(func(o *resting) { out = o.append(out) })
	return out
}

// each visits every order in the order of a snapshot.
func (b *Book) each(visit func(*resting)) {
	for _, l := range []*ladder{&b.sides[Buy], &b.sides[Sell], &b.stops[Buy], &b.stops[Sell]} {
		for at := l.up(0); at != 0; at = l.up(Price(l.levels[at].price) + 1) {
			for s := l.levels[at].head; s != 0; s = b.orders[s].next {
				visit(&b.orders[s])
			}
		}
	}
}

// Each visits every order in the order of a snapshot: what the caller keeps beside the book can be written in that order
// too. A snapshot has no tags, so the function returns the tag that the order has from now on.
func (b *Book) Each(visit func(Standing) uint32) {
	b.each(func(o *resting) {
		o.tag = visit(Standing{o.id, o.owner, o.side, o.typ, o.force, o.self, Price(o.price), Price(o.stop), Qty(o.qty), Qty(o.peak), o.expire, o.tag})
	})
}

// Standing is an order as it stands in the book.
type Standing struct {
	ID        OrderID
	Owner     Owner
	Side      Side
	Type      Type // Limit when it rests, the others while they wait
	Force     Force
	SelfTrade SelfTrade
	Price     Price
	Stop      Price
	Rest      Qty
	Show      Qty // at most; of an order that is no iceberg its first quantity
	Expire    Time
	Tag       uint32
}

func (o *resting) append(out []byte) []byte {
	le := binary.LittleEndian
	for _, n := range []uint64{uint64(o.id), uint64(o.owner), uint64(o.expire), uint64(o.qty), uint64(o.shown), uint64(o.peak)} {
		out = le.AppendUint64(out, n)
	}
	out = le.AppendUint32(le.AppendUint32(out, uint32(o.price)), uint32(o.stop))
	return append(out, byte(o.side), byte(o.typ), byte(o.force), byte(o.self))
}

// ErrSnapshot says that bytes are no snapshot of a book.
var ErrSnapshot = errors.New("matching: no snapshot of a book")

// Restore makes the book that a snapshot describes. Its future events equal those of the book that was written.
func Restore(raw []byte, o Options) (*Book, error) {
	const head = 2 + 9*8
	if len(raw) < head || raw[0] != snapshotFormat || raw[1] > byte(Auction) || (len(raw)-head)%recordLen != 0 {
		return nil, fmt.Errorf("%w: %d bytes", ErrSnapshot, len(raw))
	}
	le := binary.LittleEndian
	at := func(i int) int64 { return int64(le.Uint64(raw[2+8*i:])) }
	b := New(o)
	b.state, b.last = State(raw[1]), Price(at(0))
	b.limits = Limits{Price(at(1)), Price(at(2)), Qty(at(3)), Qty(at(4)), at(5), int(at(6)), int(at(7))}
	if int64((len(raw)-head)/recordLen) != at(8) {
		return nil, fmt.Errorf("%w: %d orders, %d announced", ErrSnapshot, (len(raw)-head)/recordLen, at(8))
	}
	b.orders, b.owned = slices.Grow(b.orders, (len(raw)-head)/recordLen), slices.Grow(b.owned, (len(raw)-head)/recordLen)
	b.ids.prepare(func(visit func(OrderID)) {
		for rest := raw[head:]; len(rest) > 0; rest = rest[recordLen:] {
			visit(OrderID(le.Uint64(rest)))
		}
	})
	for rest := raw[head:]; len(rest) > 0; rest = rest[recordLen:] {
		r, ok := readResting(rest)
		if !ok || b.ids.get(r.id) != 0 {
			return nil, fmt.Errorf("%w: order %d", ErrSnapshot, r.id)
		}
		b.add(&r)
	}
	bid, buys := b.Best(Buy)
	ask, sells := b.Best(Sell)
	if buys && sells && bid >= ask && b.state == Open {
		return nil, fmt.Errorf("%w: an open market that is crossed at %d and %d", ErrSnapshot, bid, ask)
	}
	return b, nil
}

func readResting(raw []byte) (resting, bool) {
	le := binary.LittleEndian
	at := func(i int) uint64 { return le.Uint64(raw[8*i:]) }
	o := resting{id: OrderID(at(0)), owner: Owner(at(1)), expire: Time(at(2)), qty: int32(at(3)), shown: int32(at(4)), peak: int32(at(5)),
		price: int32(le.Uint32(raw[48:])), stop: int32(le.Uint32(raw[52:])), side: Side(raw[56]), typ: Type(raw[57]), force: Force(raw[58]), self: SelfTrade(raw[59])}
	ok := o.id != 0 && o.owner != 0 && at(3)|at(4)|at(5) <= uint64(QtyMax) && o.qty > 0 && o.shown > 0 && o.shown <= o.qty && o.peak > 0 &&
		o.price >= 0 && o.stop >= 0 && o.side <= Sell && o.typ <= Stop && o.typ != Market && o.force <= GoodTillTime && o.self <= ExpireBoth
	return o, ok
}
