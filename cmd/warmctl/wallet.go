package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// unprovenRisk must be named to pin a wallet with keys that nobody proved to hold, as other wallets' devices have.
const unprovenRisk = "unproven-keys"

func newWalletCmd(a *app) *cobra.Command {
	var risks []string
	add := &cobra.Command{
		Use:   "add FILE",
		Short: "Pin a wallet, so that names and addresses are derived here",
		Long: "Verifies a wallet file and pins it. Take the file from the keyholders, not from the daemon, and compare the twelve words\n" +
			"with theirs.",
		Example: "  warmctl wallet add COLD-BTC-A.wallet",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runWalletAdd(a, args[0], risks) },
	}
	add.Flags().StringSliceVar(&risks, "accept-risk", nil, "accept a named risk: "+unprovenRisk)
	list := &cobra.Command{
		Use: "list", Short: "List the pinned wallets", Example: "  warmctl wallet list", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runWalletList(a) },
	}
	address := &cobra.Command{
		Use: "address WALLET INDEX", Short: "Derive a receive address from a pinned wallet", Example: "  warmctl wallet address HOT-BTC-1 0", Args: command.Arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error { return runWalletAddress(a, args[0], args[1]) },
	}
	return command.Group("wallet", "Wallets pinned in this home", add, list, address)
}

// walletJSON is a wallet as --json writes it.
type walletJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Tier      string `json:"tier"`
	Network   string `json:"network"`
	Threshold int    `json:"threshold"`
	Keys      int    `json:"keys"`
	Unproven  int    `json:"unproven_keys"` // keys that nobody proved to hold
	Words     string `json:"words"`
}

// keysOf says how many keys a wallet has and needs, and how many nobody proved to hold.
func keysOf(w wallet.Wallet) string {
	text := fmt.Sprintf("%d of %d", w.Threshold(), len(w.Keys()))
	if n := len(w.Unproven()); n > 0 {
		text += fmt.Sprintf(", %d unproven", n)
	}
	return text
}

func jsonOf(w wallet.Wallet) walletJSON {
	return walletJSON{w.ID().String(), w.Name(), string(w.Tier()), string(w.Network()), w.Threshold(), len(w.Keys()), len(w.Unproven()), w.Words()}
}

// readWallet reads a wallet file. Keys without proof of possession take a consent by name.
func readWallet(path string, risks []string) (w wallet.Wallet, err error) {
	raw, err := console.ReadFile(path, walletMax)
	if err != nil {
		return w, err
	}
	var consent []wallet.Option
	for _, risk := range risks {
		if risk != unprovenRisk {
			return w, console.Fail(console.Usage, fmt.Errorf("no risk is named %q", console.Printable(risk)), "the one that can be accepted here is "+unprovenRisk)
		}
		consent = append(consent, wallet.AcceptUnproven())
	}
	w, err = wallet.Parse(raw, consent...)
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "key-unproven" {
		return w, console.Fail(console.CodeOf(err), err, "if its holder's device cannot prove it, compare the key on that device's own screen, then: warmctl wallet add "+path+" --accept-risk "+unprovenRisk)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func runWalletAdd(a *app, path string, risks []string) error {
	if _, err := a.home.identity(); err != nil {
		return err
	}
	w, err := readWallet(path, risks)
	if err != nil {
		return err
	}
	known, err := a.home.wallets()
	if err != nil {
		return err
	}
	for _, k := range known {
		// One name for two wallets would make two different destinations look the same to a person.
		if k.Name() == w.Name() && k.ID() != w.ID() {
			return spend.Refuse("wallet-conflict", "wallet "+w.Name(), "the pinned wallet of that name, "+k.ID().Short(), w.ID().Short(), "give the new wallet another name")
		}
	}
	fresh := true
	err = console.WriteNew(a.home.path("wallets", w.ID().String()+".wallet"), w.Marshal(), 0o600)
	if taken(err) {
		fresh, err = false, nil
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.wallet-add/v1", struct {
			walletJSON
			Changed bool `json:"changed"`
		}{jsonOf(w), fresh})
	}
	a.Say("wallet %s pinned: %d of %d, tier %s", w.Name(), w.Threshold(), len(w.Keys()), w.Tier())
	if n := len(w.Unproven()); n > 0 {
		a.Say("%d of its keys were never proven: nobody has shown to hold them", n)
	}
	a.Say("words: %s", w.Words())
	return nil
}

func runWalletList(a *app) error {
	list, err := a.pinnedWallets()
	if err != nil {
		return err
	}
	if a.json {
		out := []walletJSON{}
		for _, w := range list {
			out = append(out, jsonOf(w))
		}
		return a.JSON("coldsign.wallet-list/v1", map[string]any{"wallets": out})
	}
	var rows [][]string
	for _, w := range list {
		rows = append(rows, []string{w.Name(), string(w.Tier()), keysOf(w), w.Words()})
	}
	return console.Table(a.Out, []string{"NAME", "TIER", "KEYS", "WORDS"}, rows)
}

func (a *app) pinnedWallets() ([]wallet.Wallet, error) {
	if _, err := a.home.identity(); err != nil {
		return nil, err
	}
	return a.home.wallets()
}

func runWalletAddress(a *app, name, position string) error {
	index, err := strconv.ParseUint(position, 10, 31)
	if err != nil {
		return console.Fail(console.Usage, fmt.Errorf("index %q is not a number below 2147483648", position))
	}
	list, err := a.pinnedWallets()
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.Name() != name {
			continue
		}
		d, err := w.Derive(wallet.Receive, uint32(index))
		if err != nil {
			return err
		}
		if a.json {
			return a.JSON("coldsign.wallet-address/v1", map[string]any{"wallet": name, "index": index, "address": d.Address})
		}
		_, err = fmt.Fprintln(a.Out, d.Address)
		return err
	}
	return spend.Refuse("wallet-unpinned", "wallet "+name, "a wallet pinned in this home", "none of that name", "warmctl wallet add FILE")
}
