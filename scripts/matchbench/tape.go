package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// The kinds of operation on a tape.
const (
	passive    = iota // a limit order that does not cross
	cancel            // of an order that rests
	aggressive        // a limit order that trades whole
	waiting           // a stop-limit order: only on the tape with rules
)

// op is one record of a tape, 32 bytes, little endian, fields in this order.
type op struct {
	id     uint64
	owner  uint32
	price  uint32
	qty    uint32
	stop   uint32
	expire uint32
	kind   uint8
	side   uint8 // 0 buys, 1 sells
	self   uint8 // self-trade prevention, as package matching numbers it
	show   uint8 // iceberg: visible lots, zero shows all
}

// trade is what every engine must say alike.
type trade struct{ maker, taker, price, qty uint64 }

// tape is ME-TAPE v1: the first preload operations fill the book, the others are timed.
type tape struct {
	preload int
	ops     []op
	trades  uint64 // by the generator's own book; zero on the tape with rules
	digest  uint64
}

const (
	tapeMagic = "ME-TAPE1"
	headLen   = 64
	opLen     = 32
)

var errTape = errors.New("not an ME-TAPE v1")

func (t tape) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	le, w := binary.LittleEndian, bufio.NewWriterSize(f, 1<<20)
	head := append(make([]byte, 0, headLen), tapeMagic...)
	for _, n := range []uint64{uint64(t.preload), uint64(len(t.ops)), t.trades, t.digest} {
		head = le.AppendUint64(head, n)
	}
	w.Write(head[:headLen])
	record := make([]byte, 0, opLen)
	for _, o := range t.ops {
		record = le.AppendUint64(record[:0], o.id)
		for _, n := range []uint32{o.owner, o.price, o.qty, o.stop, o.expire} {
			record = le.AppendUint32(record, n)
		}
		w.Write(append(record, o.kind, o.side, o.self, o.show))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func readTape(path string) (tape, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return tape{}, err
	}
	le := binary.LittleEndian
	if len(raw) < headLen || string(raw[:len(tapeMagic)]) != tapeMagic {
		return tape{}, fmt.Errorf("%s: %w", path, errTape)
	}
	at := func(i int) uint64 { return le.Uint64(raw[len(tapeMagic)+8*i:]) }
	t := tape{preload: int(at(0)), trades: at(2), digest: at(3)}
	if at(1) != uint64(len(raw)-headLen)/opLen || at(0) > at(1) {
		return tape{}, fmt.Errorf("%s: %w: %d bytes", path, errTape, len(raw))
	}
	t.ops = make([]op, at(1))
	for i := range t.ops {
		r := raw[headLen+opLen*i:]
		t.ops[i] = op{id: le.Uint64(r), owner: le.Uint32(r[8:]), price: le.Uint32(r[12:]), qty: le.Uint32(r[16:]),
			stop: le.Uint32(r[20:]), expire: le.Uint32(r[24:]), kind: r[28], side: r[29], self: r[30], show: r[31]}
	}
	return t, nil
}

// digest is FNV-1a, 64 bits, over maker, taker, price and quantity of every trade, each as eight bytes.
type digest uint64

const fnvOffset digest = 14695981039346656037

func (d digest) add(t trade) digest {
	for _, n := range [4]uint64{t.maker, t.taker, t.price, t.qty} {
		for range 8 {
			d = (d ^ digest(n&0xff)) * 1099511628211
			n >>= 8
		}
	}
	return d
}

// scramble turns dense identities into arbitrary ones, and unscramble back.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func unscramble(x uint64) uint64 {
	x = (x ^ x>>31 ^ x>>62) * 0x319642b2d24d8ec3
	x = (x ^ x>>27 ^ x>>54) * 0x96de1b173f119089
	return x ^ x>>30 ^ x>>60
}
