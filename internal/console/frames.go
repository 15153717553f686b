package console

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
)

// Series is what a series of frames carried.
type Series struct {
	Type   transport.FileType
	Data   []byte
	Frames int
}

// ShowFrames runs data as a series of QR symbols on the terminal, as dense as its size allows, until a person presses q.
func (c *Console) ShowFrames(t transport.FileType, data []byte) error {
	const quiet = 2
	return c.Slides(func(cols, rows int) ([]string, error) {
		version := transport.VersionFor(cols, rows)
		if version == 0 {
			return nil, spend.Refuse("screen-overflow", "terminal", "room for a QR symbol", fmt.Sprintf("%d columns and %d rows", cols, rows),
				"make the terminal larger, or write --png DIR")
		}
		symbols, err := transport.Symbols(t, data, transport.Options{VersionMax: version})
		if err != nil {
			return nil, err
		}
		out := make([]string, len(symbols))
		for i, symbol := range symbols {
			out[i] = symbol.Half(quiet)
		}
		return out, nil
	})
}

// WriteFrames writes symbols as pictures into a new folder, in the order of their names: frame-0001.png and so on. Into
// a folder that is there it does not write: what lies in it would be read with them.
func (c *Console) WriteFrames(dir string, symbols []transport.Symbol) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return Fail(Failed, err, "name a folder that does not exist yet; nothing is overwritten")
	}
	for i, symbol := range symbols {
		picture, err := symbol.PNG(transport.PNGScale)
		if err != nil {
			return err
		}
		if err := WriteNew(filepath.Join(dir, fmt.Sprintf("frame-%04d.png", i+1)), picture, 0o600); err != nil {
			return err
		}
	}
	c.Say("wrote %d frames to %s; each was read back from its pixels", len(symbols), dir)
	return nil
}

// pictureName is what a picture on a stick may be called. Everything else in the folder is left alone and said.
var pictureName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,100}\.(png|PNG|jpg|JPG|jpeg|JPEG)$`)

// ReadFrames joins the frames in a folder of pictures, in any order and some of them more than once. One blurred
// photograph must not spoil a series, so a picture without a readable frame is passed over and said, and a series that
// lacks frames is refused with their numbers. A frame of another series, and what is no plain file, stops.
func (c *Console) ReadFrames(dir string) (Series, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Series{}, err
	}
	joiner := transport.NewJoiner()
	progress := c.Progress("reading pictures", len(entries))
	defer progress.End()
	for i, entry := range entries {
		progress.At(i)
		if !pictureName.MatchString(entry.Name()) {
			progress.End()
			c.Say("left alone: %s is no picture", entry.Name())
			continue
		}
		seen, err := addPicture(joiner, filepath.Join(dir, entry.Name()))
		if err != nil {
			return Series{}, err
		}
		if !seen {
			progress.End()
			c.Say("passed over: %s shows no frame", entry.Name())
		}
		if joiner.Complete() {
			break
		}
	}
	if !joiner.Complete() {
		return Series{}, missingFrames(dir, joiner)
	}
	_, need := joiner.Progress()
	t, data, err := joiner.Payload()
	return Series{t, data, need}, err
}

// addPicture adds the frame that one picture shows, and reports whether it shows any.
func addPicture(joiner *transport.Joiner, path string) (bool, error) {
	raw, err := ReadFile(path, transport.PictureBytesMax)
	if err != nil {
		return false, err
	}
	text, err := transport.ReadPicture(raw)
	if err != nil {
		return false, nil
	}
	if _, err := joiner.Add(text); err != nil {
		var refusal *spend.Refusal
		if errors.As(err, &refusal) {
			refusal.Where = filepath.Base(path)
		}
		return false, err
	}
	return true, nil
}

// missingFrames names the first frames that were not seen, so that nobody has to photograph them all again.
func missingFrames(dir string, joiner *transport.Joiner) error {
	const named = 8
	have, need := joiner.Progress()
	r := &spend.Refusal{Kind: spend.Unreadable, Code: "frames-missing", Where: dir, Expected: "every frame of one series",
		Found: "no picture of a frame", Fix: "photograph every frame into " + dir + ", and read it again"}
	if need == 0 {
		return r
	}
	missing := joiner.Missing()
	names := strings.Trim(strings.ReplaceAll(fmt.Sprint(missing[:min(len(missing), named)]), " ", ", "), "[]")
	if more := len(missing) - named; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	r.Found, r.Fix = fmt.Sprintf("%d of %d frames, without %s", have, need, names), "photograph the missing frames into "+dir+", and read it again"
	return r
}
