package keystore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	abandon12  = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	passphrase = "correct horse battery"

	// HKDF-SHA256 of 16 zero bytes, no salt, info coldsign/receipt/v1, as an Ed25519 seed; computed with another program.
	receiptOfAbandon = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHdEbqprIwSoWE4xPWFz7hLa0dRkgUcU2AiDQTBswtGr"
)

// stream is a generator with a known seed: every test that uses it gives the same bytes on every machine.
type stream struct {
	seed  string
	count uint64
}

func (s *stream) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.count))
		s.count++
		n += copy(p[n:], block[:])
	}
	return len(p), nil
}

// constant is a generator that is stuck.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func secret(text string) Secret { return NewSecret([]byte(text)) }

func newStore(t *testing.T) *Store {
	t.Helper()
	store, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func creation(name string, random io.Reader) Creation {
	return Creation{Name: name, Network: spend.BitcoinRegtest, Passphrase: secret(passphrase), Params: TestParams(), Rand: random}
}

func entropyFixture(seed string) Entropy {
	return Entropy{Kernel: &stream{seed: seed + "kernel"}, Device: &stream{seed: seed + "device"}}
}

// withAbandon is a store that holds the seed of BIP39's first vector as key A.
func withAbandon(t *testing.T) *Store {
	t.Helper()
	store := newStore(t)
	if _, err := store.Import(creation("A", &stream{seed: "salt"}), ParseMnemonic(abandon12)); err != nil {
		t.Fatal(err)
	}
	return store
}

func unlock(t *testing.T, store *Store, name string) *Key {
	t.Helper()
	key, err := store.Unlock(name, secret(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = key.Close() })
	return key
}

func refused(t *testing.T, what string, err error, code string) {
	t.Helper()
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("%s: %v, want the refusal %s", what, err, code)
	}
}

func fileOf(t *testing.T, store *Store, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(store.dir, name+extension))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// replace puts other bytes in the place of a key file.
func replace(t *testing.T, store *Store, name string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(store.dir, name+extension), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
