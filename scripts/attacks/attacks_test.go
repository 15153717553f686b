package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func TestEveryNumberStandsOnce(t *testing.T) {
	lines, err := readLines(root)
	if err != nil {
		t.Fatal(err)
	}
	need := 0
	for i, l := range lines {
		if l.number != i+1 {
			t.Errorf("line %d has the number %d", i+1, l.number)
		}
		if required(l.number) {
			need++
		}
	}
	if len(lines) != linesMost || need != 75 {
		t.Errorf("%d lines, %d required", len(lines), need)
	}
}

func TestATableThatLeavesSomethingOpenIsRefused(t *testing.T) {
	text, err := os.ReadFile("lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a number is missing":       {"\n077 | ", "\n# 077 | "},
		"a number twice":            {"\n077 | ", "\n076 | "},
		"no such status":            {"\n077 | held", "\n077 | fine"},
		"no reason":                 {"\n126 | later | MuSig2 or FROST nonces are reused | not enabled; fields of both are refused", "\n126 | later | MuSig2 or FROST nonces are reused | "},
		"a required line for later": {"\n021 | held", "\n021 | later"},
		"a required line in part":   {"\n119 | held", "\n119 | part"},
		"one line more":             {"\n134 | ", "\n134 | held | x | y\n135 | "},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Errorf("%s: the table has no %q", name, change[0])
		}
		if _, err := parseLines(changed); err == nil {
			t.Errorf("%s: the table was read", name)
		}
	}
}

// Every line that holds has a test of its own number.
func TestEveryHeldLineHasATest(t *testing.T) {
	lines, err := readLines(root)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := findTests(root)
	if err != nil {
		t.Fatal(err)
	}
	own := map[int]int{}
	for _, found := range tests {
		for _, n := range found.numbers {
			if !found.spread {
				own[n]++
			}
		}
	}
	for _, l := range lines {
		if (l.status == held || l.status == part) && own[l.number] == 0 {
			t.Errorf("line %03d is %s and has no test of its own", l.number, l.status)
		}
	}
}

func TestNumbersAreReadFromNames(t *testing.T) {
	for name, want := range map[string][]int{
		"TestAttack021FeeAttack": {21}, "TestAttack010And011Spellings": {10, 11}, "TestAttack022And023And026Previous": {22, 23, 26},
		"TestAttack093AndAttack128OnlyTyped": {93, 128}, "TestAttack000Nothing": nil, "TestAttack135Beyond": nil, "TestAttack050To008Backwards": nil,
		"TestAttack01Short": nil, "TestSomething": nil,
	} {
		if got, spread := numbersOf(name); !slices.Equal(got, want) || spread {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got, spread := numbersOf("TestAttack008To012Doors"); !slices.Equal(got, []int{8, 9, 10, 11, 12}) || !spread {
		t.Errorf("a range: %v %v", got, spread)
	}
}

func TestAVerdictNeedsAResultOfEveryTest(t *testing.T) {
	one := test{pkg: "./a", name: "TestAttack021One", numbers: []int{21}}
	wide := test{pkg: "./a", name: "TestAttack008To050Wide", numbers: []int{21}, spread: true}
	l := line{number: 21, status: held}
	pass := results{"./a TestAttack021One": "pass", "./a TestAttack008To050Wide": "pass"}
	for name, c := range map[string]struct {
		line  line
		tests []test
		got   results
		want  string
	}{
		"passes":            {l, []test{one, wide}, pass, "pass"},
		"a range alone":     {l, []test{wide}, pass, "FAIL: no test"},
		"no test":           {l, nil, pass, "FAIL: no test"},
		"did not run":       {l, []test{one}, results{}, "FAIL: TestAttack021One did not run"},
		"skipped":           {l, []test{one}, results{"./a TestAttack021One": "skip"}, "FAIL: TestAttack021One skip"},
		"failed":            {l, []test{one}, results{"./a TestAttack021One": "fail"}, "FAIL: TestAttack021One fail"},
		"later with a test": {line{number: 94, status: later}, []test{one}, pass, "begun"},
		"later":             {line{number: 94, status: later}, nil, pass, "later"},
		"in part":           {line{number: 84, status: part}, []test{one}, pass, "pass in part"},
		"does not apply":    {line{number: 27, status: none}, nil, pass, "not applicable"},
		"the range has failed": {l, []test{one, wide}, results{"./a TestAttack021One": "pass", "./a TestAttack008To050Wide": "fail"},
			"FAIL: TestAttack008To050Wide fail"},
	} {
		word, ok := verdict(c.line, c.tests, c.got)
		if word != c.want || ok == strings.HasPrefix(c.want, "FAIL") {
			t.Errorf("%s: %q %v, want %q", name, word, ok, c.want)
		}
	}
}

// Every required line has a mutation, and every mutation fits the source of today.
func TestEveryRequiredLineHasAMutationThatFits(t *testing.T) {
	list, err := readMutations(root)
	if err != nil {
		t.Fatal(err)
	}
	covered := map[int]bool{}
	for _, m := range list {
		if _, err := m.apply(root); err != nil {
			t.Errorf("%s: %v", m.where, err)
		}
		for _, n := range m.numbers {
			covered[n] = true
		}
	}
	if missing := unproven(covered, 0); len(missing) > 0 {
		t.Errorf("no mutation for %s", digits(missing))
	}
}

func TestBlocksThatSayNothingAreRefused(t *testing.T) {
	const good = "021 022 taken out\ntest ./a ^TestX\nedit a/b.go\n-	old\n+	new\n-	older\n+	newer\n"
	list, err := parseMutations("x.txt", "# words\n\n"+good)
	if err != nil || len(list) != 1 || !slices.Equal(list[0].numbers, []int{21, 22}) || len(list[0].edits) != 2 || list[0].where != "x.txt:3" {
		t.Fatalf("%+v %v", list, err)
	}
	if e := list[0].edits[1]; e.file != "a/b.go" || e.old != "\tolder" || e.new != "\tnewer" {
		t.Errorf("%+v", e)
	}
	for name, bad := range map[string]string{
		"no number": strings.Replace(good, "021 022 ", "", 1), "no test": strings.Replace(good, "test ./a ^TestX\n", "", 1), "no pattern": strings.Replace(good, " ^TestX", "", 1),
		"text before edit": strings.Replace(good, "edit a/b.go\n", "", 1), "nothing new": strings.Replace(good, "+	newer\n", "", 1), "an unknown word": good + "also this\n",
		"a number beyond": strings.Replace(good, "022", "135", 1),
	} {
		if _, err := parseMutations("x.txt", bad); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestAnEditMustMatchExactlyOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("one\ntwo\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func(old string) (string, error) {
		changed, err := mutation{edits: []edit{{"a.go", old, "three"}, {"a.go", "three", "four"}}}.apply(dir)
		return string(changed["a.go"]), err
	}
	if got, err := apply("one"); err != nil || got != "four\ntwo\ntwo\n" {
		t.Errorf("%q %v", got, err)
	}
	for _, old := range []string{"two", "five"} {
		if got, err := apply(old); err == nil {
			t.Errorf("%s gave %q", old, got)
		}
	}
	real, err := os.ReadFile(filepath.Join(dir, "a.go"))
	if err != nil || string(real) != "one\ntwo\ntwo\n" {
		t.Errorf("the file itself was changed: %q %v", real, err)
	}
}

func TestThePageIsCurrent(t *testing.T) {
	want, err := pageOf(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pagePath(root))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/attacks.md is stale (%v): go run ./scripts/attacks --write", err)
	}
}
