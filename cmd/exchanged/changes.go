package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/treasury"
)

// reasonMax is the longest reason that goes into the events.
const reasonMax = 200

func (k desk) Plan(ctx context.Context, p admin.Planning) (admin.Plan, error) {
	plan, err := treasury.Plan{}, error(nil)
	if p.Kind == admin.KindConsolidation {
		var below money.Amount
		if below, err = amountIn("below", p.Below); err == nil {
			plan, err = k.d.treasury.PlanConsolidation(ctx, p.Wallet, below)
		}
	} else {
		plan, err = k.d.treasury.PlanTopUp(ctx, p.Wallet)
	}
	if err != nil {
		return admin.Plan{}, err
	}
	return planOf(plan), nil
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
