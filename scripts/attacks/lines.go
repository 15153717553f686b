package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const linesMost = 134

// folder is where this program keeps its tables, seen from the project's root.
var folder = filepath.Join("scripts", "attacks")

// status says how far a line holds.
type status string

const (
	held  status = "held"  // tests of this number hold the whole line
	part  status = "part"  // tests hold some of it
	later status = "later" // another capability brings it
	none  status = "none"  // it does not apply
)

// line is one attack of the specification.
type line struct {
	number int
	status status
	attack string
	answer string // what stops it, why it does not apply, or what is missing
}

// required reports whether a line must hold, or say why it does not apply.
func required(number int) bool {
	switch number {
	case 116, 119, 120, 125, 127, 128, 129:
		return true
	}
	return number >= 8 && number <= 75
}

// readLines reads the table of all attacks and refuses one with a gap, a repetition or a missing reason.
func readLines(root string) ([]line, error) {
	text, err := os.ReadFile(filepath.Join(root, folder, "lines.txt"))
	if err != nil {
		return nil, err
	}
	return parseLines(string(text))
}

func parseLines(text string) ([]line, error) {
	var out []line
	for row := range strings.Lines(text) {
		if row = strings.TrimSpace(row); row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		cells := strings.Split(row, " | ")
		if len(cells) != 4 {
			return nil, fmt.Errorf("%q has %d columns, want 4", row, len(cells))
		}
		l := line{status: status(cells[1]), attack: cells[2], answer: cells[3]}
		if _, err := fmt.Sscanf(cells[0], "%03d", &l.number); err != nil || l.number != len(out)+1 {
			return nil, fmt.Errorf("%q: want number %03d", row, len(out)+1)
		}
		switch {
		case l.status != held && l.status != part && l.status != later && l.status != none:
			return nil, fmt.Errorf("%q has no status", row)
		case l.attack == "" || l.answer == "":
			return nil, fmt.Errorf("%q does not explain itself", row)
		case required(l.number) && l.status != held && l.status != none:
			return nil, fmt.Errorf("%q is required and does not hold", row)
		}
		out = append(out, l)
	}
	if len(out) != linesMost {
		return nil, fmt.Errorf("%d lines, want %d", len(out), linesMost)
	}
	return out, nil
}
