package treasury

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
)

// Returned takes a plain PSBT that another wallet has signed: a cosigner whose device knows no bundles. The transaction
// says which bundle it belongs to; nothing but signatures is taken from it. Such a device gives no receipt, so the answer
// is recorded without one, at the position of its key. A key that has a receipt key answers with a receipt or not at
// all: a signature of it that arrives bare has gone around the ledger of its signer.
func (t *Treasury) Returned(ctx context.Context, by Person, raw []byte) (View, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	back, err := bitcoin.ReadAny(raw)
	if err != nil {
		return View{}, false, err
	}
	txid, err := chainhash.NewHashFromStr(back.TxID())
	if err != nil {
		return View{}, false, err
	}
	sealed, err := t.Records.BundleOf(ctx, *txid)
	if err != nil {
		return View{}, false, err
	}
	if err := t.Records.Note(ctx, "answer-presented", request{by, sealed.Serial, "a plain PSBT"}); err != nil {
		return View{}, false, err
	}
	fresh, err := t.keepBare(ctx, sealed, back)
	if err != nil {
		return View{}, false, err
	}
	return t.afterAnswer(ctx, sealed.Serial, fresh)
}

// keepBare stores the signatures of a returned packet, one answer for each key.
func (t *Treasury) keepBare(ctx context.Context, sealed Bundle, back *bitcoin.Packet) (fresh bool, err error) {
	packet, scope, intent, err := t.sealedPacket(ctx, sealed)
	if err != nil {
		return false, err
	}
	if err := t.refuseLate(ctx, intent, sealed); err != nil {
		return false, err
	}
	sets, err := bitcoin.Returned(packet, back, scope)
	if err != nil {
		return false, errors.Join(err, t.alarm(ctx, sealed.Serial, "a plain PSBT", err))
	}
	stored, err := t.Records.Answers(ctx, sealed.ID)
	if err != nil {
		return false, err
	}
	for _, set := range sets {
		if known, err := t.presented(stored, set, packet, scope); err != nil || known {
			if err != nil {
				return false, err
			}
			continue
		}
		answer, err := bareAnswer(sealed, packet, scope, set)
		if err != nil {
			return false, err
		}
		added, err := t.Records.AddAnswer(ctx, answer)
		if err != nil {
			return false, err
		}
		fresh = fresh || added
		t.Log.Info("answer without receipt taken", "topup", sealed.Serial, "key", answer.Position)
	}
	return fresh, nil
}

// bareAnswer is one key's signatures as they are stored: the packet that crossed the gap, with them in it.
func bareAnswer(sealed Bundle, packet *bitcoin.Packet, scope bitcoin.Scope, set bitcoin.KeySignatures) (Answer, error) {
	a := Answer{Bundle: sealed.ID, Bare: true, Position: set.Position}
	found, err := bitcoin.Nonces(packet, scope, set.Signatures)
	if err != nil {
		return a, err
	}
	for _, n := range found {
		a.Nonces = append(a.Nonces, Nonce{PubKey: n.PubKey, R: n.R, Digest: n.Digest})
	}
	stripped, _ := packet.Strip()
	bare, err := bitcoin.Read(stripped)
	if err != nil {
		return a, err
	}
	a.Bytes, err = bare.WithSignatures(set.Signatures)
	return a, err
}

// presented reports whether a key's signatures were here before, and refuses those that should have come with a receipt.
func (t *Treasury) presented(stored []Answer, set bitcoin.KeySignatures, packet *bitcoin.Packet, scope bitcoin.Scope) (bool, error) {
	for _, s := range stored {
		if s.Position != set.Position || s.Refusal != "" {
			continue
		}
		before, err := t.signaturesIn(s, packet, scope)
		if err != nil {
			return false, err
		}
		if slices.EqualFunc(before, set.Signatures, func(x, y bitcoin.Signature) bool { return x.Input == y.Input && bytes.Equal(x.Signature, y.Signature) }) {
			return true, nil
		}
	}
	if key := scope.From.Keys()[set.Position]; key.Receipt != "" {
		return false, spend.Distrust("receipt-missing", "key "+key.Name, "an answer under the seal of its receipt key", "signatures in a plain PSBT",
			"ask the keyholder for the answer file of coldsign; if there is none, find out what signed with this key")
	}
	return false, nil
}

// signaturesIn reads the signatures of a stored answer back.
func (t *Treasury) signaturesIn(a Answer, packet *bitcoin.Packet, scope bitcoin.Scope) ([]bitcoin.Signature, error) {
	if !a.Bare {
		answer, err := bundle.OpenAnswer(a.Bytes, t.receipt)
		if err != nil {
			return nil, fmt.Errorf("stored answer of key %d: %w", a.Position, err)
		}
		return signaturesOf(answer), nil
	}
	back, err := bitcoin.Read(a.Bytes)
	if err != nil {
		return nil, fmt.Errorf("stored answer of key %d: %w", a.Position, err)
	}
	sets, err := bitcoin.Returned(packet, back, scope)
	if err != nil {
		return nil, fmt.Errorf("stored answer of key %d: %w", a.Position, err)
	}
	return sets[0].Signatures, nil
}
