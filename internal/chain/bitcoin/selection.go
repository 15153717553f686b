package bitcoin

import (
	"encoding/binary"
	"io"
	"slices"
	"sort"
)

const (
	longTermRate    = 10_000  // satoshi per 1000 vB at which coins are expected to be spent some day; Bitcoin Core assumes the same
	changeWished    = 50_000  // satoshi of change that a random draw aims for, so that change is a useful coin
	branchTriesMost = 100_000 // steps of branch and bound before it gives up
)

// selector chooses coins for one amount. All coins of a wallet have the same input weight, so only values differ.
type selector struct {
	m, n        int
	most        int   // coins at most; zero: only the weight bounds them
	rate        int64 // satoshi per 1000 vB now
	amount      int64
	destination int64 // bytes of the output that pays
}

// choice is a set of coins with what is left of them.
type choice struct {
	coins  []Coin
	change int64 // zero when there is none
	fee    int64
	waste  int64
}

func (s selector) weightOf(inputs int, change bool) int64 {
	outputs, count := s.destination, 1
	if change {
		outputs, count = outputs+wshOutputSize, 2
	}
	return finishedWeight(unsignedSize(inputs, count, outputs), inputs, s.m, s.n)
}

// fits reports whether a transaction may spend so many coins.
func (s selector) fits(inputs int, change bool) bool {
	return s.weightOf(inputs, change) <= weightMax && (s.most == 0 || inputs <= s.most)
}

// worth returns the coins that bring more than their input costs, largest first.
func (s selector) worth(coins []Coin) []Coin {
	worth := slices.DeleteFunc(slices.Clone(coins), func(c Coin) bool { return c.Value <= s.inputFee(s.rate) })
	sort.SliceStable(worth, func(i, j int) bool { return worth[i].Value > worth[j].Value })
	return worth
}

func (s selector) inputFee(rate int64) int64 { return feeFor(inputWeight(s.m, s.n), rate) }

// changeCost is what a change output costs now and when it is spent.
func (s selector) changeCost() int64 {
	return feeFor(4*wshOutputSize, s.rate) + s.inputFee(longTermRate)
}

// changeLeast is the smallest change worth making: no dust, and worth more than spending it costs.
func (s selector) changeLeast() int64 {
	return max(dustFor(make([]byte, 34)), s.inputFee(longTermRate))
}

// settle works out change, fee and waste of a set of coins, or says that it does not pay.
func (s selector) settle(coins []Coin) (choice, bool) {
	total := int64(0)
	for _, c := range coins {
		total += c.Value
	}
	timing := int64(len(coins)) * (s.inputFee(s.rate) - s.inputFee(longTermRate))
	fee := feeFor(s.weightOf(len(coins), true), s.rate)
	if change := total - s.amount - fee; change >= s.changeLeast() && s.fits(len(coins), true) {
		return choice{coins, change, fee, timing + s.changeCost()}, true
	}
	fee = feeFor(s.weightOf(len(coins), false), s.rate)
	excess := total - s.amount - fee
	return choice{coins, 0, fee + excess, timing + excess}, excess >= 0 && s.fits(len(coins), false)
}

// choose takes the least wasteful of a changeless set (branch and bound) and a random one; if neither fits the weight
// limit, the largest coins.
func (s selector) choose(coins []Coin, rand io.Reader) (choice, bool, error) {
	worth := s.worth(coins)
	best, found := s.exact(worth)
	drawn, ok, err := s.draw(worth, rand)
	if err != nil {
		return choice{}, false, err
	}
	if ok && (!found || drawn.waste < best.waste) {
		best, found = drawn, true
	}
	if found {
		return best, true, nil
	}
	for i := range worth {
		if c, ok := s.settle(worth[:i+1]); ok {
			return c, true, nil
		}
	}
	return choice{}, false, nil
}

