// Package bundle is the sealed envelope and the answer, byte for byte.
package bundle

import (
	"errors"
	"io"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/spend"
)

// PSBT is the payload kind of a Bitcoin bundle.
const PSBT = "psbt"

// Body is what an issuer seals.
type Body struct {
	Intent      []byte
	PayloadKind string
	Payload     []byte
	Proofs      [][]byte
	Approvals   [][]byte
	Issuer      string
	SealedAt    int64
	Replaces    [32]byte // identity of the bundle that this one replaces; zero when none
}

// Opened is a bundle whose seal, issuer, form and times were good.
type Opened struct {
	Body
	Intent spend.Intent // decoded from Body.Intent, which keeps the exact bytes
	ID     [32]byte
	Digest [32]byte // SHA-256 of the sealed bytes as they arrived
}

// Issuers says which key an issuer seals with.
type Issuers interface {
	Issuer(name string) (ssh.PublicKey, bool)
}

// Words returns the twelve words of the identity.
func (o Opened) Words() string { return "" }

// CheckLifetime refuses an intent that lives longer than max.
func (o Opened) CheckLifetime(max time.Duration) error { return errors.New("bundle: skeleton") }

// ID is the identity of a bundle.
func ID(intent, payload []byte) [32]byte { return [32]byte{} }

// Seal encodes and seals a body.
func Seal(b Body, issuer ssh.Signer, rand io.Reader) ([]byte, error) {
	return nil, errors.New("bundle: skeleton")
}

// Open verifies the seal over the exact bytes, and only then reads them.
func Open(raw []byte, issuers Issuers, now time.Time) (Opened, error) {
	return Opened{}, errors.New("bundle: skeleton")
}

// EncodeIntent returns the bytes that people approve.
func EncodeIntent(i spend.Intent) ([]byte, error) { return nil, errors.New("bundle: skeleton") }

// DecodeIntent reads an intent.
func DecodeIntent(raw []byte) (spend.Intent, error) {
	return spend.Intent{}, errors.New("bundle: skeleton")
}
