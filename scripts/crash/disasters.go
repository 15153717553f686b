package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/ncruces/go-sqlite3"
)

// disaster is something worse than a crash. It must be noticed, refused with words that help, and where the disk is well
// again nothing that was acknowledged may be missing.
type disaster struct {
	name string
	how  func(t *trial) (life, func() error) // the life in which it happens, and what is done after it, if anything
	want string                              // the refusal; of the life, or when it is started again after the damage
	heal bool                                // afterwards a whole life passes
}

const endless = 1 << 30 // answers that no life reaches

func disasters() []disaster {
	full := func(size uint64) func(t *trial) (life, func() error) {
		return func(t *trial) (life, func() error) {
			l := t.base
			l.FileMax, l.Snapshots = size, endless
			return l, nil
		}
	}
	flush := func(point string) func(t *trial) (life, func() error) {
		return func(t *trial) (life, func() error) {
			l := t.base
			l.Point, l.Times, l.Fails = point, 40, true
			return l, nil
		}
	}
	return []disaster{
		{"disk full", full(600_000), "journal-full", true},
		{"flush of the log fails", flush("log-flush"), "journal-write-failed", true},
		{"last frame torn off the log", func(t *trial) (life, func() error) { return t.base, t.tear }, "journal-behind", false},
		{"last frame cut short", func(t *trial) (life, func() error) { return t.base, t.cut }, "journal-damaged", false},
		{"corrupted frame", func(t *trial) (life, func() error) { return t.base, t.corrupt }, "journal-damaged", false},
	}
}

func (d disaster) play(ctx context.Context, dir string) error {
	t := newTrial(life{Dir: dir, Snapshots: 100_000})
	if err := genesis(ctx, t.base); err != nil {
		return err
	}
	l, after := d.how(t)
	answers := 200
	if after == nil {
		answers = endless
	}
	e, err := t.live(ctx, l, answers)
	if err != nil {
		return err
	}
	if after != nil {
		if err := after(); err != nil {
			return err
		}
		if e, err = t.live(ctx, t.base, endless); err != nil {
			return err
		}
	}
	if err := e.must(d.want); err != nil {
		return err
	}
	outcome, said := "refused at the start", e.failure
	if d.heal {
		if err := t.check(ctx); err != nil {
			return err
		}
		if e, err = t.live(ctx, t.base, 200); err != nil || !e.killed {
			return fmt.Errorf("started again, it ended with %q: %w", e.failure, err)
		}
		if err := t.check(ctx); err != nil {
			return err
		}
		outcome = fmt.Sprintf("stopped; started again, %d acknowledged, none lost", t.acks)
	}
	fmt.Printf("%-28s %-20s %s\n", d.name, d.want, outcome)
	fmt.Printf("%-28s %s\n", "", firstLine(said))
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// tear cuts the log in the middle of its last commit: a disk that lied about its flush.
func (t *trial) tear() error {
	path := filepath.Join(t.base.Dir, "journal.db-wal")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// A commit ends with a log frame whose database size is not zero; frames of an older log, which lie behind, have
	// another salt. The log's header has 32 bytes, with the page size at 8 and the salt at 16; a frame's has 24. The last
	// commits may be of frames that nobody was told of yet, so the one that is torn is some before.
	const header = 32
	frame := 24 + int(binary.BigEndian.Uint32(raw[8:]))
	var commits []int
	for at := header; at+frame <= len(raw) && bytes.Equal(raw[at+8:at+16], raw[16:24]); at += frame {
		if !bytes.Equal(raw[at+4:at+8], make([]byte, 4)) {
			commits = append(commits, at)
		}
	}
	if len(commits) < 10 {
		return fmt.Errorf("only %d commits in the log", len(commits))
	}
	return os.Truncate(path, int64(commits[len(commits)-4]+frame/2))
}

// edit changes the database itself.
func (t *trial) edit(statement string) error {
	db, err := sqlite3.Open(filepath.Join(t.base.Dir, "journal.db"))
	if err != nil {
		return err
	}
	return errors.Join(db.Exec(statement), db.Close())
}

func (t *trial) cut() error {
	return t.edit(`UPDATE frames SET sealed = substr(sealed, 1, length(sealed) / 2) WHERE first = (SELECT max(first) FROM frames)`)
}

// corrupt changes one byte of a frame in the file, as a bad sector would.
func (t *trial) corrupt() error {
	if err := t.edit(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return err
	}
	path := filepath.Join(t.base.Dir, "journal.db")
	db, err := sqlite3.Open(path)
	if err != nil {
		return err
	}
	stm, _, err := db.Prepare(`SELECT sealed FROM frames ORDER BY first DESC LIMIT 1 OFFSET 5`)
	if err != nil {
		return err
	}
	stm.Step()
	sealed := stm.ColumnBlob(0, nil)
	if err := errors.Join(stm.Err(), stm.Close(), db.Close()); err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := bytes.Index(raw, sealed[:min(len(sealed), 64)])
	if at < 0 {
		return errors.New("the frame's bytes are not in the file")
	}
	raw[at+7] ^= 0x20
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return err
	}
	j, err := journal.Open(context.Background(), journal.Options{Dir: t.base.Dir, Key: make([]byte, 32), Follow: true})
	if err != nil {
		return err
	}
	_, err = j.Verify(context.Background())
	if err == nil {
		err = errors.New("the whole journal was found to be good")
	} else {
		fmt.Printf("%-28s verify says: %v\n", "", err)
		err = nil
	}
	return errors.Join(err, j.Close())
}
