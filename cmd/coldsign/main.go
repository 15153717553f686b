// Program coldsign is the only code of Coldsign that touches chain private keys.
//
// Keyholders run it on an air-gapped machine or beside a PKCS#11 token. It opens bundles, derives what their bytes will
// do, judges that by the policy its keyholder pinned, shows it, and signs or refuses. This file wires the rooms
// together and turns errors into exit codes; no rule lives at the door. What may never happen here: a network
// connection, another process, a secret in a flag or in the environment.
package main

import (
	"os"
	"time"

	"github.com/coldsign/coldsign/internal/console"
	"golang.org/x/sys/unix"
)

func main() { os.Exit(run()) }

func run() int {
	c := &console.Console{Name: "coldsign", In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now,
		NoStyle: os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"}
	if err := refuseCoreDumps(); err != nil {
		c.Report(err, false)
		return int(console.Failed)
	}
	if tty, err := console.OpenTerminal(); err == nil {
		c.TTY = tty
		defer tty.Close()
	}
	return int((&app{Console: c, confine: confine}).execute(os.Args[1:]))
}

// refuseCoreDumps keeps keys out of core files and away from debuggers of the same user.
func refuseCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
