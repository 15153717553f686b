package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"golang.org/x/sys/unix"
)

// The writer's file system is the plain one but for the log: between the write of a transaction and its flush the log
// calls back, so that an engine applies the frame while the disk takes it. The bytes of the files and the order of the
// calls are SQLite's own.
const (
	system    = "coldsign-journal" // by which SQLite finds it; the name of the one below follows
	frameHead = 24                 // bytes before the page of each frame of the log; the second word is not zero in the last frame of a transaction
	logBytes  = 17 << 20           // what the log reaches between two checkpoints, and a little more
)

// logSystem is a file system whose logs call back.
type logSystem struct{ vfs.VFS }

// over makes the file system over the one that has the name below, and returns its own.
func over(below string) (string, error) {
	found := vfs.Find(below)
	if found == nil {
		return "", fmt.Errorf("no file system is called %q", below)
	}
	// The same file system again, if it is known already. It keeps nothing of its own.
	vfs.Register(system+below, logSystem{found})
	return system + below, nil
}

// Open is not asked: SQLite prefers OpenFilename where there is one.
func (s logSystem) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if name == "" {
		return s.OpenFilename(nil, flags)
	}
	return nil, flags, sqlite3.CANTOPEN
}

// OpenFilename leaves every file but a log as it is.
func (s logSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(s.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return file, flags, err
	}
	disk, _ := vfsutil.UnwrapFile[described](file)
	return &logFile{File: file, disk: disk}, flags, nil
}

// described is a file that the operating system knows by a number.
type described interface {
	vfs.File
	Fd() uintptr
}

// logFile is the writer's view of the log.
type logFile struct {
	vfs.File
	disk      described // the same file at the bottom; nil: it is none of the operating system's
	whole     bool      // the head of a transaction's last frame was written, and not yet flushed
	meanwhile func()    // to be called once before the next flush of a whole transaction; nil: nothing
}

// WriteAt looks for the last frame of a transaction. What SQLite flushes before it, such as the head of a log that
// begins anew, holds no transaction.
func (f *logFile) WriteAt(p []byte, at int64) (int, error) {
	if len(p) == frameHead {
		f.whole = binary.BigEndian.Uint32(p[4:]) != 0
	}
	return f.File.WriteAt(p, at)
}

// Sync makes durable what was written. The disk is told to begin before the callback, or it would idle until the end of
// it. That is a hint, whose failure the flush meets again.
func (f *logFile) Sync(flags vfs.SyncFlag) error {
	if call := f.meanwhile; f.whole && call != nil {
		f.meanwhile = nil
		if f.disk != nil {
			_ = unix.SyncFileRange(int(f.disk.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
		}
		call()
	}
	f.whole = false
	return f.File.Sync(flags)
}

// extend makes the file as long as it will get, with zeros, which no reader takes for frames: a flush of bytes that lie
// inside a file writes them alone, one that makes it longer its new length and place too. Where there is no room for it
// the file stays as it was.
func (f *logFile) extend() error {
	size, err := f.File.Size()
	if err != nil || size >= logBytes {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := size; at < logBytes; at += int64(len(zeros)) {
		if _, err := f.File.WriteAt(zeros, at); err != nil {
			return f.File.Truncate(size)
		}
	}
	return f.File.Sync(vfs.SYNC_FULL)
}

// logOf returns the log of a connection that has written.
func logOf(c *sqlite3.Conn) (*logFile, error) {
	found, err := c.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return nil, err
	}
	log, ours := found.(*logFile)
	if !ours {
		return nil, errors.New("the database has no log")
	}
	return log, nil
}
