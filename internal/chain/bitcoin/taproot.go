package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
)

// Taproot's key path (BIP340, BIP341), written from the formulas beside btcd's. No wallet of this product has taproot
// scripts, because one key alone must never be enough. It is here so that a keyholder can see what a signature of
// another wallet would be over, and compare that with the other device: see Survey.

// sighashDefault signs everything, as ALL does, and has no byte behind the signature.
const sighashDefault = 0x00

// taprootKey returns the output key of a taproot script.
func taprootKey(script []byte) (key [32]byte, ok bool) {
	if ok = len(script) == 34 && script[0] == txscript.OP_1 && script[1] == 32; ok {
		key = [32]byte(script[2:])
	}
	return key, ok
}

// tagged is the hash of BIP340: the same bytes under another tag never collide.
func tagged(tag string, parts ...[]byte) (out [32]byte) {
	name := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(name[:])
	h.Write(name[:])
	for _, part := range parts {
		h.Write(part)
	}
	h.Sum(out[:0])
	return out
}

// commitment is our own BIP341: what every input's signature says about all inputs and outputs. It holds the amount and
// the script of every coin, so a signature over a false amount is worth nothing, to anybody.
type commitment []byte

func newCommitment(t transaction, coins []txOutput) commitment {
	outpoints, amounts, scripts, sequences, outputs := sha256.New(), sha256.New(), sha256.New(), sha256.New(), sha256.New()
	for i, in := range t.inputs {
		outpoints.Write(in.outpoint)
		amounts.Write(binary.LittleEndian.AppendUint64(nil, uint64(coins[i].value)))
		scripts.Write(appendPrefixed(nil, coins[i].script))
		sequences.Write(binary.LittleEndian.AppendUint32(nil, in.sequence))
	}
	for _, out := range t.outputs {
		outputs.Write(out.bytes)
	}
	c := binary.LittleEndian.AppendUint32(nil, t.version)
	c = binary.LittleEndian.AppendUint32(c, t.lockTime)
	c = amounts.Sum(outpoints.Sum(c))
	return outputs.Sum(sequences.Sum(scripts.Sum(c)))
}

// message is the preimage for one input: the sighash type, what all inputs share, no annex and no script path, the
// input's number.
func (c commitment) message(sighash byte, input int) []byte {
	m := append([]byte{sighash}, c...)
	return binary.LittleEndian.AppendUint32(append(m, 0), uint32(input))
}

// digest is what a signature of type DEFAULT or ALL of one input signs. The byte in front is the epoch.
func (c commitment) digest(sighash byte, input int) [32]byte {
	return tagged("TapSighash", []byte{0}, c.message(sighash, input))
}

// tweaked is the output key of an internal key and the root of a script tree, if there is one (BIP341), by our own
// arithmetic and by txscript's. It reports whether the internal key is a point at all and both agree.
func (c *curve) tweaked(internal, root []byte) (key [32]byte, ok bool) {
	q, onCurve := decompress([33]byte(append([]byte{2}, internal...)))
	tweak := tagged("TapTweak", internal, root)
	multiple := new(big.Int).SetBytes(tweak[:])
	parsed, err := schnorr.ParsePubKey(internal)
	if !onCurve || err != nil || multiple.Cmp(c.n) >= 0 {
		return key, false
	}
	sum := c.combine(multiple, big.NewInt(1), q)
	if sum.z.isZero() {
		return key, false
	}
	key = normalise([]point{sum})[0].x.bytes()
	theirs := schnorr.SerializePubKey(txscript.ComputeTaprootOutputKey(parsed, root))
	return key, bytes.Equal(theirs, key[:])
}

// verifySchnorr checks a signature of BIP340: s·G - e·P must be a point with the x of the signature and an even y.
func (c *curve) verifySchnorr(digest, key [32]byte, signature []byte) bool {
	if len(signature) != schnorr.SignatureSize {
		return false
	}
	q, onCurve := decompress([33]byte(append([]byte{2}, key[:]...)))
	r, below := readElement(signature[:32])
	s := new(big.Int).SetBytes(signature[32:])
	if !onCurve || !below || s.Cmp(c.n) >= 0 {
		return false
	}
	hash := tagged("BIP0340/challenge", signature[:32], key[:], digest[:])
	e := new(big.Int).SetBytes(hash[:])
	e.Mod(e.Neg(e), c.n)
	sum := c.combine(s, e, q)
	if sum.z.isZero() {
		return false
	}
	found := normalise([]point{sum})[0]
	return !found.y.isOdd() && found.x.equals(&r)
}

func verifySchnorrBtcec(digest, key [32]byte, signature []byte) bool {
	public, err := schnorr.ParsePubKey(key[:])
	if err != nil {
		return false
	}
	parsed, err := schnorr.ParseSignature(signature)
	return err == nil && parsed.Verify(digest[:], public)
}

// checkTaproot verifies one signature of a key path by two implementations. Type DEFAULT has 64 bytes, ALL one more; a
// spelled-out 00 would be a second spelling of DEFAULT, which BIP341 forbids.
func (k checker) checkTaproot(digest, key [32]byte, sighash byte, signature []byte, where string) error {
	want, kind := schnorr.SignatureSize, "DEFAULT"
	if sighash == sighashAll {
		want, kind = want+1, "ALL"
	}
	if len(signature) != want || sighash == sighashAll && signature[want-1] != sighashAll {
		return distrust("signature-encoding", where, fmt.Sprintf("%d bytes, for type %s", want, kind), fmt.Sprintf("%d bytes, ending in %x", len(signature), tail(signature)))
	}
	first, second := verifySchnorrBtcec(digest, key, signature[:64]), k.curve.verifySchnorr(digest, key, signature[:64])
	if first != second {
		return distrust("verifiers-differ", where, "one answer from two verifiers", fmt.Sprintf("btcec %t, ours %t", first, second))
	}
	if !first {
		return distrust("signature-invalid", where, fmt.Sprintf("a signature of %x over %x", key, digest), fmt.Sprintf("%x", signature))
	}
	return nil
}
