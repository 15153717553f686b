package console

import (
	"errors"
	"os"
)

// Terminal is a person's terminal.
type Terminal struct{ file *os.File }

// OpenTerminal opens the controlling terminal.
func OpenTerminal() (*Terminal, error) { return nil, errors.ErrUnsupported }

// NewTerminal takes an open terminal device.
func NewTerminal(file *os.File) (*Terminal, error) { return nil, errors.ErrUnsupported }

// Close closes the device.
func (t *Terminal) Close() error { return t.file.Close() }

// Size returns the size in characters.
func (t *Terminal) Size() (cols, rows int, err error) { return 0, 0, errors.ErrUnsupported }

// Keyboard reads keys while the terminal is raw.
type Keyboard struct{}

// Raw puts the terminal into raw mode for work.
func (t *Terminal) Raw(work func(*Keyboard) error) error { return errors.ErrUnsupported }

// Line says how a line is asked for.
type Line struct {
	Prompt string
	Max    int
	Hidden bool // no echo
	Paste  bool // pasted text is accepted; otherwise it is refused
}

// ReadLine asks for one line.
func (t *Terminal) ReadLine(l Line) (string, error) { return "", errors.ErrUnsupported }
