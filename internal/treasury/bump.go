package treasury

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
)

// Bump replaces the bundle of a top-up by one that pays a higher fee rate, in satoshi per 1000 virtual bytes (BIP125).
//
// It needs no new approval: people approved the intent, which is the same to the last byte, and the fee was never part
// of it; each signer holds it against the limits of its own policy, as it did the first time. So one person may ask for
// it, while the approvals live. Coins, destination and amount stay (attack 116); the payload is another, and with it
// the words that are read aloud.
func (t *Treasury) Bump(ctx context.Context, by Person, serial uint64, rate int64) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil {
		return View{}, err
	}
	if err := t.mayBump(ctx, intent, rate); err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "bump-requested", request{by, serial, fmt.Sprintf("%d satoshi per 1000 vB", rate)}); err != nil {
		return View{}, err
	}
	live, err := t.Records.LiveBundle(ctx, serial)
	if err != nil {
		return View{}, err
	}
	packet, scope, _, err := t.sealedPacket(ctx, live)
	if err != nil {
		return View{}, err
	}
	raised, plan, err := bitcoin.Bump(packet, scope, rate)
	if err != nil {
		return View{}, err
	}
	kept, err := t.approved(ctx, intent)
	if err != nil {
		return View{}, err
	}
	amount, fits := intent.Amount.Int64()
	if !fits {
		return View{}, tooLarge(intent)
	}
	made := built{packet: raised, plan: t.planOf(raised, plan, amount, rate)}
	for _, coin := range plan.Inputs {
		made.coins = append(made.coins, coin.Outpoint)
	}
	if err := t.refuseAbove(made.plan); err != nil {
		return View{}, err
	}
	if err := t.sealUp(ctx, intent, made, kept, &live); err != nil {
		return View{}, err
	}
	return t.view(ctx, intent)
}

// refuseOrphans refuses to replace a transaction that a child pays for already: both would be dropped, and nodes ask a
// replacement to pay more than the two together.
func (t *Treasury) refuseOrphans(ctx context.Context, intent Intent, tx Transaction) error {
	under, err := t.Records.Intents(ctx, Signed, Broadcast)
	if err != nil {
		return err
	}
	for _, child := range under {
		if child.IsChild() && child.Parent == tx.TxID {
			return spend.Refuse("bump-has-child", fmt.Sprintf("top-up %d", intent.Serial), "a transaction that no child pays for", fmt.Sprintf("top-up %d, which does", child.Serial),
				fmt.Sprintf("to pay more, give the child a child: warmctl child propose --of %d --fee-rate RATE", child.Serial))
		}
	}
	return nil
}

// mayBump refuses what cannot be replaced any more, or not yet.
func (t *Treasury) mayBump(ctx context.Context, intent Intent, rate int64) error {
	where := fmt.Sprintf("top-up %d", intent.Serial)
	switch intent.State {
	case Sealed, Signed, Broadcast:
	default:
		return spend.Refuse("bump-not-possible", where, "a bundle whose transaction no block has", "state "+string(intent.State), fmt.Sprintf("warmctl topup show %d", intent.Serial))
	}
	tx, known, err := t.Records.Transaction(ctx, intent.Serial)
	if err != nil {
		return err
	}
	if known && tx.Height > 0 {
		return spend.Refuse("bump-not-possible", where, "a transaction that no block has", fmt.Sprintf("one in block %d", tx.Height), "nothing is to be done")
	}
	if err := t.refuseOrphans(ctx, intent, tx); err != nil {
		return err
	}
	if rate > t.rules.FeeRateMax {
		return spend.Refuse("fee-rate-range", "fee", fmt.Sprintf("at most %d satoshi per 1000 vB", t.rules.FeeRateMax), fmt.Sprint(rate),
			"ask for a lower rate; an operator sets the cap under fee in the configuration")
	}
	return errors.Join(t.halted(ctx), t.refuseBehind(), t.refuseEnded(intent))
}
