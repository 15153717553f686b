package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// shell provisions everything, writes an environment file, and opens a shell in which the tour's commands work as they
// stand in the README.
func (s *story) shell(ctx context.Context) error {
	if err := s.provision(ctx); err != nil {
		return err
	}
	if err := s.writeTour(); err != nil {
		return err
	}
	fmt.Fprintf(s.say, "\nNode and daemon are running. This shell has the programs on its path and starts in %s.\n", s.dir)
	fmt.Fprintf(s.say, "Follow the tour in README.md. Passphrase of A and C: %q, PIN of the tokens: see pin.txt. Leave with exit.\n\n", passphrase)
	cmd := exec.CommandContext(ctx, shellPath(), "--rcfile", s.path("tour.env"), "-i")
	cmd.Dir = s.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(cleanEnv(), s.tokens[0].Env())
	if err := cmd.Run(); err != nil {
		if _, exited := err.(*exec.ExitError); !exited {
			return err
		}
	}
	return nil
}

func shellPath() string {
	if path, err := exec.LookPath("bash"); err == nil {
		return path
	}
	return "/bin/sh"
}

// writeTour writes the environment of the tour: paths, and a command that mines a block.
func (s *story) writeTour() error {
	credentials, err := os.ReadFile(s.node.CredentialsFile)
	if err != nil {
		return err
	}
	mine := filepath.Join(s.dir, "mine")
	script := fmt.Sprintf("#!/bin/sh\n# Mines one block on the regtest node.\nexec curl -sS -u %q -d '{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"generate\",\"params\":[1]}' %s\n",
		strings.TrimSpace(string(credentials)), s.node.URL)
	if err := os.WriteFile(mine, []byte(script), 0o700); err != nil {
		return err
	}
	env := fmt.Sprintf("export PATH=%q:%q:\"$PATH\"\nexport %s\nexport PS1='tour$ '\ncd %q\n", s.bin, s.dir, s.tokens[0].Env(), s.dir)
	return os.WriteFile(s.path("tour.env"), []byte(env), 0o600)
}
