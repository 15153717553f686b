package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// These tests look at what the others have written with -update, so they stand in the last file.

// What a reader asks of a refusal: where, what was expected, what was found, and who can go on, or how.
func TestEveryExampleSaysWhereWhatAndWho(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "refusals", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		p, err := page.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entries {
			if e.Example == "" || strings.Contains(e.Example, " REFUSED ") { // a screen has its own layout
				continue
			}
			for _, part := range []string{": refused: " + e.Code + " at ", "\n  expected: ", "\n  found:    ", "\nhint: "} {
				if !strings.Contains(e.Example, part) {
					t.Errorf("%s: the refusal of %s lacks %q", filepath.Base(file), e.Code, strings.TrimSpace(part))
				}
			}
		}
	}
}

// The index of all codes is docs/refusals.md; what stands below its rule is written from the pages.
func TestRefusalsIndexIsCurrent(t *testing.T) {
	const rule = "\n<!-- written by: go test ./scripts/refusals -update -->\n"
	file := filepath.Join("..", "..", "docs", "refusals.md")
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	top, _, found := bytes.Cut(have, []byte(rule))
	if !found {
		t.Fatalf("%s has no line %q", file, strings.TrimSpace(rule))
	}
	want := append(append(top, rule...), index(t)...)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(have, want) {
		t.Error("docs/refusals.md is older than the pages; run: go test ./scripts/refusals -update")
	}
}

// index writes one line for each entry of each page, in the order of the alphabet.
func index(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "refusals", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		p, err := page.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(path.Base(filepath.ToSlash(file)), ".md")
		for _, e := range p.Entries {
			exit, _, _ := strings.Cut(e.Exit, ",")
			meaning := strings.Join(strings.Fields(e.Meaning), " ")
			lines = append(lines, fmt.Sprintf("| [%s](refusals/%s.md#%s) | %s | %s | %s |\n", e.Code, name, e.Code, name, meaning, exit))
		}
	}
	slices.Sort(lines)
	return "\n| Code | Room | What it means | Exit |\n|---|---|---|---|\n" + strings.Join(lines, "")
}
