//go:build referees

package referees_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

const (
	network     = spend.BitcoinRegtest
	hard        = hdkeychain.HardenedKeyStart
	accountPath = "m/48'/1'/0'/2'" // BIP48, native segwit, coins without worth
)

// keyholder has a private key of a test wallet in the open: the referees are given it, to sign with.
type keyholder struct {
	seed    [32]byte
	account *hdkeychain.ExtendedKey // nil for a fixed key
	fixed   *btcec.PrivateKey
	record  wallet.KeyRecord
}

func newKeyholder(t testing.TB, name string) keyholder {
	t.Helper()
	k := keyholder{seed: sha256.Sum256([]byte("coldsign referees " + name))}
	node, err := hdkeychain.NewMaster(k.seed[:], &chaincfg.RegressionNetParams)
	must(t, err)
	public, err := node.ECPubKey()
	must(t, err)
	k.record = wallet.KeyRecord{Name: name, Network: network, Kind: wallet.BIP32, Device: wallet.DeviceFile,
		Fingerprint: wallet.FingerprintOf([33]byte(public.SerializeCompressed())), Path: []uint32{hard + 48, hard + 1, hard, hard + 2}}
	for _, step := range k.record.Path {
		node, err = node.Derive(step)
		must(t, err)
	}
	k.account = node
	neutered, err := node.Neuter()
	must(t, err)
	k.record.Key = neutered.String()
	private, err := node.ECPrivKey()
	must(t, err)
	k.prove(t, private)
	return k
}

// newFixed is a keyholder with one key that has no children, as a token holds it.
func newFixed(t testing.TB, name string) keyholder {
	t.Helper()
	k := keyholder{seed: sha256.Sum256([]byte("coldsign referees " + name))}
	k.fixed, _ = btcec.PrivKeyFromBytes(k.seed[:])
	key := [33]byte(k.fixed.PubKey().SerializeCompressed())
	k.record = wallet.KeyRecord{Name: name, Network: network, Kind: wallet.Fixed, Device: wallet.DevicePKCS11,
		Fingerprint: wallet.FingerprintOf(key), Key: hex.EncodeToString(key[:])}
	k.prove(t, k.fixed)
	return k
}

func (k *keyholder) prove(t testing.TB, private *btcec.PrivateKey) {
	t.Helper()
	receipt, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(k.seed[:]).Public())
	must(t, err)
	k.record.Receipt = seal.KeyLine(receipt)
	digest := k.record.ProofDigest()
	k.record.Proof = ecdsa.Sign(private, digest[:]).Serialize()
}

func (k keyholder) private(t testing.TB, branch wallet.Branch, index uint32) *btcec.PrivateKey {
	t.Helper()
	if k.fixed != nil {
		return k.fixed
	}
	node, err := k.account.Derive(uint32(branch))
	must(t, err)
	node, err = node.Derive(index)
	must(t, err)
	key, err := node.ECPrivKey()
	must(t, err)
	return key
}

// vault is a wallet with all its keyholders.
type vault struct {
	wallet  wallet.Wallet
	holders []keyholder
}

func newVault(t testing.TB, threshold int, holders ...keyholder) vault {
	t.Helper()
	var records []wallet.KeyRecord
	for _, k := range holders {
		records = append(records, k.record)
	}
	w, err := wallet.New("COLD", spend.Cold, threshold, records)
	must(t, err)
	return vault{w, holders}
}

const fixedVault = "2 of 3 with a fixed key in the middle"

// vaults are the shapes of wallet that the product makes.
func vaults(t testing.TB) map[string]vault {
	a, b, c, d, e := newKeyholder(t, "a"), newKeyholder(t, "b"), newKeyholder(t, "c"), newKeyholder(t, "d"), newKeyholder(t, "e")
	return map[string]vault{
		"2 of 3":   newVault(t, 2, a, b, c),
		"3 of 5":   newVault(t, 3, a, b, c, d, e),
		fixedVault: newVault(t, 2, a, newFixed(t, "token"), c),
	}
}

