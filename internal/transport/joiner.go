package transport

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

const scanAgain = "scan the whole series again; if it repeats, ask the sender for a file"

// Joiner collects the frames of one series in any order. The first good frame decides which series that is; a frame
// of another series is refused and changes nothing. To take the other series instead, begin with a new Joiner.
type Joiner struct {
	series header   // of the first frame, index 0
	parts  [][]byte // by index; nil until seen
	have   int
	size   int // length of every part but the last; 0 until one was seen
}

// NewJoiner returns a Joiner that has seen nothing.
func NewJoiner() *Joiner { return &Joiner{} }

type header struct {
	encoding byte
	content  FileType
	total    int
	index    int
}

// parse reads one frame by itself: everything that can be judged without the others.
func parse(text string) (header, []byte, *spend.Refusal) {
	switch {
	case !strings.HasPrefix(text, prefix):
		return header{}, nil, refuse("qr-not-bbqr", "", `text that begins with "B$"`, "other text", "show the symbols that coldsign or warmctl made")
	case len(text) > frameTextMax:
		return header{}, nil, refuse("bbqr-frame-too-long", "", fmt.Sprintf("at most %d characters", frameTextMax), fmt.Sprint(len(text)), scanAgain)
	case len(text) < headerLen:
		return header{}, nil, refuse("bbqr-header", "", "a header of eight characters", fmt.Sprintf("%d characters", len(text)), scanAgain)
	}
	h := header{encoding: text[2], content: FileType(text[3])}
	if !strings.ContainsRune("Z2H", rune(h.encoding)) {
		return header{}, nil, refuse("bbqr-encoding", "", "encoding Z, 2 or H", fmt.Sprintf("%q", h.encoding), scanAgain)
	}
	if !h.content.known() {
		return header{}, nil, refuse("bbqr-content", "", "content P, C or T", fmt.Sprintf("%q", byte(h.content)),
			"show a PSBT, a bundle, an answer or a transaction")
	}
	total, totalOK := number(text[4:6])
	index, indexOK := number(text[6:8])
	if h.total, h.index = total, index; !totalOK || !indexOK || index >= total { // which a total of 0 cannot pass
		return header{}, nil, refuse("bbqr-header", "", "a number of frames from 01 to ZZ and a smaller index", fmt.Sprintf("%q", text[4:8]), scanAgain)
	}
	where := fmt.Sprintf("frame %d of %d", index+1, total)
	if len(text) == headerLen {
		return header{}, nil, refuse("bbqr-part-empty", where, "at least one byte", "none", scanAgain)
	}
	part, ok := decodePart(h.encoding, text[headerLen:])
	if !ok {
		return header{}, nil, refuse("bbqr-part-text", where, "whole bytes in encoding "+string(rune(h.encoding)),
			fmt.Sprintf("%d other characters", len(text)-headerLen), scanAgain)
	}
	return h, part, nil
}

// Add takes the text of one symbol. It reports whether the frame was new. A refusal leaves everything as it was.
func (j *Joiner) Add(text string) (fresh bool, err error) {
	h, part, refusal := parse(text)
	if refusal == nil {
		refusal = j.fits(h, part)
	}
	if refusal != nil {
		return false, refusal
	}
	if j.parts == nil {
		j.series, j.parts = header{h.encoding, h.content, h.total, 0}, make([][]byte, h.total)
	}
	if j.parts[h.index] != nil {
		return false, nil
	}
	j.parts[h.index] = part
	j.have++
	if h.index < h.total-1 {
		j.size = len(part)
	}
	return true, nil
}

// fits says why a frame does not belong to the series seen so far, or nothing. BBQr has no series number, so another
// series shows itself only by its header, its part length, or other bytes at a place already seen.
func (j *Joiner) fits(h header, part []byte) *spend.Refusal {
	if j.parts == nil {
		return nil
	}
	where := fmt.Sprintf("frame %d of %d", h.index+1, h.total)
	mixed := func(expected, found string) *spend.Refusal {
		return refuse("bbqr-series-mixed", where, expected, found, "show one series only; to take the other one, begin the scan again")
	}
	if s := j.series; h.encoding != s.encoding || h.content != s.content || h.total != s.total {
		return mixed(fmt.Sprintf("%s in %d frames, encoding %c", s.content, s.total, s.encoding),
			fmt.Sprintf("%s in %d frames, encoding %c", h.content, h.total, h.encoding))
	}
	if seen := j.parts[h.index]; seen != nil {
		if !bytes.Equal(seen, part) {
			return mixed("the bytes seen before", "other bytes")
		}
		return nil
	}
	last := h.total - 1
	switch {
	case h.index < last && j.size > 0 && len(part) != j.size:
		return mixed(fmt.Sprintf("%d bytes", j.size), fmt.Sprintf("%d bytes", len(part)))
	case h.index < last && j.parts[last] != nil && len(part) < len(j.parts[last]):
		return mixed(fmt.Sprintf("at least the %d bytes of the last frame", len(j.parts[last])), fmt.Sprintf("%d bytes", len(part)))
	case h.index == last && j.size > 0 && len(part) > j.size:
		return mixed(fmt.Sprintf("at most %d bytes", j.size), fmt.Sprintf("%d bytes", len(part)))
	}
	return nil
}

// Progress returns how many frames were seen and how many the series has; 0 of 0 before the first.
func (j *Joiner) Progress() (have, need int) { return j.have, len(j.parts) }

// Complete reports whether every frame of a series was seen.
func (j *Joiner) Complete() bool { return j.have > 0 && j.have == len(j.parts) }

// Missing returns the frames not yet seen, counted from 1 as the sender's screen counts them.
func (j *Joiner) Missing() []int {
	var out []int
	for i, part := range j.parts {
		if part == nil {
			out = append(out, i+1)
		}
	}
	return out
}

// Payload returns what a complete series carries. When a complete series does not decode, at least one of its frames
// came from elsewhere and nobody can say which: the Joiner then forgets all of them.
func (j *Joiner) Payload() (FileType, []byte, error) {
	if !j.Complete() {
		return 0, nil, refuse("bbqr-incomplete", "", fmt.Sprintf("all %d frames", len(j.parts)),
			fmt.Sprintf("%d", j.have), "keep scanning until every frame was seen")
	}
	joined := slices.Concat(j.parts...)
	if j.series.encoding != encodingDeflate {
		return j.series.content, joined, nil
	}
	content := j.series.content
	data, err := inflate(joined)
	if err != nil {
		*j = Joiner{}
		return 0, nil, err
	}
	return content, data, nil
}
