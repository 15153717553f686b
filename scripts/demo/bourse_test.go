package main

import (
	"strings"
	"testing"
)

// The short story of the exchange, as `make demo` plays it behind the main job: a deposit is credited, an order is
// filled over HTTP, and an open order outlives a gateway that is killed.
func TestTheStoryOfTheExchange(t *testing.T) {
	s, said := stage(t)
	if err := newBourse(s).play(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"the ledger credits it", "it has 0.15 BTC now", "is killed with SIGKILL", "whole and genuine"} {
		if !strings.Contains(said.String(), claim) {
			t.Errorf("the story does not say %q", claim)
		}
	}
}
