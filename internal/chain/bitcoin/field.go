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
	return v.raw()
}

// raw writes the limbs as they are.
func (e element) raw() (out [32]byte) {
	for i, limb := range e {
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

// mul is the schoolbook product: for each limb of b a row of four products, low halves and high halves added in a chain
// of carries each. Written out, because in a loop the limbs live in memory and it takes half as long again.
func (e *element) mul(a, b *element) {
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
	var c uint64
	h0, t0 := bits.Mul64(a0, b[0])
	h1, t1 := bits.Mul64(a1, b[0])
	h2, t2 := bits.Mul64(a2, b[0])
	h3, t3 := bits.Mul64(a3, b[0])
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 := h3 + c
	h0, l0 := bits.Mul64(a0, b[1])
	h1, l1 := bits.Mul64(a1, b[1])
	h2, l2 := bits.Mul64(a2, b[1])
	h3, l3 := bits.Mul64(a3, b[1])
	t1, c = bits.Add64(t1, l0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, l2, c)
	t4, t5 := bits.Add64(t4, l3, c)
	t2, c = bits.Add64(t2, h0, 0)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, h2, c)
	t5 += h3 + c
	h0, l0 = bits.Mul64(a0, b[2])
	h1, l1 = bits.Mul64(a1, b[2])
	h2, l2 = bits.Mul64(a2, b[2])
	h3, l3 = bits.Mul64(a3, b[2])
	t2, c = bits.Add64(t2, l0, 0)
	t3, c = bits.Add64(t3, l1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, t6 := bits.Add64(t5, l3, c)
	t3, c = bits.Add64(t3, h0, 0)
	t4, c = bits.Add64(t4, h1, c)
	t5, c = bits.Add64(t5, h2, c)
	t6 += h3 + c
	h0, l0 = bits.Mul64(a0, b[3])
	h1, l1 = bits.Mul64(a1, b[3])
	h2, l2 = bits.Mul64(a2, b[3])
	h3, l3 = bits.Mul64(a3, b[3])
	t3, c = bits.Add64(t3, l0, 0)
	t4, c = bits.Add64(t4, l1, c)
	t5, c = bits.Add64(t5, l2, c)
	t6, t7 := bits.Add64(t6, l3, c)
	t4, c = bits.Add64(t4, h0, 0)
	t5, c = bits.Add64(t5, h1, c)
	t6, c = bits.Add64(t6, h2, c)
	t7 += h3 + c
	t := folded(quad{t0, t1, t2, t3}, quad{t4, t5, t6, t7})
	e[0], e[1], e[2], e[3] = t.a, t.b, t.c, t.d
}

// square sets e to a·a. The products of different limbs are computed once and doubled.
func (e *element) square(a *element) {
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
	var c uint64
	h1, t1 := bits.Mul64(a0, a1)
	h2, l2 := bits.Mul64(a0, a2)
	h3, l3 := bits.Mul64(a0, a3)
	t2, c := bits.Add64(h1, l2, 0)
	t3, c := bits.Add64(h2, l3, c)
	t4 := h3 + c
	h1, l1 := bits.Mul64(a1, a2)
	h2, l2 = bits.Mul64(a1, a3)
	h3, l3 = bits.Mul64(a2, a3)
	t3, c = bits.Add64(t3, l1, 0)
	t4, c = bits.Add64(t4, l2, c)
	t5, c := bits.Add64(h2, l3, c)
	t6 := h3 + c
	t4, c = bits.Add64(t4, h1, 0)
	t5, c = bits.Add64(t5, 0, c)
	t6 += c
	t1, c = bits.Add64(t1, t1, 0)
	t2, c = bits.Add64(t2, t2, c)
	t3, c = bits.Add64(t3, t3, c)
	t4, c = bits.Add64(t4, t4, c)
	t5, c = bits.Add64(t5, t5, c)
	t6, t7 := bits.Add64(t6, t6, c)
	h0, t0 := bits.Mul64(a0, a0)
	h1, l1 = bits.Mul64(a1, a1)
	h2, l2 = bits.Mul64(a2, a2)
	h3, l3 = bits.Mul64(a3, a3)
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, h2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 += h3 + c
	t := folded(quad{t0, t1, t2, t3}, quad{t4, t5, t6, t7})
	e[0], e[1], e[2], e[3] = t.a, t.b, t.c, t.d
}

// quad is four limbs in registers, where an array would lie in memory.
type quad struct{ a, b, c, d uint64 }

// folded reduces a product of eight limbs to four: the upper four times fold are added to the lower four, and once more
// what that leaves above.
func folded(low, high quad) quad {
	h0, l0 := bits.Mul64(high.a, fold)
	h1, l1 := bits.Mul64(high.b, fold)
	h2, l2 := bits.Mul64(high.c, fold)
	h3, l3 := bits.Mul64(high.d, fold)
	t0, c := bits.Add64(low.a, l0, 0)
	t1, c := bits.Add64(low.b, l1, c)
	t2, c := bits.Add64(low.c, l2, c)
	t3, t4 := bits.Add64(low.d, l3, c)
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	h0, l0 = bits.Mul64(t4+h3+c, fold) // at most 34 bits times 33
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, h0, c)
	t2, c = bits.Add64(t2, 0, c)
	t3, c = bits.Add64(t3, 0, c)
	// A carry here leaves a number below 2⁶⁸, so the last addition ends in the third limb.
	t0, c = bits.Add64(t0, fold&-c, 0)
	t1, c = bits.Add64(t1, 0, c)
	return quad{t0, t1, t2 + c, t3}
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