// exact looks for coins that need no change: depth first over the coins by falling value, including before excluding.
func (s selector) exact(coins []Coin) (choice, bool) {
	b := bounded{coins: coins, most: int64(s.most), each: s.inputFee(s.rate), left: branchTriesMost, taken: make([]bool, len(coins))}
	b.target = s.amount + feeFor(s.weightOf(0, false)+8, s.rate) // 8: the input count may take two bytes more
	b.ceiling = b.target + s.changeCost()
	b.timing = b.each - s.inputFee(longTermRate)
	b.rest = make([]int64, len(coins)+1)
	for i := len(coins) - 1; i >= 0; i-- {
		b.rest[i] = b.rest[i+1] + coins[i].Value - b.each
	}
	b.search(0, 0, 0)
	if b.best == nil {
		return choice{}, false
	}
	var set []Coin
	for i, taken := range b.best {
		if taken {
			set = append(set, coins[i])
		}
	}
	c, ok := s.settle(set)
	return c, ok && c.change == 0
}

// bounded is the state of one branch-and-bound search over effective values (value less the fee of the input).
type bounded struct {
	coins           []Coin
	most            int64 // coins at most, unless zero
	each            int64 // fee of one input
	timing          int64 // waste of one input: its fee now less its fee some day
	target, ceiling int64
	rest            []int64 // rest[i]: effective values from coin i on
	taken           []bool
	left            int // steps
	best            []bool
	bestWaste       int64
}

func (b *bounded) search(i int, sum, inputs int64) {
	b.left--
	waste := inputs*b.timing + sum - b.target
	switch {
	case b.left < 0 || sum > b.ceiling || sum+b.rest[i] < b.target || b.most > 0 && inputs > b.most:
		return
	case b.best != nil && b.timing > 0 && inputs*b.timing >= b.bestWaste:
		return // more inputs can only be worse
	case sum >= b.target:
		if b.best == nil || waste < b.bestWaste {
			b.best, b.bestWaste = slices.Clone(b.taken), waste
		}
		return
	case i == len(b.coins):
		return
	}
	if i == 0 || b.taken[i-1] || b.coins[i].Value != b.coins[i-1].Value { // a twin of a coin left out was tried already
		b.taken[i] = true
		b.search(i+1, sum+b.coins[i].Value-b.each, inputs+1)
		b.taken[i] = false
	}
	b.search(i+1, sum, inputs)
}

// draw takes coins in random order until they pay with good change, then leaves out each, smallest first, that is not
// needed: change never exceeds the largest input.
func (s selector) draw(coins []Coin, rand io.Reader) (choice, bool, error) {
	shuffled := slices.Clone(coins)
	for i := len(shuffled) - 1; i > 0; i-- {
		j, err := below(i+1, rand)
		if err != nil {
			return choice{}, false, err
		}
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	}
	most := int(weightMax / inputWeight(s.m, s.n))
	if s.most > 0 {
		most = min(most, s.most)
	}
	for n := 1; n <= min(len(shuffled), most); n++ {
		c, ok := s.settle(shuffled[:n])
		if ok && (c.change >= changeWished || n == len(shuffled)) {
			return s.thin(shuffled[:n]), true, nil
		}
	}
	return choice{}, false, nil
}

func (s selector) thin(coins []Coin) choice {
	kept := slices.Clone(coins)
	sort.SliceStable(kept, func(i, j int) bool { return kept[i].Value < kept[j].Value })
	for i := 0; i < len(kept); {
		without := slices.Delete(slices.Clone(kept), i, i+1)
		if _, ok := s.settle(without); ok {
			kept = without
			continue
		}
		i++
	}
	c, _ := s.settle(kept)
	return c
}

// below draws a number in [0, n) without bias: draws from the last incomplete run of n are thrown away.
func below(n int, rand io.Reader) (int, error) {
	limit := ^uint32(0) - ^uint32(0)%uint32(n)
	for {
		var b [4]byte
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, err
		}
		if v := binary.LittleEndian.Uint32(b[:]); v < limit {
			return int(v % uint32(n)), nil
		}
	}
}
