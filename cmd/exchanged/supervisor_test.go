package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/console"
)

// readyLine is what a segment prints when it is ready.
type readyLine struct {
	Schema, Listen string
	PID            int
}

// supervised starts a whole exchange as processes and returns the ready lines as they come.
func supervised(t *testing.T, dir string, args ...string) (*exec.Cmd, <-chan readyLine) {
	t.Helper()
	cmd := exec.Command("exchanged", append([]string{"run", "--data", dir}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(errs.String())
		}
	})
	lines := make(chan readyLine, 100)
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			var line readyLine
			if json.Unmarshal(scan.Bytes(), &line) == nil {
				lines <- line
			}
		}
		close(lines)
	}()
	return cmd, lines
}

// ready waits for ready lines of these schemas, in any order.
func ready(t *testing.T, lines <-chan readyLine, schemas ...string) map[string]readyLine {
	t.Helper()
	got := map[string]readyLine{}
	for deadline := time.After(30 * time.Second); len(got) < len(schemas); {
		select {
		case line, more := <-lines:
			if !more {
				t.Fatalf("the exchange ended; ready were %v", got)
			}
			got[line.Schema] = line
		case <-deadline:
			t.Fatalf("ready are only %v", got)
		}
	}
	return got
}

const (
	readyEngine   = "coldsign.engine-ready/v1"
	readyGateway  = "coldsign.gateway-ready/v1"
	readyTreasury = "coldsign.ready/v1"
)

// running reports whether a process is there and not a corpse.
func running(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func exchangeFolder(t *testing.T) *bourse {
	t.Helper()
	b := &bourse{rig: &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), time: time.Now(), people: map[string]ssh.Signer{}}}
	b.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0", "--node-url", "http://127.0.0.1:1", "--exchange")
	b.configure(`listen: "127.0.0.1:8080"`, `listen: "127.0.0.1:0"`)
	b.configure(`internal: "127.0.0.1:9080"`, `internal: "127.0.0.1:0"`)
	return b
}

