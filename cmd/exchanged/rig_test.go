package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// noon is when every test begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// cosigner is a keyholder's key in a test.
type cosigner struct {
	account *hdkeychain.ExtendedKey
	receipt ssh.Signer
	record  wallet.KeyRecord
}

func newCosigner(name string) cosigner {
	seed := sha256.Sum256([]byte("coldsign test " + name))
	node := must(hdkeychain.NewMaster(seed[:], must(wallet.Params(spend.BitcoinRegtest))))
	c := cosigner{receipt: must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))}
	c.record = wallet.KeyRecord{Name: name, Network: spend.BitcoinRegtest, Kind: wallet.BIP32, Device: wallet.DeviceFile,
		Fingerprint: wallet.FingerprintOf([33]byte(must(node.ECPubKey()).SerializeCompressed())), Receipt: seal.KeyLine(c.receipt.PublicKey())}
	const hard = hdkeychain.HardenedKeyStart
	c.record.Path = []uint32{hard + 48, hard + 1, hard, hard + 2}
	for _, step := range c.record.Path {
		node = must(node.Derive(step))
	}
	c.account, c.record.Key = node, must(node.Neuter()).String()
	digest := c.record.ProofDigest()
	c.record.Proof = ecdsa.Sign(must(node.ECPrivKey()), digest[:]).Serialize()
	return c
}

func (c cosigner) private(branch wallet.Branch, index uint32) *btcec.PrivateKey {
	return must(must(must(c.account.Derive(uint32(branch))).Derive(index)).ECPrivKey())
}

func cosigners(names ...string) (out []cosigner) {
	for _, name := range names {
		out = append(out, newCosigner(name))
	}
	return out
}

func walletOf(name string, tier spend.Tier, signers []cosigner) wallet.Wallet {
	var records []wallet.KeyRecord
	for _, s := range signers {
		records = append(records, s.record)
	}
	return must(wallet.New(name, tier, 2, records))
}

// chain is a node with a block chain that grows when a test says so.
type chain struct {
	mu     sync.Mutex
	blocks []*wire.MsgBlock
	pool   []*wire.MsgTx
	sent   [][]byte              // every transaction handed over, in order
	fail   error                 // what Broadcast returns
	picky  func(raw []byte) bool // what Broadcast does not take
	dearer int64                 // what the fee rate has risen by
	rates  int                   // how often somebody asked for the fee rate
}

var errNode = errors.New("the node does not answer")

// mine adds a block with the pool and further transactions.
func (c *chain) mine(txs ...*wire.MsgTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: []byte(fmt.Sprintf("%04d", len(c.blocks)))})
	coinbase.AddTxOut(wire.NewTxOut(50e8, []byte{0x51}))
	block := wire.NewMsgBlock(&wire.BlockHeader{Timestamp: noon.Add(time.Duration(len(c.blocks)) * time.Minute), Nonce: uint32(len(c.blocks))})
	if n := len(c.blocks); n > 0 {
		block.Header.PrevBlock = c.blocks[n-1].BlockHash()
	}
	for _, tx := range append(append([]*wire.MsgTx{coinbase}, c.pool...), txs...) {
		if err := block.AddTransaction(tx); err != nil {
			panic(err)
		}
	}
	c.blocks, c.pool = append(c.blocks, block), nil
}

func (c *chain) Tip(context.Context) (uint32, chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	top := len(c.blocks) - 1
	return uint32(top), c.blocks[top].BlockHash(), nil
}

func (c *chain) BlockHash(_ context.Context, height uint32) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[height].BlockHash(), nil
}

func (c *chain) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			return b, nil
		}
	}
	return nil, errNode
}

func (c *chain) FeeRate(context.Context, int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rates++
	return 2000 + c.dearer, nil
}

// spends says whether a transaction takes the coin.
func spends(tx *wire.MsgTx, at wire.OutPoint) bool {
	return slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool { return in.PreviousOutPoint == at })
}

