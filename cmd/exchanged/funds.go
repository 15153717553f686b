package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
)

func newDepositsCmd(a *app) *cobra.Command {
	var q admin.DepositQuery
	states := []string{admin.DepositConfirming, admin.DepositRefused, admin.DepositCredited}
	list := &cobra.Command{
		Use:   "list [ACCOUNT]",
		Short: "List payments to customers' deposit addresses, the unconfirmed ones first",
		Long: "A payment is confirming while its block does not lie deep enough for its value (exchange.deposits.confirmations), refused\n" +
			"when the engine does not take its evidence, and credited after that, for good. At most 500 are listed, newest first.",
		Example: "  exchanged deposits list --data /srv/coldsign\n  exchanged deposits list 17 --asset BTC --state confirming --data /srv/coldsign",
		Args:    command.Arguments(0, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runDeposits(a, args, q) },
	}
	list.Flags().StringVar(&q.Asset, "asset", "", "only of this asset")
	list.Flags().StringVar(&q.State, "state", "", "only confirming, refused or credited ones")
	_ = list.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp))
	_ = list.RegisterFlagCompletionFunc("asset", a.completes(assetSymbols))
	list.ValidArgsFunction = a.completesAccounts()
	show := &cobra.Command{
		Use:     "show TXID:N",
		Short:   "Show one payment, and what it waits for",
		Long:    "A payment is named by its transaction and the place of its output, as a block explorer writes it.",
		Example: "  exchanged deposits show 8b30...f1:0 --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runDeposit(a, args[0]) },
	}
	show.ValidArgsFunction = cobra.NoFileCompletions
	return command.Group("deposits", "What was paid to customers", list, show)
}

func runDeposits(a *app, args []string, q admin.DepositQuery) error {
	n, err := accountArg(args)
	if err != nil {
		return err
	}
	q.Account = uint64(n)
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	list, err := client.Deposits(context.Background(), q)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaDeposits, withoutSchema(list))
	}
	rows := [][]string{}
	for _, d := range list.Deposits {
		rows = append(rows, []string{whose(d.Account), d.Amount.Value + " " + d.Amount.Asset, stateOf(d), fmt.Sprintf("%s:%d", d.TxID, d.Output)})
	}
	if len(rows) == 0 {
		a.Say("no deposits")
		return nil
	}
	return console.Table(a.Out, []string{"ACCOUNT", "AMOUNT", "STATE", "OUTPUT"}, rows)
}

// whose names an account, or says that nobody is known to have it.
func whose(account uint64) string {
	if account == 0 {
		return "-"
	}
	return strconv.FormatUint(account, 10)
}

// stateOf is a deposit's state, with its confirmations while they count.
func stateOf(d admin.Deposit) string {
	if d.State == admin.DepositConfirming {
		return fmt.Sprintf("%s %d/%d", d.State, d.Confirmations, d.Need)
	}
	return d.State
}

func runDeposit(a *app, output string) error {
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	d, err := client.Deposit(context.Background(), output)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaDeposit, withoutSchema(d))
	}
	rows := [][2]string{{"output", output}, {"account", whose(d.Account)}, {"amount", d.Amount.Value + " " + d.Amount.Asset}, {"address", d.Address},
		{"block", strconv.FormatUint(uint64(d.Height), 10)}, {"state", stateOf(d)}, {"waits for", d.Waiting}}
	if d.State == admin.DepositCredited {
		rows = append(rows, [2]string{"credited", fmt.Sprintf("%s, as deposit %d", d.CreditedAt.Format(time.RFC3339), d.Number)})
	}
	return a.lines(rows)
}

// lines prints names and values; what has no value is left out.
func (a *app) lines(rows [][2]string) error {
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(a.Out, "%-10s %s\n", row[0], console.Printable(row[1])); err != nil {
			return err
		}
	}
	return nil
}

func newWithdrawalsCmd(a *app) *cobra.Command {
	list := &cobra.Command{Use: "list [ACCOUNT]", Short: "List the withdrawals that wait for the treasury, or all of an account",
		Long:    "A withdrawal that a customer asked for is on hold, and waits, until the treasury pays it or gives it back.",
		Example: "  exchanged withdrawals list --data /srv/coldsign\n  exchanged withdrawals list 17 --data /srv/coldsign",
		Args:    command.Arguments(0, 1), RunE: func(_ *cobra.Command, args []string) error { return runWithdrawals(a, args) }}
	list.ValidArgsFunction = a.completesAccounts()
	show := &cobra.Command{Use: "show NUMBER", Short: "Show one withdrawal, and what it waits for",
		Example: "  exchanged withdrawals show 7 --data /srv/coldsign",
		Args:    command.Arguments(1, 1), RunE: func(_ *cobra.Command, args []string) error { return runWithdrawal(a, args[0]) }}
	show.ValidArgsFunction = cobra.NoFileCompletions
	return command.Group("withdrawals", "What customers asked to have paid out", list, show)
}

// accountArg reads the account that may be named; zero when it is not.
func accountArg(args []string) (exchange.Account, error) {
	if len(args) == 0 {
		return 0, nil
	}
	return number(args[0])
}

func runWithdrawals(a *app, args []string) error {
	n, err := accountArg(args)
	if err != nil {
		return err
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	list, err := client.Withdrawals(context.Background(), uint64(n))
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaWithdrawals, withoutSchema(list))
	}
	rows := [][]string{}
	for _, w := range list.Withdrawals {
		rows = append(rows, []string{strconv.FormatUint(w.Number, 10), whose(w.Account), w.Amount.Value + " " + w.Amount.Asset, w.Address, w.State, age(a.Now().Sub(w.Created))})
	}
	if len(rows) == 0 {
		a.Say("no withdrawals wait")
		return nil
	}
	if err := console.Table(a.Out, []string{"NUMBER", "ACCOUNT", "AMOUNT", "ADDRESS", "STATE", "AGE"}, rows); err != nil {
		return err
	}
	if i := slices.IndexFunc(list.Withdrawals, func(w admin.Withdrawal) bool { return w.Waiting != "" }); i >= 0 {
		a.Hint("what is held waits for " + list.Withdrawals[i].Waiting)
	}
	return nil
}

// age is how long something waits, in the one unit that a person reads it in.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func runWithdrawal(a *app, text string) error {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return console.Fail(console.Usage, fmt.Errorf("withdrawal %q is not a number such as 7", console.Printable(text)), "exchanged withdrawals list")
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	w, err := client.Withdrawal(context.Background(), n)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaWithdrawal, withoutSchema(w))
	}
	changed := ""
	if w.State != "held" {
		changed = w.Changed.Format(time.RFC3339)
	}
	return a.lines([][2]string{{"number", text}, {"account", whose(w.Account)}, {"amount", w.Amount.Value + " " + w.Amount.Asset + ", fee " + w.Fee.Value + " in it"},
		{"address", w.Address}, {"its name", w.Client}, {"state", w.State}, {"asked", w.Created.Format(time.RFC3339) + ", " + age(a.Now().Sub(w.Created)) + " ago"},
		{"waits for", w.Waiting}, {"paid by", w.TxID}, {"reason", w.Reason}, {"ended", changed}})
}
