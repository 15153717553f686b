package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
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
	return command.Execute(c, newRootCmd(a), args, &a.json, nil)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "exchanged",
		Short: "The online daemon: follows the chain, emits bundles, checks answers, broadcasts",
		Long: "exchanged follows a Bitcoin node, watches the tiers, proposes top-ups, seals bundles for keyholders, checks their\n" +
			"answers and broadcasts. With a section exchange in its configuration it also matches orders, keeps the ledger and\n" +
			"serves customers. It holds no key that can move money.",
		Example: "  exchanged init --data /srv/coldsign --network regtest\n  exchanged wallet add COLD-BTC-A.wallet --data /srv/coldsign\n" +
			"  exchanged roster set roster.txt --data /srv/coldsign\n  exchanged run --config /srv/coldsign/exchanged.yaml",
		Version: version,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.data, "data", "", "the daemon's folder")
	flags.StringVar(&a.config, "config", "", "the daemon's configuration file (its folder is the daemon's folder unless --data says otherwise)")
	flags.BoolVar(&a.json, "json", false, "one JSON object on standard output, errors as JSON on standard error")
	return command.Root(root, newInitCmd(a), newRunCmd(a), newWalletCmd(a), newRosterCmd(a), newBookCmd(a), newPolicyCmd(a), newStaffCmd(a), newIssuerCmd(a),
		newStatusCmd(a), newHaltCmd(a), newExchangeCmd(a),
		newChangesCmd(a), newMarketCmd(a), newAssetCmd(a), newAccountCmd(a), newDepositsCmd(a), newWithdrawalsCmd(a), newTicketsCmd(a), newAlertsCmd(a), newLimitsCmd(a), newJournalCmd(a), newSnapshotCmd(a), newBackupCmd(a), newRestoreCmd(a), newEventsCmd(a), newTLSCmd(a))
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
