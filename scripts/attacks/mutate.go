package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// outcome is what became of a mutation.
type outcome string

const (
	killed   outcome = "KILLED"   // a test failed, as it must
	survived outcome = "SURVIVED" // the check is gone and nobody noticed
	broken   outcome = "BROKEN"   // it does not apply, or does not compile, or its test fails without it too
)

var errSurvived = errors.New("a check can be taken out and no test notices, or a mutation no longer fits the source")

// mutations applies every mutation in turn and prints what became of it.
func mutations(ctx context.Context, out io.Writer, root string, only int) error {
	list, err := readMutations(root)
	if err != nil {
		return err
	}
	if only != 0 {
		list = slices.DeleteFunc(list, func(m mutation) bool { return !slices.Contains(m.numbers, only) })
	}
	dir, err := os.MkdirTemp("", "attacks")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	count, proven, healthy := map[outcome]int{}, map[int]bool{}, map[string]bool{}
	for _, m := range list {
		became, why := broken, "its test does not pass without it"
		if sound(ctx, root, m, healthy) {
			became, why = m.try(ctx, root, dir)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		count[became]++
		for _, n := range m.numbers {
			proven[n] = proven[n] || became == killed
		}
		fmt.Fprintf(out, "%-8s  %s  %s  %s %s\n", became, digits(m.numbers), m.check, m.pkg, m.run)
		if became != killed {
			fmt.Fprintf(out, "          %s: %s\n", m.where, why)
		}
	}
	missing := unproven(proven, only)
	fmt.Fprintf(out, "\n%d mutations: %d killed, %d survived, %d broken; required lines without one: %s\n", len(list),
		count[killed], count[survived], count[broken], digits(missing))
	if count[killed] != len(list) || len(missing) > 0 {
		return errSurvived
	}
	return nil
}

// unproven lists the required lines that no killed mutation has.
func unproven(proven map[int]bool, only int) []int {
	var missing []int
	for n := 1; n <= linesMost; n++ {
		if required(n) && !proven[n] && (only == 0 || only == n) {
			missing = append(missing, n)
		}
	}
	return missing
}

func digits(numbers []int) string {
	if len(numbers) == 0 {
		return "none"
	}
	var out []string
	for _, n := range numbers {
		out = append(out, fmt.Sprintf("%03d", n))
	}
	return strings.Join(out, " ")
}

// sound reports whether the mutation's test passes on the source as it is; each is asked once.
func sound(ctx context.Context, root string, m mutation, healthy map[string]bool) bool {
	key := m.pkg + " " + m.run
	if known, ok := healthy[key]; ok {
		return known
	}
	found, complaint, err := goTest(ctx, root, "-run", m.run, m.pkg)
	healthy[key] = err == nil && complaint == "" && len(found) > 0 && !found.has("fail") && found.has("pass")
	return healthy[key]
}

func (r results) has(result string) bool {
	for _, got := range r {
		if got == result {
			return true
		}
	}
	return false
}

// try compiles the mutated source beside the real one and runs the test. Only a test that ran and failed counts.
func (m mutation) try(ctx context.Context, root, dir string) (outcome, string) {
	changed, err := m.apply(root)
	if err != nil {
		return broken, err.Error()
	}
	overlay, err := writeOverlay(root, dir, changed)
	if err != nil {
		return broken, err.Error()
	}
	args := []string{"-overlay", overlay, "-timeout", "120s", "-run", m.run, m.pkg}
	if drawsAtRandom(root, m.pkg) {
		args = append(args, "-rapid.nofailfile") // it would keep the failing draw in the package's folder
	}
	found, complaint, err := goTest(ctx, root, args...)
	switch {
	case err != nil:
		return broken, err.Error()
	case complaint != "":
		return broken, strings.ReplaceAll(strings.TrimSpace(complaint), "\n", "\n          ")
	case found.has("fail"):
		return killed, ""
	case len(found) == 0:
		return broken, "its test did not run"
	}
	return survived, "the test passes without the check"
}

// drawsAtRandom reports whether tests of the package use rapid.
func drawsAtRandom(root, pkg string) bool {
	files, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `"pgregory.net/rapid"`)
	})
}

// writeOverlay writes the changed files and the table that tells the go command to read them in place of the real ones.
func writeOverlay(root, dir string, changed map[string][]byte) (string, error) {
	table := struct{ Replace map[string]string }{map[string]string{}}
	n := 0
	for file, text := range changed {
		real, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return "", err
		}
		n++
		copied := filepath.Join(dir, fmt.Sprintf("%d_%s", n, filepath.Base(file)))
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			return "", err
		}
		table.Replace[real] = copied
	}
	raw, err := json.Marshal(table)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, raw, 0o600)
}
