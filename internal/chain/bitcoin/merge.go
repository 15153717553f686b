package bitcoin

import (
	"slices"

	"github.com/coldsign/coldsign/internal/wallet"
)

// Mergeable returns the coins of a wallet that are worth merging at a fee rate, the smallest first: each brings at least
// twice what it costs.
func Mergeable(from wallet.Wallet, coins []Coin, rate int64) []Coin {
	s := selector{m: from.Threshold(), n: len(from.Keys()), rate: 2 * rate}
	out := s.worth(coins)
	slices.Reverse(out)
	return out
}

// MergeAmount is what merging coins at a fee rate can promise to leave in one coin, zero or less when it is not worth it.
// As much as the fee is kept back once more and returns as change, so that the fee can be raised while the transaction
// is not confirmed; but never more than the largest coin, because change above every input is refused.
func MergeAmount(from wallet.Wallet, coins []Coin, rate int64) int64 {
	s := selector{m: from.Threshold(), n: len(from.Keys()), rate: rate, destination: wshOutputSize}
	total, largest := int64(0), int64(0)
	for _, c := range coins {
		total, largest = total+c.Value, max(largest, c.Value)
	}
	fee := feeFor(s.weightOf(len(coins), true), rate)
	return total - fee - min(fee+s.changeLeast(), largest)
}
