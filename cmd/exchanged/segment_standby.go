package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/journal"
)

const (
	journalEvery = time.Second // how often a standby looks for a journal that nobody has begun yet
	guardEvery   = time.Second // how often an engine asks whether its place is still its own
)

// takeOver follows the engine that writes, and takes its place when that one ends.
func (e *engineSegment) takeOver(ctx context.Context, options journal.Options, from engine.RecoverOptions) (*engine.State, error) {
	followed, err := e.awaitJournal(ctx, options)
	if err != nil {
		return nil, err
	}
	state, done, err := engine.Recover(ctx, followed, from)
	if err != nil {
		return nil, errors.Join(err, followed.Close())
	}
	e.recovered(done)
	e.site.log.Info("standing by", "seq", state.Seq())
	candidate := journal.NewCandidate(options)
	standby := engine.NewStandby(engine.StandbyOptions{Journal: followed, State: state, Mark: e.mark, Claim: func(ctx context.Context) (engine.Journal, error) {
		j, err := candidate.Claim(ctx)
		if err != nil {
			return nil, err
		}
		e.journal = j
		return j, nil
	}})
	state, _, err = standby.TakeOver(ctx)
	if err == nil {
		e.site.alerts.raise(alertStandby, "engine", fmt.Sprintf("the engine that wrote ended; this one goes on after command %d", state.Seq()))
	}
	return state, errors.Join(err, candidate.Close(), followed.Close())
}

// awaitJournal opens the journal to follow. Where nobody has begun one it says so, and waits: a standby begins none,
// because an empty journal beside the real one would be a second exchange.
func (e *engineSegment) awaitJournal(ctx context.Context, options journal.Options) (*journal.Journal, error) {
	options.Follow = true
	for said := false; ; said = true {
		j, err := journal.Open(ctx, options)
		var refusal *spend.Refusal
		if !errors.As(err, &refusal) || refusal.Code != "journal-missing" {
			return j, err
		}
		if !said {
			e.site.log.Warn("standing by for a journal that no engine has begun: start the first engine without --standby", "journal", refusal.Where)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(journalEvery):
		}
	}
}

// guard ends an engine that was evicted while it had nothing to write: its next write would fail, and until then it would
// answer questions from a state that nobody adds to. A server that does not answer decides nothing; a write does.
func (e *engineSegment) guard(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(guardEvery):
		}
		if err := e.journal.Owned(ctx); errors.Is(err, engine.ErrSuperseded) {
			return err
		}
	}
}
