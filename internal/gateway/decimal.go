package gateway

import (
	"math/bits"
	"strconv"

	"github.com/coldsign/coldsign/internal/money"
)

// Decimals travel as text of an exact scale and are whole numbers inside. What is read: digits, at most one point with
// digits on both sides, nothing else. There is no sign, exponent, space, grouping or other alphabet, and no rounding.

// digitsMax is the longest decimal that is looked at. The greatest 128-bit number has 39 digits.
const digitsMax = 60

// reading is how a decimal was read.
type reading uint8

const (
	readWell  reading = iota
	notNumber         // not a decimal
	tooFine           // more decimals than the scale has, and they are not zeros
	tooLarge          // does not fit
)

// parseUnits reads a decimal as a whole number of 10^-scale. Zeros beyond the scale are the same number and are taken.
func parseUnits(text string, scale int) (money.U128, reading) {
	var v money.U128
	if len(text) == 0 || len(text) > digitsMax {
		return v, notNumber
	}
	point, fraction, finer := -1, 0, false
	for i := range len(text) {
		c := text[i]
		if c == '.' {
			if point >= 0 || i == 0 || i == len(text)-1 {
				return v, notNumber
			}
			point = i
			continue
		}
		if c < '0' || c > '9' {
			return v, notNumber
		}
		if point >= 0 {
			if fraction == scale {
				finer = finer || c != '0'
				continue
			}
			fraction++
		}
		var ok bool
		if v, ok = push(v, c-'0'); !ok {
			return v, tooLarge
		}
	}
	if finer {
		return v, tooFine
	}
	for ; fraction < scale; fraction++ {
		var ok bool
		if v, ok = push(v, 0); !ok {
			return v, tooLarge
		}
	}
	return v, readWell
}

// push appends a decimal digit.
func push(v money.U128, digit byte) (money.U128, bool) {
	if v.Hi == 0 && v.Lo < (1<<63)/10 {
		return money.U128{Lo: v.Lo*10 + uint64(digit)}, true
	}
	next, ok := v.Mul64(10)
	if !ok {
		return v, false
	}
	return next.Add(money.U128{Lo: uint64(digit)})
}

// parseWhole reads a decimal as a whole number of 10^-scale that fits a positive int64.
func parseWhole(text string, scale int) (int64, reading) {
	v, how := parseUnits(text, scale)
	if how != readWell {
		return 0, how
	}
	if v.Hi != 0 || v.Lo > 1<<63-1 {
		return 0, tooLarge
	}
	return int64(v.Lo), readWell
}

// decimals counts the digits behind the point that are not trailing zeros.
func decimals(text string) int {
	for i := range len(text) {
		if text[i] == '.' {
			end := len(text)
			for end > i+1 && text[end-1] == '0' {
				end--
			}
			return end - i - 1
		}
	}
	return 0
}

// shownMin is how many decimals are always printed, as Binance does for every asset.
const shownMin = 8

// appendScaled appends n x 10^-scale with at least eight decimals.
func appendScaled(out []byte, n int64, scale int) []byte {
	if n < 0 {
		out, n = append(out, '-'), -n
	}
	return appendDigits(out, uint64(n), scale)
}

func appendDigits(out []byte, n uint64, scale int) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	return appendPointed(out, text, scale)
}

// appendPointed puts the point into digits and fills up with zeros on both sides.
func appendPointed(out, digits []byte, scale int) []byte {
	whole := len(digits) - scale
	if whole <= 0 {
		out = append(out, '0', '.')
		for range -whole {
			out = append(out, '0')
		}
		out = append(out, digits...)
	} else {
		out = append(out, digits[:whole]...)
		out = append(out, '.')
		out = append(out, digits[whole:]...)
	}
	for range shownMin - scale {
		out = append(out, '0')
	}
	return out
}

// appendUnits appends v x 10^-scale with at least eight decimals.
func appendUnits(out []byte, v money.U128, scale int) []byte {
	if v.Hi == 0 {
		return appendDigits(out, v.Lo, scale)
	}
	return appendPointed(out, []byte(v.String()), scale)
}

// ratio returns a x 10^extra / b rounded down, or zero when b is zero or the product does not fit.
func ratio(a money.U128, extra int, b uint64) money.U128 {
	if b == 0 {
		return money.U128{}
	}
	for range extra {
		next, ok := a.Mul64(10)
		if !ok {
			return money.U128{}
		}
		a = next
	}
	q, _ := a.DivMod64(b)
	return q
}

// product returns a x b and whether it is a positive int64.
func product(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return int64(lo), a >= 0 && b >= 0 && hi == 0 && lo < 1<<63
}
