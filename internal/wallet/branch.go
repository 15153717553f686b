package wallet

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
)

// branchKey is the public parent of all keys of a branch. Whatever its children share is computed once for a wallet and
// not for each of them: a treasury asks for thousands of indexes.
type branchKey struct {
	public [33]byte
	point  btcec.JacobianPoint // the same
	chain  []byte
}

// openBranch derives a branch of an account key.
func openBranch(account *hdkeychain.ExtendedKey, branch Branch) (*branchKey, error) {
	parent, err := account.Derive(uint32(branch))
	if err != nil {
		return nil, fmt.Errorf("branch %d: %w", branch, err)
	}
	public, err := parent.ECPubKey()
	if err != nil {
		return nil, fmt.Errorf("branch %d: %w", branch, err)
	}
	b := &branchKey{public: [33]byte(public.SerializeCompressed()), chain: parent.ChainCode()}
	public.AsJacobian(&b.point)
	return b, nil
}

// openOnce opens a branch when it is first asked for: most acts need one branch of each wallet.
func openOnce(account *hdkeychain.ExtendedKey, branch Branch) func() (*branchKey, error) {
	return sync.OnceValues(func() (*branchKey, error) { return openBranch(account, branch) })
}

// child is BIP32's derivation of a public child: the parent plus the base point times the left half of HMAC-SHA512 over
// parent and index. BIP32 leaves about one index in 2^127 without a key; that is an error, never a skipped index.
func (b *branchKey) child(index uint32) (key [33]byte, err error) {
	mac := hmac.New(sha512.New, b.chain)
	mac.Write(b.public[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	var tweak btcec.ModNScalar
	var point, sum btcec.JacobianPoint
	if overflow := tweak.SetByteSlice(mac.Sum(nil)[:32]); overflow || tweak.IsZero() {
		return key, fmt.Errorf("index %d has no key", index)
	}
	btcec.ScalarBaseMultNonConst(&tweak, &point)
	btcec.AddNonConst(&point, &b.point, &sum)
	if sum.Z.IsZero() || sum.X.IsZero() && sum.Y.IsZero() {
		return key, fmt.Errorf("index %d has no key", index)
	}
	sum.ToAffine()
	return [33]byte(btcec.NewPublicKey(&sum.X, &sum.Y).SerializeCompressed()), nil
}

// Parent gives the public key and the chain code that the children of a branch of the key at a position are derived
// from. A key without children has none.
func (w Wallet) Parent(position int, branch Branch) (public [33]byte, chain []byte, ok bool) {
	if position < 0 || position >= len(w.sources) || branch > ChangeBranch || w.sources[position].branches[branch] == nil {
		return public, nil, false
	}
	opened, err := w.sources[position].branches[branch]()
	if err != nil {
		return public, nil, false
	}
	return opened.public, append([]byte{}, opened.chain...), true
}
