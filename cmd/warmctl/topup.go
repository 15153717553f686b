package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/wallet"
)

func newTopUpCmd(a *app) *cobra.Command {
	var wallet, out string
	propose := &cobra.Command{
		Use:   "propose",
		Short: "Ask for a top-up of a watched wallet",
		Long: "The daemon takes the amount from the wallet's target and the destination from the pinned wallet; neither can be typed.\n" +
			"Whoever proposes cannot approve.",
		Example: "  warmctl topup propose\n  warmctl topup propose --wallet HOT-BTC-1 --json",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runPropose(a, wallet) },
	}
	propose.Flags().StringVar(&wallet, "wallet", "", "wallet to fill; may be left out when only one is watched")
	list := &cobra.Command{
		Use: "list", Short: "List top-ups, newest first", Example: "  warmctl topup list --json", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runTopUpList(a) },
	}
	show := &cobra.Command{
		Use:   "show ID",
		Short: "Show one top-up, as this home reads its intent",
		Long: "With --out the exact intent bytes are written: what people approve. An approval can then be made and checked with\n" +
			"OpenSSH alone:\n\n  ssh-keygen -Y sign -f KEY -n coldsign-approve-v1 intent.bin\n  ssh-keygen -Y verify -f roster.txt -I NAME -n coldsign-approve-v1 -s intent.bin.sig < intent.bin",
		Example: "  warmctl topup show 7\n  warmctl topup show 7 --out intent.bin",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runTopUpShow(a, args[0], out) },
	}
	show.Flags().StringVar(&out, "out", "", "file for the exact intent bytes, or - for standard output")
	return command.Group("topup", "Top-ups: warm or cold to hot", newPlanCmd(a), propose, list, show, newApproveCmd(a), newBumpCmd(a), newCancelCmd(a))
}

// look gets one top-up and reads it with this home's wallets.
func (a *app) look(ctx context.Context, client *admin.Client, id string) (admin.TopUp, reading, error) {
	list, err := a.home.wallets()
	if err != nil {
		return admin.TopUp{}, reading{}, err
	}
	t, err := client.TopUp(ctx, id)
	if err != nil {
		return t, reading{}, err
	}
	return a.about(t, id, list)
}

// about reads a top-up and makes sure that it is the one that was asked about.
func (a *app) about(t admin.TopUp, id string, list []wallet.Wallet) (admin.TopUp, reading, error) {
	if t.ID != id {
		return t, reading{}, fmt.Errorf("asked for top-up %s, the daemon gave %s", id, t.ID)
	}
	r, err := read(t, list)
	return t, r, err
}

func runPropose(a *app, wallet string) error {
	return a.proposed(func(client *admin.Client) (admin.TopUp, error) {
		return client.Propose(context.Background(), admin.Proposal{Wallet: wallet})
	})
}

// proposed asks for something and shows what people are to approve, and what it takes.
func (a *app) proposed(ask func(*admin.Client) (admin.TopUp, error)) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := a.home.wallets()
	if err != nil {
		return err
	}
	t, err := ask(client)
	if err != nil {
		return err
	}
	r, err := read(t, list)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaTopUp, r.view(t))
	}
	r.write(a.Out, a.Now())
	if t.Plan != nil {
		writePlan(a.Out, *t.Plan)
	}
	a.Hint(fmt.Sprintf("%d other people approve with: warmctl topup approve %s --key NAME", t.Need, t.ID))
	return nil
}

func runTopUpList(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	pinnedHere, err := a.home.wallets()
	if err != nil {
		return err
	}
	list, err := client.TopUps(context.Background())
	if err != nil {
		return err
	}
	views, rows := []any{}, [][]string{}
	for _, t := range list.TopUps {
		r, err := read(t, pinnedHere)
		if err != nil {
			return err
		}
		views = append(views, r.view(t))
		rows = append(rows, []string{t.ID, t.State, r.intent.Amount.String(), r.fromName(), r.toName(), r.intent.Proposer, t.Waiting})
	}
	if a.json {
		return a.JSON(admin.SchemaTopUps, map[string]any{"topups": views})
	}
	return console.Table(a.Out, []string{"ID", "STATE", "AMOUNT", "FROM", "TO", "PROPOSER", "WAITS FOR"}, rows)
}

func runTopUpShow(a *app, id, out string) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	t, r, err := a.look(context.Background(), client, id)
	if err != nil {
		return err
	}
	if out != "" {
		if err := a.give(out, r.raw); err != nil || out == "-" {
			return err
		}
	}
	if a.json {
		return a.JSON(admin.SchemaTopUp, r.view(t))
	}
	r.write(a.Out, a.Now())
	return writeProgress(a, t)
}

// writeProgress says how far a top-up came, in the daemon's words. A keyholder's refusal comes first.
func writeProgress(a *app, t admin.TopUp) error {
	var b bytes.Buffer
	for _, refusal := range t.RefusedBy {
		line(&b, "REFUSED BY", "%s", refusal)
	}
	line(&b, "STATE", "%s", t.State)
	for _, approval := range t.Approvals {
		line(&b, "APPROVED", "%s, %s", approval.Person, approval.Device)
	}
	if t.Plan != nil {
		writePlan(&b, *t.Plan)
	}
	if t.Bundle != "" {
		line(&b, "WORDS", "%s", t.BundleWords)
	}
	if t.Replaced > 0 {
		line(&b, "REPLACES", "%d earlier bundles; the same coins, amount and destination", t.Replaced)
	}
	for _, answer := range t.Answers {
		what := "signed"
		if !answer.Signed {
			what = "refused: " + answer.Refusal
		} else if !answer.Receipt {
			what += ", without receipt"
		}
		line(&b, "ANSWER", "key %s %s", answer.Key, what)
	}
	if t.TxID != "" {
		line(&b, "TXID", "%s, %d confirmations", t.TxID, t.Confirmations)
	}
	if t.Ended != "" {
		line(&b, "ENDED", "%s", t.Ended)
	}
	if t.Waiting != "" {
		line(&b, "WAITS FOR", "%s", strings.TrimSpace(t.Waiting))
	}
	if _, err := a.Out.Write(b.Bytes()); err != nil {
		return err
	}
	if len(t.RefusedBy) > 0 && t.State == "sealed" {
		a.Hint("to end it: warmctl topup cancel " + t.ID + " --reason TEXT")
	}
	return nil
}
