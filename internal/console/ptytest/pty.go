//go:build linux

package ptytest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// open makes a pseudo-terminal of cols by rows cells. The master is non-blocking, so that closing it ends a read.
func open(cols, rows int) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = resize(master, cols, rows)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("making a pseudo-terminal: %w", err)
	}
	return master, slave, nil
}

// resize sets the size that programs ask the terminal for.
func resize(master *os.File, cols, rows int) error {
	if cols < 1 || rows < 1 || cols > sideMax || rows > sideMax {
		return fmt.Errorf("a terminal of %d by %d cells", cols, rows)
	}
	conn, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = conn.Control(func(fd uintptr) {
		set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(cols), Row: uint16(rows)})
	})
	if err != nil {
		return err
	}
	return set
}
