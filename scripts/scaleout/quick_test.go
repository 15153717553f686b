package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/store/storetest"
	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// small is an exchange as `exchanged run` starts it: SQLite, a bus of the supervisor's own, each segment a process.
type small struct {
	*testing.T
	*drive.Whole
	load    *drive.Load
	replica *drive.Replica
}

// program is the real exchanged, built once for all tests of this package as `make build` does.
var program string

func TestMain(m *testing.M) { os.Exit(withProgram(m)) }

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "coldsign-programs-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "exchanged")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/exchanged")
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building exchanged: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

func startSmall(ctx context.Context, t *testing.T, server *storetest.Server) *small {
	t.Helper()
	whole, err := drive.Start(ctx, program, t.TempDir(), server, drive.Chain{})
	s := &small{T: t, Whole: whole}
	if whole.Supervisor != nil {
		t.Cleanup(whole.Supervisor.Close)
	}
	s.check(err)
	return s
}

// check fails the test with what the exchange logged.
func (s *small) check(errs ...error) {
	s.Helper()
	if err := errors.Join(errs...); err != nil {
		log, _ := os.ReadFile(s.Log())
		s.Fatalf("%v\n%s", err, log[max(0, len(log)-4000):])
	}
}

// acknowledged waits until customers have so many more orders acknowledged than before.
func (s *small) acknowledged(ctx context.Context, more int) {
	s.Helper()
	by, _, _ := s.load.Counts()
	for want := by[drive.Acked] + more; by[drive.Acked] < want; by, _, _ = s.load.Counts() {
		select {
		case <-ctx.Done():
			s.check(fmt.Errorf("%d orders acknowledged, expected %d; customers heard: %s", by[drive.Acked], want, s.load.Heard()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// trade begins the load, and waits until it is under way.
func (s *small) trade(ctx context.Context) {
	s.Helper()
	keys, err := s.Operator.Customers(ctx, 4)
	s.check(err, drive.Ready(ctx, []string{s.Gateway}))
	s.load = drive.Begin([]string{s.Gateway}, keys, 60*time.Millisecond, 4*time.Second)
	s.Cleanup(s.load.Abandon)
	s.acknowledged(ctx, 50)
}

// proven ends load and exchange, and holds what customers know against journal and records.
func (s *small) proven(ctx context.Context) {
	s.Helper()
	if n := s.Supervisor.Begun(); n != 1 {
		s.check(fmt.Errorf("the whole exchange ended and was started %d times", n))
	}
	s.load.End()
	now, err := s.Operator.Client.Engine(ctx)
	s.check(err)
	s.check(s.Stop(ctx))
	s.replica, err = drive.Open(ctx, s.Data, s.DSN)
	s.check(err)
	defer s.replica.Close()
	s.check(s.replica.CatchUp(ctx))
	by, again, cancels := s.load.Counts()
	s.check(s.replica.Judge(s.load.Known()).Err(), s.replica.Records.Compare(ctx, s.replica.State))
	if by[drive.Asking] > 0 {
		s.Fatalf("of %d orders it is still not known what became of them; customers heard: %s", by[drive.Asking], s.load.Heard())
	}
	if hash := fmt.Sprintf("%x", s.replica.State.Hash()); now.Hash != hash || now.Seq != s.replica.State.Seq() {
		s.Fatalf("the engine was at command %d with hash %s, the replay is at %d with %s", now.Seq, now.Hash, s.replica.State.Seq(), hash)
	}
	s.Logf("%d acknowledged, %d asked for again, %d cancels, %d refused, %d never taken, %d commands, %d fills", by[drive.Acked], again, cancels, by[drive.Refused], by[drive.Absent], now.Seq, s.replica.Trades)
}

// Whatever segment dies under load, nothing that a customer was told of is lost, nothing is done twice, and the
// supervisor brings the segment back. A second engine is refused with one sentence, and disturbs nobody.
func TestKilledSegmentsLoseNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := startSmall(ctx, t, nil)
	s.trade(ctx)
	for _, segment := range []string{"gateway", "engine", "wallet", "engine"} {
		s.check(s.Kill(ctx, segment))
		s.acknowledged(ctx, 50)
	}
	_, errs, code := drive.Run(s.Program, "run", "--data", s.Data, "--segment", "engine")
	sentence, err := refusal(errs, code, 0)
	s.check(err)
	t.Log(sentence)
	s.acknowledged(ctx, 10)
	s.proven(ctx)
}

// A database server that was restarted is no reason for the exchange to end: the engine is started again, and learns from
// the journal what is durable.
func TestARestartedDatabaseServerLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := storetest.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	s := startSmall(ctx, t, server)
	s.trade(ctx)
	for _, end := range []func() error{server.Stop, server.Kill} {
		s.check(end(), server.Run(ctx))
		s.acknowledged(ctx, 50)
	}
	_, errs, code := drive.Run(s.Program, "run", "--data", s.Data, "--segment", "engine")
	sentence, err := refusal(errs, code, 0)
	s.check(err)
	t.Log(sentence)
	s.proven(ctx)
}
