package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	snapshotEvery = 1_000_000 // commands between two snapshots
	sinkBytes     = 1 << 20   // events that are gathered before the sinks get them
)

// FollowerOptions say what a follower follows and what it does with it. Journal and State are needed.
type FollowerOptions struct {
	Journal   Journal
	State     *State     // recovered from a snapshot that no sink is behind; the follower's own from now on
	Tail      *Tail      // of the runner in the same process; nil: the follower only catches up when it is told to
	Sinks     []Sink     // get the events of every frame that they did not have
	Snapshots *Snapshots // nil: none are written
	// Prune is called after a snapshot with the first command that the older of the kept snapshots does not know: what
	// is before it may leave the journal. Nil: the journal keeps everything, and records can be rebuilt from it.
	Prune         func(ctx context.Context, keep uint64) error
	SnapshotEvery uint64 // commands; zero: a million
	Faults        Faults
}

// Follower is a second state, made by the same code from the same committed frames. It writes the records and the
// snapshots, so that the engine's own loop never waits for either, and is the standing proof that the frames alone
// decide everything: its hash is compared with the engine's all the time.
type Follower struct {
	o        FollowerOptions
	results  Results
	events   []byte // of frames that the sinks did not get yet
	at       exchange.Millis
	known    []uint64 // by sink: the last command that it knows
	written  uint64   // last command of the newest snapshot
	requests chan chan<- result

	seq, snapshot, recorded atomic.Uint64
}

type result struct {
	info SnapshotInfo
	err  error
}

// NewFollower makes a follower.
func NewFollower(ctx context.Context, o FollowerOptions) (*Follower, error) {
	f := &Follower{o: o, requests: make(chan chan<- result), written: o.State.Seq()}
	if f.o.SnapshotEvery == 0 {
		f.o.SnapshotEvery = snapshotEvery
	}
	for i, sink := range o.Sinks {
		known, err := sink.Last(ctx)
		if err != nil {
			return nil, err
		}
		if known < o.State.Seq() {
			return nil, spend.Refuse("follower-ahead", fmt.Sprintf("sink %d", i), fmt.Sprintf("records that know command %d, as the snapshot does", o.State.Seq()), fmt.Sprintf("records that end with command %d", known),
				"recover the follower from an older snapshot, or from the journal alone")
		}
		f.known = append(f.known, known)
	}
	if err := f.within(ctx); err != nil {
		return nil, err
	}
	if o.Snapshots != nil {
		list, err := o.Snapshots.List()
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			f.written = max(f.written, list[0].Seq)
		}
	}
	f.seq.Store(o.State.Seq())
	f.snapshot.Store(f.written)
	return f, nil
}

// within refuses sinks that know commands which the journal has not: it lost its end, or an older copy of it was put in
// its place. They would pass over the next commands, which get the same numbers.
func (f *Follower) within(ctx context.Context) error {
	last, err := f.o.Journal.Last(ctx)
	if err != nil {
		return err
	}
	for i, known := range f.known {
		if known > last {
			return lost(fmt.Sprintf("sink %d, the records,", i), known, last)
		}
	}
	return nil
}

// Seq returns the last command that the follower applied.
func (f *Follower) Seq() uint64 { return f.seq.Load() }

// SnapshotSeq returns the last command of the newest snapshot.
func (f *Follower) SnapshotSeq() uint64 { return f.snapshot.Load() }

// Recorded returns the last command that every sink has.
func (f *Follower) Recorded() uint64 { return f.recorded.Load() }

