package treasury

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/spend"
)

// Cancel ends a top-up that was not signed. Signatures that keyholders gave cannot be taken back by a word: with fewer
// than the wallet needs nothing can move, and the coins stay reserved until nobody signs the bundle any more, but
// whoever cancels then must have said that they know (anyway).
func (t *Treasury) Cancel(ctx context.Context, by Person, serial uint64, reason string, anyway bool) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "cancellation-requested", request{by, serial, reason}); err != nil {
		return View{}, err
	}
	signed, err := t.signatures(ctx, intent)
	if err != nil {
		return View{}, err
	}
	if signed > 0 && !anyway && intent.State.Live() {
		return View{}, spend.Refuse("topup-has-signatures", fmt.Sprintf("top-up %d", serial), "no signature yet", fmt.Sprintf("signatures of %d keys", signed),
			"they cannot be taken back; its coins stay reserved until it expires; to cancel all the same: --accept-risk given-signatures")
	}
	if err := t.Records.Cancel(ctx, serial, by.Name, reason); err != nil {
		return View{}, err
	}
	delete(t.trouble, serial)
	t.Log.Warn("top-up cancelled", "topup", serial, "person", by.Name)
	if intent, err = t.Records.Intent(ctx, serial); err != nil {
		return View{}, err
	}
	return t.view(ctx, intent)
}

// signatures counts the keys that signed the live bundle of an intent.
func (t *Treasury) signatures(ctx context.Context, intent Intent) (int, error) {
	if intent.State == Proposed || intent.State == Approved {
		return 0, nil
	}
	live, err := t.Records.LiveBundle(ctx, intent.Serial)
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "bundle-unknown" {
		return 0, nil // it ended before it was sealed
	}
	if err != nil {
		return 0, err
	}
	answers, err := t.Records.Answers(ctx, live.ID)
	n := 0
	for _, a := range answers {
		if a.Refusal == "" {
			n++
		}
	}
	return n, err
}

// veto cancels a top-up because a keyholder has refused it under the seal of the receipt key, when it is of an amount
// for which one refusal is enough. Below that amount people see the refusal and decide.
func (t *Treasury) veto(ctx context.Context, intent Intent, key, code string) error {
	if t.rules.VetoAbove.IsZero() || intent.Amount.Cmp(t.rules.VetoAbove) < 0 || intent.State != Sealed {
		return nil
	}
	t.Log.Warn("top-up vetoed", "topup", intent.Serial, "key", key, "refusal", code)
	return t.Records.Cancel(ctx, intent.Serial, "key "+key, "veto: "+code)
}
