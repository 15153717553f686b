package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the running daemon how it is",
		Long: "Connects to the admin listener with the operator's own certificate. Exit 0 when the daemon runs and nothing stands in\n" +
			"its way, 6 when it runs and something does, 1 when it does not run. Of an exchange it also says how far the engine is,\n" +
			"and which processes its segments are.",
		Example: "  exchanged status --data /srv/coldsign --json",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runStatus(a) },
	}
}

// operatorClient connects as the operator of this folder.
func operatorClient(a *app, at folder) (*admin.Client, error) {
	address, err := console.ReadFile(at.path("listening"), 256)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notRunning(at, err)
	}
	if err != nil {
		return nil, err
	}
	authority, errCA := console.ReadFile(at.path("tls", "ca.crt"), keyMax)
	cert, errCert := console.ReadFile(at.path("staff", operator+".crt"), keyMax)
	key, errKey := at.private("tls", "operator.key")
	if err := errors.Join(errCA, errCert, errKey); err != nil {
		return nil, err
	}
	return admin.NewClient(admin.Credentials{Server: "https://" + strings.TrimSpace(string(address)), Authority: authority, Cert: cert, Key: key}, a.Now)
}

func notRunning(at folder, err error) error {
	return console.Fail(console.Failed, fmt.Errorf("the daemon does not run: %w", err), "exchanged run --config "+at.path("exchanged.yaml"))
}

func runStatus(a *app) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	client, err := operatorClient(a, at)
	if err != nil {
		return err
	}
	status, err := client.Status(context.Background())
	if errors.Is(err, admin.ErrUnreachable) {
		return notRunning(at, err)
	}
	if err != nil {
		return err
	}
	exchange, trouble := askExchange(context.Background(), client, c, at)
	status.Trouble = append(status.Trouble, trouble...)
	if a.json {
		err = a.JSON(admin.SchemaStatus, withoutSchema(struct {
			admin.Status
			Exchange *exchangeStatus `json:"exchange,omitempty"`
		}{status, exchange}))
	} else {
		err = errors.Join(sayStatus(a, status), sayExchange(a, exchange))
	}
	if err == nil && len(status.Trouble) > 0 {
		return console.Fail(console.Waiting, errors.New(strings.Join(status.Trouble, "; ")))
	}
	return err
}

// withoutSchema drops the schema of a wire object, because the console writes it first.
func withoutSchema(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("exchanged: " + err.Error())
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &out); err != nil {
		panic("exchanged: " + err.Error())
	}
	delete(out, "schema")
	return out
}

func sayStatus(a *app, s admin.Status) error {
	a.Say("%s on %s at height %d, %s", s.Issuer, s.Network, s.Height, s.Time.Format(time.RFC3339))
	a.Say("roster %.8s: %s", s.RosterVersion, strings.Join(s.RosterPeople, ", "))
	var rows [][]string
	for _, t := range s.Tiers {
		rows = append(rows, []string{t.Wallet, t.Balance.Value, t.Floor.Value, t.Target.Value, t.From, t.TopUp})
	}
	if len(rows) == 0 {
		return nil
	}
	return console.Table(a.Out, []string{"WALLET", "BALANCE", "FLOOR", "TARGET", "FROM", "TOP-UP"}, rows)
}
