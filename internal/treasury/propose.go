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
	roster, err := t.Roster()
	if err != nil {
		return View{}, fmt.Errorf("roster: %w", err)
	}
	if !t.mayPropose(roster, by.Name) {
		return View{}, spend.Refuse("proposer-unknown", "proposer", "a person on the roster who may act", by.Name, "an operator adds people with: exchanged roster set FILE")
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
			_, err = t.propose(ctx, tier, need, t.rules.Issuer)
		}
		if err != nil {
			t.needs = append(t.needs, fmt.Errorf("tier of %s: %w", tier.Wallet, err))
		}
	}
	return errors.Join(t.needs...)
}

// need is what a tier lacks.
type need struct {
	to, from wallet.Wallet
	balance  money.Amount // what the wallet will still have when everything reserved has left it
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
	n.balance = money.Sats(max(0, held.Total-held.Reserved))
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return n, err
	}
	for _, intent := range all {
		if intent.To != n.to.ID() {
			continue
		}
		n.before++
		if intent.State.Live() {
			n.live = intent.Serial
		}
	}
	return n, nil
}

// propose stores the intent. The request names how many top-ups the wallet had before, so that a daemon killed right
// after storing finds its own intent instead of making a second one.
func (t *Treasury) propose(ctx context.Context, tier Tier, n need, proposer string) (Intent, error) {
	if err := t.refuseBehind(); err != nil {
		return Intent{}, err
	}
	amount, err := tier.Target.Sub(n.balance)
	if err != nil || amount.IsZero() {
		return Intent{}, spend.Refuse("topup-not-needed", "wallet "+tier.Wallet, "a balance below the target of "+tier.Target.String(), n.balance.String(), "")
	}
	funds, err := t.Records.Balance(ctx, n.from.ID(), t.rules.Confirmations)
	if err != nil {
		return Intent{}, err
	}
	// Equal is not enough either: the fee comes on top.
	if spendable := money.Sats(funds.Spendable); spendable.Cmp(amount) <= 0 {
		return Intent{}, spend.Refuse("funds-insufficient", "wallet "+tier.From, "more than "+amount.String()+" spendable", spendable.String(), "move coins to "+tier.From+", or wait for confirmations")
	}
	now := t.Now().Unix()
	write := func(d Draft) (spend.Intent, []byte, error) {
		intent := spend.Intent{
			Network: t.rules.Network, Purpose: spend.TopUp, Serial: d.Serial, Issuer: t.rules.Issuer,
			From: n.from.ID(), To: n.to.ID(), ToIndex: d.ToIndex, Amount: amount, Proposer: proposer,
			CreatedAt: now, ExpiresAt: now + int64(t.rules.Lifetime.Seconds()),
		}
		raw, err := bundle.EncodeIntent(intent)
		return intent, raw, err
	}
	key := fmt.Sprintf("topup:%s:%d", n.to.ID(), n.before)
	intent, fresh, err := t.Records.Propose(ctx, key, n.to.ID(), write)
	if err != nil {
		return Intent{}, err
	}
	if fresh {
		t.Log.Info("top-up proposed", "topup", intent.Serial, "amount", amount.String(), "from", tier.From, "to", tier.Wallet, "index", intent.ToIndex, "proposer", proposer)
	}
	return intent, nil
}

func (t *Treasury) halted(ctx context.Context) error {
	halts, err := t.Records.Halts(ctx)
	if err != nil {
		return err
	}
	if len(halts) > 0 {
		return spend.Refuse("halted", "daemon", "no standing alarm", halts[0].Code+": "+halts[0].Text, "an operator looks into it, then: exchanged halt clear --reason TEXT")
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
