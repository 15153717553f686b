package bitcoin

import "math/big"

// A second ECDSA verifier over secp256k1, written from the formulas with math/big. It shares no code with btcec, so a
// wrong carry in one of them shows as a disagreement instead of as a stolen coin. It handles public values only and is
// not constant time.

// curve is y² = x³ + 7 over the field of p elements, with a base point of prime order n.
type curve struct {
	p, n, halfN *big.Int
	base        point
}

// point is in Jacobian coordinates: x/z², y/z³; z is zero at infinity.
type point struct{ x, y, z *big.Int }

func newCurve() *curve {
	number := func(digits string) *big.Int {
		v, ok := new(big.Int).SetString(digits, 16)
		if !ok {
			panic("bitcoin: a curve constant is not hexadecimal")
		}
		return v
	}
	c := &curve{
		p: number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		n: number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
		base: point{
			x: number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
			y: number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
			z: big.NewInt(1),
		},
	}
	c.halfN = new(big.Int).Rsh(c.n, 1)
	return c
}

func (c *curve) mul(a, b *big.Int) *big.Int {
	t := new(big.Int).Mul(a, b)
	return t.Mod(t, c.p)
}

// sub needs both numbers below p; so do double and timesSmall.
func (c *curve) sub(a, b *big.Int) *big.Int {
	t := new(big.Int).Sub(a, b)
	if t.Sign() < 0 {
		t.Add(t, c.p)
	}
	return t
}

func (c *curve) timesSmall(a *big.Int, k uint) *big.Int {
	t := new(big.Int).Lsh(a, k)
	for t.Cmp(c.p) >= 0 {
		t.Sub(t, c.p)
	}
	return t
}

func (c *curve) double(a point) point {
	if a.z.Sign() == 0 || a.y.Sign() == 0 {
		return point{big.NewInt(1), big.NewInt(1), new(big.Int)}
	}
	xx, yy := c.mul(a.x, a.x), c.mul(a.y, a.y)
	d := c.timesSmall(c.mul(a.x, yy), 2) // 4xy²
	e := c.sub(c.timesSmall(xx, 2), xx)  // 3x²
	x := c.sub(c.mul(e, e), c.timesSmall(d, 1))
	y := c.sub(c.mul(e, c.sub(d, x)), c.timesSmall(c.mul(yy, yy), 3))
	return point{x, y, c.timesSmall(c.mul(a.y, a.z), 1)}
}

func (c *curve) add(a, b point) point {
	if a.z.Sign() == 0 {
		return b
	}
	if b.z.Sign() == 0 {
		return a
	}
	aa, bb := c.mul(a.z, a.z), c.mul(b.z, b.z)
	u, s := c.mul(a.x, bb), c.mul(a.y, c.mul(b.z, bb))
	h := c.sub(c.mul(b.x, aa), u)
	r := c.sub(c.mul(b.y, c.mul(a.z, aa)), s)
	if h.Sign() == 0 {
		if r.Sign() == 0 {
			return c.double(a)
		}
		return point{big.NewInt(1), big.NewInt(1), new(big.Int)}
	}
	hh := c.mul(h, h)
	hhh, v := c.mul(hh, h), c.mul(u, hh)
	x := c.sub(c.sub(c.mul(r, r), hhh), c.timesSmall(v, 1))
	y := c.sub(c.mul(r, c.sub(v, x)), c.mul(s, hhh))
	return point{x, y, c.mul(h, c.mul(a.z, b.z))}
}

// combine returns a·G + b·q, both multiplications in one walk over the bits.
func (c *curve) combine(a, b *big.Int, q point) point {
	both := c.add(c.base, q)
	sum := point{big.NewInt(1), big.NewInt(1), new(big.Int)}
	for i := max(a.BitLen(), b.BitLen()) - 1; i >= 0; i-- {
		sum = c.double(sum)
		switch {
		case a.Bit(i) == 1 && b.Bit(i) == 1:
			sum = c.add(sum, both)
		case a.Bit(i) == 1:
			sum = c.add(sum, c.base)
		case b.Bit(i) == 1:
			sum = c.add(sum, q)
		}
	}
	return sum
}

// decompress finds the point of a compressed public key, or reports that there is none.
func (c *curve) decompress(key [33]byte) (point, bool) {
	x := new(big.Int).SetBytes(key[1:])
	if key[0] != 2 && key[0] != 3 || x.Cmp(c.p) >= 0 {
		return point{}, false
	}
	square := c.mul(c.mul(x, x), x)
	square.Add(square, big.NewInt(7)).Mod(square, c.p)
	exponent := new(big.Int).Add(c.p, big.NewInt(1)) // p is 3 modulo 4, so the power (p+1)/4 is a root if there is one
	y := new(big.Int).Exp(square, exponent.Rsh(exponent, 2), c.p)
	if c.mul(y, y).Cmp(square) != 0 {
		return point{}, false
	}
	if y.Bit(0) != uint(key[0]&1) {
		y.Sub(c.p, y)
	}
	return point{x, y, big.NewInt(1)}, true
}

// verify checks an ECDSA signature over a digest.
func (c *curve) verify(digest [32]byte, key [33]byte, r, s *big.Int) bool {
	q, ok := c.decompress(key)
	if !ok || r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(c.n) >= 0 || s.Cmp(c.n) >= 0 {
		return false
	}
	w := new(big.Int).ModInverse(s, c.n)
	a := new(big.Int).Mul(new(big.Int).SetBytes(digest[:]), w)
	b := new(big.Int).Mul(r, w)
	sum := c.combine(a.Mod(a, c.n), b.Mod(b, c.n), q)
	if sum.z.Sign() == 0 {
		return false
	}
	zz := c.mul(sum.z, sum.z)
	for x := new(big.Int).Set(r); x.Cmp(c.p) < 0; x.Add(x, c.n) { // the x of the sum may be r or r+n
		if c.mul(x, zz).Cmp(sum.x) == 0 {
			return true
		}
	}
	return false
}
