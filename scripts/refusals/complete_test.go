package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// meaningless are codes in the source that no refusal ever carries, each with its reason.
var meaningless = map[string]string{
	"internal/chain/bitcoin ": "payable returns no code for a script that may be paid, and its caller refuses nothing then",
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
	out, used := map[string][]string{}, 0
	for _, r := range found {
		if meaningless[r.Room+" "+r.Code] != "" {
			used++
		}
		if meaningless[r.Room+" "+r.Code] == "" {
			out[pageOf(r.Room)] = append(out[pageOf(r.Room)], r.Code)
		}
	}
	if used != len(meaningless) {
		t.Errorf("%d of %d exceptions are still needed", used, len(meaningless))
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
