package bitcoin

import (
	"bytes"
	"iter"
	"slices"
)

// field is one pair of a map.
type field struct {
	kind  uint64 // the type at the start of the key
	key   []byte // type and data
	data  []byte // what follows the type in the key
	value []byte
}

// fields is a map as it lies in the packet. Its pairs are taken apart each time they are asked for, which costs little,
// instead of being kept taken apart, which would cost more memory than the packet. The reader has walked over them
// before, so walking again cannot fail.
type fields struct {
	pairs  []byte // one after the other, without the zero that ends the map
	parent []byte // a previous transaction that came beside the packet; its key, a zero, comes before all others
}

// all gives the fields in the order in which they stand.
func (m fields) all() iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range m.walk() {
			if !yield(f) {
				return
			}
		}
	}
}

// walk gives the fields with the offset in pairs at which each begins.
func (m fields) walk() iter.Seq2[int, field] {
	return func(yield func(int, field) bool) {
		if m.parent != nil && !yield(0, field{inputPreviousTx, []byte{inputPreviousTx}, nil, m.parent}) {
			return
		}
		c := &cursor{data: m.pairs}
		for c.left() > 0 {
			at := c.at
			f, err := c.pair()
			if err != nil {
				panic("bitcoin: a map that was read does not read again: " + err.Error())
			}
			if !yield(at, f) {
				return
			}
		}
	}
}

// pair reads one key and its value.
func (c *cursor) pair() (f field, err error) {
	if f.key, err = c.prefixed(); err != nil {
		return f, err
	}
	inner := cursor{data: f.key, where: c.where}
	if f.kind, err = inner.compact(); err != nil {
		return f, err
	}
	f.data = f.key[inner.at:]
	f.value, err = c.prefixed()
	return f, err
}

func (m fields) count() int {
	n := 0
	for range m.all() {
		n++
	}
	return n
}

// value returns the value of the key that is kind alone.
func (m fields) value(kind uint64) ([]byte, bool) {
	for f := range m.all() {
		if f.kind == kind && len(f.data) == 0 {
			return f.value, true
		}
	}
	return nil, false
}

// of returns the fields of a kind.
func (m fields) of(kind uint64) []field {
	var out []field
	for f := range m.all() {
		if f.kind == kind {
			out = append(out, f)
		}
	}
	return out
}

// without returns a copy that lacks the fields of a kind.
func (m fields) without(kind uint64) (out fields) {
	for f := range m.all() {
		if f.kind != kind {
			out.pairs = appendPrefixed(appendPrefixed(out.pairs, f.key), f.value)
		}
	}
	return out
}

// with returns a copy with one more field, placed before the first greater key, so that sorted maps stay sorted.
func (m fields) with(kind byte, data, value []byte) fields {
	key, before := append([]byte{kind}, data...), len(m.pairs)
	for at, f := range m.walk() {
		if bytes.Compare(f.key, key) > 0 {
			before = at
			break
		}
	}
	pair := appendPrefixed(appendPrefixed(nil, key), value)
	return fields{slices.Concat(m.pairs[:before], pair, m.pairs[before:]), m.parent}
}

// append writes the map, each field anew from what was read of it.
func (m fields) append(to []byte) []byte {
	for f := range m.all() {
		to = appendPrefixed(appendPrefixed(to, f.key), f.value)
	}
	return append(to, 0)
}
