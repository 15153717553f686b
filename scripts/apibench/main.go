// Package main measures how many orders a second the exchange takes over HTTP: gateway, bus, durable journal, engine
// and ledger in one process, the load generator in a second one, on the cores that both share.
//
// Then the volatile hours: bots that send ten orders a second each, alone and beside nineteen times as many requests
// that are garbage, with limits as in the product; it prints how much slower the slowest hundredth of the orders is.
//
// Beside the real path it prints the same path with a journal that forgets, and what one flush of this disk costs, so
// that a reader can tell the disk's part from ours. There limits are counted as in the product, and nobody is refused by
// them. What may never happen here: a figure of a run in which an order was refused for a reason that is not printed.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	role := flag.String("role", "", "internal: serve or load")
	variant := flag.String("variant", "durable", "internal: what is served")
	seconds := flag.Float64("seconds", 8, "length of each run")
	rounds := flag.Int("rounds", 3, "runs of each row; the median is printed")
	bots := flag.Int("bots", 20, "of the part with garbage, each with ten orders a second; zero: leave it out")
	garbage := flag.Bool("garbage", false, "only the part with garbage")
	only := flag.Int("connections", 0, "print only the rows with so many; zero: all")
	dir := flag.String("dir", "out/bench-api", "where the journals lie; a disk, not memory")
	flag.Parse()
	var err error
	switch *role {
	case "load":
		loadMain()
	case "garbage":
		garbageMain()
	case "serve":
		err = serveMain(*variant, *dir)
	default:
		if !*garbage {
			err = bench(*dir, *seconds, *rounds, *only)
		}
		if err == nil && *bots > 0 {
			err = errors.Join(os.MkdirAll(*dir, 0o700), volatile(*dir, *seconds, *rounds, min(*bots, customers)))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-api:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	name, variant string
	connections   int
}

func bench(dir string, seconds float64, rounds, only int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	rows := []row{{"durable, with shadow replica and records", "full", 64}, {"durable", "durable", 64}, {"durable", "durable", 1}, {"durable", "durable", 256},
		{"without commit", "forgetful", 64}, {"without commit", "forgetful", 1}}
	fmt.Printf("orders over HTTP, SQLite journal sealed and flushed before every answer; server one process, generator another\n"+
		"%s/%s, %d processors, load %s, median of %d runs of %.0f s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), loadAverage(), rounds, seconds)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "path\tconnections\torders/s\tp50 ms\tp99 ms\tp99.9 ms\tmost ms\tserver cpu us/order\tcommands/commit\t")
	for _, r := range rows {
		if only != 0 && r.connections != only {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench-api: %s, %d connections\n", r.name, r.connections)
		m, err := runs(dir, r, seconds, rounds)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t\n", r.name, r.connections, m.PerSecond, m.P50, m.P99, m.P999, m.Max, m.cpu, m.perCommit)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	p50, p99, err := bareFlush(dir)
	if err != nil {
		return err
	}
	fmt.Printf("\none flush of 16 KiB on the same disk: p50 %.2f ms, p99 %.2f ms\n", p50, p99)
	return nil
}

func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(raw))[0]
}

type measured struct {
	loadReport
	cpu, perCommit float64
	garbage, rss   float64 // a second, MiB
	statuses       map[int]int64
}

// runs returns the run with the median throughput.
func runs(dir string, r row, seconds float64, rounds int) (measured, error) {
	var all []measured
	for range rounds {
		m, err := run(dir, r, seconds)
		if err != nil {
			return m, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b measured) int { return int(a.PerSecond - b.PerSecond) })
	return all[len(all)/2], nil
}

// serving is a server in a process of its own.
type serving struct {
	self, work string
	process    *exec.Cmd
	stop       io.WriteCloser
	said       *bufio.Reader
	plan       loadPlan // where it is, and whose orders it takes
}

func begin(dir, variant string) (s *serving, err error) {
	s = &serving{}
	if s.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if s.work, err = os.MkdirTemp(dir, "run-"); err != nil {
		return nil, err
	}
	s.process = exec.Command(s.self, "-role", "serve", "-variant", variant, "-dir", s.work)
	s.process.Stderr = os.Stderr
	stop, errStop := s.process.StdinPipe()
	out, errOut := s.process.StdoutPipe()
	if err := errors.Join(errStop, errOut); err != nil {
		return nil, err
	}
	s.stop, s.said = stop, bufio.NewReader(out)
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	line, err := s.said.ReadBytes('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server says nothing: %w", err), s.end())
	}
	return s, json.Unmarshal(line, &s.plan)
}

func (s *serving) end() error {
	s.stop.Close()
	return errors.Join(s.process.Wait(), os.RemoveAll(s.work))
}

// run starts a server, drives it, and ends it.
func run(dir string, r row, seconds float64) (m measured, err error) {
	s, err := begin(dir, r.variant)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	plan := s.plan
	plan.Connections = r.connections
	plan.Seconds = 1 // warm
	if _, err := drive(s.self, plan); err != nil {
		return m, err
	}
	before, err := ask(s.stop, s.said)
	if err != nil {
		return m, err
	}
	plan.Seconds, plan.Seed = seconds, 1
	if m.loadReport, err = drive(s.self, plan); err != nil {
		return m, err
	}
	after, err := ask(s.stop, s.said)
	if err != nil {
		return m, err
	}
	if len(m.Refused) > 0 {
		return m, fmt.Errorf("%s: orders were refused: %v", r.name, m.Refused)
	}
	m.cpu = float64(after.CPU-before.CPU) / 1000 / float64(m.Orders)
	m.perCommit = float64(after.Commands-before.Commands) / float64(max(after.Commits-before.Commits, 1))
	return m, nil
}

// usage is what a server says of itself for each line on its standard input.
type usage struct {
	CPU      time.Duration
	Commands uint64
	Commits  uint64
	RSS      int64 // KiB
}

func ask(to io.Writer, from *bufio.Reader) (u usage, err error) {
	if _, err := fmt.Fprintln(to); err != nil {
		return u, err
	}
	line, err := from.ReadBytes('\n')
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(line, &u)
}

func drive(self string, plan loadPlan) (report loadReport, err error) {
	raw, err := json.Marshal(plan)
	if err != nil {
		return report, err
	}
	load := exec.Command(self, "-role", "load")
	load.Stdin, load.Stderr = bytes.NewReader(raw), os.Stderr
	out, err := load.Output()
	if err != nil {
		return report, fmt.Errorf("load: %w", err)
	}
	return report, json.Unmarshal(out, &report)
}

// bareFlush measures writing and flushing 16 KiB, as a frame of about a hundred commands is, in milliseconds.
func bareFlush(dir string) (p50, p99 float64, err error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var times histogram
	block := make([]byte, 16<<10)
	for range 2000 {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		times.note(time.Since(start))
	}
	return times.quantile(0.5), times.quantile(0.99), nil
}
