package transport

import "strings"

// Colours are taken from the fixed part of the 256-colour table. The first sixteen are themed: on a light theme they
// turn the symbol inside out, and then no reader reads it.
const (
	lightBack  = "48;5;231"
	darkBack   = "48;5;16"
	lightFront = "38;5;231"
	darkFront  = "38;5;16"
	lowerHalf  = "▄"
)

// VersionFor returns the largest version, at most VersionShownMax, whose Half drawing with a quiet zone of two modules
// fits into cols by rows cells, or 0 when none does. Rows are those of the symbol alone: take off the lines of text first.
func VersionFor(cols, rows int) int { return versionWithin(min(cols, 2*rows)) }

// VersionForFull is VersionFor for Full drawings.
func VersionForFull(cols, rows int) int { return versionWithin(min(cols/2, rows)) }

// versionWithin returns the largest version shown on a square of side modules, quiet zone included.
func versionWithin(side int) int {
	const first, step = 21, 4 // modules of version 1, and how many each version adds
	free := side - 2*quietTerminal - first
	if free < 0 {
		return 0
	}
	return min(1+free/step, VersionShownMax)
}

// Half draws the symbol for a terminal, two modules to a cell, with quiet modules of white around it. Lines end in
// CR LF, which is right in raw mode too; the last line has no end, or the terminal would scroll the first row away.
// A cell whose halves are equal is a coloured space; only unequal halves use a glyph, because fonts leave seams there.
func (s Symbol) Half(quiet int) string {
	side := len(s.dark) + 2*quiet
	var out strings.Builder
	for row := 0; row < side; row += 2 {
		style := ""
		if row > 0 {
			out.WriteString("\r\n")
		}
		for column := range side {
			top, bottom := s.darkAt(row-quiet, column-quiet), s.darkAt(row+1-quiet, column-quiet)
			next, glyph := lightBack, " "
			switch {
			case top && bottom:
				next = darkBack
			case top:
				next, glyph = darkBack+";"+lightFront, lowerHalf
			case bottom:
				next, glyph = lightBack+";"+darkFront, lowerHalf
			}
			style = paint(&out, style, next, glyph)
		}
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// Full draws the symbol with two coloured spaces to a module, for terminals whose font lacks the half block. It needs
// twice the columns and twice the rows of Half.
func (s Symbol) Full(quiet int) string {
	side := len(s.dark) + 2*quiet
	var out strings.Builder
	for row := range side {
		style := ""
		if row > 0 {
			out.WriteString("\r\n")
		}
		for column := range side {
			next := lightBack
			if s.darkAt(row-quiet, column-quiet) {
				next = darkBack
			}
			style = paint(&out, style, next, "  ")
		}
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// paint writes a glyph, and its style only where that differs from the one before: a third of the bytes.
func paint(out *strings.Builder, style, next, glyph string) string {
	if next != style {
		out.WriteString("\x1b[" + next + "m")
	}
	out.WriteString(glyph)
	return next
}
