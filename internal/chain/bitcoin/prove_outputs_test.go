package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// changeAt finds the change output of a draft, which carries the only derivations among the outputs.
func changeAt(d *draft) int {
	return slices.IndexFunc(d.tx.TxOut, func(o *wire.TxOut) bool { return o.Value < 50_000_000 })
}

func TestAttack035And036ChangeIsWhatOurDescriptorDerives(t *testing.T) {
	w := newWorld(t)
	sister := newWallet(t, "SISTER", 2, signersOf(t, spend.BitcoinRegtest, "a", "b!", "mallory")) // same m of n, two keys of ours
	weaker := newWallet(t, "WEAKER", 3, w.signers)
	at4 := func(from wallet.Wallet) wallet.Derived {
		d, err := from.Derive(wallet.ChangeBranch, 4)
		must(t, err)
		return d
	}
	ours := at4(w.cold)
	w.refusesEach(t, []change{
		{"attacker's script under our derivations", "change-forged", func(d *draft) { d.tx.TxOut[changeAt(d)].PkScript[10] ^= 1 }},
		{"one cosigner swapped", "change-forged", func(d *draft) {
			i := changeAt(d)
			d.tx.TxOut[i].PkScript = at4(sister).ScriptPubKey
			claim(d.output(i), 2, at4(sister))
			set(d.output(i), []byte{1}, at4(sister).WitnessScript)
		}},
		{"another threshold", "change-forged", func(d *draft) {
			i := changeAt(d)
			d.tx.TxOut[i].PkScript = at4(weaker).ScriptPubKey
			set(d.output(i), []byte{1}, at4(weaker).WitnessScript)
		}},
		{"only our key, under another origin", "change-forged", func(d *draft) {
			i := changeAt(d)
			d.tx.TxOut[i].PkScript[10] ^= 1
			drop(d.output(i), 2)
			set(d.output(i), append([]byte{2}, ours.Keys[0].PubKey[:]...), derivation([4]byte{1, 2, 3, 4}, 1, 4))
		}},
		{"a false claim beside true change", "derivation-false", func(d *draft) {
			set(d.output(changeAt(d)), append([]byte{2}, bytes.Repeat([]byte{3}, 33)...), []byte("abcd"))
		}},
		{"another script beside true change", "witness-script-differs", func(d *draft) { get(d.output(changeAt(d)), 1)[0] ^= 1 }},
		{"a false claim beside the destination", "derivation-false", func(d *draft) { claim(d.output(1-changeAt(d)), 2, ours) }},
	})
}

func TestAttack035UnclaimedChangeIsExternal(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.packet(t).Bytes())
	i := changeAt(d)
	drop(d.output(i), 2)
	p, err := bitcoin.Read(d.bytes())
	must(t, err)
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	if o := effects.Facts().Outputs[i]; o.Role != chain.External || o.Wallet != (spend.WalletID{}) {
		t.Errorf("output %+v", o)
	}
}

func TestAttack037KeyOrderIsSorted(t *testing.T) {
	w := newWorld(t)
	derived, err := w.cold.Derive(wallet.ChangeBranch, 4)
	must(t, err)
	script := bytes.Clone(derived.WitnessScript)
	swapped := slices.Concat(script[:1], script[35:69], script[1:35], script[69:]) // multi instead of sortedmulti
	hash := sha256.Sum256(swapped)
	w.refusesEach(t, []change{{"multi", "change-forged", func(d *draft) {
		i := changeAt(d)
		d.tx.TxOut[i].PkScript = append([]byte{0, 32}, hash[:]...)
		set(d.output(i), []byte{1}, swapped)
	}}})
	keys := derived.Keys
	w.refusesEach(t, []change{{"keys at different indexes", "change-forged", func(d *draft) {
		i := changeAt(d)
		d.tx.TxOut[i].PkScript[9] ^= 1
		set(d.output(i), append([]byte{2}, keys[0].PubKey[:]...), derivation(keys[0].Fingerprint, append(slices.Clone(keys[0].Path[:5]), 5)...))
	}}})
}

func TestAttack038ChangeHasTheScriptTypeOfTheWallet(t *testing.T) {
	w := newWorld(t)
	derived, err := w.cold.Derive(wallet.ChangeBranch, 4)
	must(t, err)
	key := derived.Keys[0].PubKey[:]
	for name, script := range map[string][]byte{
		"p2wpkh of our key": append([]byte{0, 20}, address.Hash160(key)...),
		"p2pkh of our key":  append(append([]byte{0x76, 0xa9, 20}, address.Hash160(key)...), 0x88, 0xac),
		"nested":            append(append([]byte{0xa9, 20}, address.Hash160(derived.ScriptPubKey)...), 0x87),
		"taproot":           append([]byte{0x51, 32}, key[1:]...),
	} {
		w.refusesEach(t, []change{{name, "change-forged", func(d *draft) { d.tx.TxOut[changeAt(d)].PkScript = script }}})
	}
}

