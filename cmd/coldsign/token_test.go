package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/internal/console"
)

// Each error of the room of tokens ends the program as what it is: the device that fails is exit 7, and what somebody
// typed, or a good answer, is not.
func TestEveryErrorOfATokenHasItsExitCode(t *testing.T) {
	device := map[string]error{
		"ErrNotBuilt": hsm.ErrNotBuilt, "ErrModuleMissing": hsm.ErrModuleMissing, "ErrNotModule": hsm.ErrNotModule, "ErrModuleFailed": hsm.ErrModuleFailed,
		"ErrModuleBusy": hsm.ErrModuleBusy, "ErrTokenMissing": hsm.ErrTokenMissing, "ErrTokenAmbiguous": hsm.ErrTokenAmbiguous,
		"ErrTokenRemoved": hsm.ErrTokenRemoved, "ErrPIN": hsm.ErrPIN, "ErrPINLocked": hsm.ErrPINLocked, "ErrPINUnset": hsm.ErrPINUnset,
		"ErrNotLoggedIn": hsm.ErrNotLoggedIn, "ErrKeyMissing": hsm.ErrKeyMissing, "ErrKeyExists": hsm.ErrKeyExists, "ErrKeyAmbiguous": hsm.ErrKeyAmbiguous,
		"ErrKeyMismatch": hsm.ErrKeyMismatch, "ErrKeyUnsafe": hsm.ErrKeyUnsafe, "ErrExported": hsm.ErrExported, "ErrSignature": hsm.ErrSignature,
		"ErrUnsupported": hsm.ErrUnsupported, "ErrClosed": hsm.ErrClosed,
	}
	other := map[string]error{"ErrLabel": hsm.ErrLabel, "ErrExportRefused": hsm.ErrExportRefused}
	source, err := os.ReadFile("../../hsm/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\bErr[A-Z][A-Za-z]*\b`).FindAllString(string(source), -1) {
		if device[name] == nil && other[name] == nil {
			t.Errorf("nobody has decided what hsm.%s is", name)
		}
	}
	for name, err := range device {
		if code := console.CodeOf(keyError(fmt.Errorf("key b: %w", err))); code != console.KeyUnavailable {
			t.Errorf("%s: exit %d, want %d", name, code, console.KeyUnavailable)
		}
	}
	for name, err := range other {
		if got := keyError(err); !errors.Is(got, err) || console.CodeOf(got) != console.Failed {
			t.Errorf("%s: exit %d", name, console.CodeOf(got))
		}
	}
}
