//go:build referees

package referees_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/wallet"
)

// attack is one hostile packet: what was done to an honest one, how we must refuse it, and which referee from npm was
// seen to sign (or, for Caravan, to read) it all the same.
type attack struct {
	name   string
	code   string
	misses []string
	spoil  func(t testing.TB, d *draft)
}

// wrap makes attacks on the maps alone shorter to write.
func wrap(change func(d *draft)) func(testing.TB, *draft) {
	return func(_ testing.TB, d *draft) { change(d) }
}

// again repeats the first field of a type.
func again(m *[]pair, kind byte) {
	for _, p := range *m {
		if p.key[0] == kind {
			add(m, p.key, p.value)
			return
		}
	}
}

// formAttacks break the format.
func formAttacks() []attack {
	return []attack{
		{"a field of an input twice", "psbt-duplicate-key", nil, wrap(func(d *draft) { again(d.input(0), fieldWitnessUtxo) })},
		{"the unsigned transaction twice", "psbt-duplicate-key", nil, wrap(func(d *draft) { again(d.global(), 0) })},
		{"a field of an output twice", "psbt-duplicate-key", nil, wrap(func(d *draft) { again(d.output(d.change()), outDerivation) })},
		{"an unknown field twice", "psbt-duplicate-key", nil, wrap(func(d *draft) {
			add(d.input(0), []byte{0xf0, 1}, []byte{1})
			add(d.input(0), []byte{0xf0, 1}, []byte{2})
		})},
		{"a byte after the end", "psbt-trailing", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) { d.tail = []byte{0} })},
		{"a second packet after the end", "psbt-trailing", []string{bitcoinjs, caravan}, wrap(func(d *draft) { d.tail = []byte("psbt\xff\x00") })},
		{"a map too few", "psbt-truncated", nil, wrap(func(d *draft) { d.maps = d.maps[:len(d.maps)-1] })},
		{"a version of 2 beside the transaction", "psbt-version", []string{bitcoinjs, caravan}, wrap(func(d *draft) { add(d.global(), []byte{0xfb}, []byte{2, 0, 0, 0}) })},
		{"a key for a signature, one byte short", "psbt-key-length", nil, wrap(func(d *draft) {
			add(d.input(0), append([]byte{fieldPartialSig}, make([]byte, 32)...), []byte{0x30})
		})},
		{"a script signature in the unsigned transaction", "psbt-unsigned-tx", nil, wrap(func(d *draft) { d.tx.TxIn[0].SignatureScript = []byte{txscript.OP_TRUE} })},
	}
}

// coinAttacks lie about what is spent.
func coinAttacks() []attack {
	return []attack{
		{"an amount that the previous transaction denies", "witness-utxo-differs", []string{caravan}, func(t testing.TB, d *draft) {
			out := *d.previous(t, 0).TxOut[1]
			out.Value -= 10_000_000
			set(d.input(0), []byte{fieldWitnessUtxo}, txOut(&out))
		}},
		{"another script beside the amount", "witness-utxo-differs", []string{caravan}, func(t testing.TB, d *draft) {
			out := *d.previous(t, 0).TxOut[1]
			out.PkScript = d.previous(t, 0).TxOut[0].PkScript
			set(d.input(0), []byte{fieldWitnessUtxo}, txOut(&out))
		}},
		{"a previous transaction with another txid", "previous-tx-mismatch", []string{caravan}, func(t testing.TB, d *draft) {
			tx := d.previous(t, 0)
			tx.TxOut[1].Value += 10_000_000
			set(d.input(0), []byte{fieldPreviousTx}, serialise(t, tx))
			set(d.input(0), []byte{fieldWitnessUtxo}, txOut(tx.TxOut[1]))
		}},
		{"no previous transaction", "amount-unproven", []string{bitcoinjs, scure}, wrap(func(d *draft) { drop(d.input(0), fieldPreviousTx) })},
		{"no previous transaction, and a lie about the amount", "amount-unproven", []string{bitcoinjs, scure}, func(t testing.TB, d *draft) {
			out := *d.previous(t, 0).TxOut[1]
			out.Value -= 10_000_000
			drop(d.input(0), fieldPreviousTx)
			set(d.input(0), []byte{fieldWitnessUtxo}, txOut(&out))
		}},
		{"nothing about the coin", "amount-unproven", nil, wrap(func(d *draft) {
			drop(d.input(0), fieldPreviousTx)
			drop(d.input(0), fieldWitnessUtxo)
		})},
		{"an output that the previous transaction does not have", "previous-output-missing", nil, wrap(func(d *draft) { d.tx.TxIn[0].PreviousOutPoint.Index = 9 })},
		{"one coin twice", "input-duplicate", []string{scure}, wrap(func(d *draft) {
			d.tx.TxIn = append(d.tx.TxIn, d.tx.TxIn[0])
			d.maps = slices.Insert(d.maps, len(d.tx.TxIn), d.maps[1])
		})},
		{"a swapped witness script", "witness-script-differs", []string{caravan}, wrap(func(d *draft) {
			set(d.input(0), []byte{fieldWitnessScript}, get(d.input(1), fieldWitnessScript))
		})},
		{"a redeem script on a native segwit coin", "field-foreign", []string{bitcoinjs, caravan}, wrap(func(d *draft) {
			add(d.input(0), []byte{fieldRedeemScript}, append([]byte{0, 32}, bytes.Repeat([]byte{7}, 32)...))
		})},
		{"a witness that is final already", "input-finalised", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) { add(d.input(0), []byte{fieldFinalWitness}, []byte{1, 1, 1}) })},
		{"another fingerprint beside our key", "derivation-false", []string{bitcoinjs, scure}, wrap(func(d *draft) {
			for i, p := range *d.input(0) {
				if p.key[0] == fieldDerivation {
					(*d.input(0))[i].value = append([]byte{1, 2, 3, 4}, p.value[4:]...)
				}
			}
		})},
	}
}

