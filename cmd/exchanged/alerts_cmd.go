package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
)

func newAlertsCmd(a *app) *cobra.Command {
	var since time.Duration
	list := &cobra.Command{Use: "list", Short: "List what the exchange told people, newest first",
		Long: "Reads the files of the segments in this folder. Of one kind about one thing there is an alert at once, and then one an\n" +
			"hour with a count. docs/operating.md says what to do about each kind.",
		Example: "  exchanged alerts list --since 48h --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runAlerts(a, since) }}
	list.Flags().DurationVar(&since, "since", 7*24*time.Hour, "how far back")
	test := &cobra.Command{Use: "test", Short: "Raise an alert that means nothing, and say whether it arrives",
		Long: "Writes an alert of kind test and sends it to the receiver that exchange.alerts.webhook names. Exit 1 when that does not\n" +
			"take it. People should see it where they see the others.",
		Example: "  exchanged alerts test --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runAlertTest(a) }}
	return command.Group("alerts", "What the exchange tells people by itself", list, test)
}

// alertsListMax is how much of each file is read, from its end.
const alertsListMax = 16 << 20

// allAlerts reads every segment's alerts.
func (f folder) allAlerts() (out []alert, err error) {
	paths, err := filepath.Glob(f.alertsPath("*"))
	if err != nil {
		return nil, err
	}
	for _, path := range append(paths, f.alertsPath("")) {
		list, err := readAlerts(path, alertsListMax)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	slices.SortStableFunc(out, func(x, y alert) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

func runAlerts(a *app, since time.Duration) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	all, err := at.allAlerts()
	if err != nil {
		return err
	}
	list := []alert{}
	for _, one := range all {
		if a.Now().Sub(one.At) <= since {
			list = append(list, one)
		}
	}
	if a.json {
		return a.JSON("coldsign.alerts/v1", map[string]any{"alerts": list})
	}
	if len(list) == 0 {
		a.Say("no alerts")
		return nil
	}
	rows := [][]string{}
	for _, one := range list {
		rows = append(rows, []string{one.At.Format(time.RFC3339), one.Segment, one.Kind, console.Printable(one.About), strconv.FormatUint(one.Count, 10), console.Printable(one.Text)})
	}
	return console.Table(a.Out, []string{"AT", "SEGMENT", "KIND", "ABOUT", "COUNT", "WHAT"}, rows)
}

// runAlertTest has a file of its own, so that it never disturbs how far a running segment's alerts were sent.
func runAlertTest(a *app) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	if c.Exchange == nil {
		return console.Fail(console.Usage, errors.New("the configuration has no section exchange"), "exchanged exchange init --data "+string(at))
	}
	people := openAlerts(at.path(exchangeDir, "admin", "alerts.jsonl"), "admin", slog.New(slog.NewTextHandler(io.Discard, nil)), a.Now)
	var sender *alertSender
	if c.Exchange.Alerts.Webhook != "" {
		if sender, err = newAlertSender(people, c.Exchange.Alerts); err != nil {
			return err
		}
	}
	people.raise(alertTest, exchange.RandomID().String()[:8], "somebody tries whether alerts arrive; nothing happened")
	if _, err := os.Stat(people.path); errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("%s cannot be written", people.path))
	}
	if sender != nil {
		err := sender.drain(context.Background())
		if err == nil && sender.refused > 0 {
			err = errAlertRefused
		}
		if err != nil {
			return console.Fail(console.Failed, fmt.Errorf("the alert was written and not sent: %w", err), "exchange.alerts.webhook in exchanged.yaml")
		}
	}
	if a.json {
		return a.JSON("coldsign.alerts-test/v1", map[string]any{"file": people.path, "webhook": c.Exchange.Alerts.Webhook, "sent": sender != nil})
	}
	if sender == nil {
		a.Say("written to %s; no receiver is configured", people.path)
		return nil
	}
	a.Say("written, and taken by %s", c.Exchange.Alerts.Webhook)
	return nil
}
