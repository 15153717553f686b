package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"pgregory.net/rapid"
)

// edges are the numbers at which limbs carry, borrow, fold over, or vanish.
func edges() []*big.Int {
	one, p, n := big.NewInt(1), bitcoin.FieldPrime(), bitcoin.CurveOrder()
	out := []*big.Int{new(big.Int), one, big.NewInt(2), big.NewInt(1<<32 + 976), big.NewInt(1<<32 + 977), big.NewInt(1<<32 + 978)}
	for _, middle := range []*big.Int{p, n, new(big.Int).Rsh(p, 1), new(big.Int).Rsh(n, 1)} {
		out = append(out, new(big.Int).Sub(middle, one), middle, new(big.Int).Add(middle, one))
	}
	for bit := uint(64); bit <= 256; bit += 64 {
		power := new(big.Int).Lsh(one, bit)
		out = append(out, new(big.Int).Sub(power, one))
		if bit < 256 {
			out = append(out, power, new(big.Int).Sub(new(big.Int).Lsh(one, 256), power))
		}
	}
	return out
}

// drawNumber gives numbers below 2²⁵⁶, edges and near edges often.
func drawNumber(t *rapid.T, name string) *big.Int {
	if rapid.Bool().Draw(t, name+" at an edge") {
		near := new(big.Int).Add(rapid.SampledFrom(edges()).Draw(t, name), big.NewInt(rapid.Int64Range(-3, 3).Draw(t, name+" beside")))
		if near.Sign() >= 0 && near.BitLen() <= 256 {
			return near
		}
	}
	return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
}

// compareField holds every operation of the field on two numbers against math/big.
func compareField(t interface{ Fatalf(string, ...any) }, a, b *big.Int) {
	p := bitcoin.FieldPrime()
	reduced := func(v *big.Int) *big.Int { return v.Mod(v, p) }
	got := bitcoin.FieldOf(a, b)
	inverse := new(big.Int)
	if new(big.Int).Mod(a, p).Sign() != 0 {
		inverse.ModInverse(a, p)
	}
	half := new(big.Int).Mul(a, new(big.Int).ModInverse(big.NewInt(2), p))
	for name, want := range map[string][2]*big.Int{
		"sum":        {reduced(new(big.Int).Add(a, b)), got.Sum},
		"difference": {reduced(new(big.Int).Sub(a, b)), got.Difference},
		"product":    {reduced(new(big.Int).Mul(a, b)), got.Product},
		"half":       {reduced(half), got.Half},
		"inverse":    {inverse, got.Inverse},
	} {
		if want[0].Cmp(want[1]) != 0 {
			t.Fatalf("%s of %x and %x: %x, want %x", name, a, b, want[1], want[0])
		}
	}
	root := new(big.Int).ModSqrt(new(big.Int).Mod(a, p), p)
	if (root != nil) != (got.Root != nil) {
		t.Fatalf("a root of %x: %v, want %v", a, got.Root, root)
	}
	if root != nil && root.Cmp(got.Root) != 0 && reduced(root.Neg(root)).Cmp(got.Root) != 0 {
		t.Fatalf("root of %x: %x", a, got.Root)
	}
	if got.Equal != (new(big.Int).Mod(a, p).Cmp(new(big.Int).Mod(b, p)) == 0) {
		t.Fatalf("%x equals %x: %t", a, b, got.Equal)
	}
}

func TestFieldAgreesWithMathBig(t *testing.T) {
	for _, a := range edges() {
		for _, b := range edges() {
			compareField(t, a, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) { compareField(t, drawNumber(t, "a"), drawNumber(t, "b")) })
}

// compareCombination holds a·G + b·(kG) against the oracle and btcec.
func compareCombination(t interface{ Fatalf(string, ...any) }, a, b, k *big.Int) {
	o := newOracle()
	key := o.compress(o.multiple(k, o.base))
	got, finite := bitcoin.Combine(a, b, key)
	total := new(big.Int).Mul(b, k)
	total.Add(total, a).Mod(total, o.n)
	if finite != (total.Sign() != 0) {
		t.Fatalf("%x·G + %x·%x: infinity %t", a, b, key, !finite)
	}
	if !finite {
		return
	}
	if want := o.compress(o.multiple(total, o.base)); got != want {
		t.Fatalf("%x·G + %x·%x: %x, want %x", a, b, key, got, want)
	}
	_, theirs := btcec.PrivKeyFromBytes(total.FillBytes(make([]byte, 32)))
	if !bytes.Equal(theirs.SerializeCompressed(), got[:]) {
		t.Fatalf("%x·G + %x·%x: %x, btcec says %x", a, b, key, got, theirs.SerializeCompressed())
	}
}

// The sums in which two equal points meet, or a point and its negative, or nothing is left, are those that formulas for
// addition get wrong.
func TestCombinationsAgreeWithMathBigAndBtcec(t *testing.T) {
	n := bitcoin.CurveOrder()
	small := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), big.NewInt(3), big.NewInt(127), big.NewInt(128), big.NewInt(255)}
	for _, s := range small[1:] {
		small = append(small, new(big.Int).Sub(n, s))
	}
	for _, k := range []int64{1, 2, 3, 7} {
		for _, a := range small {
			for _, b := range small {
				compareCombination(t, a, b, big.NewInt(k))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		below := func(name string) *big.Int { v := drawNumber(t, name); return v.Mod(v, n) }
		a, b, k := below("a"), below("b"), below("k")
		if k.Sign() == 0 {
			k.SetInt64(1)
		}
		compareCombination(t, a, b, k)
		// b·k = -a: nothing is left; b·k = a: the same point twice.
		inverse := new(big.Int).ModInverse(k, n)
		b.Mul(a, inverse).Mod(b, n)
		compareCombination(t, a, b, k)
		compareCombination(t, a, b.Sub(n, b).Mod(b, n), k)
	})
}

