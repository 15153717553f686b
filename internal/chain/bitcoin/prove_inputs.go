package bitcoin

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/wallet"
)

func outpointText(raw []byte) string {
	return fmt.Sprintf("%s:%d", displayTxID([32]byte(raw[:32])), binary.LittleEndian.Uint32(raw[32:]))
}

// proveInputs fills v.inputs with one coin for each input, in order, or refuses.
func (v *prover) proveInputs() {
	v.foresee()
	all, n := v, len(v.packet.tx.inputs)
	coins, refusals := make([]provenInput, n), make([][]error, n)
	_ = inParallel(n, func(i int) error { // a refusal ends nothing: one look shows everything that is wrong
		v := all.alone()
		before := len(v.refusals)
		where := fmt.Sprintf("input %d", i)
		v.inputFields(i, where)
		spent, paid := v.previousOutput(i, where)
		derived, owned := v.owner(v.packet.inputs[i].of(inputDerivation), where)
		if paid && owned && !bytes.Equal(spent.script, derived.ScriptPubKey) {
			v.refuse("input-foreign", where, "script "+hex.EncodeToString(derived.ScriptPubKey), hex.EncodeToString(shorten(spent.script)))
		}
		if script, ok := v.packet.inputs[i].value(inputWitnessScript); ok && owned && !bytes.Equal(script, derived.WitnessScript) {
			v.refuse("witness-script-differs", where, hex.EncodeToString(derived.WitnessScript), hex.EncodeToString(shorten(script)))
		}
		coins[i], refusals[i] = provenInput{derived: derived, amount: spent.value}, v.refusals[before:]
		return nil
	})
	v.foreseen = nil // the coins have what they need of it, and the packet may be long
	for i := range coins {
		if len(refusals[i]) == 0 {
			v.inputs = append(v.inputs, coins[i])
		}
		v.refusals = append(v.refusals, refusals[i]...)
	}
}

// alone is a prover that collects its own refusals.
func (v *prover) alone() *prover {
	one := *v
	one.refusals = nil
	return &one
}

// inputFields refuses fields that ask for another kind of signature or another kind of wallet.
func (v *prover) inputFields(i int, where string) {
	for f := range v.packet.inputs[i].all() {
		switch {
		case f.kind == inputSighash && binary.LittleEndian.Uint32(f.value) != sighashAll:
			v.refuse("sighash-not-all", where, "01 (ALL)", hex.EncodeToString(f.value))
		case f.kind == inputRedeemScript, f.kind >= inputCommitment && f.kind <= inputLastOfOtherKinds:
			v.refuse("field-foreign", where, "fields of a wsh(sortedmulti) input", fmt.Sprintf("type %#02x", f.kind))
		}
	}
}

// previousOutput finds the output that the input spends inside the transaction that made it. A signature of segwit
// version 0 covers only this input's amount, so an amount that was merely stated could hide a fee in another input.
func (v *prover) previousOutput(i int, where string) (txOutput, bool) {
	outpoint, spends := v.packet.tx.inputs[i].outpoint, v.packet.spent[i]
	if !spends.known {
		v.refuse("amount-unproven", where, "the previous transaction "+outpointText(outpoint), "none")
		return txOutput{}, false
	}
	if !bytes.Equal(spends.parent[:], outpoint[:32]) {
		v.refuse("previous-tx-mismatch", where, "the transaction "+displayTxID([32]byte(outpoint[:32])), displayTxID(spends.parent))
		return txOutput{}, false
	}
	index := binary.LittleEndian.Uint32(outpoint[32:])
	if uint64(index) >= uint64(spends.outputs) {
		v.refuse("previous-output-missing", where, fmt.Sprintf("an output below %d", spends.outputs), fmt.Sprintf("output %d", index))
		return txOutput{}, false
	}
	spent := spends.output
	if claim, ok := v.packet.inputs[i].value(inputWitnessUtxo); ok && !bytes.Equal(claim, spent.bytes) {
		v.refuse("witness-utxo-differs", where, hex.EncodeToString(shorten(spent.bytes)), hex.EncodeToString(shorten(claim)))
	}
	if spent.value < 0 || spent.value > satsMax {
		v.refuse("amount-range", where, "0 to 21 million BTC", fmt.Sprintf("%d satoshi", spent.value))
		return txOutput{}, false
	}
	return spent, true
}

