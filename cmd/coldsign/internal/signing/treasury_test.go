package signing_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

const (
	issuerName = "exchanged-1"
	coinValue  = 250_000 // satoshi of each coin of a treasury
	passphrase = "correct horse battery staple"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// treasury is a keyholder's home that is ready to sign for a cold m-of-n wallet, with a hot wallet to pay, and all the
// other people whose work comes before: an issuer that seals and two who approve.
type treasury struct {
	home   *home.Home
	dir    string
	key    *keystore.Key // position 0 of cold
	seed   [32]byte      // entropy of key
	cold   wallet.Wallet
	hot    wallet.Wallet
	issuer ssh.Signer
	people []ssh.Signer
	serial uint64
}

func newTreasury(t testing.TB, m, n int) *treasury {
	t.Helper()
	tr := &treasury{dir: t.TempDir(), seed: sha256.Sum256([]byte("treasury key 0")), issuer: fileKey(t, "issuer"),
		people: []ssh.Signer{fileKey(t, "alice"), fileKey(t, "bob")}}
	var err error
	tr.home, err = home.Create(tr.dir, spend.BitcoinRegtest)
	must(t, err)
	tr.cold = newWallet(t, filepath.Join(tr.dir, "keys"), "COLD-A", m, n)
	tr.hot = newWallet(t, t.TempDir(), "HOT-1", 2, 3)
	store, err := keystore.Open(tr.home.KeysDir(), nil)
	must(t, err)
	tr.key, err = store.Unlock("COLD-A-0", keystore.NewSecret([]byte(passphrase)))
	must(t, err)
	t.Cleanup(func() { _ = tr.key.Close() })
	tr.pinEverything(t)
	return tr
}

// newWallet makes n keys of different seeds in dir and a wallet of them.
func newWallet(t testing.TB, dir, name string, m, n int) wallet.Wallet {
	t.Helper()
	store, err := keystore.Open(dir, nil)
	must(t, err)
	var records []wallet.KeyRecord
	for i := range n {
		entropy := keystore.Entropy{Kernel: noise(name, i), Device: noise(name, 1000+i)}
		record, _, err := store.Create(keystore.Creation{Name: fmt.Sprintf("%s-%d", name, i), Network: spend.BitcoinRegtest,
			Passphrase: keystore.NewSecret([]byte(passphrase)), Params: keystore.TestParams(), Rand: noise(name, 2000+i)}, entropy)
		must(t, err)
		records = append(records, record)
	}
	tier := spend.Cold
	if strings.HasPrefix(name, "HOT") {
		tier = spend.Hot
	}
	w, err := wallet.New(name, tier, m, records)
	must(t, err)
	return w
}

// pinEverything pins wallets, issuer, roster and policy with the one key.
func (tr *treasury) pinEverything(t testing.TB) {
	t.Helper()
	issuer, err := bundle.Issuer{Name: issuerName, Network: spend.BitcoinRegtest, Key: tr.issuer.PublicKey()}.Marshal()
	must(t, err)
	var roster strings.Builder
	for i, name := range []string{"alice", "bob"} {
		fmt.Fprintf(&roster, "%s namespaces=\"coldsign-approve-v1\",valid-after=\"20200101Z\",valid-before=\"21000101Z\" %s role=approver site=zurich device=file\n",
			name, seal.KeyLine(tr.people[i].PublicKey()))
	}
	cold, hot := policy.Wallet{ID: tr.cold.ID(), Name: "COLD-A", Tier: spend.Cold}, policy.Wallet{ID: tr.hot.ID(), Name: "HOT-1", Tier: spend.Hot}
	rules := string(policy.Template(spend.BitcoinRegtest, cold, hot))
	rules = strings.Replace(rules, "    to: ", "    to:\n      - \""+tr.cold.ID().String()+"\"\n    #", 1) // consolidation
	ledger := tr.ledger(t)
	defer ledger.Close()
	for _, p := range []home.Pin{{Kind: home.WalletPin, Name: "COLD-A", Data: tr.cold.Marshal()}, {Kind: home.WalletPin, Name: "HOT-1", Data: tr.hot.Marshal()},
		{Kind: home.IssuerPin, Name: issuerName, Data: issuer}, {Kind: home.RosterPin, Name: "roster", Data: []byte(roster.String())},
		{Kind: home.PolicyPin, Name: "policy", Data: []byte(rules)}} {
		p.Signatures = tr.vouchers(t, p, tr.cold.Threshold())
		must(t, tr.home.Pin(ledger, noon, p, home.Signatory{Key: "COLD-A-0", Receipt: tr.key.Receipt()}, noise("pin", 0)))
	}
}

// vouchers are the signatures of the first n keyholders under a file whose kind needs a quorum.
func (tr *treasury) vouchers(t testing.TB, p home.Pin, n int) (out [][]byte) {
	t.Helper()
	if !p.Kind.NeedsQuorum() {
		return nil
	}
	store, err := keystore.Open(tr.home.KeysDir(), nil)
	must(t, err)
	for i := range n {
		key, err := store.Unlock(fmt.Sprintf("COLD-A-%d", i), keystore.NewSecret([]byte(passphrase)))
		must(t, err)
		armored, err := seal.Sign(key.Receipt(), p.Kind.Namespace(), p.Data, noise("vouch", i))
		must(t, err)
		must(t, key.Close())
		out = append(out, armored)
	}
	return out
}

func (tr *treasury) ledger(t testing.TB) *home.Ledger {
	t.Helper()
	ledger, err := tr.home.Ledger(true)
	must(t, err)
	return ledger
}

// coins are deposits of customers: each the second output of a transaction of its own, at an index of its own.
func (tr *treasury) coins(t testing.TB, from, n int) []bitcoin.Coin {
	t.Helper()
	var out []bitcoin.Coin
	for i := from; i < from+n; i++ {
		d, err := tr.cold.Derive(wallet.Receive, uint32(i))
		must(t, err)
		source := sha256.Sum256(fmt.Append(nil, "deposit", i))
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(source), Index: 3}, Sequence: 0xfffffffe,
			Witness: wire.TxWitness{bytes.Repeat([]byte{1}, 72), bytes.Repeat([]byte{2}, 33)}})
		tx.AddTxOut(wire.NewTxOut(70_000, append([]byte{0, 20}, source[:20]...)))
		tx.AddTxOut(wire.NewTxOut(coinValue, d.ScriptPubKey))
		var raw bytes.Buffer
		must(t, tx.Serialize(&raw))
		out = append(out, bitcoin.Coin{Outpoint: wire.OutPoint{Hash: tx.TxHash(), Index: 1}, Value: coinValue, Branch: wallet.Receive,
			Index: uint32(i), PrevTx: raw.Bytes()})
	}
	return out
}

