package bitcoin

import (
	"encoding/binary"
	"math/bits"
)

// element is a number modulo the prime p = 2²⁵⁶ - fold, in four limbs, the least significant first. Any number below
// 2²⁵⁶ may stand in it, so a residue below fold has two forms; bytes and isZero know both. The results may be written
// over the arguments. Time depends on values here and there: only public numbers come into this room.
type element [4]uint64

// fold is what 2²⁵⁶ is worth modulo p. It has 33 bits, which makes reducing a product two short multiplications.
const fold = 1<<32 + 977

// prime returns p.
func prime() element { return element{1<<64 - fold, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1} }

// readElement reads 32 bytes, most significant first, and reports whether they are below p.
func readElement(b []byte) (element, bool) {
	e := element(readLimbs(b))
	return e, e[1]&e[2]&e[3] != 1<<64-1 || e[0] < 1<<64-fold
}

func readLimbs(b []byte) [4]uint64 {
	return [4]uint64{binary.BigEndian.Uint64(b[24:32]), binary.BigEndian.Uint64(b[16:24]), binary.BigEndian.Uint64(b[8:16]), binary.BigEndian.Uint64(b[:8])}
}

// bytes writes the one form below p.
func (e *element) bytes() (out [32]byte) {
	v := *e
	if v[1]&v[2]&v[3] == 1<<64-1 && v[0] >= 1<<64-fold {
		v = element{v[0] + fold}
	}
	for i, limb := range v {
		binary.BigEndian.PutUint64(out[24-8*i:], limb)
	}
	return out
}

func (e *element) isZero() bool {
	return e[0]|e[1]|e[2]|e[3] == 0 || *e == prime()
}

func (e *element) equals(other *element) bool {
	var difference element
	difference.sub(e, other)
	return difference.isZero()
}

func (e *element) isOdd() bool { return e.bytes()[31]&1 == 1 }

func (e *element) add(a, b *element) {
	l0, carry := bits.Add64(a[0], b[0], 0)
	l1, carry := bits.Add64(a[1], b[1], carry)
	l2, carry := bits.Add64(a[2], b[2], carry)
	l3, carry := bits.Add64(a[3], b[3], carry)
	l0, carry = bits.Add64(l0, fold&-carry, 0)
	l1, carry = bits.Add64(l1, 0, carry)
	l2, carry = bits.Add64(l2, 0, carry)
	l3, carry = bits.Add64(l3, 0, carry)
	// A second carry leaves a number below fold, to which fold is added without another.
	e[0], e[1], e[2], e[3] = l0+fold&-carry, l1, l2, l3
}

func (e *element) sub(a, b *element) {
	l0, borrow := bits.Sub64(a[0], b[0], 0)
	l1, borrow := bits.Sub64(a[1], b[1], borrow)
	l2, borrow := bits.Sub64(a[2], b[2], borrow)
	l3, borrow := bits.Sub64(a[3], b[3], borrow)
	l0, borrow = bits.Sub64(l0, fold&-borrow, 0)
	l1, borrow = bits.Sub64(l1, 0, borrow)
	l2, borrow = bits.Sub64(l2, 0, borrow)
	l3, borrow = bits.Sub64(l3, 0, borrow)
	// A second borrow leaves a number of at least 2²⁵⁶-fold, from which fold is taken without another.
	e[0], e[1], e[2], e[3] = l0-fold&-borrow, l1, l2, l3
}

// half sets e to a/2: an odd number gets p added first, which is odd and changes no residue.
func (e *element) half(a *element) {
	odd := -(a[0] & 1)
	p := prime()
	l0, carry := bits.Add64(a[0], p[0]&odd, 0)
	l1, carry := bits.Add64(a[1], p[1]&odd, carry)
	l2, carry := bits.Add64(a[2], p[2]&odd, carry)
	l3, carry := bits.Add64(a[3], p[3]&odd, carry)
	e[0], e[1], e[2], e[3] = l0>>1|l1<<63, l1>>1|l2<<63, l2>>1|l3<<63, l3>>1|carry<<63
}

