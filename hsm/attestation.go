package hsm

import (
	"encoding/asn1"
	"fmt"
	"strings"
)

// Config says which token to open.
type Config struct {
	Module     string // absolute path of the PKCS#11 module; empty finds SoftHSM in its usual places
	TokenLabel string
}

// Info is what a token says about itself. The flags about the PIN may be shown before a PIN is asked for.
type Info struct {
	Label        string
	Serial       string
	Model        string
	Manufacturer string
	PINLow       bool // at least one wrong PIN since the last good one
	PINFinalTry  bool // one more wrong PIN locks it
	PINLocked    bool
}

// Curve is an elliptic curve that this package makes keys on.
type Curve string

// The two curves.
const (
	Secp256k1 Curve = "secp256k1" // chain keys
	P256      Curve = "P-256"     // people's approvals and receipts
)

// oid returns the DER of the curve's object identifier, as CKA_EC_PARAMS carries it.
func (c Curve) oid() []byte {
	if c == Secp256k1 {
		return []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}
	}
	return []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
}

// Attestation is what the token says of a key. It is an assertion of the module, not a cryptographic attestation.
type Attestation struct {
	Label            string
	ID               []byte
	Curve            Curve
	Public           [33]byte // compressed; read from the token, so a hint until a signature has proven it
	Sensitive        bool
	AlwaysSensitive  bool
	Extractable      bool
	NeverExtractable bool
	Local            bool     // generated inside this token
	Uses             []string // what else than "sign" the key may be used for, and whether it may sign
}

// Audit refuses a key that could be known outside the token or may do more than sign.
func (a Attestation) Audit() error {
	var faults []string
	for _, rule := range []struct {
		holds bool
		fault string
	}{
		{a.Sensitive, "it is not sensitive"},
		{a.AlwaysSensitive, "it was not always sensitive"},
		{!a.Extractable, "it is extractable"},
		{a.NeverExtractable, "it was extractable once"},
		{a.Local, "it was not generated in this token"},
		{len(a.Uses) == 1 && a.Uses[0] == "sign", "its uses are [" + strings.Join(a.Uses, " ") + "] where only sign is allowed"},
	} {
		if !rule.holds {
			faults = append(faults, rule.fault)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: key %s: %s", ErrKeyUnsafe, a.Label, strings.Join(faults, "; "))
	}
	return nil
}

const labelMax = 40 // bytes; the shortest limit among documented tokens, YubiHSM 2

// checkLabel keeps labels to characters that every token, file name and screen shows the same way.
func checkLabel(label string) error {
	if len(label) == 0 || len(label) > labelMax {
		return fmt.Errorf("%w: %d characters", ErrLabel, len(label))
	}
	for _, c := range []byte(label) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w: found %q", ErrLabel, label)
		}
	}
	return nil
}

// pointBytes returns the uncompressed point of CKA_EC_POINT. The standard wants a DER OCTET STRING around it; some
// tokens return it bare. Both are accepted, nothing else is.
func pointBytes(attribute []byte) ([]byte, error) {
	point := attribute
	if len(attribute) == 67 {
		rest, err := asn1.Unmarshal(attribute, &point)
		if err != nil || len(rest) != 0 {
			return nil, fmt.Errorf("%w: its point is neither DER nor raw", ErrKeyMismatch)
		}
	}
	if len(point) != 65 || point[0] != 4 {
		return nil, fmt.Errorf("%w: its point has %d bytes, an uncompressed point has 65", ErrKeyMismatch, len(point))
	}
	return point, nil
}

// compress returns the 33-byte form of an uncompressed point.
func compress(point []byte) (out [33]byte) {
	out[0] = 2 | point[64]&1
	copy(out[1:], point[1:33])
	return out
}
