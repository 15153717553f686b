package internal_test

import (
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// controlled are the rows of the list of controls that docs/controls.md answers for.
var controlled = []int{6, 7, 8, 18, 23, 24, 25, 26, 31, 34, 77, 78, 79, 80, 81, 82, 83, 84, 85, 87, 132}

var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)

// control is one row of the page.
type control struct {
	number int
	here   string
	tests  []string
}

// readControls reads the rows of the page, and what is wrong with them by themselves.
func readControls(page string) (rows []control, wrong []string) {
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 {
			continue
		}
		number, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			continue // the head of the table
		}
		row := control{number, strings.TrimSpace(cells[3]), strings.Fields(cells[5])}
		rows = append(rows, row)
		built := row.here == "held" || row.here == "in part"
		if !built && row.here != "not built" || built == (len(row.tests) == 0) || strings.TrimSpace(cells[4]) == "" {
			wrong = append(wrong, "row "+strconv.Itoa(number)+" is "+strconv.Quote(row.here)+" with "+strconv.Itoa(len(row.tests))+" tests")
		}
		for _, name := range row.tests {
			if !testName.MatchString(name) {
				wrong = append(wrong, "row "+strconv.Itoa(number)+" names "+name+", which is no name of a test")
			}
		}
	}
	return rows, wrong
}

// Every control is on the page, says what stands behind it, and names tests that exist.
func TestControlsAreWhatTheirPageSays(t *testing.T) {
	raw, err := os.ReadFile("../docs/controls.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, wrong := readControls(string(raw))
	for _, what := range wrong {
		t.Error(what)
	}
	there := map[string]bool{}
	for _, file := range sources(t) {
		if !strings.HasSuffix(file.path, "_test.go") {
			continue
		}
		for _, decl := range file.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				there[fn.Name.Name] = true
			}
		}
	}
	var numbers []int
	for _, row := range rows {
		numbers = append(numbers, row.number)
		for _, name := range row.tests {
			if !there[name] {
				t.Errorf("row %d names %s, which does not exist", row.number, name)
			}
		}
	}
	if !slices.Equal(numbers, controlled) {
		t.Errorf("the page has rows %v, the list %v", numbers, controlled)
	}
	for _, line := range []string{"| 6 | x | held | why | |", "| 6 | x | not built | why | TestSomething |", "| 6 | x | done | why | TestSomething |", "| 6 | x | held | | TestSomething |",
		"| 6 | x | held | why | something |"} {
		if _, wrong := readControls(line); len(wrong) == 0 {
			t.Errorf("taken: %s", line)
		}
	}
}

// Control 6: what serves customers links nothing that matches, keeps balances or stores, so no slip of a handler can
// reach past the bus. What was searched for is found where it belongs.
func TestControl006TheGatewayLinksNothingOfTheEngine(t *testing.T) {
	engine := "\n" + dependencies(t, "./internal/engine") + dependencies(t, "./internal/store/journal")
	gateway := "\n" + dependencies(t, "./internal/gateway")
	for _, room := range []string{"matching", "ledger", "engine", "store", "store/journal"} {
		if strings.Contains(gateway, "\n"+module+"internal/"+room+"\n") {
			t.Errorf("internal/gateway depends on internal/%s", room)
		}
		if room != "store" && !strings.Contains(engine, "\n"+module+"internal/"+room+"\n") {
			t.Errorf("the search does not find internal/%s where it is", room)
		}
	}
}
