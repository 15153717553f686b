package bundle_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/ssh"
)

type answerEnvelope struct {
	_        struct{} `cbor:",toarray"`
	Tag      string
	Wallet   []byte
	Position uint8
	Body     []byte
	Seal     []byte
}

func exampleAnswer(t testing.TB) bundle.Answer {
	body := exampleBody(t)
	a := bundle.Answer{Bundle: bundle.ID(body.Intent, body.Payload), Wallet: exampleIntent().From, Position: 2, Counter: 17,
		Policy: [32]byte(bytes.Repeat([]byte{0x70}, 32))}
	key := [33]byte(append([]byte{2}, bytes.Repeat([]byte{0x33}, 32)...))
	// A DER signature by its form alone: two 32-byte integers and SIGHASH_ALL. Here nobody verifies it.
	der := append([]byte{0x30, 0x44, 0x02, 0x20}, bytes.Repeat([]byte{0x55}, 32)...)
	der = append(append(append(der, 0x02, 0x20), bytes.Repeat([]byte{0x66}, 32)...), 0x01)
	a.Signatures = []bundle.AnswerSignature{{Input: 0, PubKey: key, Signature: der}}
	return a
}

func refusal(t testing.TB) bundle.Answer {
	a := exampleAnswer(t)
	a.Signatures, a.Refusal = nil, "amount-unproven"
	return a
}

