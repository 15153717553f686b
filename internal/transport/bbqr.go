package transport

import (
	"bytes"
	"compress/flate"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	deflate "github.com/klauspost/compress/flate"
)

const (
	prefix = "B$"
	base36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// The encodings of BBQr.
const (
	encodingDeflate = 'Z'
	encodingBase32  = '2'
	encodingHex     = 'H'
)

// Frames cuts data into the texts of a BBQr series: the least number of frames that symbols of at most o.VersionMax
// allow, all but the last of equal length. Data is compressed unless that makes it longer.
func Frames(t FileType, data []byte, o Options) ([]string, error) {
	cut, err := newCut(t, data, o)
	if err != nil {
		return nil, err
	}
	return cut.texts(cut.count(cut.groupsMax)), nil
}

// A cutter holds an encoded payload and knows how it may be divided.
type cutter struct {
	head       string // B$, encoding, content
	encoded    []byte
	versionMax int
	groupsMax  int // base32 groups that fit a frame of that version
}

func newCut(t FileType, data []byte, o Options) (cutter, error) {
	version := o.VersionMax
	if version == 0 {
		version = VersionShownMax
	}
	switch {
	case !t.known():
		return cutter{}, refuse("qr-content-unknown", "", "content P, C or T", t.String(), useFile)
	case version < 1 || version > versionLargest:
		return cutter{}, refuse("qr-version-range", "", "a symbol version from 1 to 40", fmt.Sprint(version), "choose a version from 1 to 40")
	case len(data) == 0:
		return cutter{}, refuse("qr-payload-empty", "", "at least one byte", "none", "check the file that should be shown")
	case len(data) > PayloadMax:
		return cutter{}, refuse("qr-payload-too-large", "", fmt.Sprintf("at most %d bytes", PayloadMax), fmt.Sprintf("%d bytes", len(data)), useFile)
	}
	encoding, encoded := byte(encodingDeflate), compress(data)
	if len(encoded) >= len(data) {
		encoding, encoded = encodingBase32, data
	}
	cut := cutter{prefix + string(encoding) + string(rune(t)), encoded, version, groupsIn(version)}
	if n := cut.count(cut.groupsMax); n > FramesMax {
		return cutter{}, refuse("qr-series-too-long", "", fmt.Sprintf("at most %d frames", FramesMax),
			fmt.Sprintf("%d frames of version %d for %d bytes", n, version, len(data)), useFile+", or show it on a larger screen")
	}
	return cut, nil
}

// groupsIn returns how many base32 groups a frame of a version holds behind the header.
func groupsIn(version int) int { return (Capacity(version) - headerLen) / groupChars }

// groups returns the length of the whole payload in base32 groups, the last perhaps unfinished.
func (c cutter) groups() int { return (len(c.encoded) + groupBytes - 1) / groupBytes }

// count returns how many frames of at most groups groups are needed.
func (c cutter) count(groups int) int { return (c.groups() + groups - 1) / groups }

// texts divides the payload over at most n frames, as equally as whole groups allow. Rounding up may need fewer than n.
func (c cutter) texts(n int) []string {
	each := (c.groups() + n - 1) / n
	n = c.count(each)
	out := make([]string, n)
	for i := range out {
		part := c.encoded[i*each*groupBytes : min((i+1)*each*groupBytes, len(c.encoded))]
		out[i] = c.head + digits(n) + digits(i) + unpadded().EncodeToString(part)
	}
	return out
}

func unpadded() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// digits writes n as two digits of base 36.
func digits(n int) string { return string([]byte{base36[n/36], base36[n%36]}) }

// number reads two digits of base 36, upper case only.
func number(text string) (int, bool) {
	high, low := strings.IndexByte(base36, text[0]), strings.IndexByte(base36, text[1])
	return high*36 + low, high >= 0 && low >= 0
}

// compress deflates with the window that BBQr fixes. compress/flate of the standard library cannot: its window is
// 32 KiB, and devices then refuse the longer payloads with an invalid distance.
func compress(data []byte) []byte {
	var out bytes.Buffer
	w, err := deflate.NewWriterWindow(&out, deflateWindow)
	if err == nil {
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic(fmt.Sprintf("transport: compressing into memory: %v", err))
	}
	return out.Bytes()
}

// inflate undoes compress. The output is read through a limit, so that a bomb costs PayloadMax bytes and no more. Bytes
// behind the end of the stream are refused: two series that differ must not give the same payload.
func inflate(encoded []byte) ([]byte, error) {
	in := bytes.NewReader(encoded) // an io.ByteReader, from which flate takes no byte beyond the stream
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(flate.NewReader(in), PayloadMax+1))
	switch {
	case n > PayloadMax:
		return nil, refuse("bbqr-payload-too-large", "", fmt.Sprintf("at most %d bytes", PayloadMax), "more after inflating",
			"do not use this series; ask the sender for a file")
	case err != nil:
		return nil, refuse("bbqr-deflate", "", "a deflate stream", err.Error(), scanAgain)
	case in.Len() > 0:
		return nil, refuse("bbqr-deflate", "", "the end of the deflate stream", fmt.Sprintf("%d more bytes", in.Len()), scanAgain)
	case n == 0:
		return nil, refuse("bbqr-deflate", "", "at least one byte", "an empty stream", scanAgain)
	}
	return out.Bytes(), nil
}

// decodePart turns the characters behind a header into bytes. Writing the bytes again must give the same characters:
// that refuses lower case, padding, line ends, half bytes and stray bits at once.
func decodePart(encoding byte, text string) ([]byte, bool) {
	var part []byte
	var err error
	var again string
	if encoding == encodingHex {
		part, err = hex.DecodeString(text)
		again = strings.ToUpper(hex.EncodeToString(part))
	} else {
		part, err = unpadded().DecodeString(text)
		again = unpadded().EncodeToString(part)
	}
	return part, err == nil && again == text
}
