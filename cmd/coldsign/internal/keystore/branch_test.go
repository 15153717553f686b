package keystore

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
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
	one, err := btcec.ParsePubKey(public[:])
	if err != nil {
		t.Fatal(err)
	}
	y := [32]byte(one.SerializeUncompressed()[33:])
	sign := func(at Place) ([]byte, error) {
		ders, err := key.SignAt(t.Context(), []Request{{at, [32]byte{1}}})
		if err != nil {
			return slices.Concat(ders...), err
		}
		return ders[0], nil
	}
	for _, at := range []Place{{wallet.Receive, 5, public, [32]byte{}}, {wallet.Receive, 5, public, y}} {
		if der, err := sign(at); err != nil || len(der) == 0 {
			t.Fatalf("the right key: %v", err)
		}
	}
	bent, negative := y, public
	bent[31] ^= 1
	negative[0] ^= 1
	for name, at := range map[string]Place{
		"another index": {wallet.Receive, 6, public, y}, "the other branch": {wallet.ChangeBranch, 5, public, y}, "no key": {wallet.Receive, 5, [33]byte{}, y},
		"a third branch": {2, 5, public, y}, "a hardened index": {wallet.Receive, hdkeychain.HardenedKeyStart + 5, public, y},
		"another y": {wallet.Receive, 5, public, bent}, "the other kind of y": {wallet.Receive, 5, negative, y}, "another key without y": {wallet.Receive, 5, negative, [32]byte{}},
	} {
		if der, err := sign(at); err == nil || len(der) != 0 {
			t.Errorf("%s: %x", name, der)
		}
	}
}

// Many are signed as one is; those before a request that fails come with the error.
func TestSignaturesMadeTogetherAreThoseMadeAlone(t *testing.T) {
	key := unlock(t, withAbandon(t), "A")
	var requests []Request
	var alone [][]byte
	for i := range uint32(40) {
		branch, digest := wallet.Branch(i%2), [32]byte{byte(i), 7}
		der, public, err := key.Sign(t.Context(), branch, i, digest)
		if err != nil {
			t.Fatal(err)
		}
		requests, alone = append(requests, Request{Place{Branch: branch, Index: i, PubKey: public}, digest}), append(alone, der)
	}
	same := func(a, b []byte) bool { return string(a) == string(b) }
	if ders, err := key.SignAt(t.Context(), requests); err != nil || !slices.EqualFunc(ders, alone, same) {
		t.Errorf("together: %v", err)
	}
	requests[17].PubKey = requests[16].PubKey
	requests[30].Branch = 2
	if ders, err := key.SignAt(t.Context(), requests); err == nil || !slices.EqualFunc(ders, alone[:17], same) {
		t.Errorf("%d signatures before a foreign key: %v", len(ders), err)
	}
	if ders, err := key.SignAt(t.Context(), requests[20:]); err == nil || !slices.EqualFunc(ders, alone[20:30], same) {
		t.Errorf("%d signatures before a third branch: %v", len(ders), err)
	}
}
