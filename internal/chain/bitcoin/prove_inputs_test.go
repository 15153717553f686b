package bitcoin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// change is one edit of a good packet, and the refusal that must follow from it.
type change struct {
	name string
	code string
	edit func(d *draft)
}

func (w world) refusesEach(t *testing.T, changes []change) {
	t.Helper()
	good := w.packet(t).Bytes()
	if err := prove(t, good, w.scope()); err != nil {
		t.Fatalf("the packet without a change: %v", err)
	}
	for _, c := range changes {
		d := open(t, good)
		c.edit(d)
		if err := prove(t, d.bytes(), w.scope()); !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", c.name, c.code, err)
		}
	}
}

func TestAttack016ImpossibleTransactions(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{
		{"version 0", "tx-version", func(d *draft) { d.tx.Version = 0 }},
		{"version 3", "tx-version", func(d *draft) { d.tx.Version = 3 }},
		{"version -1", "tx-version", func(d *draft) { d.tx.Version = -1 }},
		{"no inputs", "tx-no-inputs", func(d *draft) { d.maps, d.tx.TxIn = slices.Delete(d.maps, 1, 3), nil }},
		{"no outputs", "tx-no-outputs", func(d *draft) { d.maps, d.tx.TxOut = d.maps[:3], nil }},
		{"null hash", "outpoint-null@input 1", func(d *draft) { d.tx.TxIn[1].PreviousOutPoint.Hash = chainhash.Hash{} }},
		{"null index", "outpoint-null@input 1", func(d *draft) { d.tx.TxIn[1].PreviousOutPoint.Index = 0xffffffff }},
	})
}

func TestAttack017AmountsAndSumsStayInRange(t *testing.T) {
	const cap21M = 2_100_000_000_000_000
	w := newWorld(t)
	rich := func(value int64) func(d *draft) {
		return func(d *draft) { d.spendCoin(t, 0, w.cold, coin(t, w.cold, value, wallet.Receive, 0)) }
	}
	w.refusesEach(t, []change{
		{"negative output", "amount-range@output 0", func(d *draft) { d.tx.TxOut[0].Value = -1 }},
		{"least output", "amount-range@output 0", func(d *draft) { d.tx.TxOut[0].Value = -1 << 63 }},
		{"output over 21 million", "amount-range@output 1", func(d *draft) { d.tx.TxOut[1].Value = cap21M + 1 }},
		{"sum of outputs", "amount-sum@outputs", func(d *draft) { d.tx.TxOut[0].Value, d.tx.TxOut[1].Value = cap21M, cap21M }},
		{"negative input", "amount-range@input 0", rich(-5)},
		{"input over 21 million", "amount-range@input 0", rich(cap21M + 1)},
		{"sum of inputs", "amount-sum@inputs", rich(cap21M)},
		{"outputs above inputs", "fee-negative", func(d *draft) { d.tx.TxOut[0].Value += 100_000_000 }},
	})
}

func TestAttack018DuplicateInputsAtAnyIndex(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Coins, r.Amount, r.All = nil, 0, true
	for i := range uint32(120) {
		r.Coins = append(r.Coins, coin(t, w.cold, 1_000_000, wallet.Receive, i))
	}
	p, _, err := bitcoin.Build(r)
	must(t, err)
	d := open(t, p.Bytes())
	d.tx.TxIn[117].PreviousOutPoint = d.tx.TxIn[2].PreviousOutPoint
	*d.input(117) = *d.input(2)
	wantRefusal(t, prove(t, d.bytes(), w.scope()), "input-duplicate@input 117")
	r.Coins[5] = r.Coins[4]
	_, _, err = bitcoin.Build(r)
	wantRefusal(t, err, "input-duplicate")
}

