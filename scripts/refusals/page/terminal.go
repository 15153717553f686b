//go:build linux

package page

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coldsign/coldsign/internal/console"
)

// Terminal opens a real terminal device of a size, for refusals that only a small one causes. Nobody types on it.
func Terminal(t *testing.T, cols, rows uint16) *console.Terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	for _, err := range []error{err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := console.NewTerminal(device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}
