package treasury

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// Answer takes a signer's sealed answer. Answers come in any order; the same one again changes nothing and gives false.
// Everything is verified before anything is stored: the receipt seal, the bundle, wallet and key position, and every
// signature against the stored payload.
func (t *Treasury) Answer(ctx context.Context, by Person, raw []byte) (View, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	answer, err := bundle.OpenAnswer(raw, t.receipt)
	if err != nil {
		return View{}, false, err
	}
	sealed, err := t.Records.Bundle(ctx, answer.Bundle)
	if err != nil {
		return View{}, false, err
	}
	if err := t.Records.Note(ctx, "answer-presented", request{by, sealed.Serial, fmt.Sprintf("key %d", answer.Position)}); err != nil {
		return View{}, false, err
	}
	fresh, err := t.keep(ctx, answer, sealed, raw)
	if err != nil {
		return View{}, false, err
	}
	if fresh {
		t.Log.Info("answer taken", "topup", sealed.Serial, "key", answer.Position, "refusal", answer.Refusal)
	}
	return t.afterAnswer(ctx, sealed.Serial, fresh)
}

// afterAnswer goes on with a top-up that an answer came to.
func (t *Treasury) afterAnswer(ctx context.Context, serial uint64, fresh bool) (View, bool, error) {
	if fresh {
		if err := t.step(ctx); err != nil {
			t.Log.Warn("top-up goes no further yet", "topup", serial, "error", err.Error())
		}
	}
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil {
		return View{}, false, err
	}
	view, err := t.view(ctx, intent)
	return view, fresh, err
}

// keep verifies an opened answer against its bundle and stores it. An answer that is stored already is known by its
// bytes and needs no second look, also when its top-up has gone on since.
func (t *Treasury) keep(ctx context.Context, answer bundle.Answer, sealed Bundle, raw []byte) (bool, error) {
	stored, err := t.Records.Answers(ctx, sealed.ID)
	if err != nil {
		return false, err
	}
	for _, s := range stored {
		if s.Position == answer.Position && bytes.Equal(s.Bytes, raw) {
			return false, nil
		}
	}
	packet, scope, intent, err := t.sealedPacket(ctx, sealed)
	if err != nil {
		return false, err
	}
	if answer.Wallet != intent.From {
		return false, spend.Distrust("answer-other-wallet", "answer", "wallet "+intent.From.Short(), answer.Wallet.Short(), "look for the answer to this bundle")
	}
	if err := t.refuseLate(ctx, intent, sealed); err != nil {
		return false, err
	}
	nonces, err := verify(packet, scope, answer)
	if err != nil {
		return false, errors.Join(err, t.alarm(ctx, sealed.Serial, fmt.Sprintf("answer of key %d", answer.Position), err))
	}
	fresh, err := t.Records.AddAnswer(ctx, Answer{Bundle: sealed.ID, Position: answer.Position, Bytes: raw,
		Counter: answer.Counter, Refusal: answer.Refusal, Nonces: nonces})
	if err == nil && fresh && answer.Refusal != "" {
		err = t.veto(ctx, intent, scope.From.Keys()[answer.Position].Name, answer.Refusal)
	}
	return fresh, err
}

// refuseLate refuses an answer that comes after the intent's time, unless its transaction was finished before: then it
// changes nothing, and its nonces count.
func (t *Treasury) refuseLate(ctx context.Context, intent Intent, sealed Bundle) error {
	err := t.refuseEnded(intent)
	if err == nil {
		return nil
	}
	tx, known, errTx := t.Records.Transaction(ctx, intent.Serial)
	if errTx != nil || known && tx.TxID == sealed.TxID {
		return errTx
	}
	return err
}

// alarm halts everything when signatures that are otherwise good share a nonce: the key that made them is lost or its
// random numbers are. The records notice the same across answers; this is about one answer.
func (t *Treasury) alarm(ctx context.Context, serial uint64, what string, found error) error {
	var refusal *spend.Refusal
	if !errors.As(found, &refusal) || refusal.Code != "nonce-reused" {
		return nil
	}
	return t.Records.Halt(ctx, refusal.Code, fmt.Sprintf("%s to top-up %d: %s", what, serial, refusal.Error()))
}

// receipt finds the key that seals a signer's answers: it is pinned in the wallet file.
func (t *Treasury) receipt(id spend.WalletID, position int) (ssh.PublicKey, bool) {
	w, ok := t.wallets[id]
	if !ok || position < 0 || position >= len(w.Keys()) {
		return nil, false
	}
	key, err := seal.ParseKey(w.Keys()[position].Receipt)
	return key, err == nil
}

