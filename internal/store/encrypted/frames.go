package encrypted

import (
	"encoding/binary"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// A frame of the log is a head of 24 bytes, whose second word is not zero in the last frame of a transaction, and a
// page. SQLite writes each with a call of its own, at places that are no block's. Below, each of these writes would be
// up to two blocks read, decrypted, changed, encrypted and written: six times the work of the page itself. So the frames
// of a transaction wait here for its last one and go down together, in whole blocks but for the first and the last.
//
// Nobody misses a frame that waits. Other connections, of any process, look at no frame that the shared index does not
// name, and SQLite names them after the last one was written. The connection itself gets them: whatever it does with
// the file besides going on behind the last write sends them down first. What stands in the files is what would stand
// there without this.
const (
	frameHead  = 24
	gatherMost = 1 << 20 // bytes that wait; a larger transaction goes down in pieces
)

// frameSystem is the encrypting file system with logs that are written in whole transactions.
type frameSystem struct{ vfs.VFS }

// Open is not asked: SQLite prefers OpenFilename where there is one.
func (s frameSystem) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if name == "" {
		return s.OpenFilename(nil, flags)
	}
	return nil, flags, sqlite3.CANTOPEN
}

// OpenFilename leaves every file but a log as it is.
func (s frameSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(s.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return file, flags, err
	}
	return &frameLog{File: file, next: -1}, flags, nil
}

// frameLog is a connection's view of the log.
type frameLog struct {
	vfs.File        // the encrypting one
	waiting  []byte // written by SQLite, and not yet below
	start    int64  // where they belong
	next     int64  // behind the last write
	inside   bool   // the last write was the head of a frame that is not the last of its transaction
}

// Unwrap lets the encrypting file system find its own file again.
func (f *frameLog) Unwrap() vfs.File { return f.File }

// WriteAt keeps a head, and the page of a frame that others follow, when they come behind the last write. Everything
// else goes down at once, with what waited.
func (f *frameLog) WriteAt(p []byte, at int64) (int, error) {
	behind := at == f.next
	if !behind {
		if err := f.flush(); err != nil {
			return 0, err
		}
		f.start = at
	}
	head := behind && len(p) == frameHead
	wait := head || behind && f.inside
	f.inside = head && binary.BigEndian.Uint32(p[4:]) == 0
	f.waiting = append(f.waiting, p...)
	f.next = at + int64(len(p))
	if wait && len(f.waiting) < gatherMost {
		return len(p), nil
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush sends down what waits. After a failure nothing waits any more: SQLite gives the transaction up.
func (f *frameLog) flush() error {
	if len(f.waiting) == 0 {
		f.start = f.next
		return nil
	}
	_, err := f.File.WriteAt(f.waiting, f.start)
	f.start, f.waiting = f.next, f.waiting[:0]
	if err != nil {
		f.next, f.inside = -1, false
	}
	return err
}

// ReadAt reads what was written.
func (f *frameLog) ReadAt(p []byte, at int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

// Truncate cuts the file.
func (f *frameLog) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.next = -1
	return f.File.Truncate(size)
}

// Sync makes durable what was written.
func (f *frameLog) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// Size is the size with what waits.
func (f *frameLog) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Close writes what waits.
func (f *frameLog) Close() error {
	err := f.flush()
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}
