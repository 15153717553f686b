package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/spend"
)

// Mark remembers, beside the snapshots, the last command that was acknowledged: sequence number 8 and the first 8 bytes
// of its SHA-256. It is written after each commit and before the replies, and never flushed: after a crash of the
// process it is exact, after a power failure it may be old, and it is never ahead of what was durable. So a journal that
// ends before it has lost what was acknowledged: a disk that lied, a log that was cut, a database server that failed
// over to a replica which did not have everything.
type Mark struct {
	file *os.File
	seq  uint64
}

const markName = "acknowledged"

// OpenMark opens the mark of a directory, or makes it. A mark that cannot be read, because the power failed while it was
// written, counts as none.
func OpenMark(dir string) (*Mark, error) {
	f, err := os.OpenFile(filepath.Join(dir, markName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	m := &Mark{file: f}
	m.look()
	return m, nil
}

// look reads what the file says by now: an engine that is followed writes it too.
func (m *Mark) look() {
	var raw [16]byte
	if n, _ := m.file.ReadAt(raw[:], 0); n == len(raw) {
		if sum := sha256.Sum256(raw[:8]); [8]byte(sum[:]) == [8]byte(raw[8:]) {
			m.seq = binary.BigEndian.Uint64(raw[:])
		}
	}
}

// Seq returns the last command that was acknowledged, as far as is known.
func (m *Mark) Seq() uint64 { return m.seq }

// Set remembers a command. One write of 16 bytes within one sector is whole or absent when the process dies.
func (m *Mark) Set(seq uint64) error {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], seq)
	sum := sha256.Sum256(raw[:8])
	copy(raw[8:], sum[:])
	if _, err := m.file.WriteAt(raw[:], 0); err != nil {
		return fmt.Errorf("mark of what was acknowledged: %w", err)
	}
	m.seq = seq
	return nil
}

// Close closes the file.
func (m *Mark) Close() error { return m.file.Close() }

// lost refuses a journal that ends before what is known of it.
func lost(who string, known, last uint64) error {
	return spend.Distrust("journal-behind", fmt.Sprintf("the end of the journal, command %d", last), fmt.Sprintf("at least command %d, which %s knows", known, who), "a journal that ends before it",
		"acknowledged commands are missing: do not start; keep the files, look for a newer copy of the journal (replica, backup), and restore that")
}
