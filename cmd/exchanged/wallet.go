package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// unprovenRisk must be named to register a wallet with keys that nobody proved to hold, as other wallets' devices have.
const unprovenRisk = "unproven-keys"

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
	add.Flags().StringSliceVar(&risks, "accept-risk", nil, "accept a named risk: "+unprovenRisk)
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
		return w, console.Fail(console.CodeOf(err), err, "if its holder's device cannot prove it, compare the key on that device's own screen, then: exchanged wallet add "+path+" --accept-risk "+unprovenRisk)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func runWalletAdd(a *app, path string, risks []string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	w, err := readWallet(path, risks)
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
	if n := len(w.Unproven()); n > 0 {
		a.Say("%d of its keys were never proven: nobody has shown to hold them", n)
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
		rows = append(rows, []string{w.Name(), string(w.Tier()), keysOf(w), w.Words()})
	}
	return console.Table(a.Out, []string{"NAME", "TIER", "KEYS", "WORDS"}, rows)
}
