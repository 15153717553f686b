package review

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The marks that change how the rest of a line looks; the terminal driver knows the same four. They are the only
// control characters that a line can hold: everything from outside goes through printable.
const (
	markPlain  = "\x01"
	markBright = "\x02"
	markDim    = "\x03"
	markAlarm  = "\x04"
)

const (
	columns   = 80
	labelWide = 11 // " APPROVED  "
	textWide  = columns - labelWide
)

// printable escapes everything but printable ASCII and doubles the backslash, so that no escape can be forged.
func printable(s string, max int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		shown := ""
		switch {
		case r == '\\':
			shown = `\\`
		case r >= ' ' && r < 0x7f:
			shown = string(r)
		case size == 1:
			shown = fmt.Sprintf(`\x%02x`, s[i])
		default:
			shown = fmt.Sprintf(`\u{%x}`, r)
		}
		if b.Len()+len(shown) > max {
			return cut(b.String(), max)
		}
		b.WriteString(shown)
		i += size
	}
	return b.String()
}

// cut ends a text that was too long with dots, within max.
func cut(s string, max int) string { return s[:min(len(s), max-3)] + "..." }

// quote shows text that nobody verified.
func quote(s string, max int) string { return `"` + printable(s, max-2) + `"` }

// stripped returns a line without its marks.
func stripped(line string) string {
	return strings.NewReplacer(markPlain, "", markBright, "", markDim, "", markAlarm, "").Replace(line)
}

// wrap breaks text at spaces into lines of at most width characters; longer words are broken anywhere.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for len(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// flow puts parts side by side with a bar between them, and breaks lines only between parts.
func flow(parts []string, width int) []string {
	var lines []string
	for _, part := range parts {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+3+len(part) <= width {
			lines[last] += " | " + part
			continue
		}
		lines = append(lines, wrap(part, width)...)
	}
	return lines
}

// block is lines that are never torn apart by a page.
type block []string

// labelled puts a label before the first line and indents the others.
func labelled(label string, lines ...string) block {
	out := make(block, len(lines))
	for i, line := range lines {
		out[i] = strings.Repeat(" ", labelWide) + line
	}
	if len(out) > 0 {
		out[0] = " " + markBright + label + markPlain + strings.Repeat(" ", labelWide-1-len(label)) + lines[0]
	}
	return out
}

// tagged puts a tag at the right edge of the text column.
func tagged(text, tag string) string {
	return text + strings.Repeat(" ", max(1, textWide-len(text)-len(tag))) + tag
}

// grouped splits an address into groups of four, alternately bright and dim, eight to a line. Two characters that
// changed places stand out, and a place in the address can be named by its group.
func grouped(address string) []string {
	const group, perLine = 4, 8
	var lines []string
	var line strings.Builder
	shown := printable(address, addressMax)
	for i := 0; i*group < len(shown); i++ {
		if i > 0 && i%perLine == 0 {
			lines = append(lines, line.String()+markPlain)
			line.Reset()
		}
		if i%perLine > 0 {
			line.WriteByte(' ')
		}
		mark := markBright
		if i%2 == 1 {
			mark = markDim
		}
		line.WriteString(mark + shown[i*group:min((i+1)*group, len(shown))])
	}
	if line.Len() > 0 {
		lines = append(lines, line.String()+markPlain)
	}
	return lines
}
