package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/coldsign/coldsign/internal/seal"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"warmctl": func() { os.Exit(run()) }})
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

// program starts warmctl itself on a terminal.
func (r *rig) program(args ...string) *ptytest.Driver {
	r.t.Helper()
	cmd := exec.Command("warmctl", append(args, "--home", r.home)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	return ptytest.Drive(r.t, cmd, 110, 40)
}

func TestPersonRetypesTheAmount(t *testing.T) {
	r := newRigAt(t, time.Now().Add(-time.Hour))
	p := r.program("topup", "approve", "7", "--identity", r.identity)
	p.See("HOT-BTC-1, hot wallet")
	p.See("Retype the amount in BTC to approve:")
	p.Type("yes\r")
	p.See("2 tries left")
	p.See("Retype the amount")
	p.Type("2.5\r")
	p.See("approval of top-up 7 taken")
	p.Exits(int(console.Done))
	if len(r.approved) != 1 {
		t.Errorf("%d approvals", len(r.approved))
	}
}

func TestPersonWhoDoesNotRetypeDeclines(t *testing.T) {
	r := newRigAt(t, time.Now().Add(-time.Hour))
	p := r.program("topup", "approve", "7", "--identity", r.identity)
	for range 3 {
		p.See("Retype the amount")
		p.Type("3\r")
	}
	p.Exits(int(console.Declined))
	p = r.program("topup", "approve", "7", "--identity", r.identity)
	p.See("Retype the amount")
	p.Type("\x03")
	p.Exits(int(console.Interrupted))
	if len(r.approved) != 0 {
		t.Errorf("%d approvals", len(r.approved))
	}
}

func TestBundleRunsOnTheTerminal(t *testing.T) {
	r := newRigAt(t, time.Now().Add(-time.Hour))
	r.sealBundle(r.topUp.Intent)
	p := r.program("bundle", "show", "7")
	p.See("words: ")
	p.See("frame 1 of ")
	p.See("frame 2 of ")
	p.Type("+-q")
	p.Exits(int(console.Done))
}

// giveFD runs a command with a secret on a file descriptor.
func (r *rig) giveFD(flag, secret string, args ...string) (console.Code, string, string) {
	r.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	defer read.Close()
	_, _ = write.WriteString(secret + "\n")
	write.Close()
	return r.run(append(args, flag, strconv.Itoa(int(read.Fd())))...)
}

func TestKeyInATokenApproves(t *testing.T) {
	token := hsmtest.New(t, "people")
	r := newRig(t)
	code, line, errs := r.giveFD("--pin-fd", hsmtest.UserPIN, "key", "new", "alice-1", "--token", "people", "--module", token.Module)
	if code != console.Done {
		t.Fatalf("key new: exit %d\n%s", code, errs)
	}
	roster, err := approvals.ParseRoster([]byte(line))
	if err != nil || roster.People()[0].Name != "alice" || roster.People()[0].Keys[0].Device != approvals.DevicePKCS11 {
		t.Fatalf("roster line %q: %v", line, err)
	}
	if list := r.mustRun("key", "list"); !strings.Contains(list, "alice-1") || strings.Contains(list, hsmtest.UserPIN) {
		t.Errorf("key list:\n%s", list)
	}
	if code, _, errs := r.giveFD("--pin-fd", hsmtest.UserPIN, "topup", "approve", "7", "--key", "alice-1", "--yes-amount", "2.5"); code != console.Done {
		t.Fatalf("approve: exit %d\n%s", code, errs)
	}
	key, _, err := seal.Verify(r.approved[0], r.topUp.Intent, seal.Approve)
	if err != nil || !seal.Same(key, roster.People()[0].Keys[0].Public) {
		t.Errorf("approval by the token: %v", err)
	}
	for name, c := range map[string][]string{
		"a wrong PIN":    {"000000", "alice-1"},
		"an unknown key": {hsmtest.UserPIN, "alice-2"},
		"no key name":    {hsmtest.UserPIN, "../alice-1"},
	} {
		if code, _, errs := r.giveFD("--pin-fd", c[0], "topup", "approve", "7", "--key", c[1], "--yes-amount", "2.5"); code == console.Done || strings.Contains(errs, c[0]) {
			t.Errorf("%s: exit %d\n%s", name, code, errs)
		}
	}
	if code, _, _ := r.giveFD("--pin-fd", hsmtest.UserPIN, "key", "new", "alice-1", "--token", "people"); code != console.Failed {
		t.Errorf("a second key of the same name: exit %d", code)
	}
	if code, _, _ := r.giveFD("--pin-fd", hsmtest.UserPIN, "key", "new", "alice-3", "--token", "nobody", "--module", token.Module); code != console.KeyUnavailable {
		t.Errorf("a token that is not there: exit %d", code)
	}
}
