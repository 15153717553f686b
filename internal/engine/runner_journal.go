package engine

import (
	"context"
	"errors"

	"github.com/coldsign/coldsign/internal/exchange"
)

// ErrSuperseded says that another engine writes this journal. Whoever gets it must stop: it may know less than the
// other, and what it wanted to write was not written.
var ErrSuperseded = errors.New("engine: another engine writes this journal")

// Journal is one durable order of frames (room store/journal).
type Journal interface {
	// Append makes a frame durable before it returns. After any error the journal takes nothing more: whether the
	// frame is durable is then not known, and only opening the journal again tells. While the frame is on its way to
	// the disk it calls meanwhile, unless that is nil: exactly once when it returns no error, otherwise once or never,
	// and never after it has returned or while it returns.
	Append(ctx context.Context, f Frame, meanwhile func()) error
	// Read visits the frames from the one that begins with sequence number from, in order, each proven to be the
	// one that was written and to follow the one before it. Commands are the visitor's until it returns.
	Read(ctx context.Context, from uint64, visit func(Frame) error) error
	// Last returns the sequence number of the last durable command, zero when there is none.
	Last(ctx context.Context) (uint64, error)
	// Chain returns the hash over everything up to the frame that ends with sequence number seq.
	Chain(ctx context.Context, seq uint64) ([32]byte, error)
}

// Sink takes what the committed frames did, in order, and remembers how far it got together with what it took (room
// store/records).
type Sink interface {
	// Last returns the sequence number of the last command whose events were taken.
	Last(ctx context.Context) (uint64, error)
	// Write takes the events of all commands up to seq that were not taken before; at is the time of the last frame.
	Write(ctx context.Context, seq uint64, at exchange.Millis, events []byte) error
}

// Faults is told the name of every boundary of a durable write before it is crossed. Crash tests end the process there.
type Faults func(point string)

// at reports a boundary; no Faults means that nobody listens.
func (f Faults) at(point string) {
	if f != nil {
		f(point)
	}
}
