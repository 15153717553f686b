package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// The worked example: fixed keys, fixed times, and Ed25519 everywhere, so that every byte is the same on each run.
const (
	created = 1767225600 // 2026-01-01T00:00:00Z
	expires = created + 3600
	// One input, one output, no field besides the unsigned transaction: the smallest PSBT there is.
	payloadHex = "70736274ff01005e0200000001" + "1111111111111111111111111111111111111111111111111111111111111111" +
		"0000000000fdffffff0100f2052a01000000220020" + "2222222222222222222222222222222222222222222222222222222222222222" +
		"00000000000000"
	proofHex = "02000000000100e1f50500000000015100000000"
)

var now = time.Unix(created+600, 0)

// keyOf is the Ed25519 key whose seed is 32 times b.
func keyOf(t testing.TB, b byte) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

type issuers map[string]ssh.PublicKey

func (i issuers) Issuer(name string) (ssh.PublicKey, bool) { key, ok := i[name]; return key, ok }

func trusted(t testing.TB) issuers { return issuers{"exchanged-1": keyOf(t, 1).PublicKey()} }

func exampleIntent() spend.Intent {
	return spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: 41, Issuer: "exchanged-1",
		From: [32]byte(bytes.Repeat([]byte{0xc0}, 32)), To: [32]byte(bytes.Repeat([]byte{0x40}, 32)), ToIndex: 7,
		Amount: money.Sats(1_250_000_000), Proposer: "exchanged-1", CreatedAt: created, ExpiresAt: expires}
}

