package money

import (
	"fmt"
	"math/bits"
)

// U128 is an unsigned 128-bit integer. Every operation says whether it stayed in range; nothing wraps.
type U128 struct{ Hi, Lo uint64 }

// Add returns a+b and whether it fits.
func (a U128) Add(b U128) (U128, bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, over := bits.Add64(a.Hi, b.Hi, carry)
	return U128{hi, lo}, over == 0
}

// Sub returns a-b and whether a >= b.
func (a U128) Sub(b U128) (U128, bool) {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, under := bits.Sub64(a.Hi, b.Hi, borrow)
	return U128{hi, lo}, under == 0
}

// Mul64 returns a*m and whether it fits.
func (a U128) Mul64(m uint64) (U128, bool) {
	carry, lo := bits.Mul64(a.Lo, m)
	over, hi := bits.Mul64(a.Hi, m)
	hi, c := bits.Add64(hi, carry, 0)
	return U128{hi, lo}, over == 0 && c == 0
}

// DivMod64 returns the quotient and remainder of a/d. A zero divisor is a broken invariant and panics.
func (a U128) DivMod64(d uint64) (U128, uint64) {
	hi, rest := a.Hi/d, a.Hi%d
	lo, rem := bits.Div64(rest, a.Lo, d)
	return U128{hi, lo}, rem
}

// Cmp returns -1, 0 or +1.
func (a U128) Cmp(b U128) int {
	switch {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	}
	return 1
}

// String returns the decimal digits.
func (a U128) String() string {
	const chunk = 10_000_000_000_000_000_000 // 10^19, the largest power of ten in 64 bits
	if a.Hi == 0 {
		return fmt.Sprint(a.Lo)
	}
	high, low := a.DivMod64(chunk)
	return high.String() + fmt.Sprintf("%019d", low)
}

// ParseU128 reads ASCII decimal digits, at least one, no sign.
func ParseU128(text string) (U128, error) {
	if text == "" {
		return U128{}, fmt.Errorf("no digits")
	}
	var v U128
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return U128{}, fmt.Errorf("character %q at %d is not a digit", c, i)
		}
		next, ok := v.Mul64(10)
		if ok {
			next, ok = next.Add(U128{Lo: uint64(c - '0')})
		}
		if !ok {
			return U128{}, ErrOverflow
		}
		v = next
	}
	return v, nil
}
