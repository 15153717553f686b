package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

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
	add.Flags().StringSliceVar(&risks, "accept-risk", nil, "accept a named risk: "+command.UnprovenRisk)
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

func runWalletAdd(a *app, path string, risks []string) error {
	if _, err := a.home.identity(); err != nil {
		return err
	}
	w, err := command.ReadWallet("warmctl", path, walletMax, risks)
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
	return command.SayWalletAdded(a.Console, a.json, w, "pinned", fresh)
}

func runWalletList(a *app) error {
	list, err := a.pinnedWallets()
	if err != nil {
		return err
	}
	return command.SayWallets(a.Console, a.json, list)
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
