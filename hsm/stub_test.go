//go:build !cgo || nopkcs11

package hsm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm"
)

func TestABuildWithoutPKCS11SaysWhichBuildHasIt(t *testing.T) {
	token, err := hsm.Open(hsm.Config{TokenLabel: "treasury"})
	if token != nil || !errors.Is(err, hsm.ErrNotBuilt) || !strings.Contains(err.Error(), "use the build with cgo") {
		t.Errorf("%v, %v", token, err)
	}
}