// verify checks every signature of an answer and returns their nonces. The key at the answer's position must have made
// them, one for each input: an answer that carries another key's signatures would let one person speak for two.
func verify(packet *bitcoin.Packet, scope bitcoin.Scope, answer bundle.Answer) ([]Nonce, error) {
	if answer.Refusal != "" {
		if len(answer.Signatures) > 0 {
			return nil, spend.Distrust("answer-contradicts", "answer", "a refusal without signatures", fmt.Sprintf("%d signatures", len(answer.Signatures)), "ask the keyholder")
		}
		return nil, nil
	}
	proven, err := bitcoin.Establish(packet, scope)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	tasks, err := proven.Tasks(answer.Position)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	signatures := signaturesOf(answer)
	if len(signatures) != len(tasks) {
		return nil, spend.Distrust("answer-incomplete", "answer", fmt.Sprintf("%d signatures, one for each input", len(tasks)), fmt.Sprint(len(signatures)), "ask the keyholder to sign again")
	}
	keys := map[uint32][33]byte{}
	for _, task := range tasks {
		keys[uint32(task.Input)] = task.PubKey
	}
	for _, s := range signatures {
		if keys[s.Input] != s.PubKey {
			return nil, spend.Distrust("answer-other-key", fmt.Sprintf("input %d", s.Input), "one signature by the public key at position "+fmt.Sprint(answer.Position), fmt.Sprintf("one by %x", s.PubKey), "look for the answer of that key")
		}
		delete(keys, s.Input)
	}
	found, err := proven.Nonces(signatures)
	if err != nil {
		return nil, err
	}
	nonces := make([]Nonce, len(found))
	for i, n := range found {
		nonces[i] = Nonce{PubKey: n.PubKey, R: n.R, Digest: n.Digest}
	}
	return nonces, nil
}

func signaturesOf(answer bundle.Answer) []bitcoin.Signature {
	out := make([]bitcoin.Signature, len(answer.Signatures))
	for i, s := range answer.Signatures {
		out[i] = bitcoin.Signature{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature}
	}
	return out
}

// finish makes the final transaction once enough keys signed the live bundle, and stores it. Which answers are used
// follows a fixed rule of the chain room, so the same set gives the same bytes.
func (t *Treasury) finish(ctx context.Context, intent Intent) error {
	tx, known, err := t.Records.Transaction(ctx, intent.Serial)
	if err != nil {
		return err
	}
	sealed, err := t.Records.LiveBundle(ctx, intent.Serial)
	if err != nil {
		return err
	}
	if known && (tx.TxID == sealed.TxID || tx.Height > 0) {
		return nil // a replacement is needed no more, or there is none
	}
	stored, err := t.Records.Answers(ctx, sealed.ID)
	if err != nil {
		return err
	}
	stored = slices.DeleteFunc(stored, func(a Answer) bool { return a.Refusal != "" })
	if from, err := t.pinned(intent.From); err != nil || len(stored) < from.Threshold() {
		return err
	}
	packet, scope, _, err := t.sealedPacket(ctx, sealed)
	if err != nil {
		return err
	}
	var sets [][]bitcoin.Signature
	for _, s := range stored {
		signatures, err := t.signaturesIn(s, packet, scope)
		if err != nil {
			return err
		}
		sets = append(sets, signatures)
	}
	final, err := bitcoin.Finalise(packet, scope, sets)
	if err != nil {
		return fmt.Errorf("finalise: %w", err)
	}
	if final.TxID != sealed.TxID.String() {
		return spend.Distrust("final-other-transaction", "final transaction", sealed.TxID.String(), final.TxID, "an operator looks into it")
	}
	if _, err := t.Records.Finish(ctx, sealed.ID, final.Raw); err != nil {
		return err
	}
	t.Log.Info("final transaction stored", "topup", intent.Serial, "txid", final.TxID, "fee", final.Fee.String(), "virtual_bytes", final.VirtualBytes)
	return nil
}

// send hands stored final transactions to the node: at once, again after a restart, and again with every new block until
// a block has them. The bytes are those that were stored; sending them twice is one payment.
func (t *Treasury) send(ctx context.Context) error {
	waiting, err := t.Records.Unconfirmed(ctx)
	if err != nil {
		return fmt.Errorf("transactions to send: %w", err)
	}
	height, _, err := t.Records.Tip(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, tx := range waiting {
		txid := tx.TxID.String()
		if at, done := t.sent[txid]; done && at == height {
			continue
		}
		err := t.sendParents(ctx, tx.Serial)
		if err == nil {
			_, err = t.Node.Broadcast(ctx, tx.Raw)
		}
		if err == nil {
			err = t.Records.MarkBroadcast(ctx, tx.Serial)
		}
		if err != nil {
			err = fmt.Errorf("top-up %d: broadcast of %s: %w", tx.Serial, txid, err)
			t.trouble[tx.Serial] = err
			all = append(all, err)
			continue
		}
		delete(t.trouble, tx.Serial)
		if _, before := t.sent[txid]; !before {
			t.Log.Info("transaction sent", "topup", tx.Serial, "txid", txid)
		}
		t.sent[txid] = height
	}
	return errors.Join(all...)
}
