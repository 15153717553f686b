package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Attack 084: the process that reads pictures is bounded by the kernel, and has no home to take a key from.
func TestAttack084PicturesAreReadByABoundedProcessWithoutKeys(t *testing.T) {
	dir := t.TempDir()
	for i := range 600 { // it says that each is no picture, and so fills a pipe that nobody empties, and waits
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%d", strings.Repeat("x", 200), i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	broken := t.TempDir() // a command that opened this home would end at once
	if err := os.WriteFile(filepath.Join(broken, "home.json"), []byte("no home"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("coldsign", "scan", "--images", dir, "--out", filepath.Join(broken, "out"), "--home", broken)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	first := make([]byte, len("coldsign: left alone"))
	if _, err := io.ReadFull(stderr, first); err != nil || string(first) != "coldsign: left alone" {
		t.Fatalf("%q, %v", first, err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Max cpu time +3600 +3600 `, `Max data size +1073741824 +1073741824 `, `Max file size +16777216 +16777216 `, `Max core file size +0 +0 `} {
		if !regexp.MustCompile(want).Match(limits) {
			t.Errorf("no %q in\n%s", want, limits)
		}
	}
	for _, file := range files {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", cmd.Process.Pid, file.Name())); strings.HasPrefix(to, broken) {
			t.Errorf("open while pictures are read: %s", to)
		}
	}
}
