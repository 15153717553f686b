// Package main runs a real exchange (the supervisor with every segment as a process of its own) under a steady mixed load
// for as long as it is told, kills a segment now and then in the first half, and fails when anything grows that should
// not, or differs from anything else.
//
// Orders, cancels and replacements come over HTTP from customers who remember every acknowledged one, readers follow the
// public streams, and one customer asks for withdrawals and is paid on a
// node in regtest. Again and again, and at the end, the journal is replayed in this
// process: nothing that was acknowledged may be lost or twice, no balance may have come from nowhere, and state, hash and
// records must agree. The second half is left in peace, and measures memory, descriptors and goroutines of every process.
//
// What may never happen here: a process ended that was not started here, or a run called good without the proof.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/store/storetest"
	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

func main() {
	var o options
	flag.DurationVar(&o.length, "for", 3*time.Minute, "how long the load lasts")
	flag.StringVar(&o.store, "store", "sqlite", "sqlite, or postgres")
	flag.StringVar(&o.bin, "bin", "build/bin", "where exchanged is")
	flag.StringVar(&o.dir, "dir", "out/soak", "where the exchange lives; a disk, not memory")
	flag.IntVar(&o.customers, "customers", 8, "accounts that trade")
	flag.DurationVar(&o.pace, "pace", 60*time.Millisecond, "between two requests of a customer; 200 orders in 10 s are an account's limit")
	flag.BoolVar(&o.deposits, "deposits", true, "run a node on regtest and pay to a customer's deposit address")
	flag.IntVar(&o.readers, "readers", 4, "connections that follow the public streams")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the kills")
	flag.Parse()
	if err := soak(o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

type options struct {
	length             time.Duration
	store, bin, dir    string
	customers, readers int
	pace               time.Duration
	seed               uint64
	deposits           bool
}

// site is the exchange with everything that drives it.
type site struct {
	*drive.Whole
	load    *drive.Load
	payer   *payer
	pays    *depositor // nil: without a node
	streams *streams
	replica *drive.Replica
	began   time.Time
	disks   []string // folders of what is kept
	say     func(format string, args ...any)
}

func soak(o options) (err error) {
	if o.store != "sqlite" && o.store != "postgres" {
		return fmt.Errorf("-store is %q, not sqlite or postgres", o.store)
	}
	ctx := context.Background()
	bin, errBin := filepath.Abs(o.bin)
	dir, errDir := filepath.Abs(o.dir)
	if err := errors.Join(errBin, errDir, os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	var server *storetest.Server
	if o.store == "postgres" {
		if server, err = storetest.Start(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
	}
	s, err := start(ctx, o, bin, dir, server)
	if s != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	if err != nil {
		return err
	}
	s.say("seed %d; the exchange runs on %s; %d customers trade for %s", o.seed, o.store, o.customers, o.length)
	if err := s.disturb(ctx, o, rand.New(rand.NewPCG(o.seed, 1))); err != nil {
		return err
	}
	grown, err := s.measure(ctx, o.length/2)
	if err != nil {
		return err
	}
	s.say("the load ends; customers ask for what they do not know")
	if err := s.prove(ctx); err != nil {
		return err
	}
	return grown.report(os.Stdout)
}

// start founds the exchange and begins the load.
func start(ctx context.Context, o options, bin, dir string, server *storetest.Server) (*site, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	s := &site{began: began, say: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "[%7.1f s] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}}
	var err error
	chain := drive.Chain{}
	if o.deposits {
		if s.pays, err = startNode(limited, filepath.Join(dir, "node")); err != nil {
			return s, err
		}
		chain = drive.Chain{URL: s.pays.node.URL, Credentials: s.pays.node.CredentialsFile, Deposits: enginetest.Wallet()}
	}
	if s.Whole, err = drive.Start(limited, filepath.Join(bin, "exchanged"), dir, server, chain); err != nil {
		return s, err
	}
	keys, err := s.Operator.Customers(limited, o.customers)
	if err != nil {
		return s, err
	}
	if s.payer, err = newPayer(limited, s.Whole); err != nil {
		return s, err
	}
	if err := drive.Ready(limited, []string{s.Gateway}); err != nil {
		return s, err
	}
	if s.replica, err = drive.Open(ctx, s.Data, s.DSN); err != nil {
		return s, err
	}
	if err := s.replica.CatchUp(limited); err != nil {
		return s, err
	}
	s.disks = []string{filepath.Join(s.Data, "exchange")}
	if server != nil {
		s.disks = append(s.disks, server.Dir)
	}
	s.load = drive.Begin([]string{s.Gateway}, keys, o.pace, 15*time.Second)
	s.load.Replace.Store(true)
	if s.pays != nil {
		if err := s.pays.begin(limited, s.payer); err != nil {
			return s, err
		}
	}
	s.payer.begin()
	s.streams = follow(s.Gateway, o.readers)
	return s, nil
}

// disturb kills a segment now and then, for the first half, and checks after each.
func (s *site) disturb(ctx context.Context, o options, random *rand.Rand) error {
	until := s.began.Add(o.length / 2)
	segments := drive.Segments()
	random.Shuffle(len(segments), func(i, j int) { segments[i], segments[j] = segments[j], segments[i] })
	pause := min(max(o.length/12, 10*time.Second), 2*time.Minute)
	for turn := 0; time.Until(until) > pause; turn++ {
		time.Sleep(pause/2 + time.Duration(random.Int64N(int64(pause))))
		segment := segments[turn%len(segments)]
		limited, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := errors.Join(s.Kill(limited, segment), s.served(limited))
		cancel()
		if err != nil {
			return err
		}
		if err := s.check(ctx, "after a kill of "+segment); err != nil {
			return err
		}
	}
	return nil
}

// served waits until customers have orders acknowledged again.
func (s *site) served(ctx context.Context) error {
	since := time.Now()
	for {
		if _, count := s.load.Silence(0, since); count > 20 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no order was acknowledged for %s; customers heard: %s", time.Since(since).Round(time.Second), s.load.Heard())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// check holds what customers know now against the journal, while the load goes on.
func (s *site) check(ctx context.Context, when string) error {
	known := s.load.Known() // before the replay, which then knows at least as much
	for i := range known {
		known[i].Cancelled = false // a cancel may overtake the copy
	}
	if err := s.replica.CatchUp(ctx); err != nil {
		return err
	}
	found := s.replica.Judge(known)
	if err := errors.Join(found.Err(), s.replica.Balanced(), s.payer.judge(s.replica, false)); err != nil {
		return fmt.Errorf("%s: %w", when, err)
	}
	s.say("%s: command %d, %d acknowledged, %d fills, %d withdrawals, %d messages of streams; lost 0, twice 0, the ledger balances", when, s.replica.State.Seq(), found.Acked, s.replica.Trades,
		s.payer.count(), s.streams.count())
	return nil
}

// prove ends the load and the exchange and holds everything against everything.
func (s *site) prove(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	s.load.End()
	s.payer.end()
	if err := s.streams.end(); err != nil {
		return err
	}
	deposits := 0
	if s.pays != nil {
		if err := errors.Join(s.pays.end(), s.pays.judge(limited, s.Whole)); err != nil {
			return err
		}
		deposits = len(s.pays.paid)
	}
	now, err := s.Operator.Client.Engine(limited)
	if err != nil {
		return err
	}
	if n := s.Supervisor.Begun(); n != 1 {
		return fmt.Errorf("the whole exchange ended and was started %d times", n)
	}
	if err := errors.Join(s.Stop(limited), s.replica.CatchUp(limited)); err != nil {
		return err
	}
	by, again, cancels := s.load.Counts()
	if by[drive.Asking] > 0 {
		return fmt.Errorf("of %d orders it is still not known what became of them; customers heard: %s", by[drive.Asking], s.load.Heard())
	}
	state := s.replica.State
	if err := errors.Join(s.replica.Judge(s.load.Known()).Err(), s.replica.Balanced(), s.payer.judge(s.replica, true)); err != nil {
		return err
	}
	if hash := fmt.Sprintf("%x", state.Hash()); now.Seq != state.Seq() || now.Hash != hash {
		return fmt.Errorf("the engine was at command %d with hash %s, the replay is at %d with %s", now.Seq, now.Hash, state.Seq(), hash)
	}
	if err := s.replica.Records.Compare(limited, state); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	fmt.Printf("%d orders acknowledged (%d after their answer was lost), %d cancelled or replaced, %d refused, %d never taken, %d withdrawals held, %d deposits credited; lost 0, twice 0\n", by[drive.Acked], again-by[drive.Absent], cancels,
		by[drive.Refused], by[drive.Absent], s.payer.count(), deposits)
	fmt.Printf("%d commands, %d fills: engine, replay and records agree, hash %s\n", state.Seq(), s.replica.Trades, now.Hash)
	fmt.Printf("customers heard: %s\n", s.load.Heard())
	return nil
}

// close ends every process, whatever happened.
func (s *site) close() error {
	if s.load != nil {
		s.load.Abandon()
		s.payer.end()
		_ = s.streams.end() // what they heard counted when the load ended
	}
	if s.Whole != nil && s.Supervisor != nil {
		s.Supervisor.Close()
	}
	if s.pays != nil {
		_ = s.pays.end() // what failed was said when the load ended
		defer s.pays.node.Close()
	}
	if s.replica == nil {
		return nil
	}
	return s.replica.Close()
}
