package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// What a process may take more at the end of the quiet half than at its beginning. The engine keeps the answers of its
// last million commands, so that each may cost some memory until then; records and journal have caches that fill.
const (
	memorySlack      = 48 << 20 // bytes
	memoryShare      = 4        // and a quarter of what it had
	memoryPerCommand = 600      // and so much for each command, of the engine
	// The engine and its follower each take the place of their next half million answers at once, in the middle of a run,
	// and the collector lets the heap double before it looks: 75 MiB in a step, and as much again slowly.
	memoryStep      = 224 << 20
	filesSlack      = 24
	goroutinesSlack = 64
	diskPerCommand  = 4096 // bytes of journal, records and snapshots for each command
)

// usage is what a process has at one moment.
type usage struct {
	memory, files, goroutines int
}

// growth is what the processes took in the quiet half.
type growth struct {
	samples  map[string][]usage
	commands uint64
	disk     int64
	problems []error
}

// measure leaves the exchange in peace for the second half, and samples every process.
func (s *site) measure(ctx context.Context, length time.Duration) (*growth, error) {
	g := &growth{samples: map[string][]usage{}}
	pids, err := s.processes()
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(length)
	every := max(length/60, time.Second)
	time.Sleep(length / 6) // what was started last fills its caches
	if err := s.check(ctx, "the quiet half begins"); err != nil {
		return nil, err
	}
	first, disk := s.replica.State.Seq(), used(s.disks...)
	checked := time.Now()
	for time.Now().Before(until) {
		time.Sleep(every)
		for name, pid := range pids {
			u, err := s.usage(name, pid)
			if err != nil {
				return nil, fmt.Errorf("%s, which nobody killed, is gone: %w", name, err)
			}
			g.samples[name] = append(g.samples[name], u)
		}
		if time.Since(checked) > max(length/4, 20*time.Second) {
			checked = time.Now()
			if err := s.check(ctx, "in peace"); err != nil {
				return nil, err
			}
		}
	}
	if err := s.check(ctx, "the quiet half ends"); err != nil {
		return nil, err
	}
	g.commands, g.disk = s.replica.State.Seq()-first, used(s.disks...)-disk
	return g, nil
}

// processes are the numbers of what runs now.
func (s *site) processes() (map[string]int, error) {
	out := map[string]int{"supervisor": s.Supervisor.PID()}
	for _, segment := range drive.Segments() {
		pid, err := s.PID(segment)
		if err != nil {
			return nil, err
		}
		out[segment] = pid
	}
	return out, nil
}

// usage reads what the kernel knows of a process, and what the gateway says of its goroutines.
func (s *site) usage(name string, pid int) (u usage, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	raw, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(raw)) {
		if text, is := strings.CutPrefix(line, "VmRSS:"); is {
			if u.memory, err = strconv.Atoi(strings.Fields(text)[0]); err != nil {
				return u, err
			}
			u.memory <<= 10
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	u.files = len(files)
	if err == nil && name == "gateway" {
		u.goroutines, err = goroutines(s.Internal)
	}
	return u, err
}

// goroutines asks the gateway's metrics.
func goroutines(address string) (int, error) {
	client := http.Client{Timeout: 5 * time.Second}
	reply, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	for lines := bufio.NewScanner(io.LimitReader(reply.Body, 8<<20)); lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), "go_goroutines "); is {
			n, err := strconv.ParseFloat(text, 64)
			return int(n), err
		}
	}
	return 0, errors.New("the gateway's metrics have no go_goroutines")
}

// used is how many bytes the files of folders take. The databases' write-ahead logs are begun anew at a size of their own and
// do not grow with what was written.
func used(dirs ...string) (sum int64) {
	for _, dir := range dirs {
		sum += usedIn(dir)
	}
	return sum
}

func usedIn(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "pg_wal" {
			return fs.SkipDir
		}
		if err == nil && entry.Type().IsRegular() && !strings.HasSuffix(entry.Name(), "-wal") {
			if info, err := entry.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil // a file that went away meanwhile takes nothing
	})
	return sum
}

// middle is the median of a third of the samples: single moments say nothing of memory that is collected now and then.
func middle(samples []usage, of func(usage) int) int {
	var list []int
	for _, u := range samples {
		list = append(list, of(u))
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// report prints what grew, and fails where it grew too much.
func (g *growth) report(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "process\tMiB, first third\tlast third\tfiles\tlater\tgoroutines\tlater")
	for _, name := range append([]string{"supervisor"}, drive.Segments()...) {
		g.judge(table, name, g.samples[name])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if g.commands == 0 {
		return errors.New("no command was taken in the quiet half")
	}
	per := g.disk / int64(g.commands)
	fmt.Fprintf(out, "disk: %d bytes for each of %d commands\n", per, g.commands)
	if per > diskPerCommand {
		g.problems = append(g.problems, fmt.Errorf("the disk grows by %d bytes for each command, at most %d are expected", per, diskPerCommand))
	}
	return errors.Join(g.problems...)
}

func (g *growth) judge(table io.Writer, name string, samples []usage) {
	third := len(samples) / 3
	if third == 0 {
		g.problems = append(g.problems, fmt.Errorf("%s: only %d samples; let it run longer", name, len(samples)))
		return
	}
	early, late := samples[:third], samples[len(samples)-third:]
	measure := func(of func(usage) int) (int, int) { return middle(early, of), middle(late, of) }
	m0, m1 := measure(func(u usage) int { return u.memory })
	f0, f1 := measure(func(u usage) int { return u.files })
	r0, r1 := measure(func(u usage) int { return u.goroutines })
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", name, m0>>20, m1>>20, f0, f1, r0, r1)
	allowed := memorySlack + m0/memoryShare
	if name == "engine" {
		allowed += memoryStep + memoryPerCommand*int(g.commands)
	}
	if m1-m0 > allowed {
		g.problems = append(g.problems, fmt.Errorf("%s grew from %d to %d MiB, by more than the %d MiB that are expected", name, m0>>20, m1>>20, allowed>>20))
	}
	if f1-f0 > filesSlack {
		g.problems = append(g.problems, fmt.Errorf("%s holds %d files open, %d before", name, f1, f0))
	}
	if r1-r0 > goroutinesSlack {
		g.problems = append(g.problems, fmt.Errorf("%s has %d goroutines, %d before", name, r1, r0))
	}
}
