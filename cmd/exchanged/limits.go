package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

func newLimitsCmd(a *app) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the addresses that sent too many requests",
		Long: "Reads the files that gateway and limits keep in this folder, at most a second or so old. A ban ends by itself; a block is\n" +
			"for good, until two people end it (exchanged limits unban).",
		Example: "  exchanged limits list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runLimits(a) }}
	var note string
	unban := &cobra.Command{Use: "unban IP", Short: "Propose that an address is forgiven",
		Long: "Ends its ban or block, for IPv6 that of its /64, and takes its level back. What it does after the change was applied\n" +
			"is not forgiven. A segment that does not run then hears of it when it starts." + twoPeople,
		Example: "  exchanged limits unban 203.0.113.7 --note \"office of a customer\" --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runUnban(a, args[0], note) }}
	unban.Flags().StringVar(&note, "note", "", "why, in a few words; people read it when they approve")
	return command.Group("limits", "Addresses that sent too many requests", list, unban)
}

func runUnban(a *app, text, note string) error {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return console.Fail(console.Usage, fmt.Errorf("%q is not an IP address", console.Printable(text)), "exchanged limits list")
	}
	return a.proposeNow(exchange.ChangeIntent{Note: note, Unban: address.Unmap().String()})
}

// sentence is a ban as the command prints it.
type sentence struct {
	Block     string     `json:"block"`
	State     string     `json:"state"` // banned, blocked, or remembered: the ban is over, the next one is longer
	Level     uint8      `json:"level"`
	Why       string     `json:"why"`
	Since     time.Time  `json:"since"`
	Until     *time.Time `json:"until,omitempty"`
	CountedBy string     `json:"counted_by"` // gateway or limits
}

func runLimits(a *app) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	list := []sentence{}
	for _, segment := range counters() {
		found, err := at.bans(segment)
		if err != nil {
			return err
		}
		for _, s := range found {
			list = append(list, sentenceOf(s, segment.String(), a.Now()))
		}
	}
	if a.json {
		return a.JSON("coldsign.limits/v1", map[string]any{"sentences": list})
	}
	if len(list) == 0 {
		a.Say("no address is banned, and none is remembered")
		return nil
	}
	rows := [][]string{}
	for _, s := range list {
		until := "for good"
		if s.Until != nil {
			until = s.Until.Format(time.RFC3339)
		}
		rows = append(rows, []string{s.Block, s.State, strconv.Itoa(int(s.Level)), s.Since.Format(time.RFC3339), until, s.Why, s.CountedBy})
	}
	return console.Table(a.Out, []string{"ADDRESS", "STATE", "LEVEL", "SINCE", "UNTIL", "WHY", "COUNTED BY"}, rows)
}

func sentenceOf(s limits.Sentence, by string, now time.Time) sentence {
	out := sentence{Block: s.Block.String(), State: "blocked", Level: s.Level, Since: timeOf(s.Since), CountedBy: by,
		Why: sayWhy(s.Why)}
	if s.Blocked() {
		return out
	}
	until := timeOf(s.Until)
	if out.Until, out.State = &until, "banned"; !now.Before(until) {
		out.State = "remembered"
	}
	return out
}

func sayWhy(w limits.Why) string {
	return map[limits.Why]string{limits.WhyHammering: "went on while being told to slow down", limits.WhyStuffing: "wrong signatures for many accounts",
		limits.WhyRepeatedly: "banned again and again"}[w]
}
