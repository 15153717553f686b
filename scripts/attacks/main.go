// Program attacks says which attacks of the specification are stopped, and proves that the tests which say so can fail.
//
// Without flags it finds the tests that carry an attack's number in their names, runs them, and prints one line for each
// of the 134 attacks: number, meaning, result, tests. With --mutate it takes the checks out of the source, one mutation
// at a time, and shows that a test then fails. With --write it writes docs/attacks.md. It runs in the project's root.
//
//	lines.txt      number | status | attack | what stops it, why it does not apply, or what is missing
//	mutations/     one file for each part of the product, in blocks that end with an empty line:
//
//	    021 an input without its previous transaction is taken
//	    test ./internal/chain/bitcoin ^TestAttack021
//	    edit internal/chain/bitcoin/prove_inputs.go
//	    -	if !ok {
//	    +	if false {
//
// A line after "edit" that begins with - is text to find, exactly once; one that begins with + is put in its place. A
// block may have several edits and several numbers: where two checks catch one attack, both are taken out. Mutations
// reach the compiler through an overlay: no file of the project is ever changed.
//
// What may never happen here: a pass that no test gave, a mutation that does not compile counted as caught, a number
// that is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	mutate := flag.Bool("mutate", false, "take each check out in turn, and show that a test fails")
	write := flag.Bool("write", false, "write docs/attacks.md")
	only := flag.Int("line", 0, "this attack alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	act := attacks
	switch {
	case *mutate:
		act = mutations
	case *write:
		act = writePage
	}
	if err := act(ctx, os.Stdout, ".", *only); err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(1)
	}
}

// errHeld says that not everything holds; the lines before it say what.
var errHeld = errors.New("not every required line holds")

// attacks runs every test that carries a number and prints a line for each attack.
func attacks(ctx context.Context, out io.Writer, root string, only int) error {
	lines, err := readLines(root)
	if err != nil {
		return err
	}
	found, err := findTests(root)
	if err != nil {
		return err
	}
	results, err := runTests(ctx, root, found)
	if err != nil {
		return err
	}
	return report(out, lines, found, results, only)
}
