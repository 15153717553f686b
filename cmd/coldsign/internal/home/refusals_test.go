package home_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// fixed is the receipt key of a seed that repeats one byte.
func fixed(t *testing.T, seed byte) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// pinned returns an act that reads the one pinned file of a home, after something was done to the home.
func pinned(change func(dir string) error, receipt byte) func(*testing.T) error {
	return func(t *testing.T) error {
		dir := t.TempDir()
		h, err := home.Create(dir, spend.BitcoinRegtest)
		if err != nil {
			return err
		}
		ledger, err := h.Ledger(true)
		if err != nil {
			return err
		}
		defer ledger.Close()
		pin := home.Pin{Kind: home.IssuerPin, Name: "exchanged-1", Data: []byte("issuer file")}
		if err := h.Pin(ledger, time.Unix(1_800_000_000, 0), pin, home.Signatory{Key: "a", Receipt: fixed(t, 1)}, nil); err != nil {
			return err
		}
		if err := change(dir); err != nil {
			return err
		}
		_, err = h.Pins(ledger, home.IssuerPin, "a", fixed(t, receipt).PublicKey())
		return err
	}
}

// The examples of docs/refusals/home.md.
func TestRefusalsOfHome(t *testing.T) {
	page.Check(t, "../../../../docs/refusals/home.md", "coldsign", page.Examples{
		"pin-changed": pinned(func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "pins", "issuer", "*"))
			if err != nil {
				return err
			}
			return os.WriteFile(files[0], []byte("issuer of a thief"), 0o600)
		}, 1),
		"pin-unsealed": pinned(func(string) error { return nil }, 2),
	}, *update)
}
