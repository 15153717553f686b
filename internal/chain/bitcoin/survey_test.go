package bitcoin_test

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// single is a wallet of another product with one key: tr or wpkh.
type single struct {
	holder     cosigner
	descriptor wallet.Descriptor
}

func newSingle(t testing.TB, function string) single {
	t.Helper()
	s := single{holder: newCosigner(t, "single", spend.BitcoinRegtest, false)}
	var err error
	s.descriptor, err = wallet.ParseUnchecked(fmt.Sprintf("%s([%x/48h/1h/0h/2h]%s/<0;1>/*)", function, s.holder.record.Fingerprint, s.holder.record.Key))
	must(t, err)
	return s
}

func (s single) script(t testing.TB, branch wallet.Branch, index uint32) []byte {
	t.Helper()
	derived, err := s.descriptor.Derive(spend.BitcoinRegtest, int(branch), index)
	must(t, err)
	return derived.ScriptPubKey
}

func (s single) coin(t testing.TB, value int64, branch wallet.Branch, index uint32) bitcoin.Coin {
	t.Helper()
	return coinAt(value, branch, index, s.script(t, branch, index))
}

// internal is the x of the key at a place.
func (s single) internal(t testing.TB, c bitcoin.Coin) []byte {
	t.Helper()
	return schnorr.SerializePubKey(s.holder.private(t, c.Branch, c.Index).PubKey())
}

// claims writes what a wallet says beside an input or output of its own.
func (s single) claims(t testing.TB, m *[]pair, c bitcoin.Coin, plain, taproot byte) {
	t.Helper()
	path := append(slices.Clone(s.holder.record.Path), uint32(c.Branch), c.Index)
	if s.descriptor.Shape() == "tr" {
		set(m, append([]byte{taproot}, s.internal(t, c)...), append([]byte{0}, derivation(s.holder.record.Fingerprint, path...)...))
		return
	}
	key := s.holder.private(t, c.Branch, c.Index).PubKey().SerializeCompressed()
	set(m, append([]byte{plain}, key...), derivation(s.holder.record.Fingerprint, path...))
}

// payment spends two coins, pays a stranger 0.6 BTC and takes 0.09 back. Taproot coins come without previous transactions.
func (s single) payment(t testing.TB) *draft {
	t.Helper()
	d := &draft{tx: wire.NewMsgTx(2), maps: make([][]pair, 5)}
	for i, c := range []bitcoin.Coin{s.coin(t, 30_000_000, wallet.Receive, 0), s.coin(t, 40_000_000, wallet.ChangeBranch, 9)} {
		d.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.Outpoint, Sequence: 0xfffffffd})
		set(&d.maps[1+i], []byte{1}, txOut(wire.NewTxOut(c.Value, s.script(t, c.Branch, c.Index))))
		s.claims(t, &d.maps[1+i], c, 6, 0x16)
		if s.descriptor.Shape() == "tr" {
			set(&d.maps[1+i], []byte{0x17}, s.internal(t, c))
		} else {
			set(&d.maps[1+i], []byte{0}, c.PrevTx)
		}
	}
	d.tx.AddTxOut(wire.NewTxOut(60_000_000, append([]byte{0, 20}, make([]byte, 20)...)))
	d.tx.AddTxOut(wire.NewTxOut(9_000_000, s.script(t, wallet.ChangeBranch, 10)))
	s.claims(t, &d.maps[4], bitcoin.Coin{Branch: wallet.ChangeBranch, Index: 10}, 2, 7)
	d.maps[0] = []pair{{[]byte{0}, []byte{}}}
	return d
}

func (d *draft) survey(t testing.TB) (bitcoin.Surveyed, error) {
	t.Helper()
	p, err := bitcoin.Read(d.bytes())
	if err != nil {
		t.Fatalf("the packet does not read: %v", err)
	}
	return bitcoin.Survey(p)
}

// surveyed is a survey that must hold.
func (d *draft) surveyed(t testing.TB) bitcoin.Surveyed {
	t.Helper()
	s, err := d.survey(t)
	must(t, err)
	return s
}

// sign places the holder's signature of a key path, of the type that the digest says.
func (s single) sign(t testing.TB, d *draft, input int, c bitcoin.Coin) {
	t.Helper()
	digest := d.surveyed(t).Digests()[input]
	tweaked := txscript.TweakTaprootPrivKey(*s.holder.private(t, c.Branch, c.Index), nil)
	signature, err := schnorr.Sign(tweaked, digest.Hash[:])
	must(t, err)
	raw := signature.Serialize()
	if digest.Sighash == "ALL" {
		raw = append(raw, 1)
	}
	set(d.input(input), []byte{0x13}, raw)
}