// sweep is a packet that spends all of coins to a wallet.
func (tr *treasury) sweep(t testing.TB, to wallet.Wallet, coins []bitcoin.Coin) (*bitcoin.Packet, bitcoin.Plan) {
	t.Helper()
	p, plan, err := bitcoin.Build(bitcoin.Request{From: tr.cold, To: to, ToIndex: 7, All: true, FeeRate: 2000, Coins: coins, Height: 812, Rand: noise("build", 0)})
	must(t, err)
	if len(plan.Inputs) != len(coins) {
		t.Fatalf("%d of %d coins fit into one transaction", len(plan.Inputs), len(coins))
	}
	return p, plan
}

// bundle is a packet that was asked for, approved and sealed.
func (tr *treasury) bundle(t testing.TB, to wallet.Wallet, p *bitcoin.Packet) []byte {
	t.Helper()
	tr.serial++
	amount := int64(0)
	for _, out := range p.Unsigned().TxOut {
		amount += out.Value
	}
	intent, err := bundle.EncodeIntent(spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: tr.serial, Issuer: issuerName,
		From: tr.cold.ID(), To: to.ID(), ToIndex: 7, Amount: money.Sats(amount), Proposer: issuerName,
		CreatedAt: noon.Add(-time.Minute).Unix(), ExpiresAt: noon.Add(24 * time.Hour).Unix()})
	must(t, err)
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: issuerName, SealedAt: noon.Add(-time.Minute).Unix()}
	body.Payload, body.Proofs = p.Strip()
	for _, person := range tr.people {
		armored, err := seal.Sign(person, seal.Approve, intent, noise("approve", 0))
		must(t, err)
		body.Approvals = append(body.Approvals, armored)
	}
	raw, err := bundle.Seal(body, tr.issuer, noise("seal", 0))
	must(t, err)
	return raw
}

// sign is `coldsign sign` without its terminal.
func (tr *treasury) sign(ledger *home.Ledger, raw []byte, ask func(review.Request) error) (signing.Result, error) {
	s := signing.Session{Home: tr.home, Ledger: ledger, Info: keystore.Info{Name: "COLD-A-0", Record: tr.key.Record()},
		Unlock: func(context.Context) (*keystore.Key, error) { return tr.key, nil }, Now: func() time.Time { return noon },
		Rand: noise("session", 0), Ask: ask}
	return s.Sign(context.Background(), raw)
}

// forget takes the signer ledger back to what it was, so that the same bundle can be signed again.
func (tr *treasury) forget(t testing.TB, before []byte) {
	t.Helper()
	must(t, os.WriteFile(tr.ledgerPath(), before, 0o600))
}

func (tr *treasury) ledgerPath() string { return filepath.Join(tr.dir, "ledger.jsonl") }

func confirmed(review.Request) error { return nil }

// noise is a generator with a known seed: the same keys and coins in every run.
func noise(name string, i int) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint32([]byte(name), uint32(i))))
}

func fileKey(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("treasury " + name))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	must(t, err)
	return signer
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
