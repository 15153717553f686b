package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/spf13/cobra"
)

// formatAuto has the format told from the file.
const formatAuto = "auto"

func formatNames() string {
	var names []string
	for _, f := range wallet.Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// readFormat reads --format; auto is the zero Format.
func readFormat(name string) (wallet.Format, error) {
	f := wallet.Format(name)
	if name != formatAuto && !slices.Contains(wallet.Formats(), f) {
		return "", console.Fail(console.Usage, fmt.Errorf("format %q is none of %s", console.Printable(name), formatNames()))
	}
	if name == formatAuto {
		return "", nil
	}
	return f, nil
}

type walletImportOptions struct {
	file, format, name, tier, out string
	records                       []string
}

func newWalletImportCmd(a *app) *cobra.Command {
	var o walletImportOptions
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Compose a wallet file from a file of another product", Args: command.Arguments(1, 1),
		Long: "Reads a wallet as Sparrow, Specter, Bitcoin Core, Caravan, Coldcard and others export it, and writes it as a wallet file\n" +
			"for coldsign wallet add. It pins nothing.\n\n" +
			"No such file proves that anybody holds its keys. Keys of this home, and keys whose records are given with --record,\n" +
			"keep their proof; the others are marked as keys without proof for ever. A record that fits no key of the file is an\nerror: somebody exchanged the key, or its origin.",
		Example: "  coldsign wallet import sparrow.json --name COLD-BTC-A --record b.key.json --record c.key.json --out cold.wallet.json\n" +
			"  coldsign wallet import cc.txt --format coldcard --name COLD-BTC-A --tier cold --out cold.wallet.json",
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return runWalletImport(a, o)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", formatAuto, "what the file is: "+formatAuto+", "+formatNames())
	cmd.Flags().StringVar(&o.name, "name", "", "name of the wallet; the one in the file is not taken over")
	cmd.Flags().StringVar(&o.tier, "tier", string(spend.Cold), "hot, warm or cold")
	cmd.Flags().StringArrayVar(&o.records, "record", nil, "key record of a cosigner; may be given for each")
	cmd.Flags().StringVar(&o.out, "out", "-", "file to write; - is standard output")
	return cmd
}

func runWalletImport(a *app, o walletImportOptions) error {
	format, err := readFormat(o.format)
	if err != nil {
		return err
	}
	if o.name == "" {
		return console.Fail(console.Usage, errors.New("the wallet has no name"), "give it one: coldsign wallet import "+o.file+" --name COLD-BTC-A")
	}
	if a.json && o.out == "-" {
		return console.Fail(console.Usage, errors.New("the wallet file and the JSON answer would both go to standard output"), "write the file: --out FILE")
	}
	raw, err := console.ReadFile(o.file, walletFileMax)
	if err != nil {
		return err
	}
	given, err := readRecords(o.records)
	if err != nil {
		return err
	}
	w, err := a.importWallet(raw, format, o, given)
	if err != nil {
		return namedBy(fmt.Errorf("%s: %w", o.file, err))
	}
	if err := a.give(o.out, w.Marshal()); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.wallet/v1", viewWallet(w, ""))
	}
	describe(a, w)
	a.Say("words: %s", w.Words())
	if len(w.Unproven()) > 0 {
		a.Hint("ask the holders of these keys for their records (coldsign key export) and import again with --record; or add the file with --accept-risk " + unprovenRisk)
	} else if o.out != "-" {
		a.Hint("coldsign wallet add " + o.out)
	}
	return nil
}

// importWallet reads the file for the network of this home, which most formats do not name.
func (a *app) importWallet(raw []byte, format wallet.Format, o walletImportOptions, given []wallet.KeyRecord) (wallet.Wallet, error) {
	h, err := a.open()
	if err != nil {
		return wallet.Wallet{}, err
	}
	infos, err := a.keyInfos()
	if err != nil {
		return wallet.Wallet{}, err
	}
	known := slices.Clone(given)
	for _, info := range infos {
		known = append(known, info.Record)
	}
	if format == "" {
		if format, err = wallet.Sniff(raw); err != nil {
			return wallet.Wallet{}, err
		}
	}
	label := wallet.Label{Name: o.name, Tier: spend.Tier(o.tier), Network: h.Network()}
	w, err := wallet.Import(raw, format, label, wallet.KnownKeys(known...), wallet.AcceptUnproven())
	if err != nil {
		return w, err
	}
	// A cosigner's record that fits no key means that the file has another key in its place: that is the theft of 2020,
	// and a person who gives a record expects its key in the wallet.
	for _, record := range given {
		if _, there := w.KeyPosition(record); !there {
			return w, spend.Distrust("record-not-in-wallet", "key "+record.Name, "the key of its record, with its origin, in the file", "other keys",
				"do not use this file: compare key, fingerprint and path with its holder in person")
		}
	}
	return w, nil
}

type walletExportOptions struct {
	key, name, format, since, out string
}

func newWalletExportCmd(a *app) *cobra.Command {
	var o walletExportOptions
	cmd := &cobra.Command{
		Use: "export WALLET", Short: "Write a pinned wallet as a file of another product", Args: command.Arguments(1, 1),
		Long: "Writes a pinned wallet for Sparrow, Specter, Bitcoin Core, Caravan, Coldcard and others. The file has no secret; who sees\n" +
			"it sees every address and balance of the wallet. A wallet with a fixed key of a token fits into a descriptor, core,\nbsms and sparrow; one with a pool of token keys fits into none.",
		Example: "  coldsign wallet export COLD-BTC-A\n  coldsign wallet export COLD-BTC-A --format sparrow --out sparrow.json\n" +
			"  coldsign wallet export COLD-BTC-A --format core --since 2026-01-31 --out core.json",
		RunE: func(_ *cobra.Command, args []string) error {
			o.name = args[0]
			return runWalletExport(a, o)
		},
	}
	cmd.Flags().StringVar(&o.key, "key", "", "name of the key whose pins to read (default: the only one of this home)")
	cmd.Flags().StringVar(&o.format, "format", string(wallet.DescriptorFormat), formatNames())
	cmd.Flags().StringVar(&o.since, "since", "", "day before the first coin, e.g. 2026-01-31: Bitcoin Core searches the chain from there (core; default: all of it)")
	cmd.Flags().StringVar(&o.out, "out", "-", "file to write; - is standard output")
	return cmd
}

func runWalletExport(a *app, o walletExportOptions) error {
	format, err := readFormat(o.format)
	if err == nil && format == "" {
		err = console.Fail(console.Usage, errors.New("a file is written in one format, and "+formatAuto+" is none"), "one of "+formatNames())
	}
	if err != nil {
		return err
	}
	var since time.Time
	if o.since != "" {
		if since, err = time.Parse(time.DateOnly, o.since); err != nil {
			return console.Fail(console.Usage, fmt.Errorf("--since %q is no day like 2026-01-31", console.Printable(o.since)))
		}
	}
	_, beliefs, err := a.beliefs(o.key)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(beliefs.Wallets, func(w wallet.Wallet) bool { return w.Name() == o.name })
	if i < 0 {
		return console.Fail(console.Failed, fmt.Errorf("no wallet %q is pinned", console.Printable(o.name)), "coldsign wallet list")
	}
	data, err := beliefs.Wallets[i].Export(format, since)
	if err != nil {
		return err
	}
	return a.handOver(o.out, data)
}
