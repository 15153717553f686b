package bitcoin_test

import (
	"math/big"
	"reflect"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// Scripts that are derived together are those that the wallet room derives one by one, for keys of every kind.
func TestScriptsDerivedTogetherAreTheWallets(t *testing.T) {
	wallets := []wallet.Wallet{
		newWallet(t, "TWO-OF-3", 2, signersOf(t, spend.BitcoinRegtest, "a", "b!", "c")),
		newWallet(t, "THREE-OF-5", 3, signersOf(t, spend.BitcoinMainnet, "a", "b", "c", "d", "e")),
		newWallet(t, "POOL", 2, append(signersOf(t, spend.BitcoinRegtest, "a", "b!"), poolSigner(t, 100))),
		newWallet(t, "LARGE", 9, signersOf(t, spend.BitcoinRegtest, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o")),
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := rapid.SampledFrom(wallets).Draw(rt, "wallet")
		places := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) [2]uint32 {
			return [2]uint32{rapid.Uint32Range(0, 1).Draw(t, "branch"), rapid.OneOf(rapid.Uint32Range(0, 1<<31-1), rapid.Uint32Range(0, 50)).Draw(t, "index")}
		}), 1, 20, rapid.ID).Draw(rt, "places")
		found := bitcoin.DeriveTogether(w, places)
		for _, at := range places {
			want, err := w.Derive(wallet.Branch(at[0]), at[1])
			got, ok := found[at]
			if err != nil { // a pool ends
				if ok {
					rt.Fatalf("%s at %v: %+v, want %v", w.Name(), at, got, err)
				}
				continue
			}
			want.Address = "" // inputs have no use for it
			if !ok || !reflect.DeepEqual(got, want) {
				rt.Fatalf("%s at %v: %+v, want %+v", w.Name(), at, got, want)
			}
		}
	})
}

// poolSigner holds a pool of n keys.
func poolSigner(t testing.TB, n int) cosigner {
	t.Helper()
	var keys [][33]byte
	var privates []*btcec.PrivateKey
	for i := range n {
		private, public := btcec.PrivKeyFromBytes([]byte{1, byte(i)})
		privates, keys = append(privates, private), append(keys, [33]byte(public.SerializeCompressed()))
	}
	c := newCosigner(t, "pool", spend.BitcoinRegtest, true)
	c.record.Kind, c.record.Key, c.record.Fingerprint, c.record.Proof = wallet.Pool, wallet.PoolText(keys), wallet.PoolFingerprint(keys), nil
	digest := c.record.ProofDigest()
	var proofs [][]byte
	for _, private := range privates {
		proofs = append(proofs, ecdsa.Sign(private, digest[:]).Serialize())
	}
	var err error
	c.record.Proof, err = wallet.PoolProof(proofs)
	must(t, err)
	return c
}

// compareSums holds sums made side by side against the oracle.
func compareSums(t interface{ Fatalf(string, ...any) }, starts, ks []*big.Int) {
	o := newOracle()
	var keys [][33]byte
	for _, start := range starts {
		keys = append(keys, o.compress(o.multiple(start, o.base)))
	}
	sums, known := bitcoin.CombSums(keys, ks)
	for i := range sums {
		total := new(big.Int).Add(starts[i], ks[i])
		if total.Mod(total, o.n).Sign() == 0 && known[i] {
			t.Fatalf("%x·G + %x·G is infinite, and a sum was given", starts[i], ks[i])
		}
		if known[i] && sums[i] != o.compress(o.multiple(total, o.base)) {
			t.Fatalf("%x·G + %x·G: %x", starts[i], ks[i], sums[i])
		}
	}
}

// A cosigner who chose his key for it can make equal or opposite points meet inside a sum. The lane then says that it
// knows nothing; it never gives another sum, and its neighbours are right.
func TestSumsSideBySideNeverGiveAWrongPoint(t *testing.T) {
	n := bitcoin.CurveOrder()
	var starts, ks []*big.Int
	for _, start := range []int64{1, 2, 63, 64, 65, 127, 128, 129, 8192} {
		for _, k := range []int64{1, 2, 63, 64, 65, 127, 128, 129, 8192, 8193, 8256} {
			for _, sign := range []int64{1, -1} {
				s := new(big.Int).Mod(big.NewInt(start*sign), n)
				starts, ks = append(starts, s, s), append(ks, big.NewInt(k), new(big.Int).Sub(n, big.NewInt(k)))
			}
		}
	}
	compareSums(t, starts, ks)
	rapid.Check(t, func(t *rapid.T) {
		var starts, ks []*big.Int
		for range rapid.IntRange(1, 12).Draw(t, "lanes") {
			start := drawNumber(t, "start")
			if start.Mod(start, n).Sign() == 0 {
				start.SetInt64(1)
			}
			k := drawNumber(t, "k")
			starts, ks = append(starts, start), append(ks, k.Mod(k, n))
		}
		compareSums(t, starts, ks)
	})
}

// Two of the lanes above must break for the test to mean something: G + G, and G - G.
func TestSumsKnowWhenPointsMeet(t *testing.T) {
	o := newOracle()
	one := o.compress(o.base)
	_, known := bitcoin.CombSums([][33]byte{one, one, one}, []*big.Int{big.NewInt(1), new(big.Int).Sub(o.n, big.NewInt(1)), big.NewInt(2)})
	if known[0] || known[1] || !known[2] {
		t.Errorf("known %v, want only the last", known)
	}
}

// What the quick derivation leaves out, the wallet room derives: a packet of many coins is proven all the same, and one
// whose claims are wrong is refused as a small one is.
func TestManyCoinsAreProvenAndRefusedAsFewAre(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Coins, r.Amount, r.All = nil, 0, true
	for i := range uint32(30) {
		r.Coins = append(r.Coins, coin(t, w.cold, 1_000_000+int64(i), wallet.Branch(i%2), i/2))
	}
	p, _, err := bitcoin.Build(r)
	must(t, err)
	must(t, prove(t, p.Bytes(), w.scope()))
	foreign := newWallet(t, "FOREIGN", 2, signersOf(t, spend.BitcoinRegtest, "p", "q", "r"))
	d := open(t, p.Bytes())
	d.spendCoin(t, 17, foreign, coin(t, foreign, 1_000_000, wallet.Receive, 3))
	wantRefusal(t, prove(t, d.bytes(), w.scope()), "derivation-false@input 17")
	d = open(t, p.Bytes())
	set(d.input(4), []byte{5}, []byte{0x51})
	wantRefusal(t, prove(t, d.bytes(), w.scope()), "witness-script-differs@input 4")
	s := w.scope()
	s.IndexMax = 9
	err = prove(t, p.Bytes(), s)
	wantRefusal(t, err, "index-beyond-limit")
}
