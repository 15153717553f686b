package main

import (
	"fmt"
	"os"
	"os/exec"
)

// wholeEngine runs the benchmark of the engine, with ledger, names and events, after the books alone. It is a benchmark
// of the engine's own tests: only they can give a million customers money without two signatures for each.
func wholeEngine() error {
	fmt.Println("\nThe whole engine: frames of 256 commands, matching and ledger included. cpu: by processor time, which a busy machine does not lengthen.")
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "Engine", "-benchtime", "3x", "-timeout", "60m", "./internal/engine")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "../..", os.Stdout, os.Stderr
	return cmd.Run()
}
