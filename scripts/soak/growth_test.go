package main

import (
	"io"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// What stays the same is no problem, and each of what a process can have too much of is found and named.
func TestGrowthIsFound(t *testing.T) {
	run := func(change func(at int, u *usage), segment string) error {
		g := &growth{samples: map[string][]usage{}, commands: 1000}
		for _, name := range append([]string{"supervisor"}, drive.Segments()...) {
			for at := range 30 {
				u := usage{memory: 100 << 20, files: 20, goroutines: 60}
				if u.memory += at % 7 << 20; name == segment { // the collector comes and goes
					change(at, &u)
				}
				g.samples[name] = append(g.samples[name], u)
			}
		}
		return g.report(io.Discard)
	}
	if err := run(nil, ""); err != nil {
		t.Errorf("in peace: %v", err)
	}
	for want, change := range map[string]func(int, *usage){
		"MiB, by more than": func(at int, u *usage) { u.memory += at * 24 << 20 },
		"files open":        func(at int, u *usage) { u.files += at * 3 },
		"goroutines":        func(at int, u *usage) { u.goroutines += at * 9 },
	} {
		for _, segment := range drive.Segments() {
			if err := run(change, segment); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), segment) {
				t.Errorf("%s of %s: %v", want, segment, err)
			}
		}
	}
	if err := (&growth{samples: map[string][]usage{}}).report(io.Discard); err == nil {
		t.Error("a run without commands and samples is called good")
	}
}
