//go:build referees

package referees_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The referees by the names that people know them by.
const (
	bitcoinjs    = "bitcoinjs"
	scure        = "scure"
	caravan      = "Caravan"
	bitcoinerlab = "bitcoinerlab"
	electrum     = "Electrum"
)

// install is what a person types when a referee is missing.
const install = "type: make referees"

// referee is a process that answers JSON lines.
type referee struct {
	t      testing.TB
	name   string
	dir    string // everything it may write is in here
	ask    *json.Encoder
	answer *bufio.Reader
	errs   *bytes.Buffer
}

// verdict is an answer, one of the two.
type verdict struct {
	Gives   json.RawMessage `json:"gives"`
	Refuses string          `json:"refuses"`
}

// hire starts a referee and ends it with the test. A missing referee fails the test: a suite that judged nothing would
// look like one that found nothing.
func hire(t testing.TB, name string) *referee {
	t.Helper()
	r := &referee{t: t, name: name, dir: t.TempDir(), errs: &bytes.Buffer{}}
	command := map[string][]string{
		bitcoinjs: {"node", "bitcoinjs.mjs"}, scure: {"node", "scure.mjs"}, caravan: {"node", "caravan.mjs"},
		bitcoinerlab: {"node", "bitcoinerlab.mjs"}, electrum: {"/usr/bin/python3", "-I", "cosigner.py", r.dir},
	}[name]
	if _, err := os.Stat(filepath.Join("node_modules", ".package-lock.json")); err != nil && name != electrum {
		t.Fatalf("%s is not installed: %v; %s", name, err, install)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stderr = cleanEnv(r.dir), r.errs
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s does not start: %v; %s", name, err, install)
	}
	r.ask, r.answer = json.NewEncoder(in), bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v\n%s", name, err, r.errs)
		}
	})
	return r
}

// cleanEnv leaves a program nothing of this person's home or settings.
func cleanEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
}

// judge asks one question and returns the answer, whatever it is.
func (r *referee) judge(act string, request map[string]any) verdict {
	r.t.Helper()
	question := map[string]any{"do": act}
	for key, value := range request {
		question[key] = value
	}
	must(r.t, r.ask.Encode(question))
	line, err := r.answer.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("%s gives no answer to %s: %v; if it is not installed, %s\n%s", r.name, act, err, install, r.errs)
	}
	var v verdict
	must(r.t, json.Unmarshal(line, &v))
	if (v.Gives != nil) == (v.Refuses != "") {
		r.t.Fatalf("%s answers %s with %s", r.name, act, line)
	}
	return v
}

// give asks a question that the referee must be able to answer.
func (r *referee) give(act string, request map[string]any, into any) {
	r.t.Helper()
	v := r.judge(act, request)
	if v.Gives == nil {
		r.t.Fatalf("%s: %s: %s", r.name, act, v)
	}
	must(r.t, json.Unmarshal(v.Gives, into))
}

// String says an answer in words.
func (v verdict) String() string {
	if v.Refuses != "" {
		return "refuses: " + v.Refuses
	}
	return fmt.Sprintf("gives %.80s", v.Gives)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
