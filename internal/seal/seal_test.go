package seal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

func edSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, key)
}

func p256Signer(t testing.TB) ssh.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, key)
}

func signerOf(t testing.TB, key any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// refused fails the test unless err is a refusal with the code.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want a refusal %s", err, code)
	}
}

func sign(t testing.TB, signer ssh.Signer, ns seal.Namespace, message string) []byte {
	t.Helper()
	armored, err := seal.Sign(signer, ns, []byte(message), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// everyKind is one signer of each allowed type.
func everyKind(t testing.TB) map[string]ssh.Signer {
	return map[string]ssh.Signer{
		"ed25519": edSigner(t), "p256": p256Signer(t),
		"sk-ed25519": newSKEd25519(t), "sk-p256": newSKP256(t),
	}
}

func TestASignatureVerifiesForItsKeyMessageAndPurposeOnly(t *testing.T) {
	for name, signer := range everyKind(t) {
		armored := sign(t, signer, seal.Approve, "the intent")
		key, flags, err := seal.Verify(armored, []byte("the intent"), seal.Approve)
		if err != nil || !seal.Same(key, signer.PublicKey()) {
			t.Errorf("%s: %v %v", name, key, err)
		}
		if flags.Hardware != strings.HasPrefix(name, "sk-") {
			t.Errorf("%s: flags %+v", name, flags)
		}
		_, _, err = seal.Verify(armored, []byte("the intent."), seal.Approve)
		refused(t, err, "seal-invalid")
		_, _, err = seal.Verify(armored, []byte("the intent"), seal.Bundle)
		refused(t, err, "seal-namespace")
	}
	_, _, err := seal.Verify(nil, nil, "file")
	refused(t, err, "seal-namespace")
	if _, err := seal.Sign(edSigner(t), "file", nil, rand.Reader); err == nil {
		t.Error("signed for a purpose that Coldsign does not have")
	}
}

func TestSecurityKeyFlagsAndCounterAreSigned(t *testing.T) {
	for name, signer := range map[string]*softSK{"ed25519": newSKEd25519(t), "p256": newSKP256(t)} {
		signer.counter, signer.flags = 0x01020304, 0x05
		armored := sign(t, signer, seal.Approve, "m")
		_, flags, err := seal.Verify(armored, []byte("m"), seal.Approve)
		if err != nil || flags != (seal.Flags{Hardware: true, UserPresent: true, UserVerified: true, Counter: 0x01020304}) {
			t.Errorf("%s: %+v %v", name, flags, err)
		}
		// Somebody who holds the signature cannot add verification to it, or turn the counter.
		for offset := 1; offset <= 5; offset++ {
			blob := dearmor(t, armored)
			blob[len(blob)-offset] ^= 0x10
			_, _, err = seal.Verify(rearmor(blob), []byte("m"), seal.Approve)
			refused(t, err, "seal-invalid")
		}
		signer.flags = 0x01
		_, flags, err = seal.Verify(sign(t, signer, seal.Approve, "m"), []byte("m"), seal.Approve)
		if err != nil || flags.UserVerified {
			t.Errorf("%s without a PIN: %+v %v", name, flags, err)
		}
	}
}

func TestAnUntouchedSecurityKeyIsRefused(t *testing.T) {
	signer := newSKEd25519(t)
	armored := sign(t, signer, seal.Approve, "m")
	signer.flags = 0x04
	blob := replaceInner(t, dearmor(t, armored), signer.signed(t, seal.Approve, "m"))
	_, _, err := seal.Verify(rearmor(blob), []byte("m"), seal.Approve)
	refused(t, err, "seal-untouched")
	if _, err := seal.Sign(signer, seal.Approve, []byte("m"), rand.Reader); err == nil {
		t.Error("an untouched key sealed")
	}
}

// Attack 076: algorithm confusion. The inner algorithm, the hash and the key type are not the attacker's to choose.
func TestAttack076AlgorithmConfusionIsRefused(t *testing.T) {
	ed := edSigner(t)
	armored := sign(t, ed, seal.Bundle, "m")
	swap := func(old, new string) []byte {
		blob := dearmor(t, armored)
		if bytes.Count(blob, []byte(old)) == 0 || len(old) != len(new) {
			t.Fatalf("cannot swap %q", old)
		}
		return rearmor(bytes.ReplaceAll(blob, []byte(old), []byte(new)))
	}
	for code, forged := range map[string][]byte{
		"seal-hash":      swap("sha512", "sha256"),
		"seal-namespace": swap("bundle", "answer"),
		"seal-version":   swap("SSHSIG\x00\x00\x00\x01", "SSHSIG\x00\x00\x00\x02"),
		"seal-key-type":  swap("ssh-ed25519", "ssh-mldsa44"),
	} {
		_, _, err := seal.Verify(forged, []byte("m"), seal.Bundle)
		refused(t, err, code)
	}
	// The key stays ed25519, only the inner signature claims another algorithm.
	inner := ssh.Marshal(ssh.Signature{Format: "rsa-sha2-512", Blob: make([]byte, 64)})
	_, _, err := seal.Verify(rearmor(replaceInner(t, dearmor(t, armored), inner)), []byte("m"), seal.Bundle)
	refused(t, err, "seal-key-type")
}

func TestOtherKeyTypesAreRefused(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []any{rsaKey, p384} {
		signer := signerOf(t, key)
		if _, err := seal.Sign(signer, seal.Approve, nil, rand.Reader); err == nil {
			t.Errorf("a %s key sealed", signer.PublicKey().Type())
		}
		_, err := seal.ParseKey(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		refused(t, err, "seal-key-type")
	}
	web := newSKEd25519(t)
	web.application = "https://example.com"
	_, err = seal.ParseKey(seal.KeyLine(web.PublicKey()))
	refused(t, err, "seal-key-type")
}

func TestEveryOtherSpellingOfASignatureIsRefused(t *testing.T) {
	for name, signer := range everyKind(t) {
		armored := sign(t, signer, seal.Approve, "m")
		for bit := range len(armored) * 8 {
			flipped := bytes.Clone(armored)
			flipped[bit/8] ^= 1 << (bit % 8)
			if _, _, err := seal.Verify(flipped, []byte("m"), seal.Approve); err == nil {
				t.Fatalf("%s: bit %d turned and the signature still verifies", name, bit)
			}
		}
		for cut := range armored {
			if _, _, err := seal.Verify(armored[:cut], []byte("m"), seal.Approve); err == nil {
				t.Fatalf("%s: cut at %d", name, cut)
			}
		}
		blob := dearmor(t, armored)
		text := string(armored)
		for what, other := range map[string]string{
			"newline after":   text + "\n",
			"newline before":  "\n" + text,
			"windows lines":   strings.ReplaceAll(text, "\n", "\r\n"),
			"no last newline": strings.TrimSuffix(text, "\n"),
			"wider lines":     strings.Replace(text, "\n", "", 2),
			"pem headers":     strings.Replace(text, "\n", "\nComment: x\n\n", 1),
			"trailing bytes":  string(rearmor(append(bytes.Clone(blob), 0))),
			"too long":        text + strings.Repeat(" ", seal.ArmoredMax),
		} {
			_, _, err := seal.Verify([]byte(other), []byte("m"), seal.Approve)
			if err == nil {
				t.Errorf("%s: %s accepted", name, what)
			}
		}
	}
}

// x/crypto reads integers with leading zeros and ignores bytes after a plain signature; both would give one approval
// many spellings.
func TestLooseInnerSignaturesAreRefused(t *testing.T) {
	ed, p256 := edSigner(t), p256Signer(t)
	armored := sign(t, ed, seal.Approve, "m")
	inner := innerOf(t, dearmor(t, armored))
	_, _, err := seal.Verify(rearmor(replaceInner(t, dearmor(t, armored), append(inner, 1, 0, 0, 0, 0))), []byte("m"), seal.Approve)
	refused(t, err, "seal-malformed")

	armored = sign(t, p256, seal.Approve, "m")
	var signature ssh.Signature
	var numbers struct{ R, S *big.Int }
	if err := errors.Join(ssh.Unmarshal(innerOf(t, dearmor(t, armored)), &signature), ssh.Unmarshal(signature.Blob, &numbers)); err != nil {
		t.Fatal(err)
	}
	signature.Blob = ssh.Marshal(struct{ R, S []byte }{append([]byte{0, 0}, numbers.R.Bytes()...), append([]byte{0, 0}, numbers.S.Bytes()...)})
	if err := p256.PublicKey().Verify(seal.SignedBytes(seal.Approve, []byte("m")), &signature); err != nil {
		t.Fatalf("the library became strict, so this test shows nothing: %v", err)
	}
	_, _, err = seal.Verify(rearmor(replaceInner(t, dearmor(t, armored), ssh.Marshal(signature))), []byte("m"), seal.Approve)
	refused(t, err, "seal-malformed")
}

func TestKeysAreReadStrictly(t *testing.T) {
	for name, signer := range everyKind(t) {
		line := seal.KeyLine(signer.PublicKey())
		for _, good := range []string{line, line + "\n", line + " alice@laptop\n"} {
			key, err := seal.ParseKey(good)
			if err != nil || !seal.Same(key, signer.PublicKey()) || seal.KeyLine(key) != line {
				t.Errorf("%s: %q: %v", name, good, err)
			}
		}
		for _, bad := range []string{"", "x", line + "\r\n", line + "\n\n", "restrict " + line, line[:len(line)-4],
			strings.Replace(line, "A", "\n", 1), "ssh-ed25519 " + strings.Fields(seal.KeyLine(newSKP256(t).PublicKey()))[1],
			line + strings.Repeat("x", 1024)} {
			if key, err := seal.ParseKey(bad); err == nil {
				t.Errorf("%s: %q was read as %s", name, bad, seal.Fingerprint(key))
			}
		}
	}
}

// Attack 120: any bytes are read without a panic, and what is accepted has one spelling.
func FuzzVerify(f *testing.F) {
	message := []byte("m")
	for _, signer := range everyKind(f) {
		f.Add(sign(f, signer, seal.Approve, string(message)))
	}
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, armored []byte) {
		key, _, err := seal.Verify(armored, message, seal.Approve)
		if err == nil {
			if !bytes.Equal(rearmor(dearmor(t, armored)), armored) {
				t.Errorf("a second spelling verifies: %q", armored)
			}
			if again, err := seal.ParseKey(seal.KeyLine(key)); err != nil || !seal.Same(again, key) {
				t.Errorf("its key does not read back: %v", err)
			}
			return
		}
		var r *spend.Refusal
		if !errors.As(err, &r) {
			t.Errorf("%v is not a refusal", err)
		}
	})
}

// Attack 120, for keys.
func FuzzParseKey(f *testing.F) {
	for _, signer := range everyKind(f) {
		f.Add(seal.KeyLine(signer.PublicKey()))
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := seal.ParseKey(line)
		if err == nil && !strings.HasPrefix(line, seal.KeyLine(key)) {
			t.Errorf("%q reads as %q", line, seal.KeyLine(key))
		}
	})
}

// dearmor and rearmor are written here again, loosely, so that tests can build what the room would never write.
func dearmor(t testing.TB, armored []byte) []byte {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(armored)), "\n")
	blob, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-1], ""))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func rearmor(blob []byte) []byte {
	text, out := base64.StdEncoding.EncodeToString(blob), "-----BEGIN SSH SIGNATURE-----\n"
	for ; len(text) > 70; text = text[70:] {
		out += text[:70] + "\n"
	}
	return []byte(out + text + "\n-----END SSH SIGNATURE-----\n")
}

type looseWire struct {
	Magic                          [6]byte
	Version                        uint32
	Key, Namespace, Reserved, Hash string
	Inner                          []byte
}

func innerOf(t testing.TB, blob []byte) []byte {
	t.Helper()
	var w looseWire
	if err := ssh.Unmarshal(blob, &w); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(w.Inner)
}

func replaceInner(t testing.TB, blob, inner []byte) []byte {
	t.Helper()
	var w looseWire
	if err := ssh.Unmarshal(blob, &w); err != nil {
		t.Fatal(err)
	}
	w.Inner = inner
	return ssh.Marshal(w)
}
