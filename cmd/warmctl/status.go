package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the daemon, the tiers and what stands in the way", Example: "  warmctl status\n  warmctl status --json", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runStatus(a) },
	}
}

func runStatus(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	wallets, err := client.Wallets(ctx)
	if err != nil {
		return err
	}
	if a.json {
		view := without(s)
		view["wallets"] = wallets.Wallets
		return a.JSON(admin.SchemaStatus, view)
	}
	a.Say("%s on %s at height %d; you are %s", s.Issuer, s.Network, s.Height, s.Person)
	a.Say("roster: %s; %d approvals are needed", strings.Join(s.RosterPeople, ", "), s.ApprovalsNeeded)
	tiers := map[string]admin.TierStatus{}
	for _, t := range s.Tiers {
		tiers[t.Wallet] = t
	}
	var rows [][]string
	for _, w := range wallets.Wallets {
		t, watched := tiers[w.Name]
		row := []string{w.Name, w.Tier, w.Balance.Value, w.Reserved.Value, w.Spendable.Value, "", "", ""}
		if watched {
			row[5], row[6], row[7] = t.Floor.Value, t.Target.Value, t.TopUp
		}
		rows = append(rows, row)
	}
	if err := console.Table(a.Out, []string{"WALLET", "TIER", "BALANCE", "RESERVED", "SPENDABLE", "FLOOR", "TARGET", "TOP-UP"}, rows); err != nil {
		return err
	}
	for _, trouble := range s.Trouble {
		a.Say("in the way: %s", trouble)
	}
	return nil
}

func newEventsCmd(a *app) *cobra.Command {
	var after uint64
	var topUp string
	cmd := &cobra.Command{
		Use: "events", Short: "List what happened, in order", Example: "  warmctl events --topup 7\n  warmctl events --after 120 --json", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runEvents(a, after, topUp) },
	}
	cmd.Flags().Uint64Var(&after, "after", 0, "only events after this sequence number")
	cmd.Flags().StringVar(&topUp, "topup", "", "only events of this top-up")
	return cmd
}

func runEvents(a *app, after uint64, topUp string) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Events(context.Background(), after, topUp)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaEvents, without(list))
	}
	var rows [][]string
	for _, e := range list.Events {
		rows = append(rows, []string{fmt.Sprint(e.Seq), e.At.Format(time.RFC3339), e.TopUp, e.What, detail(e.Detail)})
	}
	return console.Table(a.Out, []string{"SEQ", "AT", "TOP-UP", "WHAT", "DETAIL"}, rows)
}

// detail shortens an event's object for a table; --json has all of it.
func detail(raw json.RawMessage) string {
	const shown = 100
	if len(raw) <= shown {
		return string(raw)
	}
	return string(raw[:shown]) + "..."
}