func TestAttack019UnknownFieldsCountAndForeignOnesRefuse(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.packet(t).Bytes())
	set(&d.maps[0], raw("\x01\x04\x35\x87\xcf\x00"+strings.Repeat("x", 73)), []byte("1234"))
	set(&d.maps[0], raw("\xfc\x04test\x00"), []byte("to: my own wallet"))
	set(d.input(0), raw("\xf0"), nil)
	set(d.output(0), raw("\xfc\x01x\x00"), nil)
	p, err := bitcoin.Read(d.bytes())
	must(t, err)
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	if n := effects.Facts().UnknownFields; n != 4 {
		t.Errorf("%d unknown fields, want 4", n)
	}
	x := strings.Repeat("x", 200)
	for key, value := range map[string]string{
		"\x04": "redeem", "\x09": "commitment", "\x13": x[:64], "\x14" + x[:64]: x[:64], "\x15" + x[:33]: "leaf", "\x16" + x[:32]: "\x00xxxx", "\x17": x[:32], "\x18": x[:32],
		"\x1a" + x[:33]: x[:66], "\x1b" + x[:66]: x[:66], "\x1c" + x[:66]: x[:32], "\x1d" + x[:33]: x[:33], "\x1e" + x[:33]: x[:64],
	} {
		w.refusesEach(t, []change{{"input field", "field-foreign@input 0", func(d *draft) { set(d.input(0), []byte(key), []byte(value)) }}})
	}
	for key, value := range map[string]string{"\x00": "redeem", "\x05": x[:32], "\x07" + x[:32]: "\x00xxxx", "\x08" + x[:33]: x[:66], "\x09": x[:66], "\x0a": "x"} {
		w.refusesEach(t, []change{{"output field", "field-foreign", func(d *draft) { set(d.output(0), []byte(key), []byte(value)) }}})
	}
}

func TestAttack020PartialSignaturesAreVerified(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	signed, err := p.WithSignatures(answers[0])
	must(t, err)
	carrying, err := bitcoin.Read(signed)
	must(t, err)
	effects, err := bitcoin.Prove(carrying, w.scope())
	must(t, err)
	if effects.Facts().SignedBy != 1 {
		t.Errorf("signed by %d", effects.Facts().SignedBy)
	}
	first := answers[0][0]
	stranger := newCosigner(t, "stranger", spend.BitcoinRegtest, true)
	tasks, err := bitcoin.Tasks(p, w.scope(), 0)
	must(t, err)
	foreign := append(ecdsa.Sign(stranger.fixed, tasks[0].Digest[:]).Serialize(), 1)
	field := func(key, value []byte) func(d *draft) {
		return func(d *draft) { set(d.input(0), append([]byte{2}, key...), value) }
	}
	flipped := bytes.Clone(first.Signature)
	flipped[40] ^= 1
	w.refusesEach(t, []change{
		{"of another input", "signature-invalid@input 0", field(first.PubKey[:], answers[0][1].Signature)},
		{"changed", "signature-invalid@input 0", field(first.PubKey[:], flipped)},
		{"NONE", "sighash-not-all@input 0", field(first.PubKey[:], append(bytes.Clone(first.Signature[:len(first.Signature)-1]), 2))},
		{"by a stranger", "signature-foreign-key@input 0", field(stranger.fixed.PubKey().SerializeCompressed(), foreign)},
		{"under an uncompressed key", "signature-foreign-key@input 0", field(stranger.fixed.PubKey().SerializeUncompressed(), foreign)},
	})
}

func TestAttack021FeeAttackNeedsEveryPreviousTransaction(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{
		{"witness utxo alone", "amount-unproven@input 0", func(d *draft) { drop(d.input(0), 0) }},
		{"no utxo", "amount-unproven@input 1", func(d *draft) { drop(d.input(1), 0); drop(d.input(1), 1) }},
		{"a lie about the amount", "amount-unproven@input 1", func(d *draft) {
			drop(d.input(1), 0)
			get(d.input(1), 1)[0] ^= 0xff
		}},
		{"another transaction", "previous-tx-mismatch@input 0", func(d *draft) { set(d.input(0), []byte{0}, get(d.input(1), 0)) }},
		{"a changed transaction", "previous-tx-mismatch@input 0", func(d *draft) { previousValue(t, d, 0, 99_000_000) }},
	})
}

