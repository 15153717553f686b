package bitcoin

import "math/big"

// This curve has points that are multiples of each other for the price of one product: (βx, y) is λ·(x, y), where β and
// λ are cube roots of one, modulo p and modulo n. So a number k is split in two of half its length, k = k1 + k2·λ modulo
// n, and k·q is k1·q + k2·(λ·q): as many additions, and half as many doublings (Gallant, Lambert and Vanstone, 2001).

// beta returns the cube root of one modulo p.
func beta() element {
	return element{0xc1396c28719501ee, 0x9cf0497512f58995, 0x6e64479eac3434e9, 0x7ae96a2b657c0710}
}

// splitter has two short pairs (a, b) with a + b·λ = 0 modulo n. Taking whole pairs away from (k, 0) changes nothing modulo
// n; as many are taken away as leave the least. How many that is decides about the length of the halves alone, never
// about what they are worth.
type splitter struct {
	n, a1, b1, a2, b2 *big.Int // b1 is negated
}

const halfPlaces = 131 // digits of a half: 128 bits, one for the rounding, a carry, and one to spare

func newSplitter(n *big.Int) splitter {
	a1 := numberOf([4]uint64{0xe86c90e49284eb15, 0x3086d221a7d46bcd})
	b1 := numberOf([4]uint64{0x6f547fa90abfe4c3, 0xe4437ed6010e8828})
	return splitter{n: n, a1: a1, b1: b1, a2: new(big.Int).Add(a1, b1), b2: a1}
}

// halves returns k1 and k2, each below 2¹²⁹ in magnitude.
func (s splitter) halves(k *big.Int) (k1, k2 *big.Int) {
	c1, c2 := new(big.Int).Mul(s.b2, k), new(big.Int).Mul(s.b1, k)
	c1.Div(c1, s.n)
	c2.Div(c2, s.n)
	var product big.Int
	k1 = new(big.Int).Sub(k, product.Mul(c1, s.a1))
	k1.Sub(k1, product.Mul(c2, s.a2))
	k2 = new(big.Int).Mul(c1, s.b1)
	return k1, k2.Sub(k2, product.Mul(c2, s.b2))
}

// digits writes both halves of k in digits, see the function of that name.
func (s splitter) digits(k *big.Int, window uint) (out [2][halfPlaces]int8) {
	k1, k2 := s.halves(k)
	for half, number := range []*big.Int{k1, k2} {
		if number.BitLen() > halfPlaces-2 {
			panic("bitcoin: half of a number is too long")
		}
		all := digits(limbsOf(new(big.Int).Abs(number)), window)
		for i := range out[half] {
			out[half][i] = all[i]
			if number.Sign() < 0 {
				out[half][i] = -all[i]
			}
		}
	}
	return out
}

func magnitude(digit int8) int8 { return max(digit, -digit) }
