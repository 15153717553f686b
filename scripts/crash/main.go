// Crash kills a running engine again and again, and proves that nothing was lost.
//
// A child process runs the product's runner, journal, follower and snapshots under load from this one, over a pipe. It is
// killed at every boundary of a durable write, of the journal's files, in the middle of a write, of a snapshot, of
// pruning, and by SIGKILL at any moment. After each death this process replays the journal from its first frame, without
// snapshots, and checks that every acknowledged command took effect exactly once where its answer said, that the next
// child recovers the same state, and that commands sent again are answered again and not applied twice. Then come disks
// that are full or fail to flush, and journals that are torn or corrupted.
//
// What may never happen here: a death of any process but a child, or a check that passes because nothing happened.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

const customers = 12

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == "child" {
		if err := child(ctx, os.Args[2]); err != nil {
			os.Exit(1)
		}
		return
	}
	deaths := flag.Int("n", 500, "deaths at least")
	postgres := flag.Bool("postgres", true, "a tenth of them on PostgreSQL")
	flag.Parse()
	if err := run(ctx, *deaths, *postgres); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, deaths int, postgres bool) (err error) {
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	fmt.Println("acknowledged: distinct commands; kept: those that took effect exactly once, where their answer said; the state is that of the independent replay,")
	fmt.Println("which every next life recovered as well. The first promise that is not kept ends the run.")
	fmt.Printf("%-30s %7s %13s %9s %11s   %s\n", "killed at", "deaths", "acknowledged", "kept", "sent again", "state")
	onPostgres := 0
	if postgres {
		onPostgres = max(deaths/10, 10)
	}
	total, err := sqliteTrial(ctx, filepath.Join(dir, "sqlite"), deaths-onPostgres)
	if err != nil {
		return err
	}
	if postgres {
		n, err := postgresTrial(ctx, filepath.Join(dir, "postgres"), onPostgres)
		if err != nil {
			return err
		}
		total += n
	}
	fmt.Printf("%d deaths in %.0f s\n\n", total, time.Since(began).Seconds())
	for _, d := range disasters() {
		if err := d.play(ctx, filepath.Join(dir, d.name)); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	if total < deaths {
		return fmt.Errorf("%d deaths, %d were asked for", total, deaths)
	}
	return nil
}

// sites are the boundaries, and in how many passages of one the death may come.
func sites() []site {
	return []site{
		{"append-before", 60}, {"apply-before", 60}, {"apply-after", 60}, {"journal-bind", 60}, {"journal-commit", 60}, {"journal-committed", 60}, {"append-after", 60}, {"reply-before", 60}, {"reply-after", 60},
		{"log-write", 150}, {"log-write-torn", 150}, {"log-written", 150}, {"log-flush", 60}, {"log-flushed", 60},
		{"database-write", 60}, {"database-write-torn", 60}, {"database-written", 60}, {"database-flush", 2}, {"database-flushed", 2},
		{"snapshot-create", 1}, {"snapshot-write", 1}, {"snapshot-sync", 1}, {"snapshot-rename", 1}, {"snapshot-sync-directory", 1}, {"snapshot-remove", 1},
		{"prune", 1}, {"journal-prune", 1}, {"journal-prune-mark", 1},
	}
}

type site struct {
	point string
	times int64
}

// genesis begins an exchange in the journal of a trial.
func genesis(ctx context.Context, base life) error {
	if err := os.MkdirAll(base.Dir, 0o700); err != nil {
		return err
	}
	o := options(base)
	o.FileSystem = ""
	j, err := journal.Open(ctx, o)
	if err != nil {
		return err
	}
	storetest.Genesis(customers, func(f engine.Frame) { err = errors.Join(err, j.Append(ctx, f, nil)) })
	return errors.Join(err, j.Close())
}

// sqliteTrial spends half of the deaths on the boundaries and the rest on any moment.
func sqliteTrial(ctx context.Context, dir string, deaths int) (int, error) {
	t := newTrial(life{Dir: dir, Snapshots: 1500})
	if err := genesis(ctx, t.base); err != nil {
		return 0, err
	}
	all := sites()
	each := max(deaths/2/len(all), 1)
	for _, s := range all {
		if err := t.row(ctx, s.point, each, func() life {
			l := t.base
			l.Point, l.Times = s.point, 1+rand.Int64N(s.times)
			return l
		}); err != nil {
			return t.kills, err
		}
	}
	err := t.row(ctx, "any moment (SIGKILL)", max(deaths-t.kills, 1), func() life { return t.base })
	return t.kills, err
}

func postgresTrial(ctx context.Context, dir string, deaths int) (n int, err error) {
	server, err := storetest.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	database, err := server.NewDatabase(ctx)
	if err != nil {
		return 0, err
	}
	t := newTrial(life{Dir: dir, URL: server.URL(database), Snapshots: 1500})
	if err := genesis(ctx, t.base); err != nil {
		return 0, err
	}
	for _, s := range []site{{"journal-commit", 60}, {"journal-committed", 60}, {"journal-prune-mark", 1}} {
		if err := t.row(ctx, "PostgreSQL, "+s.point, max(deaths/6, 1), func() life {
			l := t.base
			l.Point, l.Times = s.point, 1+rand.Int64N(s.times)
			return l
		}); err != nil {
			return t.kills, err
		}
	}
	err = t.row(ctx, "PostgreSQL, any moment", max(deaths-t.kills, 1), func() life { return t.base })
	return t.kills, err
}

// row kills children one way until there are so many deaths, and prints what became of it. The check of the last death
// is the beginning of the next life; a life without death ends each row.
func (t *trial) row(ctx context.Context, name string, deaths int, next func() life) error {
	count, acks, kept, again := 0, len(t.shadow.promised), t.shadow.kept, t.again
	for tries := 0; count < deaths; tries++ {
		if tries > 4*deaths+20 {
			return fmt.Errorf("%s: only %d deaths in %d lives", name, count, tries)
		}
		l := next()
		l.PruneTo = t.shadow.state.Seq()
		answers := 50 + rand.IntN(400)
		if l.Point != "" {
			answers = 3000 // it is meant to die by itself before that
		}
		e, err := t.live(ctx, l, answers)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !e.killed {
			return fmt.Errorf("%s: the child ended with %q (%v) where it was to be killed", name, e.failure, e.status)
		}
		if l.Point == "" || !e.planned {
			count++
		}
	}
	if err := t.check(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("%-30s %7d %13d %9d %11d   %x at command %d\n", name, count, len(t.shadow.promised)-acks, t.shadow.kept-kept, t.again-again, head(t.shadow.state.Hash()), t.shadow.state.Seq())
	return nil
}

// check holds what the last life left against every promise.
func (t *trial) check(ctx context.Context) error { return t.shadow.look(ctx, options(t.base)) }
