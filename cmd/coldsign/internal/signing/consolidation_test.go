package signing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

// A consolidation of 500 coins of a 2-of-3 wallet is planned, sealed, shown, signed by two keys, verified and finished.
// The keyholder reads that nothing leaves, and retypes the fee and the number of inputs to say so.
func TestAConsolidationOf500CoinsIsPlannedShownSignedAndVerified(t *testing.T) {
	const coins = 500
	tr := newTreasury(t, 2, 3)
	packet, plan := tr.sweep(t, tr.cold, tr.coins(t, 0, coins))
	if len(plan.Inputs) != coins || plan.Change != 0 || plan.Fee <= 0 || plan.PayloadBytes+plan.ProofBytes > bundle.BundleMax {
		t.Fatalf("plan of %d inputs, change %d, fee %d, %d and %d bytes", len(plan.Inputs), plan.Change, plan.Fee, plan.PayloadBytes, plan.ProofBytes)
	}
	raw := tr.bundle(t, tr.cold, packet)
	ledger := tr.ledger(t)
	defer ledger.Close()
	var shown review.Request
	result, err := tr.sign(ledger, raw, func(r review.Request) error { shown = r; return nil })
	must(t, err)
	checkShownAsConsolidation(t, shown, plan, coins)

	answer, err := bundle.OpenAnswer(result.Answer, func(spend.WalletID, int) (ssh.PublicKey, bool) { return tr.key.Receipt().PublicKey(), true })
	must(t, err)
	if len(answer.Signatures) != coins {
		t.Fatalf("%d signatures", len(answer.Signatures))
	}
	var first []bitcoin.Signature
	for _, s := range answer.Signatures {
		first = append(first, bitcoin.Signature{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature})
	}
	proven, err := bitcoin.Establish(packet, bitcoin.Scope{From: tr.cold, To: tr.cold, ToIndex: 7, ToKnown: true, IndexMax: 1000})
	must(t, err)
	must(t, proven.VerifySignatures(first))
	final, err := proven.Finalise([][]bitcoin.Signature{first, tr.signWithSecondKey(t, proven)})
	must(t, err)
	if final.TxID != packet.TxID() || final.VirtualBytes > plan.VirtualBytes {
		t.Errorf("transaction %s of %d vB, planned %s of %d vB", final.TxID, final.VirtualBytes, packet.TxID(), plan.VirtualBytes)
	}
}

// checkShownAsConsolidation reads what the keyholder reads.
func checkShownAsConsolidation(t *testing.T, r review.Request, plan bitcoin.Plan, coins int) {
	t.Helper()
	facts := r.Effects.Facts()
	if len(facts.Inputs) != coins || len(facts.Outputs) != 1 || facts.Outputs[0].Role == chain.External || facts.Outputs[0].Wallet != facts.From {
		t.Errorf("%d inputs, outputs %+v", len(facts.Inputs), facts.Outputs)
	}
	screen := review.Plain(r)
	for _, words := range []string{"NOTHING LEAVES", "STAYS"} {
		if !strings.Contains(screen, words) {
			t.Errorf("the screen does not say %q:\n%s", words, screen)
		}
	}
	if i := slices.IndexFunc(strings.Split(screen, "\n"), func(line string) bool { return strings.HasPrefix(line, "SEND") || strings.HasPrefix(line, "PAY") }); i >= 0 {
		t.Errorf("the screen says that something leaves:\n%s", screen)
	}
	confirm := review.Confirm(r)
	if fee := facts.Fee.Decimal(); !strings.HasPrefix(confirm.Prompt, "Nothing leaves.") || !confirm.Check(fee+" 500") || confirm.Check(fee+" 499") {
		t.Errorf("confirmation %q with %q", confirm.Prompt, fee+" 500")
	}
	if sats, _ := facts.Fee.Int64(); sats != plan.Fee {
		t.Errorf("fee %s, planned %d", facts.Fee, plan.Fee)
	}
}

// signWithSecondKey is the answer of the wallet's second key, without its own home around it.
func (tr *treasury) signWithSecondKey(t *testing.T, proven *bitcoin.Proven) []bitcoin.Signature {
	t.Helper()
	store, err := keystore.Open(tr.home.KeysDir(), nil)
	must(t, err)
	key, err := store.Unlock("COLD-A-1", keystore.NewSecret([]byte(passphrase)))
	must(t, err)
	defer key.Close()
	signatures, err := proven.Sign(1, func(tasks []bitcoin.Task) (ders [][]byte, err error) {
		for _, task := range tasks {
			der, _, err := key.Sign(t.Context(), task.Branch, task.Index, task.Digest)
			if err != nil {
				return ders, err
			}
			ders = append(ders, der)
		}
		return ders, nil
	})
	must(t, err)
	return signatures
}
