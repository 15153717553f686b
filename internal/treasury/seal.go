package treasury

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// plan is the record of how a bundle was built, as stored.
type plan struct {
	Fee          int64 `json:"fee"`
	FeeRate      int64 `json:"fee_rate"`
	Change       int64 `json:"change"`
	VirtualBytes int64 `json:"virtual_bytes"`
	PayloadBytes int   `json:"payload_bytes"`
	Inputs       int   `json:"inputs"`
}

// seal builds the payload of an approved intent, seals the bundle and reserves its coins. Until the records have it,
// nothing has left this function: a second try may choose other coins.
func (t *Treasury) seal(ctx context.Context, intent Intent) error {
	if err := errors.Join(t.refuseEnded(intent), t.refuseBehind()); err != nil {
		return err
	}
	list, err := t.Records.Approvals(ctx, intent.Serial)
	if err != nil {
		return err
	}
	roster, err := t.Roster()
	if err != nil {
		return fmt.Errorf("roster: %w", err)
	}
	// Somebody may have left the roster since; every signer would refuse the bundle, so it is not made.
	_, kept := t.counting(roster, intent, list)
	if _, checks := roster.Judge(intent.Intent, intent.Bytes, kept, t.rules.Need, t.Now()); !(spend.Verdict{Checks: checks}).Clean() {
		return refusals(checks)
	}
	packet, built, err := t.build(ctx, intent)
	if err != nil {
		return err
	}
	stripped, proofs := packet.Strip()
	sealed, err := bundle.Seal(bundle.Body{
		Intent: intent.Bytes, PayloadKind: bundle.PSBT, Payload: stripped, Proofs: proofs,
		Approvals: kept, Issuer: t.rules.Issuer, SealedAt: t.Now().Unix(),
	}, t.Sealer, t.Random)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	txid, err := chainhash.NewHashFromStr(packet.TxID())
	if err != nil {
		return fmt.Errorf("txid %s: %w", packet.TxID(), err)
	}
	written, err := json.Marshal(built.plan)
	if err != nil {
		return err
	}
	id := bundle.ID(intent.Bytes, stripped)
	err = t.Records.Seal(ctx, Sealing{
		Bundle: Bundle{ID: id, Serial: intent.Serial, Bytes: sealed, Payload: packet.Bytes(), Plan: written, TxID: *txid},
		Coins:  built.coins, HasChange: built.plan.Change > 0, ChangeIndex: built.change,
	})
	if err != nil {
		return err
	}
	t.Log.Info("bundle sealed", "topup", intent.Serial, "txid", packet.TxID(), "fee", built.plan.Fee, "inputs", len(built.coins), "bytes", len(sealed))
	return nil
}

// built is a payload's by-products.
type built struct {
	plan   plan
	coins  []wire.OutPoint
	change uint32
}

func (t *Treasury) build(ctx context.Context, intent Intent) (*bitcoin.Packet, built, error) {
	from, err := t.pinned(intent.From)
	if err != nil {
		return nil, built{}, err
	}
	to, err := t.pinned(intent.To)
	if err != nil {
		return nil, built{}, err
	}
	amount, ok := intent.Amount.Int64()
	if !ok {
		return nil, built{}, spend.Refuse("amount-too-large", "intent", "satoshi in 63 bits", intent.Amount.String(), "")
	}
	coins, err := t.Records.Spendable(ctx, from.ID(), t.rules.Confirmations)
	if err != nil {
		return nil, built{}, err
	}
	change, err := t.Records.Counter(ctx, from.ID(), uint32(wallet.ChangeBranch))
	if err != nil {
		return nil, built{}, err
	}
	height, _, err := t.Records.Tip(ctx)
	if err != nil {
		return nil, built{}, err
	}
	rate, err := t.Node.FeeRate(ctx, t.rules.FeeBlocks)
	if err != nil {
		return nil, built{}, fmt.Errorf("fee rate: %w", err)
	}
	request := bitcoin.Request{From: from, To: to, ToIndex: intent.ToIndex, Amount: amount, ChangeIndex: change.Next,
		FeeRate: rate, Height: height, Rand: t.Random}
	for _, c := range coins {
		request.Coins = append(request.Coins, bitcoin.Coin{Outpoint: c.Outpoint, Value: c.Value, Branch: wallet.Branch(c.Branch), Index: c.Index, PrevTx: c.PrevTx})
	}
	packet, made, err := bitcoin.Build(request)
	if err != nil {
		return nil, built{}, err
	}
	// What we ask keyholders to sign must pass the same proof that they will put it through.
	if _, err := bitcoin.Prove(packet, scopeOf(from, to, intent.Intent)); err != nil {
		return nil, built{}, fmt.Errorf("our own payload: %w", err)
	}
	out := built{plan{made.Fee, rate, made.Change, made.VirtualBytes, made.PayloadBytes, len(made.Inputs)}, nil, change.Next}
	for _, coin := range made.Inputs {
		out.coins = append(out.coins, coin.Outpoint)
	}
	return packet, out, nil
}

func scopeOf(from, to wallet.Wallet, intent spend.Intent) bitcoin.Scope {
	return bitcoin.Scope{From: from, To: to, ToIndex: intent.ToIndex, ToKnown: true, IndexMax: indexMax}
}

// sealedPacket reads a stored payload back, with what it is judged against.
func (t *Treasury) sealedPacket(ctx context.Context, b Bundle) (*bitcoin.Packet, bitcoin.Scope, Intent, error) {
	var scope bitcoin.Scope
	intent, err := t.Records.Intent(ctx, b.Serial)
	if err != nil {
		return nil, scope, intent, err
	}
	from, errFrom := t.pinned(intent.From)
	to, errTo := t.pinned(intent.To)
	packet, errRead := bitcoin.Read(b.Payload)
	if err := errors.Join(errFrom, errTo, errRead); err != nil {
		return nil, scope, intent, fmt.Errorf("stored bundle: %w", err)
	}
	return packet, scopeOf(from, to, intent.Intent), intent, nil
}
