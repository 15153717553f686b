// Package storetest runs a private PostgreSQL server for tests and scripts: a cluster of its own in a temporary
// directory, on a unix socket and a free port of loopback, with fsync on as in production.
//
// PostgreSQL refuses to run as root, so a root caller's server runs as the user postgres, or as nobody. One cluster can
// serve many tests: each takes a database of its own.
//
// What may never happen here: an import by product code (a test of the floor plan forbids it), a listener outside
// loopback, a process ended that was not started here, or a system cluster touched.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTries   = 5 // a free port may be taken between looking and listening
	startTimeout = 60 * time.Second
	pollEvery    = 20 * time.Millisecond
)

// Server is a running PostgreSQL cluster.
type Server struct {
	Dir  string // its data stand in Dir/data, its socket in Dir
	Port int
	PID  int

	bin       string
	more      []string
	as        *syscall.Credential // nil: as the caller
	process   *exec.Cmd
	exited    chan error
	databases atomic.Int64
}

// Start makes a cluster in a new temporary directory and waits until it answers. Close ends and removes it. More arguments
// for the server, as "-c", "fsync=off", may follow.
func Start(ctx context.Context, more ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Not the caller's TempDir: its parents are closed to the server's own user, and a socket's path is at most 107 bytes.
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin, more: more}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// binaries finds the server's programs, which Debian does not put on the path.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		if path, err := exec.LookPath("postgres"); err == nil {
			return filepath.Dir(path), nil
		}
		return "", errors.New("no PostgreSQL server on this machine: make setup installs it")
	}
	number := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return number(a) - number(b) })), nil
}

func (s *Server) begin(ctx context.Context) error {
	if os.Getuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			if owner, err = user.Lookup("nobody"); err != nil {
				return err
			}
		}
		uid, err1 := strconv.ParseUint(owner.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(owner.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(s.Dir, int(uid), int(gid))); err != nil {
			return err
		}
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	setUp := s.command(ctx, "initdb", "-D", filepath.Join(s.Dir, "data"), "-U", "coldsign", "-A", "trust", "-E", "UTF8", "--locale=C", "-k", "--no-instructions")
	if out, err := setUp.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	for range startTries {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.Port = port
		if err = s.Run(ctx); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("PostgreSQL did not start in %d tries: see %s", startTries, s.logFile())
}

func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = s.Dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + s.bin + ":/usr/bin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "log") }

// Run starts the server of the cluster, again after Kill or Stop, and waits until it answers.
func (s *Server) Run(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command(context.WithoutCancel(ctx), "postgres", "-D", filepath.Join(s.Dir, "data"), "-k", s.Dir, "-p", strconv.Itoa(s.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on", "-c", "max_connections=60", "-c", "shared_buffers=64MB",
		"-c", "max_wal_size=1GB")
	s.process.Args = append(s.process.Args, s.more...)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr.Pdeathsig = syscall.SIGQUIT // the server ends with the test, however the test ends
	if err := s.process.Start(); err != nil {
		return err
	}
	s.PID = s.process.Process.Pid
	exited := make(chan error, 1)
	s.exited = exited
	go func(process *exec.Cmd) { exited <- process.Wait() }(s.process)
	return s.await(ctx)
}

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case err := <-s.exited:
			s.process = nil
			out, _ := os.ReadFile(s.logFile())
			return fmt.Errorf("PostgreSQL ended: %w: %s", err, out)
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
	}
}

// URL is the connection string of a database, over the unix socket.
func (s *Server) URL(database string) string {
	return "postgres://coldsign@/" + url.PathEscape(database) + "?host=" + url.QueryEscape(s.Dir) + "&port=" + strconv.Itoa(s.Port) + "&sslmode=disable"
}

// Loopback is the connection string of a database, over TCP.
func (s *Server) Loopback(database string) string {
	return "postgres://coldsign@127.0.0.1:" + strconv.Itoa(s.Port) + "/" + url.PathEscape(database) + "?sslmode=disable"
}

// NewDatabase makes an empty database and returns its name.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	name := "test" + strconv.FormatInt(s.databases.Add(1), 10)
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return name, errors.Join(err, conn.Close(ctx))
}

// Kill ends the server at once, as a crash of its machine's software would: nothing is flushed, and Run recovers it.
func (s *Server) Kill() error { return s.end(syscall.SIGQUIT) }

// Stop ends the server in order.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

func (s *Server) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(startTimeout):
		return errors.Join(fmt.Errorf("PostgreSQL, process %d, does not end", s.PID), s.process.Process.Kill())
	}
	s.process = nil
	return nil
}

// Close ends the server and removes its directory.
func (s *Server) Close() error {
	err := s.end(syscall.SIGQUIT) // its data are removed anyway
	return errors.Join(err, os.RemoveAll(s.Dir))
}
