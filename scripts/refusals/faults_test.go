package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// drawn are the hashes of keys and salts that are drawn anew each time.
var drawn = regexp.MustCompile(`[0-9a-f]{16,}`)

// scrubbed puts hashes that are always the same into a refusal in place of those that were drawn: equal ones stay equal,
// different ones different.
func scrubbed(err error) error {
	var r *spend.Refusal
	if !errors.As(err, &r) {
		return err
	}
	same, known := *r, map[string]string{}
	for _, text := range []*string{&same.Where, &same.Expected, &same.Found} {
		*text = drawn.ReplaceAllStringFunc(*text, func(hash string) string {
			if strings.HasPrefix(hash, "0000000000") {
				return hash // a number of a file's name
			}
			if known[hash] == "" {
				known[hash] = strings.Repeat(hex.EncodeToString([]byte{0xa1 + 0x11*byte(len(known))}), 32)
			}
			return known[hash][:len(hash)]
		})
	}
	return &same
}

// badDisk is the plain file system of the driver on a disk that fails when broken says so.
type badDisk struct {
	vfs.VFSFilename
	broken *error
	flush  bool // a flush fails; else a write
}

func (d badDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := d.VFSFilename.OpenFilename(name, flags)
	return badFile{file, file.(vfs.FileSharedMemory), d}, flags, err
}

type badFile struct {
	vfs.File
	shared vfs.FileSharedMemory
	disk   badDisk
}

func (f badFile) SharedMemory() vfs.SharedMemory { return f.shared.SharedMemory() }

func (f badFile) WriteAt(p []byte, at int64) (int, error) {
	if *f.disk.broken != nil && !f.disk.flush {
		return 0, *f.disk.broken
	}
	return f.File.WriteAt(p, at)
}

func (f badFile) Sync(flags vfs.SyncFlag) error {
	if *f.disk.broken != nil && f.disk.flush {
		return *f.disk.broken
	}
	return f.File.Sync(flags)
}

// onBadDisk appends one more frame when the journal's disk has begun to fail.
func (p *tape) onBadDisk(failure error, flush bool) error {
	var broken error
	name := p.t.Name()
	vfs.Register(name, badDisk{vfs.Find("os").(vfs.VFSFilename), &broken, flush})
	defer vfs.Unregister(name)
	p.must(p.Close())
	p.options.FileSystem = name
	p.open()
	broken = failure
	err := p.another(&p.Journal)
	broken = nil
	p.must(p.Close())
	return err
}

// another appends a frame that says that time passed.
func (p *tape) another(j **journal.Journal) error {
	last, err := (*j).Last(p.ctx)
	p.must(err)
	return (*j).Append(p.ctx, passed(last+1, p.state(0).Now()), nil)
}

func passed(first uint64, at exchange.Millis) engine.Frame {
	c := exchange.Command{Kind: exchange.Tick}
	return engine.Frame{First: first, At: at, Commands: c.Append(nil), Count: 1}
}

// crooked is a journal as a machine reads it whose memory has a wrong bit: each time is one millisecond late.
type crooked struct{ *tape }

func (c crooked) Read(ctx context.Context, from uint64, visit func(engine.Frame) error) error {
	return c.tape.Read(ctx, from, func(f engine.Frame) error { f.At++; return visit(f) })
}

func faultsOfJournal() map[string]func(*tape) error {
	return map[string]func(*tape) error{
		"journal-full":         func(p *tape) error { return p.onBadDisk(sqlite3.FULL, false) },
		"journal-write-failed": func(p *tape) error { return p.onBadDisk(sqlite3.IOERR_FSYNC, true) },
		"journal-superseded": func(p *tape) error {
			// Somebody's copy of the program, on a file system that keeps no locks, has written the next frame.
			p.behind("INSERT INTO frames SELECT first + count, 1, at, epoch, prev, sealed FROM frames ORDER BY first DESC LIMIT 1")
			return p.Append(p.ctx, passed(p.first, p.at), nil)
		},
		"restore-differs": func(p *tape) error {
			p.snapshots()
			_, err := journal.Backup(p.ctx, p.Journal, p.snapshots(), engine.StateOptions{}, "monday")
			p.must(err)
			p.rewrite(filepath.Join("monday", "manifest.json"), func(m *journal.Manifest) { m.State = strings.Repeat("00", 32) })
			p.must(errors.Join(os.Mkdir("other", 0o700), os.Mkdir("others", 0o700)))
			o := p.options
			o.Dir = "other"
			_, err = journal.Restore(p.ctx, o, "others", engine.StateOptions{}, "monday")
			return scrubbed(err)
		},
	}
}

