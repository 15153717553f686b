package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/store/journal"
)

// evictRisk is what an operator accepts who puts an engine out.
const evictRisk = "engine-loses-its-place"

const evictLong = "An engine that hangs (a stopped process, a frozen machine) keeps its place in PostgreSQL as long as its connection lives, and\n" +
	"a standby waits. This ends that connection and begins a new epoch in the journal. Whenever the engine that was put out wakes\n" +
	"up, it can make no further command durable, and so acknowledges none: its connection is never made anew, and a later epoch\n" +
	"stands above its own. What it acknowledged is in the journal. A standby that runs takes over at once; without one, start an\n" +
	"engine.\n\n" +
	"Nothing here decides that an engine is dead: without --accept-risk it only shows who has the place, and since when the server\n" +
	"has not heard of it. In SQLite the place is a lock of the engine's process: end that process (kill -9)."

func newJournalEvictCmd(a *app) *cobra.Command {
	var risks []string
	cmd := &cobra.Command{
		Use:     "evict",
		Short:   "Put out an engine that hangs, so that its standby takes over",
		Long:    evictLong,
		Example: "  exchanged journal evict --data /srv/coldsign\n  exchanged journal evict --accept-risk " + evictRisk + " --data /srv/coldsign",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runJournalEvict(a, risks) },
	}
	cmd.Flags().StringSliceVar(&risks, "accept-risk", nil, "accept a named risk: "+evictRisk)
	return cmd
}

func runJournalEvict(a *app, risks []string) error {
	ctx := context.Background()
	o, at, err := a.sharedJournal()
	if err != nil {
		return err
	}
	for _, risk := range risks {
		if risk != evictRisk {
			return console.Fail(console.Usage, fmt.Errorf("no risk is called %q", console.Printable(risk)), "the only one here is "+evictRisk)
		}
	}
	holder, err := journal.FindHolder(ctx, o)
	if err != nil {
		return err
	}
	if holder == nil {
		a.Say("no engine has the place: start one, or look at the standby's log")
		return nil
	}
	a.Say("the engine that connected from %s at %s has the place; the server last heard of it %s ago; the journal ends with command %d of %s", holder.Address,
		holder.Since.UTC().Format(time.RFC3339), a.Now().Sub(holder.Quiet).Round(time.Second), holder.Last, time.UnixMilli(int64(holder.At)).UTC().Format(time.RFC3339))
	if !slices.Contains(risks, evictRisk) {
		return console.Fail(console.Failed, errors.New("nothing was done: an engine that works would lose its place too"),
			"when it hangs: exchanged journal evict --accept-risk "+evictRisk+" --data "+string(at))
	}
	return evict(ctx, a, o, holder)
}

// sharedJournal says where the journal is, when it is one whose writer can be put out.
func (a *app) sharedJournal() (o journal.Options, at folder, err error) {
	c, at, err := a.load()
	if err != nil {
		return o, at, err
	}
	if c.Exchange == nil {
		return o, at, console.Fail(console.Usage, errors.New("the configuration has no section exchange"), "exchanged exchange init --data "+string(at))
	}
	if o, err = (&site{app: a, config: c, folder: at}).journalOptions(); err != nil {
		return o, at, err
	}
	if o.URL == "" {
		return o, at, console.Fail(console.Usage, errors.New("in SQLite the engine's place is a lock of its process, and ends with it"),
			"find it with: fuser "+at.path(exchangeDir, "engine", "journal", "lock")+", and end it: kill -9 PID")
	}
	return o, at, nil
}

// evict puts the holder out and says where the journal ends.
func evict(ctx context.Context, a *app, o journal.Options, holder *journal.Holder) error {
	if err := journal.Evict(ctx, o, holder); err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaOperation, map[string]any{"kind": "evict"})
	}
	a.Say("the engine was put out; whoever stands by goes on")
	return nil
}
