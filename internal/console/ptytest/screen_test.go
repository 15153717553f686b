//go:build linux

package ptytest

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScreenFollowsATerminal(t *testing.T) {
	for name, c := range map[string]struct{ output, want string }{
		"lines":                    {"one\r\ntwo\r\n", "one\ntwo"},
		"a line feed alone":        {"one\ntwo", "one\n   two"},
		"return and overwrite":     {"12345\rab", "ab345"},
		"backspace":                {"abc\b\bX", "aXc"},
		"tab":                      {"a\tb", "a       b"},
		"wrap":                     {"1234567890ab", "1234567890\nab"},
		"full row then line end":   {"1234567890\r\nab", "1234567890\nab"},
		"full row then return":     {"1234567890\rab", "ab34567890"},
		"scroll":                   {"1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5"},
		"cursor address":           {"\x1b[2;3Hx\x1b[Hy", "y\n  x"},
		"moves":                    {"\x1b[3Bd\x1b[Au\x1b[2Dl\x1b[5Cr", "\n\nlu    r\nd"},
		"column and row":           {"\x1b[4Gx\x1b[3dy\x1b[Ez\x1b[Fw", "   x\n\nw   y\nz"},
		"erase line":               {"abcdef\x1b[3D\x1b[K", "abc"},
		"erase line begin":         {"abcdef\x1b[3D\x1b[1K", "    ef"},
		"erase whole line":         {"abc\x1b[2Kd", "   d"},
		"erase display":            {"abc\r\ndef\x1b[2Jg", "\n   g"},
		"erase below":              {"abc\r\ndef\x1b[1;2H\x1b[J", "a"},
		"erase above":              {"abc\r\ndef\x1b[2;2H\x1b[1J", "\n  f"},
		"delete and insert":        {"abcdef\x1b[1;2H\x1b[2P\x1b[@X", "aXdef"},
		"erase characters":         {"abcdef\x1b[1;2H\x1b[2X", "a  def"},
		"insert and delete rows":   {"a\r\nb\r\nc\x1b[1;1H\x1b[L\x1b[3;1H\x1b[M", "\na\nc"},
		"region":                   {"\x1b[2;3r\x1b[3;1Hx\ny", "\nx\n y"},
		"reverse index":            {"a\r\nb\x1b[H\x1bMc", "c\na\nb"},
		"save and restore":         {"ab\x1b7\x1b[3;3Hc\x1b8d\x1b[s\x1b[Hx\x1b[ue", "xbde\n\n  c"},
		"colours are not text":     {"\x1b[1;38;5;231mab\x1b[0m", "ab"},
		"titles are not text":      {"\x1b]0;title\x07a\x1b]2;other\x1b\\b\x1bPdcs\x1b\\c", "abc"},
		"character sets":           {"\x1b(Ba", "a"},
		"bracketed paste mode":     {"\x1b[?2004ha\x1b[?25l", "a"},
		"alternate screen":         {"main\x1b[?1049hother\x1b[?1049l!", "main!"},
		"on the alternate screen":  {"main\x1b[?1049h\x1b[Hother", "other"},
		"unicode":                  {"▄█é", "▄█é"},
		"invalid unicode":          {"a\xffb", "a\ufffdb"},
		"reset":                    {"abc\x1bcd", "d"},
		"moves stop at the border": {"\x1b[99;99Hx\x1b[99A\x1b[99Dy", "y\n\n\n         x"},
	} {
		s := NewScreen(10, 4)
		for _, b := range []byte(c.output) { // byte by byte: a sequence may arrive in pieces
			_, _ = s.Write([]byte{b})
		}
		if s.String() != c.want {
			t.Errorf("%s: %q shows\n%s\nwant\n%s", name, c.output, s.String(), c.want)
		}
	}
}

func TestPlainTextKeepsLinesApart(t *testing.T) {
	for output, want := range map[string]string{
		"one\r\ntwo\r\n":                        "one\ntwo\n",
		"10%\r20%\r100%\r\n":                    "10%\n20%\n100%\n",
		"a\r\r\nb":                              "a\nb",
		"\x1b[1;1Hname\x1b[1;8Hvalue\x1b[2;1Hx": "name value\nx",
		"\x1b[31mred\x1b[0m text":               "red text",
		"1234567890abc":                         "1234567890abc",
	} {
		s := NewScreen(12, 4)
		if got := s.feed([]byte(output)); got != want {
			t.Errorf("%q is text %q, want %q", output, got, want)
		}
	}
}

func TestASmallerScreenKeepsTheCursorRow(t *testing.T) {
	s := NewScreen(10, 6)
	s.feed([]byte("1\r\n2\r\n3\r\n4\r\n5\r\n6"))
	s.resize(5, 3)
	if s.String() != "4\n5\n6" {
		t.Errorf("after resizing:\n%s", s.String())
	}
	if x, y := s.Cursor(); x != 1 || y != 2 {
		t.Errorf("cursor at %d,%d", x, y)
	}
	s.feed([]byte("\x1b[9;9Hz\r\n"))
}

func TestPictureShowsHalfBlocksInFixedColoursOnly(t *testing.T) {
	s := NewScreen(3, 1)
	s.feed([]byte("\x1b[48;5;16;38;5;231m▄\x1b[48;5;231m \x1b[0m▄"))
	img := s.Picture()
	for i, want := range []uint32{0, 0xffff, 0xffff, 0xffff, 0x8080, 0x8080} {
		if got, _, _, _ := img.At(4*(i/2)+1, 4*(i%2)+1).RGBA(); got != want {
			t.Errorf("half %d of cell %d is %x, want %x", i%2, i/2, got, want)
		}
	}
}

// A screen shows whatever a program writes; it may not break on any of it.
func FuzzScreen(f *testing.F) {
	for _, seed := range []string{"a\x1b[2;2Hb\x1b[J", "\x1b[?1049h\x1b[3;4r\x1b[9L\x1b[?1049l", "\x1b[38;2;1;2;3mx\x1b[38;5mx", "\x1b]0;t\x07▄\xe2\x96", "\x1b[;5H\x1b[99@\x1b[99P"} {
		f.Add(seed, byte(9), byte(3))
	}
	f.Fuzz(func(t *testing.T, output string, cols, rows byte) {
		s := NewScreen(1+int(cols)%100, 1+int(rows)%60)
		s.feed([]byte(output))
		s.resize(1+int(rows)%60, 1+int(cols)%100)
		text := s.feed([]byte(output))
		if x, y := s.Cursor(); x < 0 || y < 0 || x >= s.cols || y >= s.rows || len(s.cells) != s.rows || len(s.cells[y]) != s.cols {
			t.Fatalf("cursor at %d,%d of %d x %d", x, y, s.cols, s.rows)
		}
		if strings.ContainsRune(text, 0x1b) || !utf8.ValidString(text) {
			t.Fatalf("the text has control sequences: %q", text)
		}
		s.Picture()
	})
}
