package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// verdict is what is said of a line: "pass", "pass in part", "not applicable", "later", "begun" when a line for later has
// a test already, or FAIL and why.
func verdict(l line, tests []test, r results) (word string, ok bool) {
	own := 0
	for _, t := range tests {
		if got := r.of(t); got != "pass" {
			if got == "" {
				got = "did not run"
			}
			return "FAIL: " + t.name + " " + got, false
		}
		if !t.spread {
			own++
		}
	}
	switch {
	case l.status == none:
		return "not applicable", true
	case l.status == later && own > 0:
		return "begun", true
	case l.status == later:
		return "later", true
	case own == 0:
		return "FAIL: no test", false
	case l.status == part:
		return "pass in part", true
	}
	return "pass", true
}

// report prints a line for each attack, and what they come to.
func report(out io.Writer, lines []line, tests []test, r results, only int) error {
	count, failed := map[string]int{}, 0
	for _, l := range lines {
		if only != 0 && l.number != only {
			continue
		}
		var mine []test
		for _, t := range tests {
			if slices.Contains(t.numbers, l.number) {
				mine = append(mine, t)
			}
		}
		word, ok := verdict(l, mine, r)
		if !ok {
			failed++
		}
		key, _, _ := strings.Cut(word, ":")
		count[key]++
		fmt.Fprintf(out, "%03d  %s  [%s]", l.number, l.attack, word)
		if l.status != held {
			fmt.Fprintf(out, "  %s", l.answer)
		}
		for _, t := range mine {
			fmt.Fprintf(out, "  %s.%s", path.Base(t.pkg), t.name)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\n%d pass, %d in part, %d not applicable, %d later, %d fail\n",
		count["pass"], count["pass in part"], count["not applicable"], count["later"]+count["begun"], failed)
	if failed > 0 {
		return errHeld
	}
	return nil
}
