// Refusals lists every refusal code in the product's source, and its tests hold docs/refusals.md to that list.
//
// A code is stable: people at an exchange look it up, scripts branch on it. So each one has an entry in the page of its
// room (docs/refusals/ROOM.md), and each entry shows the refusal as the program prints it. The program follows the text of
// a code through the types of the source, from the field Code of spend.Refusal back to every literal that can reach it,
// helpers, tables and concatenations included. The tests make the refusals happen and compare them with the pages, word
// for word; `go test ./scripts/refusals ./cmd/... -run TestRefusal -update` writes the examples anew.
//
// What may never happen here: a list of codes kept by hand beside the source, or an example that nothing reproduces and
// whose entry does not say why.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "refusals:", err)
		os.Exit(1)
	}
}

// run prints one line per code: room, code, places. Arguments are packages to look at instead of all.
func run() error {
	source, err := load(".", os.Args[1:]...)
	if err != nil {
		return err
	}
	found, lost := follow(source).refusals()
	for _, r := range found {
		fmt.Printf("%-32s %-28s %s\n", r.Room, r.Code, strings.Join(r.Places, " "))
	}
	for _, place := range lost {
		fmt.Printf("%-32s %-28s %s\n", "?", "built at run time", place)
	}
	return nil
}
