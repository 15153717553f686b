package accounts

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// WebAuthn Level 3, sections 7.1 and 7.2, as far as an engine needs them: it has no session, no account chooser and no
// list of trusted makers of authenticators. The rules are written out here instead of taken from a library because they
// are part of the history that a journal describes: a library that learned to be stricter, or more lenient, would give
// another state at the next replay. Of others comes what a standard fixes to the bit: CBOR, SHA-256, ECDSA, Ed25519.
//
// Attestation is not judged, and a registration with attestation "none" is as good as any other. An attestation says who
// made the hardware; it does not say whose it is, which is what the enrolment code and the passkey before say. A list of
// makers would lock customers out, or be waved through.
const (
	clientDataMax    = 4 << 10
	attestationMax   = 16 << 10
	authenticatorMax = 4 << 10
	credentialMax    = 1023 // WebAuthn's own limit
	credentialMin    = 16
	signatureMax     = 128
)

// The flags of authenticator data.
const (
	flagPresent  = 1 << 0 // somebody touched it
	flagVerified = 1 << 2 // and was recognised: PIN, finger, face
	flagSyncable = 1 << 3 // the passkey may be copied to other devices
	flagSynced   = 1 << 4 // and was
	flagAttested = 1 << 6 // a credential follows
	flagExtended = 1 << 7 // extensions follow
)

// The algorithms of COSE that count (RFC 9053). Others are refused, at registration.
const (
	algES256 = -7
	algEdDSA = -8
)

// ceremony is what a customer's browser must have been asked.
type ceremony struct {
	rules     *Rules
	kind      string // webauthn.create or webauthn.get
	challenge [sha256.Size]byte
}

// authenticator is what an authenticator said.
type authenticator struct {
	counter    uint32
	syncable   bool
	credential []byte // at registration
	key        publicKey
}

// publicKey is a credential's: the uncompressed point of P-256 in 65 bytes, or the 32 bytes of Ed25519.
type publicKey struct {
	algorithm int64
	raw       string
}

// register judges what a browser made for a new passkey.
func (c ceremony) register(client, attestation []byte) (authenticator, error) {
	if err := c.client(client); err != nil {
		return authenticator{}, err
	}
	if len(attestation) > attestationMax {
		return authenticator{}, fmt.Errorf("an attestation of %d bytes, at most %d", len(attestation), attestationMax)
	}
	var object struct {
		Format    string          `cbor:"fmt"`
		Statement cbor.RawMessage `cbor:"attStmt"`
		Data      []byte          `cbor:"authData"`
	}
	mode, err := webauthnCBOR()
	if err != nil {
		return authenticator{}, err
	}
	if err := mode.Unmarshal(attestation, &object); err != nil || object.Format == "" || len(object.Statement) == 0 {
		return authenticator{}, errors.New("the attestation is not CBOR of fmt, attStmt and authData")
	}
	if object.Format == "none" && !bytes.Equal(object.Statement, []byte{0xa0}) {
		return authenticator{}, errors.New("attestation none with a statement")
	}
	a, err := c.data(object.Data)
	if err == nil && a.credential == nil {
		err = errors.New("the authenticator made no credential")
	}
	return a, err
}

// assert judges an assertion of a passkey.
func (c ceremony) assert(p *passkey, client, data, signature []byte) (authenticator, error) {
	if err := c.client(client); err != nil {
		return authenticator{}, err
	}
	a, err := c.data(data)
	if err != nil {
		return a, err
	}
	switch sum := sha256.Sum256(client); {
	case a.credential != nil:
		return a, errors.New("the authenticator made a credential where it was asked for a signature")
	case a.syncable != p.syncable:
		return a, errors.New("the passkey was of another kind when it was registered")
	case !p.key.verify(append(data[:len(data):len(data)], sum[:]...), signature):
		return a, errors.New("the signature is not this passkey's")
	case (a.counter != 0 || p.counter != 0) && a.counter <= p.counter:
		return a, fmt.Errorf("the signature counter is %d after %d: there may be a copy of the passkey", a.counter, p.counter)
	}
	return a, nil
}

// client judges what the browser says that it was asked, and by which page.
func (c ceremony) client(raw []byte) error {
	if len(raw) > clientDataMax {
		return fmt.Errorf("client data of %d bytes, at most %d", len(raw), clientDataMax)
	}
	d, ok := readClientData(raw)
	want := base64.RawURLEncoding.EncodeToString(c.challenge[:])
	switch {
	case !ok:
		return errors.New("client data that is no JSON object with each name once")
	case d.kind != c.kind:
		return fmt.Errorf("client data of another kind than %s", c.kind)
	case subtle.ConstantTimeCompare([]byte(d.challenge), []byte(want)) != 1:
		return errors.New("something else was approved than is asked for")
	case !c.rules.isOrigin(d.origin):
		return errors.New("the page is not of this exchange")
	case d.cross:
		return errors.New("the page was inside another one")
	}
	return nil
}

// isOrigin reports whether pages of an origin may ask for passkeys.
func (r *Rules) isOrigin(origin string) bool {
	for _, one := range strings.Split(r.PasskeyOrigins, " ") {
		if one == origin && one != "" {
			return true
		}
	}
	return false
}

