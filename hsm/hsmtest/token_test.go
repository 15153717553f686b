package hsmtest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
)

// A contract that was not tested must not look green: no module is an error that names the remedy.
func TestProvisioningWithoutSoftHSMFailsAndSaysWhatToDo(t *testing.T) {
	t.Setenv("SOFTHSM2_MODULE", "/nowhere/libsofthsm2.so")
	_, err := hsmtest.Provision(t.TempDir(), "treasury")
	if !errors.Is(err, hsm.ErrModuleMissing) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("provisioning: %v", err)
	}
}
