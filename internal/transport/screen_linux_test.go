package transport

import (
	"bytes"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/console/ptytest"
)

// What a terminal shows of a drawing, seen by a camera, is read back: in both styles, in every version that is shown.
func TestDrawingsOnATerminalAreRead(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for version := 1; version <= VersionShownMax; version++ {
		symbol, err := NewSymbol(frameText(Capacity(version), rng), version)
		for err == nil && !Readable(symbol) { // a symbol that the sender would not show
			symbol, err = NewSymbol(frameText(Capacity(version), rng), version)
		}
		if err != nil {
			t.Fatal(err)
		}
		side := symbol.Modules() + 2*quietTerminal
		for name, c := range map[string]struct {
			drawing    string
			cols, rows int
		}{
			"half": {symbol.Half(quietTerminal), side, (side + 1) / 2},
			"full": {symbol.Full(quietTerminal), 2 * side, side},
		} {
			screen := ptytest.NewScreen(c.cols, c.rows+1)
			_, _ = screen.Write([]byte(c.drawing + "\r\nframe 1 of 1"))
			if text, err := ReadImage(screen.Picture()); err != nil || text != symbol.Text() {
				t.Errorf("version %d in style %s: %v", version, name, err)
			}
			if rows := screen.Rows(); rows[c.rows] != "frame 1 of 1" {
				t.Errorf("version %d in style %s: the line below the symbol is %q", version, name, rows[c.rows])
			}
		}
	}
}

func TestDrawingsFitTheTerminalThatTheVersionWasChosenFor(t *testing.T) {
	for _, size := range [][2]int{{80, 23}, {120, 49}, {100, 39}, {64, 100}, {300, 100}, {25, 13}, {50, 25}} {
		cols, rows := size[0], size[1]
		for style, version := range map[string]int{"half": VersionFor(cols, rows), "full": VersionForFull(cols, rows)} {
			if version == 0 {
				continue
			}
			symbol, err := NewSymbol("B$2C0100AEBAG", version)
			if err != nil {
				t.Fatal(err)
			}
			drawing := symbol.Half(quietTerminal)
			if style == "full" {
				drawing = symbol.Full(quietTerminal)
			}
			screen := ptytest.NewScreen(cols, rows)
			_, _ = screen.Write([]byte(drawing))
			if column, row := screen.Cursor(); row >= rows || column >= cols || strings.HasSuffix(drawing, "\n") {
				t.Errorf("%s version %d ends in column %d of row %d in %d x %d", style, version, column, row, cols, rows)
			}
			if lines := strings.Count(drawing, "\r\n") + 1; lines > rows {
				t.Errorf("%s version %d has %d lines on a terminal of %d rows", style, version, lines, rows)
			}
		}
	}
}

// The whole way without a camera: frames drawn on a real pseudo-terminal of 80 x 24, one after the other in one place,
// each with a line of text below, looked at, read and joined.
func TestASeriesCrossesARealTerminal(t *testing.T) {
	const cols, rows = 80, 24
	data := sample(900, 10)
	symbols, err := Symbols(CBOR, data, Options{VersionMax: VersionFor(cols, rows-1)})
	if err != nil {
		t.Fatal(err)
	}
	j, dir := NewJoiner(), t.TempDir()
	var script strings.Builder
	for i, symbol := range symbols {
		name := filepath.Join(dir, symbol.Text()[6:8])
		if err := os.WriteFile(name, []byte("\x1b[H"+symbol.Half(quietTerminal)+"\r\nframe "+symbol.Text()[6:8]), 0o600); err != nil {
			t.Fatal(err)
		}
		script.WriteString("cat " + symbol.Text()[6:8] + "; read key; ")
		if i == 0 && symbol.Version() > 6 {
			t.Errorf("version %d on 80 x 24", symbol.Version())
		}
	}
	cmd := exec.Command("/bin/sh", "-c", "stty -echo; "+script.String())
	cmd.Dir = dir
	d := ptytest.Drive(t, cmd, cols, rows)
	for _, symbol := range symbols {
		d.SeeScreen("frame " + symbol.Text()[6:8])
		text, err := ReadImage(d.Picture())
		if err != nil {
			t.Fatal(err)
		}
		if fresh, err := j.Add(text); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		d.Type("\r")
	}
	d.Exits(0)
	if _, back, err := j.Payload(); err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d of %d bytes arrived, %v", len(back), len(data), err)
	}
}