// data reads authenticator data: the hash of the relying party 32, flags 1, counter 4, and what the flags announce.
func (c ceremony) data(raw []byte) (a authenticator, err error) {
	if len(raw) < 37 || len(raw) > authenticatorMax {
		return a, fmt.Errorf("authenticator data of %d bytes", len(raw))
	}
	rp, flags := sha256.Sum256([]byte(c.rules.PasskeyRP)), raw[32]
	switch {
	case !bytes.Equal(raw[:32], rp[:]):
		return a, errors.New("the passkey is bound to another site")
	case flags&flagPresent == 0:
		return a, errors.New("nobody touched the authenticator")
	case flags&flagVerified == 0:
		return a, errors.New("the authenticator did not verify its user by PIN, finger or face")
	case flags&flagSynced != 0 && flags&flagSyncable == 0:
		return a, errors.New("the passkey was copied and cannot be")
	}
	a.counter, a.syncable = binary.BigEndian.Uint32(raw[33:]), flags&flagSyncable != 0
	rest := raw[37:]
	if flags&flagAttested != 0 {
		if rest, err = a.attested(rest); err != nil {
			return a, err
		}
	}
	if flags&flagExtended != 0 {
		if rest, err = extensions(rest); err != nil {
			return a, err
		}
	}
	if len(rest) > 0 {
		return a, fmt.Errorf("%d bytes behind the authenticator data", len(rest))
	}
	return a, nil
}

// attested reads a new credential: the model 16, which is not judged, the length of its name 2, its name, its key.
func (a *authenticator) attested(raw []byte) ([]byte, error) {
	if len(raw) < 18 {
		return nil, errors.New("a credential that is cut off")
	}
	size := int(binary.BigEndian.Uint16(raw[16:]))
	if size < credentialMin || size > credentialMax || len(raw) < 18+size {
		return nil, fmt.Errorf("a credential's name of %d bytes, from %d to %d", size, credentialMin, credentialMax)
	}
	a.credential = bytes.Clone(raw[18 : 18+size])
	var rest []byte
	var err error
	a.key, rest, err = readCOSE(raw[18+size:])
	return rest, err
}

// extensions reads one CBOR map and nothing of what it says: none was asked for.
func extensions(raw []byte) ([]byte, error) {
	mode, err := webauthnCBOR()
	if err != nil {
		return nil, err
	}
	var all map[string]cbor.RawMessage
	rest, err := mode.UnmarshalFirst(raw, &all)
	if err != nil {
		return nil, errors.New("extensions that are no CBOR map")
	}
	return rest, nil
}

// readCOSE reads a public key (RFC 9052) from the front of raw: of ES256 on P-256, or EdDSA on Ed25519, with the fields
// of such a key and no other. Of Ed25519 no point is refused: whoever could choose one for which everybody can sign could
// as well choose a key of his own.
func readCOSE(raw []byte) (publicKey, []byte, error) {
	mode, err := webauthnCBOR()
	if err != nil {
		return publicKey{}, nil, err
	}
	var k struct {
		Type      int64  `cbor:"1,keyasint"`
		Algorithm int64  `cbor:"3,keyasint"`
		Curve     int64  `cbor:"-1,keyasint"`
		X         []byte `cbor:"-2,keyasint"`
		Y         []byte `cbor:"-3,keyasint"`
	}
	rest, err := mode.UnmarshalFirst(raw, &k)
	switch {
	case err != nil:
		return publicKey{}, nil, errors.New("a public key that is not COSE")
	case k.Algorithm == algES256 && k.Type == 2 && k.Curve == 1 && len(k.X) == 32 && len(k.Y) == 32:
		point := append(append([]byte{4}, k.X...), k.Y...)
		if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err != nil {
			return publicKey{}, nil, errors.New("a public key that is no point of P-256")
		}
		return publicKey{algES256, string(point)}, rest, nil
	case k.Algorithm == algEdDSA && k.Type == 1 && k.Curve == 6 && len(k.X) == ed25519.PublicKeySize && k.Y == nil:
		return publicKey{algEdDSA, string(k.X)}, rest, nil
	}
	return publicKey{}, nil, fmt.Errorf("a public key of COSE algorithm %d: ES256 on P-256 and EdDSA on Ed25519 count", k.Algorithm)
}

// verify reports whether signature is the key's over message.
func (k publicKey) verify(message, signature []byte) bool {
	if len(signature) > signatureMax {
		return false
	}
	switch k.algorithm {
	case algES256:
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(k.raw))
		sum := sha256.Sum256(message)
		return err == nil && ecdsa.VerifyASN1(public, sum[:], signature)
	case algEdDSA:
		return len(k.raw) == ed25519.PublicKeySize && ed25519.Verify(ed25519.PublicKey(k.raw), message, signature)
	}
	return false
}

// webauthnCBOR is how an authenticator's CBOR is read: each name once, no stream, no tag, nothing deep.
func webauthnCBOR() (cbor.DecMode, error) {
	return cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		MaxArrayElements: 64, MaxMapPairs: 64, MaxNestedLevels: 8}.DecMode()
}
