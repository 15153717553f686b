package engine_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/engine"
)

// errDisk is what a journal says that cannot write.
var errDisk = errors.New("the disk is gone")

// fate is what becomes of an append that an engine waits for.
type fate uint8

const (
	written   fate = iota // durable, and the engine is told
	unheard               // durable, and the engine is told that it failed
	unwritten             // not durable
)

// disk is the durable order that all engines of a world write to, one after the other.
type disk struct {
	mu     sync.Mutex
	base   uint64 // the last command before the first frame
	frames []engine.Frame
	writer int // whose place it is
}

func (d *disk) last() uint64 {
	if n := len(d.frames); n > 0 {
		return d.frames[n-1].First + uint64(d.frames[n-1].Count) - 1
	}
	return d.base
}

// hand is one engine's connection to the disk. An append waits until the world says what becomes of it.
type hand struct {
	*disk
	writer  int
	turn    chan fate
	waiting atomic.Bool
	gone    chan struct{} // closed at the world's end
	broken  bool
}

func (h *hand) Append(ctx context.Context, f engine.Frame, meanwhile func()) error {
	if h.broken {
		return errDisk
	}
	meanwhile()
	what := unwritten
	h.waiting.Store(true)
	select {
	case what = <-h.turn:
	case <-ctx.Done():
	case <-h.gone:
	}
	h.waiting.Store(false)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writer != h.disk.writer || f.First != h.last()+1 {
		return engine.ErrSuperseded
	}
	if what != unwritten {
		f.Commands = bytes.Clone(f.Commands)
		h.frames = append(h.frames, f)
	}
	if h.broken = what != written; h.broken {
		return errDisk
	}
	return nil
}

func (h *hand) Read(_ context.Context, from uint64, visit func(engine.Frame) error) error {
	h.mu.Lock()
	frames := h.frames[:len(h.frames):len(h.frames)]
	h.mu.Unlock()
	for _, f := range frames {
		if f.First >= from {
			if err := visit(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hand) Last(context.Context) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last(), nil
}

func (h *hand) Chain(_ context.Context, seq uint64) (out [32]byte, err error) {
	out[0] = byte(seq)
	return out, nil
}