func (c *chain) Waiting(_ context.Context, txid chainhash.Hash) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range c.pool {
		if tx.TxHash() == txid {
			return rawOf(tx), true, nil
		}
	}
	return nil, false, nil
}

func (c *chain) Output(_ context.Context, at wire.OutPoint) (int64, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, known := int64(0), false
	for _, block := range c.blocks {
		for _, tx := range block.Transactions {
			if spends(tx, at) {
				return 0, false, nil
			}
			if tx.TxHash() == at.Hash && int(at.Index) < len(tx.TxOut) {
				value, known = tx.TxOut[at.Index].Value, true
			}
		}
	}
	return value, known, nil
}

func rawOf(tx *wire.MsgTx) []byte {
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		panic(err)
	}
	return raw.Bytes()
}

func (c *chain) Broadcast(_ context.Context, raw []byte) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, bytes.Clone(raw))
	if c.fail != nil {
		return chainhash.Hash{}, c.fail
	}
	if c.picky != nil && c.picky(raw) {
		return chainhash.Hash{}, errNode
	}
	tx := wire.NewMsgTx(2)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return chainhash.Hash{}, err
	}
	for _, known := range c.pool {
		if known.TxHash() == tx.TxHash() {
			return tx.TxHash(), nil
		}
	}
	// A transaction that spends a coin of another one takes its place, as nodes do for a higher fee.
	c.pool = append(slices.DeleteFunc(c.pool, func(other *wire.MsgTx) bool { return shareACoin(other, tx) }), tx)
	return tx.TxHash(), nil
}

func shareACoin(a, b *wire.MsgTx) bool {
	for _, in := range a.TxIn {
		if slices.ContainsFunc(b.TxIn, func(other *wire.TxIn) bool { return other.PreviousOutPoint == in.PreviousOutPoint }) {
			return true
		}
	}
	return false
}

// rig is a daemon with its surroundings, which may be killed and started again over the same folder.
type rig struct {
	*daemon
	t         *testing.T
	dir       string
	chain     *chain
	cold, hot wallet.Wallet
	more      []wallet.Wallet // registered by single tests
	signers   []cosigner      // of cold
	counter   uint64          // of the receipts
	people    map[string]ssh.Signer
	mu        sync.Mutex
	time      time.Time
}

func (r *rig) clock() time.Time     { r.mu.Lock(); defer r.mu.Unlock(); return r.time }
func (r *rig) set(moment time.Time) { r.mu.Lock(); defer r.mu.Unlock(); r.time = moment }

// command runs a command of exchanged and returns its exit code and what it said.
func (r *rig) command(args ...string) (console.Code, string, string) {
	var out, errs bytes.Buffer
	c := &console.Console{Name: "exchanged", In: strings.NewReader(""), Out: &out, Err: &errs, Now: r.clock}
	return execute(c, append(args, "--data", r.dir)), out.String(), errs.String()
}

