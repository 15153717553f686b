package keystore

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// inKeys returns an act on a store in the folder "keys", so that refusals name the same folder in every run.
func inKeys(act func(*Store) error) func(*testing.T) error {
	return func(t *testing.T) error {
		t.Chdir(t.TempDir())
		if err := os.Mkdir("keys", 0o700); err != nil {
			return err
		}
		store, err := Open("keys", nil)
		if err != nil {
			return err
		}
		if _, err := store.Import(creation("a", &stream{seed: "salt"}), ParseMnemonic(abandon12)); err != nil {
			return err
		}
		return act(store)
	}
}

// imports returns an act that imports a seed as the key "b", after one change to what is asked.
func imports(words string, change func(*Creation)) func(*testing.T) error {
	return inKeys(func(s *Store) error {
		c := creation("b", &stream{seed: "salt"})
		change(&c)
		_, err := s.Import(c, ParseMnemonic(words))
		return err
	})
}

// The examples of docs/refusals/keystore.md.
func TestRefusalsOfKeystore(t *testing.T) {
	as := func(*Creation) {}
	page.Check(t, "../../../../docs/refusals/keystore.md", "coldsign", page.Examples{
		"entropy-weak": inKeys(func(s *Store) error {
			_, _, err := s.Create(creation("b", &stream{seed: "salt"}), Entropy{Kernel: constant(0), Device: &stream{seed: "device"}})
			return err
		}),
		"key-exists": imports(abandon12, func(c *Creation) { c.Name = "a" }),
		"key-file-kdf": imports(abandon12, func(c *Creation) {
			c.Network = spend.BitcoinMainnet
		}),
		"key-file-unreadable": inKeys(func(s *Store) error {
			if err := os.WriteFile("keys/a.json", []byte(`{"coldsign": "keystore/v9"}`), 0o600); err != nil {
				return err
			}
			_, err := s.Info("a")
			return err
		}),
		"key-locked": inKeys(func(s *Store) error { _, err := s.Unlock("a", secret("another passphrase")); return err }),
		"key-mismatch": inKeys(func(s *Store) error {
			info, err := s.Info("a")
			if err != nil {
				return err
			}
			f, err := seal(creation("a", &stream{seed: "salt"}), info.Record, make([]byte, 32)) // another seed under the record of a
			if err != nil {
				return err
			}
			if err := os.WriteFile("keys/a.json", f.encode(), 0o600); err != nil {
				return err
			}
			_, err = s.Unlock("a", secret(passphrase))
			return err
		}),
		"key-missing": inKeys(func(s *Store) error { _, err := s.Info("zurich"); return err }),
		"key-name":    imports(abandon12, func(c *Creation) { c.Name = "../a" }),
		"passphrase-short": imports(abandon12, func(c *Creation) {
			c.Network, c.Params, c.Passphrase = spend.BitcoinMainnet, DefaultParams(), secret("secret")
		}),
		"seed-checksum": imports(strings.Replace(abandon12, "about", "abandon", 1), as),
		"seed-words":    imports(strings.Replace(abandon12, "about", "abuot", 1), as),
		"signature-fault": inKeys(func(s *Store) error {
			key, err := s.Unlock("a", secret(passphrase))
			if err != nil {
				return err
			}
			defer key.Close()
			other, err := key.Record().PubKey(wallet.Receive, 1)
			if err != nil {
				return err
			}
			_, err = key.SignAt(context.Background(), []Request{{Place{Branch: wallet.Receive, Index: 0, PubKey: other}, [32]byte{1}}})
			return err
		}),
	}, *update)
}
