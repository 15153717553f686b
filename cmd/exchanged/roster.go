package main

import (
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newRosterCmd(a *app) *cobra.Command {
	set := &cobra.Command{
		Use:   "set FILE",
		Short: "Replace the roster of people who may approve",
		Long: "Verifies a roster (the allowed_signers format of OpenSSH, with role, site and device) and makes it the one that counts,\n" +
			"also for a running daemon. Earlier rosters are kept. Every signer pins its own copy and judges for itself.",
		Example: "  exchanged roster set roster.txt --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runRosterSet(a, args[0]) },
	}
	show := &cobra.Command{
		Use: "show", Short: "Show the roster that counts now", Example: "  exchanged roster show --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runRosterShow(a) },
	}
	return command.Group("roster", "People who may approve", set, show)
}

func runRosterSet(a *app, path string) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	raw, err := console.ReadFile(path, rosterMax)
	if err != nil {
		return err
	}
	parsed, err := approvals.ParseRoster(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	version := parsed.Version()
	kept := at.path("rosters", hex.EncodeToString(version[:])+".roster")
	if err := console.WriteNew(kept, raw, 0o600); err != nil && !taken(err) {
		return err
	}
	if err := replace(at.path("roster"), raw, 0o600); err != nil {
		return err
	}
	return sayRoster(a, parsed)
}

func runRosterShow(a *app) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	parsed, err := (&roster{folder: at}).now()
	if err != nil {
		return err
	}
	return sayRoster(a, parsed)
}

func sayRoster(a *app, r approvals.Roster) error {
	version := r.Version()
	names := []string{}
	for _, person := range r.People() {
		names = append(names, person.Name)
	}
	if a.json {
		return a.JSON("coldsign.roster/v1", map[string]any{"version": hex.EncodeToString(version[:]), "people": names})
	}
	a.Say("roster %s with %d people", hex.EncodeToString(version[:4]), len(names))
	var rows [][]string
	for _, person := range r.People() {
		for _, key := range person.Keys {
			rows = append(rows, []string{person.Name, key.Role, key.Site, key.Device})
		}
	}
	return console.Table(a.Out, []string{"PERSON", "ROLE", "SITE", "DEVICE"}, rows)
}
