package bitcoin

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/wallet"
)

// proveOutputs says of each output whose it is.
func (v *prover) proveOutputs() {
	params, err := wallet.Params(v.scope.From.Network())
	if err != nil {
		v.refusals = append(v.refusals, err)
		return
	}
	var destination wallet.Derived
	if v.scope.ToKnown {
		if destination, err = v.scope.To.Derive(wallet.Receive, v.scope.ToIndex); err != nil {
			v.refuse("derivation-impossible", "destination", "a script of the wallet", err.Error())
			return
		}
	}
	for i, o := range v.packet.tx.outputs {
		where := fmt.Sprintf("output %d", i)
		if code := payable(o.script); code != "" {
			v.refuse(code, where, "a standard script that can be spent", hex.EncodeToString(shorten(o.script)))
		} else if least := dustFor(o.script); o.value >= 0 && o.value < least {
			v.refuse("output-dust", where, fmt.Sprintf("at least %d satoshi", least), fmt.Sprintf("%d satoshi", o.value))
		}
		out := chain.Output{Position: i, Script: hex.EncodeToString(o.script), Address: addressOf(o.script, params), Role: chain.External}
		if o.value >= 0 {
			out.Amount = money.Sats(o.value)
		}
		v.assign(&out, i, destination)
		v.outputs = append(v.outputs, out)
	}
}

// assign gives an output its role. A path in the packet is a hint from a stranger: an output is change only if our own
// descriptor derives its script on the change branch, and the destination only if the pinned wallet derives it at the
// index that was approved.
func (v *prover) assign(out *chain.Output, i int, destination wallet.Derived) {
	where, script := fmt.Sprintf("output %d", i), v.packet.tx.outputs[i].script
	claims := v.packet.outputs[i].of(outputDerivation)
	if v.scope.ToKnown && bytes.Equal(script, destination.ScriptPubKey) {
		out.Role, out.Wallet, out.WalletName, out.Index = chain.Destination, v.scope.To.ID(), v.scope.To.Name(), v.scope.ToIndex
		v.outputHolds(i, destination, where)
		return
	}
	for _, at := range hints(claims) {
		if at.index >= 1<<31 || at.branch > wallet.ChangeBranch {
			continue
		}
		derived, err := v.derive(at)
		if err != nil || !bytes.Equal(script, derived.ScriptPubKey) {
			continue
		}
		if at.branch != wallet.ChangeBranch {
			v.refuse("change-on-receive-branch", where, "change on branch 1", fmt.Sprintf("our script at 0/%d", at.index))
		}
		if at.index > v.scope.IndexMax {
			v.refuse("index-beyond-limit", where, fmt.Sprintf("an index up to %d", v.scope.IndexMax), fmt.Sprint(at.index))
		}
		out.Role, out.Wallet, out.WalletName, out.Index = chain.Change, v.scope.From.ID(), v.scope.From.Name(), at.index
		v.outputHolds(i, derived, where)
		return
	}
	if f, ours := v.claimOfOurs(claims); ours {
		v.refuse("change-forged", where, "a script of "+v.scope.From.Name(), "a foreign script under our derivation "+hex.EncodeToString(shorten(f.value)))
	}
}

// outputHolds checks what the packet says beside an output that is ours.
func (v *prover) outputHolds(i int, derived wallet.Derived, where string) {
	v.claimsHold(v.packet.outputs[i].of(outputDerivation), derived, where)
	if script, ok := v.packet.outputs[i].value(outputWitnessScript); ok && !bytes.Equal(script, derived.WitnessScript) {
		v.refuse("witness-script-differs", where, hex.EncodeToString(derived.WitnessScript), hex.EncodeToString(shorten(script)))
	}
	for f := range v.packet.outputs[i].all() {
		if f.kind == outputRedeemScript || f.kind >= outputTapInternalKey && f.kind <= outputSilentLabel || f.kind == outputNameProof {
			v.refuse("field-foreign", where, "fields of a wsh(sortedmulti) output", fmt.Sprintf("type %#02x", f.kind))
		}
	}
}

// claimOfOurs finds a derivation that claims a key of the spending wallet, by its origin or by the key itself at the
// claimed place.
func (v *prover) claimOfOurs(claims []field) (field, bool) {
	var keys []wallet.DerivedKey
	for _, at := range hints(claims) {
		if at.index < 1<<31 && at.branch <= wallet.ChangeBranch {
			if derived, err := v.derive(at); err == nil {
				keys = append(keys, derived.Keys...)
			}
		}
	}
	for _, f := range claims {
		for _, k := range v.scope.From.Keys() {
			if bytes.HasPrefix(f.value, derivationValue(wallet.DerivedKey{Fingerprint: k.Fingerprint, Path: k.Path})) {
				return f, true
			}
		}
		if slices.ContainsFunc(keys, func(k wallet.DerivedKey) bool { return bytes.Equal(k.PubKey[:], f.data) }) {
			return f, true
		}
	}
	return field{}, false
}

// addressOf writes the address of a script, or nothing when it has none.
func addressOf(script []byte, params *chaincfg.Params) string {
	_, addresses, _, err := txscript.ExtractPkScriptAddrs(script, params)
	if err != nil || len(addresses) != 1 {
		return ""
	}
	return addresses[0].EncodeAddress()
}
