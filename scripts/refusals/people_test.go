package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
)

// edKey is the Ed25519 key whose seed is the hash of a name, so that every run has the same fingerprints.
func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// edSigner signs with the Ed25519 key of a name.
func edSigner(name string) ssh.Signer {
	signer, err := ssh.NewSignerFromSigner(edKey(name))
	if err != nil {
		panic(err)
	}
	return signer
}

// touchKey is a security key in software, after OpenSSH's PROTOCOL.u2f, that signs with flags of the test's choice.
type touchKey struct {
	name, application string
	flags             byte
}

func (k touchKey) blob() []byte {
	return ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519, string(edKey(k.name).Public().(ed25519.PublicKey)), k.application})
}

func (k touchKey) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey(k.blob())
	if err != nil {
		panic(err)
	}
	return key
}

func (k touchKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte(k.application)), sha256.Sum256(data)
	tail := binary.BigEndian.AppendUint32([]byte{k.flags}, 7)
	signed := append(append(application[:], tail...), message[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(edKey(k.name), signed), Rest: tail}, nil
}

// sealed signs a message or ends the test.
func sealed(t *testing.T, signer ssh.Signer, ns seal.Namespace, message []byte) []byte {
	t.Helper()
	armored, err := seal.Sign(signer, ns, message, nil)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// sshsig is the content of an SSHSIG, to be written with a mistake in it.
type sshsig struct {
	Magic                     [6]byte
	Version                   uint32
	Key                       []byte
	Namespace, Reserved, Hash string
	Signature                 []byte
}

// armoured is a signature by alice over a message, spelled as ssh-keygen does, after one change to its content.
func armoured(message string, change func(*sshsig)) []byte {
	w := sshsig{Magic: [6]byte([]byte("SSHSIG")), Version: 1, Key: edSigner("alice").PublicKey().Marshal(), Namespace: string(seal.Approve), Hash: "sha512"}
	signature, err := edSigner("alice").Sign(nil, []byte(message))
	if err != nil {
		panic(err)
	}
	w.Signature = ssh.Marshal(*signature)
	change(&w)
	text, out := base64.StdEncoding.EncodeToString(ssh.Marshal(w)), "-----BEGIN SSH SIGNATURE-----\n"
	for ; len(text) > 70; text = text[70:] {
		out += text[:70] + "\n"
	}
	return []byte(out + text + "\n-----END SSH SIGNATURE-----\n")
}

// rosterLine is a line of a roster for the key of a name.
func rosterLine(name, role, device string, public ssh.PublicKey) string {
	return fmt.Sprintf("%s namespaces=\"coldsign-approve-v1\",valid-after=\"20260101Z\",valid-before=\"20280101Z\" %s role=%s site=zurich device=%s\n",
		name, seal.KeyLine(public), role, device)
}
