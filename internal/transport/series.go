package transport

import "fmt"

// PNGScale is the number of pixels a module that frames are drawn with when nobody asks for another.
const PNGScale = 4

// spareFrames is how many frames more than needed a series may have, to avoid a symbol that the reader cannot read.
const spareFrames = 6

// Symbols cuts data into frames as Frames does and draws them, all in one version. Our reader misses about one clean
// symbol in a hundred in a single pass (its finder search is misled by chance patterns in the data), and one such
// symbol stops a whole series. So every drawn frame is read back, and when one is not read, the series is drawn again
// one version larger, then cut into one frame more. What is returned has been read.
func Symbols(t FileType, data []byte, o Options) ([]Symbol, error) {
	cut, err := newCut(t, data, o)
	if err != nil {
		return nil, err
	}
	return cut.symbols(Readable, readableFile)
}

// symbols draws the series with the first of the checks that all its frames can pass.
func (c cutter) symbols(checks ...func(Symbol) bool) ([]Symbol, error) {
	least := c.count(c.groupsMax)
	for _, check := range checks {
		for n := least; n <= min(least+spareFrames, FramesMax); n++ {
			texts := c.texts(n)
			version := VersionOf(texts[0])
			for v := version; v <= min(version+1, c.versionMax); v++ {
				if symbols, ok := drawn(texts, v, check); ok {
					return symbols, nil
				}
			}
		}
	}
	return nil, refuse("qr-not-readable", "", "frames that the built-in reader reads", fmt.Sprintf("none up to %d frames", least+spareFrames), useFile)
}

// drawn draws every text in one version, and reports whether all of them pass the check.
func drawn(texts []string, version int, check func(Symbol) bool) ([]Symbol, bool) {
	out := make([]Symbol, len(texts))
	for i, text := range texts {
		symbol, err := NewSymbol(text, version)
		if err != nil || !check(symbol) {
			return nil, false
		}
		out[i] = symbol
	}
	return out, true
}

// Readable reports whether our reader finds the symbol the way it would in a photograph, without being told that the
// picture is an upright symbol and nothing else.
func Readable(s Symbol) bool {
	grey := luminance(s.picture(PNGScale))
	for _, p := range passes() {
		if p.pure {
			continue
		}
		if text, found := p.attempt(grey); found && text == s.text {
			return true
		}
	}
	return false
}

// readableFile is the lesser claim that remains for a series of very many frames: its PNG files are read, a
// photograph of one of them perhaps not.
func readableFile(s Symbol) bool {
	text, err := ReadImage(s.picture(PNGScale))
	return err == nil && text == s.text
}
