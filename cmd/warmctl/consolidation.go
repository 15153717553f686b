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

func newConsolidationCmd(a *app) *cobra.Command {
	var wanted admin.Consolidation
	flags := func(f *pflag.FlagSet) {
		f.StringVar(&wanted.Wallet, "wallet", "", "wallet whose coins are merged")
		f.StringVar(&wanted.Below, "below", "", "leave coins of this amount in BTC and above alone")
	}
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Say what merging a wallet's small coins would take; nothing is proposed",
		Example: "  warmctl consolidation plan --wallet COLD-BTC-A\n" +
			"  warmctl consolidation plan --wallet COLD-BTC-A --below 0.01 --json",
		RunE: func(*cobra.Command, []string) error {
			return runPlan(a, admin.Planning{Kind: admin.KindConsolidation, Wallet: wanted.Wallet, Below: wanted.Below})
		},
	}
	propose := &cobra.Command{
		Use:   "propose",
		Short: "Ask to merge a wallet's small coins into one at its own next address",
		Long: "The daemon takes the smallest coins that are worth their fee, as many as one bundle may spend, and moves them to the next\n" +
			"address of the same wallet. Nothing leaves it. Some is kept back as change, so that the fee can be raised later: as\n" +
			"much as the fee, and at most the largest of these coins. It is approved, signed and shown like a top-up, under a\n" +
			"number of the same series; each signer's policy must name the wallet in its own list of destinations.",
		Example: "  warmctl consolidation propose --wallet COLD-BTC-A\n  warmctl consolidation propose --wallet COLD-BTC-A --below 0.01",
		RunE:    func(*cobra.Command, []string) error { return runConsolidate(a, wanted) },
	}
	return planned(command.Group("consolidation", "Merging a wallet's small coins", plan, propose), flags)
}

// planned gives a noun's plan and propose the same flags: what is proposed is what was planned.
func planned(noun *cobra.Command, flags func(*pflag.FlagSet)) *cobra.Command {
	for _, verb := range noun.Commands() {
		if verb.Name() == "plan" || verb.Name() == "propose" {
			verb.Args = command.Arguments(0, 0)
			flags(verb.Flags())
		}
	}
	return noun
}

func runConsolidate(a *app, wanted admin.Consolidation) error {
	if wanted.Wallet == "" {
		return console.Fail(console.Usage, errors.New("--wallet is needed"), "warmctl consolidation propose --wallet NAME")
	}
	return a.proposed(func(client *admin.Client) (admin.TopUp, error) {
		return client.Consolidate(context.Background(), wanted)
	})
}

func newPlanCmd(a *app) *cobra.Command {
	var wallet string
	cmd := &cobra.Command{
		Use:     "plan",
		Short:   "Say what a top-up of a watched wallet would take now; nothing is proposed",
		Example: "  warmctl topup plan\n  warmctl topup plan --wallet HOT-BTC-1 --json",
		Args:    command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return runPlan(a, admin.Planning{Kind: admin.KindTopUp, Wallet: wallet})
		},
	}
	cmd.Flags().StringVar(&wallet, "wallet", "", "wallet to fill; may be left out when only one is watched")
	return cmd
}

func runPlan(a *app, p admin.Planning) error {
	if p.Kind == admin.KindConsolidation && p.Wallet == "" {
		return console.Fail(console.Usage, errors.New("--wallet is needed"), "warmctl consolidation plan --wallet NAME")
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	plan, err := client.Plan(context.Background(), p)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaPlan, without(plan))
	}
	line(a.Out, "AMOUNT", "%s %s", plan.Amount.Value, plan.Amount.Asset)
	writePlan(a.Out, plan)
	return nil
}

// line writes one name and what is said under it.
func line(to io.Writer, name, format string, args ...any) {
	fmt.Fprintf(to, "%-11s%s\n", name, console.Printable(fmt.Sprintf(format, args...)))
}

// writePlan says in the daemon's words what a bundle takes.
func writePlan(to io.Writer, p admin.Plan) {
	line(to, "FEE", "%s %s, %s %s for %d vB", p.Fee.Value, p.Fee.Asset, p.FeeRate.Value, p.FeeRate.Asset, p.VirtualBytes)
	line(to, "CHANGE", "%s %s", p.Change.Value, p.Change.Asset)
	about := "about "
	if p.Exact {
		about = ""
	}
	line(to, "BUNDLE", "%d inputs, %s%d bytes (%d without proofs)", p.Inputs, about, p.BundleBytes, p.PayloadBytes)
	if p.Frames == 0 {
		line(to, "QR", "too long for a series; carry it as a file")
	} else {
		line(to, "QR", "%s%d frames, %d seconds", about, p.Frames, p.Seconds)
	}
	if p.Address != "" {
		line(to, "ADDRESS", "%s", groups(p.Address))
		line(to, "", "as the daemon's copy of the book has it; each signer takes it from its own")
	}
	if p.Lifted != nil {
		writeLifted(to, *p.Lifted)
	}
	if p.Bundles > 1 {
		line(to, "THEN", "%d more consolidations, for all small coins", p.Bundles-1)
	}
}
