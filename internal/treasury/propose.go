package treasury

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Propose makes a top-up because a person asked. The amount and both wallets come from the configured tiers, the
// destination from the pinned wallet: the person chooses only which wallet, and may leave that out when one is watched.
func (t *Treasury) Propose(ctx context.Context, by Person, name string) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tier, err := t.tier(name)
	if err != nil {
		return View{}, err
	}
	if err := t.halted(ctx); err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "proposal-requested", request{by, 0, tier.Wallet}); err != nil {
		return View{}, err
	}
	need, err := t.need(ctx, tier)
	if err != nil {
		return View{}, err
	}
	if need.live != 0 {
		return View{}, spend.Refuse("topup-live", "wallet "+tier.Wallet, "no live top-up", fmt.Sprintf("top-up %d", need.live),
			fmt.Sprintf("look at it with: warmctl topup show %d", need.live))
	}
	intent, err := t.propose(ctx, tier, need, by.Name)
	if err != nil {
		return View{}, err
	}
	return t.view(ctx, intent)
}

// PlanTopUp says what a top-up of a watched wallet would take now, and proposes nothing.
func (t *Treasury) PlanTopUp(ctx context.Context, name string) (Plan, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tier, err := t.tier(name)
	if err != nil {
		return Plan{}, err
	}
	need, err := t.need(ctx, tier)
	if err != nil {
		return Plan{}, err
	}
	amount, err := t.lack(ctx, tier, need)
	if err != nil {
		return Plan{}, err
	}
	return t.planTopUp(ctx, need, amount)
}

// refuseStranger refuses somebody who may not set money in motion: whoever has no key on the roster that is valid now,
// in a role that acts.
func (t *Treasury) refuseStranger(by Person) error {
	roster, err := t.Roster()
	if err != nil {
		return fmt.Errorf("roster: %w", err)
	}
	if !t.mayPropose(roster, by.Name) {
		return spend.Refuse("proposer-unknown", "proposer", "a person on the roster who may act", by.Name, "an operator adds people with: exchanged roster set FILE")
	}
	return nil
}

// request is the detail of events that begin with a person.
type request struct {
	Person
	Serial uint64 `json:"serial,omitempty"`
	About  string `json:"about,omitempty"`
}

// tier finds the tier of a wallet; without a name, the only one.
func (t *Treasury) tier(name string) (Tier, error) {
	if name == "" && len(t.rules.Tiers) == 1 {
		return t.rules.Tiers[0], nil
	}
	for _, tier := range t.rules.Tiers {
		if tier.Wallet == name {
			return tier, nil
		}
	}
	return Tier{}, spend.Refuse("tier-unknown", "wallet", "one that a tier of the daemon's configuration names", fmt.Sprintf("%q", name), "see: warmctl status")
}

// watchTiers proposes a top-up for every watched wallet that is below its floor and has none under way.
func (t *Treasury) watchTiers(ctx context.Context) error {
	t.needs = nil
	for _, tier := range t.rules.Tiers {
		need, err := t.need(ctx, tier)
		if err == nil && need.live == 0 && need.balance.Cmp(tier.Floor) < 0 {
			err = t.proposeOnce(ctx, tier, need)
		}
		if err != nil {
			t.needs = append(t.needs, fmt.Errorf("tier of %s: %w", tier.Wallet, err))
		}
	}
	return errors.Join(t.needs...)
}

// proposeOnce proposes for the daemon itself. To plan costs time when a wallet has hundreds of coins, so what failed is
// tried again when a block has come or the balances have changed, and not at every step.
func (t *Treasury) proposeOnce(ctx context.Context, tier Tier, n need) error {
	height, _, err := t.Records.Tip(ctx)
	if err != nil {
		return err
	}
	amount, err := t.lack(ctx, tier, n)
	if err != nil {
		return err
	}
	if last := t.failed[tier.Wallet]; last.err != nil && last.height == height && last.funds == n.funds && last.amount == amount {
		return last.err
	}
	_, err = t.propose(ctx, tier, n, t.rules.Issuer)
	t.failed[tier.Wallet] = attempt{height, amount, n.funds, err}
	return err
}

// attempt is a proposal that the daemon could not make.
type attempt struct {
	height uint32
	amount money.Amount
	funds  Balance
	err    error
}

// need is what a tier lacks.
type need struct {
	to, from wallet.Wallet
	balance  money.Amount // what the wallet will still have when everything that is on its way out has left it
	funds    Balance      // of the wallet that it is filled from
	live     uint64       // serial of the top-up under way, 0 when there is none
	before   int          // how many top-ups the wallet had so far
}