func TestNormalisingManyPointsIsNormalisingEach(t *testing.T) {
	o := newOracle()
	got := bitcoin.Multiples(40)
	for i, key := range got {
		if want := o.compress(o.multiple(big.NewInt(int64(i+1)), o.base)); key != want {
			t.Errorf("%d·G: %x, want %x", i+1, key, want)
		}
	}
}

// Every key that btcec reads we read, and no other: 33 bytes with x from anywhere, edges included.
func TestKeysAreDecompressedAsBtcecDoes(t *testing.T) {
	compare := func(t interface{ Fatalf(string, ...any) }, key [33]byte) {
		theirs, err := btcec.ParsePubKey(key[:])
		x, y, ok := bitcoin.Decompress(key)
		if ok != (err == nil) {
			t.Fatalf("%x: %t, btcec says %v", key, ok, err)
		}
		if ok && (theirs.X().Cmp(x) != 0 || theirs.Y().Cmp(y) != 0) {
			t.Fatalf("%x: %x %x", key, x, y)
		}
	}
	for _, x := range edges() {
		for sign := range byte(6) {
			compare(t, [33]byte(append([]byte{sign}, x.FillBytes(make([]byte, 32))...)))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x := drawNumber(t, "x").FillBytes(make([]byte, 32))
		compare(t, [33]byte(append([]byte{rapid.SampledFrom([]byte{2, 3, 2, 3, 0, 4}).Draw(t, "sign")}, x...)))
	})
}

// Three verifiers, one answer: ours, math/big and btcec, over signatures that are good, damaged, or made of edges.
func TestAttack068ThreeVerifiersAgree(t *testing.T) {
	o := newOracle()
	rapid.Check(t, func(t *rapid.T) {
		secret, digest := drawNumber(t, "secret"), [32]byte(drawNumber(t, "digest").FillBytes(make([]byte, 32)))
		if secret.Mod(secret, o.n).Sign() == 0 {
			secret.SetInt64(1)
		}
		private, public := btcec.PrivKeyFromBytes(secret.FillBytes(make([]byte, 32)))
		key := [33]byte(public.SerializeCompressed())
		signed := ecdsa.Sign(private, digest[:])
		rs, ss := signed.R(), signed.S()
		rb, sb := rs.Bytes(), ss.Bytes()
		r, s := bigOf(rb[:]), bigOf(sb[:])
		switch rapid.IntRange(0, 4).Draw(t, "damage") {
		case 0:
			r = drawNumber(t, "r")
		case 1:
			s = drawNumber(t, "s")
		case 2:
			digest = [32]byte(drawNumber(t, "other digest").FillBytes(make([]byte, 32)))
		}
		ours, simple := bitcoin.VerifyOwn(digest, key, r, s), o.verify(digest, key, r, s)
		theirs := false
		if in := func(v *big.Int) bool { return v.Sign() > 0 && v.Cmp(o.n) < 0 }; in(r) && in(s) {
			var rn, sn btcec.ModNScalar
			rn.SetByteSlice(r.FillBytes(make([]byte, 32)))
			sn.SetByteSlice(s.FillBytes(make([]byte, 32)))
			theirs = ecdsa.NewSignature(&rn, &sn).Verify(digest[:], public)
		}
		if ours != simple || ours != theirs {
			t.Fatalf("ours %t, math/big %t, btcec %t: digest %x, key %x, r %x, s %x", ours, simple, theirs, digest, key, r, s)
		}
	})
}

// The x of the sum may be r + n: about one signature in 2¹²⁷ needs it, so one is made backwards. Take a point whose x is
// at least n, let it be the sum of a digest and a key, and solve for the key.
func TestVerifyTakesAnXBeyondTheOrder(t *testing.T) {
	o := newOracle()
	for x := new(big.Int).Add(o.n, big.NewInt(1)); ; x.Add(x, big.NewInt(1)) {
		sum, ok := o.decompress([33]byte(append([]byte{2}, x.FillBytes(make([]byte, 32))...)))
		if !ok {
			continue
		}
		// With s = 1: sum = z·G + r·Q, so Q = (sum - z·G)/r.
		r, digest := new(big.Int).Sub(x, o.n), sha256.Sum256([]byte("any"))
		z := new(big.Int).SetBytes(digest[:])
		minus := o.multiple(new(big.Int).Sub(o.n, z.Mod(z, o.n)), o.base)
		key := o.compress(o.multiple(new(big.Int).ModInverse(r, o.n), o.add(sum, minus)))
		if !o.verify(digest, key, r, big.NewInt(1)) || !bitcoin.VerifyOwn(digest, key, r, big.NewInt(1)) {
			t.Errorf("x %x is refused", x)
		}
		if bitcoin.VerifyOwn(digest, key, new(big.Int).Add(r, big.NewInt(1)), big.NewInt(1)) {
			t.Error("another r is accepted")
		}
		return
	}
}

