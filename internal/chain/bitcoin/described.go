package bitcoin

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// described says whose scripts are, by a descriptor that nobody pinned.
type described struct {
	descriptor wallet.Descriptor
	network    spend.Network
	indexMax   uint32
}

// Described says what the packet does to the wallet of a descriptor: wpkh, wsh of multi or sortedmulti, or tr of a key
// alone. Every input must be one of its scripts. What comes back are facts for a person to read, and no effects: neither
// policy nor a signer can take them, because nobody pinned the descriptor.
func (s Surveyed) Described(d wallet.Descriptor, n spend.Network, indexMax uint32) (chain.Facts, error) {
	params, err := wallet.Params(n)
	if err != nil {
		return chain.Facts{}, err
	}
	p, by := s.packet, described{d, n, indexMax}
	f := chain.Facts{Network: n, FromName: d.Shape(), Threshold: max(d.Threshold(), 1), Keys: len(d.Keys()), TxID: p.TxID(), Fee: money.Sats(s.fee),
		LockTime: p.tx.lockTime, UnknownFields: p.UnknownFields(), PayloadBytes: p.size, SignedBy: len(d.Keys())}
	var refusals []error
	weight := 4*int64(len(p.tx.stripped)) + 2
	for i, in := range p.tx.inputs {
		coin := s.coins[i]
		at, ours, err := by.find(coin.spent.script, p.inputs[i], inputDerivation, inputTapDerivation)
		if err == nil && (!ours || !coin.known) {
			err = spend.Refuse("input-foreign", fmt.Sprintf("input %d", i), "a script of the descriptor, of wpkh, wsh(multi) or tr", hex.EncodeToString(shorten(coin.spent.script)), fixCoordinator)
		}
		if err != nil {
			refusals = append(refusals, err)
			continue
		}
		f.SignedBy = min(f.SignedBy, coin.signatures)
		f.Replaceable = f.Replaceable || in.sequence < 0xfffffffe
		f.Inputs = append(f.Inputs, chain.Input{Outpoint: outpointText(in.outpoint), Amount: money.Sats(coin.spent.value),
			Change: at.branch == wallet.ChangeBranch, Index: at.index})
		weight += coin.witnessWeight(d)
	}
	f.VirtualBytes = virtual(weight)
	for i, o := range p.tx.outputs {
		out := chain.Output{Position: i, Script: hex.EncodeToString(o.script), Address: addressOf(o.script, params), Role: chain.External, Amount: money.Sats(o.value)}
		at, ours, err := by.find(o.script, p.outputs[i], outputDerivation, outputTapDerivation)
		if err != nil {
			refusals = append(refusals, err)
		}
		if ours {
			out.Role, out.WalletName, out.Index = chain.Destination, d.Shape(), at.index
			if at.branch == wallet.ChangeBranch {
				out.Role = chain.Change
			}
		}
		f.Outputs = append(f.Outputs, out)
	}
	if len(refusals) > 0 {
		return chain.Facts{}, errors.Join(refusals...)
	}
	return f, nil
}

// find looks for a script where the claimed paths end. They say where to look, and the descriptor decides.
func (by described) find(script []byte, m fields, kinds ...uint64) (place, bool, error) {
	indexes := []uint32{0}
	if by.descriptor.Ranged() {
		indexes = nil
		for _, kind := range kinds {
			for _, at := range hints(m.of(kind)) {
				if at.index <= by.indexMax && !slices.Contains(indexes, at.index) {
					indexes = append(indexes, at.index)
				}
			}
		}
	}
	for _, index := range indexes {
		for branch := range by.descriptor.Branches() {
			derived, err := by.descriptor.Derive(by.network, branch, index)
			if err != nil {
				return place{}, false, err
			}
			if bytes.Equal(derived.ScriptPubKey, script) {
				return place{wallet.Branch(branch), index}, true, nil
			}
		}
	}
	return place{}, false, nil
}

// witnessWeight is what the signed input will weigh beside its 41 bytes: item count, and each item behind its length.
func (c surveyed) witnessWeight(d wallet.Descriptor) int64 {
	if _, taproot := taprootKey(c.spent.script); taproot {
		return 1 + 1 + 64 + int64(c.sighash) // ALL has a byte behind the signature
	}
	if len(c.spent.script) == 22 {
		return 1 + 1 + signatureSize + 1 + 33
	}
	return witnessWeight(d.Threshold(), len(d.Keys()))
}
