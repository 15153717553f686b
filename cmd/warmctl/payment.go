package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newPaymentCmd(a *app) *cobra.Command {
	var wanted admin.Paying
	flags := func(f *pflag.FlagSet) {
		f.StringVar(&wanted.Wallet, "wallet", "", "wallet that pays")
		f.StringVar(&wanted.Entry, "entry", "", "entry of the address book that is paid")
		f.StringVar(&wanted.Amount, "amount", "", "amount in BTC that arrives")
	}
	plan := &cobra.Command{
		Use:     "plan",
		Short:   "Say what a payment would take; nothing is proposed",
		Example: "  warmctl payment plan --wallet COLD-BTC-A --entry otc-desk --amount 1.5",
		RunE: func(*cobra.Command, []string) error {
			if err := wholePayment(wanted); err != nil {
				return err
			}
			return runPlan(a, admin.Planning{Kind: admin.KindPayment, Payment: &wanted})
		},
	}
	propose := &cobra.Command{
		Use:   "propose",
		Short: "Ask to pay an entry of the address book",
		Long: "Names an entry of the address book that the keyholders signed; an address cannot be typed. What people approve names the\n" +
			"entry and the amount. The address that is shown is that of the daemon's copy of the book: each signer takes it from its\n" +
			"own copy, shows it in full, and refuses another one. If the book changes before the bundle is built, it is not built.\n" +
			"A payment is approved, signed and followed like a top-up, under a number of the same series; the fee comes on top.",
		Example: "  warmctl payment propose --wallet COLD-BTC-A --entry otc-desk --amount 1.5\n  warmctl payment propose --wallet COLD-BTC-A --entry otc-desk --amount 1.5 --json",
		RunE:    func(*cobra.Command, []string) error { return runPay(a, wanted) },
	}
	var wallet string
	entries := &cobra.Command{
		Use: "entries", Short: "List the address book, as the daemon has it", Example: "  warmctl payment entries --wallet COLD-BTC-A", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runEntries(a, wallet) },
	}
	entries.Flags().StringVar(&wallet, "wallet", "", "wallet that would pay; its keyholders must have signed the book")
	return planned(command.Group("payment", "Payments to the address book", plan, propose, entries), flags)
}

func wholePayment(p admin.Paying) error {
	if p.Wallet == "" || p.Entry == "" || p.Amount == "" {
		return console.Fail(console.Usage, errors.New("--wallet, --entry and --amount are needed"), "warmctl payment propose --wallet NAME --entry NAME --amount BTC",
			"see the entries with: warmctl payment entries --wallet NAME")
	}
	return nil
}

func runPay(a *app, wanted admin.Paying) error {
	if err := wholePayment(wanted); err != nil {
		return err
	}
	return a.proposed(func(client *admin.Client) (admin.TopUp, error) { return client.Pay(context.Background(), wanted) })
}

func runEntries(a *app, wallet string) error {
	if wallet == "" {
		return console.Fail(console.Usage, errors.New("--wallet is needed"), "warmctl payment entries --wallet NAME")
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Entries(context.Background(), wallet)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaEntries, without(list))
	}
	var rows [][]string
	for _, e := range list.Entries {
		rows = append(rows, []string{e.Name, e.Address})
	}
	return console.Table(a.Out, []string{"ENTRY", "ADDRESS"}, rows)
}
