package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// cosigner holds a private key of a test wallet; the product has no such type in this room.
type cosigner struct {
	account *hdkeychain.ExtendedKey // m/48h/coin/0h/2h, nil for a fixed key
	fixed   *btcec.PrivateKey
	record  wallet.KeyRecord
}

func newCosigner(t testing.TB, name string, network spend.Network, fixed bool) cosigner {
	t.Helper()
	seed := sha256.Sum256([]byte("coldsign test " + name))
	receipt := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), seed[:]...)
	c := cosigner{record: wallet.KeyRecord{Name: name, Network: network, Receipt: "ssh-ed25519 " + base64.StdEncoding.EncodeToString(receipt)}}
	var prover *btcec.PrivateKey
	if fixed {
		c.fixed, _ = btcec.PrivKeyFromBytes(seed[:])
		key := [33]byte(c.fixed.PubKey().SerializeCompressed())
		c.record.Kind, c.record.Device, c.record.Key = wallet.Fixed, wallet.DevicePKCS11, fmt.Sprintf("%x", key)
		c.record.Fingerprint, prover = wallet.FingerprintOf(key), c.fixed
	} else {
		params, err := wallet.Params(network)
		must(t, err)
		node, err := hdkeychain.NewMaster(seed[:], params)
		must(t, err)
		public, err := node.ECPubKey()
		must(t, err)
		c.record.Kind, c.record.Device = wallet.BIP32, wallet.DeviceFile
		c.record.Fingerprint = wallet.FingerprintOf([33]byte(public.SerializeCompressed()))
		coin := uint32(hdkeychain.HardenedKeyStart + 1)
		if network == spend.BitcoinMainnet {
			coin--
		}
		c.record.Path = []uint32{hdkeychain.HardenedKeyStart + 48, coin, hdkeychain.HardenedKeyStart, hdkeychain.HardenedKeyStart + 2}
		for _, step := range c.record.Path {
			node, err = node.Derive(step)
			must(t, err)
		}
		neutered, err := node.Neuter()
		must(t, err)
		c.account, c.record.Key = node, neutered.String()
		prover, err = node.ECPrivKey()
		must(t, err)
	}
	digest := c.record.ProofDigest()
	c.record.Proof = ecdsa.Sign(prover, digest[:]).Serialize()
	return c
}

func (c cosigner) private(t testing.TB, branch wallet.Branch, index uint32) *btcec.PrivateKey {
	t.Helper()
	if c.fixed != nil {
		return c.fixed
	}
	node, err := c.account.Derive(uint32(branch))
	must(t, err)
	node, err = node.Derive(index)
	must(t, err)
	key, err := node.ECPrivKey()
	must(t, err)
	return key
}

// sign answers tasks as a signer with RFC 6979 nonces does.
func (c cosigner) sign(t testing.TB, tasks []bitcoin.Task) []bitcoin.Signature {
	t.Helper()
	var out []bitcoin.Signature
	for _, task := range tasks {
		der := ecdsa.Sign(c.private(t, task.Branch, task.Index), task.Digest[:]).Serialize()
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: append(der, 1)})
	}
	return out
}