// mul is the schoolbook product, row by row, and then twice the upper half times fold added to the lower.
func (e *element) mul(a, b *element) {
	var t [8]uint64
	for i, digit := range b {
		h0, l0 := bits.Mul64(a[0], digit)
		h1, l1 := bits.Mul64(a[1], digit)
		h2, l2 := bits.Mul64(a[2], digit)
		h3, l3 := bits.Mul64(a[3], digit)
		var carry uint64
		l1, carry = bits.Add64(l1, h0, 0)
		l2, carry = bits.Add64(l2, h1, carry)
		l3, carry = bits.Add64(l3, h2, carry)
		l4 := h3 + carry
		t[i], carry = bits.Add64(t[i], l0, 0)
		t[i+1], carry = bits.Add64(t[i+1], l1, carry)
		t[i+2], carry = bits.Add64(t[i+2], l2, carry)
		t[i+3], carry = bits.Add64(t[i+3], l3, carry)
		t[i+4] = l4 + carry
	}
	e.reduce(&t)
}

func (e *element) square(a *element) { e.mul(a, a) }

// reduce brings a product of eight limbs below 2²⁵⁶.
func (e *element) reduce(t *[8]uint64) {
	h0, l0 := bits.Mul64(t[4], fold)
	h1, l1 := bits.Mul64(t[5], fold)
	h2, l2 := bits.Mul64(t[6], fold)
	h3, l3 := bits.Mul64(t[7], fold)
	l1, carry := bits.Add64(l1, h0, 0)
	l2, carry = bits.Add64(l2, h1, carry)
	l3, carry = bits.Add64(l3, h2, carry)
	l4 := h3 + carry
	l0, carry = bits.Add64(l0, t[0], 0)
	l1, carry = bits.Add64(l1, t[1], carry)
	l2, carry = bits.Add64(l2, t[2], carry)
	l3, carry = bits.Add64(l3, t[3], carry)
	// What is above 2²⁵⁶ now has at most 34 bits.
	high, low := bits.Mul64(l4+carry, fold)
	l0, carry = bits.Add64(l0, low, 0)
	l1, carry = bits.Add64(l1, high, carry)
	l2, carry = bits.Add64(l2, 0, carry)
	l3, carry = bits.Add64(l3, 0, carry)
	// A carry here leaves a number below 2⁶⁸, so the last addition ends in the third limb.
	l0, carry = bits.Add64(l0, fold&-carry, 0)
	l1, carry = bits.Add64(l1, 0, carry)
	e[0], e[1], e[2], e[3] = l0, l1, l2+carry, l3
}

// power sets e to a to the exponent, four bits at a time.
func (e *element) power(a *element, exponent [4]uint64) {
	var powers [16]element
	powers[0] = element{1}
	for i := 1; i < len(powers); i++ {
		powers[i].mul(&powers[i-1], a)
	}
	result := powers[exponent[3]>>60]
	for at := 248; at >= 0; at -= 4 {
		for range 4 {
			result.square(&result)
		}
		if digit := exponent[at/64] >> (at % 64) & 15; digit != 0 {
			result.mul(&result, &powers[digit])
		}
	}
	*e = result
}

// invert sets e to 1/a by Fermat, a to the p-2; zero stays zero.
func (e *element) invert(a *element) {
	exponent := prime()
	exponent[0] -= 2
	e.power(a, exponent)
}

// root sets e to a square root of a and reports whether there is one: p is 3 modulo 4, so the power (p+1)/4 is a root
// if any number is.
func (e *element) root(a *element) bool {
	var result, square element
	result.power(a, [4]uint64{1<<64 - 1<<30 - 244, 1<<64 - 1, 1<<64 - 1, 1<<62 - 1})
	square.square(&result)
	found := square.equals(a)
	*e = result
	return found
}
