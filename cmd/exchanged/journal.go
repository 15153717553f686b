package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/wallet"
)

func newJournalCmd(a *app) *cobra.Command {
	verify := &cobra.Command{
		Use:     "verify",
		Short:   "Prove every frame of the journal: its seal, its place in the chain, that none is missing",
		Long:    "Reads the journal beside a running engine, or without one. Exit 5 when anything in it is not what was written.",
		Example: "  exchanged journal verify --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runJournalVerify(a) },
	}
	var to uint64
	replay := &cobra.Command{
		Use:   "replay",
		Short: "Make the state anew from the journal alone, and print its hash",
		Long: "Applies every command of the journal to an empty state, snapshots aside. Whoever does this on another machine must get the\n" +
			"same hash.",
		Example: "  exchanged journal replay --data /srv/coldsign\n  exchanged journal replay --to 1000000 --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runJournalReplay(a, to) },
	}
	replay.Flags().Uint64Var(&to, "to", 0, "stop after this command; 0: at the end")
	return command.Group("journal", "The durable order of all commands", verify, replay, newJournalEvictCmd(a))
}

func newSnapshotCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "snapshot",
		Short:   "Have the running engine's follower write a snapshot now",
		Long:    "A snapshot only saves time at the next start; the journal alone is the truth. One is written by itself every million commands.",
		Example: "  exchanged snapshot --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			client, _, err := a.engineNow()
			if err != nil {
				return err
			}
			done, err := client.Operate(context.Background(), "snapshot")
			if err != nil {
				return explained(err)
			}
			if a.json {
				return a.JSON(admin.SchemaOperation, withoutSchema(done))
			}
			a.Say("snapshot written: it knows command %d", done.Last)
			return nil
		},
	}
}

// followJournal opens the journal of this folder for reading.
func (a *app) followJournal(ctx context.Context) (*journal.Journal, *site, error) {
	c, at, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	if c.Exchange == nil {
		return nil, nil, console.Fail(console.Usage, errors.New("the configuration has no section exchange"), "exchanged exchange init --data "+string(at))
	}
	s := &site{app: a, config: c, folder: at}
	o, err := s.journalOptions()
	if err != nil {
		return nil, nil, err
	}
	o.Follow = true
	j, err := journal.Open(ctx, o)
	return j, s, err
}

func runJournalVerify(a *app) error {
	ctx := context.Background()
	j, _, err := a.followJournal(ctx)
	if err != nil {
		return err
	}
	r, err := j.Verify(ctx)
	if err := errors.Join(err, j.Close()); err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaOperation, map[string]any{"kind": "verify", "frames": r.Frames, "first": r.First, "last": r.Last, "pruned": r.Pruned, "head": fmt.Sprintf("%x", r.Head)})
	}
	a.Say("%d frames with commands %d to %d are whole and genuine; chain ends with %x", r.Frames, r.First, r.Last, r.Head[:8])
	return nil
}

func runJournalReplay(a *app, to uint64) error {
	ctx := context.Background()
	j, s, err := a.followJournal(ctx)
	if err != nil {
		return err
	}
	defer j.Close()
	options, _, err := s.folder.stateOptions()
	if err != nil {
		return err
	}
	options.NoEvents = true
	state, done, err := engine.Recover(ctx, j, engine.RecoverOptions{State: options, To: to})
	if err != nil {
		return err
	}
	hash := state.Hash()
	if a.json {
		return a.JSON("coldsign.replay/v1", map[string]any{"seq": state.Seq(), "frames": done.Frames, "commands": done.Commands, "state_hash": fmt.Sprintf("%x", hash)})
	}
	a.Say("%d commands in %d frames replayed, up to command %d", done.Commands, done.Frames, state.Seq())
	_, err = fmt.Fprintf(a.Out, "%x\n", hash)
	return err
}

// runExchangeRoster proposes the roster that an exchange begins with: it is applied at once, because nobody could approve it.
func runExchangeRoster(a *app) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	raw, err := console.ReadFile(at.path("roster"), rosterMax)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s has no roster yet", at)
	}
	if err != nil {
		return console.Fail(console.Failed, err, "exchanged roster set FILE --data "+string(at))
	}
	return a.proposeNow(exchange.ChangeIntent{Note: "roster of this folder", Roster: raw})
}

// runDepositWallet proposes the wallet whose receive addresses customers pay to.
func runDepositWallet(a *app, name string) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	list, err := at.wallets()
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.Name() == name {
			return a.proposeDeposits(w)
		}
	}
	return console.Fail(console.Usage, fmt.Errorf("no wallet is named %q", console.Printable(name)), "exchanged wallet list --data "+string(at))
}

// proposeDeposits proposes a deposit wallet once there is an asset that can be paid to it.
func (a *app) proposeDeposits(w wallet.Wallet) error {
	client, now, err := a.engineNow()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(now.Assets, func(one admin.Asset) bool { return one.Network == string(w.Network()) }) {
		return console.Fail(console.Usage, fmt.Errorf("no asset is native to %s, so nothing can be paid to %s", w.Network(), w.Name()),
			"exchanged asset add BTC --network "+w.Network().Name())
	}
	return a.propose(client, exchange.ChangeIntent{Note: "deposits to " + w.Name(), Wallet: w.Marshal()})
}
