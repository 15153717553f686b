// Package money holds exact amounts: whole smallest units of one asset.
//
// It exists so that a float, a rounded value or an amount of the wrong asset cannot travel through the system.
// Amounts are unsigned 128-bit counts of the asset's smallest unit (a satoshi, a wei); arithmetic is checked and
// refuses to mix assets, to wrap, or to go below zero. What may never happen here: a float, a silent rounding, a
// negative amount, a decimal that was accepted with more digits than the asset has.
//
// Text form: digits, one point, exactly Decimals digits after it when printed ("12.50000000"); when parsed, at most
// Decimals digits after the point, no sign, no exponent, no grouping, ASCII only.
package money

import (
	"errors"
	"fmt"
	"strings"
)

// Asset names a currency and how many decimals its smallest unit lies below its main unit.
type Asset struct {
	Symbol   string // upper-case ticker, e.g. "BTC"
	Decimals uint8  // 8 for BTC: 1 BTC = 10^8 satoshi
}

// BTC is bitcoin, counted in satoshi.
var BTC = Asset{Symbol: "BTC", Decimals: 8}

// Errors that callers branch on.
var (
	ErrOverflow = errors.New("amount exceeds 128 bits")
	ErrNegative = errors.New("amount would fall below zero")
	ErrAsset    = errors.New("amounts of different assets")
)

// Amount is a count of smallest units of one asset. The zero Amount has no asset and equals nothing but itself.
type Amount struct {
	asset Asset
	units U128
}

// New returns units smallest units of asset.
func New(asset Asset, units U128) Amount { return Amount{asset, units} }

// Sats returns n satoshi of BTC. A negative n is a broken invariant of the caller and panics.
func Sats(n int64) Amount {
	if n < 0 {
		panic(fmt.Sprintf("money: negative satoshi count %d", n))
	}
	return Amount{BTC, U128{Lo: uint64(n)}}
}

// Asset returns the asset counted.
func (a Amount) Asset() Asset { return a.asset }

// Units returns the count of smallest units.
func (a Amount) Units() U128 { return a.units }

// Int64 returns the count of smallest units, or false when it does not fit (it always fits for bitcoin).
func (a Amount) Int64() (int64, bool) {
	if a.units.Hi != 0 || a.units.Lo > 1<<63-1 {
		return 0, false
	}
	return int64(a.units.Lo), true
}

// IsZero reports whether the count is zero, whatever the asset.
func (a Amount) IsZero() bool { return a.units == U128{} }

// Add returns a+b, or ErrAsset or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.asset != b.asset {
		return Amount{}, fmt.Errorf("%w: %s and %s", ErrAsset, a.asset.Symbol, b.asset.Symbol)
	}
	sum, ok := a.units.Add(b.units)
	if !ok {
		return Amount{}, ErrOverflow
	}
	return Amount{a.asset, sum}, nil
}

// Sub returns a-b, or ErrAsset or ErrNegative.
func (a Amount) Sub(b Amount) (Amount, error) {
	if a.asset != b.asset {
		return Amount{}, fmt.Errorf("%w: %s and %s", ErrAsset, a.asset.Symbol, b.asset.Symbol)
	}
	diff, ok := a.units.Sub(b.units)
	if !ok {
		return Amount{}, ErrNegative
	}
	return Amount{a.asset, diff}, nil
}

// Cmp compares counts: -1, 0 or +1. Comparing different assets is a broken invariant and panics.
func (a Amount) Cmp(b Amount) int {
	if a.asset != b.asset {
		panic("money: comparing " + a.asset.Symbol + " with " + b.asset.Symbol)
	}
	return a.units.Cmp(b.units)
}

// Decimal returns the amount in main units with every decimal, without the symbol: "12.50000000".
func (a Amount) Decimal() string {
	digits, d := a.units.String(), int(a.asset.Decimals)
	if d == 0 {
		return digits
	}
	if len(digits) <= d {
		digits = strings.Repeat("0", d-len(digits)+1) + digits
	}
	return digits[:len(digits)-d] + "." + digits[len(digits)-d:]
}

// String returns the amount with its symbol: "12.50000000 BTC".
func (a Amount) String() string { return a.Decimal() + " " + a.asset.Symbol }

// Grouped returns the decimals in groups of three for reading aloud: "12.500 000 00".
func (a Amount) Grouped() string {
	whole, frac, found := strings.Cut(a.Decimal(), ".")
	if !found {
		return whole
	}
	var b strings.Builder
	b.WriteString(whole + ".")
	for i := 0; i < len(frac); i += 3 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(frac[i:min(i+3, len(frac))])
	}
	return b.String()
}

// Parse reads a decimal in main units of asset. More decimals than the asset has, signs, exponents, spaces, grouping
// and non-ASCII digits are refused; nothing is rounded.
func Parse(text string, asset Asset) (Amount, error) {
	whole, frac, hasPoint := strings.Cut(text, ".")
	if whole == "" || hasPoint && frac == "" {
		return Amount{}, fmt.Errorf("amount %q is not a decimal like 1.25", text)
	}
	if len(frac) > int(asset.Decimals) {
		return Amount{}, fmt.Errorf("amount %q has %d decimals; %s has %d", text, len(frac), asset.Symbol, asset.Decimals)
	}
	units, err := ParseU128(whole + frac + strings.Repeat("0", int(asset.Decimals)-len(frac)))
	if err != nil {
		return Amount{}, fmt.Errorf("amount %q: %w", text, err)
	}
	return Amount{asset, units}, nil
}
