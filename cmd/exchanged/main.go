// Program exchanged is the online daemon: it follows the chain, watches the tiers, emits sealed bundles, checks what
// signers give back and broadcasts it.
//
// It holds an issuer key, which seals bundles and can move nothing, and no chain key; the compiler refuses it the rooms
// that could. This file wires the rooms together and turns errors into exit codes; no rule lives at the door. What may
// never happen here: key code, a listener on a public address, a file of the operator overwritten.
package main

import (
	"os"

	"github.com/coldsign/coldsign/internal/console"
)

func main() { os.Exit(run()) }

func run() int {
	c := console.New("exchanged")
	if c.TTY != nil {
		defer c.TTY.Close()
	}
	return int(execute(c, os.Args[1:]))
}
