package main

import (
	"os/exec"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/rogpeppe/go-internal/testscript"
)

// screen is the terminal of a story, with a person at it:
//
//	terminal 100x40 coldsign sign request.bundle --out a.answer 3<pass
//	see 'Read every output first'
//	press o s
//	types '1.5 abcdef'
//	press enter
//	ends 0
//
// Between these lines a story may do anything else, such as changing the file that is being looked at.
type screen struct{ *ptytest.Session }

// keys are the bytes that a terminal sends.
var keys = map[string]string{"enter": "\r", "esc": "\x1b", "space": " ", "ctrl-c": "\x03", "ctrl-u": "\x15", "backspace": "\x7f", "pgdn": "\x1b[6~"}

func screenOf(ts *testscript.TestScript) *screen { return ts.Value(storyKey{}).(*screen) }

// openTerminal starts a command on a terminal of COLSxROWS.
func openTerminal(ts *testscript.TestScript, _ bool, args []string) {
	cols, rows := dimensions(ts, args[0])
	cmd := exec.Command("sh", shell(args[1:])...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TERM", "TMPDIR", "COLDSIGN_HOME", "SOFTHSM2_CONF", "NO_COLOR"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	session, err := ptytest.Start(cmd, cols, rows)
	ts.Check(err)
	ts.Defer(func() { _ = session.Close() })
	screenOf(ts).Session = session
}

func dimensions(ts *testscript.TestScript, text string) (cols, rows int) {
	left, right, _ := strings.Cut(text, "x")
	cols, err := strconv.Atoi(left)
	ts.Check(err)
	rows, err = strconv.Atoi(right)
	ts.Check(err)
	return cols, rows
}

// see waits for text in what the program writes after the last match.
func see(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(screenOf(ts).Expect(strings.Join(args, " "), ptytest.Patience))
}

// sees claims that text is, or is not, in everything that was written so far.
func sees(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.Join(args, " ")
	if strings.Contains(screenOf(ts).Text(), text) == neg {
		ts.Fatalf("terminal: found %v: %q in\n%s", neg, text, screenOf(ts).Text())
	}
}

// press presses keys by name.
func press(ts *testscript.TestScript, _ bool, args []string) {
	for _, key := range args {
		if named, ok := keys[key]; ok {
			key = named
		}
		ts.Check(screenOf(ts).Send(key))
	}
}

// typeKeys types text at once, \r is enter; with the word paste in front the terminal pastes it.
func typeKeys(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(args[len(args)-1], `\r`, "\r")
	if args[0] == "paste" {
		text = "\x1b[200~" + text + "\x1b[201~"
	}
	ts.Check(screenOf(ts).Send(text))
}

func resizeTerminal(ts *testscript.TestScript, _ bool, args []string) {
	cols, rows := dimensions(ts, args[0])
	ts.Check(screenOf(ts).Resize(cols, rows))
}

// ends waits for the end of the program and compares its exit code. What it wrote is then the file "terminal".
func ends(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, err := screenOf(ts).Wait(ptytest.Patience)
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit code %d, want %d; the terminal shows:\n%s", got, want, screenOf(ts).Screen())
	}
}
