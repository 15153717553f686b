// Journalbench measures what durability costs: commands a second, each answered only when it is durable and applied,
// with 1 to 256 callers in flight, on SQLite and on PostgreSQL, beside the bare cost of flushing the same bytes to the
// same disk; and how long it takes to recover.
//
// It uses the product's runner, journal, state and follower as they are, with a real market in which orders trade. What
// may never happen here: a figure of a part that the product does not use, or of a disk that does not flush.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/storetest"
	"golang.org/x/sys/unix"
)

type settings struct {
	dir      string
	stores   string
	inflight string
	seconds  float64
	passes   int
	follow   bool
	replay   int
	orders   int
	profile  string
	accounts int
}

func main() {
	s := settings{accounts: accounts}
	flag.StringVar(&s.dir, "dir", "", "directory on the disk to measure (default: a new one in the system's temporary directory)")
	flag.StringVar(&s.stores, "stores", "sqlite,postgres", "which journals")
	flag.StringVar(&s.inflight, "inflight", "1,16,64,256", "how many callers wait at once")
	flag.Float64Var(&s.seconds, "seconds", 4, "of each measurement, after a quarter of that to warm up")
	flag.IntVar(&s.passes, "passes", 3, "measurements of each, of which the best and the median are printed: other work on the machine only ever makes them worse")
	flag.BoolVar(&s.follow, "follow", true, "with the follower that a real engine has")
	flag.IntVar(&s.replay, "replay", 0, "also: commands to write and then replay, e.g. 10000000")
	flag.IntVar(&s.orders, "orders", 0, "also: orders of a snapshot to write and load, e.g. 1000000")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the first measurement to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "journalbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "journalbench"); err != nil {
			return err
		}
		defer os.RemoveAll(s.dir)
	}
	fmt.Println("commands/s, durable and applied before each answer; beside it the median time of one bare flush (fdatasync) of a frame's bytes, and what that alone would carry")
	fmt.Printf("%-9s %9s %10s %10s %8s %8s %15s %9s %12s\n", "journal", "in flight", "best", "median", "p50 us", "p99 us", "frame", "flush us", "flushes only")
	for name := range strings.SplitSeq(s.stores, ",") {
		if err := measureStore(ctx, s, name); err != nil {
			return err
		}
	}
	if s.replay > 0 {
		if err := measureReplay(ctx, s); err != nil {
			return err
		}
	}
	if s.orders > 0 {
		return measureSnapshot(ctx, s)
	}
	return nil
}

func measureStore(ctx context.Context, s settings, name string) (err error) {
	place := func(run string) (journal.Options, error) {
		dir := filepath.Join(s.dir, name+run)
		return journal.Options{Dir: dir, Key: make([]byte, 32)}, os.MkdirAll(dir, 0o700)
	}
	if name == "postgres" {
		server, err := storetest.Start(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		place = func(string) (journal.Options, error) {
			database, err := server.NewDatabase(ctx)
			return journal.Options{URL: server.URL(database), Key: make([]byte, 32)}, err
		}
	}
	for text := range strings.SplitSeq(s.inflight, ",") {
		callers, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		err = measureBest(s, name, callers, func(pass int) (figures, error) {
			o, err := place(fmt.Sprintf("-%d-%d", callers, pass))
			if err != nil {
				return figures{}, err
			}
			f, err := measure(ctx, s, callers, o)
			if o.Dir != "" {
				err = errors.Join(err, os.RemoveAll(o.Dir))
			}
			return f, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// figures are of one pass.
type figures struct {
	rate, p50, p99, perFrame, frameSize float64
	flush                               time.Duration
}

func measureBest(s settings, name string, callers int, measure func(pass int) (figures, error)) error {
	var all []figures
	for pass := range s.passes {
		f, err := measure(pass)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b figures) int { return cmp.Compare(b.rate, a.rate) })
	best := all[0]
	fmt.Printf("%-9s %9d %10.0f %10.0f %8.0f %8.0f %15s %9.0f %12.0f\n", name, callers, best.rate, all[len(all)/2].rate, best.p50, best.p99,
		fmt.Sprintf("%.0f, %.0f B", best.perFrame, best.frameSize), float64(best.flush.Nanoseconds())/1e3, best.perFrame/best.flush.Seconds())
	return nil
}

func measure(ctx context.Context, s settings, callers int, o journal.Options) (f figures, err error) {
	e, err := start(ctx, o, s)
	if err != nil {
		return f, err
	}
	load := e.load(ctx, callers, time.Duration(s.seconds*float64(time.Second)), s.profile)
	if err := errors.Join(load.err, e.close()); err != nil {
		return f, err
	}
	slices.Sort(load.latencies)
	at := func(p float64) float64 {
		return float64(load.latencies[int(float64(len(load.latencies)-1)*p)]) / 1e3
	}
	f = figures{rate: float64(load.commands) / load.took.Seconds(), p50: at(0.5), p99: at(0.99),
		perFrame: float64(load.commands) / float64(load.frames), frameSize: float64(load.bytes) / float64(load.frames)}
	f.flush, err = bareFlush(s.dir, int(f.frameSize))
	return f, err
}

// bareFlush is the median time of writing size bytes into a file that is long enough, and flushing them.
func bareFlush(dir string, size int) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const length = 32 << 20
	if _, err := f.Write(make([]byte, length)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	raw := make([]byte, max(size, 1))
	var took []time.Duration
	for i := range 2000 {
		start := time.Now()
		if _, err := f.WriteAt(raw, int64(i*len(raw)%(length-len(raw)))); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
