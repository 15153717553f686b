package keystore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// liar is a token that can be told to misbehave as no honest one does.
type liar struct {
	chain   *btcec.PrivateKey // what it signs with, whatever key is pinned
	receipt *ecdsa.PrivateKey
	signErr error
	closed  int
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	chain, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &liar{chain: chain, receipt: receipt}
}

func (l *liar) SignDigest(_ context.Context, _ string, _ [33]byte, digest [32]byte) ([]byte, error) {
	return signLowR(l.chain, digest).Serialize(), l.signErr
}

func (l *liar) P256Signer(string) (crypto.Signer, error) { return l.receipt, nil }

func (l *liar) Close() error { l.closed++; return nil }

func place() TokenKey {
	return TokenKey{Module: "/usr/lib/softhsm/libsofthsm2.so", Label: "treasury", Key: "b", Receipt: "b-receipt"}
}

func (l *liar) creation() TokenCreation {
	return TokenCreation{Name: "B", Network: spend.BitcoinRegtest, Where: place(), Public: [33]byte(l.chain.PubKey().SerializeCompressed())}
}

func TestATokenThatSignsWithAnotherKeyIsNotPinned(t *testing.T) {
	store, token := newStore(t), newLiar(t)
	c := token.creation()
	other, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	c.Public = [33]byte(other.PubKey().SerializeCompressed())
	_, err = store.AddToken(t.Context(), c, token)
	refused(t, "a public key that the token does not hold", err, "key-proof")
	if list, err := store.List(); err != nil || len(list) != 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}
}

func TestATokenThatWasExchangedIsNotUnlocked(t *testing.T) {
	token := newLiar(t)
	var opened *liar
	store, err := Open(t.TempDir(), func(module, label string, pin []byte) (Token, error) {
		if module != place().Module || label != "treasury" || string(pin) != "1234" {
			t.Errorf("opened %s, %s with PIN %q", module, label, pin)
		}
		return opened, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddToken(t.Context(), token.creation(), token); err != nil {
		t.Fatal(err)
	}
	opened = token
	key, err := store.Unlock("B", secret("1234"))
	if err != nil {
		t.Fatal(err)
	}
	stranger := newLiar(t)
	token.chain, stranger.chain = stranger.chain, token.chain // from now on it signs with another key
	if der, _, err := key.Sign(t.Context(), wallet.Receive, 0, [32]byte{1}); err == nil {
		t.Errorf("another key's signature left: %x", der)
	} else {
		refused(t, "another key's signature", err, "signature-fault")
	}
	if err := key.Close(); err != nil || token.closed != 1 {
		t.Errorf("closed %d times, %v", token.closed, err)
	}
	_, err = store.Unlock("B", secret("1234"))
	refused(t, "another chain key", err, "signature-fault")
	opened = stranger
	_, err = store.Unlock("B", secret("1234"))
	refused(t, "another receipt key", err, "key-mismatch")
	if token.closed != 2 || stranger.closed != 1 {
		t.Errorf("tokens that were refused stay open: %d, %d", token.closed, stranger.closed)
	}
}

func TestErrorsOfATokenComeThrough(t *testing.T) {
	token, wrongPIN := newLiar(t), errors.New("the PIN is wrong")
	dir := t.TempDir()
	store, err := Open(dir, func(string, string, []byte) (Token, error) { return nil, wrongPIN })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddToken(t.Context(), token.creation(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Unlock("B", secret("0")); !errors.Is(err, wrongPIN) {
		t.Errorf("a wrong PIN: %v", err)
	}
	without, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := without.Unlock("B", secret("0")); !errors.Is(err, ErrNoTokens) {
		t.Errorf("without PKCS#11: %v", err)
	}
	removed := errors.New("the token was removed")
	token.signErr = removed
	c := token.creation()
	c.Name = "C"
	if _, err := store.AddToken(t.Context(), c, token); !errors.Is(err, removed) {
		t.Errorf("a token that was removed: %v", err)
	}
}

func TestPlacesOfTokenKeysArePlainText(t *testing.T) {
	token, store := newLiar(t), newStore(t)
	for name, spoil := range map[string]func(*TokenKey){
		"relative module":  func(k *TokenKey) { k.Module = "libsofthsm2.so" },
		"no module":        func(k *TokenKey) { k.Module = "" },
		"escape in module": func(k *TokenKey) { k.Module = "/usr/\x1b[2J" },
		"no label":         func(k *TokenKey) { k.Label = "" },
		"long label":       func(k *TokenKey) { k.Label = "012345678901234567890123456789012" },
		"bidi label":       func(k *TokenKey) { k.Label = "a\u202eb" },
		"no key":           func(k *TokenKey) { k.Key = "" },
		"no receipt":       func(k *TokenKey) { k.Receipt = "" },
		"one label twice":  func(k *TokenKey) { k.Receipt = k.Key },
	} {
		c := token.creation()
		spoil(&c.Where)
		_, err := store.AddToken(t.Context(), c, token)
		refused(t, name, err, "key-file-unreadable")
	}
	if _, err := store.AddToken(t.Context(), token.creation(), token); err != nil {
		t.Fatal(err)
	}
	raw := fileOf(t, store, "B")
	_, err := decode(bytes.Replace(raw, []byte(`"treasury"`), []byte(`"trea\u0007ury"`), 1))
	refused(t, "a control character in the file", err, "key-file-unreadable")
	_, err = decode(bytes.Replace(raw, []byte(`"kind": "token"`), []byte(`"kind": "software"`), 1))
	refused(t, "another kind", err, "key-file-unreadable")
}
