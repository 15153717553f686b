package enginetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

// The site of tests.
const (
	PasskeyHost   = "exchange.example"
	PasskeyOrigin = "https://exchange.example"
)

// Passkey is an authenticator and its browser in software. Tests change its fields to make it say what it should not.
type Passkey struct {
	Host       string // that it is bound to
	Origin     string // of the page that asks
	Flags      byte   // of authenticator data: 1 present, 4 verified, 8 and 16 synced
	Counter    uint32 // of the last signature; it rises with each, unless Still
	Still      bool
	Kind       string // of client data, where it is not the right one
	More       string // behind the members of client data, such as `,"crossOrigin":true`
	Credential []byte
	Algorithm  int // that its public key names, where it is not the right one
	key        crypto.Signer
}

// NewPasskey makes one of ES256, with hardware that counts.
func NewPasskey() *Passkey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	orPanic(err)
	return newPasskey(key)
}

// NewEdPasskey makes one of EdDSA.
func NewEdPasskey() *Passkey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	orPanic(err)
	return newPasskey(key)
}

func newPasskey(key crypto.Signer) *Passkey {
	p := &Passkey{Host: PasskeyHost, Origin: PasskeyOrigin, Flags: 1 | 4, Credential: make([]byte, 32), key: key}
	rand.Read(p.Credential)
	return p
}

// Client returns client data as browsers write it.
func (p *Passkey) Client(kind string, challenge [32]byte) []byte {
	if p.Kind != "" {
		kind = p.Kind
	}
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false%s}`, kind, base64.RawURLEncoding.EncodeToString(challenge[:]), p.Origin, p.More)
}

// data returns authenticator data without a credential.
func (p *Passkey) data(flags byte) []byte {
	if !p.Still {
		p.Counter++
	}
	host := sha256.Sum256([]byte(p.Host))
	return binary.BigEndian.AppendUint32(append(host[:], p.Flags|flags), p.Counter)
}

// COSE returns the public key.
func (p *Passkey) COSE() []byte {
	var fields map[int]any
	switch public := p.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, bad := public.Bytes()
		orPanic(bad)
		fields = map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}
	case ed25519.PublicKey:
		fields = map[int]any{1: 1, 3: -8, -1: 6, -2: []byte(public)}
	}
	if p.Algorithm != 0 {
		fields[3] = p.Algorithm
	}
	raw, err := cbor.Marshal(fields)
	orPanic(err)
	return raw
}

// Register returns what a browser gives for a new passkey.
func (p *Passkey) Register(challenge [32]byte) (client, attestation []byte) {
	data := append(p.data(1<<6), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(p.Credential))), p.Credential...)
	return p.Client("webauthn.create", challenge), Attestation(append(data, p.COSE()...))
}

// Attestation wraps authenticator data without a statement.
func Attestation(data []byte) []byte { return attestation("none", map[string]any{}, data) }

func attestation(format string, statement map[string]any, data []byte) []byte {
	raw, err := cbor.Marshal(map[string]any{"fmt": format, "attStmt": statement, "authData": data})
	orPanic(err)
	return raw
}

// Attested wraps what an attestation without a statement holds into one with a statement of so many bytes.
func Attested(none []byte, size int) []byte {
	var object struct {
		Data []byte `cbor:"authData"`
	}
	orPanic(cbor.Unmarshal(none, &object))
	return attestation("packed", map[string]any{"sig": make([]byte, size)}, object.Data)
}

// Assert signs a challenge.
func (p *Passkey) Assert(challenge [32]byte) (client, data, signature []byte) {
	client, data = p.Client("webauthn.get", challenge), p.data(0)
	return client, data, p.Sign(client, data)
}

// Sign signs what an assertion is over.
func (p *Passkey) Sign(client, data []byte) []byte {
	sum := sha256.Sum256(client)
	message, hash := append(data[:len(data):len(data)], sum[:]...), crypto.Hash(0)
	if _, is := p.key.(*ecdsa.PrivateKey); is {
		digest := sha256.Sum256(message)
		message, hash = digest[:], crypto.SHA256
	}
	signature, err := p.key.Sign(rand.Reader, message, hash)
	orPanic(err)
	return signature
}

// Nonce is that of tests.
func Nonce() []byte { return []byte("0123456789abcdef") }

// Body returns a registration of the passkey for an account.
func (p *Passkey) Body(account exchange.Account, now exchange.Millis) exchange.PasskeyBody {
	b := exchange.PasskeyBody{Label: "phone", Created: now, Nonce: Nonce()}
	b.Client, b.Attestation = p.Register(accounts.RegistrationChallenge(account, now, b.Nonce))
	return b
}

// Approve returns an intent with the passkey's approval.
func (p *Passkey) Approve(intent exchange.CustomerIntent) exchange.ApprovalBody {
	if intent.Nonce == nil {
		intent.Nonce = Nonce()
	}
	b := exchange.ApprovalBody{Intent: Body(intent), Credential: p.Credential}
	b.Client, b.Authenticator, b.Signature = p.Assert(accounts.ApprovalChallenge(intent.Account, b.Intent))
	return b
}
