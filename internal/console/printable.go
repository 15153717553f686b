package console

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// printableMax is the most characters of one text that are printed. A label of 100,000 characters must not push what
// matters off the screen.
const printableMax = 4000

// Printable escapes everything but printable ASCII: ESC, CR and other controls, bytes that are not UTF-8, combining,
// zero-width, bidirectional and look-alike characters. The backslash is doubled, so that an escape cannot be forged.
// Text beyond 4000 characters is cut, and says so.
func Printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if b.Len() >= printableMax {
			fmt.Fprintf(&b, "[cut, %d bytes more]", len(s)-i)
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b.WriteString(escape(r, s[i], size))
		i += size
	}
	return b.String()
}

// escape returns the visible form of one rune of size bytes, whose first byte is raw.
func escape(r rune, raw byte, size int) string {
	switch {
	case r == '\\':
		return `\\`
	case r >= ' ' && r < 0x7f:
		return string(r)
	case size == 1:
		return fmt.Sprintf(`\x%02x`, raw)
	}
	return fmt.Sprintf(`\u{%x}`, r)
}
