package policy

import (
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// malformed refuses a file that is not the strict YAML that is asked for. Keyholders wrote it, so they can correct it.
func malformed(code, where, format string, args ...any) *spend.Refusal {
	r := spend.Malformed(code, where, format, args...)
	r.Fix = "correct the file, have it signed, then pin it: coldsign trust add FILE"
	switch {
	case strings.HasSuffix(code, "-too-large"):
		r.Expected = fmt.Sprintf("at most %d bytes", fileMax)
	case strings.HasSuffix(code, "-not-ascii"):
		r.Expected = "printable ASCII"
	default:
		r.Expected = "strict YAML: one document, each field once, no anchors, tags or block text"
	}
	return r
}
