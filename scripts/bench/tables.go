package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine says what the tables were measured on.
func machine(out io.Writer) {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Fields(string(text))[0]
	}
	fmt.Fprintf(out, "%s, %d processors, load %s; %s %s/%s; milliseconds, medians\n\n", model, runtime.NumCPU(), load, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// rows prints lines of cells under right-aligned heads.
func rows(out io.Writer, heads []string, lines [][]string) error {
	widths := make([]int, len(heads))
	for _, line := range append([][]string{heads}, lines...) {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, line := range append([][]string{heads}, lines...) {
		var b strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&b, "%*s  ", widths[i], cell)
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// costTable is our cost beside the bare work with two verifications of each signature, as many as we do, and with one. What
// every bundle costs, however many inputs it has, stands by itself, and the ratio also without it.
func costTable(out io.Writer, ours, memory []result) error {
	var lines [][]string
	for i, r := range ours {
		over := func(clock, bare string) string {
			return fmt.Sprintf("%.2f", r.ms("sign-"+clock+"-ns")/r.ms(bare+"-"+clock+"-ns"))
		}
		above := func(clock string) string { // what is fixed
			return fmt.Sprintf("%.2f", (r.ms("sign-"+clock+"-ns")-r.ms("fixed-"+clock+"-ns"))/r.ms("bare-"+clock+"-ns"))
		}
		inputs := r.values["inputs"]
		lines = append(lines, []string{
			fmt.Sprintf("%.0f", inputs), fmt.Sprintf("%.0f", r.values["bundles"]), fmt.Sprintf("%.0f", r.values["bundle-bytes"]),
			fmt.Sprintf("%.1f", r.ms("sign-wall-ns")), fmt.Sprintf("%.1f", r.ms("sign-cpu-ns")), fmt.Sprintf("%.3f", r.ms("sign-wall-ns")/inputs),
			fmt.Sprintf("%.1f", r.ms("bare-wall-ns")), over("wall", "bare"), over("cpu", "bare"),
			fmt.Sprintf("%.1f", r.ms("fixed-wall-ns")), fmt.Sprintf("%.1f", r.ms("fixed-cpu-ns")), above("wall"), above("cpu"),
			fmt.Sprintf("%.1f", r.ms("bare1-wall-ns")), over("wall", "bare1"), over("cpu", "bare1"),
			fmt.Sprintf("%.1f", memory[i].values["peak/bundle"]),
		})
	}
	fmt.Fprintln(out, "coldsign sign, 3-of-5 P2WSH, one key, whole act")
	return rows(out, []string{"inputs", "bundles", "bytes", "sign wall", "cpu", "wall/input", "bare 2v", "ratio wall", "cpu",
		"fixed wall", "cpu", "ratio above wall", "cpu", "bare 1v", "ratio wall", "cpu", "memory/bundle"}, lines)
}

// peerTable puts the others beside it: reading and signing, and the sign calls alone.
func peerTable(out io.Writer, ours []result, others []peer) error {
	fmt.Fprintln(out, "\nthe same packets and keys in other signers, warm: read and sign, cpu (of it the sign calls)")
	heads := []string{"inputs", "coldsign cpu", "wall"}
	for _, p := range others {
		heads = append(heads, p.name)
	}
	heads = append(heads, "fastest/coldsign cpu", "wall")
	var lines [][]string
	for _, r := range ours {
		inputs := int(r.values["inputs"])
		line := []string{fmt.Sprint(inputs), fmt.Sprintf("%.1f", r.ms("sign-cpu-ns")), fmt.Sprintf("%.1f", r.ms("sign-wall-ns"))}
		cpu, wall := 0.0, 0.0
		for _, p := range others {
			t, ok := p.cases[inputs]
			if !ok {
				line = append(line, "-")
				continue
			}
			line = append(line, fmt.Sprintf("%.1f (%.1f)", t.ReadCPU+t.SignCPU, t.SignCPU))
			if all := t.ReadCPU + t.SignCPU; cpu == 0 || all < cpu {
				cpu = all
			}
			if all := t.ReadWall + t.SignWall; wall == 0 || all < wall {
				wall = all
			}
		}
		lines = append(lines, append(line, fmt.Sprintf("%.1f", cpu/r.ms("sign-cpu-ns")), fmt.Sprintf("%.1f", wall/r.ms("sign-wall-ns"))))
	}
	return rows(out, heads, lines)
}

// startTable is what a process costs that signs once.
func startTable(out io.Writer, unlock []result, others []peer) error {
	fmt.Fprintf(out, "\nwith the process around it, wall, %d inputs once, not warm\n", coldInputs)
	var lines [][]string
	for _, p := range others {
		lines = append(lines, []string{p.name, fmt.Sprintf("%.0f", float64(p.cold.Microseconds())/1000)})
	}
	if start, err := processStart(); err != nil {
		fmt.Fprintf(out, "the start of coldsign is left out: %v\n", err)
	} else {
		lines = append(lines, []string{"coldsign: start", fmt.Sprintf("%.0f", float64(start.Microseconds())/1000)})
	}
	lines = append(lines, []string{"coldsign: unlocking the key (argon2id, 256 MiB)", fmt.Sprintf("%.0f", unlock[0].ms("ns/op"))})
	return rows(out, []string{"", "ms"}, lines)
}

// processStart is the quickest of a few starts of the program as it is built.
func processStart() (time.Duration, error) {
	best := time.Duration(0)
	for range 5 {
		start := time.Now()
		if err := exec.Command("build/bin/coldsign", "help").Run(); err != nil {
			return 0, fmt.Errorf("build/bin/coldsign: %w (make build)", err)
		}
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}
