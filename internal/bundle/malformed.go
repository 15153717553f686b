package bundle

import (
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// malformed refuses bytes that are not what their format allows, and says what that would be.
func malformed(code, where, format string, args ...any) *spend.Refusal {
	r := spend.Malformed(code, where, format, args...)
	switch {
	case code == "issuer-unreadable":
		r.Expected, r.Fix = "the file that exchanged writes", "ask the operator for it again: exchanged issuer export"
	case strings.HasSuffix(code, "-not-canonical"):
		r.Expected = "the deterministic encoding of docs/formats.md"
	default:
		r.Expected = "the form that docs/formats.md gives " + where
	}
	return r
}
