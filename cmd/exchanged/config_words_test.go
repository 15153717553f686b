package main

import "testing"

// A slip in the configuration is told with its line and its key, on one line and in no words of the programming language.
func TestASlipInTheConfigurationIsToldWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"network: regtest\npol: 1s\n":                  "line 2: key pol not found",
		"network: regtest\npol: 1s\nfee:\n  flor: 1\n": "line 2: key pol not found; line 4: key flor not found",
		"confirmations: many\n":                        "line 1: cannot unmarshal !!str `many` into uint32",
	} {
		if _, err := parseConfig([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}
