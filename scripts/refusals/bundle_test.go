package main

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// known is a trust file: issuers by name.
type known map[string]ssh.Signer

func (k known) Issuer(name string) (ssh.PublicKey, bool) {
	signer, ok := k[name]
	if !ok {
		return nil, false
	}
	return signer.PublicKey(), true
}

func trusted() known {
	return known{"exchanged-2": edSigner("exchanged-2"), "exchanged-3": edSigner("exchanged-2")}
}

// packed is a bundle that opens, before one change. Open never looks into the payload.
func packed(t *testing.T, change func(*bundle.Body)) ([]byte, error) {
	t.Helper()
	intent, err := bundle.EncodeIntent(topUp().Intent)
	if err != nil {
		t.Fatal(err)
	}
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Payload: []byte("payload"), Issuer: "exchanged-2", SealedAt: noon.Unix() - 600,
		Approvals: [][]byte{sealed(t, careful("r.sanz"), seal.Approve, intent)}}
	if change != nil {
		change(&body)
	}
	return bundle.Seal(body, edSigner("exchanged-2"), nil)
}

// opened returns an act that opens the clean bundle after one change to its bytes.
func opened(change func(raw []byte) []byte, at time.Time, issuers known) func(*testing.T) error {
	return func(t *testing.T) error {
		raw, err := packed(t, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bundle.Open(change(raw), issuers, at)
		return err
	}
}

// altered returns an act that seals a changed body, and opens it when that succeeds.
func altered(change func(*bundle.Body)) func(*testing.T) error {
	return func(t *testing.T) error {
		raw, err := packed(t, change)
		if err != nil {
			return err
		}
		_, err = bundle.Open(raw, trusted(), noon)
		return err
	}
}

// swap replaces the first occurrence of some bytes.
func swap(old, new string) func([]byte) []byte {
	return func(raw []byte) []byte {
		if !bytes.Contains(raw, []byte(old)) {
			panic("refusals: no " + old)
		}
		return bytes.Replace(raw, []byte(old), []byte(new), 1)
	}
}

func same(raw []byte) []byte { return raw }

// intent returns an act that decodes the clean intent after one change to its bytes.
func intent(change func([]byte) []byte) func(*testing.T) error {
	return func(t *testing.T) error {
		raw, err := bundle.EncodeIntent(topUp().Intent)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bundle.DecodeIntent(change(raw))
		return err
	}
}

// answer returns an act that opens an answer of key 1 of cold-a after one change to its bytes.
func answer(change func([]byte) []byte, receipt func(spend.WalletID, int) (ssh.PublicKey, bool)) func(*testing.T) error {
	return func(t *testing.T) error {
		raw, err := bundle.SealAnswer(bundle.Answer{Wallet: cold.ID, Position: 1, Counter: 9, Refusal: "amount-mismatch"}, edSigner("zurich"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bundle.OpenAnswer(change(raw), receipt)
		return err
	}
}

func zurich(spend.WalletID, int) (ssh.PublicKey, bool) { return edSigner("zurich").PublicKey(), true }
func oslo(spend.WalletID, int) (ssh.PublicKey, bool)   { return edSigner("oslo").PublicKey(), true }
func nobody(spend.WalletID, int) (ssh.PublicKey, bool) { return nil, false }

func TestRefusalsOfBundle(t *testing.T) {
	garbage := func([]byte) []byte { return []byte("%PDF-1.7") }
	large := func(size int) func([]byte) []byte { return func([]byte) []byte { return make([]byte, size) } }
	page.Check(t, pageOf("internal/bundle"), "coldsign", page.Examples{
		"answer-key":             answer(same, oslo),
		"answer-malformed":       answer(garbage, zurich),
		"answer-not-canonical":   answer(func(raw []byte) []byte { return bytes.Replace(raw, []byte("\x01\x58"), []byte("\x18\x01\x58"), 1) }, zurich),
		"answer-signer-mismatch": answer(swap("\xc0", "\xc1"), zurich),
		"answer-signer-unknown":  answer(same, nobody),
		"answer-too-large":       answer(large(bundle.AnswerMax+1), zurich),
		"answer-version":         answer(swap("answer-v1", "answer-v2"), zurich),
		"approval-invalid": altered(func(b *bundle.Body) {
			b.Approvals = [][]byte{armoured("another intent", func(*sshsig) {})}
		}),
		"bundle-expired": opened(same, noon.Add(2*time.Hour), trusted()),
		"bundle-lifetime": func(t *testing.T) error {
			raw, err := packed(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			o, err := bundle.Open(raw, trusted(), noon)
			if err != nil {
				t.Fatal(err)
			}
			return o.CheckLifetime(time.Hour)
		},
		"bundle-malformed":      opened(garbage, noon, trusted()),
		"bundle-not-canonical":  opened(swap("\x6bexchanged-2", "\x78\x0bexchanged-2"), noon, trusted()),
		"bundle-not-yet-valid":  opened(same, noon.Add(-2*time.Hour), trusted()),
		"bundle-payload-kind":   altered(func(b *bundle.Body) { b.PayloadKind = "safe" }),
		"bundle-sealed-outside": altered(func(b *bundle.Body) { b.SealedAt = noon.Unix() + 7200 }),
		"bundle-too-large":      opened(large(bundle.BundleMax+1), noon, trusted()),
		"bundle-version":        opened(swap("bundle-v1", "bundle-v2"), noon, trusted()),
		"intent-invalid":        intent(swap("topup", "sweep")),
		"intent-malformed":      intent(garbage),
		"intent-not-canonical":  intent(swap("\x65topup", "\x78\x05topup")),
		"intent-too-large":      intent(large(64 << 10)),
		"issuer-key":            opened(same, noon, known{"exchanged-2": edSigner("thief")}),
		"issuer-mismatch":       opened(swap("exchanged-2", "exchanged-3"), noon, trusted()),
		"issuer-unknown":        opened(same, noon, known{}),
		"issuer-unreadable": func(*testing.T) error {
			_, err := bundle.ParseIssuer([]byte(`{"coldsign": "issuer/v2"}`))
			return err
		},
	}, *update)
}
