package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
)

// checkWithOpenSSH verifies both exported approvals with ssh-keygen alone: an auditor needs none of our programs.
func (s *story) checkWithOpenSSH(id string) error {
	intent := s.path("carried", "intent-"+id+".bin")
	if _, err := s.must(s.warmctl("bob", "topup", "show", id, "--out", intent)); err != nil {
		return err
	}
	raw, err := os.ReadFile(intent)
	if err != nil {
		return err
	}
	for _, person := range []string{"alice", "bob"} {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", s.path("records", "roster"), "-I", person, "-n", "coldsign-approve-v1",
			"-s", s.path("carried", "approval-"+person+"-"+id+".sig"))
		cmd.Stdin = bytes.NewReader(raw)
		text, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("ssh-keygen does not accept %s's approval: %w\n%s", person, err, text)
		}
		s.detail("ssh-keygen -Y verify: %s", bytes.TrimSpace(text))
	}
	return nil
}
