//go:build cgo && !nopkcs11

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/wallet"
)

// newBasin is a desk whose wallet no BIP32 signer has a key of: pools of six and eight keys (d, e) and one fixed key (f),
// all in SoftHSM.
func newBasin(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	hsmtest.New(t, "treasury")
	for name, more := range map[string][]string{"d": {"--pool", "6"}, "e": {"--pool", "8"}, "f": nil} {
		d.must("init", "--home", d.path(name), "--network", "regtest")
		d.must(append([]string{"key", "new", name, "--home", d.path(name), "--token", "treasury", "--pin-fd", d.secret(hsmtest.UserPIN)}, more...)...)
		d.must("key", "export", name, "--home", d.path(name), "--out", d.path(name+".key.json"))
	}
	d.must("wallet", "create", "POOL-A", d.path("d.key.json"), d.path("e.key.json"), d.path("f.key.json"), "--threshold", "2", "--out", d.path("pool.json"))
	var err error
	if d.wallet, err = wallet.Parse(d.read("pool.json")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "e", "f"} {
		d.must("wallet", "add", d.path("pool.json"), "--home", d.path(name), "--pin-fd", d.secret(hsmtest.UserPIN), "--words", d.wallet.Words())
	}
	return d
}

// spends builds a payment of the wallet's coins at two places to its own receive index.
func (d *desk) spends(to uint32) (*bitcoin.Packet, bitcoin.Scope, error) {
	d.t.Helper()
	var coins []bitcoin.Coin
	for i, at := range []struct {
		branch wallet.Branch
		index  uint32
	}{{wallet.Receive, 0}, {wallet.ChangeBranch, 2}} {
		derived, err := d.wallet.Derive(at.branch, at.index)
		if err != nil {
			d.t.Fatal(err)
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{byte(i + 1)}, 0), nil, nil))
		tx.AddTxOut(wire.NewTxOut(100_000_000, derived.ScriptPubKey))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			d.t.Fatal(err)
		}
		coins = append(coins, bitcoin.Coin{Outpoint: *wire.NewOutPoint(ptr(tx.TxHash()), 0), Value: 100_000_000, Branch: at.branch, Index: at.index, PrevTx: raw.Bytes()})
	}
	p, _, err := bitcoin.Build(bitcoin.Request{From: d.wallet, To: d.wallet, ToIndex: to, Amount: 150_000_000, ChangeIndex: 1, FeeRate: 2000,
		Coins: coins, Height: 100, Rand: bytes.NewReader(bytes.Repeat([]byte{7}, 4096))})
	return p, bitcoin.Scope{From: d.wallet, To: d.wallet, ToIndex: to, ToKnown: true, IndexMax: 1 << 20}, err
}

// signs has a token key of the desk sign all inputs.
func (d *desk) signs(name string, p *bitcoin.Packet, s bitcoin.Scope) []bitcoin.Signature {
	d.t.Helper()
	store, err := keystore.Open(filepath.Join(d.path(name), "keys"), openToken)
	if err != nil {
		d.t.Fatal(err)
	}
	key, err := store.Unlock(name, keystore.NewSecret([]byte(hsmtest.UserPIN)))
	if err != nil {
		d.t.Fatal(err)
	}
	defer key.Close()
	position, ours := d.wallet.KeyPosition(key.Record())
	tasks, err := bitcoin.Tasks(p, s, position)
	if err != nil || !ours || len(tasks) != 2 {
		d.t.Fatalf("%d tasks, %v, %v", len(tasks), ours, err)
	}
	var out []bitcoin.Signature
	for _, task := range tasks {
		der, public, err := key.Sign(context.Background(), task.Branch, task.Index, task.Digest)
		if err != nil || public != task.PubKey {
			d.t.Fatalf("%s at %d/%d: %x, %v", name, task.Branch, task.Index, public, err)
		}
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: public, Signature: append(der, 1)})
	}
	return out
}

