package bitcoin

import (
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/spend"
)

// relayStep is the fee rate, in satoshi per 1000 virtual bytes, that a replacement must pay on top of what it replaces
// (BIP125, rule 4): nodes charge it for passing the same payment on once more.
const relayStep = 1000

// Bump builds the packet again with the fee rate given, so that it may replace the first one (BIP125). Coins, lock time
// and destination stay as they are, to the satoshi; only change shrinks, and when nothing useful is left of it, it goes.
// A rate that nodes would not take as a replacement is refused, and so is one that change cannot pay. In a scope without
// destination the packet pays somebody outside: its one external output is what stays.
func Bump(p *Packet, s Scope, rate int64) (*Packet, Plan, error) {
	found, err := prove(p, s)
	if err != nil {
		return nil, Plan{}, err
	}
	r := Request{From: s.From, To: s.To, ToIndex: s.ToIndex, FeeRate: rate, Height: p.tx.lockTime}
	picked := choice{}
	for i, in := range p.tx.inputs {
		previous, _ := p.inputs[i].value(inputPreviousTx)
		coin := found.inputs[i]
		picked.coins = append(picked.coins, Coin{Outpoint: outpointOf(in.outpoint), Value: coin.amount,
			Branch: coin.derived.Branch, Index: coin.derived.Index, PrevTx: previous})
		picked.change += coin.amount
	}
	for _, o := range found.facts.Outputs {
		sats, _ := o.Amount.Int64()
		switch {
		case o.Role == chain.Destination:
			r.Amount = sats
		case o.Role == chain.Change:
			r.ChangeIndex = o.Index
		case !s.ToKnown && r.Payee == nil:
			r.Amount, r.Payee = sats, p.tx.outputs[o.Position].script
		default:
			return nil, Plan{}, spend.Refuse("output-external", fmt.Sprintf("output %d", o.Position), "the destination or change", o.Address, fixRequest)
		}
	}
	selector := selector{m: s.From.Threshold(), n: len(s.From.Keys()), rate: rate, amount: r.Amount, destination: wshOutputSize}
	if r.Payee != nil {
		selector.destination = int64(len(appendOutput(nil, 0, r.Payee)))
	}
	if err := selector.raise(&picked, found.fee); err != nil {
		return nil, Plan{}, err
	}
	return r.assemble(picked)
}

// raise works out change and fee of a replacement. picked comes with all of its coins as change.
func (s selector) raise(picked *choice, paid int64) error {
	const where = "fee"
	left := picked.change - s.amount
	least := paid + feeFor(s.weightOf(len(picked.coins), true), relayStep)
	picked.fee = feeFor(s.weightOf(len(picked.coins), true), s.rate)
	if s.rate < 1 || s.rate > feeRateMax || picked.fee < least {
		return spend.Refuse("bump-too-low", where, fmt.Sprintf("at least %d satoshi in all, and a rate up to %d per 1000 vB", least, feeRateMax),
			fmt.Sprintf("%d satoshi at %d per 1000 vB", picked.fee, s.rate), "ask for a higher rate; nodes take no replacement that pays less")
	}
	if picked.change = left - picked.fee; picked.change >= s.changeLeast() {
		return nil
	}
	picked.change, picked.fee = 0, left
	if alone := feeFor(s.weightOf(len(picked.coins), false), s.rate); left < alone || left < least {
		return spend.Refuse("bump-beyond-change", where, fmt.Sprintf("at most %d satoshi, which is all that does not arrive", left),
			fmt.Sprintf("%d satoshi", max(alone, least)), "ask for a lower rate, or wait: the amount that was approved stays as it is")
	}
	return nil
}

func outpointOf(raw []byte) wire.OutPoint {
	return wire.OutPoint{Hash: [32]byte(raw[:32]), Index: binary.LittleEndian.Uint32(raw[32:])}
}
