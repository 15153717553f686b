package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/spend"
	"pgregory.net/rapid"
)

// chain is a made-up node. Between two calls a test may change it, as a real one changes.
type chain struct {
	blocks []*wire.MsgBlock
	serial uint32
	before func(call string) error // runs before each call
	lie    func(*wire.MsgBlock) *wire.MsgBlock
}

func (c *chain) grow(count int) {
	for range count {
		c.serial++
		b := &wire.MsgBlock{Header: wire.BlockHeader{Nonce: c.serial}}
		if n := len(c.blocks); n > 0 {
			b.Header.PrevBlock = c.blocks[n-1].BlockHash()
		}
		c.blocks = append(c.blocks, b)
	}
}

// fork replaces the newest depth blocks by count others.
func (c *chain) fork(depth, count int) {
	c.blocks = c.blocks[: len(c.blocks)-depth : len(c.blocks)-depth]
	c.grow(count)
}

func (c *chain) call(name string) error {
	if c.before == nil {
		return nil
	}
	return c.before(name)
}

func (c *chain) Tip(context.Context) (uint32, chainhash.Hash, error) {
	if err := c.call("tip"); err != nil {
		return 0, chainhash.Hash{}, err
	}
	return uint32(len(c.blocks) - 1), c.blocks[len(c.blocks)-1].BlockHash(), nil
}

func (c *chain) BlockHash(_ context.Context, height uint32) (chainhash.Hash, error) {
	if err := c.call("hash"); err != nil {
		return chainhash.Hash{}, err
	}
	if int(height) >= len(c.blocks) {
		return chainhash.Hash{}, fmt.Errorf("height %d out of range", height)
	}
	return c.blocks[height].BlockHash(), nil
}

func (c *chain) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	if err := c.call("block"); err != nil {
		return nil, err
	}
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			if c.lie != nil {
				return c.lie(b), nil
			}
			return b, nil
		}
	}
	return nil, fmt.Errorf("block %s not found", hash)
}

// sink keeps what a store would, and insists on what a store insists on.
type sink struct {
	first  uint32
	hashes []chainhash.Hash
	fail   func() error
}

func (s *sink) Tip(context.Context) (uint32, chainhash.Hash, error) {
	if len(s.hashes) == 0 {
		return 0, chainhash.Hash{}, nil
	}
	return s.first + uint32(len(s.hashes)) - 1, s.hashes[len(s.hashes)-1], nil
}

func (s *sink) HashAt(_ context.Context, height uint32) (chainhash.Hash, error) {
	if height < s.first || int(height-s.first) >= len(s.hashes) {
		return chainhash.Hash{}, nil
	}
	return s.hashes[height-s.first], nil
}

func (s *sink) Apply(_ context.Context, height uint32, hash, prev chainhash.Hash, b *wire.MsgBlock) error {
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	if len(s.hashes) == 0 {
		s.first = height
	} else if tip := s.hashes[len(s.hashes)-1]; height != s.first+uint32(len(s.hashes)) || prev != tip {
		return fmt.Errorf("block %s at %d does not stand on %s", hash, height, tip)
	}
	if b.BlockHash() != hash {
		return fmt.Errorf("block %s under the name %s", b.BlockHash(), hash)
	}
	s.hashes = append(s.hashes, hash)
	return nil
}

func (s *sink) Rollback(_ context.Context, height uint32) error {
	s.hashes = s.hashes[:max(0, int(height)-int(s.first)+1)]
	return nil
}

func (s *sink) agrees(c *chain) error {
	height, hash, _ := s.Tip(context.Background())
	if int(height) != len(c.blocks)-1 || hash != c.blocks[len(c.blocks)-1].BlockHash() {
		return fmt.Errorf("sink stands at %d %s, the chain at %d %s", height, hash, len(c.blocks)-1, c.blocks[len(c.blocks)-1].BlockHash())
	}
	return nil
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want refusal %s", err, code)
	}
}

func TestFollowsFromTheStartAndThroughReorgs(t *testing.T) {
	ctx := context.Background()
	c, s := &chain{}, &sink{}
	c.grow(10)
	f := &node.Follower{Chain: c, Sink: s, Start: 4}
	p, err := f.Sync(ctx)
	if err != nil || p.Applied != 6 || s.first != 4 {
		t.Fatalf("%+v from %d, %v", p, s.first, err)
	}
	if p, err = f.Sync(ctx); err != nil || p.Applied != 0 || p.Behind {
		t.Errorf("nothing new: %+v %v", p, err)
	}
	c.fork(3, 5)
	if p, err = f.Sync(ctx); err != nil || p.RolledBack != 3 || p.Applied != 5 || s.agrees(c) != nil {
		t.Errorf("reorg: %+v %v %v", p, err, s.agrees(c))
	}
	c.fork(2, 2) // the same height, another block
	if p, err = f.Sync(ctx); err != nil || p.RolledBack != 2 || p.Applied != 2 || s.agrees(c) != nil {
		t.Errorf("reorg of the same length: %+v %v", p, err)
	}
}

