package node

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Chain is where blocks come from: a Bitcoin, or a test.
type Chain interface {
	Tip(ctx context.Context) (height uint32, hash chainhash.Hash, err error)
	BlockHash(ctx context.Context, height uint32) (chainhash.Hash, error)
	Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error)
}

// Sink is where blocks go: the store. Each call is one transaction of the sink.
type Sink interface {
	Tip(ctx context.Context) (height uint32, hash chainhash.Hash, err error) // the zero hash when it has no block
	HashAt(ctx context.Context, height uint32) (chainhash.Hash, error)       // the zero hash when it has no such block
	Apply(ctx context.Context, height uint32, hash, prev chainhash.Hash, block *wire.MsgBlock) error
	Rollback(ctx context.Context, height uint32) error // forget every block above height
}

// Follower brings a sink to the tip of a chain and keeps it there.
type Follower struct {
	Chain    Chain
	Sink     Sink
	Start    uint32 // first block for an empty sink: no wallet of ours was used before it
	ReorgMax uint32 // a fork deeper than this stops the follower for a person to look; 0 means 100
}

// Progress says what one Sync did.
type Progress struct {
	Height     uint32 // of the sink, afterwards
	Hash       chainhash.Hash
	Applied    int
	RolledBack int  // blocks forgotten because of a reorg
	Behind     bool // the node is on our chain but below our tip: it is still catching up
}

// Sync brings the sink to the chain's tip as it is now.
func (f *Follower) Sync(ctx context.Context) (Progress, error) { return Progress{}, errUnfinished }

// Run calls Sync at once and then every interval until ctx ends, and tells seen what happened. It returns ctx's error,
// or at once an error that waiting does not heal (a *spend.Refusal).
func (f *Follower) Run(ctx context.Context, every time.Duration, seen func(Progress, error)) error {
	return errUnfinished
}