func (r *rig) mustCommand(args ...string) string {
	r.t.Helper()
	code, out, errs := r.command(args...)
	if code != console.Done {
		r.t.Fatalf("exchanged %s: exit %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func (r *rig) file(name string, data []byte) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// newRig makes a daemon on regtest with both wallets, five coins of 1 BTC in cold, nothing in hot, and a roster.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), chain: &chain{}, time: noon, people: map[string]ssh.Signer{}}
	r.signers = cosigners("a", "b", "c")
	r.cold = walletOf("COLD-BTC-A", spend.Cold, r.signers)
	r.hot = walletOf("HOT-BTC-1", spend.Hot, cosigners("x", "y", "z"))
	r.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0")
	config := must(os.ReadFile(filepath.Join(r.dir, "exchanged.yaml")))
	tiers := "tiers:\n  - wallet: HOT-BTC-1\n    floor: \"1.0\"\n    target: \"2.5\"\n    from: COLD-BTC-A\n"
	config = bytes.Replace(config, []byte("tiers: []\n"), []byte(tiers), 1)
	if err := os.WriteFile(filepath.Join(r.dir, "exchanged.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.mustCommand("wallet", "add", r.file("cold", r.cold.Marshal()))
	r.mustCommand("wallet", "add", r.file("hot", r.hot.Marshal()))
	if out := r.mustCommand("wallet", "add", r.file("hot", r.hot.Marshal()), "--json"); !strings.Contains(out, `"changed":false`) {
		t.Errorf("the same wallet again: %s", out)
	}
	r.setRoster("alice", "bob", "carol")
	funding := wire.NewMsgTx(2)
	funding.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{1}}, SignatureScript: []byte{0x51}})
	for index := range uint32(5) {
		funding.AddTxOut(wire.NewTxOut(1e8, must(r.cold.Derive(wallet.Receive, index)).ScriptPubKey))
	}
	r.chain.mine()
	r.chain.mine(funding)
	r.start()
	t.Cleanup(r.kill)
	return r
}

// setRoster puts people on the roster, each with one key in a file.
func (r *rig) setRoster(names ...string) {
	r.t.Helper()
	var b strings.Builder
	for _, name := range names {
		if r.people[name] == nil {
			seed := sha256.Sum256([]byte("person " + name))
			r.people[name] = must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))
		}
		fmt.Fprintf(&b, "%s namespaces=\"coldsign-approve-v1\",valid-after=\"20260101Z\",valid-before=\"20280101Z\" %s role=approver site=zurich device=file\n",
			name, seal.KeyLine(r.people[name].PublicKey()))
	}
	r.mustCommand("roster", "set", r.file("roster", []byte(b.String())))
}

// start opens the records and does one round of work.
func (r *rig) start() {
	r.t.Helper()
	at := folder(r.dir)
	c, err := parseConfig(must(os.ReadFile(at.path("exchanged.yaml"))))
	if err != nil {
		r.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if r.daemon, err = newDaemon(context.Background(), c, at, outside{chain: r.chain, sender: r.chain, log: log, now: r.clock}); err != nil {
		r.t.Fatal(err)
	}
	r.tick(context.Background())
}

// kill drops the daemon without any of its good-byes; only the lock on the records is given back, as the kernel would.
func (r *rig) kill() {
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// configure changes the daemon's configuration; it counts from the next start on.
func (r *rig) configure(old, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "exchanged.yaml")
	before := must(os.ReadFile(path))
	after := strings.Replace(string(before), old, text, 1)
	if after == string(before) {
		r.t.Fatalf("the configuration lacks %q", old)
	}
	if err := os.WriteFile(path, []byte(after), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// deposit pays coins of one transaction to receive addresses of a wallet from an index on, in a block of their own.
func (r *rig) deposit(to wallet.Wallet, from uint32, sats ...int64) {
	r.t.Helper()
	r.counter++
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256(fmt.Appendf(nil, "deposit %d", r.counter))}, SignatureScript: []byte{0x51}})
	for i, value := range sats {
		tx.AddTxOut(wire.NewTxOut(value, must(to.Derive(wallet.Receive, from+uint32(i)%30)).ScriptPubKey))
	}
	r.chain.mine(tx)
	r.tick(context.Background())
}

func (r *rig) restart() { r.t.Helper(); r.kill(); r.start() }

