package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/store"
)

func newHaltCmd(a *app) *cobra.Command {
	var by, reason string
	list := &cobra.Command{
		Use: "list", Short: "List standing alarms (the daemon must be stopped)", Example: "  exchanged halt list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runHaltList(a) },
	}
	clear := &cobra.Command{
		Use:   "clear",
		Short: "Take every alarm down after somebody looked into it (the daemon must be stopped)",
		Long: "While an alarm stands, nothing is proposed, sealed, finished or sent. An alarm nonce-reused means that a key gave\n" +
			"two signatures that together reveal it: do not clear it before that key is out of every wallet.",
		Example: "  exchanged halt clear --by ruth --reason 'false alarm, ticket 41' --data /srv/coldsign",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runHaltClear(a, by, reason) },
	}
	clear.Flags().StringVar(&by, "by", "", "who decided it; goes into the events")
	clear.Flags().StringVar(&reason, "reason", "", "why; goes into the events")
	return command.Group("halt", "Standing alarms", list, clear)
}

// records opens the database of a daemon that does not run.
func (a *app) records(ctx context.Context) (*store.Store, error) {
	c, at, err := a.load()
	if err != nil {
		return nil, err
	}
	return openRecords(ctx, c, at, a.Now)
}

func openRecords(ctx context.Context, c config, at folder, now func() time.Time) (*store.Store, error) {
	key, err := at.recordsKey()
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, store.Options{Dir: at.path("records"), Key: key, Network: c.network, Confirmations: c.Confirmations, Now: now})
}

// haltJSON is an alarm as --json writes it.
type haltJSON struct {
	Code string    `json:"code"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

func runHaltList(a *app) error {
	ctx := context.Background()
	records, err := a.records(ctx)
	if err != nil {
		return err
	}
	defer records.Close()
	halts, err := records.Halts(ctx)
	if err != nil {
		return err
	}
	list, rows := []haltJSON{}, [][]string{}
	for _, h := range halts {
		at := time.Unix(h.At, 0).UTC()
		list, rows = append(list, haltJSON{h.Code, h.Text, at}), append(rows, []string{at.Format(time.RFC3339), h.Code, h.Text})
	}
	if a.json {
		return a.JSON("coldsign.halts/v1", map[string]any{"halts": list})
	}
	if len(rows) == 0 {
		a.Say("no alarm stands")
		return nil
	}
	return console.Table(a.Out, []string{"SINCE", "ALARM", "TEXT"}, rows)
}

func runHaltClear(a *app, by, reason string) error {
	if by == "" || reason == "" {
		return console.Fail(console.Usage, errors.New("--by and --reason are needed"), "exchanged halt clear --by NAME --reason TEXT --data DIR")
	}
	ctx := context.Background()
	records, err := a.records(ctx)
	if err != nil {
		return err
	}
	defer records.Close()
	standing, err := records.Halts(ctx)
	if err != nil {
		return err
	}
	if err := records.ClearHalts(ctx, by, reason); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.halt-clear/v1", map[string]any{"cleared": len(standing), "by": by, "reason": reason})
	}
	if len(standing) == 1 {
		a.Say("1 alarm was taken down")
		return nil
	}
	a.Say("%d alarms were taken down", len(standing))
	return nil
}

func newEventsCmd(a *app) *cobra.Command {
	verify := &cobra.Command{
		Use: "verify", Short: "Recompute the hash chain of all events (the daemon must be stopped)", Example: "  exchanged events verify --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runEventsVerify(a) },
	}
	list := &cobra.Command{
		Use: "list", Short: "List all events as JSON lines (the daemon must be stopped)", Example: "  exchanged events list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runEventsList(a) },
	}
	return command.Group("events", "The append-only list of what happened", verify, list)
}

func runEventsVerify(a *app) error {
	ctx := context.Background()
	records, err := a.records(ctx)
	if err != nil {
		return err
	}
	defer records.Close()
	last, err := records.VerifyEvents(ctx)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("%x", last.Hash)
	if a.json {
		return a.JSON("coldsign.events-verify/v1", map[string]any{"events": last.Seq, "head": head})
	}
	a.Say("%d events, unbroken, head %s", last.Seq, head)
	return nil
}

func runEventsList(a *app) error {
	ctx := context.Background()
	records, err := a.records(ctx)
	if err != nil {
		return err
	}
	defer records.Close()
	out := json.NewEncoder(a.Out)
	for after := uint64(0); ; {
		page, err := records.Events(ctx, after, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			line := map[string]any{"schema": "coldsign.event/v1", "seq": e.Seq, "at": time.Unix(e.At, 0).UTC(), "what": e.Kind, "detail": json.RawMessage(e.Text), "hash": fmt.Sprintf("%x", e.Hash)}
			if err := out.Encode(line); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Seq
	}
}
