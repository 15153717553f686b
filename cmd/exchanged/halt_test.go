package main

import (
	"context"
	"strings"
	"testing"
)

// An alarm reads as a sentence, whoever raised it, and taking it down says that it is down.
func TestAlarmsAreWordsForPeople(t *testing.T) {
	r := newRig(t)
	if err := r.store.Halt(context.Background(), "nonce-reused", `key "a" gave two signatures`); err != nil {
		t.Fatal(err)
	}
	r.kill()
	if out := r.mustCommand("halt", "list"); !strings.Contains(out, `nonce-reused  key "a" gave two signatures`) {
		t.Errorf("halt list:\n%s", out)
	}
	if _, _, errs := r.command("halt", "clear", "--by", "ruth", "--reason", "a drill"); !strings.Contains(errs, "1 alarm was taken down") {
		t.Errorf("halt clear: %s", errs)
	}
	if out := r.mustCommand("halt", "list"); strings.Contains(out, "nonce-reused") {
		t.Errorf("after halt clear:\n%s", out)
	}
	r.start() // the rig closes its records at the end
}
