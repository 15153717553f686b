// Matchbench plays one tape of orders through the product's order book and through others, and prints what each took.
//
// The tape is ME-TAPE v1: 70 of 100 operations add an order that rests, 20 cancel one, 10 trade; integers only, so it is
// the same on every machine. Each engine plays it in a fresh process, the engines take turns within each repetition, and
// each must report the trades of the generator's own book: equal count, equal digest. A chunk of operations during which
// the kernel took the thread off its core is not counted.
//
// This is a module of its own, so that no peer becomes a dependency of the product.
//
//	go run . --reps 5 --ops 2000000
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	reps := flag.Int("reps", 3, "repetitions; each runs every engine once")
	timed := flag.Int("ops", 2_000_000, "timed operations on each tape")
	sizes := flag.String("resting", "1000,10000,100000,1000000", "resting orders of the tapes")
	only := flag.String("only", "", "only engines whose name contains this")
	whole := flag.Bool("engine", true, "measure the whole engine too")
	child := flag.String("child", "", "one run: the engine's name")
	path := flag.String("tape", "", "one run: the tape")
	flag.Parse()
	var err error
	if *child != "" {
		err = runChild(*child, *path, os.Stdout)
	} else {
		err = compare(*sizes, *timed, *reps, *only)
		if err == nil && *whole {
			err = wholeEngine()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matchbench:", err)
		os.Exit(1)
	}
}

func runChild(name, path string, out io.Writer) error {
	t, err := readTape(path)
	if err != nil {
		return err
	}
	for _, e := range entrants() {
		if e.name == name {
			return json.NewEncoder(out).Encode(measure(e.make, t))
		}
	}
	return fmt.Errorf("no engine %q", name)
}

func compare(sizes string, timed, reps int, only string) error {
	folder, err := os.MkdirTemp("", "matchbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	preface(os.Stdout, timed, reps)
	for _, s := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 {
			return fmt.Errorf("%q resting orders", s)
		}
		if err := oneTape(filepath.Join(folder, s), generate(n, timed, false), reps, only); err != nil {
			return err
		}
	}
	const n = 10_000
	fmt.Printf("\nWith rules: %d resting orders; stops, icebergs, times and self-trade prevention on the tape. No peer has them all.\n", n)
	return oneTape(filepath.Join(folder, "rules"), generate(n, timed, true), reps, "coldsign")
}

// oneTape lets the engines take turns on a tape and prints its table.
func oneTape(path string, t tape, reps int, only string) error {
	if err := t.write(path); err != nil {
		return err
	}
	defer os.Remove(path)
	var rows []row
	for _, e := range entrants() {
		if strings.Contains(e.name, only) {
			rows = append(rows, row{entrant: e})
		}
	}
	for range reps {
		for i := range rows {
			f, err := fresh(rows[i].name, path)
			if err != nil {
				return err
			}
			rows[i].runs = append(rows[i].runs, f)
		}
	}
	if t.trades == 0 { // with rules: the engines judge each other
		t.trades, t.digest = rows[0].runs[0].Trades, rows[0].runs[0].Digest
	}
	for _, r := range rows {
		for _, f := range r.runs {
			if f.Trades != t.trades || f.Digest != t.digest {
				return fmt.Errorf("%s: %d trades with digest %016x, the tape has %d with %016x", r.name, f.Trades, f.Digest, t.trades, t.digest)
			}
		}
	}
	table(os.Stdout, t, rows)
	return nil
}

func fresh(name, path string) (f figures, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	cmd := exec.Command(self, "--child", name, "--tape", path)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	return f, json.Unmarshal(raw, &f)
}
