package engine

import (
	"cmp"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// Snapshots is a directory of snapshots, each of the whole state after one command. A snapshot only saves time: the
// journal alone is the truth, and one that is damaged is passed over for the one before it.
//
// A file is named snapshot-SEQ-SHA256.sealed: twenty digits of the last command, and the hash of all its bytes. It is
// written under another name, flushed, renamed, and its directory flushed, so that a name never stands for half a file.
type Snapshots struct {
	dir    string
	key    []byte
	random io.Reader
	faults Faults
}

// SnapshotInfo is one snapshot of the directory.
type SnapshotInfo struct {
	Seq  uint64
	Hash [32]byte // of the file
	Path string
}

const (
	snapshotsKept  = 2
	snapshotPrefix = "snapshot-"
	snapshotSuffix = ".sealed"
	snapshotTemp   = "unfinished-"
	snapshotInfo   = "coldsign snapshot v1"
)

// OpenSnapshots opens a directory that exists (0700). Key is the store key. It removes what a crash left half written.
func OpenSnapshots(dir string, key []byte, faults Faults) (*Snapshots, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("snapshots: a key of %d bytes, 32 are needed", len(key))
	}
	derived, err := hkdf.Key(sha256.New, key, nil, snapshotInfo, 32)
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, snapshotTemp+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	return &Snapshots{dir: dir, key: derived, random: rand.Reader, faults: faults}, nil
}

// List returns the snapshots, newest first. Files of other names are passed over.
func (s *Snapshots) List() ([]SnapshotInfo, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var out []SnapshotInfo
	for _, e := range entries {
		if info, ok := parseName(e.Name()); ok {
			info.Path = filepath.Join(s.dir, e.Name())
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b SnapshotInfo) int { return cmp.Compare(b.Seq, a.Seq) })
	return out, nil
}

func parseName(name string) (info SnapshotInfo, ok bool) {
	rest, ok1 := strings.CutPrefix(name, snapshotPrefix)
	rest, ok2 := strings.CutSuffix(rest, snapshotSuffix)
	seq, sum, ok3 := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(seq, 10, 64)
	raw, err2 := hex.DecodeString(sum)
	if !ok1 || !ok2 || !ok3 || len(seq) != 20 || err != nil || err2 != nil || len(raw) != 32 {
		return info, false
	}
	return SnapshotInfo{Seq: n, Hash: [32]byte(raw)}, true
}

// Write writes a snapshot of the state, whose journal has the hash chain after the state's last command, and keeps only
// the newest two.
func (s *Snapshots) Write(state *State, chain [32]byte) (SnapshotInfo, error) {
	info, err := s.write(state, chain)
	if err != nil {
		return info, fmt.Errorf("snapshot after command %d: %w", state.Seq(), err)
	}
	list, err := s.List()
	if err != nil {
		return info, err
	}
	for _, old := range list[min(len(list), snapshotsKept):] {
		s.faults.at("snapshot-remove")
		if err := os.Remove(old.Path); err != nil {
			return info, err
		}
	}
	return info, nil
}

func (s *Snapshots) write(state *State, chain [32]byte) (info SnapshotInfo, err error) {
	s.faults.at("snapshot-create")
	f, err := os.CreateTemp(s.dir, snapshotTemp)
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	sum := sha256.New()
	w, err := newSealWriter(io.MultiWriter(f, sum), s.key, s.random)
	if err != nil {
		return info, err
	}
	w.faults = s.faults
	head := snapshotHead{seq: state.Seq(), at: state.Now(), chain: chain, state: state.Hash()}
	if _, err := w.Write(head.append(nil)); err != nil {
		return info, err
	}
	if err := state.Snapshot(w); err != nil {
		return info, err
	}
	if err := w.Close(); err != nil {
		return info, err
	}
	s.faults.at("snapshot-sync")
	if err := f.Sync(); err != nil {
		return info, err
	}
	info = SnapshotInfo{Seq: state.Seq(), Hash: [32]byte(sum.Sum(nil))}
	info.Path = filepath.Join(s.dir, fmt.Sprintf("%s%020d-%x%s", snapshotPrefix, info.Seq, info.Hash, snapshotSuffix))
	s.faults.at("snapshot-rename")
	if err := os.Rename(f.Name(), info.Path); err != nil {
		return info, err
	}
	if err := f.Close(); err != nil {
		return info, err
	}
	s.faults.at("snapshot-sync-directory")
	return info, syncDir(s.dir)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads a snapshot. It refuses one whose bytes are not those of its name, that was sealed with another key, or
// whose state has not the hash that it had when it was written (snapshot-damaged).
func (s *Snapshots) Load(info SnapshotInfo, o StateOptions) (state *State, chain [32]byte, err error) {
	f, err := os.Open(info.Path)
	if err != nil {
		return nil, chain, err
	}
	defer f.Close()
	sum := sha256.New()
	r, err := newSealReader(io.TeeReader(f, sum), s.key)
	if err != nil {
		return nil, chain, damagedSnapshot(info, err)
	}
	head, err := readSnapshotHead(r)
	if err != nil {
		return nil, chain, damagedSnapshot(info, err)
	}
	if state, err = RestoreState(r, o); err != nil {
		return nil, chain, damagedSnapshot(info, err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != 0 {
		return nil, chain, damagedSnapshot(info, errors.Join(err, fmt.Errorf("%d bytes behind the state", n)))
	}
	if [32]byte(sum.Sum(nil)) != info.Hash || head.seq != info.Seq || state.Seq() != head.seq || state.Now() != head.at || state.Hash() != head.state {
		return nil, chain, damagedSnapshot(info, errors.New("hashes differ"))
	}
	return state, head.chain, nil
}

func damagedSnapshot(info SnapshotInfo, err error) error {
	return fmt.Errorf("%w: %w", spend.Distrust("snapshot-damaged", filepath.Base(info.Path), "the bytes that were written", "other bytes, or another key",
		"nothing is lost: an older snapshot and the journal give the same state; remove the file"), err)
}
