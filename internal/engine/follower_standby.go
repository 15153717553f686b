package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	pollEvery = 50 * time.Millisecond
	pollMax   = 250 * time.Millisecond // between two tries while a database server does not answer
)

// StandbyOptions say which journal a standby follows and how it takes the writer's place.
type StandbyOptions struct {
	Journal Journal // opened to follow
	State   *State  // recovered; the standby's own until it takes over
	Mark    *Mark   // that of the engine which writes, where they share a directory; nil: nothing is known of what it acknowledged
	// Claim opens the journal for writing. It returns a refusal journal-in-use as long as another engine writes it; for
	// SQLite that is a lock on a file, for PostgreSQL a lock that lives as long as its holder's connection.
	Claim func(ctx context.Context) (Journal, error)
}

// Standby is a state in another process, kept at the journal's end, that becomes the engine when the present one ends.
type Standby struct {
	o    StandbyOptions
	seq  uint64   // what it followed so far
	head [32]byte // the journal's hash up to there
}

// NewStandby makes a standby.
func NewStandby(o StandbyOptions) *Standby { return &Standby{o: o} }

// Seq returns the last command that the standby knows. It may not be asked while Follow or TakeOver runs.
func (s *Standby) Seq() uint64 { return s.o.State.Seq() }

// Follow keeps up with the journal until ctx ends, and then returns nil. An error of the connection is no reason to end;
// a frame that is not genuine is.
func (s *Standby) Follow(ctx context.Context) error {
	for wait := pollEvery; ; {
		err := s.catchUp(ctx, s.o.Journal)
		if isFinal(err) {
			return err
		}
		wait = next(wait, err == nil)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// TakeOver follows and asks for the writer's place until it gets it, applies what is left, and returns the state and the
// journal for a runner. A running engine keeps its place: use it at once for an automatic standby, or when the operator
// says so. When ctx ends before that, it returns ctx's error.
func (s *Standby) TakeOver(ctx context.Context) (*State, Journal, error) {
	for wait := pollEvery; ; {
		behind := s.catchUp(ctx, s.o.Journal)
		if isFinal(behind) {
			return nil, nil, behind
		}
		j, err := s.o.Claim(ctx)
		if err == nil {
			return s.begin(ctx, j)
		}
		if isFinal(err) && !isInUse(err) {
			return nil, nil, err
		}
		wait = next(wait, behind == nil && isInUse(err))
		if !pause(ctx, wait) {
			return nil, nil, ctx.Err()
		}
	}
}

// begin applies the last frames of the engine that wrote before. Nobody else can write any more.
func (s *Standby) begin(ctx context.Context, j Journal) (*State, Journal, error) {
	last, err := j.Last(ctx)
	if err != nil {
		return nil, nil, err
	}
	if last < s.o.State.Seq() {
		return nil, nil, lost("this standby", s.o.State.Seq(), last)
	}
	if s.o.Mark != nil {
		if s.o.Mark.look(); s.o.Mark.Seq() > last {
			return nil, nil, lost("the mark of acknowledged commands", s.o.Mark.Seq(), last)
		}
	}
	if err := s.catchUp(ctx, j); err != nil {
		return nil, nil, err
	}
	return s.o.State, j, nil
}

// catchUp applies what is new. A database server that failed over may have lost frames that the standby applied, and
// hold those that another engine wrote in their place: the hash tells, whatever their numbers are.
func (s *Standby) catchUp(ctx context.Context, j Journal) error {
	if s.seq != 0 {
		held, err := j.Chain(ctx, s.seq)
		if err != nil {
			return err
		}
		if held != s.head {
			return spend.Distrust("journal-behind", fmt.Sprintf("command %d", s.seq), fmt.Sprintf("hash %x up to there, as this standby followed it", s.head[:8]), fmt.Sprintf("%x", held[:8]),
				"acknowledged commands are missing: others stand in their place. Keep the files, compare this journal with its copies, and start the standby anew")
		}
	}
	var done Recovery
	if err := replay(ctx, j, s.o.State, 0, &done); err != nil || s.o.State.Seq() == s.seq {
		return err
	}
	head, err := j.Chain(ctx, s.o.State.Seq())
	if err == nil {
		s.seq, s.head = s.o.State.Seq(), head
	}
	return err
}

// isFinal reports whether an error is a judgement, which trying again does not change.
func isFinal(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal) || errors.Is(err, ErrFrame)
}

func isInUse(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal) && refusal.Code == "journal-in-use"
}

// next says how long to wait: longer after each failure, as always after a success.
func next(wait time.Duration, well bool) time.Duration {
	if well {
		return pollEvery
	}
	return min(2*wait, pollMax)
}

// pause waits; false: ctx ended.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
