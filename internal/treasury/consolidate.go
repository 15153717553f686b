package treasury

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Consolidate proposes to merge the small coins of a pinned wallet into one at its own next index. Nothing leaves the
// wallet; it takes the same approvals, the same bundle and the same signatures as a top-up. below, unless it is zero,
// leaves larger coins alone.
func (t *Treasury) Consolidate(ctx context.Context, by Person, name string, below money.Amount) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w, err := t.named(name)
	if err != nil {
		return View{}, err
	}
	if err := errors.Join(t.halted(ctx), t.refuseBehind()); err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "consolidation-requested", request{by, 0, name}); err != nil {
		return View{}, err
	}
	before, err := t.mergesOf(ctx, w.ID())
	if err != nil {
		return View{}, err
	}
	made, err := t.merge(ctx, w, below)
	if err != nil {
		return View{}, err
	}
	p := Proposal{Request: fmt.Sprintf("consolidation:%s:%d", w.ID(), before), To: w.ID(), Plan: made.plan.encode(), Coins: made.coins}
	intent, fresh, err := t.Records.Propose(ctx, p, t.writing(w, w, money.Sats(made.plan.Amount), by.Name))
	if err != nil {
		return View{}, err
	}
	if fresh {
		t.Log.Info("consolidation proposed", "topup", intent.Serial, "wallet", name, "inputs", made.plan.Inputs, "fee", made.plan.Fee, "proposer", by.Name)
	}
	return t.view(ctx, intent)
}

// PlanConsolidation says what merging the small coins of a wallet would take now, and proposes nothing.
func (t *Treasury) PlanConsolidation(ctx context.Context, name string, below money.Amount) (Plan, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, err := t.named(name)
	if err != nil {
		return Plan{}, err
	}
	if err := t.refuseBehind(); err != nil {
		return Plan{}, err
	}
	made, err := t.merge(ctx, w, below)
	return made.plan, err
}

// mergesOf counts the consolidations that a wallet had, and refuses while one is under way.
func (t *Treasury) mergesOf(ctx context.Context, id spend.WalletID) (int, error) {
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, intent := range all {
		if intent.To != id || !intent.Merges() {
			continue
		}
		if n++; intent.State.Live() {
			return 0, spend.Refuse("topup-live", "wallet "+id.Short(), "no live consolidation", fmt.Sprintf("top-up %d", intent.Serial),
				fmt.Sprintf("look at it with: warmctl topup show %d", intent.Serial))
		}
	}
	return n, nil
}

// merge builds the largest consolidation that keeps to the caps, the smallest coins first. When the bundle gets too long
// for all of them it takes fewer, and the plan says how many bundles the rest will take.
func (t *Treasury) merge(ctx context.Context, w wallet.Wallet, below money.Amount) (built, error) {
	if err := t.refuseDeposits(w); err != nil {
		return built{}, err
	}
	rate, err := t.feeRate(ctx)
	if err != nil {
		return built{}, err
	}
	next, err := t.Records.Counter(ctx, w.ID(), uint32(wallet.Receive))
	if err != nil {
		return built{}, err
	}
	coins, err := t.spendable(ctx, w.ID())
	if err != nil {
		return built{}, err
	}
	if !below.IsZero() {
		coins = slices.DeleteFunc(coins, func(c bitcoin.Coin) bool { return money.Sats(c.Value).Cmp(below) >= 0 })
	}
	worth := bitcoin.Mergeable(w, coins, rate)
	const triesMax = 12
	n := min(len(worth), t.rules.InputsMax)
	for range triesMax {
		amount := bitcoin.MergeAmount(w, worth[:n], rate)
		if n < 2 || amount <= 0 {
			break
		}
		made, err := t.assemble(ctx, order{from: w, to: w, toIndex: next.Next, amount: amount, coins: worth[:n], all: true, rate: rate})
		if err == nil {
			made.plan.Bundles = (len(worth) + n - 1) / n
			return made, nil
		}
		if n == 2 || !tooLong(err) {
			return built{}, err
		}
		n = max(2, n*2/3)
	}
	return built{}, spend.Refuse("nothing-to-merge", "wallet "+w.Name(), "two coins or more that are worth their fee twice", fmt.Sprintf("%d of %d coins", len(worth), len(coins)),
		"wait for deposits or for lower fees")
}

// tooLong reports whether fewer coins would help.
func tooLong(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal) && slices.Contains([]string{"bytes-above-cap", "frames-above-cap", "psbt-too-large"}, refusal.Code)
}
