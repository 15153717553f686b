package review

import (
	"fmt"
	"slices"
	"strings"
)

// The least terminal that a review is drawn on. On a smaller one a line that matters could be out of sight.
const (
	colsMin = columns
	rowsMin = 24
	frame   = 6 // rows around the content: two lines and a rule above, a rule and two lines below
)

const (
	triesMax = 3
	inputMax = 60 // characters of a confirmation; the longest right one has 26
)

// State says where a session is.
type State uint8

// The states of a session. From Approved on it has ended.
const (
	Viewing    State = iota
	Confirming       // typed keys count as consent
	Declining        // a reason is asked for
	Approved
	Declined // by the person
	Refused  // by policy; the person has read why
	Locked   // the confirmation was wrong three times
)

// Session is the review as a state machine: keys in, screens out. It remembers what has been on the screen, and asks
// for the confirmation only when the whole first page and every output have.
type Session struct {
	sheet   sheet
	confirm Confirmation
	state   State
	page    int
	pages   [pageCount][]block
	at      [pageCount]int    // which part of a page is shown
	seen    [pageCount][]bool // which blocks of a page were shown
	rows    int               // of the last screen; 0 when it was too small to show anything
	input   string
	tries   int
	message string
	reason  string
}

// NewSession begins a review.
func NewSession(req Request) *Session {
	s := &Session{sheet: newSheet(req), tries: triesMax}
	s.confirm = s.sheet.confirmation()
	for page := range pageCount {
		s.pages[page] = s.sheet.blocks(page)
		s.seen[page] = make([]bool, len(s.pages[page]))
	}
	return s
}

// Confirming reports whether typed keys count as consent.
func (s *Session) Confirming() bool { return s.state == Confirming }

// Done reports whether the session has ended.
func (s *Session) Done() bool { return s.state >= Approved }

// State returns where the session is.
func (s *Session) State() State { return s.state }

// Reason returns the code of the reason that the person gave for declining; Codes lists them.
func (s *Session) Reason() string { return s.reason }

// OutputsSeen returns how many outputs were on the screen, of how many.
func (s *Session) OutputsSeen() (seen, of int) {
	of = len(s.sheet.facts.Outputs)
	for i := range of {
		if s.seen[pageOutputs][i] {
			seen++
		}
	}
	return seen, of
}

// ready reports whether everything that must be seen was on the screen.
func (s *Session) ready() bool {
	return s.sheet.clean() && s.shownAll(pageSummary) && s.shownAll(pageOutputs)
}

// shownAll reports whether every block of a page was on the screen.
func (s *Session) shownAll(page int) bool { return !slices.Contains(s.seen[page], false) }

// parts cuts the blocks of the current page into screens; each entry is the first block of one.
func (s *Session) parts() []int {
	starts, used := []int{0}, 0
	for i, b := range s.pages[s.page] {
		if used > 0 && used+len(b) > s.rows-frame {
			starts, used = append(starts, i), 0
		}
		used += len(b)
	}
	return starts
}

// Screen returns the lines to draw on a terminal of a size, and remembers what they show. On a terminal below 80x24 it
// shows that and nothing else.
func (s *Session) Screen(cols, rows int) []string {
	if cols < colsMin || rows < rowsMin {
		s.rows = 0
		lines := wrap(fmt.Sprintf("This terminal has %d columns and %d rows; the review needs %d and %d. Enlarge it, or stop with ctrl-c.",
			cols, rows, colsMin, rowsMin), max(cols, 1))
		return lines[:min(len(lines), max(rows, 0))]
	}
	s.rows = rows
	blocks, starts := s.pages[s.page], s.parts()
	at := min(s.at[s.page], len(starts)-1)
	s.at[s.page] = at
	end := len(blocks)
	if at+1 < len(starts) {
		end = starts[at+1]
	}
	rule := strings.Repeat("-", columns)
	lines := append(s.sheet.header(), rule)
	for i := starts[at]; i < end; i++ {
		lines = append(lines, blocks[i]...)
		s.seen[s.page][i] = true
	}
	for len(lines) < rows-3 {
		lines = append(lines, "")
	}
	return append(append(lines, s.rule(at+1, len(starts))), s.footer()...)
}

// rule is the line under the content; it says which part of which page is shown.
func (s *Session) rule(at, of int) string {
	text := fmt.Sprintf("-- %s %d/%d ", title(s.page), at, of)
	seen, outputs := s.OutputsSeen()
	if s.sheet.proven {
		text += fmt.Sprintf("-- outputs %d/%d seen ", seen, outputs)
	}
	if at < of {
		text += "-- more: space "
	}
	return text + strings.Repeat("-", max(0, columns-len(text)))
}

// footer are the last two lines: what can be done now.
func (s *Session) footer() []string {
	const pages = "[m] summary [o] outputs [i] inputs [c] checks [h] hashes"
	switch {
	case s.state == Confirming:
		left := fmt.Sprintf("%d tries left, esc goes back", s.tries)
		if s.message != "" {
			left = s.message + "; " + left
		}
		return []string{s.confirm.Prompt, fmt.Sprintf("> %s_  %s(%s)%s", s.visibleInput(columns-8-len(left)), markDim, left, markPlain)}
	case s.state == Declining:
		var choices []string
		for _, r := range reasons() {
			choices = append(choices, "["+r.key+"] "+r.text)
		}
		return []string{"Why is this refused? It is told to treasury staff.  [esc] back", strings.Join(choices, " ")}
	case !s.sheet.clean():
		return []string{"REFUSED. Read why, then leave with q.", pages + " [q] leave"}
	case s.message != "":
		return []string{markAlarm + cutTo(s.message, columns) + markPlain, pages + " [r] refuse"}
	case s.shownAll(pageSummary) && s.shownAll(pageOutputs):
		return []string{"Everything was shown. [s] sign: you will retype the amount", pages + " [r] refuse"}
	}
	if s.page == pageSummary && !s.shownAll(pageSummary) {
		return []string{"Read this page to its end first: space. Then every output: [o].", pages + " [r] refuse"}
	}
	return []string{"Read every output first: [o]. Then [s] sign.", pages + " [r] refuse"}
}

// visibleInput is the end of what was typed, as far as there is room.
func (s *Session) visibleInput(room int) string { return s.input[max(0, len(s.input)-max(room, 0)):] }