// behind changes the database while the journal is open, as another process would.
func (p *tape) behind(statement string) {
	p.t.Helper()
	state := p.state(0)
	p.first, p.at = state.Seq()+1, state.Now()
	db, err := sqlite3.Open("journal/journal.db")
	p.must(err)
	p.must(errors.Join(db.Exec(statement), db.Close()))
}

func (p *tape) rewrite(path string, change func(*journal.Manifest)) {
	p.t.Helper()
	raw, err := os.ReadFile(path)
	p.must(err)
	var m journal.Manifest
	p.must(json.Unmarshal(raw, &m))
	change(&m)
	raw, err = json.Marshal(m)
	p.must(err)
	p.must(os.WriteFile(path, raw, 0o600))
}

// forgetful opens a journal on a PostgreSQL server that may lose what it acknowledged. Its port, which is a free one, is
// written as the usual one.
func forgetful(t *testing.T) error {
	server, err := storetest.Start(t.Context(), "-c", "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, err = journal.Open(t.Context(), journal.Options{URL: server.Loopback("postgres"), Group: "main", Key: make([]byte, 32)})
	var r *spend.Refusal
	if !errors.As(err, &r) {
		return err
	}
	same := *r
	same.Where = strings.Replace(same.Where, ":"+strconv.Itoa(server.Port)+"/", ":5432/", 1)
	return &same
}

func faultsOfEngine() map[string]func(*tape) error {
	return map[string]func(*tape) error{
		"engine-frame": func(p *tape) error {
			state := p.state(0)
			r := engine.NewRunner(engine.RunnerOptions{Journal: p, State: state, Now: state.Now})
			// The fault that it takes: something moves the state behind the engine's back.
			p.must(state.Apply(passed(state.Seq()+1, state.Now()), &engine.Results{}))
			return p.run(r, 1)
		},
		"engine-states-differ": func(p *tape) error {
			tail, state := engine.NewTail(), p.state(0)
			f, err := engine.NewFollower(p.ctx, engine.FollowerOptions{Journal: crooked{p}, State: engine.NewState(engine.StateOptions{}), Tail: tail})
			p.must(err)
			r := engine.NewRunner(engine.RunnerOptions{Journal: p, State: state, Now: state.Now, Tail: tail})
			ended := make(chan error, 1)
			go func() { ended <- f.Run(p.ctx) }()
			err = p.run(r, 1000)
			return scrubbed(errors.Join(<-ended, err))
		},
		"snapshot-foreign": func(p *tape) error {
			s := p.snapshots()
			_, err := s.Write(p.state(0), [32]byte{1}) // of another exchange that came as far
			p.must(err)
			_, _, err = engine.Recover(p.ctx, p, engine.RecoverOptions{Snapshots: s})
			return scrubbed(err)
		},
	}
}

// run has an engine take commands at once, and returns why it ended.
func (p *tape) run(r *engine.Runner, commands int) error {
	ended := make(chan error, 1)
	go func() { ended <- r.Run(p.ctx) }()
	all := make([]exchange.Command, commands)
	for i := range all {
		all[i] = exchange.Command{ID: exchange.RandomID(), Kind: exchange.CancelAll, Account: 1, Market: 1}
	}
	r.Submit(p.ctx, "gateway", all, make([]exchange.Outcome, commands)) // answered or not: it ends either way
	return <-ended
}
