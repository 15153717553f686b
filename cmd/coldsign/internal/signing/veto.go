package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

// intentHash names an intent in the ledger.
func intentHash(o bundle.Opened) string {
	sum := sha256.Sum256(o.Body.Intent)
	return hex.EncodeToString(sum[:])
}

// waiting reports whether the time-lock of an intent is still running: the time in which any keyholder can stop it.
func (x Examination) waiting() bool { return x.Lock.Applies && x.Now.Before(x.Lock.Until) }

// Refuse seals a refusal: the daemon and auditors see that this keyholder saw the bundle, and why it was not signed.
// While the intent is time-locked that is possible also after this key signed, because the last signature does not exist.
func (s *Session) Refuse(ctx context.Context, x Examination, code string) ([]byte, error) {
	position, ours := Position(x.Scope.From, s.Info.Record)
	if !ours {
		return nil, spend.Refuse("key-not-in-wallet", "wallet "+x.Scope.From.Name(), "a wallet that key "+s.Info.Name+" belongs to",
			"other keys", "refuse with one of the wallet's keys: coldsign key list")
	}
	id := hex.EncodeToString(x.Opened.ID[:])
	if _, signed := s.Ledger.Reservation(id, s.Info.Name); signed && !x.waiting() {
		return nil, spend.Refuse("already-signed", "bundle "+id[:16], "a bundle that this key did not sign", "a reservation in the signer ledger",
			"tell treasury staff: a signature that left cannot be taken back")
	}
	key, err := s.unlock(ctx)
	if err != nil {
		return nil, err
	}
	// A refusal takes a receipt of its own: an answer without one could be given twice, or kept back unnoticed.
	counter := s.Ledger.NextCounter(s.Info.Name)
	a := bundle.Answer{Bundle: x.Opened.ID, Wallet: x.Scope.From.ID(), Position: position, Counter: counter, Policy: x.Rules.Version(), Refusal: code}
	sealed, err := bundle.SealAnswer(a, key.Receipt(), s.Rand)
	if err != nil {
		return nil, err
	}
	return sealed, s.Ledger.Append(s.Now(), home.Entry{Event: home.Declined, Bundle: id, Key: s.Info.Name, Reason: code,
		Wallet: x.Opened.Intent.From.String(), Intent: intentHash(x.Opened), Counter: counter, Answer: sealed})
}

// Heed takes in another keyholder's sealed refusal of the bundle. From then on no key of this home signs the bundle, nor,
// if it is time-locked, anything else for its intent: one keyholder stops a large move without asking the daemon.
// No key is used: what stops money needs no more than the refusal itself.
func (s *Session) Heed(x Examination, refusal []byte) (holder string, err error) {
	b, err := s.beliefs()
	if err != nil {
		return "", err
	}
	answer, err := bundle.OpenAnswer(refusal, func(id spend.WalletID, position int) (ssh.PublicKey, bool) {
		w, ok := b.Wallet(id)
		if !ok || position >= len(w.Keys()) {
			return nil, false
		}
		key, err := seal.ParseKey(w.Keys()[position].Receipt)
		return key, err == nil
	})
	if err != nil {
		return "", err
	}
	id := hex.EncodeToString(x.Opened.ID[:])
	if answer.Bundle != x.Opened.ID || answer.Wallet != x.Scope.From.ID() || answer.Refusal == "" {
		return "", spend.Distrust("veto-mismatch", "refusal", "a refusal of bundle "+id[:16],
			fmt.Sprintf("refusal %q of bundle %x", answer.Refusal, answer.Bundle[:8]), "bring the refusal together with the bundle that it is about")
	}
	return x.Scope.From.Keys()[answer.Position].Name, s.Ledger.Append(s.Now(), home.Entry{Event: home.Vetoed, Bundle: id, Key: s.Info.Name,
		Reason: answer.Refusal, Wallet: x.Scope.From.ID().String(), Intent: intentHash(x.Opened), Answer: refusal})
}

// refused says whether a keyholder's sealed refusal stops the bundle here.
func (s *Session) refused(x Examination, id string) []*spend.Refusal {
	e, stopped := s.Ledger.Refused(id, intentHash(x.Opened), s.Info.Name, x.Lock.Applies)
	if !stopped {
		return nil
	}
	return []*spend.Refusal{spend.Refuse("vetoed", "bundle "+id[:16], "a bundle that no keyholder refused",
		fmt.Sprintf("%s with reason %s on %s", e.Event, e.Reason, e.Time.Format(time.RFC3339)), "treasury staff: find out why, then propose anew and have it approved again")}
}