func hotWallet(t testing.TB) wallet.Wallet {
	t.Helper()
	w, err := wallet.New("HOT", spend.Hot, 2, []wallet.KeyRecord{newKeyholder(t, "x").record, newKeyholder(t, "y").record, newKeyholder(t, "z").record})
	must(t, err)
	return w
}

// public describes the wallet's keys to a referee.
func public(w wallet.Wallet) []map[string]any {
	var keys []map[string]any
	for _, r := range w.Keys() {
		keys = append(keys, map[string]any{"key": r.Key, "fixed": r.Kind == wallet.Fixed, "path": accountPath,
			"fingerprint": hex.EncodeToString(r.Fingerprint[:])})
	}
	return keys
}

// electrumKeys are the keys of a wallet in which Electrum holds the seed at a position.
func (v vault) electrumKeys(position int) []map[string]any {
	keys := public(v.wallet)
	keys[position] = map[string]any{"seed": hex.EncodeToString(v.holders[position].seed[:]), "path": accountPath}
	return keys
}

const hotIndex = 7

func (v vault) scope(t testing.TB) bitcoin.Scope {
	return bitcoin.Scope{From: v.wallet, To: hotWallet(t), ToIndex: hotIndex, ToKnown: true, IndexMax: 1000}
}

// packet moves 0.5 BTC out of two coins, with change.
func (v vault) packet(t testing.TB) *bitcoin.Packet {
	t.Helper()
	p, _, err := bitcoin.Build(bitcoin.Request{From: v.wallet, To: hotWallet(t), ToIndex: hotIndex, Amount: 50_000_000, ChangeIndex: 4,
		FeeRate: 5_000, Height: 812, Rand: rand.NewChaCha8([32]byte{1}),
		Coins: []bitcoin.Coin{v.coin(t, 30_000_000, wallet.Receive, 0), v.coin(t, 40_000_000, wallet.ChangeBranch, 9)}})
	must(t, err)
	return p
}

// coin is the second output of a transaction with a batch of others.
func (v vault) coin(t testing.TB, sats int64, branch wallet.Branch, index uint32) bitcoin.Coin {
	t.Helper()
	d, err := v.wallet.Derive(branch, index)
	must(t, err)
	source := sha256.Sum256(fmt.Append(nil, sats, branch, index))
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: source, Index: 3}, Sequence: 0xfffffffe,
		Witness: wire.TxWitness{bytes.Repeat([]byte{1}, 72), bytes.Repeat([]byte{2}, 33)}})
	tx.AddTxOut(wire.NewTxOut(70_000, append([]byte{0, 20}, source[:20]...)))
	tx.AddTxOut(wire.NewTxOut(sats, d.ScriptPubKey))
	return bitcoin.Coin{Outpoint: wire.OutPoint{Hash: tx.TxHash(), Index: 1}, Value: sats, Branch: branch, Index: index, PrevTx: serialise(t, tx)}
}

// answer signs with the key at a position.
func (v vault) answer(t testing.TB, p *bitcoin.Packet, position int) []bitcoin.Signature {
	t.Helper()
	tasks, err := bitcoin.Tasks(p, v.scope(t), position)
	must(t, err)
	var out []bitcoin.Signature
	for _, task := range tasks {
		der := ecdsa.Sign(v.holders[position].private(t, task.Branch, task.Index), task.Digest[:]).Serialize()
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: append(der, 1)})
	}
	return out
}

// secrets are the private keys at a position, one for each input of a packet, for a referee that signs.
func (v vault) secrets(t testing.TB, p *bitcoin.Packet, position int) []string {
	t.Helper()
	tasks, err := bitcoin.Tasks(p, v.scope(t), position)
	must(t, err)
	var out []string
	for _, task := range tasks {
		out = append(out, hex.EncodeToString(v.holders[position].private(t, task.Branch, task.Index).Serialize()))
	}
	return out
}

func serialise(t testing.TB, tx *wire.MsgTx) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, tx.Serialize(&out))
	return out.Bytes()
}

func text(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
