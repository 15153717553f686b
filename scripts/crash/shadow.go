package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
)

// shadow is the independent witness: it replays every frame from the first one on, in the parent, without any snapshot,
// and knows what each acknowledged command was promised.
type shadow struct {
	state    *engine.State
	results  engine.Results
	applied  map[exchange.ID]uint64           // command -> the sequence number with which it took effect
	promised map[exchange.ID]exchange.Outcome // what was acknowledged
	fresh    []exchange.ID                    // acknowledged since the last look
	kept     int                              // promises that were found kept
}

func newShadow() *shadow {
	return &shadow{state: engine.NewState(engine.StateOptions{NoEvents: true}), applied: map[exchange.ID]uint64{}, promised: map[exchange.ID]exchange.Outcome{}}
}

// look reads what the journal has by now and holds every promise against it.
func (s *shadow) look(ctx context.Context, o journal.Options) (err error) {
	o.Follow, o.FileSystem = true, ""
	j, err := journal.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if err := j.Read(ctx, s.state.Seq()+1, s.take); err != nil {
		return err
	}
	for _, id := range s.fresh {
		if promised := s.promised[id]; s.applied[id] != promised.Seq {
			return fmt.Errorf("command %s was acknowledged as %d and took effect as %d (zero: it was lost)", id, promised.Seq, s.applied[id])
		}
	}
	s.kept += len(s.fresh)
	s.fresh = s.fresh[:0]
	return nil
}

func (s *shadow) take(f engine.Frame) error {
	if err := s.state.Apply(f, &s.results); err != nil {
		return err
	}
	for i := range s.results.Outcomes {
		o := &s.results.Outcomes[i]
		if o.Again || o.ID == (exchange.ID{}) {
			continue
		}
		if before, twice := s.applied[o.ID]; twice {
			return fmt.Errorf("command %s took effect twice, as %d and %d", o.ID, before, o.Seq)
		}
		s.applied[o.ID] = o.Seq
	}
	return nil
}

// promise notes an acknowledgement, and compares it with an earlier one of the same command.
func (s *shadow) promise(o *exchange.Outcome) error {
	before, known := s.promised[o.ID]
	if !known {
		kept := *o
		kept.Fills = nil
		s.promised[o.ID] = kept
		s.fresh = append(s.fresh, o.ID)
		return nil
	}
	if !o.Again || o.Seq != before.Seq || o.Order != before.Order || o.Code != before.Code {
		return fmt.Errorf("command %s was acknowledged as %d (code %d, order %d) and, sent again, as %d (code %d, order %d, again %v)",
			o.ID, before.Seq, before.Code, before.Order, o.Seq, o.Code, o.Order, o.Again)
	}
	return nil
}
