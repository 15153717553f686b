package hsm

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
)

// finishSignature turns a token's raw r||s into strict low-S DER that verifies against the pinned public key. A token
// is not believed: half of SoftHSM's signatures are high-S, and a replaced key or a fault makes signatures that no
// chain accepts or, worse, that tell something about the key.
func finishSignature(raw []byte, pinned [33]byte, digest [32]byte) ([]byte, error) {
	if len(raw) != 64 {
		return nil, fmt.Errorf("%w: it has %d bytes, r and s have 64", ErrSignature, len(raw))
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(raw[:32]) || s.SetByteSlice(raw[32:]) || r.IsZero() || s.IsZero() {
		return nil, fmt.Errorf("%w: r or s is not a canonical scalar", ErrSignature)
	}
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	public, err := btcec.ParsePubKey(pinned[:])
	if err != nil {
		return nil, fmt.Errorf("pinned public key: %w", err)
	}
	// What is verified is what leaves: the bytes are parsed again, strictly.
	der := ecdsa.NewSignature(&r, &s).Serialize()
	parsed, err := ecdsa.ParseDERSignature(der)
	if err != nil || !bytes.Equal(parsed.Serialize(), der) {
		return nil, fmt.Errorf("%w: its encoding is not strict", ErrSignature)
	}
	if !parsed.Verify(digest[:], public) {
		return nil, fmt.Errorf("%w: it does not verify against the pinned public key", ErrSignature)
	}
	return der, nil
}