// previousValue rewrites the amount inside a previous transaction and everywhere beside it.
func previousValue(t *testing.T, d *draft, i int, value int64) {
	t.Helper()
	var tx wire.MsgTx
	must(t, tx.Deserialize(bytes.NewReader(get(d.input(i), 0))))
	tx.TxOut[d.tx.TxIn[i].PreviousOutPoint.Index].Value = value
	var out bytes.Buffer
	must(t, tx.Serialize(&out))
	set(d.input(i), []byte{0}, out.Bytes())
	set(d.input(i), []byte{1}, txOut(tx.TxOut[d.tx.TxIn[i].PreviousOutPoint.Index]))
}

func TestAttack022And023And026PreviousOutputs(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{
		{"index out of range", "previous-output-missing@input 0", func(d *draft) { d.tx.TxIn[0].PreviousOutPoint.Index = 2 }},
		{"index far out of range", "previous-output-missing@input 0", func(d *draft) { d.tx.TxIn[0].PreviousOutPoint.Index = 1 << 31 }},
		{"another output of it", "input-foreign@input 0", func(d *draft) { d.tx.TxIn[0].PreviousOutPoint.Index = 0 }},
		{"amount beside it", "witness-utxo-differs@input 0", func(d *draft) { get(d.input(0), 1)[0] ^= 1 }},
		{"script beside it", "witness-utxo-differs@input 0", func(d *draft) { get(d.input(0), 1)[20] ^= 1 }},
		{"an outpoint seen before, with another amount", "previous-tx-mismatch@input 0", func(d *draft) { previousValue(t, d, 0, 31_000_000) }},
	})
}

func TestAttack024And025ForeignInputs(t *testing.T) {
	w := newWorld(t)
	key := w.signers[1].fixed.PubKey().SerializeCompressed()
	legacy := append(append([]byte{0x76, 0xa9, 20}, address.Hash160(key)...), 0x88, 0xac)
	spends := func(script []byte, branch wallet.Branch, index uint32) func(d *draft) {
		return func(d *draft) {
			c := coinAt(44_000_000, branch, index, script)
			d.tx.TxIn[0].PreviousOutPoint = c.Outpoint
			set(d.input(0), []byte{0}, c.PrevTx)
			drop(d.input(0), 1)
		}
	}
	hot, err := w.hot.Derive(wallet.Receive, 0)
	must(t, err)
	other, err := w.cold.Derive(wallet.Receive, 3)
	must(t, err)
	w.refusesEach(t, []change{
		{"legacy output of our key", "input-foreign@input 0", spends(legacy, 0, 0)},
		{"another wallet under our claims", "input-foreign@input 0", spends(hot.ScriptPubKey, 0, 0)},
		{"our wallet at another index", "input-foreign@input 0", spends(other.ScriptPubKey, 0, 3)},
		{"no derivation", "derivation-missing@input 0", func(d *draft) { drop(d.input(0), 6) }},
	})
}

func TestAttack027And032TaprootInputsAreRefused(t *testing.T) {
	w := newWorld(t)
	script := append([]byte{0x51, 32}, bytes.Repeat([]byte{7}, 32)...)
	w.refusesEach(t, []change{{"taproot", "input-foreign@input 0", func(d *draft) {
		c := coinAt(44_000_000, 0, 0, script)
		d.tx.TxIn[0].PreviousOutPoint = c.Outpoint
		set(d.input(0), []byte{0}, c.PrevTx)
		drop(d.input(0), 1)
	}}})
}

func TestAttack028And029ScriptsAreRebuilt(t *testing.T) {
	w := newWorld(t)
	ours, err := w.cold.Derive(wallet.Receive, 0)
	must(t, err)
	inside := append(append([]byte{byte(len(ours.WitnessScript))}, ours.WitnessScript...), 0x75, 0x51) // our script as data, then OP_DROP OP_1
	hash := chainhash.HashB(inside)
	w.refusesEach(t, []change{
		{"witness script changed", "witness-script-differs@input 0", func(d *draft) { get(d.input(0), 5)[0] = 0x51 }},
		{"witness script missing its end", "witness-script-differs@input 0", func(d *draft) { set(d.input(0), []byte{5}, ours.WitnessScript[:70]) }},
		{"our keys inside a larger push", "input-foreign@input 0", func(d *draft) {
			c := coinAt(44_000_000, 0, 0, append([]byte{0, 32}, hash...))
			d.tx.TxIn[0].PreviousOutPoint = c.Outpoint
			set(d.input(0), []byte{0}, c.PrevTx)
			set(d.input(0), []byte{5}, inside)
			drop(d.input(0), 1)
		}},
	})
}

