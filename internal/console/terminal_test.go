package console

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/sys/unix"
)

func TestKeysAreNamed(t *testing.T) {
	for typed, want := range map[string]string{
		"a": "a", " ": " ", "~": "~", "\r": KeyEnter, "\n": KeyEnter, "\x7f": KeyBackspace, "\b": KeyBackspace, "\t": KeyTab,
		"\x03": KeyInterrupt, "\x04": KeyEOF, "\x15": KeyClear, "\x00": KeyUnknown, "\x1b[A": KeyUp, "\x1bOB": KeyDown,
		"\x1b[C": KeyRight, "\x1bOD": KeyLeft, "\x1b[5~": KeyPageUp, "\x1b[6~": KeyPageDown, "\x1b[H": KeyHome, "\x1b[4~": KeyEnd,
		"\x1b[200~": KeyPaste, "\x1b[1;5A": KeyUnknown, "\x1bx": KeyUnknown, "\xff": KeyUnknown, "é": "é", "\x1b\x1b": KeyEscape,
	} {
		if key, _ := decode([]byte(typed)); key != want {
			t.Errorf("%q is %q, want %q", typed, key, want)
		}
	}
	for _, partial := range []string{"\x1b", "\x1b[", "\x1b[20", "\x1bO", "\xc3"} {
		if key, taken := decode([]byte(partial)); taken != 0 {
			t.Errorf("%q is only a beginning, but was read as %q", partial, key)
		}
	}
}

func FuzzDecodeTakesEveryByteOnce(f *testing.F) {
	f.Add([]byte("a\x1b[A\x1b[200~x\x1b[201~\xff\xc3"))
	f.Fuzz(func(t *testing.T, typed []byte) {
		for len(typed) > 0 {
			key, taken := decode(typed)
			if taken == 0 {
				if len(typed) > sequenceMax {
					t.Fatalf("%q is waited for without end", typed)
				}
				return
			}
			if key == "" || taken < 0 || taken > len(typed) {
				t.Fatalf("%q: key %q takes %d", typed, key, taken)
			}
			typed = typed[taken:]
		}
	})
}

func TestReadKeySeesEveryKeyAndTheLoneEscape(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	before := mode(t, terminal)
	go func() { person.waits("ready"); person.types("a\x1b[5~\x1b[200~xx\x1b[201~b\x1b") }()
	var keys []string
	err := terminal.Raw(func(k *Keyboard) error {
		terminal.Write([]byte("ready"))
		for !slices.Contains(keys, KeyEscape) {
			key, err := k.ReadKey()
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		if string(k.pasted) != "xx" {
			t.Errorf("pasted %q", k.pasted)
		}
		return nil
	})
	if want := []string{"a", KeyPageUp, KeyPaste, "b", KeyEscape}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q: %v", keys, want, err)
	}
	if mode(t, terminal) != before {
		t.Error("the terminal mode was not restored")
	}
}

func TestRawRestoresTheTerminalWhenTheWorkPanics(t *testing.T) {
	terminal, _ := sit(t, 80, 24)
	before := mode(t, terminal)
	func() {
		defer func() { recover() }()
		terminal.Raw(func(*Keyboard) error {
			if mode(t, terminal) == before {
				t.Error("raw mode was not set")
			}
			panic("drawing")
		})
	}()
	if mode(t, terminal) != before {
		t.Error("the terminal mode was not restored")
	}
}

func TestASignalInterruptsReadKeyAndRestoresTheTerminal(t *testing.T) {
	terminal, _ := sit(t, 80, 24)
	before := mode(t, terminal)
	err := terminal.Raw(func(k *Keyboard) error {
		if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
			return err
		}
		_, err := k.ReadKey()
		return err
	})
	if !errors.Is(err, ErrInterrupted) || CodeOf(err) != Interrupted {
		t.Errorf("err %v", err)
	}
	if mode(t, terminal) != before {
		t.Error("the terminal mode was not restored")
	}
}

func TestReadLineEditsAndEchoes(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	go func() { person.waits("Name: "); person.types("wrong\x15anx\x7fna\xc3\xa9\x1b[A\r") }()
	line, err := terminal.ReadLine(Line{Prompt: "Name: "})
	if err != nil || line != "anna" {
		t.Errorf("line %q, %v", line, err)
	}
}

