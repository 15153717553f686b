//go:build linux

package ptytest

import (
	"slices"
	"strings"
)

// sideMax bounds a screen: the largest terminal anybody asks for, and a bound on memory.
const sideMax = 2000

// A colour is an index of the 256-colour table, or one of these.
const (
	standard = -1 // the terminal's own ground or ink
	direct   = -2 // 24-bit colour, which is not followed
)

type pen struct{ ink, ground int }

type cell struct {
	char rune
	pen
}

// Screen is as much of a terminal as programs of this product use: it knows cursor moves, erasing, scrolling, inserting
// and deleting, the alternate screen, and 256 colours. Every character is one cell wide.
type Screen struct {
	cols, rows  int
	cells       [][]cell
	main        [][]cell // the other screen while the alternate one is shown
	x, y        int
	wrapping    bool // the last column was written: the next character begins a new row
	top, bottom int  // rows that scroll, bottom included
	savedX      int
	savedY      int
	pen         pen
	parser      parser
	said        strings.Builder // text since the last feed
	endsLine    bool            // the text so far ends a line
	returned    bool            // a carriage return that is not yet known to belong to a line feed
}

// NewScreen returns an empty screen.
func NewScreen(cols, rows int) *Screen {
	s := &Screen{cols: cols, rows: rows, endsLine: true}
	s.reset()
	return s
}

func (s *Screen) reset() {
	s.main, s.x, s.y, s.wrapping, s.savedX, s.savedY = nil, 0, 0, false, 0, 0
	s.pen, s.top, s.bottom = pen{standard, standard}, 0, s.rows-1
	s.cells = s.blank()
}

func (s *Screen) blank() [][]cell {
	out := make([][]cell, s.rows)
	for i := range out {
		out[i] = s.blankRow()
	}
	return out
}

func (s *Screen) blankRow() []cell {
	return slices.Repeat([]cell{{' ', pen{standard, s.pen.ground}}}, s.cols)
}

// Write shows output on the screen. It never fails.
func (s *Screen) Write(output []byte) (int, error) {
	s.feed(output)
	return len(output), nil
}

// Rows returns every row as text without trailing spaces.
func (s *Screen) Rows() []string {
	out := make([]string, s.rows)
	for y, row := range s.cells {
		var line strings.Builder
		for _, c := range row {
			line.WriteRune(c.char)
		}
		out[y] = strings.TrimRight(line.String(), " ")
	}
	return out
}

// String returns the rows down to the last that is not empty.
func (s *Screen) String() string { return strings.TrimRight(strings.Join(s.Rows(), "\n"), "\n") }

// Cursor returns the column and row of the cursor, from 0.
func (s *Screen) Cursor() (column, row int) { return s.x, s.y }

// resize keeps the upper left of the screen, and the row of the cursor.
func (s *Screen) resize(cols, rows int) {
	old, skip := s.cells, max(0, s.y-rows+1)
	s.cols, s.rows, s.main = cols, rows, nil
	s.cells, s.top, s.bottom = s.blank(), 0, rows-1
	for y := range s.cells {
		if y+skip < len(old) {
			copy(s.cells[y], old[y+skip])
		}
	}
	s.x, s.y, s.wrapping = min(s.x, cols-1), s.y-skip, false
}

// put writes one character where the cursor is.
func (s *Screen) put(char rune) {
	if s.wrapping {
		s.x, s.wrapping = 0, false
		s.lineFeed()
	}
	s.cells[s.y][s.x] = cell{char, s.pen}
	if s.x == s.cols-1 {
		s.wrapping = true
	} else {
		s.x++
	}
	s.say(string(char))
}

// say adds to the plain text.
func (s *Screen) say(text string) {
	if s.returned && !s.endsLine {
		s.said.WriteByte('\n') // a return without a feed: the line is written again
	}
	s.returned = false
	s.said.WriteString(text)
	s.endsLine = strings.HasSuffix(text, "\n")
}

// control obeys one of the control characters that have no sequence.
func (s *Screen) control(c byte) {
	switch c {
	case '\r':
		s.x, s.wrapping, s.returned = 0, false, true
	case '\n', '\v', '\f':
		s.wrapping, s.returned = false, false
		s.lineFeed()
		s.say("\n")
	case '\b':
		s.x, s.wrapping = max(0, s.x-1), false
	case '\t':
		s.x = min(s.cols-1, (s.x/8+1)*8)
		s.say("\t")
	}
}

func (s *Screen) lineFeed() {
	switch {
	case s.y == s.bottom:
		s.scroll(s.top, 1)
	case s.y < s.rows-1:
		s.y++
	}
}

// scroll moves the rows from a row down to the end of the scrolling region up by n, or down when n is negative.
func (s *Screen) scroll(from, n int) {
	if from > s.bottom {
		return
	}
	region := s.cells[from : s.bottom+1]
	for range min(max(n, -n), len(region)) {
		if n > 0 {
			copy(region, region[1:])
			region[len(region)-1] = s.blankRow()
		} else {
			copy(region[1:], region)
			region[0] = s.blankRow()
		}
	}
}

// move puts the cursor somewhere, and tells the plain text that what follows is not a continuation.
func (s *Screen) move(x, y int) {
	x, y = min(max(x, 0), s.cols-1), min(max(y, 0), s.rows-1)
	switch {
	case y != s.y && !s.endsLine:
		s.say("\n")
	case y == s.y && x > s.x:
		s.say(" ")
	}
	s.x, s.y, s.wrapping = x, y, false
}

// eraseRow clears columns from up to, not including, to.
func (s *Screen) eraseRow(y, from, to int) {
	copy(s.cells[y][max(from, 0):min(to, s.cols)], s.blankRow())
}

// eraseDisplay clears below the cursor (0), above it (1) or everything.
func (s *Screen) eraseDisplay(how int) {
	for y := range s.cells {
		switch {
		case how == 0 && y == s.y:
			s.eraseRow(y, s.x, s.cols)
		case how == 1 && y == s.y:
			s.eraseRow(y, 0, s.x+1)
		case how == 0 && y > s.y, how == 1 && y < s.y, how >= 2:
			s.eraseRow(y, 0, s.cols)
		}
	}
}

// alternate changes to the other screen and back.
func (s *Screen) alternate(on bool) {
	switch {
	case on && s.main == nil:
		s.main, s.savedX, s.savedY = s.cells, s.x, s.y
		s.cells = s.blank()
	case !on && s.main != nil:
		s.cells, s.main = s.main, nil
		s.x, s.y = min(s.savedX, s.cols-1), min(s.savedY, s.rows-1)
	}
	s.wrapping = false
}
