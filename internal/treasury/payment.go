package treasury

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Payment asks to pay an entry of the address book. The address comes from the book that keyholders signed; nobody types
// one.
type Payment struct {
	Wallet, Entry string
	Amount        money.Amount
}

// Pay proposes a payment out of a pinned wallet to an entry of the address book.
func (t *Treasury) Pay(ctx context.Context, by Person, p Payment) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.halted(ctx); err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "payment-requested", request{by, 0, fmt.Sprintf("%s to %s out of %s", p.Amount, p.Entry, p.Wallet)}); err != nil {
		return View{}, err
	}
	from, made, err := t.planPayment(ctx, p)
	if err != nil {
		return View{}, err
	}
	before, err := t.paymentsBefore(ctx, from.ID(), p)
	if err != nil {
		return View{}, err
	}
	stored := Proposal{Request: fmt.Sprintf("payment:%s:%s:%d", from.ID(), p.Entry, before), Plan: made.plan.encode()}
	intent, fresh, err := t.Records.Propose(ctx, stored, t.writingPayment(from, p, by.Name))
	if err != nil {
		return View{}, err
	}
	if fresh {
		t.Log.Info("payment proposed", "topup", intent.Serial, "amount", p.Amount.String(), "from", p.Wallet, "entry", p.Entry, "proposer", by.Name)
	}
	return t.view(ctx, intent)
}

// PlanPayment says what a payment would take now, and proposes nothing.
func (t *Treasury) PlanPayment(ctx context.Context, p Payment) (Plan, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, made, err := t.planPayment(ctx, p)
	return made.plan, err
}

func (t *Treasury) planPayment(ctx context.Context, p Payment) (from wallet.Wallet, made built, err error) {
	if err := t.refuseBehind(); err != nil {
		return from, made, err
	}
	if from, err = t.named(p.Wallet); err != nil {
		return from, made, err
	}
	entry, script, err := t.entry(ctx, from, p.Entry)
	if err != nil {
		return from, made, err
	}
	sats, fits := p.Amount.Int64()
	if !fits {
		return from, made, tooLarge(Intent{Intent: spend.Intent{Amount: p.Amount}})
	}
	made, err = t.buildTopUp(ctx, order{from: from, payee: script, amount: sats})
	made.plan.Address = entry.Address
	return from, made, err
}

// entry finds an entry and the script of its address, which must lie outside every wallet of ours: those are paid by
// top-ups, to an address that is derived.
func (t *Treasury) entry(ctx context.Context, from wallet.Wallet, name string) (policy.Entry, []byte, error) {
	book, err := t.book(from)
	if err != nil {
		return policy.Entry{}, nil, err
	}
	entry, known := book.Entry(name)
	if !known {
		return entry, nil, spend.Refuse("book-entry-unknown", "address book", "the name of an entry", fmt.Sprintf("%.40q", name),
			"see which there are: warmctl payment entries; keyholders add others and sign the book again")
	}
	script, err := bitcoin.AddressScript(t.rules.Network, entry.Address)
	if err != nil {
		return entry, nil, fmt.Errorf("entry %s: %w", name, err)
	}
	if t.Customers != nil {
		whose, err := t.Customers.Whose(ctx, script)
		if err != nil {
			return entry, nil, err
		}
		if whose != "" {
			return entry, nil, spend.Refuse("book-entry-customer", "entry "+name, "an address outside our wallets", whose+": the house's money would be credited there",
				"the keyholders take the entry out of the book; what the house owes a customer: exchanged account adjust")
		}
	}
	if owner, ours, err := t.Records.Owner(ctx, script); err != nil || ours {
		if err != nil {
			return entry, nil, err
		}
		return entry, nil, spend.Refuse("book-entry-ours", "entry "+name, "an address outside every pinned wallet", "one of wallet "+owner.Wallet.Short(),
			"the keyholders take the entry out of the book; wallets of ours are paid by top-ups")
	}
	return entry, script, nil
}

// paymentsBefore counts the payments that an entry had out of a wallet. The same payment twice at once is somebody's
// second click more often than it is meant.
func (t *Treasury) paymentsBefore(ctx context.Context, from spend.WalletID, p Payment) (int, error) {
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, intent := range all {
		if !intent.Pays() || intent.From != from || intent.Entry != p.Entry {
			continue
		}
		n++
		unsent := intent.State.Live() && intent.State != Broadcast
		if unsent && intent.Amount == p.Amount {
			return 0, spend.Refuse("payment-live", "entry "+p.Entry, "no payment of the same amount that is not sent yet", fmt.Sprintf("top-up %d", intent.Serial),
				fmt.Sprintf("look at it with: warmctl topup show %d; if a second one is meant, propose it when the first is sent", intent.Serial))
		}
	}
	return n, nil
}

func (t *Treasury) writingPayment(from wallet.Wallet, p Payment, proposer string) func(Draft) (spend.Intent, []byte, error) {
	now := t.Now().Unix()
	return func(d Draft) (spend.Intent, []byte, error) {
		intent := spend.Intent{
			Network: t.rules.Network, Purpose: spend.Payment, Serial: d.Serial, Issuer: t.rules.Issuer, From: from.ID(), Entry: p.Entry,
			Amount: p.Amount, Proposer: proposer, CreatedAt: now, ExpiresAt: now + int64(t.rules.Lifetime.Seconds()),
		}
		raw, err := bundle.EncodeIntent(intent)
		return intent, raw, err
	}
}

// buildPayment builds an approved payment. Should the entry have another address by now, people approved something else.
func (t *Treasury) buildPayment(ctx context.Context, intent Intent, o order) (built, error) {
	entry, script, err := t.entry(ctx, o.from, intent.Entry)
	if err != nil {
		return built{}, err
	}
	planned, ok := planIn(intent.Plan)
	if !ok {
		return built{}, errors.New("the payment has no plan in the records")
	}
	if planned.Address != entry.Address {
		return built{}, spend.Refuse("book-changed", "entry "+intent.Entry, "the address that it had when the payment was proposed, "+planned.Address, entry.Address,
			fmt.Sprintf("find out who changed the book; then warmctl topup cancel %d, and propose the payment again", intent.Serial))
	}
	o.payee = script
	made, err := t.buildTopUp(ctx, o)
	made.plan.Address = entry.Address
	return made, err
}

// Entries returns the address book as the daemon has it, on behalf of a wallet whose keyholders signed it.
func (t *Treasury) Entries(_ context.Context, name string) ([]policy.Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from, err := t.named(name)
	if err != nil {
		return nil, err
	}
	book, err := t.book(from)
	return book.Entries(), err
}
