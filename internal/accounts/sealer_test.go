package accounts_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
)

// Control 82: a stored secret opens only for its account and key, under a key-encryption key, unchanged.
func TestControl082SecretsAreSealedToAccountAndName(t *testing.T) {
	s := sealer(t)
	secret := []byte(name64("secret"))
	sealed := seal(t, 1, "key", secret)
	if got, err := s.Open(1, "key", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, secret[:8]) {
		t.Error("the secret is in its seal")
	}
	if again := seal(t, 1, "key", secret); bytes.Equal(again, sealed) {
		t.Error("two seals are equal")
	}
	if _, err := s.Open(2, "key", sealed); !errors.Is(err, accounts.ErrSealed) {
		t.Error("it opens for another account")
	}
	if _, err := s.Open(1, "kex", sealed); !errors.Is(err, accounts.ErrSealed) {
		t.Error("it opens for another key")
	}
	for bit := range len(sealed) * 8 {
		flipped := bytes.Clone(sealed)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := s.Open(1, "key", flipped); !errors.Is(err, accounts.ErrSealed) {
			t.Errorf("it opens with bit %d flipped", bit)
		}
	}
	for cut := range len(sealed) {
		if _, err := s.Open(1, "key", sealed[:cut]); !errors.Is(err, accounts.ErrSealed) {
			t.Errorf("its first %d bytes open", cut)
		}
	}
}

func TestSealersChangeTheirKey(t *testing.T) {
	old, young := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	sealed := seal(t, 1, "key", []byte("secret")) // under old
	both, err := accounts.NewSealer(young, old)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open(1, "key", sealed); err != nil || string(got) != "secret" {
		t.Error(err)
	}
	renewed, err := both.Seal(rand.Reader, 1, "key", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer(t).Open(1, "key", renewed); err == nil {
		t.Error("the old key still seals")
	}
	if _, err := accounts.NewSealer(old[:31]); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
	if text := fmt.Sprintf("%v %+v %#v", both, both, *both); strings.Contains(text, "7, 7") || strings.Contains(text, "0x7,") || strings.Contains(text, "[8 8") {
		t.Error("printing a sealer shows its key:", text)
	}
	for _, size := range []int{0, 65} {
		if _, err := both.Seal(rand.Reader, 1, "key", make([]byte, size)); err == nil {
			t.Errorf("a secret of %d bytes is sealed", size)
		}
	}
}

func TestSecretsAre64EvenlyDrawnCharacters(t *testing.T) {
	counts := map[rune]int{}
	for range 2000 {
		secret, err := accounts.NewSecret(rand.Reader)
		if err != nil || len(secret) != 64 {
			t.Fatal(secret, err)
		}
		for _, c := range secret {
			counts[c]++
		}
	}
	for c, n := range counts { // 2,065 expected of each; five standard deviations are 225
		if n < 1800 || n > 2330 {
			t.Errorf("%c came %d times", c, n)
		}
	}
	if len(counts) != 62 {
		t.Error(len(counts))
	}
	if _, err := accounts.NewSecret(strings.NewReader("short")); err == nil {
		t.Error("a dry source gives a secret")
	}
	if secret, err := accounts.NewTOTPSecret(rand.Reader); err != nil || len(secret) != accounts.TOTPBytes {
		t.Error(err)
	}
}

// Control 26: a signed request in which one bit is another is refused.
func TestControl026EveryFlippedBitIsRefused(t *testing.T) {
	secret, payload := []byte(name64("secret")), []byte("symbol=BTCUSDT&timestamp=1790000000000")
	mac := hmac.New(sha256.New, secret)
	mac.Write(payload)
	signature := hex.EncodeToString(mac.Sum(nil))
	public, private, _ := ed25519.GenerateKey(nil)
	edSignature := base64.StdEncoding.EncodeToString(ed25519.Sign(private, payload))
	if !accounts.VerifyHMAC(secret, payload, signature) || !accounts.VerifyHMAC(secret, payload, strings.ToUpper(signature)) || !accounts.VerifyEd25519(public, payload, edSignature) {
		t.Fatal("a good signature is refused")
	}
	for bit := range len(payload) * 8 {
		flipped := bytes.Clone(payload)
		flipped[bit/8] ^= 1 << (bit % 8)
		if accounts.VerifyHMAC(secret, flipped, signature) || accounts.VerifyEd25519(public, flipped, edSignature) {
			t.Errorf("bit %d of the payload", bit)
		}
	}
	for _, c := range []struct {
		signature string
		verify    func(string) bool
	}{{signature, func(s string) bool { return accounts.VerifyHMAC(secret, payload, s) }}, {edSignature, func(s string) bool { return accounts.VerifyEd25519(public, payload, s) }}} {
		for bit := range len(c.signature) * 8 {
			flipped := []byte(c.signature)
			flipped[bit/8] ^= 1 << (bit % 8)
			if !strings.EqualFold(string(flipped), c.signature) && c.verify(string(flipped)) {
				t.Errorf("bit %d of signature %s", bit, c.signature)
			}
		}
		for _, bad := range []string{"", c.signature + "\n", "\n" + c.signature, c.signature[1:], c.signature + c.signature} {
			if c.verify(bad) {
				t.Errorf("%q is taken", bad)
			}
		}
	}
	if accounts.VerifyHMAC(nil, payload, signature) || accounts.VerifyEd25519(public[1:], payload, edSignature) {
		t.Error("a key that is none is taken")
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(strings.Repeat("0", 64))
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 64)))
	public, _, _ := ed25519.GenerateKey(nil)
	f.Fuzz(func(t *testing.T, signature string) {
		if accounts.VerifyHMAC([]byte("secret"), []byte("payload"), signature) || accounts.VerifyEd25519(public, []byte("payload"), signature) {
			t.Fatalf("%q was guessed", signature)
		}
	})
}
