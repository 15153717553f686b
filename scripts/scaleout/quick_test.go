package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// small is an exchange as `exchanged run` starts it: SQLite, a bus of the supervisor's own, each segment a process.
type small struct {
	*testing.T
	dir, data, program string
	gateway            string
	postgres           *storetest.Server // nil: SQLite
	dsn                string
	supervisor         *keeper
	operator           *operator
	load               *load
	replica            *replica
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
	s := &small{T: t, dir: t.TempDir(), program: program, postgres: server}
	s.data = filepath.Join(s.dir, "main")
	free, err := ports(3)
	if err != nil {
		t.Fatal(err)
	}
	s.gateway = "127.0.0.1:" + strconv.Itoa(free[0])
	if _, errs, code := run(s.program, "init", "--data", s.data, "--network", "regtest", "--exchange", "--second-factor", "either", "--cool-down", "0s", "--listen", "127.0.0.1:"+strconv.Itoa(free[1]),
		"--node-url", "http://127.0.0.1:1"); code != 0 {
		t.Fatalf("init: exit code %d: %s", code, errs)
	}
	config := filepath.Join(s.data, "exchanged.yaml")
	if err := errors.Join(os.WriteFile(filepath.Join(s.data, "node.credentials"), []byte("nobody:nothing\n"), 0o600),
		configure(config, config, "127.0.0.1:8080", s.gateway, "127.0.0.1:9080", "127.0.0.1:"+strconv.Itoa(free[2]), "proxies: [] ", `proxies: ["127.0.0.1/32"] `,
			"timeout: 5s", "timeout: 1s")); err != nil {
		t.Fatal(err)
	}
	if server != nil {
		database, err := server.NewDatabase(ctx)
		s.dsn = server.Loopback(database)
		s.check(err, os.WriteFile(filepath.Join(s.data, "postgres.dsn"), []byte(s.dsn+"\n"), 0o600),
			configure(config, config, "kind: sqlite ", "kind: postgres ", `dsn: "" `, `dsn: "postgres.dsn" `))
	}
	s.supervisor = keep(&keeper{name: "exchanged", log: filepath.Join(s.dir, "log"), delay: restartDelay,
		argv: func(bool) []string { return []string{s.program, "run", "--data", s.data, "--log-format", "json"} }})
	t.Cleanup(s.supervisor.close)
	s.operator = &operator{program: s.program, data: s.data, people: enginetest.NewPeople()}
	s.check(s.operator.connect(ctx), s.operator.found(ctx))
	return s
}

// check fails the test with what the exchange logged.
func (s *small) check(errs ...error) {
	s.Helper()
	if err := errors.Join(errs...); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.Fatalf("%v\n%s", err, log[max(0, len(log)-4000):])
	}
}

// pid is the process of a segment, as the supervisor's log names it last, and how often it was started.
func (s *small) pid(segment string) (pid, starts int) {
	s.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "log"))
	s.check(err)
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var line struct {
			Msg, Segment string
			PID          int
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "segment started" && line.Segment == segment {
			pid, starts = line.PID, starts+1
		}
	}
	return pid, starts
}

