package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/treasury"
)

// reasonMax is the longest reason that goes into the events.
const reasonMax = 200

func (k desk) Plan(ctx context.Context, p admin.Planning) (admin.Plan, error) {
	plan, err := k.planned(ctx, p)
	if err != nil {
		return admin.Plan{}, err
	}
	return planOf(plan), nil
}

func (k desk) planned(ctx context.Context, p admin.Planning) (treasury.Plan, error) {
	switch p.Kind {
	case admin.KindConsolidation:
		below, err := amountIn("below", p.Below)
		if err != nil {
			return treasury.Plan{}, err
		}
		return k.d.treasury.PlanConsolidation(ctx, p.Wallet, below)
	case admin.KindPayment:
		payment, err := paymentIn(*p.Payment)
		if err != nil {
			return treasury.Plan{}, err
		}
		return k.d.treasury.PlanPayment(ctx, payment)
	case admin.KindChild:
		order, err := childIn(*p.Child)
		if err != nil {
			return treasury.Plan{}, err
		}
		return k.d.treasury.PlanChild(ctx, order)
	}
	return k.d.treasury.PlanTopUp(ctx, p.Wallet)
}

func (k desk) Pay(ctx context.Context, by admin.Actor, p admin.Paying) (admin.TopUp, error) {
	payment, err := paymentIn(p)
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOr(k.d.treasury.Pay(ctx, personOf(by), payment))
}

func (k desk) Bear(ctx context.Context, by admin.Actor, b admin.Bearing) (admin.TopUp, error) {
	order, err := childIn(b)
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOr(k.d.treasury.ProposeChild(ctx, personOf(by), order))
}

func (k desk) Entries(ctx context.Context, wallet string) ([]admin.Entry, error) {
	list, err := k.d.treasury.Entries(ctx, wallet)
	out := []admin.Entry{}
	for _, e := range list {
		out = append(out, admin.Entry{Name: e.Name, Address: e.Address})
	}
	return out, err
}

func paymentIn(p admin.Paying) (treasury.Payment, error) {
	amount, err := amountIn("amount", p.Amount)
	if err == nil && p.Amount == "" {
		err = admin.NewProblem(admin.Misused, "amount-malformed", "amount is missing; it is in BTC, such as 0.01")
	}
	return treasury.Payment{Wallet: p.Wallet, Entry: p.Entry, Amount: amount}, err
}

// childIn reads what a child is asked for: the stuck transaction is named by a top-up's number or by its own hash.
func childIn(b admin.Bearing) (o treasury.ChildOrder, err error) {
	if o.Rate, err = admin.ParseRate(b.FeeRate); err != nil {
		return o, admin.NewProblem(admin.Misused, "fee-rate-malformed", "a fee rate is a number of satoshi per virtual byte, such as 12.5")
	}
	if o.Output = -1; b.Output != "" {
		n, err := strconv.ParseUint(b.Output, 10, 31)
		if err != nil {
			return o, admin.NewProblem(admin.Misused, "output-malformed", "an output is a number from 0, its place in the transaction")
		}
		o.Output = int(n)
	}
	if len(b.Of) == 2*chainhash.HashSize {
		txid, err := chainhash.NewHashFromStr(b.Of)
		if err != nil {
			return o, admin.NewProblem(admin.Misused, "txid-malformed", "a transaction is named by 64 hexadecimal digits")
		}
		o.TxID = *txid
		return o, nil
	}
	o.Serial, err = serialOf(b.Of)
	return o, err
}

func (k desk) Consolidate(ctx context.Context, by admin.Actor, c admin.Consolidation) (admin.TopUp, error) {
	below, err := amountIn("below", c.Below)
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOr(k.d.treasury.Consolidate(ctx, personOf(by), c.Wallet, below))
}

func (k desk) Bump(ctx context.Context, by admin.Actor, id string, b admin.Bumping) (admin.TopUp, error) {
	serial, err := serialOf(id)
	if err != nil {
		return admin.TopUp{}, err
	}
	rate, err := admin.ParseRate(b.FeeRate)
	if err != nil {
		return admin.TopUp{}, admin.NewProblem(admin.Misused, "fee-rate-malformed", "a fee rate is a number of satoshi per virtual byte, such as 12.5")
	}
	return topUpOr(k.d.treasury.Bump(ctx, personOf(by), serial, rate))
}

func (k desk) Cancel(ctx context.Context, by admin.Actor, id string, c admin.Cancelling) (admin.TopUp, error) {
	serial, err := serialOf(id)
	if err != nil {
		return admin.TopUp{}, err
	}
	if reason := strings.TrimSpace(c.Reason); reason == "" || len(reason) > reasonMax {
		return admin.TopUp{}, admin.NewProblem(admin.Misused, "reason-malformed", fmt.Sprintf("a reason has 1 to %d characters", reasonMax))
	}
	for _, risk := range c.AcceptRisk {
		if risk != admin.GivenSignatures {
			return admin.TopUp{}, admin.NewProblem(admin.Misused, "risk-unknown", "the risk that can be accepted here is "+admin.GivenSignatures)
		}
	}
	return topUpOr(k.d.treasury.Cancel(ctx, personOf(by), serial, c.Reason, slices.Contains(c.AcceptRisk, admin.GivenSignatures)))
}

// amountIn reads an amount in BTC; empty text is none.
func amountIn(name, text string) (money.Amount, error) {
	if text == "" {
		return money.Amount{}, nil
	}
	amount, err := money.Parse(text, money.BTC)
	if err != nil || amount.IsZero() {
		return money.Amount{}, admin.NewProblem(admin.Misused, "amount-malformed", name+" is an amount in BTC above zero, such as 0.01")
	}
	return amount, nil
}
