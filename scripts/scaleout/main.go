// Package main runs a whole exchange on one machine's loopback as separate processes (three NATS servers in a cluster,
// PostgreSQL, two gateways, two engines of which one stands by, limits, wallet and admin), drives it with orders over
// HTTP, breaks one part after the other, and holds what customers were told against the journal.
//
// Customers remember every acknowledged order. When no answer comes they send the same signed request through the other
// gateway, or ask for the order by its name. At the end the journal is replayed in this process, and every acknowledged
// order must be there once, under the number that its customer was told; state, records and `exchanged journal replay`
// must agree. What may never happen here: a process ended that was not started here, or a figure without the proof
// beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

func main() {
	bin := flag.String("bin", "build/bin", "where exchanged and nats-server are")
	dir := flag.String("dir", "out/scale-out", "where the exchange lives; a disk, not memory")
	long := flag.Bool("long", false, "the gateway is away for 60 s instead of 10")
	customers := flag.Int("customers", 12, "accounts that trade")
	pace := flag.Duration("pace", 60*time.Millisecond, "between two requests of a customer; 200 orders in 10 s are an account's limit")
	flag.Parse()
	away := 10 * time.Second
	if *long {
		away = time.Minute
	}
	if err := play(*bin, *dir, *customers, *pace, away); err != nil {
		fmt.Fprintln(os.Stderr, "scale-out:", err)
		os.Exit(1)
	}
}

