package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// tape is the journal of an exchange with two assets and a market, in the folder "journal" of an empty one.
type tape struct {
	t       *testing.T
	ctx     context.Context
	options journal.Options
	*journal.Journal
	first uint64 // command that comes next, and its time
	at    exchange.Millis
}

func newTape(t *testing.T) *tape {
	t.Helper()
	t.Chdir(t.TempDir())
	p := &tape{t: t, ctx: t.Context(), options: journal.Options{Dir: "journal", Key: bytes.Repeat([]byte{7}, 32)}}
	p.must(os.Mkdir("journal", 0o700))
	p.open()
	t.Cleanup(func() { p.Close() })
	var frames []engine.Frame
	w := enginetest.Open(engine.StateOptions{})
	w.Seen = func(f engine.Frame) { frames = append(frames, f) }
	for _, name := range []string{"one", "two", "three"} {
		w.Customer(name)
	}
	first := uint64(1)
	for _, f := range frames {
		f.First, first = first, first+uint64(f.Count)
		f.Commands = bytes.Clone(f.Commands)
		p.must(p.Append(p.ctx, f, nil))
	}
	return p
}

func (p *tape) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *tape) open() {
	p.t.Helper()
	j, err := journal.Open(p.ctx, p.options)
	p.must(err)
	p.Journal = j
}

// forge closes the journal and changes its file, as somebody with the disk could.
func (p *tape) forge(statement string) {
	p.t.Helper()
	p.must(p.Close())
	name, err := filepath.Glob("journal/*.db")
	if err != nil || len(name) != 1 {
		p.t.Fatalf("the journal's files: %v, %v", name, err)
	}
	var db *sql.DB
	db, err = driver.Open("file:" + name[0])
	p.must(err)
	_, err = db.ExecContext(p.ctx, statement)
	p.must(errors.Join(err, db.Close()))
}

// opening opens the journal again under changed options.
func (p *tape) opening(change func(*journal.Options)) error {
	o := p.options
	if change != nil {
		change(&o)
	}
	j, err := journal.Open(p.ctx, o)
	if err == nil {
		return j.Close()
	}
	return err
}

// carried reads a backup of the journal, changed on its way, into an empty place.
func (p *tape) carried(change func([]byte) []byte) (journal.Options, error) {
	var out bytes.Buffer
	_, err := p.Write(p.ctx, &out)
	p.must(err)
	p.must(os.Mkdir("other", 0o700))
	o := p.options
	o.Dir = "other"
	_, err = journal.Read(p.ctx, o, bytes.NewReader(change(out.Bytes())))
	return o, err
}

func flipped(raw []byte) []byte {
	raw[len(raw)/2] ^= 1
	return raw
}

func TestRefusalsOfJournal(t *testing.T) {
	acts := page.Examples{"journal-not-durable": forgetful}
	all := map[string]func(*tape) error{
		"backup-damaged": func(p *tape) error { _, err := p.carried(flipped); return err },
		"backup-unreadable": func(p *tape) error {
			_, err := p.carried(func([]byte) []byte { return []byte("minutes of a meeting, and no backup") })
			return err
		},
		"journal-damaged": func(p *tape) error {
			p.forge("UPDATE frames SET at = at + 1 WHERE first = 2")
			p.open()
			_, err := p.Verify(p.ctx)
			return err
		},
		"journal-gap": func(p *tape) error {
			p.forge("DELETE FROM frames WHERE first = 2")
			p.open()
			_, err := p.Verify(p.ctx)
			return err
		},
		"journal-in-use": func(p *tape) error { return p.opening(nil) },
		"journal-key-wrong": func(p *tape) error {
			return p.opening(func(o *journal.Options) { o.Key, o.Follow = make([]byte, 32), true })
		},
		"journal-missing": func(p *tape) error { return p.opening(func(o *journal.Options) { o.Dir, o.Follow = "nowhere", true }) },
		"journal-newer": func(p *tape) error {
			p.must(p.Close())
			p.options.Language = exchange.Language + 1 // the next version of the program runs on it for one frame
			p.open()
			p.must(p.another(&p.Journal))
			p.must(p.Close())
			return p.opening(func(o *journal.Options) { o.Language = 0 })
		},
		"journal-pruned": func(p *tape) error {
			p.must(p.Prune(p.ctx, 3))
			return p.Read(p.ctx, 1, func(engine.Frame) error { return nil })
		},
		"restore-not-empty": func(p *tape) error {
			same := func(raw []byte) []byte { return raw }
			o, err := p.carried(same)
			p.must(err)
			var out bytes.Buffer
			_, err = p.Write(p.ctx, &out)
			p.must(err)
			_, err = journal.Read(p.ctx, o, &out)
			return err
		},
		"restore-unfinished": func(p *tape) error {
			o, _ := p.carried(flipped)
			return p.opening(func(to *journal.Options) { to.Dir = o.Dir })
		},
	}
	maps.Copy(all, faultsOfJournal())
	for code, act := range all {
		acts[code] = func(t *testing.T) error { return act(newTape(t)) }
	}
	page.Check(t, pageOf("internal/store/journal"), "exchanged", acts, *update)
}
