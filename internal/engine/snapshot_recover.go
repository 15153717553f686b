package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/coldsign/coldsign/internal/spend"
)

// RecoverOptions say what to recover from besides the journal.
type RecoverOptions struct {
	State     StateOptions
	Snapshots *Snapshots // nil: everything is replayed
	Mark      *Mark      // nil: nothing is known of what was acknowledged
	// AtMost limits which snapshot is taken: one that knows no more than this command. A follower gives what its sinks
	// know, so that they miss nothing. Zero: any.
	AtMost  uint64
	Bounded bool // AtMost counts, even when it is zero
	// To ends the replay at this command. Zero: at the journal's end.
	To uint64
}

// Recovery says how a state was recovered.
type Recovery struct {
	Snapshot         uint64 // the last command of the snapshot that was taken, zero when there was none
	Frames, Commands uint64 // that were replayed
	PassedOver       []error
}

// Recover makes the state that the journal describes: from the newest snapshot that is whole and belongs to it, and the
// frames after that. It refuses a journal that ends before what a snapshot or the mark knows (journal-behind), and a
// snapshot of another journal (snapshot-foreign).
func Recover(ctx context.Context, j Journal, o RecoverOptions) (*State, Recovery, error) {
	var done Recovery
	last, err := j.Last(ctx)
	if err != nil {
		return nil, done, err
	}
	if o.Mark != nil && o.Mark.Seq() > last {
		return nil, done, lost("the mark of acknowledged commands", o.Mark.Seq(), last)
	}
	state := NewState(o.State)
	if o.Snapshots != nil {
		found, err := newestGood(ctx, j, o, last, &done)
		if err != nil {
			return nil, done, err
		}
		if found != nil {
			state, done.Snapshot = found, found.Seq()
		}
	}
	if err := replay(ctx, j, state, o.To, &done); err != nil {
		return nil, done, err
	}
	return state, done, nil
}

// newestGood loads the newest snapshot that is whole; nil when there is none.
func newestGood(ctx context.Context, j Journal, o RecoverOptions, last uint64, done *Recovery) (*State, error) {
	list, err := o.Snapshots.List()
	if err != nil {
		return nil, err
	}
	for _, info := range list {
		if info.Seq > last {
			return nil, lost("snapshot "+info.Path, info.Seq, last)
		}
		if o.Bounded && info.Seq > o.AtMost || o.To != 0 && info.Seq > o.To {
			continue
		}
		state, chain, err := o.Snapshots.Load(info, o.State)
		if err != nil {
			done.PassedOver = append(done.PassedOver, err)
			continue
		}
		held, err := j.Chain(ctx, info.Seq)
		if err != nil {
			return nil, err
		}
		if held != chain {
			return nil, spend.Distrust("snapshot-foreign", info.Path, fmt.Sprintf("chain %x, as this journal has after command %d", held[:8], info.Seq), fmt.Sprintf("%x", chain[:8]),
				"journal and snapshots must be of one exchange and one backup: restore both together, or move the snapshots away")
		}
		return state, nil
	}
	return nil, nil
}

var errReplayed = errors.New("replayed to the command asked for")

// replay applies the frames after the state. One goroutine reads and unseals while the other applies.
func replay(ctx context.Context, j Journal, state *State, to uint64, done *Recovery) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	frames, used := make(chan Frame, 16), make(chan []byte, 16)
	var reading error
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(frames)
		reading = j.Read(ctx, state.Seq()+1, func(f Frame) error {
			if to != 0 && f.First > to {
				return errReplayed
			}
			var buf []byte
			select {
			case buf = <-used:
			default:
			}
			f.Commands = append(buf[:0], f.Commands...)
			select {
			case frames <- f:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	var results Results
	var applying error
	for f := range frames {
		if applying != nil {
			continue
		}
		if applying = state.Apply(f, &results); applying != nil {
			cancel()
			continue
		}
		done.Frames, done.Commands = done.Frames+1, done.Commands+uint64(f.Count)
		select {
		case used <- f.Commands:
		default:
		}
	}
	wait.Wait()
	if applying != nil || errors.Is(reading, errReplayed) {
		return applying
	}
	return reading
}
