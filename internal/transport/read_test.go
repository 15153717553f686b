package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand"
	"strings"
	"testing"

	"github.com/skip2/go-qrcode"
)

// frameText returns a frame of exactly n characters.
func frameText(n int, rng *rand.Rand) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = base36[rng.Intn(len(base36))]
	}
	return prefix + string(out[2:])
}

func TestEveryVersionHoldsItsCapacityAndNoMore(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for version := 1; version <= versionLargest; version++ {
		text := frameText(Capacity(version), rng)
		symbol, err := NewSymbol(text, version)
		if err != nil {
			t.Fatal(err)
		}
		if symbol.Modules() != 17+4*version || symbol.Version() != version || symbol.Text() != text || VersionOf(text) != version {
			t.Errorf("version %d: %d modules", version, symbol.Modules())
		}
		if got, err := ReadImage(symbol.picture(PNGScale)); err != nil || got != text {
			t.Errorf("version %d at capacity is not read: %v", version, err)
		}
		_, err = NewSymbol(text+"A", version)
		wantRefusal(t, err, "qr-text-too-long")
	}
	if got := VersionOf(frameText(frameTextMax+1, rng)); got != 0 {
		t.Errorf("version %d holds too much", got)
	}
}

func TestSymbolsRefuseWhatTheyCannotCarry(t *testing.T) {
	for text, code := range map[string]string{"": "qr-text-set", "lower": "qr-text-set", "B$ Z": "qr-text-set", "B$é": "qr-text-set"} {
		_, err := NewSymbol(text, 5)
		wantRefusal(t, err, code)
	}
	for _, version := range []int{-1, 0, 41} {
		_, err := NewSymbol("B$", version)
		wantRefusal(t, err, "qr-version-range")
	}
	symbol, err := NewSymbol("B$", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, scale := range []int{0, scaleMax + 1} {
		_, err := symbol.PNG(scale)
		wantRefusal(t, err, "qr-scale-range")
	}
}

// Every series that Symbols gives is read back from its PNG files and joins to the same bytes, whatever the size.
func TestEverySeriesIsReadBackFromItsPictures(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for _, versionMax := range []int{0, 4, 6, 10, 15, 27} {
		for range 6 {
			data := sample(1+rng.Intn(40*Capacity(max(versionMax, 10))/10), rng.Int63())
			symbols, err := Symbols(CBOR, data, Options{VersionMax: versionMax})
			if err != nil {
				t.Fatal(err)
			}
			j := NewJoiner()
			for _, symbol := range symbols {
				if symbol.Version() != symbols[0].Version() {
					t.Errorf("versions %d and %d in one series", symbol.Version(), symbols[0].Version())
				}
				raw, err := symbol.PNG(PNGScale)
				if err != nil {
					t.Fatal(err)
				}
				text, err := ReadPicture(raw)
				if err != nil {
					t.Fatalf("%d bytes, version %d: %v", len(data), symbol.Version(), err)
				}
				if fresh, err := j.Add(text); err != nil || !fresh {
					t.Fatal(fresh, err)
				}
			}
			if _, back, err := j.Payload(); err != nil || !bytes.Equal(back, data) {
				t.Errorf("%d bytes came back as %d, %v", len(data), len(back), err)
			}
			if limit := max(versionMax, 1); versionMax > 0 && symbols[0].Version() > limit {
				t.Errorf("version %d was drawn where %d was the most", symbols[0].Version(), limit)
			}
		}
	}
}

// About one symbol in a hundred is drawn so that a pass of the reader misses it. Such a frame must make the whole
// series be drawn otherwise, in one version.
func TestASeriesWithAnUnreadableFrameIsDrawnOtherwise(t *testing.T) {
	cut, err := newCut(CBOR, sample(3000, 3), Options{VersionMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	first := cut.texts(cut.count(cut.groupsMax))
	version := VersionOf(first[0])
	for name, c := range map[string]struct {
		check           func(Symbol) bool
		frames, version int
	}{
		"all readable":           {func(Symbol) bool { return true }, len(first), version},
		"one in one version":     {func(s Symbol) bool { return s.Text() != first[2] || s.Version() != version }, len(first), version + 1},
		"one in any version":     {func(s Symbol) bool { return s.Text() != first[2] }, len(first) + 1, 0},
		"the version altogether": {func(s Symbol) bool { return s.Version() != version }, len(first), version + 1},
	} {
		cut.versionMax = version + 1
		symbols, err := cut.symbols(c.check)
		if err != nil || len(symbols) != c.frames || c.version != 0 && symbols[0].Version() != c.version {
			t.Fatalf("%s: %d frames, %v; want %d in version %d", name, len(symbols), err, c.frames, c.version)
		}
		texts := make([]string, len(symbols))
		for i, symbol := range symbols {
			texts[i] = symbol.Text()
			if symbol.Version() != symbols[0].Version() {
				t.Errorf("%s: versions %d and %d in one series", name, symbol.Version(), symbols[0].Version())
			}
		}
		if _, data := joined(t, texts); !bytes.Equal(data, sample(3000, 3)) {
			t.Errorf("%s: other bytes", name)
		}
	}
	_, err = cut.symbols(func(Symbol) bool { return false })
	wantRefusal(t, err, "qr-not-readable")
}

func TestReadableIsStricterThanAFile(t *testing.T) {
	rng := rand.New(rand.NewSource(4))
	missed := 0
	for range 150 {
		symbol, err := NewSymbol(frameText(Capacity(12), rng), 12)
		if err != nil {
			t.Fatal(err)
		}
		if !readableFile(symbol) {
			t.Error("a file of a clean symbol is not read")
		}
		if !Readable(symbol) {
			missed++
		}
	}
	if missed > 5 {
		t.Errorf("%d of 150 clean symbols are missed", missed)
	}
}

func TestOtherPicturesOfASymbolAreRead(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	symbol, err := NewSymbol(frameText(300, rng), 10)
	if err != nil {
		t.Fatal(err)
	}
	plain := luminance(symbol.picture(6))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, plain, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadPicture(photo.Bytes()); err != nil || text != symbol.Text() {
		t.Errorf("as JPEG: %v", err)
	}
	size := plain.Rect.Dx()
	noisy, glass, turned := image.NewGray(plain.Rect), image.NewNRGBA(plain.Rect), image.NewGray(plain.Rect)
	large := image.NewGray(image.Rect(0, 0, 2800, 2800))
	for i := range large.Pix {
		large.Pix[i] = 200
	}
	for y := range size {
		for x := range size {
			v := plain.GrayAt(x, y).Y
			noisy.SetGray(x, y, color.Gray{byte(60 + int(v)/2 + rng.Intn(40))})
			glass.SetNRGBA(x, y, color.NRGBA{0, 0, 0, 255 - v}) // black ink on nothing
			turned.SetGray(size-1-y, x, color.Gray{v})
		}
	}
	for y := range 4 * size {
		for x := range 4 * size {
			large.SetGray(300+x, 400+y, plain.GrayAt(x/4, y/4))
		}
	}
	for name, img := range map[string]image.Image{"noisy": noisy, "transparent": glass, "turned": turned, "inverted": inverse(plain),
		"large": large, "cut out": large.SubImage(image.Rect(250, 350, 2000, 2100))} {
		if text, err := ReadImage(img); err != nil || text != symbol.Text() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Attack 085: a symbol that says something else is refused, and what it says is not repeated.
func TestAttack085SymbolsThatAreNotFramesAreRefused(t *testing.T) {
	for _, text := range []string{"legal winner thank year wave sausage worth useful legal winner thank yellow", "https://example.com/pay",
		"UR:CRYPTO-PSBT/HDCXLKAHSSQZWFVSLFTEJP", "B$HC0100 \u6f22\u5b57", "12345678"} {
		code, err := qrcode.New(text, qrcode.Low)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadImage(code.Image(-5))
		wantRefusal(t, err, "qr-not-bbqr")
		if got != "" || err != nil && strings.Contains(err.Error(), text[len(text)-6:]) {
			t.Errorf("%q came out: %v", got, err)
		}
	}
}

// pngHeader returns the beginning of a PNG file that claims a size.
func pngHeader(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(chunk[4:], width)
	binary.BigEndian.PutUint32(chunk[8:], height)
	chunk[12], chunk[13] = 8, 0
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
}

// Attack 084: hostile pictures are refused before memory is spent on them.
func TestAttack084PicturesBeyondTheLimitsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		code string
	}{
		"wide":      {pngHeader(sideMax+1, 1), "picture-size"},
		"large":     {pngHeader(sideMax, sideMax), "picture-size"},
		"enormous":  {pngHeader(1<<31-1, 1<<31-1), "picture-format"},
		"no pixels": {pngHeader(0, 5), "picture-format"},
		"cut":       {pngHeader(50, 50), "picture-format"},
		"nothing":   {nil, "picture-format"},
		"other":     {[]byte("GIF89a"), "picture-format"},
		"jpeg":      {[]byte("\xff\xd8\xff\xe0junk"), "picture-format"},
		"long":      {make([]byte, PictureBytesMax+1), "picture-size"},
	} {
		text, err := ReadPicture(c.raw)
		if wantRefusal(t, err, c.code); text != "" {
			t.Errorf("%s: %q was read", name, text)
		}
	}
	_, err := ReadImage(image.NewGray(image.Rect(0, 0, sideMax+1, 1)))
	wantRefusal(t, err, "picture-size")
	for _, side := range []int{0, 1, 2, 7, 39, 40, 41} {
		_, err := ReadImage(image.NewGray(image.Rect(0, 0, side, side)))
		code := "qr-not-found"
		if side == 0 {
			code = "picture-size"
		}
		wantRefusal(t, err, code)
	}
}

// Attack 084: the reader compares every three finder patterns of a picture. A picture full of them (here 250,000) would
// keep it busy for years; it must be given up instead.
func TestAttack084APictureFullOfFinderPatternsEnds(t *testing.T) {
	const pitch = 8
	img := image.NewGray(image.Rect(0, 0, 2000, 2000))
	for y := range 2000 {
		for x := range 2000 {
			column, row := x%pitch, y%pitch
			ring := max(abs(column-3), abs(row-3))
			if ring == 2 || ring > 3 {
				img.Pix[y*img.Stride+x] = 255
			}
		}
	}
	_, err := ReadImage(img)
	wantRefusal(t, err, "qr-not-found")
}

func abs(n int) int { return max(n, -n) }

// Attack 084: damaged and random pictures never panic out of the reader.
func TestAttack084DamagedSymbolsAreReadRightlyOrNotAtAll(t *testing.T) {
	rng := rand.New(rand.NewSource(6))
	read := 0
	for round := range 60 {
		version := 1 + rng.Intn(20)
		symbol, err := NewSymbol(frameText(Capacity(version), rng), version)
		if err != nil {
			t.Fatal(err)
		}
		img := luminance(symbol.picture(1 + rng.Intn(5)))
		for range rng.Intn(1 + round) {
			x, y, side := rng.Intn(img.Rect.Dx()), rng.Intn(img.Rect.Dy()), 1+rng.Intn(12)
			shade := byte(rng.Intn(256))
			for dy := range side {
				for dx := range side {
					img.SetGray(x+dx, y+dy, color.Gray{shade})
				}
			}
		}
		text, err := ReadImage(img)
		switch {
		case err == nil && text != symbol.Text():
			t.Errorf("round %d: other text was read", round)
		case err == nil:
			read++
		default:
			wantRefusal(t, err, "qr-not-found")
		}
	}
	if read == 0 {
		t.Error("no damaged symbol was read: error correction does not work")
	}
}

// Attack 084: a picture whose pixels are missing makes the library index beyond them; that is nothing found.
func TestAttack084APanicInTheReaderIsNothingFound(t *testing.T) {
	short := &image.Gray{Pix: make([]byte, 10), Stride: 100, Rect: image.Rect(0, 0, 100, 100)}
	for _, p := range passes() {
		if text, found := p.attempt(short); found || text != "" {
			t.Errorf("%q was found", text)
		}
	}
}

func FuzzReadPicture(f *testing.F) {
	symbol, err := NewSymbol("B$2C0100AEBAG", 1)
	if err != nil {
		f.Fatal(err)
	}
	picture, err := symbol.PNG(2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(picture)
	f.Add(pngHeader(30, 30))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if config, err := png.DecodeConfig(bytes.NewReader(raw)); err == nil && config.Width*config.Height > 1<<16 {
			return // time, not safety: the size limit has its own test
		}
		if text, err := ReadPicture(raw); err == nil && !strings.HasPrefix(text, prefix) {
			t.Fatalf("%q was read", text)
		}
	})
}

func ExampleReadImage() {
	frames, _ := Frames(CBOR, []byte{1, 2, 3}, Options{})
	symbol, _ := NewSymbol(frames[0], VersionOf(frames[0]))
	text, _ := ReadImage(symbol.picture(PNGScale))
	fmt.Println(text)
	// Output: B$2C0100AEBAG
}
