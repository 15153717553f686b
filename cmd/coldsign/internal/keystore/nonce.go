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
	return signEachLowR([]*btcec.PrivateKey{private}, []Request{{Digest: digest}})[0]
}

// attempt is the nonce that a signature is tried with.
type attempt struct {
	at                 int // which signature
	counter, iteration uint32
	k, r               *btcec.ModNScalar
	point              *btcec.JacobianPoint // k times the base point
}

// signEachLowR signs the digest of each request with the key beside it. The point of a nonce is known as a fraction, and
// one division serves all of a round.
func signEachLowR(privates []*btcec.PrivateKey, requests []Request) []*ecdsa.Signature {
	out, open := make([]*ecdsa.Signature, len(privates)), make([]attempt, len(privates))
	for i := range open {
		open[i].at = i
	}
	for len(open) > 0 {
		for i := range open {
			a := &open[i]
			a.k, a.r, a.point = nonceOf(privates[a.at], requests[a.at].Digest, a.counter, a.iteration)
		}
		abscissas(open)
		var again []attempt
		for _, a := range open {
			if bytes := a.r.Bytes(); bytes[0] >= 0x80 { // every second one; its s is not worth computing
				a.k.Zero()
				again = append(again, attempt{at: a.at, counter: a.counter + 1})
				continue
			}
			s := complete(privates[a.at], requests[a.at].Digest, a.k, a.r)
			if a.r.IsZero() || s.IsZero() { // nobody has ever seen it
				again = append(again, attempt{at: a.at, counter: a.counter, iteration: a.iteration + 1})
				continue
			}
			out[a.at] = ecdsa.NewSignature(a.r, s)
		}
		open = again
	}
	return out
}

// nonceOf is a nonce and its point, whose x is to become r. Counter 0 is plain RFC 6979; its iterations are for r or s of
// zero.
func nonceOf(private *btcec.PrivateKey, digest [32]byte, counter, iteration uint32) (k, r *btcec.ModNScalar, point *btcec.JacobianPoint) {
	var extra []byte
	if counter > 0 {
		extra = binary.LittleEndian.AppendUint32(nil, counter)
		extra = append(extra, make([]byte, 28)...)
	}
	secret := private.Serialize()
	defer clear(secret)
	k, r = btcec.NonceRFC6979(secret, digest[:], extra, nil, iteration), new(btcec.ModNScalar)
	point = new(btcec.JacobianPoint)
	btcec.ScalarBaseMultNonConst(k, point)
	return k, r, point
}

// abscissas sets each r to the x of its point, x/z² as points are kept: the product of all z is inverted, and walking back
// takes out one z at a time. No z is zero, because no nonce is. The points are wiped, since a z says more about its nonce
// than r does.
func abscissas(of []attempt) {
	before := make([]btcec.FieldVal, len(of))
	var product btcec.FieldVal
	product.SetInt(1)
	for i, a := range of {
		before[i].Set(&product)
		product.Mul(&a.point.Z)
	}
	product.Inverse()
	for i := len(of) - 1; i >= 0; i-- {
		a := of[i]
		inverse := before[i].Mul(&product) // 1/z
		product.Mul(&a.point.Z)
		x := a.point.X.Mul(inverse.Square()).Normalize()
		a.r.SetBytes(x.Bytes())
		*a.point = btcec.JacobianPoint{}
	}
	clear(before)
	product.Zero()
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
