package bitcoin

import "errors"

// TaprootMessage is our preimage of a key path signature, without its epoch, and TaprootDigest the digest of it.
func TaprootMessage(unsigned []byte, coins [][]byte, sighash byte, input int) (message []byte, digest [32]byte, err error) {
	t, _, err := readUnsigned(unsigned)
	if err != nil {
		return nil, digest, err
	}
	spent := make([]txOutput, len(coins))
	for i, coin := range coins {
		if spent[i], err = readOutput(coin, "coin"); err != nil {
			return nil, digest, err
		}
	}
	if len(spent) != len(t.inputs) {
		return nil, digest, errors.New("a coin for each input")
	}
	c := newCommitment(t, spent)
	return c.message(sighash, input), c.digest(sighash, input), nil
}

// TaprootTweaked is the output key of an internal key and a tree.
func TaprootTweaked(internal, root []byte) ([32]byte, bool) {
	return newCurve().tweaked(internal, root)
}

// VerifySchnorrBoth gives the answers of our verifier and of btcec's.
func VerifySchnorrBoth(digest, key [32]byte, signature []byte) (ours, theirs bool) {
	return newCurve().verifySchnorr(digest, key, signature), verifySchnorrBtcec(digest, key, signature)
}

// CheckTaproot is the whole check of one signature; with broken, our verifier has another base point.
func CheckTaproot(digest, key [32]byte, sighash byte, signature []byte, broken bool) error {
	k := newChecker()
	if broken {
		k.curve = curveOver(k.curve.base[1])
	}
	return k.checkTaproot(digest, key, sighash, signature, "signature")
}
