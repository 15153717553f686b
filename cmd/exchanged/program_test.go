package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"exchanged": func() { os.Exit(run()) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits}})
}

// exits runs a command and compares its exit code, which testscript has no word for.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// program starts exchanged itself and waits for its ready line.
func program(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("exchanged", "run", "--data", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var ready struct {
		Schema, Listen string
		PID            int
	}
	if err != nil || json.Unmarshal([]byte(line), &ready) != nil || ready.Schema != "coldsign.ready/v1" || ready.PID != cmd.Process.Pid {
		t.Fatalf("ready line %q, %v", line, err)
	}
	return cmd, ready.Listen
}

// The program comes up without its node, says what is wrong, comes back at the same address after a kill, turns a
// revoked person away, and ends in order.
func TestProgramRunsIsKilledAndEndsInOrder(t *testing.T) {
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), time: time.Now()}
	r.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0", "--node-url", "http://127.0.0.1:1")
	if code, _, _ := r.command("status"); code != console.Failed {
		t.Errorf("status of a daemon that does not run: exit %d", code)
	}
	first, address := program(t, r.dir)
	code, out, errs := r.command("status", "--json")
	if code != console.Waiting || !strings.Contains(out, `"schema":"coldsign.status/v1"`) || !strings.Contains(errs, "chain") {
		t.Errorf("status without a node: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := r.command("halt", "list"); code != console.Refused || !strings.Contains(errs, "store-in-use") {
		t.Errorf("records of a running daemon: exit %d\n%s", code, errs)
	}
	key, request, err := admin.NewPersonKey("alice", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := filepath.Join(t.TempDir(), "alice.crt")
	r.mustCommand("staff", "enroll", "alice", "--csr", r.file("csr", request), "--out", cert)
	client := must(admin.NewClient(admin.Credentials{Server: "https://" + address, Authority: must(os.ReadFile(filepath.Join(r.dir, "tls", "ca.crt"))),
		Cert: must(os.ReadFile(cert)), Key: key}, time.Now))
	if s, err := client.Status(t.Context()); err != nil || s.Person != "alice" {
		t.Errorf("alice: %+v, %v", s, err)
	}
	r.mustCommand("staff", "revoke", "alice")
	if _, err := client.Status(t.Context()); err == nil {
		t.Error("alice is still served")
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second, again := program(t, r.dir)
	if again != address {
		t.Errorf("after a kill it listens on %s, before on %s", again, address)
	}
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	r.mustCommand("events", "verify")
}
