package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pagePath is the document that people read.
func pagePath(root string) string { return filepath.Join(root, "docs", "attacks.md") }

// marker separates what is written here from what people wrote.
const marker = "<!-- the rest is written by go run ./scripts/attacks --write -->\n"

// writePage writes the generated half of docs/attacks.md and leaves the other as it is.
func writePage(_ context.Context, out io.Writer, root string, _ int) error {
	page, err := pageOf(root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(pagePath(root), page, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "docs/attacks.md is written")
	return err
}

// pageOf is the page as it must be: what people wrote, then the tables.
func pageOf(root string) ([]byte, error) {
	lines, err := readLines(root)
	if err != nil {
		return nil, err
	}
	list, err := readMutations(root)
	if err != nil {
		return nil, err
	}
	written, err := os.ReadFile(pagePath(root))
	if err != nil {
		return nil, err
	}
	head, _, found := strings.Cut(string(written), marker)
	if !found {
		return nil, fmt.Errorf("%s has lost the line %q", pagePath(root), strings.TrimSpace(marker))
	}
	var b strings.Builder
	b.WriteString(head + marker)
	b.WriteString("\n## Every attack\n\n| # | attack | here | what stops it, why it does not apply, or what is missing |\n|---|---|---|---|\n")
	words := map[status]string{held: "held", part: "in part", later: "later", none: "does not apply"}
	for _, l := range lines {
		fmt.Fprintf(&b, "| %03d | %s | %s | %s |\n", l.number, l.attack, words[l.status], l.answer)
	}
	b.WriteString("\n## Every check that is taken out\n\n| # | without this check | the test that fails |\n|---|---|---|\n")
	slices.SortStableFunc(list, func(x, y mutation) int { return x.numbers[0] - y.numbers[0] })
	for _, m := range list {
		fmt.Fprintf(&b, "| %s | %s | `%s` in `%s` |\n", digits(m.numbers), strings.ReplaceAll(m.check, "|", "\\|"), strings.ReplaceAll(m.run, "|", "\\|"),
			strings.TrimPrefix(m.pkg, "./"))
	}
	return []byte(b.String()), nil
}