// A node that is restoring its chain stands below us on our own chain. Nothing is forgotten for that.
func TestANodeThatCatchesUpRollsNothingBack(t *testing.T) {
	ctx := context.Background()
	c, s := &chain{}, &sink{}
	c.grow(10)
	f := &node.Follower{Chain: c, Sink: s, Start: 4}
	if _, err := f.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	whole := c.blocks
	for _, length := range []int{7, 5, 3, 1} { // the last two end below our first block
		c.blocks = whole[:length:length]
		p, err := f.Sync(ctx)
		if err != nil || !p.Behind || p.RolledBack != 0 || p.Height != 9 {
			t.Errorf("with %d blocks: %+v %v", length, p, err)
		}
	}
	c.blocks = whole[:7:7]
	c.grow(1) // now it shows another block at a height that we have
	if p, err := f.Sync(ctx); err != nil || p.RolledBack != 3 || s.agrees(c) != nil {
		t.Errorf("%+v %v", p, err)
	}
}

func TestDeepForksWaitForAPerson(t *testing.T) {
	ctx := context.Background()
	c, s := &chain{}, &sink{}
	c.grow(50)
	f := &node.Follower{Chain: c, Sink: s, Start: 30, ReorgMax: 6}
	if _, err := f.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	c.fork(6, 7)
	if p, err := f.Sync(ctx); err != nil || p.RolledBack != 6 {
		t.Errorf("a fork of six: %+v %v", p, err)
	}
	kept := len(s.hashes)
	c.fork(7, 8)
	_, err := f.Sync(ctx)
	refused(t, err, "reorg-too-deep")
	f.ReorgMax = 1000
	c.fork(40, 41) // below the first block that we have
	_, err = f.Sync(ctx)
	refused(t, err, "reorg-too-deep")
	if len(s.hashes) != kept {
		t.Errorf("%d blocks forgotten without a person", kept-len(s.hashes))
	}
	ended := make(chan struct{})
	err = f.Run(ctx, time.Hour, func(node.Progress, error) { close(ended) })
	refused(t, err, "reorg-too-deep") // Run does not wait for time to heal it
	<-ended
}

// Attack 117: a node that serves real hashes with blocks that hang elsewhere.
func TestAttack117BlocksThatDoNotLinkAreRefused(t *testing.T) {
	ctx := context.Background()
	c, s := &chain{}, &sink{}
	c.grow(5)
	f := &node.Follower{Chain: c, Sink: s}
	if _, err := f.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	c.grow(1)
	c.lie = func(b *wire.MsgBlock) *wire.MsgBlock {
		other := *b
		other.Header.PrevBlock = chainhash.Hash{1}
		return &other
	}
	_, err := f.Sync(ctx)
	refused(t, err, "chain-unlinked")
	if len(s.hashes) != 5 {
		t.Errorf("%d blocks", len(s.hashes))
	}
}

// Whatever the node does between two of our calls, and wherever the follower dies, it ends on the node's chain.
func TestAnyReorgAnyCrashEndsOnTheChain(t *testing.T) {
	ctx := context.Background()
	broken := errors.New("broken")
	rapid.Check(t, func(rt *rapid.T) {
		c, s := &chain{}, &sink{}
		c.grow(rapid.IntRange(30, 40).Draw(rt, "blocks"))
		moves := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 60).Draw(rt, "moves")
		c.before = func(string) error {
			if len(moves) == 0 {
				return nil
			}
			move := moves[0]
			moves = moves[1:]
			switch {
			case move < 5:
				c.fork(move+1, move+2)
			case move < 8:
				c.grow(move)
			case move < 11:
				return broken
			}
			return nil
		}
		s.fail = func() error {
			if len(moves)%7 == 3 {
				moves = moves[1:]
				return broken
			}
			return nil
		}
		for range 200 {
			// Each round is a new process: all that is left of the one before is in the sink.
			_, err := (&node.Follower{Chain: c, Sink: s, Start: 2}).Sync(ctx)
			if refusal := (*spend.Refusal)(nil); errors.As(err, &refusal) {
				rt.Fatalf("an honest node was refused: %v", err)
			}
			if err == nil && len(moves) == 0 {
				break
			}
		}
		if _, err := (&node.Follower{Chain: c, Sink: s, Start: 2}).Sync(ctx); err != nil {
			rt.Fatal(err)
		}
		if err := s.agrees(c); err != nil {
			rt.Fatal(err)
		}
		if s.first != 2 {
			rt.Fatalf("the first block is %d", s.first)
		}
	})
}

func TestLongWaysAreWalkedInStages(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c, s := &chain{}, &sink{}
	c.grow(1200)
	f := &node.Follower{Chain: c, Sink: s}
	stages := 0
	err := f.Run(ctx, time.Hour, func(p node.Progress, err error) {
		if stages++; err != nil || !p.More {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || stages != 3 || s.agrees(c) != nil {
		t.Errorf("%d stages, %v, %v", stages, err, s.agrees(c))
	}
}
