package treasury

import (
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// order is what is to be built.
type order struct {
	from, to wallet.Wallet
	toIndex  uint32
	payee    []byte // script that is paid in the place of to
	amount   int64
	coins    []bitcoin.Coin // that may be spent
	all      bool           // each of them is to be spent
	rate     int64          // satoshi per 1000 vB; 0: what the node estimates
}

// built is a payload with its by-products.
type built struct {
	packet *bitcoin.Packet
	plan   Plan
	coins  []wire.OutPoint
	change uint32 // index of the change, if there is any
}

// assemble builds an order.
func (t *Treasury) assemble(ctx context.Context, o order) (built, error) {
	change, err := t.Records.Counter(ctx, o.from.ID(), uint32(wallet.ChangeBranch))
	if err != nil {
		return built{}, err
	}
	height, _, err := t.Records.Tip(ctx)
	if err != nil {
		return built{}, err
	}
	if o.rate == 0 {
		if o.rate, err = t.feeRate(ctx); err != nil {
			return built{}, err
		}
	}
	packet, made, err := bitcoin.Build(bitcoin.Request{From: o.from, To: o.to, ToIndex: o.toIndex, Payee: o.payee, Amount: o.amount, All: o.all,
		InputsMax: t.rules.InputsMax, ChangeIndex: change.Next, FeeRate: o.rate, Coins: o.coins, Height: height, Rand: t.Random})
	if err != nil {
		return built{}, err
	}
	out := built{packet: packet, plan: t.planOf(packet, made, o.amount, o.rate), change: change.Next}
	for _, coin := range made.Inputs {
		out.coins = append(out.coins, coin.Outpoint)
	}
	return out, t.refuseAbove(out.plan)
}

func (t *Treasury) feeRate(ctx context.Context) (int64, error) {
	rate, err := t.Node.FeeRate(ctx, t.rules.FeeBlocks)
	if err != nil {
		return 0, fmt.Errorf("fee rate: %w", err)
	}
	return rate, nil
}

// build builds the payload of an approved intent.
func (t *Treasury) build(ctx context.Context, intent Intent) (built, error) {
	from, to, err := t.sides(intent.Intent)
	if err != nil {
		return built{}, err
	}
	amount, fits := intent.Amount.Int64()
	if !fits {
		return built{}, tooLarge(intent)
	}
	o := order{from: from, to: to, toIndex: intent.ToIndex, amount: amount}
	switch {
	case intent.IsChild():
		return t.buildChild(ctx, intent, o)
	case intent.Pays():
		return t.buildPayment(ctx, intent, o)
	case !intent.Merges():
		return t.buildTopUp(ctx, o)
	}
	if o.coins, err = t.plannedCoins(ctx, intent); err != nil {
		return built{}, err
	}
	// The amount that people approved leaves room for one fee, that of the plan. If it has become too low by now, the
	// transaction takes longer, or its fee is raised.
	p, _ := planIn(intent.Plan)
	o.all, o.rate = true, p.FeeRate
	return t.assemble(ctx, o)
}

func tooLarge(intent Intent) error {
	return spend.Refuse("amount-too-large", fmt.Sprintf("top-up %d", intent.Serial), "satoshi in 63 bits", intent.Amount.String(), "cancel it and propose again")
}

// buildTopUp builds from coins that no consolidation was planned with, because it would have to be approved again
// without them; and from all when those do not suffice, because filling a wallet comes first.
func (t *Treasury) buildTopUp(ctx context.Context, o order) (built, error) {
	all, err := t.spendable(ctx, o.from.ID())
	if err != nil {
		return built{}, err
	}
	taken, err := t.plannedElsewhere(ctx, o.from.ID())
	if err != nil {
		return built{}, err
	}
	o.coins = slices.DeleteFunc(slices.Clone(all), func(c bitcoin.Coin) bool { return taken[c.Outpoint] })
	out, err := t.assemble(ctx, o)
	if err != nil && len(o.coins) < len(all) {
		o.coins = all
		out, err = t.assemble(ctx, o)
	}
	return out, err
}

// spendable returns the coins of a wallet that may be spent now.
func (t *Treasury) spendable(ctx context.Context, id spend.WalletID) ([]bitcoin.Coin, error) {
	coins, err := t.Records.Spendable(ctx, id, t.rules.Confirmations)
	if err != nil {
		return nil, err
	}
	out := make([]bitcoin.Coin, len(coins))
	for i, c := range coins {
		out[i] = bitcoin.Coin{Outpoint: c.Outpoint, Value: c.Value, Branch: wallet.Branch(c.Branch), Index: c.Index, PrevTx: c.PrevTx}
	}
	return out, nil
}

// plannedCoins returns the coins that a consolidation was planned with. People approved its amount, which follows from
// them, so no others can stand for one that is gone.
func (t *Treasury) plannedCoins(ctx context.Context, intent Intent) ([]bitcoin.Coin, error) {
	planned, err := t.Records.Planned(ctx, intent.Serial)
	if err != nil {
		return nil, err
	}
	all, err := t.spendable(ctx, intent.From)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(c bitcoin.Coin) bool { return !slices.Contains(planned, c.Outpoint) })
	if len(out) < len(planned) {
		return nil, spend.Refuse("planned-coins-gone", fmt.Sprintf("top-up %d", intent.Serial), fmt.Sprintf("the %d coins that it was planned with", len(planned)),
			fmt.Sprintf("%d of them; a top-up holds or spent the others", len(out)),
			fmt.Sprintf("warmctl topup cancel %d, then warmctl consolidation propose again", intent.Serial))
	}
	return out, nil
}

// plannedElsewhere returns the coins of a wallet that live consolidations and children were planned with.
func (t *Treasury) plannedElsewhere(ctx context.Context, id spend.WalletID) (map[wire.OutPoint]bool, error) {
	waiting, err := t.Records.Intents(ctx, Proposed, Approved)
	if err != nil {
		return nil, err
	}
	out := map[wire.OutPoint]bool{}
	for _, intent := range waiting {
		if intent.From != id || !intent.Stays() {
			continue
		}
		planned, err := t.Records.Planned(ctx, intent.Serial)
		if err != nil {
			return nil, err
		}
		for _, coin := range planned {
			out[coin] = true
		}
	}
	return out, nil
}