func TestAPaymentOfATaprootWalletIsDescribed(t *testing.T) {
	s := newSingle(t, "tr")
	d := s.payment(t)
	set(d.input(1), []byte{3}, []byte{1, 0, 0, 0})
	s.sign(t, d, 0, bitcoin.Coin{Branch: wallet.Receive, Index: 0})
	s.sign(t, d, 1, bitcoin.Coin{Branch: wallet.ChangeBranch, Index: 9})
	found := d.surveyed(t)
	f, err := found.Described(s.descriptor, spend.BitcoinRegtest, 1000)
	must(t, err)
	var roles []chain.Role
	for _, o := range f.Outputs {
		roles = append(roles, o.Role)
	}
	if got := fmt.Sprintf("%s %d %d %d %s %v %d %d %t", f.FromName, f.Threshold, f.Keys, f.SignedBy, f.Fee, roles, f.Outputs[1].Index,
		f.Inputs[1].Index, f.Inputs[1].Change); got != "tr 1 1 1 0.01000000 BTC [external change] 10 9 true" {
		t.Error(got)
	}
	digests := found.Digests()
	if len(digests) != 2 || digests[0].Rule != "BIP341" || digests[0].Sighash != "DEFAULT" || digests[1].Sighash != "ALL" {
		t.Errorf("digests %v", digests)
	}
	// The finished transaction has the size that was told, and the script engine takes the signatures.
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range d.tx.TxIn {
		in.Witness = wire.TxWitness{get(d.input(i), 0x13)}
		fetcher.AddPrevOut(in.PreviousOutPoint, &wire.TxOut{Value: int64(binary.LittleEndian.Uint64(get(d.input(i), 1))), PkScript: get(d.input(i), 1)[9:]})
	}
	if size := int64(3*d.tx.SerializeSizeStripped()+d.tx.SerializeSize()+3) / 4; size != f.VirtualBytes {
		t.Errorf("%d vB, told %d", size, f.VirtualBytes)
	}
	shared := txscript.NewTxSigHashes(d.tx, fetcher)
	for i, in := range d.tx.TxIn {
		out := fetcher.FetchPrevOutput(in.PreviousOutPoint)
		engine, err := txscript.NewEngine(out.PkScript, d.tx, i, txscript.StandardVerifyFlags, nil, shared, out.Value, fetcher)
		must(t, err)
		must(t, engine.Execute())
	}
}

// Attacks 021 and 027: a stated amount is enough only where every signature covers every amount.
func TestAttack021And027StatedAmountsAreEnoughAmongTaprootCoinsAlone(t *testing.T) {
	s, w := newSingle(t, "tr"), newWorld(t)
	d := s.payment(t)
	drop(d.input(1), 1)
	_, err := d.survey(t)
	wantRefusal(t, err, "amount-unproven@input 1")

	d, taproot := s.payment(t), s.coin(t, 30_000_000, wallet.Receive, 0)
	*d.input(1) = nil
	d.spendCoin(t, 1, w.cold, coin(t, w.cold, 40_000_000, wallet.Receive, 3))
	_, err = d.survey(t)
	wantRefusal(t, err, "amount-unproven@input 0")
	set(d.input(0), []byte{0}, taproot.PrevTx)
	if rules := d.surveyed(t).Digests(); rules[0].Rule != "BIP341" || rules[1].Rule != "BIP143" {
		t.Errorf("digests %v", rules)
	}
	drop(d.input(1), 0)
	_, err = d.survey(t)
	wantRefusal(t, err, "amount-unproven@input 1")

	d = s.payment(t)
	set(d.input(0), []byte{0}, taproot.PrevTx)
	set(d.input(0), []byte{1}, txOut(wire.NewTxOut(taproot.Value+1, s.script(t, 0, 0))))
	_, err = d.survey(t)
	wantRefusal(t, err, "witness-utxo-differs@input 0")
}

// Attack 027: whoever lies about one amount gets signatures that are worth nothing, for any input.
func TestAttack027AFalseAmountVoidsEverySignature(t *testing.T) {
	s := newSingle(t, "tr")
	d := s.payment(t)
	s.sign(t, d, 0, bitcoin.Coin{Branch: wallet.Receive, Index: 0})
	d.surveyed(t)
	set(d.input(1), []byte{1}, txOut(wire.NewTxOut(40_000_001, s.script(t, wallet.ChangeBranch, 9))))
	_, err := d.survey(t)
	wantRefusal(t, err, "signature-invalid@input 0")
}

