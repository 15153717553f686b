package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
)

// version is what --version prints; a release build sets it with -ldflags "-X main.version=...".
var version = "development"

// app is what every command shares: the console and the flags that all commands have.
type app struct {
	*console.Console
	data   string // the daemon's folder
	config string // its configuration file; exchanged.yaml in the folder unless given
	json   bool
}

// execute runs one command line and returns its exit code. Errors become exit codes here and nowhere else.
func execute(c *console.Console, args []string) console.Code {
	a := &app{Console: c}
	root := newRootCmd(a)
	root.SetArgs(args)
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	err := root.Execute()
	c.Report(err, a.json)
	return console.CodeOf(err)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "exchanged",
		Short: "The online daemon: follows the chain, emits bundles, checks answers, broadcasts",
		Long: "exchanged follows a Bitcoin node, watches the tiers, proposes top-ups, seals bundles for keyholders, checks their\n" +
			"answers and broadcasts. It holds no key that can move money.",
		Example: "  exchanged init --data /srv/coldsign --network regtest\n  exchanged wallet add COLD-BTC-A.wallet --data /srv/coldsign\n" +
			"  exchanged roster set roster.txt --data /srv/coldsign\n  exchanged run --config /srv/coldsign/exchanged.yaml",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.data, "data", "", "the daemon's folder")
	flags.StringVar(&a.config, "config", "", "the daemon's configuration file (its folder is the daemon's folder unless --data says otherwise)")
	flags.BoolVar(&a.json, "json", false, "one JSON object on standard output, errors as JSON on standard error")
	root.Args, root.RunE = cobra.ArbitraryArgs, noSuchVerb
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return console.Fail(console.Usage, err, cmd.CommandPath()+" --help")
	})
	root.AddCommand(newInitCmd(a), newRunCmd(a), newWalletCmd(a), newRosterCmd(a), newStaffCmd(a), newIssuerCmd(a),
		newStatusCmd(a), newHaltCmd(a), newEventsCmd(a), newTLSCmd(a), newExitCodesCmd())
	return root
}

// arguments checks the number of arguments and answers a mistake with the command's own usage line.
func arguments(count int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == count {
			return nil
		}
		return console.Fail(console.Usage, fmt.Errorf("%s takes: %s", cmd.CommandPath(), cmd.Use), cmd.CommandPath()+" --help")
	}
}

// group is a noun that only holds verbs.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, RunE: noSuchVerb}
	cmd.AddCommand(verbs...)
	return cmd
}

// noSuchVerb shows the help of a command that only holds others, and calls anything else a mistake.
func noSuchVerb(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return console.Fail(console.Usage, fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), cmd.CommandPath()+" --help")
	}
	return cmd.Help()
}

func newExitCodesCmd() *cobra.Command {
	var text strings.Builder
	for _, code := range console.Codes() {
		fmt.Fprintf(&text, "  %-4d %s\n", int(code), code)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What each exit code means", Long: "Exit codes of coldsign, warmctl and exchanged:\n\n" + text.String()}
}

// networks are the names that --network and the configuration take.
func networkNamed(name string) (spend.Network, error) {
	for _, n := range []spend.Network{spend.BitcoinMainnet, spend.BitcoinTestnet, spend.BitcoinSignet, spend.BitcoinRegtest} {
		if n.Name() == name {
			return n, nil
		}
	}
	return "", fmt.Errorf("network %q is not mainnet, testnet, signet or regtest", name)
}
