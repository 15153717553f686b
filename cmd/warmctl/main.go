// Program warmctl is the treasury staff's hand: it proposes and approves top-ups, and carries bundles to signers and
// answers back.
//
// What it shows to a person it derives itself: the exact intent bytes are decoded here, and names and addresses come
// from wallets pinned in this home, never from the daemon. It holds no chain key. This file wires the rooms together and
// turns errors into exit codes; no rule lives at the door. What may never happen here: a typed address, an approval
// without a person's typed or named consent, a secret in a flag or in the environment.
package main

import (
	"os"

	"github.com/coldsign/coldsign/internal/console"
)

func main() { os.Exit(run()) }

func run() int {
	c := console.New("warmctl")
	if c.TTY != nil {
		defer c.TTY.Close()
	}
	return int(execute(c, os.Args[1:]))
}
