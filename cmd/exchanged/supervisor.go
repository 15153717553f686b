package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
)

// How the supervisor treats its children.
const (
	restartMin = 100 * time.Millisecond
	restartMax = 10 * time.Second
	steady     = time.Minute      // after which a child counts as well again
	graceTime  = 10 * time.Second // between SIGTERM and SIGKILL
)

// children are the processes of an exchange, in the order in which they begin. They end in the opposite order.
func children(c exchangeConfig) [][]string {
	out := [][]string{{"engine"}, {"wallet,admin"}, {"gateway"}}
	if c.Gateway.Limits == "shared" {
		out = append([][]string{{"limits"}}, out...)
	}
	return out
}

// supervise runs each segment in a process of its own, with its own keys, around a bus of this process unless an
// external one is configured. A child that dies is started again; children end with us, even when we are killed.
func supervise(ctx context.Context, a *app, log *slog.Logger, pass []string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	if len(c.Exchange.Bus.URLs) == 0 {
		users, err := at.busUsers()
		if err != nil {
			return err
		}
		server, err := bus.NewServer(bus.ServerOptions{Users: users, Listen: "127.0.0.1:0"})
		if err != nil {
			return err
		}
		defer server.Close()
		pass = append(pass, "--bus", server.URL())
		log.Info("bus", "url", server.URL())
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	people := openAlerts(at.alertsPath(""), "supervisor", log, time.Now)
	until, silent := context.WithCancel(context.Background())
	told := make(chan error, 1)
	go func() { told <- people.run(until, c.Exchange.Alerts) }()
	defer func() { silent(); log.Debug("alerts ended", "error", <-told) }()
	list := children(*c.Exchange)
	end := make([]context.Context, len(list))
	stop := make([]context.CancelFunc, len(list))
	done := make([]chan error, len(list))
	broken := make(chan error, len(list))
	for i, names := range list {
		end[i], stop[i] = context.WithCancel(context.Background())
		done[i] = make(chan error, 1)
		child := &child{program: program, name: names[0], pid: pidFile(at, names[0]), args: append([]string{"run", "--segment", names[0]}, pass...), out: a.Out, err: a.Err, log: log, alerts: people}
		go func() {
			err := child.keep(end[i])
			done[i] <- err
			broken <- err
		}()
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-broken: // a child that cannot run ends everything: what is left would only look alive
	}
	for i := len(list) - 1; i >= 0; i-- {
		stop[i]()
		err = errors.Join(err, <-done[i])
	}
	return err
}

// child is one process that is kept alive.
type child struct {
	program, name string
	pid           string // file that has its number while it runs; empty: none
	args          []string
	out, err      io.Writer
	log           *slog.Logger
	alerts        *alerts
}

// pidFile is where the number of a segment's process stands, for operators and for `exchanged status`.
func pidFile(at folder, segment string) string {
	first, _, _ := strings.Cut(segment, ",")
	return at.path(exchangeDir, first, "pid")
}

// forgetPID removes the file of a child that ended and is not started again: the number will be another process's.
func (c *child) forgetPID() error {
	if err := os.Remove(c.pid); c.pid != "" && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *child) notePID(pid int) error {
	if c.pid == "" {
		return nil
	}
	return replace(c.pid, fmt.Appendf(nil, "%d\n", pid), 0o600)
}

// hopeless are the exit codes that starting again does not change: wrong usage or configuration, a refusal, something
// that is not authentic.
func hopeless(code int) bool {
	switch console.Code(code) {
	case console.Usage, console.Refused, console.NotAuthentic:
		return true
	}
	return false
}

// keep runs the child until ctx ends, and starts it again whenever it dies, later each time.
func (c *child) keep(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, c.forgetPID()) }()
	wait := restartMin
	for {
		began := time.Now()
		code, err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil && hopeless(code) {
			c.alerts.raise(alertEnded, c.name, fmt.Sprintf("segment %s ended with exit code %d, which starting it again does not change: the exchange ends", c.name, code))
			return console.Fail(console.Code(code), fmt.Errorf("segment %s ended with exit code %d and is not started again; its log says why", c.name, code))
		}
		if time.Since(began) >= steady {
			wait = restartMin
		}
		c.alerts.raise(alertSegment, c.name, fmt.Sprintf("segment %s died with exit code %d and is started again", c.name, code))
		c.log.Error("a segment died and is started again", "segment", c.name, "code", code, "error", fmt.Sprint(err), "in", wait.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, restartMax)
	}
}

// once runs the child to its end. The thread that starts it is held, because the kernel ends the child with that thread.
func (c *child) once(ctx context.Context) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(c.program, c.args...)
	cmd.Stdout, cmd.Stderr = c.out, c.err
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return -1, err
	}
	c.log.Info("segment started", "segment", c.name, "pid", cmd.Process.Pid)
	if err := c.notePID(cmd.Process.Pid); err != nil {
		c.log.Warn("segment", "segment", c.name, "error", err)
	}
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			c.log.Warn("segment", "segment", c.name, "error", err)
		}
		select {
		case <-ended:
		case <-time.After(graceTime):
			c.log.Warn("a segment does not end and is killed", "segment", c.name)
			_ = cmd.Process.Kill() // it ended in this moment
		}
	})
	err := cmd.Wait()
	close(ended)
	watch.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return cmd.ProcessState.ExitCode(), err
}
