package console

import (
	"bytes"
	"unicode/utf8"
)

// Keys are strings: a printable character is itself, every other key has one of these names. Strings rather than a type
// of this room, so that a screen on a lower floor can be fed without importing it.
const (
	KeyEnter     = "enter"
	KeyBackspace = "backspace"
	KeyEscape    = "esc"
	KeyTab       = "tab"
	KeyUp        = "up"
	KeyDown      = "down"
	KeyLeft      = "left"
	KeyRight     = "right"
	KeyPageUp    = "pgup"
	KeyPageDown  = "pgdn"
	KeyHome      = "home"
	KeyEnd       = "end"
	KeyClear     = "ctrl-u" // forget the line
	KeyInterrupt = "ctrl-c"
	KeyEOF       = "ctrl-d"
	KeyPaste     = "paste"   // bracketed paste; what was pasted is not a key
	KeyResize    = "resize"  // the terminal has another size now
	KeyUnknown   = "unknown" // a sequence that means nothing here
)

const (
	sequenceMax = 32 // bytes of an escape sequence; longer ones are not keys of any terminal
	pasteMax    = 1 << 16
)

// pasteEnd follows pasted text; KeyPaste stands for the sequence before it.
const pasteEnd = "\x1b[201~"

// decode reads one key from the front of b and says how many bytes it took. It takes none when b holds only the
// beginning of a key.
func decode(b []byte) (key string, taken int) {
	switch c := b[0]; {
	case c == 0x1b:
		return decodeEscape(b)
	case c >= 0x80:
		if !utf8.FullRune(b) {
			return "", 0
		}
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError {
			return KeyUnknown, size
		}
		return string(b[:size]), size
	case c >= ' ' && c < 0x7f:
		return string(b[:1]), 1
	default:
		return controlKey(c), 1
	}
}

// controlKey names a control byte.
func controlKey(c byte) string {
	switch c {
	case '\r', '\n':
		return KeyEnter
	case 0x7f, 0x08:
		return KeyBackspace
	case '\t':
		return KeyTab
	case 0x03:
		return KeyInterrupt
	case 0x04:
		return KeyEOF
	case 0x15:
		return KeyClear
	}
	return KeyUnknown
}

// decodeEscape reads a key that begins with ESC: ESC [ parameters final, ESC O final, or ESC and one character (what
// Alt sends), which means nothing here.
func decodeEscape(b []byte) (string, int) {
	if len(b) == 1 {
		return "", 0
	}
	if b[1] != '[' && b[1] != 'O' {
		if b[1] == 0x1b { // the first ESC stood alone
			return KeyEscape, 1
		}
		return KeyUnknown, 2
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			return sequenceKey(string(b[2 : i+1])), i + 1
		}
		if b[i] < 0x20 || b[i] > 0x7e || i >= sequenceMax {
			return KeyUnknown, i // the byte that broke the sequence is read again as a key of its own
		}
	}
	return "", 0
}

// sequenceKey names what follows ESC [ or ESC O.
func sequenceKey(s string) string {
	switch s {
	case "A":
		return KeyUp
	case "B":
		return KeyDown
	case "C":
		return KeyRight
	case "D":
		return KeyLeft
	case "5~":
		return KeyPageUp
	case "6~":
		return KeyPageDown
	case "H", "1~", "7~":
		return KeyHome
	case "F", "4~", "8~":
		return KeyEnd
	case "200~":
		return KeyPaste
	}
	return KeyUnknown
}

// cutPaste splits b at the end mark of a paste, and reports whether it was there.
func cutPaste(b []byte) (pasted, rest []byte, ended bool) { return bytes.Cut(b, []byte(pasteEnd)) }