func TestAttack039ChangeIsOneNearAndSmall(t *testing.T) {
	w := newWorld(t)
	at := func(branch wallet.Branch, index uint32) func(d *draft) {
		return func(d *draft) {
			i := changeAt(d)
			derived, err := w.cold.Derive(branch, index)
			must(t, err)
			d.tx.TxOut[i].PkScript = derived.ScriptPubKey
			claim(d.output(i), 2, derived)
			set(d.output(i), []byte{1}, derived.WitnessScript)
		}
	}
	w.refusesEach(t, []change{
		{"on the receive branch", "change-on-receive-branch", at(wallet.Receive, 4)},
		{"far away", "index-beyond-limit", at(wallet.ChangeBranch, 1001)},
		{"as far as there is", "index-beyond-limit", at(wallet.ChangeBranch, 1<<31-1)},
		{"twice", "change-repeated@output 2", func(d *draft) {
			i := changeAt(d)
			d.tx.TxOut[i].Value -= 1000
			d.tx.AddTxOut(wire.NewTxOut(1000, d.tx.TxOut[i].PkScript))
			d.maps = append(d.maps, slices.Clone(*d.output(i)))
		}},
		{"above the largest input", "change-exceeds-inputs", func(d *draft) {
			i := changeAt(d)
			d.tx.TxOut[i].Value, d.tx.TxOut[1-i].Value = 60_000_000, 1_000_000
		}},
		{"the destination twice", "destination-repeated@output 2", func(d *draft) {
			i := 1 - changeAt(d)
			d.tx.TxOut[i].Value -= 1000
			d.tx.AddTxOut(wire.NewTxOut(1000, d.tx.TxOut[i].PkScript))
			d.maps = append(d.maps, nil)
		}},
	})
}

func TestAttack040DestinationIsDerivedAtTheStatedIndex(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	for name, s := range map[string]bitcoin.Scope{
		"another index":  {From: w.cold, To: w.hot, ToIndex: 8, ToKnown: true, IndexMax: 1000},
		"another wallet": {From: w.cold, To: newWallet(t, "OTHER", 2, signersOf(t, spend.BitcoinRegtest, "x", "y", "mallory")), ToIndex: 7, ToKnown: true, IndexMax: 1000},
		"no destination": {From: w.cold, IndexMax: 1000},
	} {
		effects, err := bitcoin.Prove(p, s)
		must(t, err)
		for _, o := range effects.Facts().Outputs {
			if o.Role == chain.Destination {
				t.Errorf("%s: output %+v", name, o)
			}
		}
	}
}

func TestAttack042And043OutputsNobodyCanSpend(t *testing.T) {
	w := newWorld(t)
	key := w.signers[1].fixed.PubKey().SerializeCompressed()
	bare := append(append([]byte{0x51, 33}, key...), 0x51, 0xae)
	pays := func(script ...byte) func(d *draft) {
		return func(d *draft) { d.tx.TxOut[1-changeAt(d)].PkScript = script }
	}
	long := bytes.Repeat([]byte{1}, 32)
	w.refusesEach(t, []change{
		{"OP_RETURN", "output-op-return", pays(0x6a)},
		{"OP_RETURN with data", "output-op-return", pays(append([]byte{0x6a, 32}, long...)...)},
		{"anchor", "output-witness-version", pays(0x51, 2, 0x4e, 0x73)},
		{"taproot of 31 bytes", "output-witness-version", pays(append([]byte{0x51, 31}, long[:31]...)...)},
		{"witness version 2", "output-witness-version", pays(append([]byte{0x52, 32}, long...)...)},
		{"witness version 16", "output-witness-version", pays(append([]byte{0x60, 40}, append(long, long[:8]...)...)...)},
		{"version 0 of 31 bytes", "output-witness-version", pays(append([]byte{0, 31}, long[:31]...)...)},
		{"bare multisig", "output-nonstandard", pays(bare...)},
		{"public key", "output-nonstandard", pays(append(append([]byte{33}, key...), 0xac)...)},
		{"anyone can spend", "output-nonstandard", pays(0x51)},
		{"empty", "output-nonstandard", pays()},
		{"P2PKH with a tail", "output-nonstandard", pays(append(append([]byte{0x76, 0xa9, 20}, long[:20]...), 0x88, 0xac, 0x61)...)},
	})
}

