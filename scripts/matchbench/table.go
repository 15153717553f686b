package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// row is an engine with what its repetitions gave.
type row struct {
	entrant
	runs []figures
}

func (r row) best() float64 { return slices.MinFunc(r.runs, byTime).NsPerOp }

func (r row) median() figures {
	sorted := slices.SortedFunc(slices.Values(r.runs), byTime)
	return sorted[len(sorted)/2]
}

func byTime(a, b figures) int { return cmp.Compare(a.NsPerOp, b.NsPerOp) }

func preface(w io.Writer, timed, reps int) {
	fmt.Fprintf(w, "ME-TAPE v1, seed %d, %d operations a tape, %d repetitions, %s, %d cores.\n", seed, timed, reps, runtime.Version(), runtime.NumCPU())
	for _, e := range entrants() {
		fmt.Fprintf(w, "  %-26s %s\n", e.name, e.note)
	}
	fmt.Fprintln(w, "Not taking part, because the module proxy does not give them:")
	for _, a := range absent() {
		fmt.Fprintf(w, "  %s\n    %s\n", a[0], a[1])
	}
	fmt.Fprintln(w, "ns/op: best and median repetition. p50, p99, p999: ns of single operations, the clock's own cost included.")
	fmt.Fprintln(w, "allocs and bytes: for each operation of the second half; MiB: held by the engine at the end; kept: chunks not interrupted.")
}

func table(w io.Writer, t tape, rows []row) {
	live := rows[0].runs[0].Live
	fmt.Fprintf(w, "\n%d resting orders (%d at the end), %d trades, digest %016x, equal for all\n", t.preload, live, t.trades, t.digest)
	fmt.Fprintf(w, "  %-26s %8s %8s %7s %7s %7s %8s %8s %8s %6s\n", "engine", "best", "median", "p50", "p99", "p999", "allocs", "bytes", "MiB", "kept")
	for _, r := range rows {
		m := r.median()
		fmt.Fprintf(w, "  %-26s %8.1f %8.1f %7d %7d %7d %8.4f %8.1f %8.1f %5.0f%%\n",
			r.name, r.best(), m.NsPerOp, m.P50, m.P99, m.P999, m.Allocs, m.Bytes, m.HeldMiB, 100*m.Kept)
	}
	ratios(w, rows)
}

// ratios says how many times the product's books are faster than the fastest of the others, best against best.
func ratios(w io.Writer, rows []row) {
	for _, kind := range []role{peer, yardstick} {
		fastest := row{}
		for _, r := range rows {
			if r.kind == kind && (fastest.runs == nil || r.best() < fastest.best()) {
				fastest = r
			}
		}
		for _, r := range rows {
			if r.kind == ours && fastest.runs != nil {
				fmt.Fprintf(w, "  %s: %.1f times as fast as %s\n", r.name, fastest.best()/r.best(), fastest.name)
			}
		}
	}
}
