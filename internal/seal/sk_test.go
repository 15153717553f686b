package seal_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/big"
	"testing"

	"github.com/coldsign/coldsign/internal/seal"
	"golang.org/x/crypto/ssh"
)

// softSK is a security key in software, written from OpenSSH's PROTOCOL.u2f: it signs
// SHA-256(application) || flags || counter || SHA-256(message) and appends flags and counter to the signature.
type softSK struct {
	ed          ed25519.PrivateKey // or
	ec          *ecdsa.PrivateKey
	application string
	flags       byte
	counter     uint32
}

func newSKEd25519(t testing.TB) *softSK {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &softSK{ed: key, application: "ssh:", flags: 0x05, counter: 7}
}

func newSKP256(t testing.TB) *softSK {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &softSK{ec: key, application: "ssh:", flags: 0x05, counter: 7}
}

func (k *softSK) PublicKey() ssh.PublicKey {
	var blob []byte
	if k.ed != nil {
		blob = ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519,
			string(k.ed.Public().(ed25519.PublicKey)), k.application})
	} else {
		point, err := k.ec.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		blob = ssh.Marshal(struct{ Type, Curve, Key, Application string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(point), k.application})
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		panic(err)
	}
	return key
}

func (k *softSK) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte(k.application)), sha256.Sum256(data)
	tail := binary.BigEndian.AppendUint32([]byte{k.flags}, k.counter)
	signed := append(append(application[:], tail...), message[:]...)
	if k.ed != nil {
		return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.ed, signed), Rest: tail}, nil
	}
	digest := sha256.Sum256(signed)
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, digest[:])
	return &ssh.Signature{Format: ssh.KeyAlgoSKECDSA256, Blob: ssh.Marshal(struct{ R, S *big.Int }{r, s}), Rest: tail}, err
}

// signed returns the inner signature alone.
func (k *softSK) signed(t testing.TB, ns seal.Namespace, message string) []byte {
	t.Helper()
	signature, err := k.Sign(nil, seal.SignedBytes(ns, []byte(message)))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.Marshal(*signature)
}
