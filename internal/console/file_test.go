package console

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/sys/unix"
)

func refusalCode(err error) string {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func TestAttack086OnlyRegularFilesWithinTheCapAreRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("12345"), 0o600), os.Symlink("file", at("link")),
		unix.Mkfifo(at("fifo"), 0o600), os.Mkdir(at("dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(at("file"), 5); err != nil || string(data) != "12345" {
		t.Errorf("a file of exactly the cap: %q %v", data, err)
	}
	for _, c := range []struct {
		path  string
		cap   int64
		code  string
		found string
	}{
		{at("file"), 4, "file-too-large", "5 bytes or more"}, {at("link"), 5, "file-not-regular", "a symbolic link"},
		{at("fifo"), 5, "file-not-regular", "a named pipe"}, {at("dir"), 5, "file-not-regular", "a directory"},
		{"/dev/zero", 5, "file-not-regular", "a device"},
	} {
		_, err := ReadFile(c.path, c.cap)
		var refusal *spend.Refusal
		if !errors.As(err, &refusal) || refusal.Code != c.code || refusal.Found != c.found {
			t.Errorf("%s: %v, want %s (%s)", c.path, err, c.code, c.found)
		}
	}
	if _, err := ReadFile(at("absent"), 5); !errors.Is(err, fs.ErrNotExist) || CodeOf(err) != Failed {
		t.Errorf("absent: %v", err)
	}
}

func TestWriteNewIsWholeAndNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := WriteNew(path, []byte("first"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if err := WriteNew(path, []byte("second"), 0o600); refusalCode(err) != "file-exists" {
		t.Errorf("a second write: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(link, []byte("x"), 0o600); refusalCode(err) != "file-exists" {
		t.Errorf("through a dangling link: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, []byte("first")) {
		t.Errorf("content %q %v", data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	if err := WriteNew(filepath.Join(dir, "absent", "out"), nil, 0o600); err == nil {
		t.Error("a directory appeared")
	}
}