// Run follows until ctx ends, or something is wrong: a frame that is not genuine, a sink that does not take its events,
// a state that differs. Then the runner of the same tail stops as well.
func (f *Follower) Run(ctx context.Context) error {
	err := f.CatchUp(ctx)
	for err == nil {
		if err = f.near(ctx); err != nil {
			break
		}
		select {
		case <-f.o.Tail.wake:
		case <-f.o.Tail.failed:
			err = f.o.Tail.Failed()
		case reply := <-f.requests:
			info, failed := f.take(ctx)
			reply <- result{info, failed}
			err = failed
		case <-ctx.Done():
			return f.near(context.WithoutCancel(ctx)) // what is committed is recorded before the process ends
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	f.o.Tail.fail(err)
	return err
}

// near applies what the tail holds, and reads the journal when the tail has moved on without it.
func (f *Follower) near(ctx context.Context) error {
	for {
		frame, found, behind := f.o.Tail.next(f.o.State.Seq() + 1)
		switch {
		case behind:
			if err := f.CatchUp(ctx); err != nil {
				return err
			}
		case found:
			if err := f.apply(ctx, frame); err != nil {
				return err
			}
		default:
			return f.flush(ctx)
		}
	}
}

// CatchUp applies what the journal holds and gives it to the sinks.
func (f *Follower) CatchUp(ctx context.Context) error {
	err := f.o.Journal.Read(ctx, f.o.State.Seq()+1, func(frame Frame) error { return f.apply(ctx, frame) })
	if err != nil {
		return err
	}
	return f.flush(ctx)
}

func (f *Follower) apply(ctx context.Context, frame Frame) error {
	if err := f.o.State.Apply(frame, &f.results); err != nil {
		return err
	}
	seq := f.o.State.Seq()
	f.seq.Store(seq)
	f.at = frame.At
	if len(f.o.Sinks) > 0 {
		if err := f.gather(ctx, seq); err != nil {
			return err
		}
	}
	if f.o.Tail != nil {
		f.o.Tail.compare(frame, f.o.State)
	}
	if f.o.Snapshots != nil && seq >= f.written+f.o.SnapshotEvery {
		_, err := f.take(ctx)
		return err
	}
	return nil
}

// gather keeps the events for the sinks. A sink knows whole frames: all of a frame's events or none. Where a sink has
// known everything up to this frame, the others are brought to the same place, so that from here on all need the same.
func (f *Follower) gather(ctx context.Context, seq uint64) error {
	needed, level := false, false
	for _, known := range f.known {
		needed = needed || known < seq
		level = level || known == seq
	}
	if needed {
		f.events = append(f.events, f.results.Events...)
	}
	if level || len(f.events) >= sinkBytes {
		return f.flush(ctx)
	}
	return nil
}

// flush gives the gathered events to the sinks that do not have them.
func (f *Follower) flush(ctx context.Context) error {
	seq, least := f.o.State.Seq(), f.o.State.Seq()
	for i, sink := range f.o.Sinks {
		if f.known[i] < seq {
			f.o.Faults.at("sink-write")
			if err := sink.Write(ctx, seq, f.at, f.events); err != nil {
				return fmt.Errorf("records up to command %d: %w", seq, err)
			}
			f.known[i] = seq
		}
		least = min(least, f.known[i])
	}
	f.events = f.events[:0]
	f.recorded.Store(least)
	return nil
}

// take writes a snapshot after everything that it knows is with the sinks, so that a follower can begin from it.
func (f *Follower) take(ctx context.Context) (SnapshotInfo, error) {
	if err := f.flush(ctx); err != nil {
		return SnapshotInfo{}, err
	}
	chain, err := f.o.Journal.Chain(ctx, f.o.State.Seq())
	if err != nil {
		return SnapshotInfo{}, err
	}
	info, err := f.o.Snapshots.Write(f.o.State, chain)
	if err != nil {
		return info, err
	}
	f.written = info.Seq
	f.snapshot.Store(info.Seq)
	if f.o.Prune == nil {
		return info, nil
	}
	list, err := f.o.Snapshots.List()
	if err != nil || len(list) < snapshotsKept {
		return info, err
	}
	f.o.Faults.at("prune")
	return info, f.o.Prune(ctx, list[len(list)-1].Seq+1)
}

// Snapshot has a running follower write a snapshot now.
func (f *Follower) Snapshot(ctx context.Context) (SnapshotInfo, error) {
	if f.o.Snapshots == nil {
		return SnapshotInfo{}, spend.Refuse("snapshot-nowhere", "snapshots", "a directory for them", "none", "configure one and start the engine again")
	}
	reply := make(chan result, 1)
	select {
	case f.requests <- reply:
	case <-ctx.Done():
		return SnapshotInfo{}, ctx.Err()
	}
	select {
	case r := <-reply:
		return r.info, r.err
	case <-ctx.Done():
		return SnapshotInfo{}, ctx.Err()
	}
}
