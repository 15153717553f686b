package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newBumpCmd(a *app) *cobra.Command {
	var rate string
	cmd := &cobra.Command{
		Use:   "bump ID",
		Short: "Replace a top-up's bundle by one with a higher fee",
		Long: "For a transaction that is stuck, or a bundle whose fee is too low by now. The new bundle spends the same coins, pays the\n" +
			"same destination to the satoshi, and takes the higher fee from change alone; the approvals still count, because people\n" +
			"approved the amount and the destination. Every keyholder signs again, under other words. Whichever transaction is\n" +
			"confirmed, the other one cannot be. When the approvals have expired nothing can be replaced any more.",
		Example: "  warmctl topup bump 7 --fee-rate 25\n  warmctl topup bump 7 --fee-rate 12.5 --json",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runBump(a, args[0], rate) },
	}
	cmd.Flags().StringVar(&rate, "fee-rate", "", "new fee rate in sat/vB")
	return cmd
}

func runBump(a *app, id, rate string) error {
	if _, err := admin.ParseRate(rate); err != nil {
		return console.Fail(console.Usage, errors.New("--fee-rate takes a number of satoshi per virtual byte"), "warmctl topup bump "+id+" --fee-rate 25")
	}
	return a.changed(id, func(client *admin.Client) (admin.TopUp, error) {
		return client.Bump(context.Background(), id, admin.Bumping{FeeRate: rate})
	}, func(t admin.TopUp) {
		a.Say("new bundle sealed, words: %s", t.BundleWords)
		a.Hint("warmctl bundle show " + id)
	})
}

func newCancelCmd(a *app) *cobra.Command {
	var wanted admin.Cancelling
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "End a top-up that is not signed yet",
		Long: "Ends a top-up before enough keyholders have signed it. Its coins stay reserved until its bundle has expired, because a\n" +
			"bundle that left cannot be called back. When a keyholder has signed already, --accept-risk given-signatures says that\n" +
			"you know: that signature stays good until the bundle expires.",
		Example: "  warmctl topup cancel 7 --reason 'keyholder b refused: unexpected'\n  warmctl topup cancel 7 --reason typo --accept-risk given-signatures",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runCancel(a, args[0], wanted) },
	}
	cmd.Flags().StringVar(&wanted.Reason, "reason", "", "why, in a few words; goes into the events")
	cmd.Flags().StringSliceVar(&wanted.AcceptRisk, "accept-risk", nil, "accept a named risk: "+admin.GivenSignatures)
	return cmd
}

func runCancel(a *app, id string, wanted admin.Cancelling) error {
	if wanted.Reason == "" {
		return console.Fail(console.Usage, errors.New("--reason is needed"), "warmctl topup cancel "+id+" --reason TEXT")
	}
	if wanted.AcceptRisk == nil {
		wanted.AcceptRisk = []string{}
	}
	return a.changed(id, func(client *admin.Client) (admin.TopUp, error) {
		return client.Cancel(context.Background(), id, wanted)
	}, func(t admin.TopUp) { a.Say("top-up %s is %s", t.ID, t.State) })
}

// changed does something to a top-up and shows how it stands afterwards.
func (a *app) changed(id string, change func(*admin.Client) (admin.TopUp, error), say func(admin.TopUp)) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := a.home.wallets()
	if err != nil {
		return err
	}
	t, err := change(client)
	if err != nil {
		return err
	}
	t, r, err := a.about(t, id, list)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaTopUp, r.view(t))
	}
	say(t)
	return writeProgress(a, t)
}
