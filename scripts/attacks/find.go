package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// test is one test that carries attack numbers in its name.
type test struct {
	pkg     string // "./internal/chain/bitcoin"
	name    string // "TestAttack021FeeAttack", or "TestStories/attack_021_fee" for a script
	numbers []int
	spread  bool // a range of numbers: it shows that checks reach a door, and is no line's only test
}

var (
	testName   = regexp.MustCompile(`(?m)^func (TestAttack\d{3}[A-Za-z0-9_]*)\(`)
	scriptName = regexp.MustCompile(`^attack_(\d{3}(?:_\d{3})*)_[a-z0-9_]*\.txtar$`)
	scripts    = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]*)\([^)]*\) \{(?:\n[^}].*)*?testscript\.Run\(`)
	leading    = regexp.MustCompile(`^TestAttack(\d{3}(?:And(?:Attack)?\d{3})*)(?:To(\d{3}))?`)
)

// findTests lists the numbered tests and scripts of all packages, by package and name.
func findTests(root string) ([]test, error) {
	var out []test
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && skipped(entry.Name()) {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || entry.IsDir() {
			return err
		}
		tests, err := testsOf(root, filepath.ToSlash(rel))
		out = append(out, tests...)
		return err
	})
	slices.SortFunc(out, func(a, b test) int { return strings.Compare(a.pkg+" "+a.name, b.pkg+" "+b.name) })
	return out, err
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || dir == "build" || dir == "out" || dir == "node_modules"
}

func testsOf(root, rel string) ([]test, error) {
	if m := scriptName.FindStringSubmatch(path.Base(rel)); m != nil {
		return scriptTest(root, rel, strings.Split(m[1], "_"))
	}
	if !strings.HasSuffix(rel, "_test.go") {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(root, rel))
	if err != nil {
		return nil, err
	}
	var out []test
	for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
		t := test{pkg: "./" + path.Dir(rel), name: m[1]}
		if t.numbers, t.spread = numbersOf(m[1]); len(t.numbers) == 0 {
			return nil, fmt.Errorf("%s: %s has numbers that are none", rel, m[1])
		}
		out = append(out, t)
	}
	return out, nil
}

// numbersOf reads the numbers of a test's name: TestAttack010And011..., TestAttack008To050...
func numbersOf(name string) (numbers []int, spread bool) {
	m := leading.FindStringSubmatch(name)
	if m == nil {
		return nil, false
	}
	for _, digits := range regexp.MustCompile(`\d{3}`).FindAllString(m[1], -1) {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > linesMost {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	if m[2] == "" {
		return numbers, false
	}
	last, err := strconv.Atoi(m[2])
	if err != nil || len(numbers) != 1 || last <= numbers[0] || last > linesMost {
		return nil, false
	}
	for n := numbers[0] + 1; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers, true
}

// scriptTest finds the test that runs the scripts of a folder: the one in the package above it that calls testscript.
func scriptTest(root, rel string, digits []string) ([]test, error) {
	dir := path.Dir(path.Dir(rel))
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := scripts.FindSubmatch(text)
		if m == nil {
			continue
		}
		t := test{pkg: "./" + dir, name: string(m[1]) + "/" + strings.TrimSuffix(path.Base(rel), ".txtar")}
		for _, d := range digits {
			n, err := strconv.Atoi(d)
			if err != nil || n < 1 || n > linesMost {
				return nil, fmt.Errorf("%s carries a number that is none", rel)
			}
			t.numbers = append(t.numbers, n)
		}
		return []test{t}, nil
	}
	return nil, fmt.Errorf("%s is run by no test", rel)
}
