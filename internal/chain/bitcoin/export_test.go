package bitcoin

import (
	"bytes"
	"math/big"

	"github.com/btcsuite/btcd/wire/v2"
)

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
	broken := newCurve()
	broken.base = broken.double(broken.base)
	return checker{broken}.check(digest, key, signature, "signature")
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
	_, err = found.finish(p, tx)
	return err
}
