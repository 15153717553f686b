package bitcoin_test

import "math/big"

// The oracle is ECDSA over secp256k1 as the textbook has it, in math/big: one bit at a time, every formula in one line.
// It is slow and short, and the verifier of this room is held against it.

// oracle is y² = x³ + 7 over the field of p elements, with a base point of prime order n.
type oracle struct {
	p, n *big.Int
	base bigPoint
}

// bigPoint is in Jacobian coordinates: x/z², y/z³; z is zero at infinity.
type bigPoint struct{ x, y, z *big.Int }

func newOracle() *oracle {
	number := func(digits string) *big.Int {
		v, ok := new(big.Int).SetString(digits, 16)
		if !ok {
			panic("oracle: a curve constant is not hexadecimal")
		}
		return v
	}
	o := &oracle{
		p: number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		n: number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
		base: bigPoint{
			x: number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
			y: number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
			z: big.NewInt(1),
		},
	}
	return o
}

func (o *oracle) mul(a, b *big.Int) *big.Int {
	t := new(big.Int).Mul(a, b)
	return t.Mod(t, o.p)
}

// sub needs both numbers below p; so do double and timesSmall.
func (o *oracle) sub(a, b *big.Int) *big.Int {
	t := new(big.Int).Sub(a, b)
	if t.Sign() < 0 {
		t.Add(t, o.p)
	}
	return t
}

func (o *oracle) timesSmall(a *big.Int, k uint) *big.Int {
	t := new(big.Int).Lsh(a, k)
	for t.Cmp(o.p) >= 0 {
		t.Sub(t, o.p)
	}
	return t
}

func (o *oracle) double(a bigPoint) bigPoint {
	if a.z.Sign() == 0 || a.y.Sign() == 0 {
		return bigPoint{big.NewInt(1), big.NewInt(1), new(big.Int)}
	}
	xx, yy := o.mul(a.x, a.x), o.mul(a.y, a.y)
	d := o.timesSmall(o.mul(a.x, yy), 2) // 4xy²
	e := o.sub(o.timesSmall(xx, 2), xx)  // 3x²
	x := o.sub(o.mul(e, e), o.timesSmall(d, 1))
	y := o.sub(o.mul(e, o.sub(d, x)), o.timesSmall(o.mul(yy, yy), 3))
	return bigPoint{x, y, o.timesSmall(o.mul(a.y, a.z), 1)}
}

func (o *oracle) add(a, b bigPoint) bigPoint {
	if a.z.Sign() == 0 {
		return b
	}
	if b.z.Sign() == 0 {
		return a
	}
	aa, bb := o.mul(a.z, a.z), o.mul(b.z, b.z)
	u, s := o.mul(a.x, bb), o.mul(a.y, o.mul(b.z, bb))
	h := o.sub(o.mul(b.x, aa), u)
	r := o.sub(o.mul(b.y, o.mul(a.z, aa)), s)
	if h.Sign() == 0 {
		if r.Sign() == 0 {
			return o.double(a)
		}
		return bigPoint{big.NewInt(1), big.NewInt(1), new(big.Int)}
	}
	hh := o.mul(h, h)
	hhh, v := o.mul(hh, h), o.mul(u, hh)
	x := o.sub(o.sub(o.mul(r, r), hhh), o.timesSmall(v, 1))
	y := o.sub(o.mul(r, o.sub(v, x)), o.mul(s, hhh))
	return bigPoint{x, y, o.mul(h, o.mul(a.z, b.z))}
}

// combine returns a·G + b·q, both multiplications in one walk over the bits.
func (o *oracle) combine(a, b *big.Int, q bigPoint) bigPoint {
	both := o.add(o.base, q)
	sum := bigPoint{big.NewInt(1), big.NewInt(1), new(big.Int)}
	for i := max(a.BitLen(), b.BitLen()) - 1; i >= 0; i-- {
		sum = o.double(sum)
		switch {
		case a.Bit(i) == 1 && b.Bit(i) == 1:
			sum = o.add(sum, both)
		case a.Bit(i) == 1:
			sum = o.add(sum, o.base)
		case b.Bit(i) == 1:
			sum = o.add(sum, q)
		}
	}
	return sum
}

// decompress finds the point of a compressed public key, or reports that there is none.
func (o *oracle) decompress(key [33]byte) (bigPoint, bool) {
	x := new(big.Int).SetBytes(key[1:])
	if key[0] != 2 && key[0] != 3 || x.Cmp(o.p) >= 0 {
		return bigPoint{}, false
	}
	square := o.mul(o.mul(x, x), x)
	square.Add(square, big.NewInt(7)).Mod(square, o.p)
	exponent := new(big.Int).Add(o.p, big.NewInt(1)) // p is 3 modulo 4, so the power (p+1)/4 is a root if there is one
	y := new(big.Int).Exp(square, exponent.Rsh(exponent, 2), o.p)
	if o.mul(y, y).Cmp(square) != 0 {
		return bigPoint{}, false
	}
	if y.Bit(0) != uint(key[0]&1) {
		y.Sub(o.p, y)
	}
	return bigPoint{x, y, big.NewInt(1)}, true
}

// verify checks an ECDSA signature over a digest.
func (o *oracle) verify(digest [32]byte, key [33]byte, r, s *big.Int) bool {
	q, ok := o.decompress(key)
	if !ok || r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(o.n) >= 0 || s.Cmp(o.n) >= 0 {
		return false
	}
	w := new(big.Int).ModInverse(s, o.n)
	a := new(big.Int).Mul(new(big.Int).SetBytes(digest[:]), w)
	b := new(big.Int).Mul(r, w)
	sum := o.combine(a.Mod(a, o.n), b.Mod(b, o.n), q)
	if sum.z.Sign() == 0 {
		return false
	}
	zz := o.mul(sum.z, sum.z)
	for x := new(big.Int).Set(r); x.Cmp(o.p) < 0; x.Add(x, o.n) { // the x of the sum may be r or r+n
		if o.mul(x, zz).Cmp(sum.x) == 0 {
			return true
		}
	}
	return false
}

// multiple is k·q, and compress writes a finite point as a key.
func (o *oracle) multiple(k *big.Int, q bigPoint) bigPoint { return o.combine(new(big.Int), k, q) }

func (o *oracle) compress(a bigPoint) (key [33]byte) {
	z := new(big.Int).ModInverse(a.z, o.p)
	zz := o.mul(z, z)
	o.mul(a.x, zz).FillBytes(key[1:])
	key[0] = 2 + byte(o.mul(a.y, o.mul(zz, z)).Bit(0))
	return key
}
