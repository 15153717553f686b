//go:build cgo && !nopkcs11

package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	btcecdsa "github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"golang.org/x/crypto/ssh"
)

// open makes a token, opens it and logs in.
func open(t *testing.T) (*hsm.Token, hsmtest.Token) {
	t.Helper()
	place := hsmtest.New(t, "treasury")
	token := reopen(t, place)
	if err := token.Login(t.Context(), place.PIN()); err != nil {
		t.Fatal(err)
	}
	return token, place
}

func reopen(t *testing.T, place hsmtest.Token) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(place.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	return token
}

func generate(t *testing.T, token *hsm.Token, label string) hsm.Attestation {
	t.Helper()
	key, err := token.GenerateKey(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verify checks a signature with strict DER parsing and the low-S rule, by btcec.
func verify(der []byte, public [33]byte, digest [32]byte) error {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return err
	}
	if err := btcecdsa.VerifyLowS(der); err != nil {
		return err
	}
	signature, err := btcecdsa.ParseDERSignature(der)
	if err != nil {
		return err
	}
	if !signature.Verify(digest[:], key) {
		return errors.New("signature does not verify")
	}
	return nil
}

// Attack 067: half of a token's raw signatures are high-S; none leaves. No nonce repeats either.
func TestAttack067EverySignatureIsLowSAndFresh(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	seen := map[string]bool{}
	for i := range 256 {
		digest := sha256.Sum256(fmt.Append(nil, i/2)) // each digest twice
		der, err := token.SignDigest(t.Context(), "b", key.Public, digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(der, key.Public, digest); err != nil {
			t.Fatalf("signature %d: %v", i, err)
		}
		r := string(der[4 : 4+der[3]])
		if seen[r] {
			t.Fatalf("signature %d repeats a nonce", i)
		}
		seen[r] = true
	}
}

func TestAKeySurvivesLogoutAndAnotherProcessState(t *testing.T) {
	token, place := open(t)
	key := generate(t, token, "b")
	if err := token.Logout(); err != nil {
		t.Fatal(err)
	}
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); !errors.Is(err, hsm.ErrNotLoggedIn) {
		t.Errorf("signing without a login: %v", err)
	}
	if err := token.Login(t.Context(), place.PIN()); err != nil {
		t.Fatal(err)
	}
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); err != nil {
		t.Errorf("signing after another login: %v", err)
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, place)
	if err := again.Login(t.Context(), place.PIN()); err != nil {
		t.Fatal(err)
	}
	found, err := again.FindKey(t.Context(), "b", key.Public)
	if err != nil || found.Public != key.Public || !bytes.Equal(found.ID, key.ID) {
		t.Errorf("after the module was restarted: %+v, %v", found, err)
	}
}

// Attack 111: what a generated key may do is read back from the token.
func TestAttack111AGeneratedKeyMayOnlySignAndIsBornInTheToken(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	if !key.Sensitive || !key.AlwaysSensitive || key.Extractable || !key.NeverExtractable || !key.Local {
		t.Errorf("the token guards the key so: %+v", key)
	}
	if len(key.Uses) != 1 || key.Uses[0] != "sign" || key.Curve != hsm.Secp256k1 {
		t.Errorf("the key may %v on %s", key.Uses, key.Curve)
	}
	if err := token.TryExport(t.Context(), "b"); !errors.Is(err, hsm.ErrExportRefused) {
		t.Errorf("exporting: %v", err)
	}
}

func TestAuditNamesEachFault(t *testing.T) {
	good := hsm.Attestation{Label: "b", Sensitive: true, AlwaysSensitive: true, NeverExtractable: true, Local: true, Uses: []string{"sign"}}
	if err := good.Audit(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*hsm.Attestation){
		"sensitive":        func(a *hsm.Attestation) { a.Sensitive = false },
		"always-sensitive": func(a *hsm.Attestation) { a.AlwaysSensitive = false },
		"extractable":      func(a *hsm.Attestation) { a.Extractable = true },
		"never":            func(a *hsm.Attestation) { a.NeverExtractable = false },
		"imported":         func(a *hsm.Attestation) { a.Local = false },
		"no use":           func(a *hsm.Attestation) { a.Uses = nil },
		"decrypts":         func(a *hsm.Attestation) { a.Uses = []string{"sign", "decrypt"} },
		"only derives":     func(a *hsm.Attestation) { a.Uses = []string{"derive"} },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Audit(); !errors.Is(err, hsm.ErrKeyUnsafe) {
			t.Errorf("%s passes the audit: %v", name, err)
		}
	}
}

