package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The programs are built once, and every claim is about what they print.
func TestReference(t *testing.T) {
	pages, err := readPrograms(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("docs are what the programs say", func(t *testing.T) { docsAreCurrent(t, pages) })
	t.Run("every command has an example that is one", func(t *testing.T) {
		each(pages, func(p page) { hasExamples(t, p, pages) })
	})
	t.Run("every flag is long and says what it means", func(t *testing.T) { each(pages, func(p page) { flagsSpeak(t, p) }) })
	t.Run("attack 007: no flag takes a secret", func(t *testing.T) { each(pages, func(p page) { noSecretInFlags(t, p) }) })
	t.Run("attack 133: no flag turns a check off", func(t *testing.T) { each(pages, func(p page) { noCheckTurnedOff(t, p) }) })
}

func each(pages map[string][]page, claim func(page)) {
	for _, program := range programs {
		for _, p := range pages[program] {
			claim(p)
		}
	}
}

func docsAreCurrent(t *testing.T, pages map[string][]page) {
	root := filepath.Join("..", "..")
	files, err := documents(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || !bytes.Equal(got, files[name]) {
			t.Errorf("%s is stale: run make docs (%v)", name, err)
		}
	}
	manuals, err := filepath.Glob(filepath.Join(root, "docs", "man", "*"))
	if err != nil || len(manuals) != len(programs) {
		t.Errorf("docs/man holds %q", manuals)
	}
}

// hasExamples checks that every line of an example names a command that exists and flags that it has.
func hasExamples(t *testing.T, p page, pages map[string][]page) {
	t.Helper()
	if len(p.examples) == 0 && !p.group() && !p.topic() {
		t.Errorf("%s has no example", p.title())
	}
	for _, line := range p.examples {
		words := strings.Fields(line)
		i := slices.IndexFunc(pages[words[0]], func(q page) bool { return !q.group() && strings.HasPrefix(line+" ", q.title()+" ") })
		if i < 0 {
			t.Errorf("%s: the example %q is no command", p.title(), line)
			continue
		}
		q := pages[words[0]][i]
		for _, word := range words {
			if strings.HasPrefix(word, "--") && !slices.ContainsFunc(append(q.flags, q.global...), func(f flagHelp) bool {
				name, _, _ := strings.Cut(f.name, " ")
				return name == word
			}) {
				t.Errorf("%s: the example %q has a flag %s that %s has not", p.title(), line, word, q.title())
			}
		}
	}
}

func flagsSpeak(t *testing.T, p page) {
	t.Helper()
	for _, f := range p.flags {
		if f.short != "" && f.name != "--help" && f.name != "--version" {
			t.Errorf("%s: %s has the short form %s", p.title(), f.name, f.short)
		}
		name, kind, _ := strings.Cut(f.name, " ")
		if len(name) < len("--by") || len(strings.Fields(f.about)) < 2 {
			t.Errorf("%s: %s says %q", p.title(), name, f.about)
		}
		// The flag library takes a word in backquotes for the kind of the value.
		if kind != "" && !slices.Contains([]string{"string", "int", "uint", "uint8", "uint32", "uint64", "strings", "stringArray", "duration"}, kind) {
			t.Errorf("%s: %s takes a %q", p.title(), name, kind)
		}
	}
}

var secretFlag = regexp.MustCompile(`pass|pin|seed|secret|mnemonic|word|private|credential`)

// noSecretInFlags lets a secret be named by a file descriptor, and by nothing else. --words takes the twelve words that
// are read aloud, --yes-word the first of them, and --node-credentials the name of a file; none is a secret.
func noSecretInFlags(t *testing.T, p page) {
	t.Helper()
	public := []string{"--words string", "--yes-word string", "--node-credentials string"}
	for _, f := range p.flags {
		if secretFlag.MatchString(f.name) && !strings.HasSuffix(f.name, "-fd int") && !slices.Contains(public, f.name) {
			t.Errorf("%s: %s looks like a secret on the command line", p.title(), f.name)
		}
	}
}

var checkOff = regexp.MustCompile(`^--(no|skip|disable|force|ignore|without|insecure|unsafe|trust-all|yes|allow|bypass|unchecked|relax)(-|$| )`)

// noCheckTurnedOff allows --yes-amount and --yes-word, consents that must name the amount or the first word of what is
// approved, and --accept-risk, which must name the risk.
func noCheckTurnedOff(t *testing.T, p page) {
	t.Helper()
	for _, f := range p.flags {
		if checkOff.MatchString(f.name) && f.name != "--yes-amount string" && f.name != "--yes-word string" {
			t.Errorf("%s: %s would turn a check off", p.title(), f.name)
		}
	}
}

func TestHelpThatIsNotUnderstoodIsAnError(t *testing.T) {
	const good = "Says so.\n\nUsage:\n  x y [flags]\n\nExamples:\n  x y --a b\n\nFlags:\n      --a string   what it is\n  -h, --help       help for y\n"
	p, err := parse([]string{"x", "y"}, good)
	if err != nil || p.about != "Says so." || p.usage != "x y [flags]" || len(p.examples) != 1 || len(p.flags) != 2 || p.flags[0].name != "--a string" || len(p.own()) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	// A name longer than the column is followed by one space.
	if p, err := parse([]string{"x"}, "Available Commands:\n  list          List all\n  consolidation Merging small coins\n"); err != nil || len(p.verbs) != 2 || p.verbs[1] != (verb{"consolidation", "Merging small coins"}) {
		t.Errorf("%+v, %v", p.verbs, err)
	}
	for _, bad := range []string{"Flags:\n  a line that is no flag\n", "Flags:\n      --csr warmctl init   a request\n", "Available Commands:\nnone\n"} {
		if p, err := parse([]string{"x", "y"}, bad); err == nil {
			t.Errorf("%q was understood as %+v", bad, p)
		}
	}
}

func TestTroffIsEscaped(t *testing.T) {
	for in, want := range map[string]string{".TH x": `\&.TH x`, `a\b`: `a\eb`, "--key": `\-\-key`, "'x": `\&'x`} {
		if got := troff(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
