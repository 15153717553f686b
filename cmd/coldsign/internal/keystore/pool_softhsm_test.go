//go:build cgo && !nopkcs11

package keystore

import (
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// The contract of a pool on a real token: six keys, each proven, each signing where it stands and nowhere else.
func TestAPoolInSoftHSMSignsAtTwoIndexes(t *testing.T) {
	hsmPlace := hsmtest.New(t, "treasury")
	token, err := hsm.Open(hsmPlace.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Login(t.Context(), hsmPlace.PIN()); err != nil {
		t.Fatal(err)
	}
	where := TokenKey{Module: hsmPlace.Module, Label: "treasury", Key: "b", Receipt: "b-receipt"}
	var pool [][33]byte
	for i := range 6 {
		made, err := token.GenerateKey(t.Context(), where.PoolLabel(i))
		if err != nil {
			t.Fatal(err)
		}
		pool = append(pool, made.Public)
	}
	if _, err := token.GenerateP256("b-receipt"); err != nil {
		t.Fatal(err)
	}
	store, err := Open(t.TempDir(), openHSM)
	if err != nil {
		t.Fatal(err)
	}
	record, err := store.AddToken(t.Context(), TokenCreation{Name: "B", Network: spend.BitcoinRegtest, Where: where, Pool: pool}, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	if err := record.Verify(); err != nil || record.Kind != wallet.Pool || record.Fingerprint != wallet.PoolFingerprint(pool) {
		t.Errorf("%+v, %v", record, err)
	}
	key, err := store.Unlock("B", secret(hsmtest.UserPIN))
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for _, at := range []struct {
		branch wallet.Branch
		index  uint32
		key    int
	}{{wallet.Receive, 0, 0}, {wallet.ChangeBranch, 2, 5}, {wallet.Receive, 1, 2}} {
		digest := [32]byte{byte(at.key), 7}
		der, public, err := key.Sign(t.Context(), at.branch, at.index, digest)
		if err != nil || public != pool[at.key] || verify(der, pool[at.key], digest) != nil {
			t.Errorf("%d/%d: %x by %x, %v", at.branch, at.index, der, public, err)
		}
		for other := range pool {
			if other != at.key && verify(der, pool[other], digest) == nil {
				t.Errorf("%d/%d verifies under key %d as well", at.branch, at.index, other)
			}
		}
	}
	_, _, err = key.Sign(t.Context(), wallet.Receive, 3, [32]byte{1})
	refused(t, "an index beyond the pool", err, "wallet-pool-exhausted")
}
