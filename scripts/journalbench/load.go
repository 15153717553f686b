package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// counted is a journal that counts what goes through it.
type counted struct {
	*journal.Journal
	frames, commands, bytes atomic.Int64
}

func (c *counted) Append(ctx context.Context, f engine.Frame, meanwhile func()) error {
	c.frames.Add(1)
	c.commands.Add(int64(f.Count))
	c.bytes.Add(int64(len(f.Commands)))
	return c.Journal.Append(ctx, f, meanwhile)
}

// running is an engine on a journal of its own.
type running struct {
	journal *counted
	runner  *engine.Runner
	mark    *engine.Mark
	cancel  context.CancelFunc
	work    sync.WaitGroup
	failed  atomic.Pointer[error]
}

func now() exchange.Millis { return exchange.Millis(time.Now().UnixMilli()) }

const accounts = 256

// start begins an exchange in an empty journal and runs it, with a follower if so set.
func start(ctx context.Context, o journal.Options, s settings) (*running, error) {
	j, err := journal.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if last, err := j.Last(ctx); err != nil {
		return nil, err
	} else if last == 0 {
		var failed error
		storetest.Genesis(s.accounts, func(f engine.Frame) { failed = errors.Join(failed, j.Append(ctx, f, nil)) })
		if failed != nil {
			return nil, failed
		}
	}
	e := &running{journal: &counted{Journal: j}}
	from := engine.RecoverOptions{State: engine.StateOptions{}}
	state, _, err := engine.Recover(ctx, j, from)
	if err != nil {
		return nil, err
	}
	options := engine.RunnerOptions{Journal: e.journal, State: state, Now: now}
	if e.mark, err = engine.OpenMark(s.dir); err != nil {
		return nil, err
	}
	options.Mark = e.mark
	var follower *engine.Follower
	if s.follow {
		options.Tail = engine.NewTail()
		second, _, err := engine.Recover(ctx, j, from)
		if err != nil {
			return nil, err
		}
		if follower, err = engine.NewFollower(ctx, engine.FollowerOptions{Journal: j, State: second, Tail: options.Tail}); err != nil {
			return nil, err
		}
	}
	e.runner = engine.NewRunner(options)
	ctx, e.cancel = context.WithCancel(ctx)
	e.work.Go(func() { e.note(e.runner.Run(ctx)) })
	if follower != nil {
		e.work.Go(func() { e.note(follower.Run(ctx)) })
	}
	return e, nil
}

func (e *running) note(err error) {
	if err != nil {
		e.failed.CompareAndSwap(nil, &err)
	}
}

func (e *running) close() error {
	e.cancel()
	e.work.Wait()
	err := errors.Join(e.journal.Close(), e.mark.Close())
	if failed := e.failed.Load(); failed != nil {
		err = errors.Join(err, *failed)
	}
	return err
}

type measured struct {
	commands, frames, bytes int64
	took                    time.Duration
	latencies               []int64 // nanoseconds
	err                     error
}

// load has callers submit one command each, again and again, each waiting for its durable answer.
func (e *running) load(ctx context.Context, callers int, last time.Duration, profile string) (m measured) {
	var measuring, ending atomic.Bool
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			latencies, err := e.caller(ctx, i, &measuring, &ending)
			mu.Lock()
			defer mu.Unlock()
			m.latencies, m.err = append(m.latencies, latencies...), errors.Join(m.err, err)
		})
	}
	time.Sleep(last / 4)
	if profile != "" {
		if f, err := os.Create(profile); err == nil {
			if pprof.StartCPUProfile(f) == nil {
				defer pprof.StopCPUProfile()
			}
		}
	}
	frames, commands, bytes := e.journal.frames.Load(), e.journal.commands.Load(), e.journal.bytes.Load()
	begin := time.Now()
	measuring.Store(true)
	time.Sleep(last)
	measuring.Store(false)
	m.took = time.Since(begin)
	m.frames, m.commands, m.bytes = e.journal.frames.Load()-frames, e.journal.commands.Load()-commands, e.journal.bytes.Load()-bytes
	ending.Store(true)
	wait.Wait()
	if len(m.latencies) == 0 {
		m.err = errors.Join(m.err, errors.New("nothing was answered"))
	}
	return m
}

func (e *running) caller(ctx context.Context, number int, measuring, ending *atomic.Bool) (latencies []int64, err error) {
	trader := storetest.NewTrader(exchange.Account(1+number%accounts), uint64(time.Now().UnixNano())+uint64(number))
	commands, outcomes := make([]exchange.Command, 1), make([]exchange.Outcome, 1)
	latencies = make([]int64, 0, 1<<16)
	for !ending.Load() {
		commands[0] = trader.Next()
		begin := time.Now()
		if err := e.runner.Submit(ctx, "gateway", commands, outcomes); err != nil {
			return latencies, err
		}
		if measuring.Load() {
			latencies = append(latencies, time.Since(begin).Nanoseconds())
		}
		if code := outcomes[0].Code; code != exchange.Done && code != exchange.UnknownOrder {
			return latencies, fmt.Errorf("outcome %d", code)
		}
		trader.Saw(&outcomes[0])
	}
	return latencies, nil
}
