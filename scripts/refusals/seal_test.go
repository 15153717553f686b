package main

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

func TestRefusalsOfSeal(t *testing.T) {
	message := []byte("the exact bytes")
	verify := func(armored []byte) error {
		_, _, err := seal.Verify(armored, message, seal.Approve)
		return err
	}
	altered := func(change func(*sshsig)) func(*testing.T) error {
		return func(*testing.T) error { return verify(armoured(string(message), change)) }
	}
	parse := func(line string) func(*testing.T) error {
		return func(*testing.T) error { _, err := seal.ParseKey(line); return err }
	}
	page.Check(t, pageOf("internal/seal"), "warmctl", page.Examples{
		"key-malformed": parse("ssh-ed25519 AAAAC3Nza"),
		"seal-hash":     altered(func(w *sshsig) { w.Hash = "sha256" }),
		"seal-invalid": func(t *testing.T) error {
			return verify(sealed(t, edSigner("alice"), seal.Approve, []byte("other bytes")))
		},
		"seal-key-type":  parse("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="),
		"seal-malformed": func(*testing.T) error { return verify([]byte("-----BEGIN PGP SIGNATURE-----\n")) },
		"seal-namespace": altered(func(w *sshsig) { w.Namespace = "file" }),
		"seal-untouched": altered(func(w *sshsig) {
			key := touchKey{"token", "ssh:", 0}
			signature, _ := key.Sign(nil, message)
			w.Key, w.Signature = key.blob(), ssh.Marshal(*signature)
		}),
		"seal-version": altered(func(w *sshsig) { w.Version = 2 }),
	}, *update)
}
