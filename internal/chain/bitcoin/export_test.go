package bitcoin

import (
	"bytes"
	"math/big"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/wallet"
)

// CheckSignature is the whole check of one signature, without a packet.
func CheckSignature(digest [32]byte, key [33]byte, signature []byte) error {
	return newChecker().check(digest, key, signature, "signature")
}

// VerifyOwn is our second verifier alone.
func VerifyOwn(digest [32]byte, key [33]byte, r, s *big.Int) bool {
	return newCurve().verify(digest, key, r, s)
}

// OwnVerifier is the same with its tables made once.
func OwnVerifier() func(digest [32]byte, key [33]byte, r, s *big.Int) bool { return newCurve().verify }

// CurveOrder is n, and FieldPrime is p.
func CurveOrder() *big.Int { return newCurve().n }
func FieldPrime() *big.Int { return bigOf(prime()) }

func bigOf(e element) *big.Int {
	b := e.bytes()
	if e == prime() { // the other form of zero
		p, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
		return p
	}
	return new(big.Int).SetBytes(b[:])
}

// Field is what the field's operations make of two numbers; Root is nil when there is none.
type Field struct {
	Sum, Difference, Product, Half, Inverse, Root *big.Int
	Equal                                         bool
}

// FieldOf runs every operation on numbers below 2²⁵⁶, and writes each result over an argument.
func FieldOf(a, b *big.Int) Field {
	x, y := element(limbsOf(a)), element(limbsOf(b))
	result := func(operation func(e *element)) *big.Int {
		e := x
		operation(&e)
		written := e.bytes()
		return new(big.Int).SetBytes(written[:])
	}
	out := Field{
		Sum:        result(func(e *element) { e.add(e, &y) }),
		Difference: result(func(e *element) { e.sub(e, &y) }),
		Product:    result(func(e *element) { e.mul(e, &y) }),
		Half:       result(func(e *element) { e.half(e) }),
		Inverse:    result(func(e *element) { e.invert(e) }),
		Equal:      x.equals(&y),
	}
	found := false
	if root := result(func(e *element) { found = e.root(e) }); found {
		out.Root = root
	}
	return out
}

// Combine is a·G + b·key, and whether it is finite.
func Combine(a, b *big.Int, key [33]byte) ([33]byte, bool) {
	q, ok := decompress(key)
	if !ok {
		panic("not a key")
	}
	sum := newCurve().combine(a, b, q)
	if sum.z.isZero() {
		return [33]byte{}, false
	}
	return normalise([]point{sum})[0].compressed(), true
}

// Halves splits a number, and gives the λ by which the second half counts: -a1/b1 modulo n.
func Halves(k *big.Int) (k1, k2, lambda *big.Int) {
	s := newCurve().split
	k1, k2 = s.halves(k)
	lambda = new(big.Int).ModInverse(s.b1, s.n) // b1 is negated
	return k1, k2, lambda.Mul(lambda, s.a1).Mod(lambda, s.n)
}

// QuickMultiple is λ·key.
func QuickMultiple(key [33]byte) [33]byte {
	q, _ := decompress(key)
	beta := beta()
	q.x.mul(&q.x, &beta)
	return q.compressed()
}

// Multiples is G, 2G, 3G and so on, normalised together.
func Multiples(n int) (out [][33]byte) {
	points := make([]point, n)
	base := basePoint()
	for i := 1; i <= n; i++ {
		points[i-1].addAffine(&points[max(0, i-2)], &base)
	}
	for _, a := range normalise(points) {
		out = append(out, a.compressed())
	}
	return out
}

// Decompress gives x and y of a key.
func Decompress(key [33]byte) (x, y *big.Int, ok bool) {
	a, ok := decompress(key)
	return bigOf(a.x), bigOf(a.y), ok
}

// Digits is the digit form of a number.
func Digits(k *big.Int, window uint) []int8 {
	out := digits(limbsOf(k), window)
	return out[:]
}

// OwnDigest is our BIP143 over an unsigned transaction.
func OwnDigest(unsigned []byte, input int, script []byte, amount int64) ([32]byte, error) {
	t, _, err := readUnsigned(unsigned)
	if err != nil {
		return [32]byte{}, err
	}
	return newMidstate(t).digest(t.inputs[input], script, amount), nil
}

// The numbers of size.go.
const (
	WeightMax = weightMax
	KeysMost  = 15
)

// InputWeight is what an input of a wallet adds.
func InputWeight(m, n int) int64 { return inputWeight(m, n) }

// ProveDivergent proves a packet as if the wire module had read another lock time than we did.
func ProveDivergent(p *Packet, s Scope) error {
	divergent := *p
	divergent.msg = p.msg.Copy()
	divergent.msg.LockTime++
	_, err := prove(&divergent, s)
	return err
}

// CheckWithBrokenCurve checks a signature while our verifier is wrong about the base point.
func CheckWithBrokenCurve(digest [32]byte, key [33]byte, signature []byte) error {
	base := basePoint().point()
	base.double(&base)
	return checker{curve: curveOver(normalise([]point{base})[0])}.check(digest, key, signature, "signature")
}

// FinishChanged finishes a transaction that was changed after its witnesses were placed.
func FinishChanged(p *Packet, s Scope, answers [][]Signature, change func(*wire.MsgTx)) error {
	final, err := Finalise(p, s, answers)
	if err != nil {
		return err
	}
	found, err := prove(p, s)
	if err != nil {
		return err
	}
	tx := &wire.MsgTx{}
	if err := tx.Deserialize(bytes.NewReader(final.Raw)); err != nil {
		return err
	}
	change(tx)
	_, err = found.finish(tx)
	return err
}

// DeriveTogether gives the scripts that the quick derivation finds, for branch/index pairs.
func DeriveTogether(w wallet.Wallet, places [][2]uint32) map[[2]uint32]wallet.Derived {
	var all []place
	for _, p := range places {
		all = append(all, place{wallet.Branch(p[0]), p[1]})
	}
	h, out := newHeirs(w, all), map[[2]uint32]wallet.Derived{}
	for _, script := range h.derive(all) {
		out[[2]uint32{uint32(script.Branch), script.Index}] = h.derived(script)
	}
	return out
}

// CombSums adds k·G to each key, all side by side. Where points met, there is no sum.
func CombSums(keys [][33]byte, ks []*big.Int) (sums [][33]byte, known []bool) {
	lanes := make([]lane, len(keys))
	for i, key := range keys {
		lanes[i].sum, _ = decompress(key)
		lanes[i].digits = combDigits(limbsOf(ks[i]))
	}
	newComb().addMultiples(lanes)
	for i := range lanes {
		known = append(known, !lanes[i].broken)
		sums = append(sums, lanes[i].sum.compressed())
	}
	return sums, known
}

// VerifyCountersigned checks an answer as Sign does.
func VerifyCountersigned(f *Proven, signatures []Signature) error {
	check := newChecker()
	check.countersigned = true
	_, err := check.answer(f, signatures)
	return err
}

// InParallel is inParallel.
func InParallel(n int, work func(i int) error) error { return inParallel(n, work) }

// HasPoint reports whether a key and its y make a point, and whether that is the point of the key alone.
func HasPoint(key [33]byte, y [32]byte) (is, same bool) {
	with, is := pointOf(key, y)
	alone, _ := decompress(key)
	return is, with == alone
}
