package transport

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

// The sizes that were measured on real terminals: 80 x 24 shows version 6, 120 x 50 version 19, each with one
// line of text below.
func TestTheVersionFollowsTheTerminal(t *testing.T) {
	for _, c := range []struct{ cols, rows, half, full int }{
		{80, 23, 6, 0}, {120, 49, 19, 7}, {300, 200, 20, 20}, {24, 50, 0, 0}, {25, 13, 1, 0}, {25, 12, 0, 0}, {50, 25, 7, 1}, {0, 0, 0, 0}, {-5, 10, 0, 0},
	} {
		if half, full := VersionFor(c.cols, c.rows), VersionForFull(c.cols, c.rows); half != c.half || full != c.full {
			t.Errorf("%d x %d shows version %d and %d, want %d and %d", c.cols, c.rows, half, full, c.half, c.full)
		}
	}
}

// Themed colours would be turned round by a light theme, and a line end after the last row would scroll the first away.
func TestDrawingsUseFixedColoursOnly(t *testing.T) {
	symbol, err := NewSymbol("B$2C0100AEBAG", 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, drawing := range map[string]string{"half": symbol.Half(2), "full": symbol.Full(2)} {
		plain := regexp.MustCompile("\x1b\\[((48;5;(231|16))?(;38;5;(231|16))?|0)m").ReplaceAllString(drawing, "")
		if rest := strings.Trim(plain, " ▄\r\n"); rest != "" || strings.Contains(plain, "\x1b") {
			t.Errorf("%s has %q beside spaces, half blocks and fixed colours", name, rest)
		}
		for i, line := range strings.Split(drawing, "\r\n") {
			if !strings.HasPrefix(line, "\x1b[48;5;231m") || !strings.HasSuffix(line, "\x1b[0m") {
				t.Errorf("%s line %d does not begin with light and end with a reset: %q", name, i, line)
			}
		}
	}
}

func TestThePageHoldsEveryFrameAndLoadsNothing(t *testing.T) {
	data := sample(2500, 1)
	symbols, err := Symbols(CBOR, data, Options{VersionMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	page, err := HTML(symbols, 5)
	if err != nil {
		t.Fatal(err)
	}
	j := NewJoiner()
	for _, match := range regexp.MustCompile(`src="data:image/png;base64,([^"]+)"`).FindAllSubmatch(page, -1) {
		raw, err := base64.StdEncoding.DecodeString(string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		text, err := ReadPicture(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, back, err := j.Payload(); err != nil || !bytes.Equal(back, data) {
		t.Errorf("the page carries %d bytes, %v", len(back), err)
	}
	if bytes.Contains(page, []byte("http:")) || bytes.Contains(page, []byte("https:")) || !bytes.Contains(page, []byte("default-src 'none'")) {
		t.Error("the page may load something")
	}
	if got := len(regexp.MustCompile(`(src|href)="([^d]|d[^a])`).FindAll(page, -1)); got != 0 {
		t.Errorf("%d references leave the page", got)
	}
	for _, c := range []struct {
		frames []Symbol
		fps    int
		code   string
	}{{nil, 5, "qr-series-too-long"}, {symbols, 0, "qr-rate-range"}, {symbols, 16, "qr-rate-range"}} {
		_, err := HTML(c.frames, c.fps)
		wantRefusal(t, err, c.code)
	}
}
