package transport

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Limits on pictures. A phone photograph of 12 megapixels is read; a hostile header asking for gigabytes is not.
const (
	PictureBytesMax = 16 << 20
	sideMax         = 8192    // pixels
	pixelsMax       = 1 << 24 // in the picture as given
	pixelsSearched  = 1 << 22 // after halving; a v20 symbol still has 20 pixels a module
	candidatesMax   = 200     // finder patterns; the search is cubic in them
)

// ReadPicture reads the symbol in a PNG or JPEG file. Which of the two it is, is told by its first bytes, never by a name.
func ReadPicture(raw []byte) (string, error) {
	if len(raw) > PictureBytesMax {
		return "", pictureSize(fmt.Sprintf("at most %d bytes", PictureBytesMax), fmt.Sprintf("%d bytes", len(raw)))
	}
	size, decode := png.DecodeConfig, png.Decode
	switch {
	case bytes.HasPrefix(raw, []byte("\x89PNG\r\n\x1a\n")):
	case bytes.HasPrefix(raw, []byte("\xff\xd8\xff")):
		size, decode = jpeg.DecodeConfig, jpeg.Decode
	default:
		return "", refuse("picture-format", "", "a PNG or JPEG file", "other bytes", "save the picture as PNG")
	}
	config, err := size(bytes.NewReader(raw))
	if err != nil {
		return "", refuse("picture-format", "", "a PNG or JPEG file", err.Error(), "save the picture as PNG")
	}
	if refusal := tooLarge(config.Width, config.Height); refusal != nil {
		return "", refusal
	}
	img, err := decode(bytes.NewReader(raw))
	if err != nil {
		return "", refuse("picture-format", "", "a PNG or JPEG file", err.Error(), "save the picture as PNG")
	}
	return ReadImage(img)
}

func pictureSize(expected, found string) *spend.Refusal {
	return refuse("picture-size", "", expected, found, "make the picture smaller, or cut out the symbol")
}

func tooLarge(width, height int) *spend.Refusal {
	if width < 1 || height < 1 || width > sideMax || height > sideMax || width*height > pixelsMax {
		return pictureSize(fmt.Sprintf("1 to %d pixels a side and at most %d in all", sideMax, pixelsMax), fmt.Sprintf("%d x %d", width, height))
	}
	return nil
}

// ReadImage finds a QR symbol in a picture and returns its text, if that text is a frame. Other text is refused without
// being repeated: it may be seed words. Several passes are made, because each finds symbols that the others miss.
func ReadImage(img image.Image) (string, error) {
	bounds := img.Bounds()
	if refusal := tooLarge(bounds.Dx(), bounds.Dy()); refusal != nil {
		return "", refusal
	}
	grey := luminance(img)
	for grey.Rect.Dx()*grey.Rect.Dy() > pixelsSearched {
		grey = halved(grey)
	}
	foreign := false
	for _, p := range passes() {
		text, found := p.attempt(grey)
		if found && strings.HasPrefix(text, prefix) && alphanumeric(text) {
			return text, nil
		}
		foreign = foreign || found
	}
	if foreign {
		return "", refuse("qr-not-bbqr", "", `a symbol whose text begins with "B$"`, "a symbol with other text", "show the symbols that coldsign or warmctl made")
	}
	return "", refuse("qr-not-found", "", "a readable QR symbol", "none", "hold the camera closer, straight and still, or show larger symbols")
}

// A pass is one way of looking at the picture.
type pass struct {
	view  func(*image.Gray) *image.Gray
	local bool // judge dark and light by the neighbourhood instead of the whole picture
	pure  bool // expect nothing but an upright symbol on a plain ground
}

// passes lists the ways in the order of their success. On simulated photographs of versions 5 to 20 the halved picture
// with local thresholds alone read 106 of 120, the picture as it is 31, the first four passes together 112. The
// quartered and the softened picture read about a third of what those still missed.
func passes() []pass {
	same := func(grey *image.Gray) *image.Gray { return grey }
	quartered := func(grey *image.Gray) *image.Gray { return halved(halved(grey)) }
	halfInverse := func(grey *image.Gray) *image.Gray { return halved(inverse(grey)) }
	return []pass{
		{view: halved, local: true}, {view: same, local: true}, {view: same}, {view: halved}, {view: quartered, local: true},
		{view: softened, local: true}, {view: same, pure: true},
		{view: halfInverse, local: true}, {view: inverse, local: true}, {view: inverse}, {view: inverse, pure: true},
	}
}

// tooManyCandidates stops a search from within; the pass takes it for a picture without a symbol.
type tooManyCandidates struct{}

// attempt makes one pass. The reader is somebody else's code and the picture a stranger's: a panic counts as nothing
// found. Its search compares every three candidates for finder patterns, so a picture full of them would keep it busy
// for hours; the callback, which it calls for each new candidate, is the only place to stop it.
func (p pass) attempt(grey *image.Gray) (text string, found bool) {
	defer func() {
		if recover() != nil {
			text, found = "", false
		}
	}()
	candidates := 0
	hints := map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_TRY_HARDER: true,
		gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: gozxing.ResultPointCallback(func(gozxing.ResultPoint) {
			if candidates++; candidates > candidatesMax {
				panic(tooManyCandidates{})
			}
		}),
	}
	if p.pure {
		hints[gozxing.DecodeHintType_PURE_BARCODE] = true
	}
	source := gozxing.NewLuminanceSourceFromImage(p.view(grey))
	binarizer := gozxing.NewGlobalHistgramBinarizer(source)
	if p.local {
		binarizer = gozxing.NewHybridBinarizer(source)
	}
	bitmap, err := gozxing.NewBinaryBitmap(binarizer)
	if err != nil {
		return "", false
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", false
	}
	return result.GetText(), true
}
