package console_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
)

// payload does not compress, so its length decides how many frames it takes.
func payload(n int) []byte {
	random, out := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

// reader is a console whose standard error is kept.
func reader() (*console.Console, *bytes.Buffer) {
	said := &bytes.Buffer{}
	return &console.Console{Name: "coldsign", Out: &bytes.Buffer{}, Err: said, Now: time.Now}, said
}

// written is a folder with the frames of a payload.
func written(t *testing.T, data []byte) string {
	t.Helper()
	symbols, err := transport.Symbols(transport.CBOR, data, transport.Options{VersionMax: 8})
	if err != nil || len(symbols) < 4 {
		t.Fatalf("%d symbols, %v", len(symbols), err)
	}
	dir := filepath.Join(t.TempDir(), "new", "frames")
	c, _ := reader()
	if err := c.WriteFrames(dir, symbols); err != nil {
		t.Fatal(err)
	}
	return dir
}

func codeOf(err error) string {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func TestFramesComeBackFromTheirPictures(t *testing.T) {
	data := payload(900)
	dir := written(t, data)
	if _, err := os.Stat(filepath.Join(dir, "frame-0001.png")); err != nil {
		t.Error(err)
	}
	c, said := reader()
	series, err := c.ReadFrames(dir)
	if err != nil || series.Type != transport.CBOR || !bytes.Equal(series.Data, data) || series.Frames < 4 || said.Len() > 0 {
		t.Errorf("%d frames of type %s, %d bytes, %v\n%s", series.Frames, series.Type, len(series.Data), err, said)
	}
}

// Old frames in the folder would be read with the new ones.
func TestFramesGoToANewFolder(t *testing.T) {
	dir := written(t, payload(900))
	symbols, err := transport.Symbols(transport.CBOR, payload(10), transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := reader()
	if err := c.WriteFrames(dir, symbols); !errors.Is(err, os.ErrExist) {
		t.Errorf("into a folder that is there: %v", err)
	}
}

// What lies beside the frames is left alone and said; a picture that shows no frame is passed over and said; what no
// program may open stops.
func TestOtherThingsInAFolderOfPictures(t *testing.T) {
	data := payload(900)
	dir := written(t, data)
	put := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("\x1b[2J.png", nil)
	put(".hidden.png", nil)
	put("a note.txt", []byte("text"))
	put("blurred.PNG", []byte("no picture"))
	c, said := reader()
	series, err := c.ReadFrames(dir)
	if err != nil || !bytes.Equal(series.Data, data) {
		t.Fatalf("%d bytes, %v", len(series.Data), err)
	}
	for _, want := range []string{`left alone: \x1b[2J.png is no picture`, "left alone: .hidden.png is no picture", "left alone: a note.txt is no picture", "passed over: blurred.PNG shows no frame"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing says %q in\n%s", want, said)
		}
	}
	if strings.Contains(said.String(), "\x1b") {
		t.Error("a name reached the terminal as it is")
	}
	if err := os.Symlink("frame-0001.png", filepath.Join(dir, "0.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFrames(dir); codeOf(err) != "file-not-regular" {
		t.Errorf("with a link: %v", err)
	}
}

func TestMissingFramesAreNamed(t *testing.T) {
	dir := written(t, payload(3000))
	frames, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 3} {
		if err := os.Remove(filepath.Join(dir, frames[i].Name())); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := reader()
	_, err = c.ReadFrames(dir)
	if codeOf(err) != "frames-missing" || !strings.Contains(err.Error(), "without 2, 4") {
		t.Errorf("two missing: %v", err)
	}
	for _, frame := range slices.Delete(frames, 1, 2) {
		if frame.Name() != "frame-0001.png" {
			_ = os.Remove(filepath.Join(dir, frame.Name())) // one is gone already
		}
	}
	if _, err = c.ReadFrames(dir); codeOf(err) != "frames-missing" || !strings.Contains(err.Error(), "without 2, 3, 4, 5, 6, 7, 8, 9 and ") {
		t.Errorf("one left of %d: %v", len(frames), err)
	}
	if _, err = c.ReadFrames(t.TempDir()); codeOf(err) != "frames-missing" || !strings.Contains(err.Error(), "no picture of a frame") {
		t.Errorf("an empty folder: %v", err)
	}
}

// Attack 082: two series in one folder do not make a third one, and the picture that does not belong is named.
func TestAttack082FramesOfTwoSeriesInOneFolder(t *testing.T) {
	dir, other := written(t, payload(900)), written(t, payload(2000))
	raw, err := os.ReadFile(filepath.Join(other, "frame-0002.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "frame-0000.png"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := reader()
	_, err = c.ReadFrames(dir)
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) || refusal.Code != "bbqr-series-mixed" || refusal.Where != "frame-0001.png" {
		t.Errorf("%v", err)
	}
}

func TestFramesNeedRoomAndATerminal(t *testing.T) {
	c, _ := reader()
	if err := c.ShowFrames(transport.CBOR, payload(10)); codeOf(err) != "terminal-missing" {
		t.Errorf("without a terminal: %v", err)
	}
}