// The contract of pools from the token to the script engine: a payment from two indexes, signed by three kinds of
// quorum, none of which has a BIP32 key.
func TestAWalletOfTokenPoolsSpendsFromTwoIndexes(t *testing.T) {
	d := newBasin(t)
	p, s, err := d.spends(1)
	if err != nil {
		t.Fatal(err)
	}
	effects, err := bitcoin.Prove(p, s)
	if err != nil {
		t.Fatal(err)
	}
	roles := map[chain.Role]uint32{}
	for _, o := range effects.Facts().Outputs {
		roles[o.Role] = o.Index
	}
	if len(roles) != 2 || roles[chain.Destination] != 1 || roles[chain.Change] != 1 {
		t.Errorf("outputs %+v", effects.Facts().Outputs)
	}
	answers := map[string][]bitcoin.Signature{}
	for _, name := range []string{"d", "e", "f"} {
		answers[name] = d.signs(name, p, s)
		if err := bitcoin.VerifySignatures(p, s, answers[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if answers["d"][0].PubKey == answers["d"][1].PubKey || answers["f"][0].PubKey != answers["f"][1].PubKey {
		t.Error("a pool signs two indexes with one key, or a fixed key with two")
	}
	for _, quorum := range [][2]string{{"d", "e"}, {"e", "f"}, {"f", "d"}} {
		final, err := bitcoin.Finalise(p, s, [][]bitcoin.Signature{answers[quorum[0]], answers[quorum[1]]})
		if err != nil || final.TxID != p.TxID() {
			t.Errorf("%v: %v", quorum, err)
		}
	}
	// The answer of a pool is good at its own index only.
	swapped := []bitcoin.Signature{answers["d"][0], answers["d"][1]}
	swapped[0].Input, swapped[1].Input = 1, 0
	if err := bitcoin.VerifySignatures(p, s, swapped); err == nil {
		t.Error("keys of a pool were accepted at each other's index")
	}
	path := d.write("pool.psbt", []byte(base64.StdEncoding.EncodeToString(p.Bytes())))
	if out := d.must("inspect", path, "--home", d.path("e")); !strings.Contains(out, "wallet POOL-A") {
		t.Errorf("inspect does not know the wallet:\n%s", out)
	}
}

// Attacks 029, 030 and 034 against the hints that pools give: a path is a claim, the pinned wallet decides.
func TestAttack029To034PathsOfPoolKeysAreHints(t *testing.T) {
	d := newBasin(t)
	p, _, err := d.spends(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*psbt.Bip32Derivation)
		code   string
	}{
		"another index":           {func(b *psbt.Bip32Derivation) { b.Bip32Path[1]++ }, "derivation-conflict"},
		"a hardened index":        {func(b *psbt.Bip32Derivation) { b.Bip32Path[1] |= 1 << 31 }, "derivation-conflict"},
		"a longer path":           {func(b *psbt.Bip32Derivation) { b.Bip32Path = append([]uint32{48}, b.Bip32Path...) }, "derivation-false"},
		"the pool's print forged": {func(b *psbt.Bip32Derivation) { b.MasterKeyFingerprint ^= 1 }, "derivation-false"},
	} {
		raw := edit(t, p.Bytes(), func(p *psbt.Packet) {
			for _, b := range p.Inputs[0].Bip32Derivation {
				if len(b.Bip32Path) == 2 {
					c.change(b)
					return
				}
			}
			t.Fatal("no key of a pool has a path")
		})
		if code := d.refused(c.code, "inspect", d.write("bad.psbt", raw), "--home", d.path("d")); code != console.Refused {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	every := func(change func(*psbt.Bip32Derivation)) []byte {
		return edit(t, p.Bytes(), func(p *psbt.Packet) {
			for _, b := range p.Inputs[0].Bip32Derivation {
				change(b)
			}
		})
	}
	for code, raw := range map[string][]byte{
		"derivation-missing": edit(t, p.Bytes(), func(p *psbt.Packet) {
			for _, b := range p.Inputs[0].Bip32Derivation {
				b.Bip32Path = nil
			}
		}),
		"derivation-impossible": every(func(b *psbt.Bip32Derivation) {
			if len(b.Bip32Path) == 2 {
				b.Bip32Path[1] = 3 // the first index that the smaller pool has no keys for
			}
		}),
		"derivation-false": every(func(b *psbt.Bip32Derivation) {
			if len(b.Bip32Path) == 2 {
				b.Bip32Path[1] = 1 // an index that the wallet has, and another script
			}
		}),
	} {
		d.refused(code, "inspect", d.write("bad.psbt", raw), "--home", d.path("d"))
	}
}

func TestAWalletEndsWithItsSmallestPool(t *testing.T) {
	d := newBasin(t)
	if _, _, err := d.spends(3); err == nil || !strings.Contains(err.Error(), "wallet-pool-exhausted") {
		t.Errorf("a payment beyond the pool: %v", err)
	}
	for _, branch := range [][]string{nil, {"--change"}} {
		d.must(append([]string{"wallet", "address", "POOL-A", "2", "--home", d.path("d")}, branch...)...)
		if code := d.refused("wallet-pool-exhausted", append([]string{"wallet", "address", "POOL-A", "3", "--home", d.path("d")}, branch...)...); code != console.Refused {
			t.Errorf("exit %d", code)
		}
	}
	if view := d.pinnedView("d", "POOL-A"); view.Indexes != 3 || view.Policy != "" || !strings.HasPrefix(view.Descriptor, "coldsign-pool:") {
		t.Errorf("%+v", view)
	}
	for _, f := range wallet.Formats() {
		d.refused("export-pool-key", "wallet", "export", "POOL-A", "--home", d.path("d"), "--format", string(f), "--out", d.path("out"))
		if _, err := os.Stat(d.path("out")); err == nil {
			t.Errorf("%s: a file was written", f)
		}
	}
	out := d.must("key", "list", "--home", d.path("e"), "--json")
	if !strings.Contains(out, `"pool_keys":8`) {
		t.Errorf("the list does not say how many keys: %s", out)
	}
}

// A power cut in the making of a pool leaves keys in the token. They are kept when that is asked for by name.
func TestAnInterruptedPoolIsTakenUpByName(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir()}
	place := hsmtest.New(t, "treasury")
	token, err := hsm.Open(place.Config())
	if err == nil {
		err = token.Login(t.Context(), place.PIN())
	}
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, label := range []string{"p-0000", "p-0001"} {
		made, err := token.GenerateKey(t.Context(), label)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, wallet.PoolText([][33]byte{made.Public}))
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	d.must("init", "--home", d.path("p"), "--network", "regtest")
	args := func(more ...string) []string {
		return append([]string{"key", "new", "p", "--home", d.path("p"), "--token", "treasury", "--pool", "4", "--pin-fd", d.secret(hsmtest.UserPIN)}, more...)
	}
	o := d.run(args()...)
	if o.code != console.KeyUnavailable || !strings.Contains(o.errs, "coldsign key new p --token treasury --pool 4 --resume") {
		t.Errorf("exit %d\n%s", o.code, o.errs)
	}
	d.must(args("--resume")...)
	d.must("key", "export", "p", "--home", d.path("p"), "--out", d.path("p.key.json"))
	record, err := wallet.ParseKeyRecord(d.read("p.key.json"))
	if err != nil || !strings.HasPrefix(record.Key, strings.Join(left, " ")+" ") {
		t.Errorf("the keys that were there are not the first of the pool: %v", err)
	}
	// Receipts and chain keys of a pool that is whole are all taken up, and still the name is taken.
	d.refused("key-exists", args("--resume")...)
	d.must("init", "--home", d.path("q"), "--network", "regtest")
	d.must("key", "new", "p", "--home", d.path("q"), "--token", "treasury", "--pool", "4", "--resume", "--pin-fd", d.secret(hsmtest.UserPIN))
	d.must("key", "export", "p", "--home", d.path("q"), "--out", d.path("q.key.json"))
	if again, err := wallet.ParseKeyRecord(d.read("q.key.json")); err != nil || again.Key != record.Key || again.Receipt != record.Receipt {
		t.Errorf("another pool in a second home: %v", err)
	}
}
