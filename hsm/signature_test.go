package hsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
)

// Order of secp256k1, SEC 2 section 2.4.1.
const orderHex = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"

// rawSignature is what a token returns: r and s, each 32 bytes, no encoding.
func rawSignature(t *testing.T, key *btcec.PrivateKey, digest [32]byte) []byte {
	t.Helper()
	signature := ecdsa.Sign(key, digest[:])
	r, s := signature.R(), signature.S()
	rb, sb := r.Bytes(), s.Bytes()
	return append(rb[:], sb[:]...)
}

// Attack 066: scalars that are zero, or not below the order, are no signature, however a library reduces them.
func TestAttack066NonCanonicalScalarsAreRefused(t *testing.T) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	public := [33]byte(key.PubKey().SerializeCompressed())
	digest := sha256.Sum256([]byte("x"))
	raw := rawSignature(t, key, digest)
	if der, err := finishSignature(raw, public, digest); err != nil || der == nil {
		t.Fatalf("the good one: %v", err)
	}
	order, err := hex.DecodeString(orderHex)
	if err != nil {
		t.Fatal(err)
	}
	zero, most := make([]byte, 32), bytes.Repeat([]byte{255}, 32)
	for _, bad := range [][]byte{
		nil, raw[:63], append(bytes.Clone(raw), 0), append([]byte{0}, raw...),
		append(bytes.Clone(zero), raw[32:]...), append(bytes.Clone(raw[:32]), zero...),
		append(bytes.Clone(order), raw[32:]...), append(bytes.Clone(raw[:32]), order...),
		append(bytes.Clone(most), raw[32:]...), append(bytes.Clone(raw[:32]), most...),
		append(bytes.Clone(raw[32:]), raw[:32]...),
	} {
		if der, err := finishSignature(bad, public, digest); !errors.Is(err, ErrSignature) || der != nil {
			t.Errorf("%x: %x, %v", bad, der, err)
		}
	}
	if _, err := finishSignature(raw, public, sha256.Sum256([]byte("y"))); !errors.Is(err, ErrSignature) {
		t.Errorf("another digest: %v", err)
	}
}

// Attack 067: the high-S twin of a signature leaves as the low-S one.
func TestAttack067HighSBecomesLowS(t *testing.T) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	public := [33]byte(key.PubKey().SerializeCompressed())
	digest := sha256.Sum256([]byte("x"))
	low := rawSignature(t, key, digest)
	order, _ := new(big.Int).SetString(orderHex, 16)
	high := append(bytes.Clone(low[:32]), new(big.Int).Sub(order, new(big.Int).SetBytes(low[32:])).FillBytes(make([]byte, 32))...)
	a, err := finishSignature(low, public, digest)
	if err != nil {
		t.Fatal(err)
	}
	b, err := finishSignature(high, public, digest)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%x and %x, %v", a, b, err)
	}
}

func FuzzFinishSignature(f *testing.F) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	public := [33]byte(key.PubKey().SerializeCompressed())
	f.Add(make([]byte, 64), []byte{1})
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, raw, seed []byte) {
		digest := sha256.Sum256(seed)
		der, err := finishSignature(raw, public, digest)
		if err != nil && der != nil {
			t.Error("a refused signature left")
		}
		if err == nil && ecdsa.VerifyLowS(der) != nil {
			t.Errorf("%x left and is not low-S", der)
		}
	})
}

func FuzzPoint(f *testing.F) {
	f.Add(append([]byte{4, 65, 4}, make([]byte, 64)...))
	f.Add(append([]byte{4}, make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, attribute []byte) {
		if point, err := pointBytes(attribute); err == nil && (len(point) != 65 || compress(point)[0]&^1 != 2) {
			t.Errorf("%x became %x", attribute, point)
		}
	})
}
