package main

import (
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func newInitCmd(a *app) *cobra.Command {
	var network string
	cmd := &cobra.Command{
		Use:     "init --network NAME",
		Short:   "Make a home for one keyholder on one network",
		Long:    "Makes the folder that holds a keyholder's keys, pinned files and signer ledger. A home serves one network for ever.",
		Example: "  coldsign init --home /media/keys/alice --network regtest",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runInit(a, network) },
	}
	cmd.Flags().StringVar(&network, "network", "", "mainnet, testnet, signet or regtest")
	return cmd
}

func runInit(a *app, name string) error {
	network, ok := networks[name]
	if !ok {
		return console.Fail(console.Usage, fmt.Errorf("network %q is not mainnet, testnet, signet or regtest", name),
			"coldsign init --home "+a.homeDir+" --network regtest")
	}
	if _, err := home.Create(a.homeDir, network); errors.Is(err, home.ErrExists) {
		return console.Fail(console.Failed, err, "nothing was changed; see it with: coldsign key list --home "+a.homeDir)
	} else if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.init/v1", map[string]any{"home": a.homeDir, "network": network})
	}
	a.Say("home for %s made in %s", network, a.homeDir)
	a.Hint("coldsign key new a --home " + a.homeDir)
	return nil
}
