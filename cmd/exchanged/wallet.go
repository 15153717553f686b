package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

func newWalletCmd(a *app) *cobra.Command {
	add := &cobra.Command{
		Use:   "add FILE",
		Short: "Register a wallet from its file; a running daemon picks it up",
		Long: "Verifies a wallet file (every key's proof of possession, the descriptor rebuilt from its keys) and registers it.\n" +
			"Compare the twelve words with those that `coldsign wallet list` and `warmctl wallet list` show.",
		Example: "  exchanged wallet add COLD-BTC-A.wallet --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runWalletAdd(a, args[0]) },
	}
	list := &cobra.Command{
		Use: "list", Short: "List the registered wallets", Example: "  exchanged wallet list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runWalletList(a) },
	}
	return command.Group("wallet", "Wallets that the daemon follows", add, list)
}

// walletJSON is a wallet as --json writes it.
type walletJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Tier      string `json:"tier"`
	Network   string `json:"network"`
	Threshold int    `json:"threshold"`
	Keys      int    `json:"keys"`
	Words     string `json:"words"`
}

func jsonOf(w wallet.Wallet) walletJSON {
	return walletJSON{w.ID().String(), w.Name(), string(w.Tier()), string(w.Network()), w.Threshold(), len(w.Keys()), w.Words()}
}

func runWalletAdd(a *app, path string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	raw, err := console.ReadFile(path, walletMax)
	if err != nil {
		return err
	}
	w, err := wallet.Parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
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
	if a.json {
		return a.JSON("coldsign.wallet-add/v1", struct {
			walletJSON
			Changed bool `json:"changed"`
		}{jsonOf(w), fresh})
	}
	if fresh {
		a.Say("wallet %s registered: %d of %d, tier %s", w.Name(), w.Threshold(), len(w.Keys()), w.Tier())
	} else {
		a.Say("wallet %s was registered already", w.Name())
	}
	a.Say("words: %s", w.Words())
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
	if a.json {
		out := []walletJSON{}
		for _, w := range list {
			out = append(out, jsonOf(w))
		}
		return a.JSON("coldsign.wallet-list/v1", map[string]any{"wallets": out})
	}
	var rows [][]string
	for _, w := range list {
		rows = append(rows, []string{w.Name(), string(w.Tier()), fmt.Sprintf("%d of %d", w.Threshold(), len(w.Keys())), w.Words()})
	}
	return console.Table(a.Out, []string{"NAME", "TIER", "KEYS", "WORDS"}, rows)
}
