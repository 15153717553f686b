package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A story runs coldsign as a program of its own. A developer's terminal must not answer its questions, so the program
// begins a session without one; where a story gives it a terminal it already leads a session, and Setsid changes nothing.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coldsign": func() {
		_, _ = unix.Setsid()
		os.Exit(run())
	}})
}

// storyKey is where a story keeps its terminal.
type storyKey struct{}

// Stories in testdata, one for each command, each line a claim.
func TestStories(t *testing.T) {
	s := newStage(t)
	tokens := filepath.Join(t.TempDir(), "softhsm")
	if _, err := hsmtest.Provision(tokens, "treasury"); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values[storyKey{}] = &screen{}
			env.Setenv("TERM", "xterm-256color")
			env.Setenv("HOME", filepath.Join(env.WorkDir, "nobody"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "terminal": openTerminal, "see": see, "sees": sees, "press": press, "types": typeKeys, "resize": resizeTerminal, "ends": ends,
			"stage": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(s.copyTo(ts.MkAbs("."))) },
			"bundle": func(ts *testscript.TestScript, _ bool, args []string) {
				o, err := s.readOrder(args[1:], ts.ReadFile)
				ts.Check(err)
				raw, err := s.bundle(o)
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
			},
			"payment": func(ts *testscript.TestScript, _ bool, args []string) {
				o, err := s.readOrder(args[1:], ts.ReadFile)
				ts.Check(err)
				p, err := s.payment(o)
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), p.Bytes(), 0o600))
			},
			"token": func(ts *testscript.TestScript, _ bool, _ []string) { giveToken(ts, tokens) },
			"fifo": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(unix.Mkfifo(ts.MkAbs(args[0]), 0o600))
			},
			"size": size,
			"pin":  pin,
		},
	})
}

// redirection is 3<file, 4>file or 4>>file, as a shell writes it.
var redirection = regexp.MustCompile(`^[3-9](<|>)[A-Za-z0-9._/-]+$`)

// shell builds a command line that gives a program its file descriptors: coldsign takes secrets on them.
func shell(args []string) []string {
	var words, files []string
	for _, arg := range args {
		if redirection.MatchString(arg) {
			files = append(files, arg)
		} else {
			words = append(words, arg)
		}
	}
	return append([]string{"-c", `exec "$@" ` + strings.Join(files, " "), "sh"}, words...)
}

// exits runs a command and compares its exit code, which testscript has no word for.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [args...] [3<file] [4>file]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec("sh", shell(args[1:])...); err != nil {
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

// giveToken copies the provisioned SoftHSM token into the story, which then has it for itself.
func giveToken(ts *testscript.TestScript, from string) {
	dir := ts.MkAbs("softhsm")
	ts.Check(os.CopyFS(dir, os.DirFS(from)))
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n", filepath.Join(dir, "tokens"))
	ts.Check(os.WriteFile(conf, []byte(text), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("pin"), []byte(hsmtest.UserPIN+"\n"), 0o600))
	ts.Setenv("SOFTHSM2_CONF", conf)
}

// size claims that a file has as many lines.
func size(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(strings.Count(ts.ReadFile(args[0]), "\n")); got != args[1] {
		ts.Fatalf("%s has %s lines, want %s", args[0], got, args[1])
	}
}

// pin pins a file of trust in the story's home, with the words that coldsign itself reads from it, and with the
// signatures of keyholders a and b where its kind needs a quorum.
func pin(ts *testscript.TestScript, _ bool, args []string) {
	file, raw := args[0], ts.ReadFile(args[0])
	kind := "roster"
	switch {
	case strings.Contains(raw, "coldsign: policy/v1"):
		kind = "policy"
	case strings.Contains(raw, "coldsign: address-book/v1"):
		kind = "book"
	}
	flags := ""
	for _, holder := range []string{"a", "b"} {
		if strings.Contains(raw, `"issuer/v1"`) {
			break
		}
		signature := file + ".sig-" + holder
		flags += " --signature " + signature
		if _, err := os.Stat(ts.MkAbs(signature)); err != nil {
			ts.Check(ts.Exec("sh", "-c", `exec coldsign `+kind+` sign "$1" --home `+holder+` --out `+signature+` --passphrase-fd 3 3<pass`, "sh", file))
		}
	}
	ts.Check(ts.Exec("sh", "-c", `exec coldsign trust add "$1" --passphrase-fd 3 --words "$(coldsign words "$1")"`+flags+` 3<pass`, "sh", file))
}