func intentBytes(t testing.TB, i spend.Intent) []byte {
	t.Helper()
	raw, err := bundle.EncodeIntent(i)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func approve(t testing.TB, who byte, intent []byte) []byte {
	t.Helper()
	armored, err := seal.Sign(keyOf(t, who), seal.Approve, intent, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

func exampleBody(t testing.TB) bundle.Body {
	intent := intentBytes(t, exampleIntent())
	return bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Payload: unhex(t, payloadHex), Proofs: [][]byte{unhex(t, proofHex)},
		Approvals: [][]byte{approve(t, 2, intent), approve(t, 3, intent)}, Issuer: "exchanged-1", SealedAt: created + 120,
		Counters: []bundle.Counter{{Position: 0, Counter: 12}, {Position: 2, Counter: 16}}}
}

func sealed(t testing.TB, b bundle.Body) []byte {
	t.Helper()
	raw, err := bundle.Seal(b, keyOf(t, 1), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// refused fails the test unless err is, or wraps, a refusal with the code.
func refused(t testing.TB, err error, code string) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want a refusal %s", err, code)
	}
}

func TestABundleOpensToWhatWasSealed(t *testing.T) {
	for _, replaces := range [][32]byte{{}, {31: 1}} {
		body := exampleBody(t)
		body.Replaces = replaces
		raw := sealed(t, body)
		opened, err := bundle.Open(raw, trusted(t), now)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(opened.Body, body) || opened.Intent != exampleIntent() {
			t.Errorf("opened %+v", opened)
		}
		if opened.ID != bundle.ID(body.Intent, body.Payload) || opened.Words() != words.Line(opened.ID) {
			t.Errorf("identity %x %s", opened.ID, opened.Words())
		}
	}
}

func TestTheIdentityIsIntentAndPayloadOnly(t *testing.T) {
	body := exampleBody(t)
	id := bundle.ID(body.Intent, body.Payload)
	if bundle.ID(append(body.Intent, body.Payload[0]), body.Payload[1:]) == id || bundle.ID(body.Intent, nil) == id || bundle.ID(nil, body.Payload) == id {
		t.Error("other bytes, same identity")
	}
	body.Approvals, body.Proofs, body.SealedAt = body.Approvals[:1], nil, body.SealedAt+1
	opened, err := bundle.Open(sealed(t, body), trusted(t), now)
	if err != nil || opened.ID != id {
		t.Errorf("identity changed with approvals, proofs or the time of sealing: %v", err)
	}
}

// Attack 063: bytes that change after they were read change nothing.
func TestAttack063AnOpenedBundleIsItsOwn(t *testing.T) {
	raw := sealed(t, exampleBody(t))
	digest := sha256.Sum256(raw)
	opened, err := bundle.Open(raw, trusted(t), now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 0xff
	}
	want := exampleBody(t)
	if opened.Digest != digest || !reflect.DeepEqual(opened.Body, want) || opened.Intent != exampleIntent() {
		t.Error("the opened bundle shares memory with the buffer it came from")
	}
}

// Attack 076: a seal by anybody but the pinned issuer, or over other bytes, or for another purpose.
func TestAttack076OnlyThePinnedIssuerOpens(t *testing.T) {
	body := exampleBody(t)
	raw := sealed(t, body)
	_, err := bundle.Open(raw, issuers{}, now)
	refused(t, err, "issuer-unknown")
	_, err = bundle.Open(raw, issuers{"exchanged-1": nil}, now)
	refused(t, err, "issuer-unknown")
	_, err = bundle.Open(raw, issuers{"exchanged-1": keyOf(t, 9).PublicKey()}, now) // rotated
	refused(t, err, "issuer-key")
	forged, err := bundle.Seal(body, keyOf(t, 9), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bundle.Open(forged, trusted(t), now)
	refused(t, err, "issuer-key")

	e := open(t, raw)
	other, err := seal.Sign(keyOf(t, 1), seal.Answer, e.Body, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for code, change := range map[string]func(*envelope){
		"seal-malformed": func(e *envelope) { e.Seal = nil },
		"seal-namespace": func(e *envelope) { e.Seal = other },
		"seal-invalid":   func(e *envelope) { e.Body = append(bytes.Clone(e.Body), 0) },
		"issuer-unknown": func(e *envelope) { e.Issuer = "exchanged-2" },
	} {
		changed := e
		change(&changed)
		_, err := bundle.Open(pack(t, changed), trusted(t), now)
		refused(t, err, code)
	}
}

// Attack 076: nothing of the body is parsed before its seal is good. A body that is not even CBOR still fails at the
// seal when the seal is wrong, and only then as CBOR.
func TestAttack076TheSealIsVerifiedBeforeTheBodyIsParsed(t *testing.T) {
	for _, body := range [][]byte{nil, {0xff}, bytes.Repeat([]byte{0x9b}, 64), bytes.Repeat([]byte{0x81}, 5000)} {
		e := envelope{Tag: string(seal.Bundle), Issuer: "exchanged-1", Body: body}
		var err error
		if e.Seal, err = seal.Sign(keyOf(t, 9), seal.Bundle, body, rand.Reader); err != nil {
			t.Fatal(err)
		}
		_, err = bundle.Open(pack(t, e), trusted(t), now)
		refused(t, err, "issuer-key")
		_, err = bundle.Open(resealed(t, body), trusted(t), now)
		refused(t, err, "bundle-malformed")
	}
}

func TestEveryTurnedBitOfABundleIsRefused(t *testing.T) {
	raw := sealed(t, exampleBody(t))
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := bundle.Open(raw, trusted(t), now); err == nil {
			t.Fatalf("bit %d turned and the bundle still opens", bit)
		} else if r := (*spend.Refusal)(nil); !errors.As(err, &r) {
			t.Fatalf("bit %d: %v is not a refusal", bit, err)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
	for cut := range raw {
		if _, err := bundle.Open(raw[:cut], trusted(t), now); err == nil {
			t.Fatalf("cut at %d and still opens", cut)
		}
	}
	_, err := bundle.Open(append(raw, 0), trusted(t), now)
	refused(t, err, "bundle-malformed")
}

// Attack 077: there is one decoded object, and it says exactly what was signed.
func TestAttack077WhatIsShownIsWhatWasSigned(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		intent := drawIntent(rt)
		raw, err := bundle.EncodeIntent(intent)
		if err != nil {
			rt.Fatal(err)
		}
		body := bundle.Body{Intent: raw, PayloadKind: bundle.PSBT, Payload: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "payload"),
			Proofs: [][]byte{{1}}, Approvals: [][]byte{approve(t, 2, raw)}, Issuer: intent.Issuer, SealedAt: intent.CreatedAt}
		packed, err := bundle.Seal(body, keyOf(t, 1), rand.Reader)
		if err != nil {
			rt.Fatal(err)
		}
		opened, err := bundle.Open(packed, issuers{intent.Issuer: keyOf(t, 1).PublicKey()}, time.Unix(intent.CreatedAt, 0))
		if err != nil || opened.Intent != intent || !reflect.DeepEqual(opened.Body, body) {
			rt.Fatalf("%+v opened as %+v: %v", body, opened, err)
		}
		if again, err := bundle.EncodeIntent(opened.Intent); err != nil || !bytes.Equal(again, opened.Body.Intent) {
			rt.Fatalf("the intent shown encodes to %x, approved was %x: %v", again, opened.Body.Intent, err)
		}
	})
}

// Attack 078: expired, not yet valid, or made to live too long.
func TestAttack078TimesAreHeld(t *testing.T) {
	raw := sealed(t, exampleBody(t))
	for offset, code := range map[time.Duration]string{
		0: "", 120*time.Second - bundle.SkewMax: "", 3599 * time.Second: "",
		119*time.Second - bundle.SkewMax: "bundle-not-yet-valid",
		-20 * 365 * 24 * time.Hour:       "bundle-not-yet-valid", // a clock that was never set
		time.Hour:                        "bundle-expired",
		1000 * time.Hour:                 "bundle-expired",
	} {
		_, err := bundle.Open(raw, trusted(t), time.Unix(created, 0).Add(offset))
		if code == "" && err != nil || code != "" {
			refusedOrFine(t, err, code)
		}
	}
	opened, err := bundle.Open(raw, trusted(t), now)
	if err != nil || opened.CheckLifetime(time.Hour) != nil {
		t.Errorf("an hour's life is not refused where an hour is allowed: %v", err)
	}
	refused(t, opened.CheckLifetime(time.Hour-time.Second), "bundle-lifetime")

	long := exampleIntent()
	long.ExpiresAt = long.CreatedAt + int64(bundle.LifetimeMax/time.Second) + 1
	_, err = bundle.EncodeIntent(long)
	refused(t, err, "bundle-lifetime")
	for _, at := range []int64{created - 301, expires, expires + 1} {
		body := exampleBody(t)
		body.SealedAt = at
		_, err := bundle.Seal(body, keyOf(t, 1), rand.Reader)
		refused(t, err, "bundle-sealed-outside")
	}
}

func refusedOrFine(t *testing.T, err error, code string) {
	t.Helper()
	if code != "" {
		refused(t, err, code)
	} else if err != nil {
		t.Error(err)
	}
}

// Attack 079: another version is named, beside the one this program reads.
func TestAttack079AnotherVersionIsNamed(t *testing.T) {
	e := open(t, sealed(t, exampleBody(t)))
	for _, tag := range []string{"coldsign-bundle-v2", "coldsign-bundle-v10", "coldsign-bundle-v0"} {
		e.Tag = tag
		_, err := bundle.Open(pack(t, e), trusted(t), now)
		refused(t, err, "bundle-version")
		if err != nil && !(strings.Contains(err.Error(), tag) && strings.Contains(err.Error(), "coldsign-bundle-v1")) {
			t.Errorf("the refusal names one version only: %v", err)
		}
		if bundle.Sniff(pack(t, e)) != bundle.KindBundle {
			t.Errorf("%s is not recognised as a bundle", tag)
		}
	}
	// A field of a later version is not ignored, even when the issuer seals it.
	var fields map[int]any
	if err := cbor.Unmarshal(open(t, sealed(t, exampleBody(t))).Body, &fields); err != nil {
		t.Fatal(err)
	}
	fields[9] = "later"
	_, err := bundle.Open(resealed(t, canonical(t, fields)), trusted(t), now)
	refused(t, err, "bundle-malformed")
}

// Attack 124: the life of a bundle is a field of the intent that people signed; there is no other, and an approval does
// not survive a new one.
func TestAttack124ALongerLifeNeedsNewApprovals(t *testing.T) {
	body := exampleBody(t)
	longer := exampleIntent()
	longer.ExpiresAt += 3600
	body.Intent = intentBytes(t, longer)
	_, err := bundle.Open(sealed(t, body), trusted(t), time.Unix(expires+60, 0))
	refused(t, err, "approval-invalid")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[bundle.Body]()) {
		if name := strings.ToLower(field.Name); strings.Contains(name, "expir") || strings.Contains(name, "until") || strings.Contains(name, "life") {
			t.Errorf("a bundle has a life of its own in %s", field.Name)
		}
	}
	body = exampleBody(t)
	body.Approvals = append(body.Approvals, []byte("approved, please hurry\n"))
	_, err = bundle.Open(sealed(t, body), trusted(t), now)
	refused(t, err, "approval-invalid")
}

// Attack 127: a bundle's own fields have no room for an extended key, a label, a path or any free text.
func TestAttack127ABundleHasNoFreeText(t *testing.T) {
	texts := map[string]string{"Issuer": "name", "PayloadKind": "constant"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[bundle.Body]()) {
		if field.Type.Kind() == reflect.String && texts[field.Name] == "" {
			t.Errorf("%s is text, and nothing bounds it", field.Name)
		}
	}
	xpub := "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
	for _, text := range []string{xpub, "vault label", "m/48h/1h/0h/2h", "Alice", "alice\x1b[2J", "", strings.Repeat("a", 33), ".a", "\u0430lice"} {
		intent := exampleIntent()
		intent.Proposer = text
		_, err := bundle.EncodeIntent(intent)
		refused(t, err, "intent-invalid")
		body := exampleBody(t)
		body.Issuer = text
		_, err = bundle.Seal(body, keyOf(t, 1), rand.Reader)
		refused(t, err, "bundle-malformed")
		body = exampleBody(t)
		body.PayloadKind = text
		_, err = bundle.Seal(body, keyOf(t, 1), rand.Reader)
		refused(t, err, "bundle-payload-kind")
	}
}

func TestLimitsHold(t *testing.T) {
	for name, change := range map[string]func(*bundle.Body){
		"no payload":         func(b *bundle.Body) { b.Payload = nil },
		"huge payload":       func(b *bundle.Body) { b.Payload = make([]byte, 1<<20+1) },
		"empty proof":        func(b *bundle.Body) { b.Proofs = [][]byte{{}} },
		"many proofs":        func(b *bundle.Body) { b.Proofs = make([][]byte, 1001) },
		"huge proof":         func(b *bundle.Body) { b.Proofs = [][]byte{make([]byte, 1<<20+1)} },
		"many approvals":     func(b *bundle.Body) { b.Approvals = make([][]byte, 17) },
		"a long approval":    func(b *bundle.Body) { b.Approvals = [][]byte{make([]byte, seal.ArmoredMax+1)} },
		"an empty approval":  func(b *bundle.Body) { b.Approvals = [][]byte{nil} },
		"an intent too long": func(b *bundle.Body) { b.Intent = make([]byte, 513) },
		"five proofs of 1 M": func(b *bundle.Body) { b.Proofs = slicesOf(5, 1<<20) },
	} {
		body := exampleBody(t)
		change(&body)
		if _, err := bundle.Seal(body, keyOf(t, 1), rand.Reader); err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	_, err := bundle.Open(make([]byte, bundle.BundleMax+1), trusted(t), now)
	refused(t, err, "bundle-too-large")
	body := exampleBody(t)
	body.Proofs = slicesOf(3, 1<<20)
	if _, err := bundle.Open(sealed(t, body), trusted(t), now); err != nil {
		t.Errorf("a large bundle within the limits: %v", err)
	}
}

func slicesOf(n, size int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, size)
	}
	return out
}