// owner derives the script that the claims point to, and then holds every claim against it.
func (v *prover) owner(claims []field, where string) (*ours, bool) {
	at, ok := v.hint(claims, where)
	if !ok {
		return nil, false
	}
	if at.index > v.scope.IndexMax {
		v.refuse("index-beyond-limit", where, fmt.Sprintf("an index up to %d", v.scope.IndexMax), fmt.Sprint(at.index))
		return nil, false
	}
	if script, foreseen := v.foreseen[at]; foreseen {
		return script, v.claimsHold(claims, v.heirs.derived(script), where)
	}
	derived, err := v.derive(at)
	if err != nil {
		v.refuse("derivation-impossible", where, "a script of the wallet", err.Error())
		return nil, false
	}
	return oursOf(derived), v.claimsHold(claims, derived, where)
}

// hint reads branch and index from the last two steps of the derivations. They only say where to look.
func (v *prover) hint(claims []field, where string) (place, bool) {
	places := hints(claims)
	switch {
	case len(places) == 0:
		v.refuse("derivation-missing", where, "a derivation that ends in branch and index", fmt.Sprintf("%d derivations without", len(claims)))
	case len(places) > 1:
		v.refuse("derivation-conflict", where, "derivations with one branch and index", fmt.Sprintf("%d/%d and %d/%d",
			places[0].branch, places[0].index, places[1].branch, places[1].index))
	case places[0].branch > wallet.ChangeBranch || places[0].index >= 1<<31:
		v.refuse("derivation-outside", where, "branch 0 or 1 and a plain index", fmt.Sprintf("%d/%d", places[0].branch, places[0].index))
	default:
		return places[0], true
	}
	return place{}, false
}

// hints lists the different ends of the claimed paths, at most two: a second one is already too many.
func hints(claims []field) []place {
	var out []place
	for _, f := range claims {
		if len(f.value) < 12 { // a fingerprint and two steps
			continue
		}
		end := f.value[len(f.value)-8:]
		at := place{wallet.Branch(binary.LittleEndian.Uint32(end)), binary.LittleEndian.Uint32(end[4:])}
		if !slices.Contains(out, at) && len(out) < 2 {
			out = append(out, at)
		}
	}
	return out
}

// claimsHold refuses a derivation that names a key, a fingerprint or a path which the wallet does not have there. A true
// script with false claims is not needed by anybody honest.
func (v *prover) claimsHold(claims []field, derived wallet.Derived, where string) bool {
	held := true
	for _, f := range claims {
		at := slices.IndexFunc(derived.Keys, func(k wallet.DerivedKey) bool { return bytes.Equal(k.PubKey[:], f.data) })
		if at < 0 {
			v.refuse("derivation-false", where, fmt.Sprintf("keys of %s at %d/%d", v.scope.From.Name(), derived.Branch, derived.Index), hex.EncodeToString(f.data))
			held = false
			continue
		}
		if want := derivationValue(derived.Keys[at]); !bytes.Equal(want, f.value) {
			v.refuse("derivation-false", where, hex.EncodeToString(want), hex.EncodeToString(shorten(f.value)))
			held = false
		}
	}
	return held
}

// derivationValue is the value of a derivation field: fingerprint, then each step in little endian.
func derivationValue(k wallet.DerivedKey) []byte {
	out := append([]byte{}, k.Fingerprint[:]...)
	for _, step := range k.Path {
		out = binary.LittleEndian.AppendUint32(out, step)
	}
	return out
}

// partials verifies the signatures that the packet already carries: an invalid one is somebody's attempt.
func (v *prover) partials() {
	var check checker
	for i := range v.inputs {
		where, coin := fmt.Sprintf("input %d", i), &v.inputs[i]
		for _, f := range v.packet.inputs[i].of(inputPartialSig) {
			if check.curve == nil { // most packets carry none
				check = newChecker()
			}
			known := slices.ContainsFunc(coin.derived.Keys, func(k [33]byte) bool { return bytes.Equal(k[:], f.data) })
			if !known {
				v.refuse("signature-foreign-key", where, "a key of the wallet", hex.EncodeToString(f.data))
				continue
			}
			key := [33]byte(f.data)
			if err := check.check(coin.digest, key, f.value, where); err != nil {
				v.refusals = append(v.refusals, err)
				continue
			}
			coin.partials = append(coin.partials, Signature{uint32(i), key, bytes.Clone(f.value)})
		}
	}
}

// digests computes what each input's signatures sign, once for the whole proof.
func (v *prover) digests() error {
	return computeDigests(v.packet, v.inputs)
}