func (t *Treasury) need(ctx context.Context, tier Tier) (n need, err error) {
	if n.to, err = t.named(tier.Wallet); err != nil {
		return n, err
	}
	if n.from, err = t.named(tier.From); err != nil {
		return n, err
	}
	held, err := t.Records.Balance(ctx, n.to.ID(), t.rules.Confirmations)
	if err != nil {
		return n, err
	}
	n.balance = money.Sats(max(0, held.Total-held.Leaving))
	if n.funds, err = t.Records.Balance(ctx, n.from.ID(), t.rules.Confirmations); err != nil {
		return n, err
	}
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return n, err
	}
	for _, intent := range all {
		if intent.To != n.to.ID() || intent.Stays() {
			continue
		}
		n.before++
		if intent.State.Live() {
			n.live = intent.Serial
		}
	}
	return n, nil
}

// lack returns how much a wallet needs to reach its target, or refuses when it needs nothing or cannot be given it.
func (t *Treasury) lack(ctx context.Context, tier Tier, n need) (money.Amount, error) {
	if err := t.refuseBehind(); err != nil {
		return money.Amount{}, err
	}
	amount, err := tier.Target.Sub(n.balance)
	if err != nil || amount.IsZero() {
		return money.Amount{}, spend.Refuse("topup-not-needed", "wallet "+tier.Wallet, "a balance below the target of "+tier.Target.String(), n.balance.String(), "nothing is to be done; see: warmctl status")
	}
	// Equal is not enough either: the fee comes on top.
	if spendable := money.Sats(n.funds.Spendable); spendable.Cmp(amount) <= 0 {
		return money.Amount{}, spend.Refuse("funds-insufficient", "wallet "+tier.From, "more than "+amount.String()+" spendable", spendable.String(), "move coins to "+tier.From+", or wait for confirmations")
	}
	return amount, nil
}

// planTopUp builds what an intent would ask for, and lets it go again.
func (t *Treasury) planTopUp(ctx context.Context, n need, amount money.Amount) (Plan, error) {
	next, err := t.Records.Counter(ctx, n.to.ID(), uint32(wallet.Receive))
	if err != nil {
		return Plan{}, err
	}
	sats, fits := amount.Int64()
	if !fits {
		return Plan{}, tooLarge(Intent{Intent: spend.Intent{Amount: amount}})
	}
	made, err := t.buildTopUp(ctx, order{from: n.from, to: n.to, toIndex: next.Next, amount: sats})
	return made.plan, err
}

// propose plans and stores the intent. The request names how many top-ups the wallet had before, so that a daemon killed
// right after storing finds its own intent instead of making a second one.
func (t *Treasury) propose(ctx context.Context, tier Tier, n need, proposer string) (Intent, error) {
	amount, err := t.lack(ctx, tier, n)
	if err != nil {
		return Intent{}, err
	}
	plan, err := t.planTopUp(ctx, n, amount)
	if err != nil {
		return Intent{}, err
	}
	p := Proposal{Request: fmt.Sprintf("topup:%s:%d", n.to.ID(), n.before), To: n.to.ID(), Plan: plan.encode()}
	intent, fresh, err := t.Records.Propose(ctx, p, t.writing(n.from, n.to, amount, proposer))
	if err != nil {
		return Intent{}, err
	}
	if fresh {
		t.Log.Info("top-up proposed", "topup", intent.Serial, "amount", amount.String(), "from", tier.From, "to", tier.Wallet, "index", intent.ToIndex, "proposer", proposer)
	}
	return intent, nil
}

// writing completes an intent when the records have given it its serial and index.
func (t *Treasury) writing(from, to wallet.Wallet, amount money.Amount, proposer string) func(Draft) (spend.Intent, []byte, error) {
	now := t.Now().Unix()
	return func(d Draft) (spend.Intent, []byte, error) {
		intent := spend.Intent{
			Network: t.rules.Network, Purpose: spend.TopUp, Serial: d.Serial, Issuer: t.rules.Issuer,
			From: from.ID(), To: to.ID(), ToIndex: d.ToIndex, Amount: amount, Proposer: proposer,
			CreatedAt: now, ExpiresAt: now + int64(t.rules.Lifetime.Seconds()),
		}
		raw, err := bundle.EncodeIntent(intent)
		return intent, raw, err
	}
}

func (t *Treasury) halted(ctx context.Context) error {
	halts, err := t.Records.Halts(ctx)
	if err != nil {
		return err
	}
	if len(halts) > 0 {
		return spend.Refuse("halted", "daemon", "no standing alarm", halts[0].Code+": "+halts[0].Text, "an operator looks into it, then: exchanged halt clear --by NAME --reason TEXT")
	}
	return nil
}

// refuseBehind refuses to decide on balances and coins that are not those of the chain's tip.
func (t *Treasury) refuseBehind() error {
	if err := t.Followed(); err != nil {
		return spend.Refuse("chain-not-followed", "daemon", "the chain followed to its tip", err.Error(), "look at: warmctl status")
	}
	return nil
}