// signWith makes a signature with a chosen nonce, for tests about nonces.
func signWith(key *btcec.PrivateKey, digest [32]byte, nonce int64) []byte {
	k := new(btcec.ModNScalar).SetInt(uint32(nonce))
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

// world is a cold 2-of-3 wallet that tops up a hot one on regtest.
type world struct {
	cold, hot wallet.Wallet
	signers   []cosigner // of cold
}

func newWorld(t testing.TB) world {
	return world{
		cold:    newWallet(t, "COLD", 2, signersOf(t, spend.BitcoinRegtest, "a", "b!", "c")),
		hot:     newWallet(t, "HOT", 2, signersOf(t, spend.BitcoinRegtest, "x", "y", "z")),
		signers: signersOf(t, spend.BitcoinRegtest, "a", "b!", "c"),
	}
}

// signersOf makes cosigners; a name with an exclamation mark has a fixed key.
func signersOf(t testing.TB, network spend.Network, names ...string) []cosigner {
	var out []cosigner
	for _, name := range names {
		out = append(out, newCosigner(t, strings.TrimSuffix(name, "!"), network, strings.HasSuffix(name, "!")))
	}
	return out
}

func newWallet(t testing.TB, name string, m int, signers []cosigner) wallet.Wallet {
	t.Helper()
	var records []wallet.KeyRecord
	for _, s := range signers {
		records = append(records, s.record)
	}
	w, err := wallet.New(name, spend.Cold, m, records)
	must(t, err)
	return w
}

func (w world) scope() bitcoin.Scope {
	return bitcoin.Scope{From: w.cold, To: w.hot, ToIndex: 7, ToKnown: true, IndexMax: 1000}
}

// coin makes a coin of a wallet: the second output of a segwit transaction with a batch of others.
func coin(t testing.TB, from wallet.Wallet, value int64, branch wallet.Branch, index uint32) bitcoin.Coin {
	t.Helper()
	d, err := from.Derive(branch, index)
	must(t, err)
	return coinAt(value, branch, index, d.ScriptPubKey)
}

func coinAt(value int64, branch wallet.Branch, index uint32, script []byte) bitcoin.Coin {
	tx := wire.NewMsgTx(2)
	source := sha256.Sum256(fmt.Append(nil, value, branch, index, script))
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(source), Index: 3}, Sequence: 0xfffffffe,
		Witness: wire.TxWitness{bytes.Repeat([]byte{1}, 72), bytes.Repeat([]byte{2}, 33)}})
	tx.AddTxOut(wire.NewTxOut(70_000, append([]byte{0, 20}, source[:20]...)))
	tx.AddTxOut(wire.NewTxOut(value, script))
	var raw bytes.Buffer
	_ = tx.Serialize(&raw)
	return bitcoin.Coin{Outpoint: wire.OutPoint{Hash: tx.TxHash(), Index: 1}, Value: value, Branch: branch, Index: index, PrevTx: raw.Bytes()}
}

// request moves 0.5 BTC out of two coins with change.
func (w world) request(t testing.TB) bitcoin.Request {
	return bitcoin.Request{From: w.cold, To: w.hot, ToIndex: 7, Amount: 50_000_000, ChangeIndex: 4, FeeRate: 5_000, Height: 812, Rand: noise(1),
		Coins: []bitcoin.Coin{coin(t, w.cold, 30_000_000, wallet.Receive, 0), coin(t, w.cold, 40_000_000, wallet.ChangeBranch, 9)}}
}