func TestAttack032And050TaprootFieldsThatMeanMore(t *testing.T) {
	s := newSingle(t, "tr")
	other, _ := btcec.PrivKeyFromBytes([]byte{77})
	for name, c := range map[string]struct {
		code string
		edit func(*draft)
	}{
		"an internal key of somebody else": {"taproot-key-differs@input 0", func(d *draft) { set(d.input(0), []byte{0x17}, schnorr.SerializePubKey(other.PubKey())) }},
		"a script tree that is not there":  {"taproot-key-differs@input 0", func(d *draft) { set(d.input(0), []byte{0x18}, make([]byte, 32)) }},
		"a script to spend by":             {"field-foreign@input 0", func(d *draft) { set(d.input(0), append([]byte{0x15}, make([]byte, 33)...), []byte{0x51, 0xc0}) }},
		"a signature of a script path":     {"field-foreign@input 0", func(d *draft) { set(d.input(0), append([]byte{0x14}, make([]byte, 64)...), make([]byte, 64)) }},
		"keys of MuSig2": {"field-foreign@input 0", func(d *draft) {
			set(d.input(0), append([]byte{0x1a}, other.PubKey().SerializeCompressed()...), other.PubKey().SerializeCompressed())
		}},
		"a witness script":             {"field-foreign@input 0", func(d *draft) { set(d.input(0), []byte{5}, []byte{0x51}) }},
		"type NONE":                    {"sighash-not-all@input 0", func(d *draft) { set(d.input(0), []byte{3}, []byte{2, 0, 0, 0}) }},
		"type ALL of this input alone": {"sighash-not-all@input 0", func(d *draft) { set(d.input(0), []byte{3}, []byte{0x81, 0, 0, 0}) }},
		"type 256, DEFAULT cut short":  {"sighash-not-all@input 0", func(d *draft) { set(d.input(0), []byte{3}, []byte{0, 1, 0, 0}) }},
		"garbage for a signature":      {"signature-invalid@input 0", func(d *draft) { set(d.input(0), []byte{0x13}, make([]byte, 64)) }},
		"an amount beyond all money":   {"amount-range@input 0", func(d *draft) { set(d.input(0), []byte{1}, txOut(wire.NewTxOut(1<<60, s.script(t, 0, 0)))) }},
		"an amount below nothing":      {"amount-range@input 0", func(d *draft) { set(d.input(0), []byte{1}, txOut(wire.NewTxOut(-1, s.script(t, 0, 0)))) }},
		"outputs above all coins":      {"fee-negative@transaction", func(d *draft) { d.tx.TxOut[0].Value = 70_000_000 }},
	} {
		d := s.payment(t)
		c.edit(d)
		if _, err := d.survey(t); !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, err)
		}
	}
}

// What a descriptor says of our own wallet's packet is what the pinned wallet proves.
func TestADescriptionAgreesWithTheProof(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	proven, err := bitcoin.Establish(p, bitcoin.Scope{From: w.cold, IndexMax: 1000})
	must(t, err)
	found, err := bitcoin.Survey(p)
	must(t, err)
	if !reflect.DeepEqual(found.Digests(), proven.Digests()) || len(proven.Digests()) != 2 {
		t.Errorf("digests %v and %v", found.Digests(), proven.Digests())
	}
	d, err := wallet.ParseDescriptor(w.cold.Descriptor())
	must(t, err)
	got, err := found.Described(d, spend.BitcoinRegtest, 1000)
	must(t, err)
	want := proven.Effects().Facts()
	if !reflect.DeepEqual(got.Inputs, want.Inputs) || got.Fee != want.Fee || got.VirtualBytes != want.VirtualBytes || got.TxID != want.TxID ||
		got.Threshold != 2 || got.Keys != 3 || got.SignedBy != 0 || got.Replaceable != want.Replaceable || got.LockTime != want.LockTime {
		t.Errorf("described %+v\nproven %+v", got, want)
	}
	for i, o := range got.Outputs {
		if o.Address != want.Outputs[i].Address || o.Amount != want.Outputs[i].Amount || o.Role != want.Outputs[i].Role || o.Index != want.Outputs[i].Index {
			t.Errorf("output %d: described %+v, proven %+v", i, o, want.Outputs[i])
		}
	}
}

