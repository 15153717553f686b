// Package page reads docs/refusals/*.md and holds their examples to refusals that tests make happen.
//
// A page belongs to one room. Behind its introduction it has one entry per code, in the order of the alphabet:
//
//	## amount-mismatch
//
//	The output pays another amount than was approved.        what it means, in one sentence
//
//	**Why**: ...                                             the attack or the mistake that it stops
//
//	**Who**: ...                                             who can fix it, and the next command
//
//	**Exit**: 3, refused by policy                           written by -update
//
//	```
//	coldsign: refused: amount-mismatch at output 0           the refusal as a program prints it, written by -update
//	```
//
// An entry whose refusal no test can cause has a line "**No example**: reason" in place of the last two. What may never
// happen here: an example that is compared loosely; one byte of difference fails the test.
package page

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
)

// Entry is one code of a page.
type Entry struct {
	Code    string
	Meaning string // first paragraph
	Body    string // text between the heading and the exit line, without either
	Exit    string // the exit line's text; empty without an example
	Example string // the refusal as printed, one line break at its end; empty without an example
	Absent  string // why there is no example
}

// Page is the page of one room.
type Page struct {
	Intro   string // everything above the first entry
	Entries []Entry
}

const (
	exitMark   = "**Exit**: "
	absentMark = "**No example**: "
	fence      = "```\n"
)

// Read reads a page from its file. It refuses an entry without a meaning, a reason or a person, and disorder.
func Read(file string) (Page, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return Page{}, err
	}
	parts := strings.Split("\n"+string(raw), "\n## ")
	p := Page{Intro: strings.TrimPrefix(parts[0], "\n")}
	for _, part := range parts[1:] {
		entry, err := parse(part)
		if err != nil {
			return Page{}, fmt.Errorf("%s: %s: %w", file, entry.Code, err)
		}
		if n := len(p.Entries); n > 0 && p.Entries[n-1].Code >= entry.Code {
			return Page{}, fmt.Errorf("%s: %s stands behind %s", file, entry.Code, p.Entries[n-1].Code)
		}
		p.Entries = append(p.Entries, entry)
	}
	return p, nil
}

func parse(part string) (Entry, error) {
	code, rest, _ := strings.Cut(part, "\n")
	e := Entry{Code: code}
	text, example, shown := strings.Cut(rest, fence)
	if shown {
		e.Example, rest, _ = strings.Cut(example, fence)
		if strings.TrimSpace(rest) != "" {
			return e, errors.New("text behind the example")
		}
	}
	body, exit, _ := strings.Cut(text, exitMark)
	e.Body, e.Exit = strings.TrimSpace(body), strings.TrimSpace(exit)
	e.Meaning, _, _ = strings.Cut(e.Body, "\n\n")
	if _, absent, found := strings.Cut(e.Body, absentMark); found {
		e.Absent = strings.TrimSpace(absent)
	}
	switch {
	case e.Meaning == "" || strings.HasPrefix(e.Meaning, "**"):
		return e, errors.New("no sentence says what it means")
	case !strings.Contains(e.Body, "\n\n**Why**: ") || !strings.Contains(e.Body, "\n\n**Who**: "):
		return e, errors.New("it does not say why, or not who can fix it")
	case e.Absent != "" && e.Example != "":
		return e, errors.New("an example, and a reason for none")
	}
	return e, nil
}

// Bytes returns the page as its file holds it.
func (p Page) Bytes() []byte {
	var out bytes.Buffer
	out.WriteString(strings.TrimRight(p.Intro, "\n") + "\n")
	for _, e := range p.Entries {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", e.Code, e.Body)
		if e.Example != "" {
			fmt.Fprintf(&out, "\n%s%s\n\n%s%s%s", exitMark, e.Exit, fence, e.Example, fence)
		}
	}
	return out.Bytes()
}

// Entry returns the entry of a code, to read or to change, or nil.
func (p *Page) Entry(code string) *Entry {
	if i := slices.IndexFunc(p.Entries, func(e Entry) bool { return e.Code == code }); i >= 0 {
		return &p.Entries[i]
	}
	return nil
}

// Show returns the exit line and the text of a refusal as the program called name prints it.
func Show(name string, refusal *spend.Refusal) (exit, example string) {
	var out bytes.Buffer
	c := &console.Console{Name: name, Out: &out, Err: &out}
	c.Report(refusal, false)
	kinds := map[spend.Kind]string{spend.ByPolicy: "refused", spend.NotAuthentic: "not authentic", spend.Unreadable: "unreadable"}
	return fmt.Sprintf("%d, %s", console.CodeOf(refusal), kinds[refusal.Kind]), out.String()
}

// Find returns the refusal of a code in a tree of wrapped and joined errors.
func Find(err error, code string) *spend.Refusal {
	switch e := err.(type) {
	case *spend.Refusal:
		if e.Code == code {
			return e
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if found := Find(inner, code); found != nil {
				return found
			}
		}
	case interface{ Unwrap() error }:
		return Find(e.Unwrap(), code)
	}
	return nil
}