func (r *rig) look(serial uint64) treasury.View {
	r.t.Helper()
	v, err := r.treasury.Look(context.Background(), serial)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// approval signs an intent's exact bytes as a person.
func (r *rig) approval(serial uint64, person string) []byte {
	r.t.Helper()
	return must(seal.Sign(r.people[person], seal.Approve, r.look(serial).Intent.Bytes, rand.Reader))
}

func (r *rig) approve(serial uint64, person string) error {
	r.t.Helper()
	_, err := r.treasury.Approve(context.Background(), treasury.Person{Name: person}, serial, r.approval(serial, person))
	return err
}

// opened is the live bundle of a top-up with its packet, and what that is judged against.
func (r *rig) opened(serial uint64) (bundle.Opened, *bitcoin.Packet, bitcoin.Scope) {
	r.t.Helper()
	opened, err := bundle.Open(must(r.treasury.Sealed(context.Background(), serial)), issuers{r.sealer.PublicKey()}, r.clock())
	if err != nil {
		r.t.Fatal(err)
	}
	scope := bitcoin.Scope{ToIndex: opened.Intent.ToIndex, ToKnown: opened.Intent.Purpose == spend.TopUp, IndexMax: 1000}
	for _, w := range append([]wallet.Wallet{r.cold, r.hot}, r.more...) {
		if w.ID() == opened.Intent.From {
			scope.From = w
		}
		if w.ID() == opened.Intent.To {
			scope.To = w
		}
	}
	return opened, must(bitcoin.Join(opened.Payload, opened.Proofs)), scope
}

// answerTo makes a keyholder's answer to the bundle of a top-up, before it is sealed.
func (r *rig) answerTo(serial uint64, position int) bundle.Answer {
	r.t.Helper()
	opened, packet, scope := r.opened(serial)
	r.counter++
	answer := bundle.Answer{Bundle: opened.ID, Wallet: scope.From.ID(), Position: position, Counter: r.counter}
	for _, s := range r.signaturesOf(packet, scope, position) {
		answer.Signatures = append(answer.Signatures, bundle.AnswerSignature{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature})
	}
	return answer
}

func (r *rig) signaturesOf(packet *bitcoin.Packet, scope bitcoin.Scope, position int) []bitcoin.Signature {
	r.t.Helper()
	var out []bitcoin.Signature
	for _, task := range must(bitcoin.Tasks(packet, scope, position)) {
		der := ecdsa.Sign(r.signers[position].private(task.Branch, task.Index), task.Digest[:]).Serialize()
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: append(der, 1)})
	}
	return out
}

func (r *rig) sealed(answer bundle.Answer) []byte {
	r.t.Helper()
	return must(bundle.SealAnswer(answer, r.signers[answer.Position].receipt, rand.Reader))
}

func (r *rig) give(raw []byte) (bool, error) {
	_, changed, err := r.treasury.Answer(context.Background(), treasury.Person{Name: "alice"}, raw)
	return changed, err
}

type issuers struct{ key ssh.PublicKey }

func (i issuers) Issuer(name string) (ssh.PublicKey, bool) { return i.key, name == "exchanged-1" }

// hotBalance is what the hot wallet holds in the chain.
func (r *rig) hotBalance() int64 {
	r.t.Helper()
	return must(r.records.Balance(context.Background(), r.hot.ID(), 1)).Total
}

// wantCode fails unless err is a refusal with that code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("refused with %v, want %s", err, code)
	}
}

// signWithOneNonce replaces the signatures of an answer by ones that share a nonce, as a broken HSM would make them.
func (r *rig) signWithOneNonce(answer *bundle.Answer) {
	_, packet, scope := r.opened(1)
	for i, task := range must(bitcoin.Tasks(packet, scope, answer.Position)) {
		key := r.signers[answer.Position].private(task.Branch, task.Index)
		answer.Signatures[i].Signature = signWith(key, task.Digest, 7)
	}
}

func signWith(key *btcec.PrivateKey, digest [32]byte, nonce uint32) []byte {
	k := new(btcec.ModNScalar).SetInt(nonce)
	var point btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(k, &point)
	point.ToAffine()
	var r, e, s btcec.ModNScalar
	r.SetByteSlice(point.X.Bytes()[:])
	e.SetByteSlice(digest[:])
	s.Mul2(&r, &key.Key).Add(&e).Mul(new(btcec.ModNScalar).InverseValNonConst(k))
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	return append(ecdsa.NewSignature(&r, &s).Serialize(), 1)
}
