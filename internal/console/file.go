package console

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/sys/unix"
)

// ReadFile reads a regular file of at most max bytes. A link, FIFO, device, socket or directory is refused by name: a
// stick from elsewhere may hold any of them, and opening a FIFO or a device can hang or act.
func ReadFile(path string, max int64) ([]byte, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, notRegular(path, before.Mode())
	}
	// O_NONBLOCK: if the name became a FIFO since it was looked at, opening it must not hang.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !opened.Mode().IsRegular() || !os.SameFile(before, opened) {
		return nil, notRegular(path, opened.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, &spend.Refusal{Kind: spend.Unreadable, Code: "file-too-large", Where: path,
			Expected: fmt.Sprintf("at most %d bytes", max), Found: fmt.Sprintf("%d bytes or more", len(data)),
			Fix: "check that this is the file that was meant"}
	}
	return data, nil
}

// notRegular refuses what is not a plain file, in the words of a person.
func notRegular(path string, mode fs.FileMode) error {
	kind := "a file that was exchanged while it was opened"
	switch {
	case mode&fs.ModeSymlink != 0:
		kind = "a symbolic link"
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return &spend.Refusal{Kind: spend.Unreadable, Code: "file-not-regular", Where: path,
		Expected: "a regular file", Found: kind, Fix: "name the file itself; links, pipes and devices are never opened"}
}

// WriteNew writes a file whole or not at all, and never overwrites: the bytes go to a temporary file in the same
// directory, are synced, and get their name in one step that fails when the name is taken.
func WriteNew(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".coldsign-*")
	if err != nil {
		return err
	}
	// After a rename the temporary name is gone, and removing it again is no error worth telling.
	defer os.Remove(temp.Name())
	if err := errors.Join(fill(temp, data, mode), temp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := claim(temp.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &spend.Refusal{Kind: spend.ByPolicy, Code: "file-exists", Where: path, Expected: "a new name",
				Found: "a file of that name", Fix: "choose another name; nothing is ever overwritten"}
		}
		return fmt.Errorf("naming %s: %w", path, err)
	}
	return syncDir(dir)
}

// fill writes, sets the mode and syncs.
func fill(file *os.File, data []byte, mode fs.FileMode) error {
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Chmod(mode.Perm()); err != nil {
		return err
	}
	return file.Sync()
}

// claim gives a file its final name without replacing anything. Link works on every Unix file system; the FAT systems
// of USB sticks have no links, but can rename without replacing.
func claim(from, to string) error {
	err := unix.Link(from, to)
	if err == nil || err == unix.EEXIST {
		return err
	}
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
}

// syncDir makes a new name survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems cannot sync a directory
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
