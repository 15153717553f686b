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
		r, s := signOnce(private, digest, counter)
		if bytes := r.Bytes(); bytes[0] < 0x80 {
			return ecdsa.NewSignature(r, s)
		}
	}
}

// signOnce makes the signature of one counter, low-S. Counter 0 is plain RFC 6979.
func signOnce(private *btcec.PrivateKey, digest [32]byte, counter uint32) (r, s *btcec.ModNScalar) {
	var extra []byte
	if counter > 0 {
		extra = binary.LittleEndian.AppendUint32(nil, counter)
		extra = append(extra, make([]byte, 28)...)
	}
	secret := private.Serialize()
	defer clear(secret)
	var z btcec.ModNScalar
	z.SetByteSlice(digest[:]) // reduced, as SEC 1 has it
	for iteration := uint32(0); ; iteration++ {
		k := btcec.NonceRFC6979(secret, digest[:], extra, nil, iteration)
		r, s = signWith(&private.Key, k, &z)
		k.Zero()
		if !r.IsZero() && !s.IsZero() {
			return r, s
		}
	}
}

// signWith computes r = x(kG) and s = (z + rd)/k, and takes the lower of s and -s.
func signWith(d, k, z *btcec.ModNScalar) (r, s *btcec.ModNScalar) {
	var point btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(k, &point)
	point.ToAffine()
	x := point.X.Bytes()
	r, s = new(btcec.ModNScalar), new(btcec.ModNScalar)
	r.SetBytes(x)
	inverse := new(btcec.ModNScalar).InverseValNonConst(k)
	s.Mul2(d, r).Add(z).Mul(inverse)
	inverse.Zero()
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	return r, s
}
