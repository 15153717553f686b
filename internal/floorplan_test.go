// Package internal_test holds the house rules: the floor plan, the air gap, the lengths and the package comments, each
// as a test, because prose forgets. It reads the source with go/parser and the linked programs with go tool nm.
// What may never happen here: an exception without its reason beside it.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/coldsign/coldsign/"

// floors is the floor plan of docs/architecture.md. A room may import rooms of the floors above it in this list, and
// the rooms of its own floor that `beside` names.
var floors = [][]string{
	{"internal/money", "internal/spend", "internal/words", "internal/near", "internal/chain/internal/proof", "internal/chain"},
	{"internal/seal", "internal/wallet", "internal/chain/bitcoin", "internal/approvals", "internal/bundle", "internal/transport",
		"internal/policy", "internal/review", "internal/exchange"},
	{"internal/matching", "internal/ledger", "internal/accounts", "internal/limits", "internal/engine", "internal/treasury", "cmd/coldsign/internal/keystore", "cmd/coldsign/internal/home", "cmd/coldsign/internal/signing"},
	{"hsm", "internal/console", "internal/command", "internal/node", "internal/store/encrypted", "internal/store", "internal/store/journal", "internal/store/records", "internal/bus",
		"internal/gateway", "internal/admin"},
	{"cmd/coldsign", "cmd/warmctl", "cmd/exchanged"},
}

// beside lists the imports within one floor, each with a direction that never turns round.
var beside = map[string][]string{
	"internal/spend":                {"internal/money"},
	"internal/chain":                {"internal/money", "internal/spend", "internal/chain/internal/proof"},
	"internal/chain/bitcoin":        {"internal/wallet"},
	"internal/approvals":            {"internal/seal", "internal/exchange"},
	"internal/bundle":               {"internal/seal"},
	"cmd/coldsign/internal/home":    {"cmd/coldsign/internal/keystore"},
	"cmd/coldsign/internal/signing": {"cmd/coldsign/internal/home", "cmd/coldsign/internal/keystore"},
	"internal/engine":               {"internal/matching", "internal/ledger", "internal/accounts"},
	"internal/store":                {"internal/store/encrypted"},
	"internal/store/records":        {"internal/store/encrypted"},
	"internal/gateway":              {"internal/bus"},
	"internal/command":              {"internal/console"},
	"internal/admin":                nil,
	"internal/chain/internal/proof": nil,
}

// testRooms may be imported by tests, by each other and by scripts, never by a product package.
var testRooms = []string{"internal/chain/chaintest", "internal/console/ptytest", "internal/node/nodetest", "internal/store/storetest",
	"internal/engine/enginetest", "hsm/hsmtest"}

var bannedNames = []string{"util", "utils", "common", "helper", "helpers", "types", "core", "manager", "misc", "base"}

type sourceFile struct {
	path   string // relative to the project root
	syntax *ast.File
	set    *token.FileSet
}

// sources parses every Go file of the project. Build tags are ignored on purpose: the plan holds for all builds.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	var out []sourceFile
	root, set := "..", token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if entry.IsDir() && (rel == ".git" || rel == "build" || rel == "out" || rel == "testdata" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, sourceFile{filepath.ToSlash(rel), file, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d Go files found: the walk is broken", len(out))
	}
	return out
}

func floorOf(room string) int {
	return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

// misplaced says why room may not import target, or nothing.
func misplaced(room, target string) string {
	from, to := floorOf(room), floorOf(target)
	switch {
	case slices.Contains(testRooms, target):
		return "is for tests only"
	case to < 0:
		return "is not on the floor plan"
	case from == to && !slices.Contains(beside[room], target):
		return "is on the same floor and not named beside it"
	case to > from:
		return "is on a lower floor"
	}
	return ""
}

func TestFloorPlan(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range sources(t) {
		room := path.Dir(file.path)
		if strings.HasPrefix(room, "scripts") || room == "internal" || slices.Contains(testRooms, room) {
			continue
		}
		if floorOf(room) < 0 {
			t.Errorf("%s: room %s is not on the floor plan", file.path, room)
			continue
		}
		seen[room] = true
		if strings.HasSuffix(file.path, "_test.go") {
			continue
		}
		for _, spec := range file.syntax.Imports {
			target, _ := strconv.Unquote(spec.Path.Value)
			if target, ours := strings.CutPrefix(target, module); ours {
				if why := misplaced(room, target); why != "" {
					t.Errorf("%s imports %s, which %s", file.path, target, why)
				}
			}
		}
	}
	for _, rooms := range floors {
		for _, room := range rooms {
			if !seen[room] {
				t.Errorf("the floor plan names %s, which does not exist", room)
			}
		}
	}
}

// The rules above must be able to fail: these imports are known to be wrong.
func TestFloorPlanRefusesKnownWrongImports(t *testing.T) {
	for room, target := range map[string]string{
		"internal/policy":   "internal/chain/bitcoin",
		"internal/money":    "internal/spend",
		"internal/treasury": "internal/store",
		"internal/review":   "internal/console",
		"internal/bundle":   "internal/chain/chaintest",
		"internal/seal":     "internal/nowhere",
	} {
		if misplaced(room, target) == "" {
			t.Errorf("%s may import %s", room, target)
		}
	}
}

func TestRoomsHaveDomainNames(t *testing.T) {
	for _, file := range sources(t) {
		for _, part := range strings.Split(path.Dir(file.path), "/") {
			if slices.Contains(bannedNames, part) {
				t.Errorf("%s: %q is not the name of a room", file.path, part)
			}
		}
		if name := file.syntax.Name.Name; slices.Contains(bannedNames, name) {
			t.Errorf("%s: package %s", file.path, name)
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, file := range sources(t) {
		for _, decl := range file.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init() hides wiring; wire in main", file.path)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	documented := map[string]int{}
	for _, file := range sources(t) {
		dir := path.Dir(file.path)
		if strings.HasSuffix(file.path, "_test.go") && dir != "internal" {
			continue
		}
		documented[dir] += 0
		if file.syntax.Doc != nil {
			documented[dir] += len(strings.Fields(file.syntax.Doc.Text()))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if documented[dir] < 15 {
			t.Errorf("package %s: its comment has %d words; say why the room exists and what may never happen in it", dir, documented[dir])
		}
	}
}

const (
	functionLinesMax = 70
	fileLinesMax     = 500
	parametersMax    = 5
)

func TestLengths(t *testing.T) {
	for _, file := range sources(t) {
		lines := file.set.File(file.syntax.Pos()).LineCount()
		if lines > fileLinesMax {
			t.Errorf("%s has %d lines, at most %d", file.path, lines, fileLinesMax)
		}
		for _, decl := range file.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := file.set.Position(fn.End()).Line - file.set.Position(fn.Pos()).Line + 1; n > functionLinesMax {
				t.Errorf("%s: %s has %d lines, at most %d", file.path, fn.Name.Name, n, functionLinesMax)
			}
			if n := fn.Type.Params.NumFields(); n > parametersMax {
				t.Errorf("%s: %s has %d parameters, at most %d", file.path, fn.Name.Name, n, parametersMax)
			}
		}
	}
}
