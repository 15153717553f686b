// Program bench prints what `coldsign sign` costs, beside the work that nobody can leave out and beside other signers of
// the same packets. docs/performance.md explains the tables.
//
// It measures nothing itself: the Go side is BenchmarkSign of cmd/coldsign/internal/signing, which also writes the
// packets and their keys (all made up) for the others; bitcoinjs-lib and @scure/btc-signer run under Node.js from
// scripts/referees, Electrum under Debian's Python. A peer that is not installed is named and left out. What may never
// happen here: a number in a table that this run did not measure.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each case is signed; the tables show medians")
	flag.Parse()
	if err := run(os.Stdout, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, rounds int) error {
	packets, err := os.MkdirTemp("", "coldsign-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(packets)
	fmt.Fprintf(os.Stderr, "bench: signing with coldsign, %d rounds (about %d s)\n", rounds, 10+5*rounds)
	ours, err := goBench("Sign", rounds, "COLDSIGN_BENCH_EXPORT="+packets)
	if err != nil {
		return err
	}
	// A collector that stops everything counts no garbage as memory in use; it would disturb the times.
	memory, err := goBench("Sign", 1, "GODEBUG=gcstoptheworld=1")
	if err != nil {
		return err
	}
	unlock, err := goBench("Unlock", 3)
	if err != nil {
		return err
	}
	machine(out)
	if err := costTable(out, ours, memory); err != nil {
		return err
	}
	var measured []peer
	for _, p := range peers() {
		fmt.Fprintf(os.Stderr, "bench: signing with %s\n", p.name)
		if err := p.measure(packets, rounds); err != nil {
			fmt.Fprintf(out, "\n%s is left out: %v\n", p.name, err)
			continue
		}
		measured = append(measured, p)
	}
	if err := peerTable(out, ours, measured); err != nil {
		return err
	}
	return startTable(out, unlock, measured)
}

// result is one line of a Go benchmark: its values by unit.
type result struct {
	name   string
	values map[string]float64
}

func (r result) ms(unit string) float64 { return r.values[unit] / 1e6 }

// goBench runs a benchmark of the signing room and reads its lines.
func goBench(name string, rounds int, env ...string) ([]result, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark"+name+"$", "-benchtime", strconv.Itoa(rounds)+"x", "-timeout", "30m",
		"./cmd/coldsign/internal/signing")
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s: %w\n%s", name, err, text)
	}
	var out []result
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 3 && strings.HasPrefix(fields[0], "Benchmark"+name) {
			r := result{fields[0], map[string]float64{}}
			for i := 2; i+1 < len(fields); i += 2 {
				value, err := strconv.ParseFloat(fields[i], 64)
				if err != nil {
					return nil, fmt.Errorf("benchmark line %q: %w", line, err)
				}
				r.values[fields[i+1]] = value
			}
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("go test -bench %s printed no result", name)
	}
	return out, nil
}

// peer is another signer.
type peer struct {
	name    string
	command func(folder string, rounds int) (*exec.Cmd, error)
	cases   map[int]timing
	cold    time.Duration // wall time of a process that reads and signs 50 inputs once
}

// timing is a line that a peer prints, in milliseconds.
type timing struct {
	Inputs                               int
	ReadCPU, ReadWall, SignCPU, SignWall float64
}

const coldInputs = 50

func peers() []peer {
	return []peer{
		{name: "bitcoinjs-lib", command: node("bitcoinjs")},
		{name: "@scure/btc-signer", command: node("scure")},
		{name: "Electrum", command: func(folder string, rounds int) (*exec.Cmd, error) {
			return exec.Command("/usr/bin/python3", "-I", filepath.Join("scripts", "bench", "electrum.py"), folder, strconv.Itoa(rounds)), nil
		}},
	}
}

// node runs a copy of peers.mjs beside the packages of the referees, because Node.js looks for packages beside a file.
func node(name string) func(string, int) (*exec.Cmd, error) {
	return func(folder string, rounds int) (*exec.Cmd, error) {
		modules, err := filepath.Abs(filepath.Join("scripts", "referees", "node_modules"))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(modules); err != nil {
			return nil, fmt.Errorf("its packages are not installed; type: make referees")
		}
		program, err := os.ReadFile(filepath.Join("scripts", "bench", "peers.mjs"))
		if err != nil {
			return nil, err
		}
		beside := folder + "-" + name
		if err := os.MkdirAll(beside, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(beside, "peers.mjs"), program, 0o600); err != nil {
			return nil, err
		}
		if err := os.Symlink(modules, filepath.Join(beside, "node_modules")); err != nil && !os.IsExist(err) {
			return nil, err
		}
		return exec.Command("node", filepath.Join(beside, "peers.mjs"), name, folder, strconv.Itoa(rounds)), nil
	}
}

// measure runs the peer warm over all cases, and cold, with its process, over one.
func (p *peer) measure(packets string, rounds int) error {
	defer func() {
		beside, _ := filepath.Glob(packets + "*-*")
		for _, dir := range beside {
			_ = os.RemoveAll(dir)
		}
	}()
	text, _, err := p.run(packets, max(1, rounds/5))
	if err != nil {
		return err
	}
	p.cases = map[int]timing{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var t timing
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		p.cases[t.Inputs] = t
	}
	one := packets + "-one"
	if err := os.MkdirAll(one, 0o700); err != nil {
		return err
	}
	file := strconv.Itoa(coldInputs) + ".json"
	if err := os.Link(filepath.Join(packets, file), filepath.Join(one, file)); err != nil {
		return err
	}
	_, p.cold, err = p.run(one, 0)
	return err
}

func (p *peer) run(folder string, rounds int) ([]byte, time.Duration, error) {
	cmd, err := p.command(folder, rounds)
	if err != nil {
		return nil, 0, err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	start := time.Now()
	text, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return nil, 0, fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return text, time.Since(start), nil
}
