//go:build linux

package ptytest

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const sequenceMax = 256 // bytes kept of one control sequence; the rest of a longer one is dropped

// states of the parser.
const (
	ground   = iota
	escape   // after ESC
	charset  // after ESC ( and its like: one more byte
	sequence // after ESC [
	text     // inside a title or another string of the terminal, which is not shown
	textEnd  // an ESC inside it, perhaps its end
)

type parser struct {
	state   int
	held    []byte // parameters of a sequence
	partial []byte // the beginning of a character in UTF-8
}

// feed shows output and returns its plain text.
func (s *Screen) feed(output []byte) string {
	s.said.Reset()
	for _, b := range output {
		s.take(b)
	}
	return s.said.String()
}

// take obeys one byte.
func (s *Screen) take(b byte) {
	p := &s.parser
	switch p.state {
	case escape:
		s.escaped(b)
	case charset:
		p.state = ground
	case sequence:
		switch {
		case b == 0x1b:
			p.state = escape
		case b < 0x20:
			s.control(b)
		case b >= 0x40 && b <= 0x7e:
			p.state = ground
			s.obey(string(p.held), b)
		case len(p.held) < sequenceMax:
			p.held = append(p.held, b)
		}
	case text:
		if b == 0x1b {
			p.state = textEnd
		} else if b == 0x07 {
			p.state = ground
		}
	case textEnd:
		if p.state = text; b == '\\' {
			p.state = ground
		}
	default:
		s.shown(b)
	}
}

// shown takes a byte outside of any sequence.
func (s *Screen) shown(b byte) {
	p := &s.parser
	switch {
	case b == 0x1b:
		p.state, p.partial = escape, nil
	case b < 0x20 || b == 0x7f:
		s.control(b)
	case b < utf8.RuneSelf:
		p.partial = nil
		s.put(rune(b))
	default:
		p.partial = append(p.partial, b)
		if utf8.FullRune(p.partial) {
			char, _ := utf8.DecodeRune(p.partial)
			p.partial = nil
			s.put(char)
		}
	}
}

// escaped takes the byte after ESC.
func (s *Screen) escaped(b byte) {
	p := &s.parser
	p.state = ground
	switch b {
	case '[':
		p.state, p.held = sequence, p.held[:0]
	case ']', 'P', '_', '^', 'X':
		p.state = text
	case '(', ')', '*', '+', '#', '%', ' ':
		p.state = charset
	case '7':
		s.savedX, s.savedY = s.x, s.y
	case '8':
		s.move(s.savedX, s.savedY)
	case 'D':
		s.lineFeed()
	case 'E':
		s.control('\r')
		s.control('\n')
	case 'M':
		if s.y == s.top {
			s.scroll(s.top, -1)
		} else {
			s.move(s.x, s.y-1)
		}
	case 'c':
		s.reset()
	}
}

// numbers reads parameters; absent ones are 0.
func numbers(held string) []int {
	fields := strings.Split(strings.ReplaceAll(held, ":", ";"), ";")
	out := make([]int, max(2, len(fields)))
	for i, field := range fields {
		if n, err := strconv.Atoi(field); err == nil && n >= 0 {
			out[i] = min(n, sideMax)
		}
	}
	return out
}

// obey carries out a control sequence.
func (s *Screen) obey(held string, final byte) {
	if strings.HasPrefix(held, "?") {
		s.mode(held[1:], final)
		return
	}
	if strings.ContainsAny(held, "<=>!$\"' ") {
		return // sequences of other families: keyboard and mouse protocols, requests
	}
	n := numbers(held)
	count := max(n[0], 1)
	switch final {
	case 'A', 'F':
		s.move(column(final, s.x), s.y-count)
	case 'B', 'E':
		s.move(column(final, s.x), s.y+count)
	case 'C', 'a':
		s.move(s.x+count, s.y)
	case 'D':
		s.move(s.x-count, s.y)
	case 'G', '`':
		s.move(count-1, s.y)
	case 'd':
		s.move(s.x, count-1)
	case 'H', 'f':
		s.move(max(n[1], 1)-1, count-1)
	case 's':
		s.savedX, s.savedY = s.x, s.y
	case 'u':
		s.move(s.savedX, s.savedY)
	case 'r':
		s.region(n)
	case 'm':
		s.paint(n[:1+strings.Count(held, ";")+strings.Count(held, ":")])
	default:
		s.edit(final, n[0], count)
	}
}

// column is 0 for the moves that also return to the beginning of the row.
func column(final byte, x int) int {
	if final == 'E' || final == 'F' {
		return 0
	}
	return x
}

// edit carries out the sequences that change what is shown.
func (s *Screen) edit(final byte, how, count int) {
	row := s.cells[s.y]
	switch final {
	case 'J':
		s.eraseDisplay(how)
	case 'K':
		from, to := s.x, s.cols
		if how >= 1 {
			from = 0
		}
		if how == 1 {
			to = s.x + 1
		}
		s.eraseRow(s.y, from, to)
	case 'X':
		s.eraseRow(s.y, s.x, s.x+count)
	case 'P':
		copy(row[s.x:], row[min(s.x+count, s.cols):])
		s.eraseRow(s.y, max(s.x, s.cols-count), s.cols)
	case '@':
		copy(row[min(s.x+count, s.cols):], row[s.x:])
		s.eraseRow(s.y, s.x, s.x+count)
	case 'L':
		s.scroll(s.y, -count)
	case 'M':
		s.scroll(s.y, count)
	case 'S':
		s.scroll(s.top, count)
	case 'T':
		s.scroll(s.top, -count)
	}
}

// region sets the rows that scroll.
func (s *Screen) region(n []int) {
	top, bottom := max(n[0], 1)-1, n[1]-1
	if n[1] == 0 || bottom >= s.rows {
		bottom = s.rows - 1
	}
	if top < bottom {
		s.top, s.bottom = top, bottom
		s.move(0, 0)
	}
}

// mode switches what a private mode switches: only the alternate screen shows.
func (s *Screen) mode(held string, final byte) {
	for _, field := range strings.Split(held, ";") {
		if field == "1049" || field == "1047" || field == "47" {
			s.alternate(final == 'h')
		}
	}
}

// paint follows the colours; everything else about a character's looks is left out.
func (s *Screen) paint(n []int) {
	for i := 0; i < len(n); i++ {
		switch v := n[i]; {
		case v == 0:
			s.pen = pen{standard, standard}
		case v == 38 || v == 48:
			colour := direct
			if i+2 < len(n) && n[i+1] == 5 {
				colour = n[i+2] & 255
				i += 2
			} else {
				i += 4
			}
			if v == 38 {
				s.pen.ink = colour
			} else {
				s.pen.ground = colour
			}
		case v >= 30 && v <= 37:
			s.pen.ink = v - 30
		case v >= 40 && v <= 47:
			s.pen.ground = v - 40
		case v >= 90 && v <= 97:
			s.pen.ink = v - 90 + 8
		case v >= 100 && v <= 107:
			s.pen.ground = v - 100 + 8
		case v == 39:
			s.pen.ink = standard
		case v == 49:
			s.pen.ground = standard
		}
	}
}
