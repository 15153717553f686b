package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// traded writes an exchange of customers who trade, and returns the state after it.
func (b *bench) traded(j *Journal, frames int) *engine.State {
	b.t.Helper()
	state := engine.NewState(engine.StateOptions{NoEvents: true})
	var results engine.Results
	put := func(f engine.Frame) {
		if err := errors.Join(j.Append(b.ctx, f, nil), state.Apply(f, &results)); err != nil {
			b.t.Fatal(err)
		}
	}
	at := storetest.Genesis(2, put)
	trader := storetest.NewTrader(1, 5)
	for range frames {
		f := engine.Frame{First: state.Seq() + 1, At: at, Count: 20}
		for range f.Count {
			c := trader.Next()
			f.Commands = c.Append(f.Commands)
		}
		put(f)
		for i := range results.Outcomes {
			trader.Saw(&results.Outcomes[i])
		}
	}
	return state
}

func (b *bench) snapshots(dir string) *engine.Snapshots {
	b.t.Helper()
	s, err := engine.OpenSnapshots(dir, b.options.Key, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// empty is a place of the same kind that holds nothing.
func (b *bench) empty(name string) Options {
	o := b.options
	if o.Dir != "" {
		o.Dir = b.t.TempDir()
	} else {
		o.Group = name
	}
	return o
}

func claimArchive(b *bench) {
	j := b.open()
	want := b.traded(j, 40)
	from := b.snapshots(b.t.TempDir())
	follower, err := engine.NewFollower(b.ctx, engine.FollowerOptions{Journal: j, State: engine.NewState(engine.StateOptions{}), Snapshots: from, SnapshotEvery: 300, Prune: j.Prune})
	if err == nil {
		err = follower.CatchUp(b.ctx)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if report, err := j.Verify(b.ctx); err != nil || report.Pruned == 0 {
		b.t.Fatalf("%+v, %v: nothing was pruned", report, err)
	}
	dir := filepath.Join(b.t.TempDir(), "backup")
	made, err := Backup(b.ctx, j, from, engine.StateOptions{}, dir)
	if err != nil || len(made.Snapshots) != 2 || made.Pruned == 0 {
		b.t.Fatalf("%+v, %v", made, err)
	}
	to, place := b.t.TempDir(), b.empty("archive")
	restored, err := Restore(b.ctx, place, to, engine.StateOptions{}, dir)
	if err != nil || restored.State != made.State {
		b.t.Fatalf("%+v, %v", restored, err)
	}
	again, err := Open(b.ctx, place)
	if err != nil {
		b.t.Fatal(err)
	}
	defer again.Close()
	state, done, err := engine.Recover(b.ctx, again, engine.RecoverOptions{Snapshots: b.snapshots(to)})
	if err != nil || state.Hash() != want.Hash() || done.Snapshot == 0 {
		b.t.Fatalf("%+v, %v", done, err)
	}
	_, err = Restore(b.ctx, b.empty("second"), to, engine.StateOptions{}, dir)
	b.refused(err, "restore-not-empty", "")
	manifest := filepath.Join(dir, archiveManifest)
	raw, err := os.ReadFile(manifest)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(manifest, bytes.Replace(raw, []byte(made.State), bytes.Repeat([]byte("0"), 64), 1), 0o600); err != nil {
		b.t.Fatal(err)
	}
	_, err = Restore(b.ctx, b.empty("third"), b.t.TempDir(), engine.StateOptions{}, dir)
	b.refused(err, "restore-differs", "")
}

// A standby follows, does not get in while the engine lives, and takes over what is there when it is gone.
func claimStandby(b *bench) {
	j := b.open()
	state := b.traded(j, 5)
	o := b.options
	o.Follow = true
	reader, err := Open(b.ctx, o)
	if err != nil {
		b.t.Fatal(err)
	}
	defer reader.Close()
	tried := make(chan error, 100)
	standby := engine.NewStandby(engine.StandbyOptions{Journal: reader, State: engine.NewState(engine.StateOptions{}), Claim: func(ctx context.Context) (engine.Journal, error) {
		own, err := Open(ctx, b.options)
		select {
		case tried <- err:
		default:
		}
		if err != nil {
			return nil, err // not a nil *Journal in an interface
		}
		return own, nil
	}})
	type taken struct {
		state   *engine.State
		journal engine.Journal
		err     error
	}
	over := make(chan taken, 1)
	go func() {
		s, own, err := standby.TakeOver(b.ctx)
		over <- taken{s, own, err}
	}()
	b.refused(<-tried, "journal-in-use", "")
	f := engine.Frame{First: state.Seq() + 1, At: state.Now(), Count: 1}
	tick := exchange.Command{Kind: exchange.Tick}
	f.Commands = tick.Append(nil)
	b.write(j, f)
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	got := <-over
	if got.err != nil {
		b.t.Fatal(got.err)
	}
	defer got.journal.(*Journal).Close()
	if got.state.Seq() != f.First {
		b.t.Fatalf("the standby took over at command %d of %d", got.state.Seq(), f.First)
	}
	f.First++
	if err := got.journal.Append(b.ctx, f, nil); err != nil {
		b.t.Fatal(err)
	}
}

func TestAServerThatDoesNotFlushIsRefused(t *testing.T) {
	server, err := storetest.Start(t.Context(), "-c", "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	b := &bench{t: t, ctx: t.Context()}
	_, err = Open(t.Context(), Options{URL: server.URL("postgres"), Key: key("store")})
	b.refused(err, "journal-not-durable", "")
}
