package bitcoin

import (
	"slices"

	"github.com/coldsign/coldsign/internal/wallet"
)

// Mergeable returns the coins of a wallet that are worth merging at a fee rate, the smallest first: each brings at least
// twice what it costs, so that it still brings something when fees have doubled before the transaction is signed.
func Mergeable(from wallet.Wallet, coins []Coin, rate int64) []Coin {
	s := selector{m: from.Threshold(), n: len(from.Keys()), rate: 2 * rate}
	out := s.worth(coins)
	slices.Reverse(out)
	return out
}

// MergeAmount is what merging coins can promise to leave in one coin, zero or less when it is not worth it. People
// approve this amount before the transaction is built, so twice the present fee is kept back: when fees rise until then
// the transaction can still be built, and afterwards its fee can still be raised. What is not needed returns as change.
func MergeAmount(from wallet.Wallet, coins []Coin, rate int64) int64 {
	s := selector{m: from.Threshold(), n: len(from.Keys()), rate: rate, destination: wshOutputSize}
	total := int64(0)
	for _, c := range coins {
		total += c.Value
	}
	return total - 2*feeFor(s.weightOf(len(coins), true), rate) - s.changeLeast()
}