func TestAPaymentOfASegwitKeyIsDescribed(t *testing.T) {
	s := newSingle(t, "wpkh")
	d := s.payment(t)
	key := s.holder.private(t, wallet.Receive, 0)
	digest := d.surveyed(t).Digests()[0].Hash
	set(d.input(0), append([]byte{2}, key.PubKey().SerializeCompressed()...), signWith(key, digest, 77))
	f, err := d.surveyed(t).Described(s.descriptor, spend.BitcoinRegtest, 1000)
	must(t, err)
	if f.FromName != "wpkh" || f.SignedBy != 0 || f.VirtualBytes != (4*int64(d.tx.SerializeSizeStripped())+2+2*108+3)/4 {
		t.Errorf("described %+v", f)
	}
	stranger, _ := btcec.PrivKeyFromBytes([]byte{77})
	set(d.input(1), append([]byte{2}, stranger.PubKey().SerializeCompressed()...), signWith(stranger, digest, 78))
	_, err = d.survey(t)
	wantRefusal(t, err, "signature-foreign-key@input 1")
	drop(d.input(1), 2)
	set(d.input(0), append([]byte{2}, key.PubKey().SerializeCompressed()...), signWith(key, [32]byte{1}, 79))
	_, err = d.survey(t)
	wantRefusal(t, err, "signature-invalid@input 0")
	d = s.payment(t)
	drop(d.input(0), 0)
	_, err = d.survey(t)
	wantRefusal(t, err, "amount-unproven@input 0")
}

// Attacks 025, 028 and 034: scripts that the descriptor does not derive near where the packet points are nobody's.
func TestAttack025And028And034DescriptionsTakeNoClaim(t *testing.T) {
	s, w := newSingle(t, "tr"), newWorld(t)
	d := s.payment(t)
	found := d.surveyed(t)
	wpkh := newSingle(t, "wpkh")
	_, err := found.Described(wpkh.descriptor, spend.BitcoinRegtest, 1000)
	wantRefusal(t, err, "input-foreign@input 0")
	_, err = found.Described(s.descriptor, spend.BitcoinRegtest, 8)
	wantRefusal(t, err, "input-foreign@input 1")
	_, err = found.Described(s.descriptor, spend.BitcoinMainnet, 1000)
	wantRefusal(t, err, "key-network")
	_, err = found.Described(s.descriptor, "bitcoin:nowhere", 1000)
	wantRefusal(t, err, "network-unknown")

	stolen := s.payment(t)
	stolen.tx.TxOut[1].PkScript = append([]byte{0x51, 32}, make([]byte, 32)...)
	f, err := stolen.surveyed(t).Described(s.descriptor, spend.BitcoinRegtest, 1000)
	must(t, err)
	if f.Outputs[1].Role != chain.External {
		t.Errorf("decorated as change: %+v", f.Outputs[1])
	}
	returning := s.payment(t)
	returning.tx.TxOut[0].PkScript = s.script(t, wallet.Receive, 5)
	s.claims(t, returning.output(0), bitcoin.Coin{Branch: wallet.Receive, Index: 5}, 2, 7)
	f, err = returning.surveyed(t).Described(s.descriptor, spend.BitcoinRegtest, 1000)
	must(t, err)
	if f.Outputs[0].Role != chain.Destination || f.Outputs[0].Index != 5 {
		t.Errorf("to itself: %+v", f.Outputs[0])
	}

	lie := open(t, w.packet(t).Bytes())
	set(lie.input(0), []byte{5}, get(lie.input(1), 5))
	_, err = lie.survey(t)
	wantRefusal(t, err, "witness-script-differs@input 0")
	bare := open(t, w.packet(t).Bytes())
	drop(bare.input(0), 5)
	if digests := bare.surveyed(t).Digests(); len(digests) != 1 || digests[0].Input != 1 {
		t.Errorf("a digest without a script: %v", digests)
	}
}

func FuzzSurvey(f *testing.F) {
	tr, wpkh, w := newSingle(f, "tr"), newSingle(f, "wpkh"), newWorld(f)
	signed := tr.payment(f)
	tr.sign(f, signed, 0, bitcoin.Coin{Branch: wallet.Receive, Index: 0})
	for _, seed := range [][]byte{tr.payment(f).bytes(), signed.bytes(), wpkh.payment(f).bytes(), w.packet(f).Bytes()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := bitcoin.ReadAny(raw)
		if err != nil {
			return
		}
		found, err := bitcoin.Survey(p)
		if err != nil {
			if len(refusals(err)) == 0 {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		for _, d := range []wallet.Descriptor{tr.descriptor, wpkh.descriptor} {
			facts, err := found.Described(d, spend.BitcoinRegtest, 1000)
			if err != nil {
				continue
			}
			balance := int64(0)
			for _, in := range facts.Inputs {
				sats, _ := in.Amount.Int64()
				balance += sats
			}
			for _, o := range facts.Outputs {
				sats, _ := o.Amount.Int64()
				balance -= sats
			}
			if fee, _ := facts.Fee.Int64(); fee != balance || fee < 0 || len(found.Digests()) != len(facts.Inputs) {
				t.Fatalf("fee %d, inputs less outputs %d, %d digests", fee, balance, len(found.Digests()))
			}
		}
	})
}
