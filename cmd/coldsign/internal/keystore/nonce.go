package keystore

import (
	"encoding/binary"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
)

// signLowR signs as Bitcoin Core and Electrum do: the nonce of RFC 6979 and, while r does not fit 32 bytes of DER, the
// same with a counter as 32 bytes of extra entropy, least significant first. The signature depends on key and digest
// alone, so a twin machine makes the same bytes and a signer cannot hide anything in its nonces; and every signature is
// at most 70 bytes, so fees can be computed beforehand.
func signLowR(private *btcec.PrivateKey, digest [32]byte) *ecdsa.Signature {
	for counter := uint32(0); ; counter++ {
		for iteration := uint32(0); ; iteration++ {
			k, r := nonceOf(private, digest, counter, iteration)
			if bytes := r.Bytes(); bytes[0] >= 0x80 { // every second one; its s is not worth computing
				k.Zero()
				break
			}
			if s := complete(private, digest, k, r); !r.IsZero() && !s.IsZero() {
				return ecdsa.NewSignature(r, s)
			}
		}
	}
}

// nonceOf is a nonce and r = x(kG). Counter 0 is plain RFC 6979; its iterations are for r or s of zero, which nobody has
// ever seen.
func nonceOf(private *btcec.PrivateKey, digest [32]byte, counter, iteration uint32) (k, r *btcec.ModNScalar) {
	var extra []byte
	if counter > 0 {
		extra = binary.LittleEndian.AppendUint32(nil, counter)
		extra = append(extra, make([]byte, 28)...)
	}
	secret := private.Serialize()
	defer clear(secret)
	k, r = btcec.NonceRFC6979(secret, digest[:], extra, nil, iteration), new(btcec.ModNScalar)
	var point btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(k, &point)
	point.ToAffine()
	r.SetBytes(point.X.Bytes())
	return k, r
}

// complete computes s = (z + rd)/k, wipes k, and takes the lower of s and -s.
func complete(private *btcec.PrivateKey, digest [32]byte, k, r *btcec.ModNScalar) *btcec.ModNScalar {
	var z btcec.ModNScalar
	z.SetByteSlice(digest[:]) // reduced, as SEC 1 has it
	inverse := new(btcec.ModNScalar).InverseValNonConst(k)
	k.Zero()
	s := new(btcec.ModNScalar).Mul2(&private.Key, r).Add(&z).Mul(inverse)
	inverse.Zero()
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	return s
}
