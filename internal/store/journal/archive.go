package journal

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	archiveJournal  = "journal.backup"
	archiveManifest = "manifest.json"
	manifestMax     = 1 << 16
)

// Manifest says what a backup directory holds. It has hashes and no secret; it is written last, so a directory without
// one is no backup.
type Manifest struct {
	Schema    string   `json:"schema"` // "coldsign.journal.backup/v1"
	Frames    uint64   `json:"frames"`
	Pruned    uint64   `json:"pruned"` // commands up to this one are only in the snapshots
	Last      uint64   `json:"last"`   // command
	Head      string   `json:"head"`   // hash over the whole chain
	State     string   `json:"state"`  // hash of the state after Last
	Snapshots []string `json:"snapshots"`
}

const manifestSchema = "coldsign.journal.backup/v1"

// Backup writes a backup of a journal and its snapshots into dir, which must not exist, while the engine may run. It
// recovers the state from what it wrote of, so that a backup that cannot be restored is not made.
func Backup(ctx context.Context, j *Journal, snapshots *engine.Snapshots, rules engine.StateOptions, dir string) (m Manifest, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return m, err
	}
	// Snapshots first: the journal, which is read after them, then knows at least as much.
	if m.Snapshots, err = copySnapshots(snapshots, dir); err != nil {
		return m, err
	}
	report, err := writeFile(filepath.Join(dir, archiveJournal), func(w io.Writer) (Report, error) { return j.Write(ctx, w) })
	if err != nil {
		return m, err
	}
	state, err := stateAt(ctx, j, snapshots, rules, report)
	if err != nil {
		return m, err
	}
	m.Schema, m.Frames, m.Pruned, m.Last, m.Head, m.State = manifestSchema, report.Frames, report.Pruned, report.Last, hex.EncodeToString(report.Head[:]), state
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	_, err = writeFile(filepath.Join(dir, archiveManifest), func(w io.Writer) (Report, error) { _, err := w.Write(append(raw, '\n')); return report, err })
	return m, errors.Join(err, syncDir(dir))
}

// stateAt replays the journal to the report's end: all of it where nothing was pruned, so that no snapshot has to be
// believed.
func stateAt(ctx context.Context, j *Journal, snapshots *engine.Snapshots, rules engine.StateOptions, r Report) (string, error) {
	o := engine.RecoverOptions{State: rules, To: r.Last}
	if r.Pruned > 0 {
		o.Snapshots = snapshots
	}
	state, _, err := engine.Recover(ctx, j, o)
	if err != nil {
		return "", err
	}
	hash := state.Hash()
	return hex.EncodeToString(hash[:]), nil
}

func copySnapshots(from *engine.Snapshots, dir string) (names []string, err error) {
	list, err := from.List()
	if err != nil {
		return nil, err
	}
	for _, info := range list {
		name := filepath.Base(info.Path)
		err := copyFile(info.Path, filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // a newer one has taken its place just now
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = writeFile(to, func(w io.Writer) (Report, error) { _, err := io.Copy(w, f); return Report{}, err })
	return err
}

// writeFile makes a file that does not exist and flushes it.
func writeFile(path string, write func(io.Writer) (Report, error)) (Report, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Report{}, err
	}
	report, err := write(f)
	return report, errors.Join(err, f.Sync(), f.Close())
}

// Restore puts a backup into an empty journal and an empty directory for snapshots, and proves it: the chain has the hash
// that the backup was made with, and the state that the restored journal gives has it too, or restore-differs.
func Restore(ctx context.Context, o Options, snapshotDir string, rules engine.StateOptions, dir string) (Manifest, error) {
	m, err := readManifest(filepath.Join(dir, archiveManifest))
	if err != nil {
		return m, err
	}
	snapshots, err := engine.OpenSnapshots(snapshotDir, o.Key, nil)
	if err != nil {
		return m, err
	}
	if list, err := snapshots.List(); err != nil {
		return m, err
	} else if len(list) > 0 {
		return m, spend.Refuse("restore-not-empty", snapshotDir, "an empty directory for snapshots", fmt.Sprintf("%d snapshots", len(list)), "restore into a new directory; nothing is overwritten")
	}
	f, err := os.Open(filepath.Join(dir, archiveJournal))
	if err != nil {
		return m, err
	}
	defer f.Close()
	report, err := Read(ctx, o, f)
	if err != nil {
		return m, err
	}
	for _, name := range m.Snapshots {
		if err := copyFile(filepath.Join(dir, filepath.Base(name)), filepath.Join(snapshotDir, filepath.Base(name))); err != nil {
			return m, err
		}
	}
	o.Follow = true
	j, err := Open(ctx, o)
	if err != nil {
		return m, err
	}
	defer j.Close()
	state, err := stateAt(ctx, j, snapshots, rules, report)
	if err != nil {
		return m, err
	}
	return m, errors.Join(m.compare(o.place(), report, state), syncDir(snapshotDir))
}

func readManifest(path string) (m Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, manifestMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil || m.Schema != manifestSchema {
		return m, unreadable(archiveManifest, "the manifest of a backup of version 1", "another file, or another version")
	}
	return m, nil
}

func (m Manifest) compare(place string, r Report, state string) error {
	if head := hex.EncodeToString(r.Head[:]); head != m.Head || state != m.State || r.Last != m.Last {
		return spend.Distrust("restore-differs", place, fmt.Sprintf("command %d, chain %.16s, state %.16s", m.Last, m.Head, m.State),
			fmt.Sprintf("command %d, chain %.16s, state %.16s", r.Last, head, state), "do not start on it; restore another backup, and report this one")
	}
	return nil
}

// place names the target without its password.
func (o Options) place() string {
	if o.Dir != "" {
		return o.Dir
	}
	return "PostgreSQL journal " + o.Group
}
