package transport

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/skip2/go-qrcode"
)

const (
	quietZone     = 4 // modules of white around a symbol, as the QR standard asks
	quietTerminal = 2 // what a terminal can afford; every reader that was tried manages with it
	scaleMax      = 32
)

// Symbol is one drawn QR symbol: its text, its version, and which modules are dark.
type Symbol struct {
	text    string
	version int
	dark    [][]bool // [row][column], without a border
}

// Capacity returns how many alphanumeric characters a symbol of a version holds at error correction level L.
func Capacity(version int) int {
	return [...]int{25, 47, 77, 114, 154, 195, 224, 279, 335, 395, 468, 535, 619, 667, 758, 854, 938, 1046, 1153, 1249,
		1352, 1460, 1588, 1704, 1853, 1990, 2132, 2223, 2369, 2520, 2677, 2840, 3009, 3183, 3351, 3537, 3729, 3927, 4087,
		4296}[version-1]
}

// VersionOf returns the smallest version that holds a text of the alphanumeric set, or 0 when none does.
func VersionOf(text string) int {
	for version := 1; version <= versionLargest; version++ {
		if len(text) <= Capacity(version) {
			return version
		}
	}
	return 0
}

// NewSymbol draws text, which must be of the QR alphanumeric set, at a fixed version and error correction level L.
// Level L is enough on a lit screen and makes the fewest modules.
func NewSymbol(text string, version int) (Symbol, error) {
	if version < 1 || version > versionLargest {
		return Symbol{}, refuse("qr-version-range", "", "a symbol version from 1 to 40", fmt.Sprint(version), "choose a version from 1 to 40")
	}
	if text == "" || !alphanumeric(text) {
		return Symbol{}, refuse("qr-text-set", "", "digits, upper-case letters and $%*+-./: only", "other text", useFile)
	}
	if len(text) > Capacity(version) {
		return Symbol{}, refuse("qr-text-too-long", "", fmt.Sprintf("at most %d characters in version %d", Capacity(version), version),
			fmt.Sprint(len(text)), "choose a larger version or more frames")
	}
	code, err := qrcode.NewWithForcedVersion(text, version, qrcode.Low)
	if err != nil {
		return Symbol{}, refuse("qr-text-too-long", "", fmt.Sprintf("text that version %d holds", version), err.Error(), useFile)
	}
	code.DisableBorder = true
	return Symbol{text, version, code.Bitmap()}, nil
}

// alphanumeric reports whether QR can carry text in its alphanumeric mode. The space, which the mode has, is left out:
// no carrier uses it, and it does not survive copying.
func alphanumeric(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(base36+"$%*+-./:", r) })
}

// Text returns what the symbol says.
func (s Symbol) Text() string { return s.text }

// Version returns the symbol's version, 1 to 40.
func (s Symbol) Version() int { return s.version }

// Modules returns the length of one side without a quiet zone.
func (s Symbol) Modules() int { return len(s.dark) }

// darkAt reports whether a module is dark; everything outside the symbol is light.
func (s Symbol) darkAt(row, column int) bool {
	return row >= 0 && row < len(s.dark) && column >= 0 && column < len(s.dark) && s.dark[row][column]
}

// picture draws the symbol with its quiet zone, scale pixels to a module.
func (s Symbol) picture(scale int) *image.Paletted {
	side := (len(s.dark) + 2*quietZone) * scale
	out := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if s.darkAt(y/scale-quietZone, x/scale-quietZone) {
				out.Pix[y*out.Stride+x] = 1
			}
		}
	}
	return out
}

// PNG draws the symbol as a black and white picture with a quiet zone of four modules, scale pixels to a module.
func (s Symbol) PNG(scale int) ([]byte, error) {
	if scale < 1 || scale > scaleMax {
		return nil, refuse("qr-scale-range", "", fmt.Sprintf("1 to %d pixels a module", scaleMax), fmt.Sprint(scale), "choose another scale")
	}
	var out bytes.Buffer
	if err := png.Encode(&out, s.picture(scale)); err != nil {
		panic(fmt.Sprintf("transport: writing a picture into memory: %v", err))
	}
	return out.Bytes(), nil
}