func TestEachDoorThatDoesNotOpenSaysWhy(t *testing.T) {
	place := hsmtest.New(t, "treasury")
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config hsm.Config
		want   error
	}{
		{"no file", hsm.Config{Module: filepath.Join(dir, "missing.so"), TokenLabel: "treasury"}, hsm.ErrModuleMissing},
		{"bare name", hsm.Config{Module: "libsofthsm2.so", TokenLabel: "treasury"}, hsm.ErrModuleMissing},
		{"directory", hsm.Config{Module: dir, TokenLabel: "treasury"}, hsm.ErrNotModule},
		{"text", hsm.Config{Module: text, TokenLabel: "treasury"}, hsm.ErrNotModule},
		{"program", hsm.Config{Module: executable, TokenLabel: "treasury"}, hsm.ErrNotModule},
		{"other label", hsm.Config{Module: place.Module, TokenLabel: "elsewhere"}, hsm.ErrTokenMissing},
		{"empty label", hsm.Config{Module: place.Module}, hsm.ErrTokenMissing},
	} {
		if token, err := hsm.Open(c.config); !errors.Is(err, c.want) || token != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "missing.conf"))
	if _, err := hsm.Open(place.Config()); !errors.Is(err, hsm.ErrModuleFailed) {
		t.Errorf("module without configuration: %v", err)
	}
}

func TestTwoTokensOfOneLabelAreNotGuessedBetween(t *testing.T) {
	place := hsmtest.New(t, "treasury", "treasury")
	if _, err := hsm.Open(place.Config()); !errors.Is(err, hsm.ErrTokenAmbiguous) {
		t.Errorf("opening one of two: %v", err)
	}
}

// A process that is logged in accepts any PIN from the library; Login must not.
func TestAWrongPINIsWrongEvenWhenLoggedIn(t *testing.T) {
	token, place := open(t)
	for _, pin := range []string{"", "1", "864214", "86421308642130"} {
		if err := token.Login(t.Context(), []byte(pin)); !errors.Is(err, hsm.ErrPIN) {
			t.Errorf("PIN %q: %v", pin, err)
		}
	}
	info, err := token.Info()
	if err != nil || !info.PINLow || info.Label != "treasury" {
		t.Errorf("after wrong PINs: %+v, %v", info, err)
	}
	if _, err := token.GenerateKey(t.Context(), "b"); !errors.Is(err, hsm.ErrNotLoggedIn) {
		t.Errorf("generating after a wrong PIN: %v", err)
	}
	if err := token.Login(t.Context(), place.PIN()); err != nil {
		t.Error(err)
	}
}

func TestLabelsAreTakenOnceAndKeysAreFoundOrMissing(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	if _, err := token.GenerateKey(t.Context(), "b"); !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("a second key of one label: %v", err)
	}
	if _, err := token.GenerateP256("b"); !errors.Is(err, hsm.ErrKeyExists) {
		t.Errorf("a P-256 key of a used label: %v", err)
	}
	if _, err := token.Inspect(t.Context(), "c"); !errors.Is(err, hsm.ErrKeyMissing) {
		t.Errorf("a key that is not there: %v", err)
	}
	other := key.Public
	other[0] ^= 1
	if _, err := token.FindKey(t.Context(), "b", other); !errors.Is(err, hsm.ErrKeyMismatch) {
		t.Errorf("another pinned key: %v", err)
	}
	if _, err := token.SignDigest(t.Context(), "b", other, [32]byte{}); !errors.Is(err, hsm.ErrKeyMismatch) {
		t.Errorf("signing for another pinned key: %v", err)
	}
	for _, label := range []string{"", "a b", "a/b", "é", "a\x00", strings.Repeat("a", 41)} {
		if _, err := token.GenerateKey(t.Context(), label); !errors.Is(err, hsm.ErrLabel) {
			t.Errorf("label %q: %v", label, err)
		}
	}
}

