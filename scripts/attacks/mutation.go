package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mutation takes one check out of the product and names the test that must then fail.
type mutation struct {
	where   string // file and line of its block
	numbers []int
	check   string // what no longer happens, in a few words
	pkg     string
	run     string // pattern for go test -run
	edits   []edit
}

// edit replaces text that stands exactly once in a file.
type edit struct {
	file     string
	old, new string
}

// readMutations reads every file of the mutations folder, in order of their names.
func readMutations(root string) ([]mutation, error) {
	files, err := filepath.Glob(filepath.Join(root, folder, "mutations", "*.txt"))
	if err != nil {
		return nil, err
	}
	var out []mutation
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		more, err := parseMutations(filepath.Base(file), string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(out) == 0 {
		return nil, errors.New("no mutations: is this the project's root?")
	}
	return out, nil
}

func parseMutations(name, text string) ([]mutation, error) {
	var out []mutation
	var block []string
	first := 0
	for i, row := range append(strings.Split(text, "\n"), "") {
		switch {
		case strings.HasPrefix(row, "#"):
		case row != "":
			if block = append(block, row); len(block) == 1 {
				first = i + 1
			}
		case len(block) > 0:
			m, err := parseBlock(block)
			if m.where = fmt.Sprintf("%s:%d", name, first); err != nil {
				return nil, fmt.Errorf("%s: %w", m.where, err)
			}
			out, block = append(out, m), nil
		}
	}
	return out, nil
}

func parseBlock(rows []string) (m mutation, err error) {
	if m.numbers, m.check, err = parseHead(rows[0]); err != nil {
		return m, err
	}
	for _, row := range rows[1:] {
		word, rest, _ := strings.Cut(row, " ")
		switch {
		case row[0] == '-' || row[0] == '+':
			if len(m.edits) == 0 {
				return m, fmt.Errorf("%q before edit", row)
			}
			e := &m.edits[len(m.edits)-1]
			if row[0] == '-' && e.new != "" { // the next place of the same file
				m.edits = append(m.edits, edit{file: e.file})
				e = &m.edits[len(m.edits)-1]
			}
			if row[0] == '-' {
				e.old += row[1:] + "\n"
			} else {
				e.new += row[1:] + "\n"
			}
		case word == "test":
			if m.pkg, m.run, _ = strings.Cut(rest, " "); !strings.HasPrefix(m.pkg, "./") || m.run == "" {
				return m, fmt.Errorf("%q names no package and pattern", row)
			}
		case word == "edit":
			m.edits = append(m.edits, edit{file: rest})
		default:
			return m, fmt.Errorf("%q is neither test, edit, - nor +", row)
		}
	}
	for i := range m.edits { // the last line may be a part of one
		m.edits[i].old, m.edits[i].new = strings.TrimSuffix(m.edits[i].old, "\n"), strings.TrimSuffix(m.edits[i].new, "\n")
	}
	if m.pkg == "" || len(m.edits) == 0 || slices.ContainsFunc(m.edits, func(e edit) bool { return e.old == "" || e.new == "" }) {
		return m, errors.New("a block needs a test, an edit, text to find and text in its place")
	}
	return m, nil
}

// parseHead reads "021 what no longer happens", or "022 023 what...".
func parseHead(row string) (numbers []int, check string, err error) {
	for check = row; ; {
		word, rest, found := strings.Cut(check, " ")
		n, err := strconv.Atoi(word)
		if err != nil || len(word) != 3 {
			break
		}
		if numbers, check = append(numbers, n), rest; !found || n < 1 || n > linesMost {
			return nil, "", fmt.Errorf("%q is no number and sentence", row)
		}
	}
	if len(numbers) == 0 {
		return nil, "", fmt.Errorf("%q begins with no number", row)
	}
	return numbers, check, nil
}

// apply returns the changed files of a mutation. Text that is not there exactly once is an error: the source has moved
// on, and the mutation would no longer take out what it says.
func (m mutation) apply(root string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, e := range m.edits {
		text, ok := out[e.file]
		if !ok {
			var err error
			if text, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file))); err != nil {
				return nil, err
			}
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return nil, fmt.Errorf("%s has the text %d times, want once:\n%s", e.file, n, e.old)
		}
		out[e.file] = []byte(strings.Replace(string(text), e.old, e.new, 1))
	}
	return out, nil
}
