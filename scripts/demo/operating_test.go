package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// operator types what docs/operating.md says, in an empty folder, with addresses that are free on this machine.
type operator struct {
	t         *testing.T
	dir       string
	addresses *strings.Replacer // of the page, by ours
	functions string            // of the shell, that later lines call
	change    string            // that was proposed last
	word      string            // the first of its words
}

var proposedLine = regexp.MustCompile(`change ([0-9a-f]{16}) proposed, words: ([a-z]+)`)

// The page's way from nothing to a market is typed as it stands there; whoever follows it has a market at its end.
func TestThePagesWayFromNothingToAMarket(t *testing.T) {
	o := operator{t: t, dir: t.TempDir()}
	ours := []string{}
	for _, page := range []string{"127.0.0.1:7443", "127.0.0.1:8080", "127.0.0.1:9080"} {
		free, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, page, free)
	}
	o.addresses = strings.NewReplacer(ours...)
	shown := ""
	for _, line := range commandsOf(t, filepath.Join("docs", "operating.md"), "from nothing", 20) {
		switch {
		case strings.HasPrefix(line, "line()"):
			o.functions = line
		case strings.HasPrefix(line, "exchanged run "):
			o.start(line)
		case strings.HasPrefix(line, "warmctl") && strings.Contains(line, "change approve"):
			o.types(strings.Replace(line, "ID", o.change, 1) + " --yes-word " + o.word)
		default:
			shown += o.types(line)
			o.approves(line)
		}
	}
	for _, claim := range []string{`"bids":\[\]`, `exchange at command \d+, 1 accounts`, `secret  \w{64}`} {
		if !regexp.MustCompile(claim).MatchString(shown) {
			t.Errorf("nothing shows %q:\n%s", claim, shown)
		}
	}
}

// types runs a line in the folder and returns what it showed.
func (o *operator) types(line string) string {
	o.t.Helper()
	cmd := o.shell(line)
	out, err := cmd.CombinedOutput()
	if strings.HasPrefix(line, "exchanged status") && cmd.ProcessState.ExitCode() == 6 {
		err = nil // no Bitcoin node, as the page says
	}
	if err != nil {
		o.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	if m := proposedLine.FindSubmatch(out); m != nil {
		o.change, o.word = string(m[1]), string(m[2])
	}
	if strings.HasPrefix(line, "exchanged init ") {
		o.moves(filepath.Join(o.dir, "ex", "exchanged.yaml"))
	}
	return string(out)
}

func (o *operator) shell(line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", o.functions+"\n"+o.addresses.Replace(line))
	cmd.Dir, cmd.Env = o.dir, append(cleanEnv(), "PATH="+programs+":"+os.Getenv("PATH"))
	return cmd
}

// moves gives the daemon addresses that are free.
func (o *operator) moves(path string) {
	raw, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(o.addresses.Replace(string(raw))), 0o600)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// approves does for the changes after the first what the page says in words: both approve each before the next one.
func (o *operator) approves(line string) {
	if o.change == "" || strings.HasPrefix(line, "exchanged asset add BTC") {
		return
	}
	for _, person := range []string{"alice", "bob"} {
		o.types("warmctl --home " + person + " change approve " + o.change + " --identity " + person + ".ed25519 --yes-word " + o.word)
	}
	o.change = ""
}

// start runs the daemon as the page's first terminal does, until the test ends, and waits until it answers.
func (o *operator) start(line string) {
	cmd := o.shell("exec " + line)
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			o.t.Error(err)
		}
		_ = cmd.Wait()
	})
	ctx, stop := context.WithTimeout(o.t.Context(), stepPatience)
	defer stop()
	for {
		out, err := o.shell("exchanged status --data ex").CombinedOutput()
		if err == nil || strings.Contains(string(out), "exchange at command") {
			return
		}
		select {
		case <-ctx.Done():
			o.t.Fatalf("the daemon does not answer: %s", out)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
