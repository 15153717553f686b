//go:build cgo && !nopkcs11

package hsmtest_test

import (
	"os"
	"testing"

	"github.com/coldsign/coldsign/hsm/hsmtest"
)

func TestProvisioningLeavesTheEnvironmentAndOldTokensAlone(t *testing.T) {
	t.Setenv("SOFTHSM2_CONF", "/before")
	dir := t.TempDir()
	tokens, err := hsmtest.Provision(dir, "treasury", "people")
	if err != nil || len(tokens) != 2 || tokens[1].Label != "people" {
		t.Fatalf("%+v, %v", tokens, err)
	}
	if got := os.Getenv("SOFTHSM2_CONF"); got != "/before" {
		t.Errorf("SOFTHSM2_CONF is now %q", got)
	}
	if _, err := hsmtest.Provision(dir, "treasury"); err == nil {
		t.Error("a directory with tokens was provisioned again")
	}
}
