package page

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// Examples makes the refusals of one page happen: for each code, an act that fails with it.
type Examples map[string]func(*testing.T) error

// Check causes every refusal of a page and compares it, as program name prints it, with the entry of its code. With
// update it writes what it got into the page instead. Entries without an example must say why, and have none here.
func Check(t *testing.T, file, name string, examples Examples, update bool) {
	t.Helper()
	p, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range slices.Sorted(maps.Keys(examples)) {
		t.Run(code, func(t *testing.T) { one(t, p.Entry(code), name, examples[code], update) })
	}
	for _, e := range p.Entries {
		if examples[e.Code] == nil && e.Absent == "" {
			t.Errorf("%s: the example of %s is reproduced by no test", file, e.Code)
		}
		if examples[e.Code] != nil && e.Absent != "" {
			t.Errorf("%s: %s says that it has no example: %s", file, e.Code, e.Absent)
		}
	}
	if update && !t.Failed() {
		if err := os.WriteFile(file, p.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// one causes one refusal and compares it with its entry.
func one(t *testing.T, entry *Entry, name string, act func(*testing.T) error, update bool) {
	t.Helper()
	if entry == nil {
		t.Fatal("the page has no entry of this code")
	}
	var screen *Screen
	var exit, example string
	err := act(t)
	if refusal := Find(err, entry.Code); refusal != nil {
		exit, example = Show(name, refusal)
	} else if errors.As(err, &screen) && strings.Contains(screen.Text, entry.Code) {
		exit, example = screen.Exit, screen.Text
	} else {
		t.Fatalf("got %v", err)
	}
	if update {
		entry.Exit, entry.Example = exit, example
	}
	if entry.Exit != exit {
		t.Errorf("exit %q, the page says %q", exit, entry.Exit)
	}
	if entry.Example != example {
		t.Errorf("the program prints\n%s\nthe page says\n%s", example, entry.Example)
	}
}

// Screen is a refusal that stands on a screen of its own and is never printed as an error. An act returns it in place
// of a refusal: Text is what the screen shows of it.
type Screen struct{ Exit, Text string }

// Error returns the text of the screen.
func (s *Screen) Error() string { return s.Text }
