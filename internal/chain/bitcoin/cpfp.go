package bitcoin

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// A transaction that pays too little is mined sooner when one that spends its output pays for both (child pays for
// parent): miners take the two, with every ancestor that no block has either, at the fee rate of all together. The child
// moves one output of ours back to its own wallet, so nothing leaves but its fee. Neither the parent's size nor its fee
// is anything that a signer sees, or has to: it judges the child alone, and the proof of the child's amount is the
// parent itself.

// What nodes take of transactions that rest on each other (Bitcoin Core's defaults; btcd has no limit of its own).
const (
	packageCountMax = 25      // transactions
	packageSizeMax  = 101_000 // virtual bytes
)

// Weight is what miners weigh of a transaction.
type Weight struct{ Fee, VirtualBytes int64 }

// Stuck is what a child pays for: a transaction, last, and before it every ancestor of it that no block has.
//
// An ancestor that pays well is mined by itself and lifts nobody else. So what counts is the poorest run that ends with
// the transaction: with the child, none of these runs may fall below the wanted rate.
type Stuck []Weight

// Rate is the fee rate at which miners take the transaction together with a child of that weight, in satoshi per 1000
// virtual bytes, rounded down. The zero Weight is no child.
func (s Stuck) Rate(child Weight) int64 {
	rate, run := int64(math.MaxInt64), child
	for _, w := range slices.Backward(s) {
		run.Fee, run.VirtualBytes = run.Fee+w.Fee, run.VirtualBytes+w.VirtualBytes
		rate = min(rate, run.Fee*1000/max(run.VirtualBytes, 1))
	}
	return rate
}

// lift is the fee of a child of that size at which all reach a rate.
func (s Stuck) lift(rate, size int64) int64 {
	most, run := int64(0), Weight{VirtualBytes: size}
	for _, w := range slices.Backward(s) {
		run.Fee, run.VirtualBytes = run.Fee+w.Fee, run.VirtualBytes+w.VirtualBytes
		most = max(most, (run.VirtualBytes*rate+999)/1000-run.Fee)
	}
	return most
}

// Total is the weight of all.
func (s Stuck) Total() (t Weight) {
	for _, w := range s {
		t.Fee, t.VirtualBytes = t.Fee+w.Fee, t.VirtualBytes+w.VirtualBytes
	}
	return t
}

// Weigh adds up transactions that no block has, whole and with witnesses, ancestors first. value gives the amount of an
// output that lies in a block; outputs of the transactions themselves are found here.
func Weigh(raws [][]byte, value func(wire.OutPoint) (int64, error)) (Stuck, error) {
	var s Stuck
	if len(raws) == 0 || len(raws) >= packageCountMax {
		return s, spend.Refuse("package-too-long", "stuck transactions", fmt.Sprintf("1 to %d that no block has", packageCountMax-1), fmt.Sprint(len(raws)),
			"wait until some of them are confirmed; nodes take no longer chain")
	}
	made := map[wire.OutPoint]int64{}
	for i, raw := range raws {
		t, err := readTransaction(raw, fmt.Sprintf("stuck transaction %d", i))
		if err != nil {
			return s, err
		}
		fee := int64(0)
		for _, in := range t.inputs {
			spent, ours := made[outpointOf(in.outpoint)]
			if !ours {
				if spent, err = value(outpointOf(in.outpoint)); err != nil {
					return s, err
				}
			}
			if spent < 0 || spent > satsMax {
				return s, senseless(t, "inputs of 0 to 21 million BTC", spent)
			}
			fee += spent
		}
		for n, o := range t.outputs {
			if o.value < 0 || o.value > satsMax {
				return s, senseless(t, "outputs of 0 to 21 million BTC", o.value)
			}
			made[wire.OutPoint{Hash: t.txid(), Index: uint32(n)}] = o.value
			fee -= o.value
		}
		if fee < 0 || fee > satsMax {
			return s, senseless(t, "a fee of 0 to 21 million BTC", fee)
		}
		s = append(s, Weight{fee, virtual(3*int64(len(t.stripped)) + int64(len(raw)))})
	}
	return s, nil
}

func senseless(t transaction, expected string, found int64) error {
	return spend.Refuse("package-senseless", "transaction "+displayTxID(t.txid()), expected, fmt.Sprintf("%d satoshi", found),
		"the operator finds out why the node tells such amounts")
}

// Cap is a limit on the fee of a child, under the name by which people know it.
type Cap struct {
	Name string
	Fee  int64 // satoshi; 0: not limited so
	Rate int64 // satoshi per 1000 vB of the child alone; 0: not limited so
}

// ChildRequest asks for a child.
type ChildRequest struct {
	Wallet wallet.Wallet // that the coin belongs to, and stays in
	Index  uint32        // receive index that it moves to
	Coin   Coin          // an output of the stuck transaction, which is its PrevTx
	Stuck  Stuck
	Rate   int64 // satoshi per 1000 vB that all are to reach together
	Floor  int64 // satoshi per 1000 vB that the child pays at least for itself
	Caps   []Cap // each holds
	Least  int64 // satoshi that must be left of the coin
	Height uint32
}

