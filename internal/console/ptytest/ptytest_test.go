//go:build linux

package ptytest_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console/ptytest"
)

func shell(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

func TestACommandIsAskedAndAnswers(t *testing.T) {
	d := ptytest.Drive(t, shell(`printf 'name? '; read name; printf 'again? '; read name2; echo "hello $name and $name2"; exit 3`), 80, 24)
	d.See("name? ")
	d.Type("alice\r")
	d.See("again? ")
	d.Type("bob\r")
	d.See("hello alice and bob")
	d.Exits(3)
	if want := "name? alice\nagain? bob\nhello alice and bob"; d.Screen() != want {
		t.Errorf("screen:\n%s\nwant:\n%s", d.Screen(), want)
	}
	if want := "name? alice\r\nagain? bob\r\nhello alice and bob\r\n"; d.Transcript() != want {
		t.Errorf("transcript %q, want %q", d.Transcript(), want)
	}
	if want := "name? alice\nagain? bob\nhello alice and bob\n"; d.Text() != want {
		t.Errorf("text %q, want %q", d.Text(), want)
	}
}

func TestTheTerminalHasTheSizeAskedForAndIsTheControllingOne(t *testing.T) {
	d := ptytest.Drive(t, shell(`stty size; stty size </dev/tty; tty; ps -o sid= -p $$ >/dev/null; test -t 0 && test -t 1 && test -t 2 && echo terminals`), 101, 37)
	d.See("37 101\n37 101\n/dev/pts/")
	d.See("terminals")
	d.Exits(0)
}

func TestAResizeIsToldToTheCommand(t *testing.T) {
	d := ptytest.Drive(t, shell(`trap 'stty size; exit 0' WINCH; echo ready; while :; do read line; done`), 80, 24)
	d.See("ready")
	if err := d.Resize(132, 43); err != nil {
		t.Fatal(err)
	}
	d.Type("\r") // a shell runs its traps between commands
	d.See("43 132")
	d.Exits(0)
}

func TestAnExpectationMatchesOnlyNewOutput(t *testing.T) {
	session, err := ptytest.Start(shell(`echo once; read line; exit 0`), 80, 24)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Expect("once", ptytest.Patience); err != nil {
		t.Fatal(err)
	}
	if err := session.Expect("once", 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), `no text "once" within 10ms`) ||
		!strings.Contains(err.Error(), "transcript: \"once\\r\\n\"") {
		t.Errorf("the same text was matched twice, or the failure does not tell: %v", err)
	}
	if err := session.Send("\r"); err != nil {
		t.Fatal(err)
	}
	if err := session.Expect("twice", ptytest.Patience); err == nil || !strings.Contains(err.Error(), "ended without") {
		t.Errorf("waiting for a command that ended: %v", err)
	}
}

func TestSecretsTypedWithoutEchoDoNotShow(t *testing.T) {
	d := ptytest.Drive(t, shell(`stty -echo; printf 'pass: '; read p; stty echo; echo; echo "length ${#p}"`), 80, 24)
	d.See("pass: ")
	d.Type("hunter2\r")
	d.See("length 7")
	d.Exits(0)
	if strings.Contains(d.Transcript(), "hunter2") {
		t.Errorf("the terminal shows the secret: %q", d.Transcript())
	}
}

func TestKeysReachACommandWhoseStreamsAreAllPipes(t *testing.T) {
	cmd := shell(`printf 'sure? ' >/dev/tty; read answer </dev/tty; echo "data: $answer"; echo words >&2; cat; echo "extra: $(cat <&3)"`)
	var out, errs bytes.Buffer
	extra, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "from fd 3"); err != nil {
		t.Fatal(err)
	}
	in.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = strings.NewReader("piped\n"), &out, &errs, []*os.File{extra}
	d := ptytest.Drive(t, cmd, 80, 24)
	extra.Close()
	d.See("sure? ")
	d.Type("yes\r")
	d.Exits(0)
	if want := "data: yes\npiped\nextra: from fd 3\n"; out.String() != want || errs.String() != "words\n" {
		t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
	}
	if d.Screen() != "sure? yes" {
		t.Errorf("the terminal shows %q", d.Screen())
	}
}

func TestOneStreamMayBeAPipe(t *testing.T) {
	cmd := shell(`printf 'question '; read a; echo done; echo "error" >&2`)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	d := ptytest.Drive(t, cmd, 80, 24)
	d.See("question ")
	d.Type("x\r")
	d.See("done")
	d.Exits(0)
	if errs.String() != "error\n" || strings.Contains(d.Text(), "error") {
		t.Errorf("stderr %q, terminal %q", errs.String(), d.Text())
	}
}

func TestInterruptAndKillGiveTheirExitCodes(t *testing.T) {
	d := ptytest.Drive(t, exec.Command("/bin/cat"), 80, 24)
	d.Type("x\r")
	d.See("x\nx\n")
	d.Type("\x03") // the terminal turns this into SIGINT for the group in front
	d.Exits(128 + 2)

	cat, err := ptytest.Start(exec.Command("/bin/cat"), 80, 24)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cat.Wait(10 * time.Millisecond); err == nil {
		t.Error("a command that runs was said to have ended")
	}
	if err := cat.Close(); err != nil {
		t.Error(err)
	}
	if code, err := cat.Wait(ptytest.Patience); code != 128+9 || err != nil {
		t.Errorf("after Close: code %d, %v", code, err)
	}
}

func TestAMissingCommandAndAMissingSizeAreErrors(t *testing.T) {
	if _, err := ptytest.Start(exec.Command("/nonexistent/command"), 80, 24); err == nil {
		t.Error("a command that does not exist was started")
	}
	if _, err := ptytest.Start(shell("true"), 0, 24); err == nil {
		t.Error("a terminal without columns was made")
	}
}

func TestLongOutputArrivesWhole(t *testing.T) {
	d := ptytest.Drive(t, shell(`i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done`), 80, 24)
	d.Exits(0)
	lines := strings.Split(strings.TrimSpace(d.Text()), "\n")
	if len(lines) != 3000 || lines[2999] != "line 2999" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	rows := strings.Split(d.Screen(), "\n")
	if len(rows) != 23 || rows[0] != "line 2977" {
		t.Errorf("the screen begins with %q and has %d rows", rows[0], len(rows))
	}
}

// recorder stands for a test, to see a Driver fail without failing.
type recorder struct {
	failed   string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
}

func TestAWrongExitCodeFailsTheTestWithTheScreen(t *testing.T) {
	r := &recorder{}
	d := ptytest.Drive(r, shell("echo refused; exit 5"), 80, 24)
	d.Exits(0)
	for _, f := range r.cleanups {
		f()
	}
	if !strings.Contains(r.failed, "exit code 5, want 0") || !strings.Contains(r.failed, "refused") {
		t.Errorf("failure says %q", r.failed)
	}
}