func noise(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func (w world) packet(t testing.TB) *bitcoin.Packet {
	t.Helper()
	p, _, err := bitcoin.Build(w.request(t))
	must(t, err)
	return p
}

// answers signs with every key of the cold wallet.
func (w world) answers(t testing.TB, p *bitcoin.Packet) [][]bitcoin.Signature {
	t.Helper()
	var out [][]bitcoin.Signature
	for position, signer := range w.signers {
		tasks, err := bitcoin.Tasks(p, w.scope(), position)
		must(t, err)
		out = append(out, signer.sign(t, tasks))
	}
	return out
}

// draft is a packet taken apart by the test's own hands, to be changed and put together again.
type draft struct {
	tx   *wire.MsgTx
	maps [][]pair // global, inputs, outputs
}

type pair struct{ key, value []byte }

func open(t testing.TB, raw []byte) *draft {
	t.Helper()
	r := bytes.NewReader(raw[5:])
	d := &draft{tx: &wire.MsgTx{}}
	for r.Len() > 0 {
		m := []pair{}
		for {
			key, err := wire.ReadVarBytes(r, 0, 1<<24, "key")
			must(t, err)
			if len(key) == 0 {
				break
			}
			value, err := wire.ReadVarBytes(r, 0, 1<<24, "value")
			must(t, err)
			m = append(m, pair{key, value})
		}
		d.maps = append(d.maps, m)
	}
	must(t, d.tx.DeserializeNoWitness(bytes.NewReader(d.maps[0][0].value)))
	return d
}

func (d *draft) bytes() []byte {
	var tx, out bytes.Buffer
	_ = d.tx.SerializeNoWitness(&tx)
	if d.maps[0][0].value != nil {
		d.maps[0][0].value = tx.Bytes()
	}
	out.WriteString("psbt\xff")
	for _, m := range d.maps {
		for _, p := range m {
			_ = wire.WriteVarBytes(&out, 0, p.key)
			_ = wire.WriteVarBytes(&out, 0, p.value)
		}
		out.WriteByte(0)
	}
	return out.Bytes()
}

func (d *draft) input(i int) *[]pair  { return &d.maps[1+i] }
func (d *draft) output(i int) *[]pair { return &d.maps[1+len(d.tx.TxIn)+i] }

// set replaces or adds a field; drop removes the fields of a type.
func set(m *[]pair, key, value []byte) {
	for i := range *m {
		if bytes.Equal((*m)[i].key, key) {
			(*m)[i].value = value
			return
		}
	}
	*m = append(*m, pair{key, value})
}

func drop(m *[]pair, kind byte) {
	*m = slices.DeleteFunc(*m, func(p pair) bool { return p.key[0] == kind })
}

func get(m *[]pair, kind byte) []byte {
	for _, p := range *m {
		if p.key[0] == kind {
			return p.value
		}
	}
	return nil
}

// claim writes derivations for every key of a derived script.
func claim(m *[]pair, kind byte, d wallet.Derived) {
	drop(m, kind)
	for _, k := range d.Keys {
		set(m, append([]byte{kind}, k.PubKey[:]...), derivation(k.Fingerprint, k.Path...))
	}
}

func derivation(fingerprint [4]byte, path ...uint32) []byte {
	out := slices.Clone(fingerprint[:])
	for _, step := range path {
		out = binary.LittleEndian.AppendUint32(out, step)
	}
	return out
}

// spendCoin makes input i spend another coin, with everything beside it true.
func (d *draft) spendCoin(t testing.TB, i int, from wallet.Wallet, c bitcoin.Coin) {
	t.Helper()
	derived, err := from.Derive(c.Branch, c.Index)
	must(t, err)
	var tx wire.MsgTx
	must(t, tx.Deserialize(bytes.NewReader(c.PrevTx)))
	d.tx.TxIn[i].PreviousOutPoint = c.Outpoint
	set(d.input(i), []byte{0}, c.PrevTx)
	set(d.input(i), []byte{1}, txOut(tx.TxOut[c.Outpoint.Index]))
	set(d.input(i), []byte{5}, derived.WitnessScript)
	claim(d.input(i), 6, derived)
}

func txOut(o *wire.TxOut) []byte {
	var out bytes.Buffer
	_ = wire.WriteTxOut(&out, 0, 0, o)
	return out.Bytes()
}

// refusals lists "code" and "code@where" of every refusal inside err.
func refusals(err error) []string {
	var out []string
	switch e := err.(type) {
	case nil:
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, refusals(inner)...)
		}
	default:
		var r *spend.Refusal
		if errors.As(err, &r) {
			out = append(out, r.Code, r.Code+"@"+r.Where)
		}
	}
	return out
}

func wantRefusal(t testing.TB, err error, code string) {
	t.Helper()
	if !slices.Contains(refusals(err), code) {
		t.Errorf("want refusal %s, got %v", code, err)
	}
}

// prove reads and proves; tests about meaning need a packet that reads.
func prove(t testing.TB, raw []byte, s bitcoin.Scope) error {
	t.Helper()
	p, err := bitcoin.Read(raw)
	if err != nil {
		t.Fatalf("the packet does not read: %v", err)
	}
	_, err = bitcoin.Prove(p, s)
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func bigOf(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	must(t, err)
	return out
}

func openTx(t testing.TB, raw []byte) *wire.MsgTx {
	t.Helper()
	tx := &wire.MsgTx{}
	must(t, tx.Deserialize(bytes.NewReader(raw)))
	return tx
}

func serialise(t testing.TB, tx *wire.MsgTx) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, tx.Serialize(&out))
	return out.Bytes()
}

func outpoint(tx *wire.MsgTx, index uint32) wire.OutPoint {
	return wire.OutPoint{Hash: tx.TxHash(), Index: index}
}
