package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/spf13/cobra"
)

type inspectOptions struct{ key, descriptor string }

func newInspectCmd(a *app) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Say what a bundle or a plain PSBT really does; needs no passphrase", Args: command.Arguments(1, 1),
		Long: "Reads a bundle, or a plain PSBT (binary or base64; version 0, or 2 that is no longer modifiable), strictly, and says what its bytes will do. It needs no key and changes\n" +
			"nothing. It exits 0 only when every check that needs no key passed.\n\nOf a plain PSBT it prints the digest that the signatures of each input are over: a second device that shows the same one is\n" +
			"about to sign the same thing. With --descriptor it reads a payment of a wallet that is not pinned here, of wpkh, wsh or\ntaproot (key path). Nothing can be signed by that.",
		Example: "  coldsign inspect request.bundle\n  coldsign inspect payment.psbt --json\n  coldsign inspect payment.psbt --descriptor wallet.txt",
		RunE:    func(_ *cobra.Command, args []string) error { return runInspect(a, args[0], o) },
	}
	cmd.Flags().StringVar(&o.descriptor, "descriptor", "", "file with the output descriptor of the wallet that a plain PSBT spends from (default: the pinned wallets)")
	cmd.Flags().StringVar(&o.key, "key", "", "name of the key whose pins to believe (default: the only one of this home)")
	return cmd
}

func runInspect(a *app, path string, o inspectOptions) error {
	raw, err := console.ReadFile(path, bundleFileMax)
	if err != nil {
		return err
	}
	switch bundle.Sniff(raw) {
	case bundle.KindPSBT, bundle.KindBase64PSBT, bundle.KindUnknown:
		return a.inspectPSBT(raw, o)
	case bundle.KindAnswer:
		return spend.Refuse("not-a-bundle", path, "a bundle or a PSBT", "an answer", "take it back to treasury staff: warmctl bundle import "+path)
	}
	if o.descriptor != "" {
		return console.Fail(console.Usage, errors.New("a bundle names its wallet, which must be pinned"), "coldsign inspect "+path)
	}
	return a.inspectBundle(raw, o.key)
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
	Digests  []digestView `json:"digests,omitempty"`
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
	v.Digests = viewDigests(x.Proven.Digests())
	clean := x.Verdict.Clean()
	v.Bundle, v.Words, v.Clean = hex.EncodeToString(x.Opened.ID[:]), x.Opened.Words(), &clean
	v.Passed = len(x.Verdict.Checks) - len(x.Verdict.Refusals())
	for _, approver := range x.Approvers {
		v.Approved = append(v.Approved, approver.Person)
	}
	return v
}
