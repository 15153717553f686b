package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// results says of each test, by package and name, what go test said of it.
type results map[string]string // "pass", "fail" or "skip"

func (r results) of(t test) string { return r[t.pkg+" "+t.name] }

// event is one line of go test -json.
type event struct {
	Action, Package, Test, FailedBuild, Output string
}

// goTest runs one go test with the arguments and gives the results of every test and subtest, and what the compiler said
// when something did not compile. A failing test is no error here.
func goTest(ctx context.Context, root string, args ...string) (results, string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-vet=off"}, args...)...)
	cmd.Dir = root
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, "", err
	}
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	found, complaint := results{}, ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // go test mixes plain text in when a package does not load
		}
		switch e.Action {
		case "build-output":
			complaint += e.Output
		case "build-fail":
			complaint += "it does not compile"
		case "pass", "fail", "skip":
			if e.Test != "" {
				found[relative(e.Package)+" "+e.Test] = e.Action
			}
		}
	}
	if err != nil && len(found) == 0 && complaint == "" {
		return nil, "", fmt.Errorf("go test %s: %w\n%s%s", strings.Join(args, " "), err, failure.String(), tailOf(out))
	}
	return found, complaint, lines.Err()
}

func relative(pkg string) string {
	return "./" + strings.TrimPrefix(pkg, "github.com/coldsign/coldsign/")
}

func tailOf(out []byte) []byte { return out[max(0, len(out)-2000):] }

// runTests runs the numbered tests of all packages, and the scripts after them.
func runTests(ctx context.Context, root string, tests []test) (results, error) {
	var packages, withScripts, runners []string
	for _, t := range tests {
		runner, _, script := strings.Cut(t.name, "/")
		list := &packages
		if script {
			list, runners = &withScripts, append(runners, runner)
		}
		if !slices.Contains(*list, t.pkg) {
			*list = append(*list, t.pkg)
		}
	}
	all, _, err := goTest(ctx, root, append([]string{"-run", "^TestAttack"}, packages...)...)
	if err != nil || len(withScripts) == 0 {
		return all, err
	}
	more, _, err := goTest(ctx, root, append([]string{"-run", "^(" + strings.Join(runners, "|") + ")$/^attack_"}, withScripts...)...)
	maps.Copy(all, more)
	return all, err
}
