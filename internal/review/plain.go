package review

import (
	"strings"
)

// Plain returns every page as one linear text without style, in ASCII: the same content as the screens, line for line.
func Plain(req Request) string {
	s := newSheet(req)
	var b strings.Builder
	for _, line := range s.header() {
		b.WriteString(stripped(line) + "\n")
	}
	for page := range pageCount {
		b.WriteString("\n" + strings.ToUpper(title(page)) + "\n")
		for _, lines := range s.blocks(page) {
			for _, line := range lines {
				b.WriteString(strings.TrimRight(stripped(line), " ") + "\n")
			}
		}
	}
	return b.String()
}
