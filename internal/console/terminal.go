package console

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// escapeWait is how long the rest of an escape sequence may take. After it, ESC was the escape key.
const escapeWait = 50 * time.Millisecond

// pasteWait is how long a terminal may fall silent inside a paste before the paste counts as ended.
const pasteWait = time.Second

// A flush ends when nothing arrived for flushQuiet, which is longer than a key repeats, and gives up after so many reads.
const (
	flushQuiet = 40 * time.Millisecond
	flushMax   = 1000
)

// Terminal is a person's terminal, opened apart from the standard streams so that those stay free for data.
type Terminal struct {
	file *os.File
	fd   int
}

// OpenTerminal opens the controlling terminal of the process.
func OpenTerminal() (*Terminal, error) {
	// Not os.OpenFile: it would make the device non-blocking for whoever shares it.
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("no terminal: %w", err)
	}
	return NewTerminal(os.NewFile(uintptr(fd), "/dev/tty"))
}

// NewTerminal takes an open terminal device.
func NewTerminal(file *os.File) (*Terminal, error) {
	t := &Terminal{file: file, fd: int(file.Fd())}
	if _, err := unix.IoctlGetTermios(t.fd, unix.TCGETS); err != nil {
		return nil, fmt.Errorf("%s is not a terminal: %w", file.Name(), err)
	}
	return t, nil
}

// Close closes the device.
func (t *Terminal) Close() error { return t.file.Close() }

// Write writes to the terminal as it is: the caller escapes.
func (t *Terminal) Write(p []byte) (int, error) { return t.file.Write(p) }

// Size returns the size in characters.
func (t *Terminal) Size() (cols, rows int, err error) {
	size, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, fmt.Errorf("terminal size: %w", err)
	}
	return int(size.Col), int(size.Row), nil
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// Keyboard reads keys while its terminal is raw.
type Keyboard struct {
	t       *Terminal
	pending []byte // read, not yet decoded
	pasted  []byte // the text of the last KeyPaste
	wake    int    // a pipe that tells of signals
	stopped bool   // a signal asked the process to end
}

// Raw runs work with the terminal in raw mode: keys come one by one, are not echoed, and raise no signals. Keys typed
// before are thrown away. The old mode comes back however work ends: return, panic or signal. A signal that asks the
// process to end makes ReadKey return ErrInterrupted; a second one ends the process, with the terminal restored.
func (t *Terminal) Raw(work func(*Keyboard) error) error {
	old, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("terminal mode: %w", err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("signal pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	restore := func() { unix.IoctlSetTermios(t.fd, unix.TCSETS, old) }
	defer restore()
	stop := relaySignals(pipe[1], restore)
	defer stop()
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETSF, rawMode(*old)); err != nil { // F: pending input is flushed
		return fmt.Errorf("raw mode: %w", err)
	}
	return work(&Keyboard{t: t, wake: pipe[0]})
}

// rawMode returns a mode without line editing, echo, signals and input translation.
func rawMode(mode unix.Termios) *unix.Termios {
	mode.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	mode.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	mode.Oflag &^= unix.OPOST
	mode.Cflag = mode.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return &mode
}

// What the signal pipe carries.
const (
	wakeResize = 'r'
	wakeStop   = 's'
)

// relaySignals writes a byte to pipe for each signal, until the function it returns is called.
func relaySignals(pipe int, restore func()) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGWINCH)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		stopping := false
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == unix.SIGWINCH {
					unix.Write(pipe, []byte{wakeResize})
					continue
				}
				if stopping {
					restore()
					signal.Reset(s)
					unix.Kill(os.Getpid(), s.(syscall.Signal))
				}
				stopping = true
				unix.Write(pipe, []byte{wakeStop})
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-gone
	}
}

