package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// source is who makes commands: some traders in turn, or somebody who fills the book.
type source interface {
	Next() exchange.Command
	Saw(o *exchange.Outcome)
}

// turns lets traders act one after the other, each told what became of its own commands.
type turns struct {
	traders   []*storetest.Trader
	next, saw int
}

func (t *turns) Next() exchange.Command {
	t.next++
	return t.traders[t.next%len(t.traders)].Next()
}

func (t *turns) Saw(o *exchange.Outcome) {
	t.saw++
	t.traders[t.saw%len(t.traders)].Saw(o)
}

// ladder rests orders on both sides, for as many accounts as that takes.
type ladder struct{ n, accounts int64 }

func (l *ladder) Next() exchange.Command {
	l.n += fillers
	c := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: exchange.Account(1 + l.n%l.accounts), Market: enginetest.Pair, Qty: 1 + l.n%50, Price: 5_000_000 - 1 - l.n%4000}
	if l.n/fillers%2 == 0 {
		c.Side, c.Price = exchange.Sell, 5_000_000+1+l.n%4000
	}
	return c
}

func (l *ladder) Saw(*exchange.Outcome) {}

const (
	fillers        = 4
	ordersOfOne    = 180 // below what an account may have open
	tradersOfOne   = 50
	commandsAtOnce = 200
)

// fill has four callers submit commands in hundreds until the journal has so many.
func (e *running) fill(ctx context.Context, commands int, from func(caller int) source) error {
	var wait sync.WaitGroup
	errs := make([]error, fillers)
	for i := range errs {
		wait.Go(func() {
			source := from(i)
			batch, outcomes := make([]exchange.Command, commandsAtOnce), make([]exchange.Outcome, commandsAtOnce)
			for range commands / len(errs) / len(batch) {
				for k := range batch {
					batch[k] = source.Next()
				}
				if errs[i] = e.runner.Submit(ctx, "gateway", batch, outcomes); errs[i] != nil {
					return
				}
				for k := range outcomes {
					source.Saw(&outcomes[k])
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// measureReplay writes a journal and replays all of it.
func measureReplay(ctx context.Context, s settings) error {
	dir := filepath.Join(s.dir, "replay")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	o := journal.Options{Dir: dir, Key: make([]byte, 32)}
	s.follow = false
	e, err := start(ctx, o, s)
	if err != nil {
		return err
	}
	began := time.Now()
	err = e.fill(ctx, s.replay, func(caller int) source {
		t := &turns{}
		for i := range tradersOfOne {
			t.traders = append(t.traders, storetest.NewTrader(exchange.Account(1+caller*tradersOfOne+i), uint64(i)))
		}
		return t
	})
	wrote := time.Since(began)
	if err := errors.Join(err, e.close()); err != nil {
		return err
	}
	j, err := journal.Open(ctx, o)
	if err != nil {
		return err
	}
	defer j.Close()
	began = time.Now()
	state, done, err := engine.Recover(ctx, j, engine.RecoverOptions{State: engine.StateOptions{NoEvents: true}})
	if err != nil {
		return err
	}
	took := time.Since(began)
	size, err := os.Stat(filepath.Join(dir, "journal.db"))
	if err != nil {
		return err
	}
	fmt.Printf("replay: %d commands in %d frames, %.0f MB, written in %.1f s, recovered in %.2f s: %.0f commands/s, state %x\n", done.Commands, done.Frames,
		float64(size.Size())/1e6, wrote.Seconds(), took.Seconds(), float64(done.Commands)/took.Seconds(), head(state))
	began = time.Now()
	if _, err := j.Verify(ctx); err != nil {
		return err
	}
	fmt.Printf("verify: the whole chain in %.2f s\n", time.Since(began).Seconds())
	return nil
}

func head(s *engine.State) []byte { hash := s.Hash(); return hash[:8] }

// measureSnapshot puts orders into the book, writes a snapshot, and loads it.
func measureSnapshot(ctx context.Context, s settings) error {
	dir := filepath.Join(s.dir, "snapshot")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	o := journal.Options{Dir: dir, Key: make([]byte, 32)}
	s.follow, s.accounts = false, max(accounts, s.orders/ordersOfOne)
	e, err := start(ctx, o, s)
	if err != nil {
		return err
	}
	err = e.fill(ctx, s.orders, func(caller int) source { return &ladder{int64(caller), int64(s.accounts)} })
	if err := errors.Join(err, e.close()); err != nil {
		return err
	}
	j, err := journal.Open(ctx, o)
	if err != nil {
		return err
	}
	defer j.Close()
	state, _, err := engine.Recover(ctx, j, engine.RecoverOptions{State: engine.StateOptions{NoEvents: true}})
	if err != nil {
		return err
	}
	snapshots, err := engine.OpenSnapshots(dir, o.Key, nil)
	if err != nil {
		return err
	}
	answer, _ := state.Answer(exchange.Question{Status: &struct{}{}})
	chain, err := j.Chain(ctx, state.Seq())
	if err != nil {
		return err
	}
	began := time.Now()
	info, err := snapshots.Write(state, chain)
	if err != nil {
		return err
	}
	wrote := time.Since(began)
	began = time.Now()
	if _, _, err := snapshots.Load(info, engine.StateOptions{NoEvents: true}); err != nil {
		return err
	}
	took := time.Since(began)
	size, err := os.Stat(info.Path)
	if err != nil {
		return err
	}
	fmt.Printf("snapshot: %d open orders, %.0f MB, written and flushed in %.2f s, loaded and compared in %.2f s\n", answer.Status.OpenCount,
		float64(size.Size())/1e6, wrote.Seconds(), took.Seconds())
	return nil
}
