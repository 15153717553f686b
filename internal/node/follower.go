package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	reorgMaxDefault = 100 // mainnet's deepest since 2013 was 6; a deeper one is an attack or the wrong node
	stepsPerSync    = 500
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

// Follower brings a sink to the tip of a chain and keeps it there. All it remembers is in the sink, so it goes on after
// a crash where the sink stands.
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
	More       bool // there are more blocks than one Sync takes; call again at once
}

// Sync brings the sink to the chain's tip as it is now, or up to 500 blocks nearer to it.
func (f *Follower) Sync(ctx context.Context) (Progress, error) {
	var p Progress
	for range stepsPerSync {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		more, err := f.step(ctx, &p)
		if err != nil || !more {
			return p, err
		}
	}
	p.More = true
	return p, nil
}

// step looks at both ends and does one thing: roll back, apply one block, or find that there is nothing to do.
func (f *Follower) step(ctx context.Context, p *Progress) (more bool, err error) {
	if p.Height, p.Hash, err = f.Sink.Tip(ctx); err != nil {
		return false, err
	}
	top, _, err := f.Chain.Tip(ctx)
	if err != nil {
		return false, err
	}
	if p.Hash == (chainhash.Hash{}) {
		p.Behind = top < f.Start
		return !p.Behind, f.apply(ctx, p, f.Start, !p.Behind)
	}
	fork, err := f.forkPoint(ctx, p.Height, top)
	switch {
	case err != nil:
		return false, err
	case fork < min(p.Height, top):
		if err := f.Sink.Rollback(ctx, fork); err != nil {
			return false, err
		}
		p.RolledBack += int(p.Height - fork)
		return true, nil
	}
	// The node is on our chain. Below our tip it is catching up, or an operator told it to leave a block: a chain of less
	// work never replaces ours, so waiting is right until it shows another block at a height that we have.
	p.Behind = top < p.Height
	return top > p.Height, f.apply(ctx, p, p.Height+1, top > p.Height)
}

// forkPoint returns the highest height, up to both tips, where node and sink agree.
func (f *Follower) forkPoint(ctx context.Context, ours, top uint32) (uint32, error) {
	depthMax := f.ReorgMax
	if depthMax == 0 {
		depthMax = reorgMaxDefault
	}
	for height := min(ours, top); ; height-- {
		mine, err := f.Sink.HashAt(ctx, height)
		if err != nil {
			return 0, err
		}
		if first := height == min(ours, top); first && mine == (chainhash.Hash{}) {
			return height, nil // the node has not come to our first block yet
		} else if !first && (mine == chainhash.Hash{} || ours-height > depthMax) {
			return 0, spend.Distrust("reorg-too-deep", fmt.Sprintf("height %d", ours), fmt.Sprintf("a fork at most %d blocks below", depthMax),
				fmt.Sprintf("a node that disagrees from height %d on", height+1),
				"the operator compares the node with others; the daemon forgets nothing until then")
		}
		theirs, err := f.Chain.BlockHash(ctx, height)
		if err != nil {
			return 0, err
		}
		if mine == theirs {
			return height, nil
		}
		if height == 0 {
			return 0, spend.Distrust("reorg-too-deep", "height 0", mine.String(), theirs.String(), "the operator connects a node of the same network")
		}
	}
}

// apply fetches the block at height and gives it to the sink, when wanted. A block that does not stand on our tip is
// either a reorg between two calls, which the next step sees, or a node that contradicts itself.
func (f *Follower) apply(ctx context.Context, p *Progress, height uint32, wanted bool) error {
	if !wanted {
		return nil
	}
	hash, err := f.Chain.BlockHash(ctx, height)
	if err != nil {
		return err
	}
	block, err := f.Chain.Block(ctx, hash)
	if err != nil {
		return err
	}
	prev := block.Header.PrevBlock
	if p.Hash != (chainhash.Hash{}) && prev != p.Hash {
		now, err := f.Chain.BlockHash(ctx, height-1)
		if err != nil || now != p.Hash {
			return err
		}
		return spend.Distrust("chain-unlinked", fmt.Sprintf("block %s at height %d", hash, height), "previous block "+p.Hash.String(),
			prev.String(), "the operator distrusts this node and connects the daemon to another")
	}
	if err := f.Sink.Apply(ctx, height, hash, prev, block); err != nil {
		return err
	}
	p.Height, p.Hash = height, hash
	p.Applied++
	return nil
}

// Run calls Sync at once and then every interval until ctx ends, and tells seen what happened. It returns ctx's error,
// or at once an error that waiting does not heal (a *spend.Refusal).
func (f *Follower) Run(ctx context.Context, every time.Duration, seen func(Progress, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		p, err := f.Sync(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		seen(p, err)
		if refusal := (*spend.Refusal)(nil); errors.As(err, &refusal) {
			return err
		}
		if p.More && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
