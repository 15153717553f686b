package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coldsign/coldsign/hsm/hsmtest"
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
	fmt.Fprintf(s.say, "Follow the tour in README.md. Passphrase of A and C: %q, PIN of both tokens: %s. Leave with exit.\n\n", passphrase, hsmtest.UserPIN)
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

// writeTour writes what the tour's commands need: the environment, and a command that mines a block.
func (s *story) writeTour() error {
	env := fmt.Sprintf("export PATH=%q:\"$PATH\"\nexport %s\nexport PS1='tour$ '\ncd %q\n", s.bin, s.tokens[0].Env(), s.dir)
	return errors.Join(s.writeMine(), os.WriteFile(s.path("tour.env"), []byte(env), 0o600))
}

// writeMine writes the command that mines a block. The node's password stands in a file for btcctl, not on a command line.
func (s *story) writeMine() error {
	credentials, err := os.ReadFile(s.node.CredentialsFile)
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(strings.TrimSpace(string(credentials)), ":")
	config := fmt.Sprintf("rpcuser=%s\nrpcpass=%s\nrpcserver=%s\nnotls=1\n", user, password, strings.TrimPrefix(s.node.URL, "http://"))
	mine := fmt.Sprintf("#!/bin/sh\n# Mines one block on the regtest node.\nexec %q --configfile=%q --regtest generate 1\n",
		filepath.Join(s.bin, "btcctl"), s.path("node", "btcctl.conf"))
	return errors.Join(os.WriteFile(s.path("node", "btcctl.conf"), []byte(config), 0o600), os.WriteFile(s.path("mine"), []byte(mine), 0o700))
}
