package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/storetest"
	"github.com/jackc/pgx/v5"
	"github.com/ncruces/go-sqlite3"
)

const marker = "plaintext-marker-4711"

// bench is one empty journal of one kind of database, for one claim.
type bench struct {
	t       *testing.T
	ctx     context.Context
	options Options
	files   []string               // directories that hold every file of it
	change  func(statement string) // what an intruder, or a bad disk, does to the rows; $J is the journal's condition
}

func (b *bench) open() *Journal {
	b.t.Helper()
	j, err := Open(b.ctx, b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { j.Close() })
	return j
}

func key(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

// frame makes count commands from first on; each carries the marker.
func frame(first uint64, count int) engine.Frame {
	f := engine.Frame{First: first, At: exchange.Millis(1_000_000 + first), Count: count}
	for i := range count {
		c := exchange.Command{Kind: exchange.AccountOpen, Account: exchange.Account(first) + exchange.Account(i), Body: []byte(marker)}
		binary.LittleEndian.PutUint64(c.ID[:], first+uint64(i))
		f.Commands = c.Append(f.Commands)
	}
	return f
}

func (b *bench) write(j *Journal, frames ...engine.Frame) {
	b.t.Helper()
	for _, f := range frames {
		if err := j.Append(b.ctx, f, nil); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) read(j *Journal, from uint64) (out []engine.Frame) {
	b.t.Helper()
	err := j.Read(b.ctx, from, func(f engine.Frame) error {
		f.Commands = bytes.Clone(f.Commands)
		out = append(out, f)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func same(a, b engine.Frame) bool {
	return a.First == b.First && a.At == b.At && a.Count == b.Count && bytes.Equal(a.Commands, b.Commands)
}

func (b *bench) refused(err error, code, where string) {
	b.t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code || !strings.Contains(r.Where, where) || r.Fix == "" {
		b.t.Fatalf("%v; want %s at %q with the next command", err, code, where)
	}
}

// claims hold for both databases.
func claims() map[string]func(*bench) {
	return map[string]func(*bench){
		"what was appended is read in its order, also after opening again":     claimReadBack,
		"no command is in plain text in any file":                              claimSealed,
		"another key is refused and changes nothing":                           claimKey,
		"a second writer is refused at its start":                              claimSecondWriter,
		"a second writer that got in is refused by its first frame":            claimSuperseded,
		"a frame that leaves a gap or goes back in time is not taken":          claimOrder,
		"a changed byte of the commands names its frame":                       claimCorrupted,
		"a changed number of a frame names it":                                 claimRenumbered,
		"a frame that was cut short is named at the opening":                   claimTorn,
		"a frame that was taken out leaves a gap that is named":                claimGap,
		"a frame of another journal with the same key does not fit":            claimTransplanted,
		"pruning takes out what a snapshot knows and the chain goes on":        claimPrune,
		"a forged mark of pruning is refused":                                  claimForgedPrune,
		"a follower reads what the writer adds, also of a later epoch":         claimFollower,
		"a backup restores into either database with the same chain":           claimBackup,
		"a backup with one changed byte restores nothing that can be opened":   claimBackupDamaged,
		"a backup of journal and snapshots restores to the same state":         claimArchive,
		"a standby takes over when the writer is gone, and not before":         claimStandby,
		"after an error of writing nothing is taken any more":                  claimStops,
		"what is done meanwhile is done once, and has ended at the return":     claimMeanwhile,
		"two epochs never share a key, so no nonce is used twice with one":     claimEpochs,
		"a frame as large as is allowed passes, a larger one is not taken":     claimLarge,
		"a journal in a newer language is refused and left as it is":           claimNewer,
		"a newer program reads an older journal and raises it by a frame":      claimRaised,
		"a follower of an older program stops at the first newer frame":        claimNewerWhileFollowing,
		"a backup keeps the language of every frame":                           claimBackupLanguage,
		"a language that was changed in the database opens nothing":            claimForgedLanguage,
		"the chain can be asked for at the end of a frame and nowhere else":    claimChain,
		"reading from the middle begins with the frame asked for, not a later": claimMiddle,
	}
}

func TestJournalInSQLite(t *testing.T) {
	for name, claim := range claims() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			claim(&bench{t: t, ctx: t.Context(), options: Options{Dir: dir, Key: key("store")}, files: []string{dir}, change: func(statement string) {
				db, err := sqlite3.Open(filepath.Join(dir, fileName))
				if err == nil {
					err = errors.Join(db.Exec(strings.NewReplacer("$T", "frames", "$M", "meta", "$E", "epochs", "$J", "true").Replace(statement)), db.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}})
		})
	}
}

func TestJournalInPostgreSQL(t *testing.T) {
	server, err := storetest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for name, claim := range claims() {
		t.Run(name, func(t *testing.T) {
			database, err := server.NewDatabase(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			url := server.URL(database)
			claim(&bench{t: t, ctx: t.Context(), options: Options{URL: url, Group: "spot", Key: key("store")}, files: []string{server.Dir}, change: func(statement string) {
				db, err := pgx.Connect(t.Context(), url)
				if err == nil {
					_, err = db.Exec(t.Context(), strings.NewReplacer("$T", "coldsign_frames", "$M", "coldsign_meta", "$E", "coldsign_epochs", "$J", "journal = 'spot'", "x'00'", `'\x00'::bytea`).Replace(statement))
					err = errors.Join(err, db.Close(t.Context()))
				}
				if err != nil {
					t.Fatal(err)
				}
			}})
		})
	}
}

func claimReadBack(b *bench) {
	want := []engine.Frame{frame(1, 3), frame(4, 1), frame(5, 400), frame(405, 2)}
	j := b.open()
	if last, err := j.Last(b.ctx); err != nil || last != 0 {
		b.t.Fatalf("a new journal ends with %d, %v", last, err)
	}
	b.write(j, want[:2]...)
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	j = b.open()
	b.write(j, want[2:]...)
	got := b.read(j, 1)
	if len(got) != len(want) {
		b.t.Fatalf("%d frames of %d", len(got), len(want))
	}
	for i := range want {
		if !same(got[i], want[i]) {
			b.t.Errorf("frame %d differs", i)
		}
	}
	report, err := j.Verify(b.ctx)
	if err != nil || report.Frames != 4 || report.Last != 406 || report.First != 1 || report.At != want[3].At {
		b.t.Fatalf("%+v, %v", report, err)
	}
	if last, err := j.Last(b.ctx); err != nil || last != 406 {
		b.t.Fatalf("the journal ends with %d, %v", last, err)
	}
}

func claimSealed(b *bench) {
	j := b.open()
	for first := uint64(1); first < 200; first += 10 {
		b.write(j, frame(first, 10))
	}
	found := 0
	look := func() {
		for _, dir := range b.files {
			err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return nil // PostgreSQL removes files of its own while this walks
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					return nil
				}
				found++
				if bytes.Contains(raw, []byte(marker)) {
					b.t.Errorf("%s holds a command in plain text", path)
				}
				return nil
			})
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	look()
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	look()
	if found < 3 {
		b.t.Fatalf("only %d files were looked at", found)
	}
}

func claimKey(b *bench) {
	b.write(b.open(), frame(1, 1))
	other := b.options
	other.Key, other.Follow = key("other"), true
	_, err := Open(b.ctx, other)
	b.refused(err, "journal-key-wrong", "")
	empty := b.options
	empty.Follow, empty.Group = true, "other group"
	if b.options.Dir != "" {
		empty.Dir = b.t.TempDir()
	}
	_, err = Open(b.ctx, empty)
	b.refused(err, "journal-missing", "")
}

func claimSecondWriter(b *bench) {
	first := b.open()
	_, err := Open(b.ctx, b.options)
	b.refused(err, "journal-in-use", "")
	b.write(first, frame(1, 1))
	if err := first.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.write(b.open(), frame(2, 1))
}

// The second writer is let in by taking the first one's lock away, as a network file system or a pooler might.
func claimSuperseded(b *bench) {
	first := b.open()
	b.write(first, frame(1, 1))
	switch table := first.table.(type) {
	case *sqliteTable:
		table.held.Close()
	case *postgresTable:
		if _, err := table.writer.Exec(b.ctx, `SELECT pg_advisory_unlock_all()`); err != nil {
			b.t.Fatal(err)
		}
	}
	second := b.open()
	b.write(second, frame(2, 5))
	err := first.Append(b.ctx, frame(2, 1), nil)
	b.refused(err, "journal-superseded", "after command 1")
	if !errors.Is(err, engine.ErrSuperseded) {
		b.t.Fatal(err)
	}
	if err := first.Append(b.ctx, frame(2, 1), nil); !errors.Is(err, engine.ErrSuperseded) {
		b.t.Fatalf("it went on: %v", err)
	}
	b.write(second, frame(7, 1))
	if got := b.read(second, 1); len(got) != 3 || !same(got[1], frame(2, 5)) {
		b.t.Fatalf("%d frames", len(got))
	}
}

func claimOrder(b *bench) {
	j := b.open()
	b.write(j, frame(1, 2))
	back := frame(3, 1)
	back.At = frame(1, 1).At - 1
	for name, f := range map[string]engine.Frame{"gap": frame(4, 1), "time": back, "empty": {First: 3, At: 2_000_000}} {
		if err := j.Append(b.ctx, f, nil); err == nil {
			b.t.Errorf("%s was taken", name)
		}
	}
	b.write(j, frame(3, 1)) // nothing was written, so the journal goes on
}

func claimFollower(b *bench) {
	writer := b.open()
	b.write(writer, frame(1, 1))
	o := b.options
	o.Follow = true
	follower, err := Open(b.ctx, o)
	if err != nil {
		b.t.Fatal(err)
	}
	defer follower.Close()
	if err := follower.Append(b.ctx, frame(2, 1), nil); err == nil {
		b.t.Fatal("a follower wrote")
	}
	b.write(writer, frame(2, 3))
	if err := writer.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.write(b.open(), frame(5, 1))
	if got := b.read(follower, 2); len(got) != 2 || !same(got[1], frame(5, 1)) {
		b.t.Fatalf("%d frames", len(got))
	}
	if last, err := follower.Last(b.ctx); err != nil || last != 5 {
		b.t.Fatalf("the follower knows %d, %v", last, err)
	}
}

func claimStops(b *bench) {
	j := b.open()
	b.write(j, frame(1, 1))
	whole := j.table
	j.table = failing{whole}
	b.refused(j.Append(b.ctx, frame(2, 1), nil), "journal-write-failed", "after command 1")
	j.table = whole // the disk is well again, and still nothing is tried on the same handle
	b.refused(j.Append(b.ctx, frame(2, 1), nil), "journal-write-failed", "after command 1")
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.write(b.open(), frame(2, 1))
}

func claimMeanwhile(b *bench) {
	j := b.open()
	calls := 0
	for i := range 5 {
		if err := j.Append(b.ctx, frame(uint64(i+1), 1), func() { calls++ }); err != nil || calls != i+1 {
			b.t.Fatalf("%d calls in %d frames, %v", calls, i+1, err)
		}
	}
	b.write(j, frame(6, 1))
	if err := j.Append(b.ctx, frame(8, 1), func() { calls++ }); err == nil || calls != 5 {
		b.t.Fatalf("%d calls, the last for a frame that was not taken: %v", calls, err)
	}
}

// failing is a database whose disk does not take what it is given.
type failing struct{ table }

func (failing) insert(context.Context, *row, func()) error {
	return fmt.Errorf("sync: %w", os.ErrInvalid)
}

func claimEpochs(b *bench) {
	seen := map[string]bool{}
	for range 3 {
		j := b.open()
		r := row{first: 1, count: 1, epoch: j.epoch}
		seen[string(j.keys.seal(nil, &r, []byte(marker)))] = true
		if err := j.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	if len(seen) != 3 {
		b.t.Fatalf("%d different ciphertexts of 3 epochs", len(seen))
	}
}

func claimLarge(b *bench) {
	j := b.open()
	large := engine.Frame{First: 1, At: 1, Count: 1, Commands: make([]byte, FrameMax)}
	b.write(j, large)
	if got := b.read(j, 1); len(got) != 1 || len(got[0].Commands) != FrameMax {
		b.t.Fatalf("%d frames", len(got))
	}
	large.First, large.Commands = 2, make([]byte, FrameMax+1)
	if err := j.Append(b.ctx, large, nil); err == nil {
		b.t.Fatal("it was taken")
	}
}

func claimChain(b *bench) {
	j := b.open()
	b.write(j, frame(1, 2), frame(3, 2))
	if _, err := j.Chain(b.ctx, 2); err != nil {
		b.t.Fatal(err)
	}
	for _, seq := range []uint64{1, 3, 5} {
		_, err := j.Chain(b.ctx, seq)
		b.refused(err, "journal-gap", "")
	}
}

func claimMiddle(b *bench) {
	j := b.open()
	b.write(j, frame(1, 2), frame(3, 2), frame(5, 1))
	if got := b.read(j, 3); len(got) != 2 || got[0].First != 3 {
		b.t.Fatalf("%d frames", len(got))
	}
	if got := b.read(j, 6); len(got) != 0 {
		b.t.Fatalf("%d frames behind the end", len(got))
	}
	err := j.Read(b.ctx, 4, func(engine.Frame) error { return nil })
	b.refused(err, "journal-gap", "command 3")
}
