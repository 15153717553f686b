package bitcoin

import "math/big"

// CheckSignature is the whole check of one signature, without a packet.
func CheckSignature(digest [32]byte, key [33]byte, signature []byte) error {
	return newChecker().check(digest, key, signature, "signature")
}

// VerifyOwn is our second verifier alone.
func VerifyOwn(digest [32]byte, key [33]byte, r, s *big.Int) bool {
	return newCurve().verify(digest, key, r, s)
}

// CurveOrder is n.
func CurveOrder() *big.Int { return newCurve().n }

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
