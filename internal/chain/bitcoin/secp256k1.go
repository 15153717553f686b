package bitcoin

import (
	"math/big"
	"math/bits"
)

// A second ECDSA verifier over secp256k1 (this file, point.go and field.go), written from the formulas. It shares no
// code with btcec, so a wrong carry in one of them shows as a disagreement instead of as a stolen coin. The tests hold it
// against btcec, against the same equation in math/big, and against Wycheproof's vectors. It handles public values only
// and is not constant time.

// curve is the group of prime order n, with what verifying needs of its base point.
type curve struct {
	n, halfN *big.Int
	base     []affine // odd multiples of the base point: 1, 3, 5 ... 2^(baseWindow-1)-1
	split    splitter
}

// A multiple of a point is added up from odd multiples below 2^(window-1), so on average one addition replaces window+1
// steps. Those of the base point are computed once and may be many; those of a key are for one signature.
const (
	baseWindow = 8
	keyWindow  = 5
)

func newCurve() *curve { return curveOver(basePoint()) }

func basePoint() affine {
	return affine{
		x: element{0x59f2815b16f81798, 0x029bfcdb2dce28d9, 0x55a06295ce870b07, 0x79be667ef9dcbbac},
		y: element{0x9c47d08ffb10d4b8, 0xfd17b448a6855419, 0x5da4fbfc0e1108a8, 0x483ada7726a3c465},
	}
}

func curveOver(base affine) *curve {
	n := numberOf(order())
	var odd [1 << (baseWindow - 2)]point
	oddMultiples(odd[:], base.point())
	return &curve{n: n, halfN: new(big.Int).Rsh(n, 1), base: normalise(odd[:]), split: newSplitter(n)}
}

// oddMultiples fills out with q, 3q, 5q and so on.
func oddMultiples(out []point, q point) {
	var twice point
	twice.double(&q)
	out[0] = q
	for i := 1; i < len(out); i++ {
		out[i].add(&out[i-1], &twice)
	}
}

// order returns n.
func order() [4]uint64 {
	return [4]uint64{0xbfd25e8cd0364141, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff}
}

func less(a, b [4]uint64) bool {
	borrow := uint64(0)
	for i := range a {
		_, borrow = bits.Sub64(a[i], b[i], borrow)
	}
	return borrow == 1
}

// limbsOf is a number below 2²⁵⁶ in four limbs.
func limbsOf(k *big.Int) [4]uint64 {
	var b [32]byte
	return readLimbs(k.FillBytes(b[:]))
}

// numberOf is the number that four limbs are.
func numberOf(limbs [4]uint64) *big.Int {
	b := element(limbs).raw()
	return new(big.Int).SetBytes(b[:])
}

// digits writes k as a sum of odd digits times powers of two, each digit below 2^(window-1) in magnitude and followed by
// at least window-1 zeros. The last place takes a carry out of the highest bits.
func digits(k [4]uint64, window uint) (out [257]int8) {
	wide := [6]uint64{k[0], k[1], k[2], k[3]} // zeros above, for the windows that begin at the last bits
	carry := uint64(0)
	for i := uint(0); i < uint(len(out)); {
		word := wide[i/64]>>(i%64) | wide[i/64+1]<<(64-i%64)
		if word&1 == carry { // the digit here is even
			i++
			continue
		}
		word = word&(1<<window-1) + carry
		carry = word >> (window - 1) & 1
		out[i] = int8(int64(word) - int64(carry<<window))
		i += window
	}
	return out
}

// combine returns a·G + b·q. Both numbers are split in halves, so that four multiplications share one walk over half as
// many bits.
func (c *curve) combine(a, b *big.Int, q affine) point {
	var odd [1 << (keyWindow - 2)]point
	oddMultiples(odd[:], q.point())
	ofBase, ofKey, beta := c.split.digits(a, baseWindow), c.split.digits(b, keyWindow), beta()
	var sum point
	for i := halfPlaces - 1; i >= 0; i-- {
		sum.double(&sum)
		for half := range ofBase {
			if d := ofBase[half][i]; d != 0 {
				term := c.base[magnitude(d)/2]
				if half == 1 {
					term.x.mul(&term.x, &beta)
				}
				if d < 0 {
					term = term.negated()
				}
				sum.addAffine(&sum, &term)
			}
			if d := ofKey[half][i]; d != 0 {
				term := odd[magnitude(d)/2]
				if half == 1 {
					term.x.mul(&term.x, &beta)
				}
				if d < 0 {
					term.y.sub(&element{}, &term.y)
				}
				sum.add(&sum, &term)
			}
		}
	}
	return sum
}

// verify checks an ECDSA signature over a digest.
func (c *curve) verify(digest [32]byte, key [33]byte, r, s *big.Int) bool {
	q, ok := decompress(key)
	return ok && c.verifyFor(q, digest, r, s)
}

// verifyFor is verify with the key as a point.
func (c *curve) verifyFor(q affine, digest [32]byte, r, s *big.Int) bool {
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(c.n) >= 0 || s.Cmp(c.n) >= 0 {
		return false
	}
	w := new(big.Int).ModInverse(s, c.n)
	a := new(big.Int).Mul(new(big.Int).SetBytes(digest[:]), w)
	b := new(big.Int).Mul(r, w)
	sum := c.combine(a.Mod(a, c.n), b.Mod(b, c.n), q)
	if sum.z.isZero() {
		return false
	}
	var zz element
	zz.square(&sum.z)
	for x := new(big.Int).Set(r); x.BitLen() <= 256; x.Add(x, c.n) { // the x of the sum may be r or r+n
		candidate, below := readElement(x.FillBytes(make([]byte, 32)))
		if !below {
			break
		}
		if candidate.mul(&candidate, &zz); candidate.equals(&sum.x) {
			return true
		}
	}
	return false
}