// Flush throws away everything that was typed and not read yet, and what still arrives until the line falls silent:
// the kernel may hold keys that its own flush does not reach, and a paste may still be on its way.
func (k *Keyboard) Flush() error {
	k.pending = nil
	if err := unix.IoctlSetInt(k.t.fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return fmt.Errorf("flushing typed keys: %w", err)
	}
	for range flushMax {
		fds := []unix.PollFd{{Fd: int32(k.t.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(flushQuiet/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		if _, err := k.typed(); err != nil {
			return err
		}
		clear(k.pending)
		k.pending = nil
	}
	return errors.New("keys keep arriving; take everything off the keyboard")
}

// ReadKey waits for one key.
func (k *Keyboard) ReadKey() (string, error) {
	for {
		wait := time.Duration(-1)
		if len(k.pending) > 0 {
			if key, taken := decode(k.pending); taken > 0 {
				clear(k.pending[:taken])
				k.pending = k.pending[taken:]
				if key == KeyPaste {
					return key, k.readPaste()
				}
				return key, nil
			}
			wait = escapeWait
		}
		got, err := k.fill(wait)
		switch {
		case err != nil:
			return "", err
		case got == gotResize:
			return KeyResize, nil
		case got == gotNothing: // the sequence stays incomplete
			alone := len(k.pending) == 1 && k.pending[0] == 0x1b
			k.pending = k.pending[:0]
			if alone {
				return KeyEscape, nil
			}
			return KeyUnknown, nil
		}
	}
}

// What fill came back with.
type got uint8

const (
	gotNothing got = iota
	gotBytes
	gotResize
)

// fill waits for bytes or a signal; a negative wait has no end.
func (k *Keyboard) fill(wait time.Duration) (got, error) {
	if k.stopped {
		return gotNothing, ErrInterrupted
	}
	timeout := -1
	if wait >= 0 {
		timeout = int(wait / time.Millisecond)
	}
	fds := []unix.PollFd{{Fd: int32(k.wake), Events: unix.POLLIN}, {Fd: int32(k.t.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, timeout)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, timeout)
	}
	switch {
	case err != nil || n == 0:
		return gotNothing, err
	case fds[0].Revents != 0:
		return k.signalled()
	}
	return k.typed()
}

// signalled reads what the signal pipe tells.
func (k *Keyboard) signalled() (got, error) {
	var what [1]byte
	if n, _ := unix.Read(k.wake, what[:]); n == 1 && what[0] == wakeResize {
		return gotResize, nil
	}
	k.stopped = true
	return gotNothing, ErrInterrupted
}

// typed reads what the terminal has.
func (k *Keyboard) typed() (got, error) {
	buffer := make([]byte, 4096)
	defer clear(buffer) // it may hold a secret
	n, err := unix.Read(k.t.fd, buffer)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(k.t.fd, buffer)
	}
	if err != nil || n == 0 {
		return gotNothing, fmt.Errorf("%w: the terminal is gone", ErrInterrupted)
	}
	k.pending = append(k.pending, buffer[:n]...)
	return gotBytes, nil
}

// readPaste takes everything up to the end mark of a bracketed paste. What exceeds 64 KiB is dropped.
func (k *Keyboard) readPaste() error {
	k.pasted = nil
	for {
		pasted, rest, ended := cutPaste(k.pending)
		if ended {
			k.pasted, k.pending = append(k.pasted, pasted...), rest
			break
		}
		// The tail may hold the beginning of the end mark, so it stays.
		if keep := len(k.pending) - len(pasteEnd); keep > 0 {
			k.pasted, k.pending = append(k.pasted, k.pending[:keep]...), k.pending[keep:]
		}
		k.pasted = k.pasted[:min(len(k.pasted), pasteMax)]
		got, err := k.fill(pasteWait)
		if err != nil {
			return err
		}
		if got == gotNothing { // the terminal never ended it: nothing of it is a key
			k.pending = nil
			break
		}
	}
	k.pasted = k.pasted[:min(len(k.pasted), pasteMax)]
	return nil
}
