package treasury

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/money"
)

// View is one top-up with everything known about it.
type View struct {
	Intent        Intent
	From, To      string // names of the wallets; To is the entry of a payment
	Need          int
	Approvers     []approvals.Approver // those who count now
	Threshold     int                  // signatures that the spending wallet needs
	KeyNames      []string             // of the spending wallet, by position
	Bundle        *Bundle              // nil until sealed
	Answers       []Answer
	Plan          *Plan        // of the live bundle, before that as it was planned; nil when nobody knows
	Fee           money.Amount // zero until sealed
	Replaced      int          // bundles that the live one stands for
	TxID          string       // empty until there is a final transaction
	Confirmations uint32
	Waiting       string // what it waits for
	Ended         string // why it was cancelled
}

// Look returns one top-up.
func (t *Treasury) Look(ctx context.Context, serial uint64) (View, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil {
		return View{}, err
	}
	return t.view(ctx, intent)
}

// List returns every top-up, newest first.
func (t *Treasury) List(ctx context.Context) ([]View, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Intent) int { return int(int64(b.Serial) - int64(a.Serial)) })
	out := make([]View, 0, len(all))
	for _, intent := range all {
		v, err := t.view(ctx, intent)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Sealed returns the sealed bytes of a top-up's bundle.
func (t *Treasury) Sealed(ctx context.Context, serial uint64) ([]byte, error) {
	b, err := t.Records.LiveBundle(ctx, serial)
	return b.Bytes, err
}

func (t *Treasury) view(ctx context.Context, intent Intent) (View, error) {
	from, to, err := t.sides(intent.Intent)
	if err != nil {
		return View{}, err
	}
	v := View{Intent: intent, From: from.Name(), To: to.Name(), Need: t.rules.Need, Threshold: from.Threshold()}
	if intent.Pays() {
		v.To = intent.Entry
	}
	for _, key := range from.Keys() {
		v.KeyNames = append(v.KeyNames, key.Name)
	}
	list, err := t.Records.Approvals(ctx, intent.Serial)
	if err != nil {
		return View{}, err
	}
	roster, err := t.Roster()
	if err != nil {
		return View{}, fmt.Errorf("roster: %w", err)
	}
	v.Approvers = t.count(roster, intent, list)
	if p, ok := planIn(intent.Plan); ok {
		v.Plan = &p
	}
	if err := t.viewBundle(ctx, &v); err != nil {
		return View{}, err
	}
	v.Waiting = t.waiting(v)
	if intent.State == Cancelled {
		v.Ended, err = t.Records.Reason(ctx, intent.Serial)
	}
	return v, err
}

func (t *Treasury) viewBundle(ctx context.Context, v *View) error {
	tx, known, err := t.Records.Transaction(ctx, v.Intent.Serial)
	if err != nil {
		return err
	}
	if known {
		v.TxID = tx.TxID.String()
		if v.Confirmations, err = t.Records.Confirmations(ctx, tx.TxID); err != nil {
			return err
		}
	}
	if v.Intent.State == Proposed || v.Intent.State == Approved {
		return nil
	}
	b, err := t.Records.LiveBundle(ctx, v.Intent.Serial)
	if err != nil {
		return nil // it ended before it was sealed
	}
	v.Bundle = &b
	if p, ok := planIn(b.Plan); ok {
		v.Plan, v.Fee = &p, p.FeeAmount()
	}
	lineage, err := t.Records.Lineage(ctx, b.Serial)
	if err != nil {
		return err
	}
	v.Replaced = len(lineage) - 1
	v.Answers, err = t.Records.Answers(ctx, b.ID)
	return err
}

// Replacing reports whether the live bundle is to take the place of a transaction that is under way.
func (v View) Replacing() bool {
	return v.Bundle != nil && v.TxID != "" && v.TxID != v.Bundle.TxID.String() && v.Confirmations == 0
}

// Refusals lists who refused the live bundle and why, in the order of the keys.
func (v View) Refusals() []string {
	var out []string
	for _, a := range v.Answers {
		if a.Refusal != "" && a.Position < len(v.KeyNames) {
			out = append(out, "key "+v.KeyNames[a.Position]+": "+a.Refusal)
		}
	}
	return out
}

// answered says how far a bundle is signed. A keyholder's refusal comes first: it is the news that people must act on.
func (v View) answered() string {
	refused := v.Refusals()
	text := fmt.Sprintf("%d of %d signatures", len(v.Answers)-len(refused), v.Threshold)
	if len(refused) > 0 {
		text = fmt.Sprintf("a decision: refused by %d of %d keys (%s); ask them, then cancel it or wait for others; %s", len(refused), len(v.KeyNames),
			strings.Join(refused, ", "), text)
	}
	return text
}

// waiting says in a sentence what a top-up waits for.
func (t *Treasury) waiting(v View) string {
	if err := t.trouble[v.Intent.Serial]; err != nil && v.Intent.State.Live() {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if v.Replacing() && v.Intent.State.Live() {
		return v.answered() + " to the replacement; transaction " + v.TxID + " is under way until then"
	}
	switch v.Intent.State {
	case Proposed:
		return fmt.Sprintf("%d of %d approvals by different people; the proposer's own does not count", len(v.Approvers), v.Need)
	case Approved:
		return "the bundle to be built"
	case Sealed:
		return v.answered()
	case Signed:
		return "the node to take the transaction"
	case Broadcast:
		return fmt.Sprintf("%d of %d confirmations", v.Confirmations, t.rules.Confirmations)
	}
	return ""
}

// Holding is a registered wallet and what it holds.
type Holding struct {
	ID, Name, Tier, Words     string
	Threshold, Keys, Unproven int // Unproven: keys that nobody proved to hold
	Balance                   Balance
}

// Holdings returns the registered wallets by name.
func (t *Treasury) Holdings(ctx context.Context) ([]Holding, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Holding
	for _, w := range t.sorted() {
		held, err := t.Records.Balance(ctx, w.ID(), t.rules.Confirmations)
		if err != nil {
			return nil, err
		}
		out = append(out, Holding{w.ID().String(), w.Name(), string(w.Tier()), w.Words(), w.Threshold(), len(w.Keys()), len(w.Unproven()), held})
	}
	return out, nil
}

// TierView is a watched wallet as it stands.
type TierView struct {
	Tier
	Balance money.Amount
	Live    uint64 // serial of the top-up under way, 0 when there is none
}

// Overview returns the watched wallets, and in sentences what stands in the way of the work.
func (t *Treasury) Overview(ctx context.Context) (tiers []TierView, trouble []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	halts, err := t.Records.Halts(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range halts {
		trouble = append(trouble, "halted by "+h.Code+": "+h.Text)
	}
	for _, tier := range t.rules.Tiers {
		n, err := t.need(ctx, tier)
		if err != nil {
			trouble = append(trouble, fmt.Sprintf("tier of %s: %s", tier.Wallet, err))
			continue
		}
		tiers = append(tiers, TierView{tier, n.balance, n.live})
	}
	for _, err := range t.needs {
		if text := err.Error(); !slices.Contains(trouble, text) {
			trouble = append(trouble, text)
		}
	}
	return tiers, trouble, nil
}
