package bitcoin

// comb holds multiples of the base point, so that a multiple is a sum without doublings: row i has 1 to 64 times 128ⁱ.
// It takes half a millisecond to make, and pays when tens of public keys are to be derived.
type comb []affine

const (
	combBits = 7
	combHalf = 1 << (combBits - 1) // a digit is from -63 to 64, because a negative point costs nothing
	combRows = 37                  // 259 bits: 256 and a carry
)

func newComb() comb {
	var firsts [combRows]point
	firsts[0] = basePoint().point()
	for row := 1; row < combRows; row++ {
		firsts[row] = firsts[row-1]
		for range combBits {
			firsts[row].double(&firsts[row])
		}
	}
	out := make(comb, combRows*combHalf)
	_ = inParallel(combRows, func(row int) error {
		var points [combHalf]point
		points[0] = firsts[row]
		for i := 1; i < combHalf; i++ {
			points[i].add(&points[i-1], &firsts[row])
		}
		copy(out[row*combHalf:], normalise(points[:]))
		return nil
	})
	return out
}

// combDigits writes k as a sum of digits times powers of 128.
func combDigits(k [4]uint64) (out [combRows]int8) {
	carry := uint64(0)
	for row := range out {
		at := uint(row * combBits)
		digit := carry
		if at < 256 {
			digit += k[at/64] >> (at % 64) & (2*combHalf - 1)
			if at%64 > 64-combBits && at/64 < 3 {
				digit += k[at/64+1] << (64 - at%64) & (2*combHalf - 1)
			}
		}
		carry = 0
		if digit > combHalf {
			carry = 1
		}
		out[row] = int8(int64(digit) - int64(carry*2*combHalf))
	}
	return out
}

// lane is one sum among many that are computed side by side.
type lane struct {
	digits [combRows]int8
	sum    affine
	run    element // of the row: the sum's distance in x, and the product of those before it
	before element
	broken bool // two equal points or opposite ones met: the sum is not known
}

// addMultiples adds to each lane's sum the multiple of the base point that its digits say. An addition in affine
// coordinates divides, and one division serves a whole row of lanes.
func (c comb) addMultiples(lanes []lane) {
	for row := range combRows {
		table, product := c[row*combHalf:(row+1)*combHalf], element{1}
		for i := range lanes {
			l := &lanes[i]
			if d := l.digits[row]; d != 0 && !l.broken {
				l.run.sub(&table[magnitude(d)-1].x, &l.sum.x)
				if l.broken = l.run.isZero(); !l.broken {
					l.before = product
					product.mul(&product, &l.run)
				}
			}
		}
		product.invert(&product)
		for i := len(lanes) - 1; i >= 0; i-- {
			l := &lanes[i]
			if d := l.digits[row]; d != 0 && !l.broken {
				l.before.mul(&l.before, &product) // 1/run
				product.mul(&product, &l.run)
				if term := &table[magnitude(d)-1]; d > 0 {
					l.add(term)
				} else {
					negative := term.negated()
					l.add(&negative)
				}
			}
		}
	}
}

// add is the chord through two points: its slope is the distance in y over that in x.
func (l *lane) add(term *affine) {
	var slope, x, y element
	slope.sub(&term.y, &l.sum.y)
	slope.mul(&slope, &l.before)
	x.square(&slope)
	x.sub(&x, &l.sum.x)
	x.sub(&x, &term.x)
	y.sub(&l.sum.x, &x)
	y.mul(&y, &slope)
	l.sum.y.sub(&y, &l.sum.y)
	l.sum.x = x
}
