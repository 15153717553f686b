package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/console/ptytest"
)

// tourOf reads the commands of one tour as they stand in the README: those of the blocks behind its mark.
func tourOf(t *testing.T, mark string, least int) []string {
	return commandsOf(t, "README.md", mark, least)
}

func commandsOf(t *testing.T, page, mark string, least int) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range regexp.MustCompile("(?s)<!-- "+mark+" -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(out) < least {
		t.Fatalf("%s of %s has only %d commands", mark, page, len(out))
	}
	return out
}

// prompts are what a person on the tour answers. The screen's own prompts are answered by reading the screen.
var prompts = []struct{ see, answer string }{
	{"Retype the amount in BTC to approve:", "2.6\r"},
	{"PIN of token", hsmtest.UserPIN + "\r"},
	{"passphrase of key", passphrase + "\r"},
	{"Read every output first", "o"},
	{"Everything was shown", "s"},
}

// The README's tour is typed as it stands, on a terminal, in the shell that make demo-shell opens.
func TestTheReadmesTour(t *testing.T) {
	s, _ := stage(t)
	if err := s.provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.writeTour(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.proposed(t.Context()); err != nil {
		t.Fatal(err)
	}
	tail := ""
	for _, line := range tourOf(t, "tour", 15) {
		tail = s.typed(t, line)
		if line == "./mine" { // a person takes longer to type the next line than the daemon to see the block
			if _, err := s.await(t.Context(), "confirmed", func(u topUp) bool { return u.State == "confirmed" }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(tail, "HOT-BTC-1   hot   3.00000000") {
		t.Errorf("after the tour the hot wallet is not at its target:\n%s", tail)
	}
}

// typed runs one line of the tour in the tour's shell, answers what it asks, and returns what it showed.
func (s *story) typed(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.Command(shellPath(), "-c", ". ./tour.env; "+line)
	cmd.Dir, cmd.Env = s.dir, cleanEnv()
	session, err := ptytest.Start(cmd, 110, 36)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() { code, err := session.Wait(stepPatience); ended <- end{code, err} }()
	answered := map[string]bool{}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case e := <-ended:
			if e.err != nil || e.code != 0 {
				t.Fatalf("%s: exit %d, %v\n%s", line, e.code, e.err, session.Text())
			}
			return session.Text()
		case <-look.C:
			if err := s.answer(session, answered); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// answer presses what the screen asks for, each prompt once.
func (s *story) answer(session *ptytest.Session, answered map[string]bool) error {
	screen := session.Screen()
	for _, p := range prompts {
		if strings.Contains(screen, p.see) && !answered[p.see] {
			answered[p.see] = true
			return session.Send(p.answer)
		}
	}
	const confirm = "Retype the amount in BTC and the last 6"
	if strings.Contains(screen, confirm) && !answered[confirm] {
		answered[confirm] = true
		return session.Send("2.6 " + addressTail(screen) + "\r")
	}
	return nil
}

// addressTail reads the end of the destination's address from the summary, as a person does: the two lines of groups
// under SEND, without their spaces.
func addressTail(screen string) string {
	_, after, _ := strings.Cut(screen, " SEND ")
	lines := strings.Split(after, "\n")
	address := strings.ReplaceAll(lines[1]+lines[2], " ", "")
	return address[len(address)-6:]
}
