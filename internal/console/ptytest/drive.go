//go:build linux

package ptytest

import (
	"os/exec"
	"time"
)

// Patience is how long a Driver waits for each step. It ends a hung test; no test depends on how long a step takes.
const Patience = 30 * time.Second

// T is the part of testing.TB that a Driver needs; *testing.T satisfies it.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Driver is a Session whose failures end a test.
type Driver struct {
	*Session
	t T
}

// Drive starts cmd on a terminal of cols by rows cells and closes it when the test ends.
func Drive(t T, cmd *exec.Cmd, cols, rows int) *Driver {
	t.Helper()
	session, err := Start(cmd, cols, rows)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return &Driver{session, t}
}

// See waits for text in the output after the last match.
func (d *Driver) See(text string) {
	d.t.Helper()
	if err := d.Expect(text, Patience); err != nil {
		d.t.Fatalf("%v", err)
	}
}

// SeeScreen waits until text stands in one row of the screen.
func (d *Driver) SeeScreen(text string) {
	d.t.Helper()
	if err := d.ExpectScreen(text, Patience); err != nil {
		d.t.Fatalf("%v", err)
	}
}

// Type presses keys; Enter is "\r".
func (d *Driver) Type(keys string) {
	d.t.Helper()
	if err := d.Send(keys); err != nil {
		d.t.Fatalf("%v", err)
	}
}

// Exits waits for the end and checks the exit code.
func (d *Driver) Exits(want int) {
	d.t.Helper()
	code, err := d.Wait(Patience)
	if err != nil {
		d.t.Fatalf("%v", err)
	}
	if code != want {
		d.t.Fatalf("exit code %d, want %d; the terminal shows:\n%s", code, want, d.Screen())
	}
}
