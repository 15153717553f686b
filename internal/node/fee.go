package node

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"strconv"
	"strings"
)

const (
	satoshiPerCoin    = 100_000_000
	numberLengthMax   = 40
	numberExponentMax = 20 // a JSON number like 1e999999999 must not become that many digits
)

// FeeRate returns satoshi per 1000 virtual bytes for confirmation within blocks, clamped to [FeeFloor, FeeCap]. A node
// that has no estimate (btcd on an idle chain answers 0, Bitcoin Core an error) gives the floor.
func (b *Bitcoin) FeeRate(ctx context.Context, blocks int) (int64, error) {
	rate, err := b.estimate(ctx, blocks)
	if err != nil {
		return 0, err
	}
	return min(max(rate, b.config.FeeFloor), b.config.FeeCap), nil
}

func (b *Bitcoin) estimate(ctx context.Context, blocks int) (int64, error) {
	var smart struct {
		Rate json.Number `json:"feerate"` // coins per 1000 vB; missing when there is no estimate
	}
	err := b.rpc.call(ctx, "estimatesmartfee", &smart, blocks)
	number := smart.Rate
	var no *rpcError
	if errors.As(err, &no) && no.Code == rpcMethodMissing {
		err = b.rpc.call(ctx, "estimatefee", &number, blocks)
	}
	if errors.As(err, &no) {
		return 0, nil // the node answered, and has no estimate
	}
	if err != nil || number == "" || strings.HasPrefix(number.String(), "-") {
		return 0, err
	}
	rate, _, err := satoshi(number)
	return rate, err
}

// satoshi turns a JSON number of whole coins into satoshi without a float in between, rounding up, and says whether
// nothing had to be rounded.
func satoshi(number json.Number) (int64, bool, error) {
	text := number.String()
	_, exponent, found := strings.Cut(strings.ToLower(text), "e")
	power := 0
	if found {
		var err error
		if power, err = strconv.Atoi(exponent); err != nil {
			power = numberExponentMax + 1
		}
	}
	rat, ok := new(big.Rat), false
	if len(text) <= numberLengthMax && power >= -numberExponentMax && power <= numberExponentMax && !strings.ContainsAny(text, "/_xXpP") {
		_, ok = rat.SetString(text)
	}
	if !ok || rat.Sign() < 0 {
		return 0, false, badAnswer("an amount %.40q", text)
	}
	rat.Mul(rat, big.NewRat(satoshiPerCoin, 1))
	whole, rest := new(big.Int).QuoRem(rat.Num(), rat.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return 0, false, badAnswer("an amount %.40q", text)
	}
	return whole.Int64(), rest.Sign() == 0, nil
}