// signatureAttacks ask for, or carry, signatures that say less than they seem to.
func signatureAttacks() []attack {
	sighash := func(flag byte) func(testing.TB, *draft) {
		return wrap(func(d *draft) { set(d.input(0), []byte{fieldSighash}, []byte{flag, 0, 0, 0}) })
	}
	return []attack{
		{"SIGHASH_NONE|ANYONECANPAY", "sighash-not-all", []string{caravan}, sighash(0x82)},
		{"SIGHASH_NONE", "sighash-not-all", []string{caravan}, sighash(0x02)},
		{"SIGHASH_SINGLE", "sighash-not-all", []string{caravan}, sighash(0x03)},
		{"SIGHASH_ALL|ANYONECANPAY", "sighash-not-all", []string{caravan}, sighash(0x81)},
		{"a cosigner's signature over something else", "signature-invalid", []string{bitcoinjs, scure}, func(t testing.TB, d *draft) {
			v := vaults(t)["2 of 3"]
			p := v.packet(t)
			answer := v.answer(t, p, 1)
			add(d.input(0), append([]byte{fieldPartialSig}, answer[0].PubKey[:]...), answer[1].Signature)
		}},
		{"a signature by a key of nobody", "signature-foreign-key", []string{bitcoinjs, scure}, func(t testing.TB, d *draft) {
			v := vaults(t)["2 of 3"]
			key := newFixed(t, "nobody").fixed.PubKey().SerializeCompressed()
			add(d.input(0), append([]byte{fieldPartialSig}, key...), v.answer(t, v.packet(t), 1)[0].Signature)
		}},
	}
}

// outputAttacks lie about where money goes.
func outputAttacks() []attack {
	foreign := func() []byte {
		hash := sha256.Sum256([]byte("the thief"))
		return append([]byte{0, 32}, hash[:]...)
	}
	return []attack{
		{"change that is somebody else's", "change-forged", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) { d.tx.TxOut[d.change()].PkScript = foreign() })},
		{"change that two of the thief's keys can spend", "change-forged", []string{bitcoinjs, scure, caravan}, func(t testing.TB, d *draft) {
			thief := newVault(t, 2, newKeyholder(t, "a"), newKeyholder(t, "thief-1"), newKeyholder(t, "thief-2"))
			derived, err := thief.wallet.Derive(wallet.ChangeBranch, 4)
			must(t, err)
			d.tx.TxOut[d.change()].PkScript = derived.ScriptPubKey
		}},
		{"change with the path of another index", "change-forged", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) {
			m := d.output(d.change())
			for i, p := range *m {
				if p.key[0] == outDerivation {
					(*m)[i].value = append(bytes.Clone(p.value[:len(p.value)-4]), 5, 0, 0, 0)
				}
			}
		})},
		{"more paid than was spent", "fee-negative", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) { d.tx.TxOut[0].Value += 100_000_000 })},
		{"a negative amount", "amount-range", []string{bitcoinjs, scure}, wrap(func(d *draft) { d.tx.TxOut[0].Value = -1 })},
		{"no output at all", "tx-no-outputs", []string{bitcoinjs, scure, caravan}, wrap(func(d *draft) {
			d.maps, d.tx.TxOut = d.maps[:1+len(d.tx.TxIn)], []*wire.TxOut{}
		})},
	}
}