// ChildPlan says what a child pays, and what it could reach.
type ChildPlan struct {
	Fee          int64
	VirtualBytes int64 // of the child
	PackageRate  int64 // satoshi per 1000 vB of all together, rounded down
	HighestRate  int64 // that the caps allow
	HighestBy    string
}

// PlanChild works out the fee: that of all together at the wanted rate, less what is paid already. A rate that the stuck
// transactions reach by themselves is refused, and so is one beyond a cap, which says what can be reached.
func PlanChild(r ChildRequest) (ChildPlan, error) {
	if r.Wallet.Threshold() == 0 || len(r.Stuck) == 0 {
		return ChildPlan{}, errors.New("child without a wallet or a stuck transaction")
	}
	if r.Rate < 1 || r.Rate > feeRateMax || r.Floor < 0 || r.Floor > feeRateMax {
		return ChildPlan{}, spend.Refuse("fee-rate-range", "request", fmt.Sprintf("1 to %d satoshi per 1000 vB", feeRateMax), fmt.Sprint(r.Rate), fixRequest)
	}
	weight := r.weight()
	p := ChildPlan{VirtualBytes: virtual(weight)}
	size := r.Stuck.Total().VirtualBytes + p.VirtualBytes
	if len(r.Stuck) >= packageCountMax || size > packageSizeMax {
		return ChildPlan{}, spend.Refuse("package-too-long", "stuck transactions", fmt.Sprintf("with the child at most %d of %d vB", packageCountMax, packageSizeMax),
			fmt.Sprintf("%d of %d vB", len(r.Stuck)+1, size), "wait until some of them are confirmed; nodes take no longer chain")
	}
	if alone := r.Stuck.Rate(Weight{}); r.Rate <= alone {
		return ChildPlan{}, spend.Refuse("package-rate-reached", "fee", fmt.Sprintf("more than the %d satoshi per 1000 vB that are paid without a child", alone),
			fmt.Sprint(r.Rate), "ask for a higher rate, or wait: the transaction pays this by itself")
	}
	most := r.most(weight, &p)
	least := feeFor(weight, r.Floor)
	p.HighestRate = r.Stuck.Rate(Weight{max(most, 0), p.VirtualBytes})
	p.Fee = max(r.Stuck.lift(r.Rate, p.VirtualBytes), least)
	if p.Fee > most {
		reached := fmt.Sprintf("a package rate of at most %d satoshi per 1000 vB, with a fee of %s for the child", p.HighestRate, money.Sats(max(most, 0)))
		if most < least {
			reached = fmt.Sprintf("a child that may pay %d satoshi, which any has to; this one may pay %d: no package rate can be reached", least, max(most, 0))
		}
		return ChildPlan{}, spend.Refuse("package-rate-unreachable", "fee", reached+" (limit: "+p.HighestBy+")",
			fmt.Sprintf("%d satoshi per 1000 vB, for which the child pays %s", r.Rate, money.Sats(p.Fee)),
			"ask for the rate that can be reached, or have the limit that is named raised by those who keep it")
	}
	p.PackageRate = r.Stuck.Rate(Weight{p.Fee, p.VirtualBytes})
	return p, nil
}

// weight is that of the finished child: one coin in, one out.
func (r ChildRequest) weight() int64 {
	s := selector{m: r.Wallet.Threshold(), n: len(r.Wallet.Keys()), destination: wshOutputSize}
	return s.weightOf(1, false)
}

// most is the highest fee that every cap and the coin allow; the plan gets the name of the one that binds.
func (r ChildRequest) most(weight int64, p *ChildPlan) int64 {
	least := max(r.Least, dustFor(make([]byte, 34)))
	most := r.Coin.Value - least
	p.HighestBy = fmt.Sprintf("the coin of %s, of which %d satoshi must be left", money.Sats(max(r.Coin.Value, 0)), least)
	for _, c := range r.Caps {
		fee := int64(math.MaxInt64)
		if c.Fee > 0 {
			fee = c.Fee
		}
		if c.Rate > 0 && c.Rate <= feeRateMax {
			fee = min(fee, virtual(weight)*c.Rate/1000)
		}
		if fee < most {
			most, p.HighestBy = fee, c.Name
		}
	}
	return most
}

// BuildChild makes the child that moves amount of the coin; what is left is its fee. It has no change: whoever wants to
// pay yet more later gives the child a child.
func BuildChild(r ChildRequest, amount int64) (*Packet, Plan, error) {
	fee := r.Coin.Value - amount
	if amount < 1 || fee < 1 {
		return nil, Plan{}, spend.Refuse("amount-range", "coin "+r.Coin.Outpoint.String(), fmt.Sprintf("an amount below the coin of %d satoshi", r.Coin.Value),
			fmt.Sprint(amount), fixRequest)
	}
	request := Request{From: r.Wallet, To: r.Wallet, ToIndex: r.Index, Amount: amount, Height: r.Height}
	return request.assemble(choice{coins: []Coin{r.Coin}, fee: fee})
}
