package main

import (
	"slices"
	"strings"

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
		Short: "Register a wallet from its file; a running daemon picks it up",
		Long: "Verifies a wallet file (every key's proof of possession, the descriptor rebuilt from its keys) and registers it.\n" +
			"Compare the twelve words with those that `coldsign wallet list` and `warmctl wallet list` show.",
		Example: "  exchanged wallet add COLD-BTC-A.wallet --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runWalletAdd(a, args[0], risks) },
	}
	add.Flags().StringSliceVar(&risks, "accept-risk", nil, "accept a named risk: "+command.UnprovenRisk)
	list := &cobra.Command{
		Use: "list", Short: "List the registered wallets", Example: "  exchanged wallet list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runWalletList(a) },
	}
	return command.Group("wallet", "Wallets that the daemon follows", add, list)
}

func runWalletAdd(a *app, path string, risks []string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	w, err := command.ReadWallet("exchanged", path, walletMax, risks)
	if err != nil {
		return err
	}
	if w.Network() != c.network {
		return spend.Refuse("wallet-other-network", "wallet "+w.Name(), string(c.network), string(w.Network()), "use the daemon of that network")
	}
	known, err := at.wallets()
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Name() == w.Name() && k.ID() != w.ID() {
			return spend.Refuse("wallet-conflict", "wallet "+w.Name(), "the registered wallet of that name, "+k.ID().Short(), w.ID().Short(), "give the new wallet another name")
		}
	}
	fresh := true
	err = console.WriteNew(at.path("wallets", w.ID().String()+".wallet"), w.Marshal(), 0o644)
	if taken(err) {
		fresh, err = false, nil
	}
	if err != nil {
		return err
	}
	if err := command.SayWalletAdded(a.Console, a.json, w, "registered", fresh); err != nil || a.json {
		return err
	}
	if w.Tier() == spend.Hot {
		a.Hint("to keep it filled, name it under tiers in " + at.path("exchanged.yaml"))
	}
	return nil
}

func runWalletList(a *app) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	list, err := at.wallets()
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(x, y wallet.Wallet) int { return strings.Compare(x.Name(), y.Name()) })
	return command.SayWallets(a.Console, a.json, list)
}
