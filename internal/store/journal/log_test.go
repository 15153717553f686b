package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// watched is a plain file system that tells what is done to logs, and can fail it.
type watched struct {
	vfs.VFSFilename
	unflushed             bool // the last frame of a transaction was written and not flushed
	flushes               int
	writeFails, syncFails bool
}

func (w *watched) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := w.VFSFilename.OpenFilename(name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return file, flags, err
	}
	return &watchedLog{file, w}, flags, nil
}

type watchedLog struct {
	vfs.File
	by *watched
}

func (l *watchedLog) WriteAt(p []byte, at int64) (int, error) {
	if l.by.writeFails {
		return 0, sqlite3.FULL
	}
	if len(p) == frameHead && binary.BigEndian.Uint32(p[4:]) != 0 {
		l.by.unflushed = true
	}
	return l.File.WriteAt(p, at)
}

func (l *watchedLog) Sync(flags vfs.SyncFlag) error {
	if l.by.syncFails {
		return sqlite3.IOERR_FSYNC
	}
	l.by.unflushed = false
	l.by.flushes++
	return l.File.Sync(flags)
}

// watch makes a journal on a watched file system.
func watch(t *testing.T) (*watched, *bench) {
	w := &watched{VFSFilename: vfs.Find("os").(vfs.VFSFilename)}
	vfs.Register(t.Name(), w)
	t.Cleanup(func() { vfs.Unregister(t.Name()) })
	return w, &bench{t: t, ctx: t.Context(), options: Options{Dir: t.TempDir(), Key: key("store"), FileSystem: t.Name()}}
}

// wide is a frame of a single command that fills many pages.
func wide(first uint64) engine.Frame {
	f := frame(first, 1)
	f.Commands = bytes.Repeat(f.Commands, 2000)
	return f
}

func TestTheCallComesBetweenTheWriteAndTheFlushOfAFrame(t *testing.T) {
	w, b := watch(t)
	j := b.open()
	reading := b.options
	reading.Follow = true
	follower, err := Open(b.ctx, reading)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	for i := range uint64(300) { // so many that the log begins anew
		called, flushes := false, 0
		err := j.Append(b.ctx, wide(i+1), func() {
			last, err := follower.Last(b.ctx)
			called, flushes = true, w.flushes
			if !w.unflushed || err != nil || last != i {
				t.Errorf("frame %d: written %t, a reader knows %d, %v", i+1, w.unflushed, last, err)
			}
		})
		if err != nil || !called || w.flushes == flushes {
			t.Fatalf("frame %d: called %t, flushed after it %t, %v", i+1, called, w.flushes > flushes, err)
		}
	}
	info, err := os.Stat(j.table.place())
	if err != nil || info.Size() < logBytes {
		t.Fatalf("%d bytes: the log did not begin anew, %v", info.Size(), err)
	}
}

func TestNothingIsCalledAfterAWriteThatFailed(t *testing.T) {
	w, b := watch(t)
	j := b.open()
	b.write(j, frame(1, 1))
	w.writeFails = true
	calls := 0
	b.refused(j.Append(b.ctx, frame(2, 1), func() { calls++ }), "journal-full", "after command 1")
	w.writeFails = false
	b.refused(j.Append(b.ctx, frame(2, 1), func() { calls++ }), "journal-full", "after command 1")
	if err := j.Close(); err != nil || calls != 0 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

func TestAFlushThatFailsAfterTheCallStopsTheJournal(t *testing.T) {
	w, b := watch(t)
	j := b.open()
	b.write(j, frame(1, 1))
	w.syncFails = true
	calls := 0
	b.refused(j.Append(b.ctx, frame(2, 1), func() { calls++ }), "journal-write-failed", "after command 1")
	w.syncFails = false
	b.refused(j.Append(b.ctx, frame(2, 1), func() { calls++ }), "journal-write-failed", "after command 1")
	if err := j.Close(); err != nil || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

func TestALogIsMadeLongWithoutLosingWhatADeadEngineLeft(t *testing.T) {
	dir, left := t.TempDir(), t.TempDir()
	b := &bench{t: t, ctx: t.Context(), options: Options{Dir: dir, Key: key("store")}}
	j := b.open()
	for i := range uint64(20) {
		b.write(j, frame(i+1, 1))
	}
	for _, name := range []string{fileName, fileName + "-wal"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(left, name), raw[:min(len(raw), 1<<20)], 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.options.Dir = left
	j = b.open()
	log, err := os.Stat(filepath.Join(left, fileName+"-wal"))
	if err != nil || log.Size() < logBytes {
		t.Fatalf("a log of %d bytes, %v", log.Size(), err)
	}
	if got := b.read(j, 1); len(got) != 20 || !same(got[19], frame(20, 1)) {
		t.Fatalf("%d frames", len(got))
	}
}

func TestADiskWithoutRoomForALongLogIsWrittenTo(t *testing.T) {
	w, b := watch(t)
	b.write(b.open(), frame(1, 1))
	file, _, err := w.OpenFilename(nil, vfs.OPEN_READWRITE|vfs.OPEN_CREATE|vfs.OPEN_TEMP_DB)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log := &logFile{File: &cramped{File: file, room: 3 << 20}}
	if _, err := log.WriteAt([]byte("whole"), 0); err != nil {
		t.Fatal(err)
	}
	size, err := log.Size()
	if err := errors.Join(err, log.extend()); err != nil || size != 5 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if size, err = log.Size(); err != nil || size != 5 {
		t.Fatalf("%d bytes are left, %v", size, err)
	}
}

// cramped is a file on a disk that is nearly full.
type cramped struct {
	vfs.File
	room int64
}

func (c *cramped) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > c.room {
		return 0, sqlite3.FULL
	}
	return c.File.WriteAt(p, at)
}
