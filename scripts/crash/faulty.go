package main

import (
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/ncruces/go-sqlite3/vfs"
)

// fault is where, and after how many times, the process dies or a flush fails.
type fault struct {
	point string // empty: nowhere
	left  atomic.Int64
	fails bool // the flush at the point fails, instead of a death
}

// at is told every boundary.
func (f *fault) at(point string) {
	if f.due(point) && !f.fails {
		die()
	}
}

func (f *fault) due(point string) bool { return point == f.point && f.left.Add(-1) == 0 }

// die ends the process as SIGKILL ends it from outside: nothing is flushed, closed or deferred.
func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// fileSystem is the plain VFS of the driver with a boundary before and after every write, in the middle of every write,
// and around every flush: these are all the moments at which SQLite's files change.
type fileSystem struct {
	vfs.VFSFilename
	fault *fault
}

func (s fileSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := s.VFSFilename.OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	kind := "database"
	if strings.HasSuffix(name.String(), "-wal") {
		kind = "log"
	}
	return &faultyFile{File: file, kind: kind, fault: s.fault}, flags, nil
}

type faultyFile struct {
	vfs.File
	kind  string
	fault *fault
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	f.fault.at(f.kind + "-write")
	if f.fault.due(f.kind + "-write-torn") {
		cut := 1 + rand.IntN(max(len(p)-1, 1))
		f.File.WriteAt(p[:cut], off)
		die()
	}
	n, err := f.File.WriteAt(p, off)
	f.fault.at(f.kind + "-written")
	return n, err
}

func (f *faultyFile) Sync(flags vfs.SyncFlag) error {
	f.fault.at(f.kind + "-flush")
	if f.fault.fails && f.fault.due(f.kind+"-flush") {
		return syscall.EIO
	}
	err := f.File.Sync(flags)
	f.fault.at(f.kind + "-flushed")
	return err
}

func (f *faultyFile) Truncate(size int64) error {
	f.fault.at(f.kind + "-truncate")
	return f.File.Truncate(size)
}

func (f *faultyFile) Unwrap() vfs.File { return f.File }

func (f *faultyFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *faultyFile) LockState() vfs.LockLevel { return f.File.(vfs.FileLockState).LockState() }

func (f *faultyFile) HasMoved() (bool, error) { return f.File.(vfs.FileHasMoved).HasMoved() }

func (f *faultyFile) SizeHint(size int64) error { return f.File.(vfs.FileSizeHint).SizeHint(size) }

func (f *faultyFile) PowersafeOverwrite() bool {
	return f.File.(vfs.FilePowersafeOverwrite).PowersafeOverwrite()
}

func (f *faultyFile) SetPowersafeOverwrite(yes bool) {
	f.File.(vfs.FilePowersafeOverwrite).SetPowersafeOverwrite(yes)
}