// Attack 076: an issuer who is trusted cannot speak for another one, neither outside, inside, nor in the intent.
func TestAttack076AnIssuerSpeaksForItselfOnly(t *testing.T) {
	both := issuers{"exchanged-1": keyOf(t, 1).PublicKey(), "exchanged-2": keyOf(t, 9).PublicKey()}
	e := open(t, sealed(t, exampleBody(t)))
	e.Issuer = "exchanged-2"
	_, err := bundle.Open(pack(t, e), both, now)
	refused(t, err, "issuer-key")
	var seconds error
	if e.Seal, seconds = seal.Sign(keyOf(t, 9), seal.Bundle, e.Body, rand.Reader); seconds != nil {
		t.Fatal(seconds)
	}
	_, err = bundle.Open(pack(t, e), both, now)
	refused(t, err, "issuer-mismatch")

	fields := fieldsOfBody(t)
	fields[1] = "exchanged-2"
	e.Body = canonical(t, fields)
	if e.Seal, seconds = seal.Sign(keyOf(t, 9), seal.Bundle, e.Body, rand.Reader); seconds != nil {
		t.Fatal(seconds)
	}
	_, err = bundle.Open(pack(t, e), both, now)
	refused(t, err, "issuer-mismatch")
	body := exampleBody(t)
	body.Issuer = "exchanged-2"
	_, err = bundle.Seal(body, keyOf(t, 9), rand.Reader)
	refused(t, err, "issuer-mismatch")
}

