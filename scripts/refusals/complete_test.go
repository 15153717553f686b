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

	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// meaningless are codes in the source that no refusal ever carries, each with its reason.
var meaningless = map[string]string{
	"internal/chain/bitcoin ":       "payable returns no code for a script that may be paid, and its caller refuses nothing then",
	"cmd/coldsign issuer-not-newer": "an issuer file has no version",
	"cmd/coldsign roster-not-newer": "a roster has no version",
	"cmd/coldsign wallet-not-newer": "a wallet is not pinned by trust add",
}

// spoken returns every code of the product by page: those that the source can put into a refusal, and the reasons that a
// person may choose from.
func spoken(t *testing.T) map[string][]string {
	t.Helper()
	source, err := load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	found, lost := follow(source).refusals()
	for _, place := range lost {
		t.Errorf("%s: a code is built in a way that cannot be followed; write it as text", place)
	}
	out := map[string][]string{}
	for _, r := range found {
		if meaningless[r.Room+" "+r.Code] == "" {
			out[pageOf(r.Room)] = append(out[pageOf(r.Room)], r.Code)
		}
	}
	reviews := pageOf("internal/review")
	for _, reason := range review.Codes() {
		out[reviews] = append(out[reviews], reason[0])
	}
	slices.Sort(out[reviews])
	out[reviews] = slices.Compact(out[reviews])
	return out
}

func TestEveryCodeHasAnEntryAndEveryEntryACode(t *testing.T) {
	codes := spoken(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "refusals", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for file := range codes {
		if !slices.Contains(files, file) {
			t.Errorf("%s does not exist, and its room refuses with %s", file, strings.Join(codes[file], ", "))
		}
	}
	for _, file := range files {
		p, err := page.Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, code := range codes[file] {
			if p.Entry(code) == nil {
				t.Errorf("%s has no entry of %s", file, code)
			}
		}
		for _, e := range p.Entries {
			if !slices.Contains(codes[file], e.Code) {
				t.Errorf("%s has an entry of %s, which the source does not know", file, e.Code)
			}
		}
	}
}

// What issue and reader ask of a refusal: where, what was expected, what was found, and who can go on, or how.
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

// The scanner must be able to find what is hard to find: these codes reach a refusal through a helper's parameter, a
// concatenation, a table, a named result, a value that was declared far away.
func TestScannerFollowsCodesThroughHelpers(t *testing.T) {
	codes := spoken(t)
	for _, known := range []struct{ room, code string }{
		{"internal/bundle", "answer-not-canonical"},    // what + "-not-canonical"
		{"internal/approvals", "roster-quorum"},        // returned by a function
		{"internal/policy", "limit-window"},            // assigned to a variable, then overwritten
		{"internal/wallet", "key-fingerprint"},         // passed to a helper
		{"internal/policy", "policy-field-missing"},    // field of a literal
		{"cmd/coldsign/internal/home", "pin-unsealed"}, // constructor in a room of a command
	} {
		if !slices.Contains(codes[pageOf(known.room)], known.code) {
			t.Errorf("%s of %s is not found", known.code, known.room)
		}
	}
}
