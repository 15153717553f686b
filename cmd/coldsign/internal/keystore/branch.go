package keystore

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/wallet"
)

// branchKey is the private parent of the keys of one branch. It is derived once for each unlocking: a treasury asks for
// hundreds of children at a time, and everything that they share would be computed for each of them again.
type branchKey struct {
	scalar btcec.ModNScalar
	public [33]byte
	chain  []byte
}

// openBranches derives the parents of receive and change keys.
func (k *softwareKey) openBranches() error {
	for branch := range k.branches {
		parent, err := k.account().Derive(uint32(branch))
		if err != nil {
			return fmt.Errorf("branch %d has no key", branch)
		}
		private, err := parent.ECPrivKey()
		if err != nil {
			return errors.New("a branch key is not a private key")
		}
		opened := &branchKey{private.Key, [33]byte(private.PubKey().SerializeCompressed()), parent.ChainCode()}
		k.branches[branch] = func() *branchKey { return opened }
		private.Zero()
		parent.Zero()
	}
	return nil
}

func (k *softwareKey) branch(branch wallet.Branch) (*branchKey, error) {
	if branch > wallet.ChangeBranch {
		return nil, fmt.Errorf("branch %d has no key", branch)
	}
	return k.branches[branch](), nil
}

// child is BIP32's derivation of a private child that is not hardened: the parent's number plus the left half of
// HMAC-SHA512 over its public key and the index.
func (b *branchKey) child(index uint32) (*btcec.PrivateKey, error) {
	mac := hmac.New(sha512.New, b.chain)
	mac.Write(b.public[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	sum := mac.Sum(nil)
	defer clear(sum)
	private := &btcec.PrivateKey{}
	if overflow := private.Key.SetByteSlice(sum[:32]); overflow || index >= hdkeychain.HardenedKeyStart {
		return nil, fmt.Errorf("index %d has no key", index)
	}
	if private.Key.Add(&b.scalar).IsZero() {
		return nil, fmt.Errorf("index %d has no key", index)
	}
	return private, nil
}

func (b *branchKey) zero() {
	b.scalar.Zero()
	clear(b.chain)
}
