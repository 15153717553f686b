package treasury

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// seal builds the payload of an approved intent, seals the bundle and reserves its coins. Until the records have it,
// nothing has left this function: a second try may choose other coins.
func (t *Treasury) seal(ctx context.Context, intent Intent) error {
	if err := errors.Join(t.refuseEnded(intent), t.refuseBehind()); err != nil {
		return err
	}
	kept, err := t.approved(ctx, intent)
	if err != nil {
		return err
	}
	made, err := t.build(ctx, intent)
	if err != nil {
		return err
	}
	return t.sealUp(ctx, intent, made, kept, nil)
}

// approved returns the approvals that go into a bundle. Somebody may have left the roster since; every signer would
// refuse the bundle then, so it is not made.
func (t *Treasury) approved(ctx context.Context, intent Intent) ([][]byte, error) {
	list, err := t.Records.Approvals(ctx, intent.Serial)
	if err != nil {
		return nil, err
	}
	roster, err := t.Roster()
	if err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	_, kept := t.counting(roster, intent, list)
	if _, checks := roster.Judge(intent.Intent, intent.Bytes, kept, t.rules.Need, t.Now()); !(spend.Verdict{Checks: checks}).Clean() {
		return nil, refusals(checks)
	}
	return kept, nil
}

// sealUp seals a payload for an intent and stores the bundle, in the place of another one if replaced is given. A
// replacement names the first bundle of its intent, whichever it takes the place of: signers who signed only some of
// them know that one.
func (t *Treasury) sealUp(ctx context.Context, intent Intent, made built, approvals [][]byte, replaced *Bundle) error {
	from, to, err := t.sides(intent.Intent)
	if err != nil {
		return err
	}
	// What we ask keyholders to sign must pass the same proof that they will put it through.
	if _, err = bitcoin.Prove(made.packet, scopeOf(from, to, intent.Intent)); err != nil {
		return fmt.Errorf("our own payload: %w", err)
	}
	stripped, proofs := made.packet.Strip()
	body := bundle.Body{Intent: intent.Bytes, PayloadKind: bundle.PSBT, Payload: stripped, Proofs: proofs, Approvals: approvals,
		Issuer: t.rules.Issuer, SealedAt: t.Now().Unix()}
	if body.Counters, err = t.receipts(ctx, intent.From); err != nil {
		return err
	}
	sealing := Sealing{Coins: made.coins, HasChange: made.plan.Change > 0 && replaced == nil, ChangeIndex: made.change}
	if replaced != nil {
		lineage, err := t.Records.Lineage(ctx, intent.Serial)
		if err != nil {
			return err
		}
		body.Replaces, sealing.Replaces = lineage[0], &replaced.ID
	}
	sealed, err := bundle.Seal(body, t.Sealer, t.Random)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	txid, err := chainhash.NewHashFromStr(made.packet.TxID())
	if err != nil {
		return fmt.Errorf("txid %s: %w", made.packet.TxID(), err)
	}
	sealing.Bundle = Bundle{ID: bundle.ID(intent.Bytes, stripped), Serial: intent.Serial, Bytes: sealed, Payload: stripped,
		Plan: made.plan.sealedAs(sealed).encode(), TxID: *txid}
	if err := t.Records.Seal(ctx, sealing); err != nil {
		return err
	}
	t.Log.Info("bundle sealed", "topup", intent.Serial, "txid", made.packet.TxID(), "fee", made.plan.Fee, "inputs", len(made.coins), "bytes", len(sealed))
	return nil
}

// receipts says which receipts of a wallet's keys we have seen. A signer who knows fewer of its own was restored from an
// older copy, and notices it by this list alone.
func (t *Treasury) receipts(ctx context.Context, id spend.WalletID) ([]bundle.Counter, error) {
	seen, err := t.Records.Receipts(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	var out []bundle.Counter
	for _, position := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, bundle.Counter{Position: position, Counter: seen[position]})
	}
	return out, nil
}

// sides finds the pinned wallets that an intent names. A payment names one: whom it pays is in the address book.
func (t *Treasury) sides(intent spend.Intent) (from, to wallet.Wallet, err error) {
	from, err = t.pinned(intent.From)
	if err == nil && intent.Purpose != spend.Payment {
		to, err = t.pinned(intent.To)
	}
	return from, to, err
}

func scopeOf(from, to wallet.Wallet, intent spend.Intent) bitcoin.Scope {
	if intent.Purpose == spend.Payment {
		return bitcoin.Scope{From: from, IndexMax: indexMax}
	}
	return bitcoin.Scope{From: from, To: to, ToIndex: intent.ToIndex, ToKnown: true, IndexMax: indexMax}
}

// ownSeal knows one issuer: ourselves.
type ownSeal struct {
	name string
	key  ssh.PublicKey
}

func (o ownSeal) Issuer(name string) (ssh.PublicKey, bool) { return o.key, name == o.name }

// sealedPacket reads the payload of a stored bundle back, with what it is judged against. It is read out of the sealed
// bytes, so our own seal says that the records are as we left them.
func (t *Treasury) sealedPacket(ctx context.Context, b Bundle) (*bitcoin.Packet, bitcoin.Scope, Intent, error) {
	var scope bitcoin.Scope
	intent, err := t.Records.Intent(ctx, b.Serial)
	if err != nil {
		return nil, scope, intent, err
	}
	from, to, errSides := t.sides(intent.Intent)
	opened, errOpen := bundle.Open(b.Bytes, ownSeal{t.rules.Issuer, t.Sealer.PublicKey()}, time.Unix(b.SealedAt, 0))
	if err := errors.Join(errSides, errOpen); err != nil {
		return nil, scope, intent, fmt.Errorf("stored bundle: %w", err)
	}
	packet, err := bitcoin.Join(opened.Payload, opened.Proofs)
	if err != nil {
		return nil, scope, intent, fmt.Errorf("stored bundle: %w", err)
	}
	return packet, scopeOf(from, to, intent.Intent), intent, nil
}
