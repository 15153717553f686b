package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	recordroom "github.com/coldsign/coldsign/internal/store/records"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// snapshots opens the folder "snapshots".
func (p *tape) snapshots() *engine.Snapshots {
	p.t.Helper()
	p.must(os.MkdirAll("snapshots", 0o700))
	s, err := engine.OpenSnapshots("snapshots", bytes.Repeat([]byte{7}, 32), nil)
	p.must(err)
	return s
}

// state is what the journal gives up to a command; 0: all of it.
func (p *tape) state(to uint64) *engine.State {
	p.t.Helper()
	s, _, err := engine.Recover(p.ctx, p, engine.RecoverOptions{To: to})
	p.must(err)
	return s
}

// blank are records that know nothing yet.
type blank struct{}

func (blank) Last(context.Context) (uint64, error) { return 0, nil }
func (blank) Write(context.Context, uint64, exchange.Millis, []byte) error {
	return nil
}

func TestRefusalsOfEngine(t *testing.T) {
	acts := page.Examples{}
	all := map[string]func(*tape) error{
		"engine-behind": func(p *tape) error {
			state := p.state(2)
			return engine.NewRunner(engine.RunnerOptions{Journal: p, State: state, Now: state.Now}).Run(p.ctx)
		},
		"follower-ahead": func(p *tape) error {
			_, err := engine.NewFollower(p.ctx, engine.FollowerOptions{Journal: p, State: p.state(0), Sinks: []engine.Sink{blank{}}})
			return err
		},
		"journal-behind": func(p *tape) error {
			p.must(os.Mkdir("mark", 0o700))
			mark, err := engine.OpenMark("mark")
			p.must(err)
			defer mark.Close()
			p.must(mark.Set(40))
			_, _, err = engine.Recover(p.ctx, p, engine.RecoverOptions{Mark: mark})
			return err
		},
		"snapshot-damaged": func(p *tape) error {
			s := p.snapshots()
			info, err := s.Write(p.state(0), [32]byte{})
			p.must(err)
			raw, err := os.ReadFile(info.Path)
			p.must(err)
			info.Path = "snapshots/snapshot-one.sealed" // its own name has the hash of a chain, and that has drawn keys in it
			p.must(os.WriteFile(info.Path, raw[:len(raw)-1], 0o600))
			_, _, err = s.Load(info, engine.StateOptions{})
			return err
		},
		"snapshot-nowhere": func(p *tape) error {
			f, err := engine.NewFollower(p.ctx, engine.FollowerOptions{Journal: p, State: p.state(0)})
			p.must(err)
			_, err = f.Snapshot(p.ctx)
			return err
		},
	}
	maps.Copy(all, faultsOfEngine())
	for code, act := range all {
		acts[code] = func(t *testing.T) error { return act(newTape(t)) }
	}
	page.Check(t, pageOf("internal/engine"), "exchanged", acts, *update)
}

// history opens records in the folder "records".
func history(t *testing.T, key byte) (*recordroom.Records, error) {
	return recordroom.Open(t.Context(), recordroom.Options{Dir: "records", Key: bytes.Repeat([]byte{key}, 32)})
}

func TestRefusalsOfRecords(t *testing.T) {
	acts := page.Examples{}
	for code, act := range map[string]func(*testing.T, *recordroom.Records) error{
		"records-damaged": func(t *testing.T, r *recordroom.Records) error {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := history(t, 8)
			return err
		},
		"records-in-use": func(t *testing.T, r *recordroom.Records) error {
			defer r.Close()
			_, err := history(t, 7)
			return err
		},
	} {
		acts[code] = func(t *testing.T) error {
			t.Chdir(t.TempDir())
			if err := os.Mkdir("records", 0o700); err != nil {
				t.Fatal(err)
			}
			r, err := history(t, 7)
			if err != nil {
				t.Fatal(err)
			}
			return act(t, r)
		}
	}
	page.Check(t, pageOf("internal/store/records"), "exchanged", acts, *update)
}
