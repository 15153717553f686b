package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// newPool is the record of a pool of n keys in a token: the wallet of it has n/2 indexes on each branch.
func newPool(name string, n int) wallet.KeyRecord {
	var private []*btcec.PrivateKey
	var keys [][33]byte
	for i := range n {
		scalar := sha256.Sum256(fmt.Appendf(nil, "coldsign test %s %d", name, i))
		key, public := btcec.PrivKeyFromBytes(scalar[:])
		private, keys = append(private, key), append(keys, [33]byte(public.SerializeCompressed()))
	}
	r := wallet.KeyRecord{Name: name, Network: spend.BitcoinRegtest, Kind: wallet.Pool, Fingerprint: wallet.PoolFingerprint(keys), Path: []uint32{},
		Key: wallet.PoolText(keys), Receipt: newCosigner(name).record.Receipt, Device: wallet.DevicePKCS11}
	digest := r.ProofDigest()
	var signatures [][]byte
	for _, key := range private {
		signatures = append(signatures, ecdsa.Sign(key, digest[:]).Serialize())
	}
	r.Proof = must(wallet.PoolProof(signatures))
	return r
}

// withPool gives the daemon a wallet that ends after a few indexes, and a second hot wallet that is filled from it.
func (r *rig) withPool(indexes int) (pool wallet.Wallet) {
	r.t.Helper()
	records := []wallet.KeyRecord{newCosigner("p").record, newPool("basin", 2*indexes), newCosigner("q").record}
	pool = must(wallet.New("POOL-BTC-A", spend.Cold, 2, records))
	second := walletOf("HOT-BTC-2", spend.Hot, cosigners("u", "v", "w"))
	r.more = append(r.more, pool, second)
	for _, w := range r.more {
		r.mustCommand("wallet", "add", r.file(w.Name(), w.Marshal()))
	}
	r.configure("    from: COLD-BTC-A\n", "    from: COLD-BTC-A\n  - wallet: HOT-BTC-2\n    floor: \"0.1\"\n    target: \"0.2\"\n    from: POOL-BTC-A\n")
	r.restart()
	return pool
}

// A wallet that has fewer keys than the daemon looks ahead is watched to its end, and spends and receives until then.
func TestAWalletWithFewKeysIsWatchedToItsEnd(t *testing.T) {
	r := newRig(t)
	pool := r.withPool(2)
	ctx := context.Background()
	for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
		if at := must(r.records.Counter(ctx, pool.ID(), uint32(branch))); at.Next != 0 || at.Watched != 2 {
			t.Errorf("branch %d: %+v, want 2 scripts watched", branch, at)
		}
	}
	r.deposit(pool, 1, 1e8) // the last index of its receive branch
	if got := must(r.records.Balance(ctx, pool.ID(), 1)).Total; got != 1e8 {
		t.Fatalf("it holds %d satoshi", got)
	}
	v := r.look(2)
	if v.To != "HOT-BTC-2" {
		t.Fatalf("top-up 2 is of %s", v.To)
	}
	for _, person := range []string{"alice", "bob"} {
		if err := r.approve(2, person); err != nil {
			t.Fatal(err)
		}
	}
	if v := r.look(2); v.Intent.State != treasury.Sealed {
		t.Errorf("%s (%s)", v.Intent.State, v.Waiting)
	}
}

// A wallet whose keys are used up says so, and the top-ups of all others go on.
func TestAWalletWithoutKeysStopsNoOther(t *testing.T) {
	for branch, name := range map[wallet.Branch]string{wallet.Receive: "as a destination", wallet.ChangeBranch: "for its change"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			pool := r.withPool(2)
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{7}}, SignatureScript: []byte{0x51}})
			tx.AddTxOut(wire.NewTxOut(1e8, must(pool.Derive(branch, 1)).ScriptPubKey))
			r.chain.mine(tx)
			r.tick(context.Background())
			if branch == wallet.Receive {
				r.configure("wallet: HOT-BTC-2\n    floor: \"0.1\"\n    target: \"0.2\"\n    from: POOL-BTC-A", "wallet: POOL-BTC-A\n    floor: \"1.1\"\n    target: \"1.2\"\n    from: COLD-BTC-A")
				r.restart()
			}
			for _, s := range wellBehaved(t) {
				s.do(r)
				if v := r.look(1); v.Intent.State != s.want {
					t.Fatalf("after %s: %s (%s), want %s", s.name, v.Intent.State, v.Waiting, s.want)
				}
			}
			err := r.treasury.Step(context.Background())
			wantCode(t, err, "wallet-pool-exhausted")
			if err != nil && strings.Contains(err.Error(), "HOT-BTC-1") {
				t.Errorf("it stands in the way of another wallet: %v", err)
			}
		})
	}
}
