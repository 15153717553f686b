package records

import (
	"context"
	"time"
)

// Progress is how far the tables are.
type Progress struct {
	Written uint64 // last command whose events are in the tables
	Told    uint64 // last command whose events were told
	Waiting int    // bytes of events between the two, 16 MiB at most: then Write waits
	End     uint64 // last command that there is to tell
	// PerSecond are commands whose events were written, since the last time that it was said.
	PerSecond float64
}

// Progress returns how far the tables are. End is not known here.
func (r *Records) Progress() Progress {
	g := &r.gathering
	g.Lock()
	defer g.Unlock()
	written := r.written.Load()
	return Progress{Written: written, Told: max(written, g.told), Waiting: len(g.events)}
}

// behindMin commands are more than a busy exchange leaves for the next transaction.
const behindMin = 100_000

// Watch says at every tick how far the tables are, as long as they are far behind the last command, and once more when
// they are not any more. It returns nil when ctx ends.
func (r *Records) Watch(ctx context.Context, tick <-chan time.Time, end func() uint64, say func(Progress)) error {
	var behind bool
	var last Progress
	var before time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick:
			p := r.Progress()
			p.End = max(end(), p.Written)
			if passed := now.Sub(before).Seconds(); !before.IsZero() && passed > 0 && p.Written >= last.Written {
				p.PerSecond = float64(p.Written-last.Written) / passed
			}
			was := behind
			behind = p.End-p.Written > behindMin
			if behind || was {
				say(p)
			}
			last, before = p, now
		}
	}
}
