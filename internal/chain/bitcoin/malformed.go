package bitcoin

import (
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// malformed refuses bytes that are not what their format allows, and says what that would be.
func malformed(code, where, format string, args ...any) *spend.Refusal {
	r := spend.Malformed(code, where, format, args...)
	switch family, _, _ := strings.Cut(code, "-"); {
	case code == "psbt-too-large":
		r.Expected = "no more than is read"
	case family == "psbt":
		r.Expected = "a PSBT in the one spelling that BIP174 and BIP370 leave"
	case family == "proof":
		r.Expected = "each previous transaction that an input spends, once, beside the packet"
	case code == "input-finalised":
		r.Expected = "inputs without a finished script or witness"
	case code == "address-invalid":
		r.Expected = "the address of a standard script, as this network writes it"
	}
	return r
}
