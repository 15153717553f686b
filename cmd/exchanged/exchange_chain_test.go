package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/node/nodetest"
)

// chainOf is a chain with real proof of work, as easy as regtest's, which a test mines and reorganises.
type chainOf struct {
	chain
	mu     sync.Mutex
	blocks []*wire.MsgBlock
	forks  int
}

func newChainOf() *chainOf {
	c := &chainOf{}
	c.mine()
	return c
}

// mine adds a block with transactions.
func (c *chainOf) mine(txs ...*wire.MsgTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: fmt.Appendf(nil, "%04d %d", len(c.blocks), c.forks)})
	coinbase.AddTxOut(wire.NewTxOut(50e8, []byte{0x51}))
	block := wire.NewMsgBlock(&wire.BlockHeader{Version: 4, Timestamp: time.Unix(1_700_000_000+int64(len(c.blocks))*600, 0), Bits: chaincfg.RegressionNetParams.PowLimitBits})
	if n := len(c.blocks); n > 0 {
		block.Header.PrevBlock = c.blocks[n-1].BlockHash()
	}
	for _, tx := range append([]*wire.MsgTx{coinbase}, txs...) {
		if err := block.AddTransaction(tx); err != nil {
			panic(err)
		}
	}
	block.Header.MerkleRoot = rootOf(block.Transactions)
	nodetest.Solve(block)
	c.blocks = append(c.blocks, block)
}

// rootOf is the plain definition of a block's Merkle root, beside the product's branches.
func rootOf(txs []*wire.MsgTx) chainhash.Hash {
	level := make([]chainhash.Hash, len(txs))
	for i, tx := range txs {
		level[i] = tx.TxHash()
	}
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		for i := range len(level) / 2 {
			level[i] = chainhash.DoubleHashH(append(append([]byte(nil), level[2*i][:]...), level[2*i+1][:]...))
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// fork takes the last n blocks out: another branch won.
func (c *chainOf) fork(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks, c.forks = c.blocks[:len(c.blocks)-n], c.forks+1
}

func (c *chainOf) Tip(context.Context) (uint32, chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint32(len(c.blocks) - 1), c.blocks[len(c.blocks)-1].BlockHash(), nil
}

func (c *chainOf) BlockHash(_ context.Context, height uint32) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(height) >= len(c.blocks) {
		return chainhash.Hash{}, errors.New("no such block")
	}
	return c.blocks[height].BlockHash(), nil
}

func (c *chainOf) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			return b, nil
		}
	}
	return nil, errNode
}