func TestAttack030ClaimsAboutKeysAreHeldAgainstTheWallet(t *testing.T) {
	w := newWorld(t)
	edit := func(change func(p *pair)) func(d *draft) {
		return func(d *draft) {
			for i, p := range *d.input(0) {
				if p.key[0] == 6 && len(p.value) > 4 { // the derivation of a key with a path
					change(&(*d.input(0))[i])
					return
				}
			}
		}
	}
	w.refusesEach(t, []change{
		{"zero fingerprint", "derivation-false@input 0", edit(func(p *pair) { copy(p.value, []byte{0, 0, 0, 0}) })},
		{"fingerprint of a cosigner", "derivation-false@input 0", edit(func(p *pair) { copy(p.value, w.signers[1].record.Fingerprint[:]) })},
		{"another account", "derivation-false@input 0", edit(func(p *pair) { p.value[12] ^= 1 })},
		{"a shorter path", "derivation-false@input 0", edit(func(p *pair) { p.value = append(p.value[:4:4], p.value[20:]...) })},
		{"a foreign key", "derivation-false@input 0", edit(func(p *pair) { p.key[5] ^= 1 })},
		{"a fourth key", "derivation-false@input 0", func(d *draft) {
			set(d.input(0), append([]byte{6}, newCosigner(t, "m", spend.BitcoinRegtest, true).fixed.PubKey().SerializeCompressed()...), []byte("abcd"))
		}},
		{"two places", "derivation-conflict@input 0", edit(func(p *pair) { p.value[len(p.value)-4] ^= 1 })},
	})
}

func TestAttack031InputsOfTwoWallets(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{{"a coin of the hot wallet", "derivation-false@input 1", func(d *draft) {
		d.spendCoin(t, 1, w.hot, coin(t, w.hot, 44_000_000, 0, 2))
	}}})
}

func TestAttack033And053NetworksAreIsolated(t *testing.T) {
	w, mainnet := newWorld(t), newWallet(t, "MAIN", 2, signersOf(t, spend.BitcoinMainnet, "a", "b!", "c"))
	p := w.packet(t)
	s := w.scope()
	s.To = mainnet
	_, err := bitcoin.Prove(p, s)
	wantRefusal(t, err, "network-mismatch")
	s = w.scope()
	s.From, s.ToKnown = mainnet, false // the same seeds on mainnet do not own what the drill owns
	_, err = bitcoin.Prove(p, s)
	wantRefusal(t, err, "derivation-false@input 0")
	r := w.request(t)
	r.To = mainnet
	_, _, err = bitcoin.Build(r)
	wantRefusal(t, err, "network-mismatch")
}

func TestAttack034PathsStayInsideTheWallet(t *testing.T) {
	w := newWorld(t)
	end := func(branch, index uint32) func(d *draft) {
		return func(d *draft) {
			for i, p := range *d.input(0) {
				if p.key[0] == 6 && len(p.value) > 4 {
					(*d.input(0))[i].value = append(p.value[:len(p.value)-8:len(p.value)-8], derivation([4]byte{}, branch, index)[4:]...)
				}
			}
		}
	}
	w.refusesEach(t, []change{
		{"a third branch", "derivation-outside@input 0", end(2, 0)},
		{"a hardened branch", "derivation-outside@input 0", end(1<<31, 0)},
		{"a hardened index", "derivation-outside@input 0", end(0, 1<<31)},
		{"an index nobody would scan", "index-beyond-limit@input 0", func(d *draft) {
			d.spendCoin(t, 0, w.cold, coin(t, w.cold, 44_000_000, 0, 1001))
		}},
	})
	s := w.scope()
	s.ToIndex, s.IndexMax = 1<<31, 1<<32-1
	wantRefusal(t, prove(t, w.packet(t).Bytes(), s), "derivation-impossible@destination")
	s.ToIndex, s.IndexMax = 7, 6
	_, err := bitcoin.Prove(w.packet(t), s)
	wantRefusal(t, err, "index-beyond-limit@destination")
}