// crypto11 cannot list a token that holds a secp256k1 key; finding by label must not care.
func TestP256SignerMakesSSHSIGSignatures(t *testing.T) {
	token, place := open(t)
	generate(t, token, "b")
	made, err := token.GenerateP256("alice")
	if err != nil {
		t.Fatal(err)
	}
	found, err := token.P256Signer("alice")
	if err != nil || !found.Public().(*ecdsa.PublicKey).Equal(made.Public()) {
		t.Fatalf("found %v, %v", found, err)
	}
	signer, err := ssh.NewSignerFromSigner(found)
	if err != nil || signer.PublicKey().Type() != "ecdsa-sha2-nistp256" {
		t.Fatalf("as an SSH signer: %v, %v", signer, err)
	}
	message := sha512.Sum512([]byte("intent"))
	envelope := ssh.Marshal(struct {
		Magic                              [6]byte
		Namespace, Reserved, Hash, Message string
	}{[6]byte{'S', 'S', 'H', 'S', 'I', 'G'}, "coldsign-approve-v1", "", "sha512", string(message[:])})
	for range 20 {
		signature, err := signer.Sign(rand.Reader, envelope)
		if err != nil {
			t.Fatal(err)
		}
		if err := signer.PublicKey().Verify(envelope, signature); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := found.Sign(nil, make([]byte, 48), crypto.SHA384); err == nil {
		t.Error("a digest of 48 bytes was signed")
	}
	if _, err := token.P256Signer("b"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("a secp256k1 key as a P-256 signer: %v", err)
	}
	if _, err := token.Inspect(t.Context(), "alice"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("a P-256 key as a chain key: %v", err)
	}
	if err := token.Logout(); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(rand.Reader, envelope); !errors.Is(err, hsm.ErrNotLoggedIn) {
		t.Errorf("signing after logout: %v", err)
	}
	if err := token.Login(t.Context(), place.PIN()); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(rand.Reader, envelope); err != nil {
		t.Errorf("signing after another login: %v", err)
	}
}

func TestManyGoroutinesSignFindAndGenerate(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	if _, err := token.GenerateP256("receipt"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 25 {
				digest := sha256.Sum256(fmt.Append(nil, worker, i))
				der, err := token.SignDigest(t.Context(), "b", key.Public, digest)
				if err == nil {
					err = verify(der, key.Public, digest)
				}
				if err == nil && i%5 == 0 {
					_, err = token.FindKey(t.Context(), "b", key.Public)
				}
				if err == nil && i%12 == 0 {
					_, err = token.GenerateKey(t.Context(), fmt.Sprintf("w%d-%d", worker, i))
				}
				if err == nil && i%6 == 0 {
					_, err = token.P256Signer("receipt")
				}
				if err != nil {
					t.Errorf("worker %d, turn %d: %v", worker, i, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// C_Finalize beside a running C_Sign ends the process with a fault; Close waits instead.
func TestCloseUnderLoadEndsEveryCallerCleanly(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	var group sync.WaitGroup
	started := make(chan struct{}, 8)
	for range 8 {
		group.Go(func() {
			for i := 0; ; i++ {
				_, err := token.SignDigest(context.Background(), "b", key.Public, [32]byte{1})
				if i == 0 {
					started <- struct{}{}
				}
				if errors.Is(err, hsm.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("signing: %v", err)
					return
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
	if err := token.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := token.Info(); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("Info after Close: %v", err)
	}
	if err := token.Login(t.Context(), []byte(hsmtest.UserPIN)); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("Login after Close: %v", err)
	}
}

func TestACancelledContextSignsNothing(t *testing.T) {
	token, _ := open(t)
	key := generate(t, token, "b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if der, err := token.SignDigest(ctx, "b", key.Public, [32]byte{}); !errors.Is(err, context.Canceled) || der != nil {
		t.Errorf("%x, %v", der, err)
	}
}

func TestARemovedTokenIsCalledRemoved(t *testing.T) {
	token, place := open(t)
	key := generate(t, token, "b")
	if err := os.RemoveAll(filepath.Join(filepath.Dir(place.Conf), "tokens")); err != nil {
		t.Fatal(err)
	}
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); !errors.Is(err, hsm.ErrTokenRemoved) {
		t.Errorf("signing: %v", err)
	}
	if _, err := token.Info(); !errors.Is(err, hsm.ErrTokenRemoved) {
		t.Errorf("info: %v", err)
	}
	if err := token.Login(t.Context(), place.PIN()); !errors.Is(err, hsm.ErrTokenRemoved) {
		t.Errorf("login: %v", err)
	}
}
