package keystore

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// Children come from our own derivation; hdkeychain's is the other opinion, for every seed, branch and index.
func TestChildKeysAreThoseOfHdkeychain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, err := deriveSoftware(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "entropy"), spend.BitcoinRegtest)
		if err != nil {
			t.Fatal(err)
		}
		branch, index := rapid.Uint32Range(0, 1).Draw(t, "branch"), rapid.Uint32Range(0, 1<<31-1).Draw(t, "index")
		node, err := key.account().Derive(branch)
		if err != nil {
			t.Fatal(err)
		}
		if node, err = node.Derive(index); err != nil {
			t.Fatal(err)
		}
		want, err := node.ECPrivKey()
		if err != nil {
			t.Fatal(err)
		}
		parent, err := key.branch(wallet.Branch(branch))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parent.child(index)
		if err != nil || !bytes.Equal(got.Serialize(), want.Serialize()) {
			t.Fatalf("child %d/%d: %v", branch, index, err)
		}
		if _, err := parent.child(index + hdkeychain.HardenedKeyStart); err == nil {
			t.Fatal("a hardened child of a branch")
		}
	})
}

// Attack 068: a caller that names another public key than the one at the place gets no signature.
func TestAttack068ASignatureForAnotherKeyDoesNotLeave(t *testing.T) {
	key := unlock(t, withAbandon(t), "A")
	public, err := key.Record().PubKey(wallet.Receive, 5)
	if err != nil {
		t.Fatal(err)
	}
	if der, err := key.SignAt(t.Context(), Place{wallet.Receive, 5, public}, [32]byte{1}); err != nil || len(der) == 0 {
		t.Fatalf("the right key: %v", err)
	}
	for name, at := range map[string]Place{
		"another index": {wallet.Receive, 6, public}, "the other branch": {wallet.ChangeBranch, 5, public}, "no key": {wallet.Receive, 5, [33]byte{}},
		"a third branch": {2, 5, public}, "a hardened index": {wallet.Receive, hdkeychain.HardenedKeyStart + 5, public},
	} {
		if der, err := key.SignAt(t.Context(), at, [32]byte{1}); err == nil || der != nil {
			t.Errorf("%s: %x", name, der)
		}
	}
}