// A digit form must give the number back, keep its digits odd and small, and keep them apart.
func TestDigitsGiveTheNumberBack(t *testing.T) {
	compare := func(t interface{ Fatalf(string, ...any) }, k *big.Int, window uint) {
		sum, last := new(big.Int), -1
		for i, digit := range slices.Backward(bitcoin.Digits(k, window)) {
			d, limit := int64(digit), int64(1)<<(window-1)
			sum.Lsh(sum, 1).Add(sum, big.NewInt(d))
			if d == 0 {
				continue
			}
			if d%2 == 0 || d >= limit || d <= -limit {
				t.Fatalf("digit %d at %d of %x, window %d", d, i, k, window)
			}
			if last >= 0 && last-i < int(window) {
				t.Fatalf("digits of %x at %d and %d, window %d", k, last, i, window)
			}
			last = i
		}
		if sum.Cmp(k) != 0 {
			t.Fatalf("digits of %x give %x, window %d", k, sum, window)
		}
	}
	for window := uint(2); window <= 8; window++ {
		for _, k := range edges() {
			compare(t, k, window)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		compare(t, drawNumber(t, "k"), uint(rapid.IntRange(2, 8).Draw(t, "window")))
	})
}

// FuzzVerifiers lets a fuzzer choose everything.
func FuzzVerifiers(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32), bytes.Repeat([]byte{4}, 33))
	private, public := btcec.PrivKeyFromBytes([]byte{7})
	digest := sha256.Sum256(nil)
	signed := ecdsa.Sign(private, digest[:])
	rs, ss := signed.R(), signed.S()
	rb, sb := rs.Bytes(), ss.Bytes()
	f.Add(digest[:], rb[:], sb[:], public.SerializeCompressed())
	o := newOracle()
	f.Fuzz(func(t *testing.T, digest, r, s, key []byte) {
		if len(digest) != 32 || len(r) > 40 || len(s) > 40 || len(key) != 33 {
			return
		}
		ours := bitcoin.VerifyOwn([32]byte(digest), [33]byte(key), bigOf(r), bigOf(s))
		if simple := o.verify([32]byte(digest), [33]byte(key), bigOf(r), bigOf(s)); ours != simple {
			t.Errorf("ours %t, math/big %t", ours, simple)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	private, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	digest, key := sha256.Sum256(nil), [33]byte(public.SerializeCompressed())
	signed := ecdsa.Sign(private, digest[:])
	rs, ss := signed.R(), signed.S()
	rb, sb := rs.Bytes(), ss.Bytes()
	r, s := bigOf(rb[:]), bigOf(sb[:])
	b.Run("ours", func(b *testing.B) {
		check := bitcoin.OwnVerifier()
		for b.Loop() {
			check(digest, key, r, s)
		}
	})
	b.Run("btcec", func(b *testing.B) {
		der := signed.Serialize()
		for b.Loop() {
			public, _ := btcec.ParsePubKey(key[:])
			parsed, _ := ecdsa.ParseDERSignature(der)
			parsed.Verify(digest[:], public)
		}
	})
	b.Run("math-big", func(b *testing.B) {
		o := newOracle()
		for b.Loop() {
			o.verify(digest, key, r, s)
		}
	})
}

// A y that comes with a key is taken only when it is the key's own.
func TestAYIsHeldToItsKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		_, public := btcec.PrivKeyFromBytes(append(secret[:31:31], secret[31]|1))
		key, y := [33]byte(public.SerializeCompressed()), [32]byte(public.SerializeUncompressed()[33:])
		for name, with := range map[string][32]byte{"its y": y, "no y": {}} {
			if is, same := bitcoin.HasPoint(key, with); !is || !same {
				t.Fatalf("%x with %s: %t %t", key, name, is, same)
			}
		}
		other, bent, far := key, y, [32]byte(bytes.Repeat([]byte{255}, 32))
		other[0] ^= 1
		bent[rapid.IntRange(0, 31).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		none := key
		none[0] = rapid.SampledFrom([]byte{0, 1, 4, 6, 7}).Draw(t, "form")
		for name, of := range map[string]struct {
			key [33]byte
			y   [32]byte
		}{"the negative key": {other, y}, "a bent y": {key, bent}, "a y beyond the field": {key, far}, "another form": {none, y}} {
			if is, _ := bitcoin.HasPoint(of.key, of.y); is {
				t.Fatalf("%s: %x %x", name, of.key, of.y)
			}
		}
	})
}
