package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
)

// exchangeStatus is how the exchange is, as `exchanged status` says it.
type exchangeStatus struct {
	Seq      uint64          `json:"seq"`
	Hash     string          `json:"state_hash"`
	Records  uint64          `json:"records_seq"`
	Snapshot uint64          `json:"snapshot_seq"`
	Accounts int             `json:"accounts"`
	Open     int             `json:"open_orders"`
	Tickets  uint64          `json:"tickets"`  // how many there ever were
	Unclosed uint64          `json:"unclosed"` // of them
	Segments []segmentStatus `json:"segments"` // processes of this folder's supervisor
}

type segmentStatus struct {
	Segment string `json:"segment"`
	PID     int    `json:"pid"`
}

// askExchange asks the engine through the staff API. An engine that does not answer is trouble, and not the end.
func askExchange(ctx context.Context, client *admin.Client, c config, at folder) (*exchangeStatus, []string) {
	if c.Exchange == nil {
		return nil, nil
	}
	out := &exchangeStatus{Segments: segmentsOf(at, *c.Exchange)}
	s, err := client.Engine(ctx)
	if err != nil {
		return out, []string{"exchange: " + err.Error()}
	}
	out.Seq, out.Hash, out.Records, out.Snapshot, out.Accounts, out.Open = s.Seq, s.Hash, s.Records, s.Snapshot, s.Accounts, s.Open
	out.Tickets, out.Unclosed = s.Tickets, s.Unclosed
	if s.Stopped != "" {
		return out, []string{"the engine takes nothing: " + s.Stopped}
	}
	return out, nil
}

// segmentsOf reads the numbers that the supervisor keeps. Where segments are started one by one it keeps none.
func segmentsOf(at folder, c exchangeConfig) []segmentStatus {
	out := []segmentStatus{}
	for _, names := range children(c) {
		raw, err := console.ReadFile(pidFile(at, names[0]), 64)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
			out = append(out, segmentStatus{names[0], pid})
		}
	}
	return out
}

func sayExchange(a *app, e *exchangeStatus) error {
	if e == nil {
		return nil
	}
	a.Say("exchange at command %d, %d accounts, %d open orders; records at %d, snapshot at %d", e.Seq, e.Accounts, e.Open, e.Records, e.Snapshot)
	if e.Unclosed > 0 {
		a.Say("%d tickets that nobody closed: exchanged tickets list", e.Unclosed)
	}
	var rows [][]string
	for _, s := range e.Segments {
		rows = append(rows, []string{s.Segment, fmt.Sprint(s.PID)})
	}
	if len(rows) == 0 {
		return nil
	}
	return console.Table(a.Out, []string{"SEGMENT", "PID"}, rows)
}