func play(bin, dir string, customers int, pace, away time.Duration) (err error) {
	ctx := context.Background()
	bin, errBin := filepath.Abs(bin)
	dir, errDir := filepath.Abs(dir)
	if err := errors.Join(errBin, errDir, os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	began := time.Now()
	s := &stage{dir: dir, bin: bin, say: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "[%6.1f s] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.build(ctx, customers); err != nil {
		return err
	}
	s.say("the exchange runs; %d customers begin", customers)
	s.load = drive.Begin(s.gateways, s.keys, pace, 25*time.Second)
	defer s.load.Abandon()
	var rows []row
	time.Sleep(2 * time.Second) // connections are made
	for _, f := range s.faults() {
		r, err := s.watch(ctx, f, 5*time.Second)
		if err != nil {
			return err
		}
		s.say("%s: longest silence %v; acknowledged %d, lost %d, twice %d", r.name, r.silence, r.found.Acked, r.found.Lost, r.found.Twice)
		rows = append(rows, r)
	}
	sentence, err := s.secondEngine()
	if err != nil {
		return err
	}
	s.say("a second engine: %s", sentence)
	told, err := s.gatewayAway(ctx, away)
	if err != nil {
		return err
	}
	s.say("the load ends; customers ask for what they do not know")
	s.load.End()
	end, err := s.prove(ctx)
	if err != nil {
		return err
	}
	return report(os.Stdout, rows, append([]string{"a second engine: " + sentence}, append(told, end...)...))
}

// report prints the table, and fails where a goal was missed.
func report(out io.Writer, rows []row, more []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tseconds until service, by gateway\tacknowledged so far\tlost\ttwice\trepeated and answered as before")
	var err error
	for _, r := range rows {
		var each []string
		for _, silence := range r.silence {
			each = append(each, fmt.Sprintf("%.2f", silence.Seconds()))
			if silence > goal {
				err = errors.Join(err, fmt.Errorf("%s: %.1f s without an acknowledgement, at most %s are wanted", r.name, silence.Seconds(), goal))
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\n", r.name, strings.Join(each, " "), r.found.Acked, r.found.Lost, r.found.Twice, r.again)
		err = errors.Join(err, r.found.Err())
	}
	err = errors.Join(err, table.Flush())
	for _, line := range more {
		fmt.Fprintln(out, line)
	}
	return err
}

// gatewayAway kills the only gateway that customers use and keeps it away. Nobody sends anything in the first half, and
// the engine's state must not change; in the second half the other gateway is used, and matching must go on.
func (s *stage) gatewayAway(ctx context.Context, away time.Duration) (told []string, err error) {
	s.load.Only.Store(0)
	time.Sleep(time.Second) // under load through the one gateway
	s.gates[0].Hold(true)
	if err := s.gates[0].Kill(); err != nil {
		return nil, err
	}
	killed := time.Now()
	s.say("the only gateway is killed, for %s", away)
	time.Sleep(away / 4) // what was under way arrives
	first, err := s.operator.Client.Engine(ctx)
	if err != nil {
		return nil, err
	}
	time.Sleep(away / 4)
	second, err := s.operator.Client.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if first.Seq != second.Seq || first.Hash != second.Hash || first.Open != second.Open {
		return nil, fmt.Errorf("without a gateway the state went from command %d, hash %.16s, %d open orders to %d, %.16s, %d", first.Seq, first.Hash, first.Open, second.Seq, second.Hash, second.Open)
	}
	trades := s.replica.Trades
	s.load.Only.Store(1)
	time.Sleep(away/2 - time.Second/2)
	_, byOther := s.load.Silence(1, killed)
	if err := s.replica.CatchUp(ctx); err != nil {
		return nil, err
	}
	if byOther == 0 || s.replica.Trades == trades {
		return nil, fmt.Errorf("through the other gateway %d orders were acknowledged and %d traded: matching stands still", byOther, s.replica.Trades-trades)
	}
	s.load.Only.Store(-1)
	back := time.Now()
	s.gates[0].Hold(false)
	for {
		if _, count := s.load.Silence(0, back); count > 0 {
			break
		}
		if time.Since(back) > goal {
			return nil, fmt.Errorf("customers do not come back to the gateway; they heard: %s", s.load.Heard())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return []string{fmt.Sprintf("the only gateway killed for %s: state at command %d unchanged (hash %.16s, %d open orders) until another gateway was used; then %d acknowledged through that one, %d fills; customers were back on the first %.1f s after its start",
		time.Since(killed).Round(time.Second), first.Seq, first.Hash, first.Open, byOther, s.replica.Trades-trades, time.Since(back).Seconds())}, nil
}

// prove holds everything against everything: customers, journal, engine, records, and the product's own commands.
func (s *stage) prove(ctx context.Context) (told []string, err error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now, err := s.operator.Client.Engine(limited)
	if err != nil {
		return nil, err
	}
	if err := s.replica.CatchUp(limited); err != nil {
		return nil, err
	}
	by, again, cancels := s.load.Counts()
	found := s.replica.Judge(s.load.Known())
	if err := found.Err(); err != nil {
		return nil, err
	}
	if by[drive.Asking] > 0 {
		return nil, fmt.Errorf("of %d orders it is still not known what became of them; customers heard: %s", by[drive.Asking], s.load.Heard())
	}
	hash := fmt.Sprintf("%x", s.replica.State.Hash())
	if now.Seq != s.replica.State.Seq() || now.Hash != hash {
		return nil, fmt.Errorf("the engine is at command %d with hash %s, the replay at %d with %s", now.Seq, now.Hash, s.replica.State.Seq(), hash)
	}
	for {
		if last, err := s.replica.Records.Last(limited); err != nil || last >= now.Seq {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := s.replica.Records.Compare(limited, s.replica.State); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	if err := errors.Join(s.commands(hash), s.restored(limited, hash)); err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%d orders acknowledged (%d of them after the answer was lost), %d cancels acknowledged, %d refused, %d never taken; lost 0, twice 0", by[drive.Acked], again-by[drive.Absent], cancels, by[drive.Refused], by[drive.Absent]),
		fmt.Sprintf("%d commands: engine, replay of the journal here, exchanged journal replay and records agree, and so does a backup restored to another database; hash %s", now.Seq, hash),
		"customers heard: " + s.load.Heard()}, nil
}

// commands asks the product's own commands.
func (s *stage) commands(hash string) error {
	if _, err := s.keyholder().Must("journal", "verify"); err != nil {
		return err
	}
	return s.keyholder().Replays(hash)
}

// keyholder is whoever operates a machine with the engine's keys on which no engine runs.
func (s *stage) keyholder() *drive.Operator {
	return &drive.Operator{Program: s.exchanged(), Data: s.path("engine3")}
}

// restored makes a backup beside the running exchange, and brings it back on a machine that holds the engine's keys and an
// empty database.
func (s *stage) restored(ctx context.Context, hash string) error {
	if _, err := s.keyholder().Must("backup", s.path("backup")); err != nil {
		return err
	}
	database, err := s.postgres.NewDatabase(ctx)
	if err != nil {
		return err
	}
	empty := &drive.Operator{Program: s.exchanged(), Data: s.path("restored")}
	if err := errors.Join(drive.CopyTo(s.path("engine3"), empty.Data, engineFiles()...), os.WriteFile(s.path("restored", "postgres.dsn"), []byte(s.postgres.Loopback(database)+"\n"), 0o600)); err != nil {
		return err
	}
	if _, err := empty.Must("restore", s.path("backup")); err != nil {
		return err
	}
	return empty.Replays(hash)
}
