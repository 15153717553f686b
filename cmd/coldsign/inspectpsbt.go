package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// descriptorFileMax bounds a file with a descriptor, in bytes.
const descriptorFileMax = 64 << 10

// nearIndexes is how far into each branch of a pinned wallet an output is looked for that says nothing of its place.
const nearIndexes = 200

// inspectPSBT proves a plain PSBT against the pinned wallets, or says what it does to the wallet of a descriptor. Whose
// inputs they are can be said only so: without either the amounts are still proven, and the missing owner is a refusal.
func (a *app) inspectPSBT(raw []byte, o inspectOptions) error {
	packet, err := bitcoin.ReadAny(raw)
	if err != nil {
		return err
	}
	surveyed, err := bitcoin.Survey(packet)
	if err != nil {
		return err
	}
	_, beliefs, err := a.beliefs(o.key)
	if err != nil {
		return errors.Join(spend.Refuse("owner-unknown", "psbt", "inputs of a pinned wallet", "no home with pinned wallets to compare with",
			"amounts are proven; to see whose they are, name a home: coldsign inspect FILE --home DIR"), err)
	}
	if o.descriptor != "" {
		return a.inspectDescribed(surveyed, beliefs, o.descriptor)
	}
	var refusals error
	for _, w := range beliefs.Wallets {
		found, err := bitcoin.Establish(packet, bitcoin.Scope{From: w, IndexMax: signing.IndexMax})
		if err == nil {
			return a.showPSBT(withOwners(found.Effects().Facts(), beliefs.Wallets), found.Digests())
		}
		if refusals == nil || w.Tier() == spend.Cold {
			refusals = fmt.Errorf("as a payment from %s: %w", w.Name(), err)
		}
	}
	if refusals == nil {
		refusals = spend.Refuse("owner-unknown", "psbt", "inputs of a pinned wallet", "no wallet is pinned", "coldsign wallet add FILE")
	}
	return refusals
}

// inspectDescribed reads a payment of another wallet. Its facts are for eyes alone: nothing here can sign for it.
func (a *app) inspectDescribed(surveyed bitcoin.Surveyed, beliefs signing.Beliefs, path string) error {
	text, err := console.ReadFile(path, descriptorFileMax)
	if err != nil {
		return err
	}
	d, err := wallet.ParseDescriptor(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	facts, err := surveyed.Described(d, beliefs.Network, signing.IndexMax)
	if err != nil {
		return err
	}
	return a.showPSBT(withOwners(facts, beliefs.Wallets), surveyed.Digests())
}

// withOwners names the pinned wallets that outputs belong to. A plain PSBT says nothing about the wallets it pays, so
// their scripts are looked for near the beginning of each branch; one further on stays external.
func withOwners(f chain.Facts, wallets []wallet.Wallet) chain.Facts {
	looked := map[string][]int{} // external outputs by their script
	for i, o := range f.Outputs {
		if o.Role == chain.External {
			looked[o.Script] = append(looked[o.Script], i)
		}
	}
	for _, w := range wallets {
		for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
			for index := uint32(0); index < nearIndexes && len(looked) > 0; index++ {
				derived, err := w.Derive(branch, index)
				if err != nil { // a pool of token keys ends
					break
				}
				script := hex.EncodeToString(derived.ScriptPubKey)
				for _, i := range looked[script] {
					o := &f.Outputs[i]
					o.Role, o.Wallet, o.WalletName, o.Index = chain.Destination, w.ID(), w.Name(), index
				}
				delete(looked, script)
			}
		}
	}
	return f
}

func (a *app) showPSBT(f chain.Facts, digests []bitcoin.Digest) error {
	if a.json {
		v := viewFacts(f)
		v.Digests = viewDigests(digests)
		return a.JSON("coldsign.inspect/v1", v)
	}
	fmt.Fprintf(a.Out, "plain PSBT  %s  wallet %s  %d of %d  txid %s\n", f.Network, f.FromName, f.Threshold, f.Keys, f.TxID)
	for i, in := range f.Inputs {
		fmt.Fprintf(a.Out, "  IN   %20s  index %d  %s\n", in.Amount, in.Index, in.Outpoint)
		if at := slices.IndexFunc(digests, func(d bitcoin.Digest) bool { return d.Input == i }); at >= 0 {
			fmt.Fprintf(a.Out, "       %20s  %x\n", "digest "+digests[at].Sighash, digests[at].Hash)
		}
	}
	for _, out := range f.Outputs {
		whose := ""
		if out.WalletName != "" {
			whose = fmt.Sprintf("  %s index %d", out.WalletName, out.Index)
		}
		fmt.Fprintf(a.Out, "  OUT  %20s  %-11s  %s%s\n", out.Amount, out.Role, out.Address, whose)
	}
	_, err := fmt.Fprintf(a.Out, "  FEE  %20s  %d vB  %d signatures present\n", f.Fee, f.VirtualBytes, f.SignedBy)
	return err
}

type digestView struct {
	Input   int    `json:"input"`
	Rule    string `json:"rule"`
	Sighash string `json:"sighash"`
	Digest  string `json:"digest"`
}

func viewDigests(digests []bitcoin.Digest) []digestView {
	var out []digestView
	for _, d := range digests {
		out = append(out, digestView{d.Input, d.Rule, d.Sighash, hex.EncodeToString(d.Hash[:])})
	}
	return out
}
