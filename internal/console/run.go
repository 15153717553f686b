package console

import (
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// View is a screen that a person works with keys. Lines are printable ASCII with the four marks below; anything else in
// them is escaped before it is drawn.
type View interface {
	Screen(cols, rows int) []string // what to draw now; at most rows lines of cols characters
	Key(key string)
	Confirming() bool // typed keys count as consent now
	Done() bool
}

// The marks that change how the rest of a line looks. They are the only control characters that a view may use.
const (
	MarkPlain  = '\x01'
	MarkBright = '\x02'
	MarkDim    = '\x03'
	MarkAlarm  = '\x04'
)

// Terminal sequences around a view: the alternate screen keeps the person's own screen, the cursor is hidden.
const (
	viewBegin = "\x1b[?1049h\x1b[?25l" + pasteOn
	viewEnd   = pasteOff + "\x1b[0m\x1b[?25h\x1b[?1049l"
)

// Run draws the view and feeds it keys until it is done. Each time the view begins to ask for consent, and each time the
// terminal has another size, everything typed before is thrown away: it was meant for another screen. Without a
// terminal it refuses. An interrupt returns ErrInterrupted, and the view stays undone.
func (c *Console) Run(v View) error {
	if c.TTY == nil {
		return noTerminal("the review")
	}
	return c.TTY.Raw(func(k *Keyboard) error {
		if _, err := fmt.Fprint(c.TTY, viewBegin); err != nil {
			return err
		}
		defer fmt.Fprint(c.TTY, viewEnd)
		show := viewing{c: c, k: k, v: v}
		for !v.Done() {
			if err := show.draw(); err != nil {
				return err
			}
			key, err := k.ReadKey()
			switch {
			case err != nil:
				return err
			case key == KeyInterrupt:
				return ErrInterrupted
			case key != KeyResize:
				v.Key(key)
			}
		}
		return nil
	})
}

// viewing is a view on the terminal, and what was drawn last.
type viewing struct {
	c          *Console
	k          *Keyboard
	v          View
	cols, rows int
	confirming bool
}

// draw writes the whole screen in one piece, line over line, so that it does not flicker. It refuses a view that does
// not fit: what runs over an edge is what somebody does not see.
func (s *viewing) draw() error {
	cols, rows, err := s.c.TTY.Size()
	if err != nil {
		return err
	}
	if confirming := s.v.Confirming(); cols != s.cols || rows != s.rows || confirming && !s.confirming {
		if err := s.k.Flush(); err != nil {
			return err
		}
	}
	s.cols, s.rows, s.confirming = cols, rows, s.v.Confirming()
	lines := s.v.Screen(cols, rows)
	if len(lines) > rows {
		return overflow(fmt.Sprintf("%d lines", rows), fmt.Sprintf("%d lines", len(lines)))
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines {
		drawn, width := styled(line, !s.c.NoStyle)
		if width > cols {
			return overflow(fmt.Sprintf("%d columns", cols), fmt.Sprintf("%d columns", width))
		}
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("\x1b[2K" + drawn)
	}
	b.WriteString("\x1b[J")
	_, err = fmt.Fprint(s.c.TTY, b.String())
	return err
}

func overflow(expected, found string) error {
	return spend.Refuse("screen-overflow", "terminal", "a screen of at most "+expected, found,
		"use a terminal of at least 80 columns and 24 rows")
}

// styled turns marks into terminal sequences, or drops them, and escapes everything else that is not printable ASCII.
// It returns the width that the line takes.
func styled(line string, style bool) (drawn string, width int) {
	var b strings.Builder
	for _, c := range []byte(line) {
		sequence := ""
		switch {
		case c == MarkPlain:
			sequence = "\x1b[0m"
		case c == MarkBright:
			sequence = "\x1b[0;1m"
		case c == MarkDim:
			sequence = "\x1b[0;2m"
		case c == MarkAlarm:
			sequence = "\x1b[0;7m"
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
			width++
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
			width += 4
		}
		if style {
			b.WriteString(sequence)
		}
	}
	if style {
		b.WriteString("\x1b[0m")
	}
	return b.String(), width
}