func sealedAnswer(t testing.TB, a bundle.Answer) []byte {
	t.Helper()
	raw, err := bundle.SealAnswer(a, keyOf(t, 4), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// receipts knows key 2 of the example's cold wallet.
func receipts(t testing.TB) func(spend.WalletID, int) (ssh.PublicKey, bool) {
	return func(wallet spend.WalletID, position int) (ssh.PublicKey, bool) {
		return keyOf(t, 4).PublicKey(), wallet == exampleIntent().From && position == 2
	}
}

func openAnswerLoosely(t testing.TB, raw []byte) answerEnvelope {
	t.Helper()
	var e answerEnvelope
	if err := cbor.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnAnswerOpensToWhatWasSealed(t *testing.T) {
	for _, a := range []bundle.Answer{exampleAnswer(t), refusal(t)} {
		back, err := bundle.OpenAnswer(sealedAnswer(t, a), receipts(t))
		if err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%+v came back as %+v: %v", a, back, err)
		}
	}
}

// Attack 072: an answer is bound to its bundle, wallet, key and machine by the seal, so one bundle's answer cannot be
// passed off as another's.
func TestAttack072AnAnswerIsBoundToItsBundleAndSigner(t *testing.T) {
	raw := sealedAnswer(t, exampleAnswer(t))
	e := openAnswerLoosely(t, raw)
	other := exampleAnswer(t)
	other.Bundle[0] ^= 1
	_, err := bundle.OpenAnswer(canonical(t, answerEnvelope{Tag: e.Tag, Wallet: e.Wallet, Position: e.Position,
		Body: openAnswerLoosely(t, sealedAnswer(t, other)).Body, Seal: e.Seal}), receipts(t))
	refused(t, err, "seal-invalid")

	anybody := func(spend.WalletID, int) (ssh.PublicKey, bool) { return keyOf(t, 4).PublicKey(), true }
	nobody := func(spend.WalletID, int) (ssh.PublicKey, bool) { return nil, true }
	_, err = bundle.OpenAnswer(raw, nobody)
	refused(t, err, "answer-signer-unknown")
	for _, change := range []func(*answerEnvelope){
		func(e *answerEnvelope) { e.Position = 1 },
		func(e *answerEnvelope) { e.Wallet = bytes.Repeat([]byte{1}, 32) },
	} {
		moved := e
		change(&moved)
		_, err = bundle.OpenAnswer(canonical(t, moved), receipts(t))
		refused(t, err, "answer-signer-unknown")
		_, err = bundle.OpenAnswer(canonical(t, moved), anybody)
		refused(t, err, "answer-signer-mismatch")
	}
	otherMachine := func(spend.WalletID, int) (ssh.PublicKey, bool) { return keyOf(t, 9).PublicKey(), true }
	_, err = bundle.OpenAnswer(raw, otherMachine)
	refused(t, err, "answer-key")
	e.Tag = "coldsign-answer-v2"
	_, err = bundle.OpenAnswer(canonical(t, e), receipts(t))
	refused(t, err, "answer-version")
	_, err = bundle.OpenAnswer(sealed(t, exampleBody(t)), receipts(t))
	refused(t, err, "answer-malformed")
	_, err = bundle.Open(raw, trusted(t), now)
	refused(t, err, "bundle-malformed")
}

func TestEveryTurnedBitOfAnAnswerIsRefused(t *testing.T) {
	for _, a := range []bundle.Answer{exampleAnswer(t), refusal(t)} {
		raw := sealedAnswer(t, a)
		for bit := range len(raw) * 8 {
			raw[bit/8] ^= 1 << (bit % 8)
			if _, err := bundle.OpenAnswer(raw, receipts(t)); err == nil {
				t.Fatalf("bit %d turned and the answer still opens", bit)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
		for cut := range raw {
			if _, err := bundle.OpenAnswer(raw[:cut], receipts(t)); err == nil {
				t.Fatalf("cut at %d and still opens", cut)
			}
		}
		_, err := bundle.OpenAnswer(append(raw, 0), receipts(t))
		refused(t, err, "answer-malformed")
	}
}

// Attack 088: an answer carries nothing but its schema. There is no text field besides a refusal code, no byte field of
// free length besides signatures of 9 to 73 bytes, no order to choose, and its size is bounded by the inputs.
func TestAttack088AnAnswerHasNoRoomForAnythingElse(t *testing.T) {
	for name, change := range map[string]func(*bundle.Answer){
		"a refusal in words":       func(a *bundle.Answer) { a.Signatures, a.Refusal = nil, "the amount is wrong" },
		"an upper-case refusal":    func(a *bundle.Answer) { a.Signatures, a.Refusal = nil, "Amount" },
		"a long refusal":           func(a *bundle.Answer) { a.Signatures, a.Refusal = nil, strings.Repeat("a", 49) },
		"an escape code":           func(a *bundle.Answer) { a.Signatures, a.Refusal = nil, "a\x1b[2J" },
		"signed and refused":       func(a *bundle.Answer) { a.Refusal = "amount-unproven" },
		"neither":                  func(a *bundle.Answer) { a.Signatures = nil },
		"two of one input":         func(a *bundle.Answer) { a.Signatures = append(a.Signatures, a.Signatures[0]) },
		"falling inputs":           func(a *bundle.Answer) { a.Signatures = twoInputs(a.Signatures[0], 5, 4) },
		"a long signature":         func(a *bundle.Answer) { a.Signatures[0].Signature = make([]byte, 74) },
		"a short signature":        func(a *bundle.Answer) { a.Signatures[0].Signature = make([]byte, 8) },
		"no signature":             func(a *bundle.Answer) { a.Signatures[0].Signature = nil },
		"an uncompressed key":      func(a *bundle.Answer) { a.Signatures[0].PubKey[0] = 4 },
		"too many signatures":      func(a *bundle.Answer) { a.Signatures = make([]bundle.AnswerSignature, 1001) },
		"a key beyond the 15th":    func(a *bundle.Answer) { a.Position = 15 },
		"a key before the first":   func(a *bundle.Answer) { a.Position = -1 },
		"a key position that cuts": func(a *bundle.Answer) { a.Position = 256 },
	} {
		a := exampleAnswer(t)
		change(&a)
		_, err := bundle.SealAnswer(a, keyOf(t, 4), rand.Reader)
		refused(t, err, "answer-malformed")
		if err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	var fields map[int]any
	if err := cbor.Unmarshal(openAnswerLoosely(t, sealedAnswer(t, exampleAnswer(t))).Body, &fields); err != nil {
		t.Fatal(err)
	}
	fields[8] = []byte("something to carry out")
	_, err := bundle.OpenAnswer(resealedAnswer(t, canonical(t, fields)), receipts(t))
	refused(t, err, "answer-malformed")
	delete(fields, 8)
	delete(fields, 6)
	_, err = bundle.OpenAnswer(resealedAnswer(t, canonical(t, fields)), receipts(t))
	refused(t, err, "answer-not-canonical")

	most := exampleAnswer(t)
	most.Signatures = nil
	for i := range 1000 {
		signature := make([]byte, 73)
		most.Signatures = append(most.Signatures, bundle.AnswerSignature{Input: uint32(i) + 1<<31, PubKey: [33]byte{2}, Signature: signature})
	}
	if raw := sealedAnswer(t, most); len(raw) > bundle.AnswerMax {
		t.Errorf("the largest answer has %d bytes, above its own limit %d", len(raw), bundle.AnswerMax)
	} else if _, err := bundle.OpenAnswer(raw, receipts(t)); err != nil {
		t.Error(err)
	}
	_, err = bundle.OpenAnswer(make([]byte, bundle.AnswerMax+1), receipts(t))
	refused(t, err, "answer-too-large")
}

func twoInputs(s bundle.AnswerSignature, first, second uint32) []bundle.AnswerSignature {
	a, b := s, s
	a.Input, b.Input = first, second
	return []bundle.AnswerSignature{a, b}
}

func resealedAnswer(t testing.TB, body []byte) []byte {
	t.Helper()
	armored, err := seal.Sign(keyOf(t, 4), seal.Answer, body, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wallet := exampleIntent().From
	return canonical(t, answerEnvelope{Tag: string(seal.Answer), Wallet: wallet[:], Position: 2, Body: body, Seal: armored})
}

func TestSniffTellsKindsApart(t *testing.T) {
	for want, raws := range map[bundle.Kind][][]byte{
		bundle.KindBundle:     {sealed(t, exampleBody(t))},
		bundle.KindAnswer:     {sealedAnswer(t, refusal(t))},
		bundle.KindPSBT:       {unhex(t, payloadHex)},
		bundle.KindBase64PSBT: {[]byte("cHNidP8BAF4CAAAAAREREREREREREREREREREREREREREREREREREREREREREREAAAAAAP3///8=")},
		bundle.KindUnknown: {nil, {0x84}, {0x84, 0x72}, []byte("psbt"), []byte("\x84\x72coldsign-bundle"), []byte("\x84\x73coldsign-bundle-v1"),
			[]byte("{\"coldsign\":\"wallet/v1\"}"), bytes.Repeat([]byte{0xff}, 100)},
	} {
		for _, raw := range raws {
			if got := bundle.Sniff(raw); got != want {
				t.Errorf("%.24x looks like %s, want %s", raw, got, want)
			}
		}
	}
}

// Attack 120 and 077: any bytes are read without a panic, and what opens is encoded again to the bytes that were signed.
// The bodies are sealed here with the genuine key: the parser is tried as if the issuer itself were hostile.
func FuzzOpen(f *testing.F) {
	raw := sealed(f, exampleBody(f))
	f.Add(raw, false)
	f.Add(open(f, raw).Body, true)
	f.Add([]byte{0xa0}, true)
	f.Add([]byte{0x84, 0x72}, false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = resealed(t, data)
		}
		opened, err := bundle.Open(data, trusted(t), now)
		if err != nil {
			onlyRefusals(t, err)
			return
		}
		again, err := bundle.Seal(opened.Body, keyOf(t, 1), rand.Reader)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("opened and sealed again, %x became %x: %v", data, again, err)
		}
		if intent, err := bundle.EncodeIntent(opened.Intent); err != nil || !bytes.Equal(intent, opened.Body.Intent) {
			t.Errorf("the intent shown encodes to %x, approved was %x: %v", intent, opened.Body.Intent, err)
		}
	})
}

// Attack 120, for answers.
func FuzzOpenAnswer(f *testing.F) {
	for _, a := range []bundle.Answer{exampleAnswer(f), refusal(f)} {
		raw := sealedAnswer(f, a)
		f.Add(raw, false)
		f.Add(openAnswerLoosely(f, raw).Body, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = resealedAnswer(t, data)
		}
		a, err := bundle.OpenAnswer(data, receipts(t))
		if err != nil {
			onlyRefusals(t, err)
			return
		}
		if again := sealedAnswer(t, a); !bytes.Equal(again, data) {
			t.Errorf("opened and sealed again, %x became %x", data, again)
		}
	})
}

// FuzzSniff: no input is looked at beyond its end.
func FuzzSniff(f *testing.F) {
	f.Add([]byte{0x84, 0x72})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bundle.Sniff(raw) == bundle.KindBundle {
			_, err := bundle.Open(raw, trusted(t), time.Unix(created, 0))
			if err != nil {
				onlyRefusals(t, err)
			}
		}
	})
}

func onlyRefusals(t *testing.T, err error) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) {
		t.Errorf("%v is not a refusal", err)
	}
}
