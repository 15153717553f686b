package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newChildCmd(a *app) *cobra.Command {
	var wanted admin.Bearing
	flags := func(f *pflag.FlagSet) {
		f.StringVar(&wanted.Of, "of", "", "stuck transaction: the number of its top-up, or its txid when it pays us")
		f.StringVar(&wanted.Output, "output", "", "output to spend, from 0 (default: change, else the largest of ours)")
		f.StringVar(&wanted.FeeRate, "fee-rate", "", "fee rate in sat/vB that both are to reach together")
	}
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Say what a child would pay, and which fee rate can be reached; nothing is proposed",
		Example: "  warmctl child plan --of 7 --fee-rate 25\n" +
			"  warmctl child plan --of 4fd1c1a2bd4bd0f6d2f0d2dca6f3f7ac9bd8c8f0a9c1d4f26d2ab3a4a1b2c3d4 --fee-rate 25 --json",
		RunE: func(*cobra.Command, []string) error {
			if err := wholeChild(wanted); err != nil {
				return err
			}
			return runPlan(a, admin.Planning{Kind: admin.KindChild, Child: &wanted})
		},
	}
	propose := &cobra.Command{
		Use:   "propose",
		Short: "Ask for a child that pays for a stuck transaction (CPFP)",
		Long: "For a transaction that hangs and cannot be replaced: its approvals have expired, it has no change, or somebody else sent\n" +
			"it to us. The child spends one of its outputs that is ours back to the same wallet, and pays so much that miners take\n" +
			"both. Nothing leaves but that fee. It is approved, signed and shown like a consolidation, under a number of the series\n" +
			"of top-ups; each signer's policy must name the wallet in its own list of destinations, and holds the child's fee against\n" +
			"its limits alone. If the parent is confirmed meanwhile the child stays good; if another transaction takes the parent's\n" +
			"place the child is cancelled. To pay more later, propose a child of the child.",
		Example: "  warmctl child propose --of 7 --fee-rate 25\n  warmctl child propose --of 7 --output 1 --fee-rate 12.5",
		RunE:    func(*cobra.Command, []string) error { return runBear(a, wanted) },
	}
	return planned(command.Group("child", "Children that pay for stuck transactions (CPFP)", plan, propose), flags)
}

func wholeChild(b admin.Bearing) error {
	if _, err := admin.ParseRate(b.FeeRate); b.Of == "" || err != nil {
		return console.Fail(console.Usage, errors.New("--of and --fee-rate are needed; a rate is a number of satoshi per virtual byte"), "warmctl child propose --of ID --fee-rate 25")
	}
	return nil
}

func runBear(a *app, wanted admin.Bearing) error {
	if err := wholeChild(wanted); err != nil {
		return err
	}
	return a.proposed(func(client *admin.Client) (admin.TopUp, error) { return client.Bear(context.Background(), wanted) })
}

// writeLifted says in the daemon's words what a child does for a stuck transaction.
func writeLifted(to io.Writer, l admin.Lifted) {
	line(to, "PARENT", "%s", l.Parent)
	what := "it pays"
	if l.Transactions > 1 {
		what = fmt.Sprintf("with %d ancestors that no block has it pays", l.Transactions-1)
	}
	line(to, "", "%s %s %s for %d vB, which miners see as %s %s", what, l.Fee.Value, l.Fee.Asset, l.VirtualBytes, l.RateAlone.Value, l.RateAlone.Asset)
	line(to, "PACKAGE", "%s %s with the child; at most %s (limit: %s)", l.PackageRate.Value, l.PackageRate.Asset, l.HighestRate.Value, l.HighestBy)
	if !l.CapsKnown {
		line(to, "SIGNERS", "the daemon has no copy of their policy for this wallet: they may refuse a fee that is planned here")
	}
}
