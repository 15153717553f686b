package jsondoc_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every code that the admin API answers with beside refusals is in the table of docs/json.md, and every code there is one.
func TestProblemsOfTheAdminAPIAreDocumented(t *testing.T) {
	problem := regexp.MustCompile(`NewProblem\([A-Za-z.]+, "([a-z-]+)"`)
	var spoken []string
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, found := range problem.FindAllSubmatch(source, -1) {
				spoken = append(spoken, string(found[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "| `code` | what it says |")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for line := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, found := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cell, -1) {
			documented = append(documented, found[1])
		}
	}
	slices.Sort(spoken)
	slices.Sort(documented)
	if got := slices.Compact(spoken); len(got) < 10 || !slices.Equal(got, documented) {
		t.Errorf("answered:\n%q\ndocumented:\n%q", got, documented)
	}
}