// A genuine seal does not make a body that breaks the format acceptable.
func TestAGenuineSealDoesNotExcuseABadBody(t *testing.T) {
	for name, c := range map[string]struct {
		code   string
		change func(map[int]any)
	}{
		"no proofs key":      {"bundle-not-canonical", func(f map[int]any) { delete(f, 6) }},
		"null for proofs":    {"bundle-not-canonical", func(f map[int]any) { f[6] = nil }},
		"another payload":    {"bundle-payload-kind", func(f map[int]any) { f[4] = "safe" }},
		"replaces nothing":   {"bundle-malformed", func(f map[int]any) { f[8] = make([]byte, 32) }},
		"replaces a stub":    {"bundle-malformed", func(f map[int]any) { f[8] = []byte{1} }},
		"no payload":         {"bundle-malformed", func(f map[int]any) { f[5] = []byte{} }},
		"an intent of zeros": {"approval-invalid", func(f map[int]any) { f[3] = make([]byte, 64) }},
		"negative time":      {"bundle-sealed-outside", func(f map[int]any) { f[2] = -1 }},
		"time in text":       {"bundle-malformed", func(f map[int]any) { f[2] = "now" }},
	} {
		fields := fieldsOfBody(t)
		c.change(fields)
		_, err := bundle.Open(resealed(t, canonical(t, fields)), trusted(t), now)
		if r := (*spend.Refusal)(nil); !errors.As(err, &r) || r.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	fields := fieldsOfBody(t)
	fields[3], fields[7] = []byte{0xa0}, [][]byte{approve(t, 2, []byte{0xa0})} // approved, sealed, and still not an intent
	_, err := bundle.Open(resealed(t, canonical(t, fields)), trusted(t), now)
	refused(t, err, "intent-not-canonical")
}

func fieldsOfBody(t *testing.T) map[int]any {
	t.Helper()
	var fields map[int]any
	if err := cbor.Unmarshal(open(t, sealed(t, exampleBody(t))).Body, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}
