package keystore

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"pgregory.net/rapid"
)

// The vectors that the secp256k1 implementations of the trade share (bitcointalk 285142, haskoin, trezor-crypto).
func TestPlainRFC6979AgreesWithKnownVectors(t *testing.T) {
	for _, v := range []struct{ key, message, signature string }{
		{"0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
			"934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
		{"0000000000000000000000000000000000000000000000000000000000000001",
			"All those moments will be lost in time, like tears in rain. Time to die...",
			"8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
		{"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
			"fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d06b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"},
		{"f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181", "Alan Turing",
			"7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea"},
	} {
		raw, err := hex.DecodeString(v.key)
		if err != nil {
			t.Fatal(err)
		}
		private, _ := btcec.PrivKeyFromBytes(raw)
		digest := sha256.Sum256([]byte(v.message))
		k, r, point := nonceOf(private, digest, 0, 0)
		abscissas([]attempt{{r: r, point: point}})
		s := complete(private, digest, k, r)
		rb, sb := r.Bytes(), s.Bytes()
		if got := hex.EncodeToString(rb[:]) + hex.EncodeToString(sb[:]); got != v.signature {
			t.Errorf("%s: %s, want %s", v.message, got, v.signature)
		}
		if want := ecdsa.Sign(private, digest[:]).Serialize(); !bytes.Equal(ecdsa.NewSignature(r, s).Serialize(), want) {
			t.Errorf("%s: btcec signs %x", v.message, want)
		}
	}
}

// twin signs with nothing but HMAC and big integers, from the text of RFC 6979 (3.2, 3.6) and SEC 1 (4.1.3). It shares
// no code with the signer.
type twin struct{ p, n, gx, gy *big.Int }

func newTwin() twin {
	number := func(text string) *big.Int { v, _ := new(big.Int).SetString(text, 16); return v }
	return twin{
		p:  number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		n:  number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
		gx: number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		gy: number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
	}
}

// add returns the sum of two affine points; nil is the point at infinity.
func (w twin) add(x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	if x1 == nil {
		return x2, y2
	}
	if x2 == nil {
		return x1, y1
	}
	slope := new(big.Int)
	switch {
	case x1.Cmp(x2) != 0:
		slope.Sub(y2, y1).Mul(slope, new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(x2, x1), w.p), w.p))
	case y1.Cmp(y2) != 0:
		return nil, nil
	default:
		slope.Mul(x1, x1).Mul(slope, big.NewInt(3)).Mul(slope, new(big.Int).ModInverse(new(big.Int).Lsh(y1, 1), w.p))
	}
	slope.Mod(slope, w.p)
	x = new(big.Int).Mul(slope, slope)
	x.Sub(x, x1).Sub(x, x2).Mod(x, w.p)
	y = new(big.Int).Sub(x1, x)
	y.Mul(y, slope).Sub(y, y1).Mod(y, w.p)
	return x, y
}

func (w twin) multiply(k *big.Int) (x, y *big.Int) {
	for i := k.BitLen() - 1; i >= 0; i-- {
		x, y = w.add(x, y, x, y)
		if k.Bit(i) == 1 {
			x, y = w.add(x, y, w.gx, w.gy)
		}
	}
	return x, y
}

func (w twin) nonce(secret, digest, extra []byte) *big.Int {
	mac := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	v, k := bytes.Repeat([]byte{1}, 32), make([]byte, 32)
	k = mac(k, v, []byte{0}, secret, digest, extra)
	v = mac(k, v)
	k = mac(k, v, []byte{1}, secret, digest, extra)
	v = mac(k, v)
	for {
		v = mac(k, v)
		if candidate := new(big.Int).SetBytes(v); candidate.Sign() > 0 && candidate.Cmp(w.n) < 0 {
			return candidate
		}
		k = mac(k, v, []byte{0})
		v = mac(k, v)
	}
}

// sign returns r||s with low r and low s.
func (w twin) sign(secret, digest []byte) []byte {
	d, z := new(big.Int).SetBytes(secret), new(big.Int).SetBytes(digest)
	for counter := 0; ; counter++ {
		var extra []byte
		if counter > 0 {
			extra = make([]byte, 32)
			extra[0] = byte(counter)
		}
		k := w.nonce(secret, digest, extra)
		x, _ := w.multiply(k)
		r := new(big.Int).Mod(x, w.n)
		if r.BitLen() > 255 {
			continue
		}
		s := new(big.Int).Mul(r, d)
		s.Add(s, z).Mul(s, new(big.Int).ModInverse(k, w.n)).Mod(s, w.n)
		if high := new(big.Int).Sub(w.n, s); high.Cmp(s) < 0 {
			s = high
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

// Attack 064: a signer that hides the key in its nonces (Dark Skippy) cannot make the bytes that an independent twin
// makes of the same key and digest.
func TestAttack064AnIndependentTwinMakesTheSameBytes(t *testing.T) {
	w := newTwin()
	for i := range 48 {
		secret, digest := sha256.Sum256(fmt.Append(nil, "key", i)), sha256.Sum256(fmt.Append(nil, "digest", i))
		private, _ := btcec.PrivKeyFromBytes(secret[:])
		signature := signLowR(private, digest)
		r, s := signature.R(), signature.S()
		rb, sb := r.Bytes(), s.Bytes()
		if got, want := append(rb[:], sb[:]...), w.sign(secret[:], digest[:]); !bytes.Equal(got, want) {
			t.Fatalf("signature %d is %x, the twin says %x", i, got, want)
		}
	}
}

func TestSignaturesAreLowRAndLowSAndDependOnKeyAndDigestAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool { return b[0] != 255 && b[31] != 0 }).Draw(t, "secret")
		digest := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		private, public := btcec.PrivKeyFromBytes(secret)
		der := signLowR(private, digest).Serialize()
		if der[3] > 32 || len(der) > 70 {
			t.Fatalf("r has %d bytes, the signature %d", der[3], len(der))
		}
		if err := verify(der, [33]byte(public.SerializeCompressed()), digest); err != nil {
			t.Fatal(err)
		}
		if again := signLowR(private, digest).Serialize(); !bytes.Equal(der, again) {
			t.Fatalf("%x, then %x", der, again)
		}
	})
}

// The counter is really used: half of all digests need it, and its first use is another nonce.
func TestLowRNeedsTheCounterAboutHalfTheTime(t *testing.T) {
	private, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{3}, 32))
	ground := 0
	for i := range 400 {
		digest := sha256.Sum256(fmt.Append(nil, i))
		if !bytes.Equal(signLowR(private, digest).Serialize(), ecdsa.Sign(private, digest[:]).Serialize()) {
			ground++
		}
	}
	if ground < 140 || ground > 260 {
		t.Errorf("%d of 400 signatures needed the counter, about 200 are expected", ground)
	}
}
