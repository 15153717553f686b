// Package transport carries bytes over the air gap as QR symbols: it cuts them into frames, draws the frames, reads
// pictures of frames, and joins what was read. It is blind to meaning: a frame proves nothing about who made it, so
// whatever comes out of Joiner.Payload is judged by the seal, the approvals and the proofs that it carries.
//
// The format is BBQr. A frame is text of the QR alphanumeric set, at most 4,296 characters:
//
//	B$     two characters, always the same
//	Z      encoding: Z raw deflate (1 KiB window), then base32 · 2 base32 (RFC 4648, no padding) · H upper-case hex
//	P      content: P PSBT · C CBOR (a bundle or an answer) · T transaction
//	0E     number of frames, two digits of base 36, 1 to 1295
//	03     this frame, two digits of base 36, from 00
//	...    the part: whole bytes, at least one; all parts have the same length, only the last may be shorter
//
// For example three bytes 01 02 03 as CBOR in one frame: B$2C0100AEBAG. BBQr has no checksum. A second carrier (UR) would
// be another joiner chosen by its prefix; Symbol, ReadImage and the page do not know what text they carry.
//
// What may never happen here: a clock, a disk or a network; a panic or an endless search on bytes or pictures from
// outside; memory that a stranger's header asks for; parts of two series that BBQr tells apart in one payload; text of a symbol that is
// not a frame handed on (it may be somebody's seed words).
package transport

import (
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// Limits. Each stands for something outside that would otherwise be unbounded.
const (
	FramesMax       = 1295    // what two digits of base 36 count to
	PayloadMax      = 4 << 20 // bytes before compression; 1,295 frames carry at most 3.4 MB after it
	frameTextMax    = 4296    // characters; the alphanumeric capacity of the largest QR symbol at level L
	headerLen       = 8       // B$, encoding, content, total, index
	groupChars      = 8       // base32 characters that carry groupBytes
	groupBytes      = 5
	deflateWindow   = 1024 // bytes; fixed by BBQr, so that a small device can inflate
	versionLargest  = 40
	VersionShownMax = 20 // our own reader reads denser symbols from a camera too rarely
)

// FileType says what a series carries, in the letter that BBQr gives it.
type FileType byte

// The contents that are carried. BBQr has more letters (JSON, text, programs); they are refused.
const (
	PSBT        FileType = 'P'
	CBOR        FileType = 'C'
	Transaction FileType = 'T'
)

// String names the content for a screen.
func (t FileType) String() string {
	switch t {
	case PSBT:
		return "PSBT"
	case CBOR:
		return "CBOR"
	case Transaction:
		return "transaction"
	}
	return "content " + strconv.QuoteRuneToASCII(rune(t))
}

func (t FileType) known() bool { return t == PSBT || t == CBOR || t == Transaction }

// Options says how dense frames may become. The zero Options means VersionShownMax.
type Options struct {
	VersionMax int // largest symbol version, 1 to 40; VersionFor gives what a terminal can show
}

const useFile = "carry it as a file on a stick instead (--out FILE)"

// refuse makes a refusal of input that the format does not allow.
func refuse(code, where, expected, found, fix string) *spend.Refusal {
	if where == "" { // commands put the name of the file in front
		family, _, _ := strings.Cut(code, "-")
		where = map[string]string{"bbqr": "series", "qr": "symbol", "picture": "picture"}[family]
	}
	return &spend.Refusal{Kind: spend.Unreadable, Code: code, Where: where, Expected: expected, Found: found, Fix: fix}
}
