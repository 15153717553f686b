//go:build linux

// Package ptytest drives a command on a real pseudo-terminal, the way a person would: it waits for text, presses keys,
// and looks at the screen. It is for tests and for the demo; a product binary may not import it.
//
//	session, err := ptytest.Start(exec.Command("coldsign", "sign", "request.bundle"), 100, 40)
//	err = session.Expect("Type the amount", 10*time.Second)
//	err = session.Send("12.5\r")
//	code, err := session.Wait(10 * time.Second)
//
// A stream of the command that is nil (Stdin, Stdout, Stderr) becomes the terminal; one that is set stays what it is,
// so stdout can be data in a file while questions go to /dev/tty. ExtraFiles keep their numbers. The command leads a
// session of its own whose controlling terminal is the new one. Everything is kept three ways: the raw transcript, the
// text without control sequences, and the screen as rows of characters.
//
// What may never happen here: the testing package (the demo would link it), a wait without an end, or a child that
// outlives Close.
package ptytest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// transcriptMax bounds what a runaway command can make us keep, in bytes. Output beyond it still reaches the screen.
const transcriptMax = 16 << 20

// Session is one command on its terminal. Its methods may be called from one goroutine at a time.
type Session struct {
	cmd    *exec.Cmd
	master *os.File
	exited chan struct{} // closed when the command has ended and its output was read
	result error         // of cmd.Wait, valid after exited

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each output
	raw     []byte
	screen  *Screen
	text    strings.Builder
	matched int // end of the last match in text
}

// Start runs cmd on a new terminal of cols by rows cells.
func Start(cmd *exec.Cmd, cols, rows int) (*Session, error) {
	master, slave, err := open(cols, rows)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	attach(cmd, slave)
	if err := cmd.Start(); err != nil {
		master.Close()
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s := &Session{cmd: cmd, master: master, exited: make(chan struct{}), changed: make(chan struct{}), screen: NewScreen(cols, rows)}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.read()
	}()
	go func() {
		s.result = cmd.Wait()
		// A grandchild may keep the terminal open; what the command itself wrote is in the kernel's buffer by now.
		select {
		case <-drained:
		case <-time.After(time.Second):
		}
		close(s.exited)
	}()
	return s, nil
}

// attach makes the terminal every stream that is nil, and the controlling terminal in any case.
func attach(cmd *exec.Cmd, slave *os.File) {
	control := -1
	if cmd.Stderr == nil {
		cmd.Stderr, control = slave, 2
	}
	if cmd.Stdout == nil {
		cmd.Stdout, control = slave, 1
	}
	if cmd.Stdin == nil {
		cmd.Stdin, control = slave, 0
	}
	if control < 0 { // no stream is the terminal: /dev/tty needs it all the same, behind the caller's own files
		control = 3 + len(cmd.ExtraFiles)
		cmd.ExtraFiles = append(cmd.ExtraFiles[:len(cmd.ExtraFiles):len(cmd.ExtraFiles)], slave)
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, true, control
}

// read takes the command's output until nobody has the terminal open any more, which Linux reports as EIO.
func (s *Session) read() {
	buffer := make([]byte, 32<<10)
	for {
		n, err := s.master.Read(buffer)
		if n > 0 {
			s.mu.Lock()
			if len(s.raw)+n <= transcriptMax {
				s.raw = append(s.raw, buffer[:n]...)
				s.text.WriteString(s.screen.feed(buffer[:n]))
			} else {
				s.screen.feed(buffer[:n])
			}
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// Send presses keys: the bytes go to the command's terminal as they are. Enter is "\r".
func (s *Session) Send(keys string) error {
	if _, err := io.WriteString(s.master, keys); err != nil {
		return fmt.Errorf("sending %q: %w", keys, err)
	}
	return nil
}

// Expect waits until text appears in the output after the last match, and matches it. It fails when the time is over or
// the command ends first, with everything that was shown.
func (s *Session) Expect(text string, timeout time.Duration) error {
	return s.await(fmt.Sprintf("text %q", text), timeout, func() bool {
		at := strings.Index(s.text.String()[s.matched:], text)
		if at >= 0 {
			s.matched += at + len(text)
		}
		return at >= 0
	})
}

// ExpectScreen waits until text stands in one row of the screen. Use it where a program moves the cursor.
func (s *Session) ExpectScreen(text string, timeout time.Duration) error {
	return s.await(fmt.Sprintf("a row with %q", text), timeout, func() bool {
		for _, row := range s.screen.Rows() {
			if strings.Contains(row, text) {
				return true
			}
		}
		return false
	})
}

// await waits until found reports true. It looks once more after the command has ended.
func (s *Session) await(what string, timeout time.Duration, found func() bool) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		ended := false
		select {
		case <-s.exited:
			ended = true
		default:
		}
		s.mu.Lock()
		done, changed := found(), s.changed
		s.mu.Unlock()
		switch {
		case done:
			return nil
		case ended:
			return s.failure("the command ended without " + what)
		}
		select {
		case <-changed:
		case <-s.exited:
		case <-timer.C:
			return s.failure(fmt.Sprintf("no %s within %s", what, timeout))
		}
	}
}

func (s *Session) failure(what string) error {
	return fmt.Errorf("%s; the terminal shows:\n%s\ntranscript: %q", what, s.Screen(), s.Transcript())
}

// Wait waits until the command ends and returns its exit code, 128 plus the signal when a signal ended it.
func (s *Session) Wait(timeout time.Duration) (int, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		return -1, s.failure(fmt.Sprintf("the command did not end within %s", timeout))
	}
	var exit *exec.ExitError
	switch {
	case s.result == nil:
		return 0, nil
	case !errors.As(s.result, &exit):
		return -1, s.result
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// Transcript returns every byte the command wrote to the terminal.
func (s *Session) Transcript() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

// Text returns the output without control sequences, one "\n" for every line end or jump of the cursor.
func (s *Session) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Screen returns what the terminal shows now: rows without trailing spaces, without empty rows at the end.
func (s *Session) Screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

// Resize gives the terminal another size; the command is told by SIGWINCH.
func (s *Session) Resize(cols, rows int) error {
	if err := resize(s.master, cols, rows); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.screen.resize(cols, rows)
	return nil
}

// Close kills what is still running in the command's session group, and closes the terminal.
func (s *Session) Close() error {
	select {
	case <-s.exited:
	default:
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // the leader of a session leads a group of the same number
	}
	err := s.master.Close()
	<-s.exited
	return err
}
