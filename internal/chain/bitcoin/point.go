package bitcoin

// affine is a point of y² = x³ + 7 that is not the one at infinity.
type affine struct{ x, y element }

// point is a point in Jacobian coordinates, x/z² and y/z³; z is zero at infinity. The results may be written over the
// arguments.
type point struct{ x, y, z element }

func (a affine) point() point { return point{a.x, a.y, element{1}} }

func (a affine) negated() affine {
	var zero element
	a.y.sub(&zero, &a.y)
	return a
}

// compressed writes the point as public keys are written.
func (a affine) compressed() (out [33]byte) {
	x := a.x.bytes()
	copy(out[1:], x[:])
	out[0] = 2
	if a.y.isOdd() {
		out[0] = 3
	}
	return out
}

// decompress finds the point of a compressed public key, or reports that there is none.
func decompress(key [33]byte) (a affine, ok bool) {
	if a.x, ok = readElement(key[1:]); !ok || key[0] != 2 && key[0] != 3 {
		return affine{}, false
	}
	var square element
	square.square(&a.x)
	square.mul(&square, &a.x)
	square.add(&square, &element{7})
	if !a.y.root(&square) {
		return affine{}, false
	}
	if a.y.isOdd() != (key[0] == 3) {
		a = a.negated()
	}
	return a, true
}

// pointOf is the point of a compressed public key whose y is known, or zeros where it is not: a root is checked more
// quickly than found. A y that is not the key's own gives no point.
func pointOf(key [33]byte, y [32]byte) (a affine, ok bool) {
	if y == [32]byte{} {
		return decompress(key)
	}
	var okX, okY bool
	a.x, okX = readElement(key[1:])
	a.y, okY = readElement(y[:])
	var left, right element
	left.square(&a.y)
	right.square(&a.x)
	right.mul(&right, &a.x)
	right.add(&right, &element{7})
	return a, okX && okY && (key[0] == 2 || key[0] == 3) && a.y.isOdd() == (key[0] == 3) && left.equals(&right)
}

// double sets p to 2a. With l = 3x²/2 and s = y²: x' = l² - 2xs, y' = l(xs - x') - s², z' = yz. Infinity stays itself,
// and no point of this curve has y zero, because its order is odd.
func (p *point) double(a *point) {
	var l, s, t, x, y element
	l.square(&a.x)
	s.add(&l, &l)
	l.add(&l, &s)
	l.half(&l)
	s.square(&a.y)
	t.mul(&a.x, &s)
	x.square(&l)
	x.sub(&x, &t)
	x.sub(&x, &t)
	t.sub(&t, &x)
	y.mul(&l, &t)
	s.square(&s)
	p.z.mul(&a.y, &a.z)
	p.y.sub(&y, &s)
	p.x = x
}

// add sets p to a + b, whatever the two are.
func (p *point) add(a, b *point) {
	switch {
	case a.z.isZero():
		*p = *b
		return
	case b.z.isZero():
		*p = *a
		return
	}
	var zz, u1, s1, u2, s2, z element
	zz.square(&b.z)
	u1.mul(&a.x, &zz)
	s1.mul(&zz, &b.z)
	s1.mul(&s1, &a.y)
	zz.square(&a.z)
	u2.mul(&b.x, &zz)
	s2.mul(&zz, &a.z)
	s2.mul(&s2, &b.y)
	z.mul(&a.z, &b.z)
	p.join(a, sides{u1, s1, u2, s2, z})
}

// addAffine sets p to a + b, whatever the two are. It is cheaper than add, because the z of b is one.
func (p *point) addAffine(a *point, b *affine) {
	if a.z.isZero() {
		*p = b.point()
		return
	}
	var zz, u2, s2 element
	zz.square(&a.z)
	u2.mul(&b.x, &zz)
	s2.mul(&zz, &a.z)
	s2.mul(&s2, &b.y)
	p.join(a, sides{a.x, a.y, u2, s2, a.z})
}

// sides are two finite points brought to one denominator: u1, s1 and u2, s2 are x and y of both, z is what they share.
type sides struct{ u1, s1, u2, s2, z element }

// join finishes an addition. Two equal points are doubled instead, and a point and its negative give infinity.
func (p *point) join(a *point, of sides) {
	var h, r, hh, hhh, v, x element
	h.sub(&of.u2, &of.u1)
	r.sub(&of.s2, &of.s1)
	if h.isZero() {
		if r.isZero() {
			p.double(a)
			return
		}
		*p = point{}
		return
	}
	hh.square(&h)
	hhh.mul(&hh, &h)
	v.mul(&of.u1, &hh)
	x.square(&r)
	x.sub(&x, &hhh)
	x.sub(&x, &v)
	x.sub(&x, &v)
	v.sub(&v, &x)
	v.mul(&v, &r)
	hhh.mul(&hhh, &of.s1)
	p.x = x
	p.y.sub(&v, &hhh)
	p.z.mul(&of.z, &h)
}

// normalise gives the affine forms of finite points with one inversion for all of them: the product of all z is
// inverted, and walking back divides out one z at a time.
func normalise(points []point) []affine {
	out := make([]affine, len(points))
	product := element{1}
	for i := range points {
		out[i].x = product // of all z before this one
		product.mul(&product, &points[i].z)
	}
	var inverse, z, zz element
	inverse.invert(&product)
	for i := len(points) - 1; i >= 0; i-- {
		z.mul(&inverse, &out[i].x)
		inverse.mul(&inverse, &points[i].z)
		zz.square(&z)
		out[i].x.mul(&points[i].x, &zz)
		zz.mul(&zz, &z)
		out[i].y.mul(&points[i].y, &zz)
	}
	return out
}
