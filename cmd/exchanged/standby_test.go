package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// heard keeps what a process writes while it runs.
type heard struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.Write(p)
}

func (h *heard) says(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.all.String(), what)
}

// engineOf starts an engine as a process of its own and returns what it logs.
func engineOf(t *testing.T, dir string, args ...string) (*exec.Cmd, <-chan readyLine, *heard) {
	t.Helper()
	cmd := exec.Command("exchanged", append([]string{"run", "--data", dir, "--segment", "engine"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := &heard{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.all.String())
		}
	})
	lines := make(chan readyLine, 10)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			var line readyLine
			if json.Unmarshal(scan.Bytes(), &line) == nil {
				lines <- line
			}
		}
	}()
	return cmd, lines, log
}

// A standby waits for the first engine of all; when that one hangs, it takes over as soon as somebody puts it out.
func TestAnEngineThatHangsIsPutOutAndItsStandbyTakesOver(t *testing.T) {
	server, err := storetest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	b := exchangeFolder(t)
	b.configure("kind: sqlite", "kind: postgres")
	b.configure(`dsn: ""`, `dsn: postgres.dsn`)
	if err := os.WriteFile(filepath.Join(b.dir, "postgres.dsn"), []byte(server.Loopback("postgres")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, waiting, log := engineOf(t, b.dir, "--standby")
	until(t, "the standby to say what it waits for", func() bool { return log.says("a journal that no engine has begun") })
	first, lines, _ := engineOf(t, b.dir)
	ready(t, lines, readyEngine)
	until(t, "the standby to follow", func() bool { return log.says("msg=\"standing by\"") })
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := b.command("journal", "evict"); code != console.Failed || !strings.Contains(errs, "127.0.0.1") || !strings.Contains(errs, "nothing was done") {
		t.Fatalf("%d %s", code, errs)
	}
	if code, _, errs := b.command("journal", "evict", "--accept-risk", "everything"); code != console.Usage {
		t.Fatalf("%d %s", code, errs)
	}
	b.mustCommand("journal", "evict", "--accept-risk", "engine-loses-its-place")
	ready(t, waiting, readyEngine)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := first.Wait(); !errors.As(err, &exit) || console.Code(exit.ExitCode()) != console.Refused {
		t.Fatalf("the engine that was put out ended with %v", err)
	}
}

func TestAnEngineOnSQLiteIsNotPutOutFromOutside(t *testing.T) {
	b := exchangeFolder(t)
	if code, _, errs := b.command("journal", "evict", "--accept-risk", "engine-loses-its-place"); code != console.Usage || !strings.Contains(errs, "kill -9") {
		t.Fatalf("%d %s", code, errs)
	}
}
