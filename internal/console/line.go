package console

import (
	"bytes"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/coldsign/coldsign/internal/spend"
)

// ErrPasted is returned by a prompt that takes typed text only.
var ErrPasted = errors.New("text was pasted; it must be typed")

// lineMax is the longest line of a prompt that names no maximum.
const lineMax = 1024

// Terminal sequences that switch bracketed paste, so that pasted text can be told from typed keys.
const (
	pasteOn  = "\x1b[?2004h"
	pasteOff = "\x1b[?2004l"
)

// Line says how a line is asked for.
type Line struct {
	Prompt string // printed as given, escaped
	Max    int    // bytes; 1024 when zero
	Hidden bool   // no echo
	Paste  bool   // pasted text is taken; otherwise ErrPasted
}

// ReadLine asks for one line on the terminal. Keys typed before the prompt are thrown away. A visible line takes
// printable ASCII only: what a person reads back is what was typed.
func (t *Terminal) ReadLine(l Line) (string, error) {
	line, err := t.readLine(l)
	return string(line), err
}

// readLine returns the line in one buffer that never moved, so that a secret can be wiped.
func (t *Terminal) readLine(l Line) (line []byte, err error) {
	if l.Max == 0 {
		l.Max = lineMax
	}
	line = make([]byte, 0, l.Max)
	err = t.Raw(func(k *Keyboard) error {
		if err := k.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprint(t, pasteOn+Printable(l.Prompt)); err != nil {
			return err
		}
		defer fmt.Fprint(t, pasteOff+"\r\n")
		for {
			key, err := k.ReadKey()
			if err != nil {
				return err
			}
			switch key {
			case KeyEnter:
				return nil
			case KeyInterrupt, KeyEOF:
				return ErrInterrupted
			case KeyPaste:
				if line, err = t.paste(line, k.pasted, l); err != nil {
					return err
				}
			default:
				line = t.edit(line, key, l)
			}
		}
	})
	if err != nil {
		clear(line)
		return nil, err
	}
	return line, nil
}

// edit applies one key to the line and shows it.
func (t *Terminal) edit(line []byte, key string, l Line) []byte {
	echo := func(s string) {
		if !l.Hidden {
			fmt.Fprint(t, s)
		}
	}
	r, size := utf8.DecodeRuneInString(key)
	switch {
	case key == KeyBackspace && len(line) > 0:
		_, last := utf8.DecodeLastRune(line)
		echo("\b \b")
		return line[:len(line)-last]
	case key == KeyClear:
		for range line {
			echo("\b \b")
		}
		return line[:0]
	case size != len(key) || !unicode.IsPrint(r): // a named key, or a control character
		return line
	case len(line)+size > l.Max || !l.Hidden && r > 0x7e:
		fmt.Fprint(t, "\a")
		return line
	}
	echo(key)
	return append(line, key...)
}

// paste appends pasted text, when the prompt takes it and it is one line.
func (t *Terminal) paste(line, pasted []byte, l Line) ([]byte, error) {
	defer clear(pasted)
	text := trimNewline(pasted)
	switch {
	case !l.Paste:
		return line, ErrPasted
	case bytes.ContainsFunc(text, unicode.IsControl):
		return line, errors.New("pasted text has a line end or another control character in it")
	}
	for _, r := range string(text) {
		line = t.edit(line, string(r), l)
	}
	return line, nil
}

// trimNewline removes the one line end that copying a line brings along.
func trimNewline(b []byte) []byte {
	for _, end := range []byte{'\n', '\r'} {
		if len(b) > 0 && b[len(b)-1] == end {
			b = b[:len(b)-1]
		}
	}
	return b
}

// Confirm asks on the terminal until check accepts what was typed, at most tries times. Pasted text counts as a wrong
// try. Without a terminal it refuses: a confirmation that a script could give is none.
func (c *Console) Confirm(prompt string, tries int, check func(string) bool) error {
	if c.TTY == nil {
		return noTerminal("the confirmation")
	}
	for left := tries; left > 0; left-- {
		text, err := c.TTY.ReadLine(Line{Prompt: prompt + " "})
		if err != nil && !errors.Is(err, ErrPasted) {
			return err
		}
		if err == nil && check(text) {
			return nil
		}
		wrong := "not the same"
		if err != nil {
			wrong = err.Error()
		}
		fmt.Fprintf(c.TTY, "%s; %d tries left\r\n", wrong, left-1)
	}
	return Fail(Declined, fmt.Errorf("confirmation was wrong %d times", tries))
}

// noTerminal refuses to do without a person.
func noTerminal(what string) error {
	return spend.Refuse("terminal-missing", what, "a terminal with a person at it", "none",
		"run the command in a terminal, not from a script or a pipe")
}
