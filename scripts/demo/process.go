package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/console/ptytest"
)

// stepPatience bounds every wait for a program; it ends a hung demo, and nothing depends on how long a step takes.
const stepPatience = 60 * time.Second

// call is one run of one of the three programs.
type call struct {
	program string
	args    []string
	env     []string
	secret  string // goes to file descriptor 3, under the flag that the caller named
	backup  string // file that gets file descriptor 4
}

// result is what a run gave.
type result struct {
	out, errs string
	code      int
}

func (c call) command(bin string) (*exec.Cmd, func(), error) {
	cmd := exec.Command(filepath.Join(bin, c.program), c.args...)
	cmd.Env = append(cleanEnv(), c.env...)
	var open []*os.File
	closeAll := func() {
		for _, f := range open {
			f.Close()
		}
	}
	if c.secret != "" {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		open = append(open, read)
		go func() { io.WriteString(write, c.secret+"\n"); write.Close() }()
		cmd.ExtraFiles = append(cmd.ExtraFiles, read)
	}
	if c.backup != "" {
		file, err := os.OpenFile(c.backup, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		open = append(open, file)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	return cmd, closeAll, nil
}

// cleanEnv keeps what programs need of the caller's environment and nothing that could change what they do.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "COLDSIGN_") || strings.HasPrefix(e, "WARMCTL_") || strings.HasPrefix(e, "SOFTHSM2_")
	})
}

// run runs a program without a terminal and returns what it said; any exit code is a result.
func (s *story) run(c call) (result, error) {
	cmd, done, err := c.command(s.bin)
	if err != nil {
		return result{}, err
	}
	defer done()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, even when the demo has one: nobody is there to ask
	err = cmd.Run()
	r := result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	s.transcribe(c, r)
	if err != nil && r.code < 0 {
		return r, fmt.Errorf("%s: %w", c, err)
	}
	return r, nil
}

// must runs a program that has to succeed.
func (s *story) must(c call) (string, error) {
	r, err := s.run(c)
	if err != nil {
		return "", err
	}
	if r.code != 0 {
		return "", fmt.Errorf("%s: exit code %d\n%s", c, r.code, r.errs)
	}
	return r.out, nil
}

// mustJSON runs a program with --json and decodes its object.
func (s *story) mustJSON(c call, into any) error {
	c.args = append(slices.Clone(c.args), "--json")
	out, err := s.must(c)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("%s: %w in %q", c, err, out)
	}
	return nil
}

// terminal runs a program on a pseudo-terminal of 100 by 32.
func (s *story) terminal(c call) (*ptytest.Session, func(), error) {
	cmd, done, err := c.command(s.bin)
	if err != nil {
		return nil, nil, err
	}
	session, err := ptytest.Start(cmd, 100, 32)
	if err != nil {
		done()
		return nil, nil, err
	}
	return session, func() { session.Close(); done() }, nil
}

// String is the command as a person would type it.
func (c call) String() string {
	words := append([]string{c.program}, c.args...)
	for i, w := range words {
		if strings.ContainsAny(w, " \t") {
			words[i] = `"` + w + `"`
		}
	}
	return strings.Join(words, " ")
}

// transcribe keeps what was run and said, for the folder that the demo leaves.
func (s *story) transcribe(c call, r result) {
	fmt.Fprintf(s.transcript, "$ %s\n%s%s[exit %d]\n\n", c, r.out, r.errs, r.code)
}