// Each segment is a process of its own; one that is killed comes back; all end with the daemon, in order or not.
func TestSegmentsAreStartedAgainAndEndWithTheDaemon(t *testing.T) {
	b := exchangeFolder(t)
	cmd, lines := supervised(t, b.dir)
	first := ready(t, lines, readyEngine, readyGateway, readyTreasury)
	for _, kill := range []string{readyGateway, readyEngine, readyTreasury} {
		if err := syscall.Kill(first[kill].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		again := ready(t, lines, kill)[kill]
		if again.PID == first[kill].PID {
			t.Errorf("%s: the same process", kill)
		}
		first[kill] = again
	}
	until(t, "the gateway to be of use again", func() bool {
		response, err := http.Get("http://" + first[readyGateway].Listen + "/api/v3/exchangeInfo")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	for name, line := range first {
		if running(line.PID) {
			t.Errorf("%s outlived the daemon", name)
		}
	}
	b.mustCommand("journal", "verify")
	if got := b.told(); got["segment-died gateway"] != 1 || got["segment-died engine"] != 1 || got["segment-died wallet,admin"] != 1 {
		t.Errorf("people were told %v", got)
	}
}

// told returns what people were told, by kind and what it was about, and how often.
func (b *bourse) told() map[string]int {
	b.t.Helper()
	list, err := folder(b.dir).allAlerts()
	if err != nil {
		b.t.Fatal(err)
	}
	got := map[string]int{}
	for _, one := range list {
		got[one.Kind+" "+one.About]++
	}
	return got
}

func TestSegmentsEndWhenTheDaemonIsKilled(t *testing.T) {
	b := exchangeFolder(t)
	cmd, lines := supervised(t, b.dir)
	all := ready(t, lines, readyEngine, readyGateway, readyTreasury)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for name, line := range all {
		until(t, "the end of "+name, func() bool { return !running(line.PID) })
	}
}

// Two engines by mistake: the second is refused by the journal, and says so; as a standby it takes over.
func TestASecondEngineIsRefusedAndAStandbyTakesOver(t *testing.T) {
	b := exchangeFolder(t)
	first, lines := supervised(t, b.dir, "--segment", "engine")
	ready(t, lines, readyEngine)
	second := exec.Command("exchanged", "run", "--data", b.dir, "--segment", "engine")
	var exit *exec.ExitError
	text, err := second.CombinedOutput()
	if !errors.As(err, &exit) || console.Code(exit.ExitCode()) != console.Refused || !strings.Contains(string(text), "journal-in-use") {
		t.Errorf("%v\n%s", err, text)
	}
	_, waiting := supervised(t, b.dir, "--segment", "engine", "--standby")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ready(t, waiting, readyEngine)
	if got := b.told(); got["engine-stopped journal-in-use"] != 1 || got["standby-took-over engine"] != 1 {
		t.Errorf("people were told %v", got)
	}
}

func TestConfigurationsOfAnExchangeThatCannotRunAreRefused(t *testing.T) {
	b := exchangeFolder(t)
	raw := string(must(os.ReadFile(folder(b.dir).path("exchanged.yaml"))))
	for name, change := range map[string][2]string{
		"unknown key":               {"    connections: 10000", "    connectoins: 10000"},
		"public listener, no TLS":   {`listen: "127.0.0.1:0"   # for customers`, `listen: "0.0.0.0:443"`},
		"public internal listener":  {`internal: "127.0.0.1:0"`, `internal: "8.8.8.8:1"`},
		"half a TLS pair":           {`    cert: ""                   # PEM files; needed unless`, `    cert: x # `},
		"unknown store":             {"kind: sqlite", "kind: mysql"},
		"postgres without dsn":      {"kind: sqlite", "kind: postgres"},
		"unknown limits":            {"limits: own", "limits: none"},
		"proxy that is no block":    {"proxies: []", "proxies: [here]"},
		"proxies everywhere":        {"proxies: []", "proxies: [0.0.0.0/0]"},
		"bus without a port":        {"urls: []", "urls: [\"nats://a\"]"},
		"bus TLS without a key":     {`ca: ""                     # PEM files for`, `ca: x #`},
		"confirmations, no wallet":  {"confirmations: []", "confirmations: [{need: 1}]"},
		"wallet, no confirmations":  {`wallet: ""                 # registered`, "wallet: W #"},
		"no end of the steps":       {"wallet: \"\"                 # registered wallet whose receive addresses customers pay to\n    confirmations: []", "wallet: W\n    confirmations: [{below: \"1.0\", need: 1}]"},
		"steps that fall":           {"wallet: \"\"                 # registered wallet whose receive addresses customers pay to\n    confirmations: []", "wallet: W\n    confirmations: [{below: \"2.0\", need: 1}, {below: \"1.0\", need: 2}, {need: 3}]"},
		"an amount without quotes":  {"wallet: \"\"                 # registered wallet whose receive addresses customers pay to\n    confirmations: []", "wallet: W\n    confirmations: [{below: 1.0, need: 1}, {need: 3}]"},
		"a timeout of no time":      {"timeout: 5s", "timeout: 0s"},
		"a group without a name":    {"group: main", "group: \"\""},
		"connections without limit": {"connections: 10000", "connections: 0"},
	} {
		changed := strings.Replace(raw, change[0], change[1], 1)
		if changed == raw {
			t.Errorf("%s: the configuration lacks %q", name, change[0])
		} else if _, err := parseConfig([]byte(changed)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, names := range [][]string{{"engine", "engine"}, {"wallet"}, {"admin"}, {"none"}} {
		if _, err := parseSegments(names); err == nil {
			t.Errorf("segments %v are taken", names)
		}
	}
	if code, _, _ := b.command("init", "--network", "mainnet", "--exchange", "--cool-down", "1m"); code == console.Done {
		t.Error("a short cool-down is taken for mainnet")
	}
}
