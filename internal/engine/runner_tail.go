package engine

import (
	"fmt"
	"sync"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	tailBytesMax  = 32 << 20 // committed frames that are kept for a follower that is near
	tailHashesMax = 4096     // state hashes that wait for their counterpart
	compareEvery  = 1000     // commands between two comparisons
	tailWakes     = 8        // frames that wait for the follower while the engine is busy
)

// Tail joins a runner and the follower in its process: it holds the newest committed frames, so that the follower need
// not read them from the journal, and it compares the hashes of the two states.
type Tail struct {
	wake   chan struct{} // has a token when there is something to follow
	failed chan struct{} // closed when the states differ

	mu     sync.Mutex
	idle   bool // the runner has nothing to do
	frames []Frame
	bytes  int
	start  uint64 // what the runner knew at its start: hashes before it have no counterpart
	hashes map[uint64][32]byte
	oldest []uint64 // keys of hashes, in the order in which they came
	reason error
}

// NewTail makes a tail.
func NewTail() *Tail {
	return &Tail{wake: make(chan struct{}, 1), failed: make(chan struct{}), hashes: map[uint64][32]byte{}}
}

func (t *Tail) begin(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = seq
}

// put adds a frame that is committed and applied. Its commands are not written to again. While the runner is busy its
// follower is woken for some frames at once: waking it for each takes a processor from those who are being answered.
func (t *Tail) put(f Frame, s *State) {
	t.mu.Lock()
	t.frames = append(t.frames, f)
	for t.bytes += len(f.Commands); t.bytes > tailBytesMax; t.frames = t.frames[1:] {
		t.bytes -= len(t.frames[0].Commands)
		t.frames[0] = Frame{}
	}
	due := t.idle || len(t.frames) >= tailWakes
	t.mu.Unlock()
	t.compare(f, s)
	if due {
		t.call()
	}
}

// rest tells whether the runner has nothing to do, so that what waits is followed now.
func (t *Tail) rest(idle bool) {
	t.mu.Lock()
	t.idle = idle
	due := idle && len(t.frames) > 0
	t.mu.Unlock()
	if due {
		t.call()
	}
}

// call wakes the follower.
func (t *Tail) call() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// next returns the frame that begins with seq, if it is here. behind says that the journal must be read for it.
func (t *Tail) next(seq uint64) (f Frame, found, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.frames) > 0 && t.frames[0].First < seq {
		t.bytes -= len(t.frames[0].Commands)
		t.frames[0] = Frame{}
		t.frames = t.frames[1:]
	}
	if len(t.frames) == 0 {
		return f, false, false
	}
	if t.frames[0].First != seq {
		return f, false, true
	}
	return t.frames[0], true, false
}

// compare takes the hash of one side after a frame, when the frame crosses a multiple of compareEvery, and holds it
// against that of the other side as soon as both are there. Both sides apply the same frames, so they ask at the same
// places.
func (t *Tail) compare(f Frame, s *State) {
	if (f.First-1)/compareEvery == s.Seq()/compareEvery {
		return
	}
	hash := s.Hash()
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Seq() <= t.start || t.reason != nil {
		return
	}
	other, found := t.hashes[s.Seq()]
	switch {
	case !found:
		t.hashes[s.Seq()] = hash
		if t.oldest = append(t.oldest, s.Seq()); len(t.oldest) > tailHashesMax {
			delete(t.hashes, t.oldest[0])
			t.oldest = t.oldest[1:]
		}
	case other != hash:
		t.end(spend.Distrust("engine-states-differ", fmt.Sprintf("after command %d", s.Seq()), fmt.Sprintf("state hash %x of one replica", other[:8]), fmt.Sprintf("%x of the other", hash[:8]),
			"a fault of the program or of this machine's memory: nothing more is taken; replay the journal on another machine (`exchanged journal replay`) to see which one is right"))
	default:
		delete(t.hashes, s.Seq())
	}
}

// Failed returns why the two states are not the same, nil while they are.
func (t *Tail) Failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reason
}

// fail stops the runner of this tail. The first reason counts.
func (t *Tail) fail(reason error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(reason)
}

func (t *Tail) end(reason error) {
	if t.reason == nil {
		t.reason = reason
		close(t.failed)
	}
}