func TestAttack044Dust(t *testing.T) {
	w := newWorld(t)
	h := bytes.Repeat([]byte{1}, 32)
	for name, c := range map[string]struct {
		script []byte
		least  int64
	}{ // the numbers of Bitcoin Core's GetDustThreshold at 3 satoshi per vB
		"p2wsh": {append([]byte{0, 32}, h...), 330}, "p2wpkh": {append([]byte{0, 20}, h[:20]...), 294}, "p2tr": {append([]byte{0x51, 32}, h...), 330},
		"p2pkh": {append(append([]byte{0x76, 0xa9, 20}, h[:20]...), 0x88, 0xac), 546}, "p2sh": {append(append([]byte{0xa9, 20}, h[:20]...), 0x87), 540},
	} {
		for value, refused := range map[int64]bool{0: true, c.least - 1: true, c.least: false} {
			d := open(t, w.packet(t).Bytes())
			i := 1 - changeAt(d)
			d.tx.TxOut[i] = wire.NewTxOut(value, c.script)
			err := prove(t, d.bytes(), w.scope())
			if got := slices.Contains(refusals(err), "output-dust"); got != refused {
				t.Errorf("%s of %d satoshi: %v", name, value, err)
			}
		}
	}
}

func TestAttack045And046EveryOutputIsInTheFacts(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.packet(t).Bytes())
	i := changeAt(d)
	d.tx.TxOut[i].Value -= 40 * 1000
	for range 40 {
		d.tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0, 20}, make([]byte, 20)...)))
		d.maps = append(d.maps, nil)
	}
	p, err := bitcoin.Read(d.bytes())
	must(t, err)
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	f, sum := effects.Facts(), int64(0)
	for position, o := range f.Outputs {
		sats, _ := o.Amount.Int64()
		sum += sats
		if o.Position != position || position > 1 && o.Role != chain.External {
			t.Errorf("output %+v", o)
		}
	}
	for _, in := range f.Inputs {
		sats, _ := in.Amount.Int64()
		sum -= sats
	}
	if fee, _ := f.Fee.Int64(); len(f.Outputs) != 42 || -sum != fee {
		t.Errorf("%d outputs, sums differ from the fee by %d", len(f.Outputs), sum+fee)
	}
}

func TestAttack125TooHeavyToBeMined(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Amount, r.All, r.Coins = 0, true, nil
	for i := range uint32(1100) {
		r.Coins = append(r.Coins, coinAt(1_000_000+int64(i), wallet.Receive, 0, mustDerive(t, w.cold, 0, 0).ScriptPubKey))
	}
	p, plan, err := bitcoin.Build(r)
	must(t, err)
	if n := len(plan.Inputs); n != 956 {
		t.Errorf("%d inputs fit", n)
	}
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	if v := effects.Facts().VirtualBytes; v > 100_000 || v < 99_800 {
		t.Errorf("%d vB", v)
	}
	d := open(t, p.Bytes())
	d.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: r.Coins[0].Outpoint, Sequence: 0xfffffffd})
	d.maps = slices.Insert(d.maps, len(d.tx.TxIn), slices.Clone(d.maps[1]))
	d.spendCoin(t, len(d.tx.TxIn)-1, w.cold, r.Coins[0])
	wantRefusal(t, prove(t, d.bytes(), w.scope()), "tx-too-heavy")
}

func mustDerive(t testing.TB, from wallet.Wallet, branch wallet.Branch, index uint32) wallet.Derived {
	t.Helper()
	d, err := from.Derive(branch, index)
	must(t, err)
	return d
}

func FuzzProve(f *testing.F) {
	w := newWorld(f)
	p := w.packet(f)
	signed, err := p.WithSignatures(w.answers(f, p)[1])
	must(f, err)
	f.Add(p.Bytes())
	f.Add(signed)
	f.Fuzz(func(t *testing.T, input []byte) {
		p, err := bitcoin.Read(input)
		if err != nil {
			return
		}
		for _, s := range []bitcoin.Scope{w.scope(), {From: w.cold, IndexMax: 1 << 30}} {
			effects, err := bitcoin.Prove(p, s)
			if err != nil {
				if len(refusals(err)) == 0 {
					t.Fatalf("an error that is no refusal: %v", err)
				}
				continue
			}
			facts, balance := effects.Facts(), int64(0)
			for _, in := range facts.Inputs {
				sats, _ := in.Amount.Int64()
				balance += sats
			}
			for _, o := range facts.Outputs {
				sats, _ := o.Amount.Int64()
				balance -= sats
			}
			if fee, ok := facts.Fee.Int64(); !ok || fee != balance || balance < 0 {
				t.Fatalf("inputs less outputs are %d, the fee is %d", balance, fee)
			}
		}
	})
}
