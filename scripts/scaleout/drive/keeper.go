// Package drive is what drives a real exchange of separate processes: the processes, which are kept alive and may be
// killed; an operator, who founds it; customers, who send orders over HTTP and remember every acknowledged one; and a
// replica, which replays the journal beside the engine and holds all of that against it.
//
// What may never happen here: a process ended that was not started here, or an order counted as acknowledged of which the
// customer was not told.
package drive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Keeper runs one program and starts it again whenever it ends, as systemd does for an operator with Restart=always. It
// ends only what it started.
type Keeper struct {
	Name  string
	Log   string                    // file that takes everything the program says
	Argv  func(first bool) []string // first: it was never started before
	Delay time.Duration             // until it is started again

	mu      sync.Mutex
	process *os.Process
	held    bool // not started again until release
	starts  int
	stopped bool
	done    chan struct{}
}

const RestartDelay = 500 * time.Millisecond

// Keep begins.
func Keep(k *Keeper) *Keeper {
	k.done = make(chan struct{})
	go k.loop()
	return k
}

func (k *Keeper) loop() {
	defer close(k.done)
	for {
		k.mu.Lock()
		if k.stopped {
			k.mu.Unlock()
			return
		}
		var cmd *exec.Cmd
		var err error
		if !k.held {
			cmd, err = k.start()
		}
		k.mu.Unlock()
		if cmd != nil && err == nil {
			_ = cmd.Wait() // how it ended stands in its log
			k.mu.Lock()
			k.process = nil
			k.mu.Unlock()
		}
		time.Sleep(k.Delay)
	}
}

// start begins the program; k.mu is held.
func (k *Keeper) start() (*exec.Cmd, error) {
	argv := k.Argv(k.starts == 0)
	out, err := os.OpenFile(k.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	fmt.Fprintf(out, "---- %s %s\n", time.Now().Format(time.RFC3339Nano), strings.Join(argv[1:], " "))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	k.process = cmd.Process
	k.starts++
	return cmd, nil
}

// Kill ends the program as a power cut would.
func (k *Keeper) Kill() error { return k.Signal(syscall.SIGKILL) }

func (k *Keeper) Signal(s syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.process == nil {
		return fmt.Errorf("%s does not run", k.Name)
	}
	return k.process.Signal(s)
}

// PID is the process's number, zero while it does not run.
func (k *Keeper) PID() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.process == nil {
		return 0
	}
	return k.process.Pid
}

// Runs reports whether the program runs.
func (k *Keeper) Runs() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.process != nil
}

// Begun is how often the program was started.
func (k *Keeper) Begun() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.starts
}

// Hold keeps the program from being started again; release lets it.
func (k *Keeper) Hold(held bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = held
}

// Close ends the program for good.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.stopped = true
	if k.process != nil {
		_ = k.process.Signal(syscall.SIGKILL) // it may have ended in this moment
	}
	k.mu.Unlock()
	<-k.done
}

// exitCode is -1 for a program that a signal ended.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// Run runs a program to its end and returns what it printed.
func Run(argv ...string) (stdout, stderr string, code int) {
	var out, errs strings.Builder
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	code = exitCode(cmd.Run())
	return out.String(), errs.String(), code
}

// CopyTo copies files of one folder to another, as an operator does who gives a machine the keys that it needs.
func CopyTo(from, to string, names ...string) error {
	for _, name := range names {
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		in, err := os.Open(filepath.Join(from, name))
		if err != nil {
			return err
		}
		out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return errors.Join(err, in.Close())
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, in.Close(), out.Close()); err != nil {
			return err
		}
	}
	return nil
}