func TestReadLineRefusesPasteAndStopsOnInterrupt(t *testing.T) {
	for keys, want := range map[string]error{"\x1b[200~12.5\x1b[201~\r": ErrPasted, "12\x03": ErrInterrupted, "\x04": ErrInterrupted} {
		terminal, person := sit(t, 80, 24)
		go func() { person.waits("> "); person.types(keys) }()
		if line, err := terminal.ReadLine(Line{Prompt: "> "}); !errors.Is(err, want) || line != "" {
			t.Errorf("%q: line %q, err %v, want %v", keys, line, err, want)
		}
	}
}

// What is typed before a question is not an answer to it.
func TestAttack093KeysTypedBeforeAPromptAreThrownAway(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	person.types("yes\r")
	go func() { person.waits("? "); person.types("no\r") }()
	if line, err := terminal.ReadLine(Line{Prompt: "? "}); err != nil || line != "no" {
		t.Errorf("line %q, %v", line, err)
	}
}

func TestAttack093ConfirmNeedsATerminalAndLocksAfterThreeWrongTries(t *testing.T) {
	c := &Console{Name: "coldsign", Err: &bytes.Buffer{}}
	var refusal *spend.Refusal
	if err := c.Confirm("Retype", 3, func(string) bool { return true }); !errors.As(err, &refusal) || refusal.Code != "terminal-missing" {
		t.Errorf("without a terminal: %v", err)
	}
	terminal, person := sit(t, 80, 24)
	c.TTY = terminal
	go func() {
		for _, try := range []string{"no\r", "\x1b[200~right\x1b[201~", "no\r"} {
			person.waits("Retype: ")
			person.types(try)
		}
	}()
	if err := c.Confirm("Retype:", 3, func(s string) bool { return s == "right" }); CodeOf(err) != Declined {
		t.Errorf("three wrong tries: %v", err)
	}
	go func() { person.waits("Retype: "); person.types("right\r") }()
	if err := c.Confirm("Retype:", 3, func(s string) bool { return s == "right" }); err != nil {
		t.Errorf("a right try: %v", err)
	}
}

// picture is a view that ends after some keys.
type picture struct {
	lines      []string
	keys, upto string
	confirming bool
}

func (p *picture) Screen(int, int) []string { return p.lines }
func (p *picture) Key(key string)           { p.keys += key }
func (p *picture) Confirming() bool         { return p.confirming }
func (p *picture) Done() bool               { return p.upto != "" && strings.HasSuffix(p.keys, p.upto) }

func TestRunDrawsMarksOnlyAndRestoresTheScreen(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	c := &Console{TTY: terminal}
	done := make(chan error)
	go func() { done <- c.Run(&picture{lines: []string{"\x02bright\x01", "evil \x1b[2J\r \xe2"}, upto: "q"}) }()
	person.waits("\x1b[?1049h")
	person.waits("\x1b[0;1mbright")
	person.waits(`evil \x1b[2J\x0d \xe2`)
	person.types("q")
	person.waits("\x1b[?25h\x1b[?1049l")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAttack092RunRefusesAScreenThatDoesNotFit(t *testing.T) {
	terminal, _ := sit(t, 20, 3)
	c := &Console{TTY: terminal}
	for _, lines := range [][]string{{strings.Repeat("x", 21)}, {"1", "2", "3", "4"}, {"\x02" + strings.Repeat("x", 18) + "\x1b"}} {
		var refusal *spend.Refusal
		if err := c.Run(&picture{lines: lines}); !errors.As(err, &refusal) || refusal.Code != "screen-overflow" {
			t.Errorf("%q was drawn: %v", lines, err)
		}
	}
}

func TestRunWithoutStyleHasNoSequencesInLines(t *testing.T) {
	if drawn, width := styled("\x02a\x03b\x04c\x01d", false); drawn != "abcd" || width != 4 {
		t.Errorf("%q %d", drawn, width)
	}
}

func TestRunIsInterruptedByControlC(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	go func() { person.waits("x"); person.types("\x03") }()
	view := &picture{lines: []string{"x"}}
	if err := (&Console{TTY: terminal}).Run(view); !errors.Is(err, ErrInterrupted) || view.keys != "" {
		t.Errorf("err %v, keys %q", err, view.keys)
	}
}
