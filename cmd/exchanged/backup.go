package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/records"
)

// A backup is a folder with:
//
//	journal    every frame, sealed as in the journal
//	records    every record, sealed
//	manifest   what is in them: sequence numbers and hashes; written last, so that a folder without one is half a backup
//
// The keys are not in it. Without exchange/engine/store.key and kek.key nobody can read it.
const (
	backupJournal  = "journal"
	backupRecords  = "records"
	backupManifest = "manifest"
)

// manifest says what a backup holds.
type manifest struct {
	Last        uint64 `json:"last"`
	Frames      uint64 `json:"frames"`
	Head        string `json:"head"`         // hash over the whole journal
	RecordsHash string `json:"records_hash"` // over all records
}

func newBackupCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup DIR",
		Short: "Write journal and records, sealed, into a new folder, beside the running exchange",
		Long: "Every frame of the journal is proven on its way. Keys are not in a backup: keep exchange/engine/store.key and kek.key, and\n" +
			"exchange/engine/rules, elsewhere, or the backup is lost with them.",
		Example: "  exchanged backup /mnt/backup/2026-11-21 --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runBackup(a, args[0]) },
	}
}

func newRestoreCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore DIR",
		Short: "Bring a backup back into an exchange that holds nothing, and prove that it is the same",
		Long: "Fills the empty journal and records of this folder, whose keys are those of the backup, and compares their hashes with\n" +
			"the backup's. Then the whole journal is replayed, and the records are compared with the state that comes out.",
		Example: "  exchanged restore /mnt/backup/2026-11-21 --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runRestore(a, args[0]) },
	}
}

// stores says where this folder's journal and records are.
func (a *app) stores() (*site, journal.Options, records.Options, error) {
	c, at, err := a.load()
	if err != nil {
		return nil, journal.Options{}, records.Options{}, err
	}
	if c.Exchange == nil {
		return nil, journal.Options{}, records.Options{}, console.Fail(console.Usage, errors.New("the configuration has no section exchange"), "exchanged exchange init --data "+string(at))
	}
	s := &site{app: a, config: c, folder: at}
	frames, err := s.journalOptions()
	if err != nil {
		return nil, frames, records.Options{}, err
	}
	rows, err := s.recordsOptions(frames.Key)
	return s, frames, rows, err
}

func runBackup(a *app, dir string) error {
	ctx := context.Background()
	_, frames, rows, err := a.stores()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return console.Fail(console.Usage, fmt.Errorf("%s is there already: a backup makes a folder of its own", dir), "exchanged backup "+dir+"-2")
	} else if err != nil {
		return err
	}
	var m manifest
	// Records first: the journal is then at least as far, and what the records lack is in it.
	rows.Read = true
	err = writeWhole(filepath.Join(dir, backupRecords), func(w io.Writer) error {
		r, err := records.Open(ctx, rows)
		if err != nil {
			return err
		}
		hash, err := r.Backup(ctx, w, rand.Reader)
		m.RecordsHash = fmt.Sprintf("%x", hash)
		return errors.Join(err, r.Close())
	})
	if err != nil {
		return err
	}
	frames.Follow = true
	err = writeWhole(filepath.Join(dir, backupJournal), func(w io.Writer) error {
		j, err := journal.Open(ctx, frames)
		if err != nil {
			return err
		}
		report, err := j.Write(ctx, w)
		m.Last, m.Frames, m.Head = report.Last, report.Frames, fmt.Sprintf("%x", report.Head)
		return errors.Join(err, j.Close())
	})
	if err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := console.WriteNew(filepath.Join(dir, backupManifest), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.backup/v1", m)
	}
	a.Say("%d frames up to command %d, and the records, are in %s", m.Frames, m.Last, dir)
	a.Say("journal ends with hash %s", m.Head)
	return nil
}

// writeWhole makes a new file that is on the disk when it returns.
func writeWhole(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = fill(w)
	return errors.Join(err, w.Flush(), f.Sync(), f.Close())
}

func runRestore(a *app, dir string) error {
	ctx := context.Background()
	s, frames, rows, err := a.stores()
	if err != nil {
		return err
	}
	raw, err := console.ReadFile(filepath.Join(dir, backupManifest), keyMax)
	if errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("%s holds no manifest: the backup did not finish", dir))
	}
	if err != nil {
		return err
	}
	var m manifest
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, backupManifest), err)
	}
	if err := restoreJournal(ctx, frames, filepath.Join(dir, backupJournal), m); err != nil {
		return err
	}
	state, err := s.restoreRecords(ctx, frames, rows, filepath.Join(dir, backupRecords), m)
	if err != nil {
		return err
	}
	hash := state.Hash()
	if a.json {
		return a.JSON("coldsign.restore/v1", map[string]any{"last": m.Last, "head": m.Head, "records_hash": m.RecordsHash, "state_hash": fmt.Sprintf("%x", hash)})
	}
	a.Say("journal and records are those of the backup; %d commands replayed give the same records", state.Seq())
	_, err = fmt.Fprintf(a.Out, "%x\n", hash)
	return err
}

func restoreJournal(ctx context.Context, o journal.Options, path string, m manifest) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	report, err := journal.Read(ctx, o, bufio.NewReaderSize(f, 1<<20))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if head := fmt.Sprintf("%x", report.Head); head != m.Head || report.Last != m.Last {
		return console.Fail(console.NotAuthentic, fmt.Errorf("the journal ends with command %d and hash %s, the manifest says %d and %s", report.Last, head, m.Last, m.Head))
	}
	return nil
}

// restoreRecords fills the records, brings them to the journal's end, and compares them with the replayed state.
func (s *site) restoreRecords(ctx context.Context, frames journal.Options, rows records.Options, path string, m manifest) (*engine.State, error) {
	r, err := records.Open(ctx, rows)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	hash, err := r.Restore(ctx, bufio.NewReaderSize(f, 1<<20))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if got := fmt.Sprintf("%x", hash); got != m.RecordsHash {
		return nil, errors.Join(console.Fail(console.NotAuthentic, fmt.Errorf("the records have hash %s, the manifest says %s", got, m.RecordsHash)), r.Close())
	}
	frames.Follow = true
	j, err := journal.Open(ctx, frames)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	state, err := s.replayInto(ctx, j, r)
	return state, errors.Join(err, j.Close(), r.Close())
}

func (s *site) replayInto(ctx context.Context, j *journal.Journal, r *records.Records) (*engine.State, error) {
	options, _, err := s.folder.stateOptions()
	if err != nil {
		return nil, err
	}
	state := engine.NewState(options)
	follower, err := engine.NewFollower(ctx, engine.FollowerOptions{Journal: j, State: state, Sinks: []engine.Sink{r}})
	if err != nil {
		return nil, err
	}
	if err := follower.CatchUp(ctx); err != nil {
		return nil, err
	}
	return state, r.Compare(ctx, state)
}