func TestAttack050OnlySighashAll(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []byte{0, 2, 3, 4, 0x41, 0x80, 0x81, 0x82, 0x83, 0xff} {
		w.refusesEach(t, []change{{"sighash", "sighash-not-all@input 1", func(d *draft) { set(d.input(1), []byte{3}, []byte{kind, 0, 0, 0}) }}})
	}
	w.refusesEach(t, []change{{"in four bytes", "sighash-not-all@input 1", func(d *draft) { set(d.input(1), []byte{3}, []byte{1, 0, 0, 1}) }}})
	d := open(t, w.packet(t).Bytes())
	drop(d.input(0), 3) // ALL is the default
	must(t, prove(t, d.bytes(), w.scope()))
}

func TestAttack051TimesThatAReaderWouldMisjudge(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{
		{"a clock time", "locktime-time", func(d *draft) { d.tx.LockTime = 500_000_000 }},
		{"a lock time that nothing enforces", "locktime-moot", func(d *draft) { d.tx.TxIn[0].Sequence, d.tx.TxIn[1].Sequence = 0xffffffff, 0xffffffff }},
		{"a relative lock", "sequence-unusual@input 0", func(d *draft) { d.tx.TxIn[0].Sequence = 144 }},
		{"a strange sequence", "sequence-unusual@input 1", func(d *draft) { d.tx.TxIn[1].Sequence = 0x80000000 }},
	})
	d := open(t, w.packet(t).Bytes())
	d.tx.TxIn[0].Sequence, d.tx.TxIn[1].Sequence, d.tx.LockTime = 0xfffffffe, 0xffffffff, 499_999_999
	p, err := bitcoin.Read(d.bytes())
	must(t, err)
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	if f := effects.Facts(); f.Replaceable || f.LockTime != 499_999_999 {
		t.Errorf("replaceable %t, lock time %d", f.Replaceable, f.LockTime)
	}
}

func TestEveryRefusalIsReported(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.packet(t).Bytes())
	drop(d.input(0), 0)
	set(d.input(1), []byte{3}, []byte{2, 0, 0, 0})
	d.tx.TxOut[0].PkScript = []byte{0x6a}
	d.tx.LockTime = 1_700_000_000
	err := prove(t, d.bytes(), w.scope())
	for _, code := range []string{"amount-unproven@input 0", "sighash-not-all@input 1", "output-op-return@output 0", "locktime-time@transaction"} {
		wantRefusal(t, err, code)
	}
	_, err = bitcoin.Prove(w.packet(t), bitcoin.Scope{})
	wantRefusal(t, err, "wallet-missing")
}

func TestSurveyNeedsNoWallet(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	survey := func(edit func(d *draft)) error {
		d := open(t, good)
		edit(d)
		p, err := bitcoin.Read(d.bytes())
		must(t, err)
		_, err = bitcoin.Survey(p)
		return err
	}
	must(t, survey(func(*draft) {}))
	wantRefusal(t, survey(func(d *draft) { drop(d.input(0), 0) }), "amount-unproven@input 0")
	wantRefusal(t, survey(func(d *draft) { set(d.input(1), []byte{3}, []byte{2, 0, 0, 0}) }), "sighash-not-all@input 1")
	wantRefusal(t, survey(func(d *draft) { d.tx.TxIn[1], *d.input(1) = d.tx.TxIn[0], *d.input(0) }), "input-duplicate@input 1")
	wantRefusal(t, survey(func(d *draft) { d.tx.TxOut[0].Value = -1 }), "amount-range@output 0")
	wantRefusal(t, survey(func(d *draft) { d.tx.LockTime = 1_700_000_000 }), "locktime-time")
}
