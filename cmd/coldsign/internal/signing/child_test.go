package signing_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// child is a packet that spends an output of a stuck transaction back to the wallet, with a fee of so many satoshi.
func (tr *treasury) child(t *testing.T, fee int64) *bitcoin.Packet {
	t.Helper()
	parent := tr.coins(t, 0, 1)[0]
	p, _, err := bitcoin.BuildChild(bitcoin.ChildRequest{Wallet: tr.cold, Index: 7, Coin: parent, Height: 812}, parent.Value-fee)
	must(t, err)
	return p
}

// resealed is what a thief who owns the daemon makes of a child: with its key, and with approvals that people gave for the
// amount.
func (tr *treasury) resealed(t *testing.T, p *bitcoin.Packet, change func(*bundle.Body)) []byte {
	t.Helper()
	tr.serial++
	amount := int64(0)
	for _, out := range p.Unsigned().TxOut {
		amount += out.Value
	}
	intent, err := bundle.EncodeIntent(spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: tr.serial, Issuer: issuerName,
		From: tr.cold.ID(), To: tr.cold.ID(), ToIndex: 7, Amount: money.Sats(amount), Proposer: issuerName, CreatedAt: noon.Unix() - 60, ExpiresAt: noon.Unix() + 3600})
	must(t, err)
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: issuerName, SealedAt: noon.Unix() - 60}
	body.Payload, body.Proofs = p.Strip()
	for _, person := range tr.people {
		armored, err := seal.Sign(person, seal.Approve, intent, noise("approve", 0))
		must(t, err)
		body.Approvals = append(body.Approvals, armored)
	}
	change(&body)
	raw, err := bundle.Seal(body, tr.issuer, noise("seal", 0))
	must(t, err)
	return raw
}

// A signer judges a child alone: nothing leaves, its fee keeps to every limit, and its coin is proven by the parent.
func TestAChildIsShownAsLeavingNothingAndSigned(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	ledger := tr.ledger(t)
	defer ledger.Close()
	var shown review.Request
	raw := tr.bundle(t, tr.cold, tr.child(t, 12_345))
	_, err := tr.sign(ledger, raw, func(r review.Request) error { shown = r; return nil })
	must(t, err)
	screen := review.Plain(shown)
	for _, want := range []string{"NOTHING LEAVES", "STAYS", "0.000 123 45 BTC", "1/1 inputs proven"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen does not say %q:\n%s", want, screen)
		}
	}
	if c := review.Confirm(shown); !c.Check("0.00012345 1") || c.Check("0.00012344 1") || !strings.HasPrefix(c.Prompt, "Nothing leaves.") {
		t.Errorf("confirmation %q", c.Prompt)
	}
}

func TestAttack049AChildsFeeIsJudgedAlone(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	tr.rules(t, "serial: 1", "serial: 2", `fee_max: "0.005 BTC"`, `fee_max: "0.001 BTC"`)
	h := tr.holder(t, 0)
	for fee, codes := range map[int64][]string{
		100_001: {"fee-above-cap", "fee-rate-above-cap"}, // 0.001 BTC is the most
		60_000:  {"fee-rate-above-cap"},                  // of 158 vB at 300 sat/vB
		150:     {"fee-rate-below-floor"},
		30_000:  nil, // more than one percent of nothing
	} {
		_, x, err := h.examined(t, tr.bundle(t, tr.cold, tr.child(t, fee)))
		must(t, err)
		var found []string
		for _, r := range x.Verdict.Refusals() {
			found = append(found, r.Code)
		}
		if !slices.Equal(found, codes) {
			t.Errorf("a fee of %d: %q, want %q", fee, found, codes)
		}
	}
}

// What a daemon that lies about the parent, or a child that pays elsewhere, comes to at the signer.
func TestAttack021And040AChildOfAHostileDaemon(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	h := tr.holder(t, 0)
	richer := func(body *bundle.Body) { // a parent that pays 0.01 BTC more would hide that as a fee
		tx := wire.NewMsgTx(2)
		must(t, tx.DeserializeNoWitness(bytes.NewReader(body.Proofs[0])))
		tx.TxOut[1].Value += 1_000_000
		var raw bytes.Buffer
		must(t, tx.SerializeNoWitness(&raw))
		body.Proofs[0] = raw.Bytes()
	}
	for name, c := range map[string]struct {
		change func(*bundle.Body)
		code   string
	}{
		"another parent":      {richer, "proof-missing"},
		"no parent":           {func(b *bundle.Body) { b.Proofs = nil }, "proof-missing"},
		"an output elsewhere": {func(b *bundle.Body) { b.Payload = paying(t, b.Payload, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080") }, "output-external"},
	} {
		_, x, err := h.examined(t, tr.resealed(t, tr.child(t, 10_000), c.change))
		found := codesOf(err)
		if err == nil {
			for _, r := range x.Verdict.Refusals() {
				found = append(found, r.Code)
			}
		}
		if !slices.Contains(found, c.code) {
			t.Errorf("%s: %q (%v), want %s", name, found, err, c.code)
		}
	}
}
