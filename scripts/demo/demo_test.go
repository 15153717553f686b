package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs builds what the stories drive, once for all tests of this package: the real programs, as `make build` does.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "coldsign-programs-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if err := buildPrograms(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		programs = dir
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func buildPrograms(dir string) error {
	for _, build := range []struct{ name, cgo string }{{"coldsign", "1"}, {"warmctl", "1"}, {"exchanged", "0"}} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, build.name), "./cmd/"+build.name)
		cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED="+build.cgo)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", build.name, err, text)
		}
	}
	for _, tool := range []string{"btcd", "btcctl"} {
		built, err := filepath.Abs(filepath.Join("..", "..", "build", "bin", tool))
		if err != nil {
			return err
		}
		if _, err := os.Stat(built); err != nil {
			return fmt.Errorf("%s is not built: run make setup (%w)", tool, err)
		}
		if err := os.Symlink(built, filepath.Join(dir, tool)); err != nil {
			return err
		}
	}
	return nil
}

// stage makes a story whose folder and processes end with the test.
func stage(t *testing.T) (*story, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	s, err := newStory(filepath.Join(t.TempDir(), "story"), programs, &said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		if t.Failed() {
			log, _ := os.ReadFile(s.path("exchanged.log"))
			t.Logf("%s\n%s", said.String(), lastLines(log, 40))
		}
	})
	return s, &said
}

// The main job, as `make demo` plays it: five tampered bundles and one tampered answer are refused on the way.
func TestTheWholeStory(t *testing.T) {
	s, said := stage(t)
	if err := s.play(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"refused, exit 3: output-external", "refused, exit 3: witness-utxo-differs", "refused, exit 3: approvals-insufficient",
		"refused, exit 5: bundle-expired", "refused, exit 5: seal-invalid", "The node confirms transaction", "HOT-BTC-1 holds 3.00000000 BTC",
		`Good "coldsign-approve-v1" signature for alice with ECDSA key`} {
		if !strings.Contains(said.String(), claim) {
			t.Errorf("the story does not say %q", claim)
		}
	}
}

// crash ends the daemon as a power cut would, and starts it again on the same folder.
func (s *story) crash(ctx context.Context) error {
	if err := s.stopDaemon(true); err != nil {
		return err
	}
	return s.startDaemon(ctx)
}

// Killed with SIGKILL after every step, and while every request is under way, the daemon goes on where it was, and
// exactly one transaction is ever broadcast.
func TestKilledBetweenAnyTwoStepsTheStoryGoesOn(t *testing.T) {
	s, _ := stage(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.provision(ctx))
	must(s.crash(ctx))
	top, err := s.proposed(ctx)
	must(err)
	must(s.crash(ctx))
	must(s.duringCrash(ctx, s.approval("alice", top.ID, top.Amount.Value)))
	must(s.crash(ctx))
	must(s.duringCrash(ctx, s.approval("bob", top.ID, top.Amount.Value)))
	must(s.crash(ctx))
	sealed, err := s.await(ctx, "sealed", func(u topUp) bool { return u.ID == top.ID && u.State == "sealed" })
	must(err)
	must(s.crash(ctx))
	must(s.carry(ctx, top.ID))
	must(s.sign(ctx, top.ID))
	for _, h := range holders[:2] {
		must(s.duringCrash(ctx, s.warmctl("bob", "bundle", "import", s.answerFile(h, top.ID))))
		must(s.crash(ctx))
	}
	must(s.confirm(ctx, top.ID))
	must(s.crash(ctx))
	all, err := s.list()
	must(err)
	if len(all) != 1 || all[0].State != "confirmed" || all[0].BundleWords != sealed.BundleWords {
		t.Errorf("after the last crash: %+v", all)
	}
	must(s.onlyOneSpend(ctx, all[0].TxID))
}

// duringCrash sends a request, kills the daemon while it is under way, starts it again, and repeats the request until
// it is answered. What was done before the crash counts; what is repeated changes nothing.
func (s *story) duringCrash(ctx context.Context, c call) error {
	answered := make(chan error, 1)
	go func() { _, err := s.run(c); answered <- err }()
	if err := s.crash(ctx); err != nil {
		return err
	}
	if err := <-answered; err != nil {
		return err
	}
	c.args = withoutOut(c.args)
	r, err := s.run(c)
	if err != nil {
		return err
	}
	if r.code != 0 && !strings.Contains(r.errs, "approval-repeated") {
		return fmt.Errorf("%s again after the crash: exit %d\n%s", c, r.code, r.errs)
	}
	return nil
}

// withoutOut drops --out FILE: the first try may have written it, and nothing is ever overwritten.
func withoutOut(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--out" {
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// onlyOneSpend asks the node: after the deposits, the chain holds one transaction that is not a coinbase, and the
// mempool holds none.
func (s *story) onlyOneSpend(ctx context.Context, txid string) error {
	var waiting []string
	if err := s.node.Call(ctx, "getrawmempool", &waiting); err != nil {
		return err
	}
	var height int64
	if err := s.node.Call(ctx, "getblockcount", &height); err != nil {
		return err
	}
	var hash string
	if err := s.node.Call(ctx, "getblockhash", &hash, height); err != nil {
		return err
	}
	var block struct{ Tx []string }
	if err := s.node.Call(ctx, "getblock", &block, hash, 1); err != nil {
		return err
	}
	if len(waiting) != 0 || len(block.Tx) != 2 || block.Tx[1] != txid {
		return fmt.Errorf("mempool %v, last block %v; only %s was to be broadcast", waiting, block.Tx, txid)
	}
	return nil
}