// acknowledged waits until customers have so many more orders acknowledged than before.
func (s *small) acknowledged(ctx context.Context, more int) {
	s.Helper()
	by, _, _ := s.load.counts()
	for want := by[acked] + more; by[acked] < want; by, _, _ = s.load.counts() {
		select {
		case <-ctx.Done():
			s.check(fmt.Errorf("%d orders acknowledged, expected %d; customers heard: %s", by[acked], want, s.load.heard()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// killed kills a segment's process and waits until the supervisor has started another one.
func (s *small) killed(ctx context.Context, segment string) {
	s.Helper()
	pid, before := s.pid(segment)
	s.check(syscall.Kill(pid, syscall.SIGKILL))
	for now := before; now == before; _, now = s.pid(segment) {
		select {
		case <-ctx.Done():
			s.check(fmt.Errorf("segment %s is not started again", segment))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// trade begins the load, and waits until it is under way.
func (s *small) trade(ctx context.Context) {
	s.Helper()
	keys, err := s.operator.customers(ctx, 4)
	s.check(err, ready(ctx, []string{s.gateway}))
	s.load = begin([]string{s.gateway}, keys, 60*time.Millisecond, 4*time.Second)
	s.Cleanup(func() { s.load.stop(); s.load.hurry(); s.load.workers.Wait() })
	s.acknowledged(ctx, 50)
}

// proven ends load and exchange, and holds what customers know against journal and records.
func (s *small) proven(ctx context.Context) {
	s.Helper()
	if n := s.supervisor.begun(); n != 1 {
		s.check(fmt.Errorf("the whole exchange ended and was started %d times", n))
	}
	s.load.end()
	now, err := s.operator.client.Engine(ctx)
	s.check(err)
	s.stopped(ctx)
	s.replica, err = open(ctx, s.data, s.dsn)
	s.check(err)
	defer s.replica.close()
	s.check(s.replica.catchUp(ctx))
	by, again, cancels := s.load.counts()
	s.check(s.replica.judge(s.load.known()).err(), s.replica.records.Compare(ctx, s.replica.state))
	if by[asking] > 0 {
		s.Fatalf("of %d orders it is still not known what became of them; customers heard: %s", by[asking], s.load.heard())
	}
	if hash := fmt.Sprintf("%x", s.replica.state.Hash()); now.Hash != hash || now.Seq != s.replica.state.Seq() {
		s.Fatalf("the engine was at command %d with hash %s, the replay is at %d with %s", now.Seq, now.Hash, s.replica.state.Seq(), hash)
	}
	s.Logf("%d acknowledged, %d asked for again, %d cancels, %d refused, %d never taken, %d commands, %d fills", by[acked], again, cancels, by[refused], by[absent], now.Seq, s.replica.trades)
}

// Whatever segment dies under load, nothing that a customer was told of is lost, nothing is done twice, and the
// supervisor brings the segment back. A second engine is refused with one sentence, and disturbs nobody.
func TestKilledSegmentsLoseNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := startSmall(ctx, t, nil)
	s.trade(ctx)
	for _, segment := range []string{"gateway", "engine", "wallet,admin", "engine"} {
		s.killed(ctx, segment)
		s.acknowledged(ctx, 50)
	}
	_, errs, code := run(s.program, "run", "--data", s.data, "--segment", "engine")
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
	_, errs, code := run(s.program, "run", "--data", s.data, "--segment", "engine")
	sentence, err := refusal(errs, code, 0)
	s.check(err)
	t.Log(sentence)
	s.proven(ctx)
}

// stopped ends the exchange as an operator does, and waits for it.
func (s *small) stopped(ctx context.Context) {
	s.Helper()
	s.supervisor.hold(true)
	s.check(s.supervisor.signal(syscall.SIGTERM))
	for s.supervisor.runs() {
		select {
		case <-ctx.Done():
			s.check(errors.New("exchanged does not end"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The proof can fail: an order that was acknowledged and is not in the journal, one that is there twice, and one that the
// customer was told is not there, are each found.
func TestTheProofFindsWhatIsWrong(t *testing.T) {
	w := enginetest.Open(engine.StateOptions{})
	account := w.Customer("anna")
	r := &replica{state: w.State, done: map[placed][]int64{{uint64(account), "a"}: {7}, {uint64(account), "b"}: {8, 9}, {uint64(account), "c"}: {10}}}
	for name, o := range map[string]order{"lost": {account: uint64(account), client: "x", fate: acked, number: 7}, "renumbered": {account: uint64(account), client: "a", fate: acked, number: 8},
		"twice": {account: uint64(account), client: "b", fate: acked, number: 8}, "ghost": {account: uint64(account), client: "c", fate: absent}} {
		if f := r.judge([]order{o}); f.err() == nil {
			t.Errorf("%s is not found: %+v", name, f)
		}
	}
	if f := r.judge([]order{{account: uint64(account), client: "a", fate: acked, number: 7}, {account: uint64(account), client: "y", fate: refused}}); f.err() != nil || f.acked != 1 {
		t.Errorf("an order that is right is called wrong: %+v", f)
	}
}
