package console

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// person is somebody at the other end of a pseudo-terminal.
type person struct {
	t      *testing.T
	master *os.File
	seen   bytes.Buffer
}

// sit opens a pseudo-terminal and returns its terminal and the person who sits there.
func sit(t *testing.T, cols, rows int) (*Terminal, *person) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := &unix.Winsize{Col: uint16(cols), Row: uint16(rows)}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	terminal, err := NewTerminal(slave)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close(); master.Close() })
	return terminal, &person{t: t, master: master}
}

// waits reads the screen until text has appeared on it, and forgets everything up to there.
func (p *person) waits(text string) {
	buffer := make([]byte, 4096)
	for !strings.Contains(p.seen.String(), text) {
		n, err := p.master.Read(buffer)
		if err != nil {
			p.t.Errorf("waiting for %q: %v; seen %q", text, err, p.seen.String())
			return
		}
		p.seen.Write(buffer[:n])
	}
	_, rest, _ := strings.Cut(p.seen.String(), text)
	p.seen.Reset()
	p.seen.WriteString(rest)
}

func (p *person) types(keys string) {
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Error(err)
	}
}

// mode returns the terminal's mode, to see that it was restored.
func mode(t *testing.T, terminal *Terminal) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(terminal.fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}
