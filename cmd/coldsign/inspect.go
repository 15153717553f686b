package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/spf13/cobra"
)

func newInspectCmd(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Say what a bundle or a plain PSBT really does; needs no passphrase", Args: command.Arguments(1, 1),
		Long: "Reads a bundle, or a plain PSBT (binary or base64; version 0, or 2 that is no longer modifiable), strictly, and says what its bytes will do. It needs no key and changes\n" +
			"nothing. It exits 0 only when every check that needs no key passed.",
		Example: "  coldsign inspect request.bundle\n  coldsign inspect payment.psbt --json",
		RunE:    func(_ *cobra.Command, args []string) error { return runInspect(a, args[0], key) },
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pins to believe (default: the only one of this home)")
	return cmd
}

func runInspect(a *app, path, key string) error {
	raw, err := console.ReadFile(path, bundleFileMax)
	if err != nil {
		return err
	}
	switch bundle.Sniff(raw) {
	case bundle.KindPSBT, bundle.KindBase64PSBT, bundle.KindUnknown:
		return a.inspectPSBT(raw, key)
	case bundle.KindAnswer:
		return spend.Refuse("not-a-bundle", path, "a bundle or a PSBT", "an answer", "take it back to treasury staff: warmctl bundle import "+path)
	}
	return a.inspectBundle(raw, key)
}

func (a *app) inspectBundle(raw []byte, key string) error {
	_, beliefs, err := a.beliefs(key)
	if err != nil {
		return err
	}
	ledger, err := a.readLedger()
	if err != nil {
		return err
	}
	x, err := signing.Examine(beliefs, ledger, raw, a.Now())
	if err != nil {
		return err
	}
	if a.json {
		if err := a.JSON("coldsign.inspect/v1", viewBundle(x)); err != nil {
			return err
		}
	} else if _, err := fmt.Fprint(a.Out, review.Plain(x.Request())); err != nil {
		return err
	}
	return joinRefusals(x.Verdict.Refusals())
}

func (a *app) readLedger() (*home.Ledger, error) {
	h, err := a.open()
	if err != nil {
		return nil, err
	}
	return a.ledger(h, false)
}

func joinRefusals(refusals []*spend.Refusal) error {
	errs := make([]error, len(refusals))
	for i, r := range refusals {
		errs[i] = r
	}
	return errors.Join(errs...)
}

// inspectPSBT proves a plain PSBT against the pinned wallets. Whose inputs they are can be said only by a pinned wallet:
// without one the amounts are still proven, and the missing owner is a refusal.
func (a *app) inspectPSBT(raw []byte, key string) error {
	packet, err := bitcoin.ReadAny(raw)
	if err != nil {
		return err
	}
	if err := bitcoin.Survey(packet); err != nil {
		return err
	}
	_, beliefs, err := a.beliefs(key)
	if err != nil {
		return errors.Join(spend.Refuse("owner-unknown", "psbt", "inputs of a pinned wallet", "no home with pinned wallets to compare with",
			"amounts are proven; to see whose they are, name a home: coldsign inspect FILE --home DIR"), err)
	}
	var refusals error
	for _, w := range beliefs.Wallets {
		effects, err := bitcoin.Prove(packet, bitcoin.Scope{From: w, IndexMax: signing.IndexMax})
		if err == nil {
			return a.showEffects(effects)
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

func (a *app) showEffects(e chain.Effects) error {
	f := e.Facts()
	if a.json {
		return a.JSON("coldsign.inspect/v1", viewFacts(f))
	}
	fmt.Fprintf(a.Out, "plain PSBT  %s  wallet %s  %d of %d  txid %s\n", f.Network, f.FromName, f.Threshold, f.Keys, f.TxID)
	for _, in := range f.Inputs {
		fmt.Fprintf(a.Out, "  IN   %20s  index %d  %s\n", in.Amount, in.Index, in.Outpoint)
	}
	for _, out := range f.Outputs {
		fmt.Fprintf(a.Out, "  OUT  %20s  %-11s  %s\n", out.Amount, out.Role, out.Address)
	}
	_, err := fmt.Fprintf(a.Out, "  FEE  %20s  %d vB  %d signatures present\n", f.Fee, f.VirtualBytes, f.SignedBy)
	return err
}

type outputView struct {
	Amount  string `json:"amount"`
	Asset   string `json:"asset"`
	Address string `json:"address"`
	Role    string `json:"role"`
	Wallet  string `json:"wallet,omitempty"`
	Index   uint32 `json:"index"`
}

type inspectView struct {
	Bundle   string       `json:"bundle,omitempty"`
	Words    string       `json:"words,omitempty"`
	Network  string       `json:"network"`
	Wallet   string       `json:"wallet"`
	TxID     string       `json:"txid"`
	Inputs   int          `json:"inputs"`
	Outputs  []outputView `json:"outputs"`
	Fee      string       `json:"fee"`
	Asset    string       `json:"asset"`
	VBytes   int64        `json:"vbytes"`
	SignedBy int          `json:"signatures_present"`
	Approved []string     `json:"approved_by,omitempty"`
	Clean    *bool        `json:"clean,omitempty"` // of a bundle alone: no policy judges a plain PSBT
	Passed   int          `json:"checks_passed,omitempty"`
}

func viewFacts(f chain.Facts) inspectView {
	v := inspectView{Network: string(f.Network), Wallet: f.FromName, TxID: f.TxID, Inputs: len(f.Inputs), Fee: f.Fee.Decimal(),
		Asset: f.Fee.Asset().Symbol, VBytes: f.VirtualBytes, SignedBy: f.SignedBy}
	for _, o := range f.Outputs {
		v.Outputs = append(v.Outputs, outputView{o.Amount.Decimal(), o.Amount.Asset().Symbol, o.Address, string(o.Role), o.WalletName, o.Index})
	}
	return v
}

func viewBundle(x signing.Examination) inspectView {
	v := viewFacts(x.Effects.Facts())
	clean := x.Verdict.Clean()
	v.Bundle, v.Words, v.Clean = hex.EncodeToString(x.Opened.ID[:]), x.Opened.Words(), &clean
	v.Passed = len(x.Verdict.Checks) - len(x.Verdict.Refusals())
	for _, approver := range x.Approvers {
		v.Approved = append(v.Approved, approver.Person)
	}
	return v
}
