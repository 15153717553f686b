package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/spend"
)

// lookahead is how many indexes beyond the assigned ones are looked for: a payment may be mined before the segment
// hears that its address was given.
const lookahead = 200

// depositSink keeps the blocks whose deposits are not all credited yet. Everything at and below its base is settled, and
// the base alone is on disk: after a crash it finds again what it knew, and crediting twice changes nothing.
type depositSink struct {
	height  uint32 // of the base
	hash    chainhash.Hash
	blocks  []heldBlock
	scripts map[string]uint32 // receive index by script
	gone    []payment         // credited, and their block left the chain
}

// heldBlock is a block above the base.
type heldBlock struct {
	hash   chainhash.Hash
	header []byte
	found  []payment
}

// payment is an output to one of the wallet's receive addresses, with the evidence that its block holds it.
type payment struct {
	txid     chainhash.Hash
	raw      []byte
	output   uint32
	value    int64
	index    uint32
	place    uint32
	branch   [][]byte
	credited bool   // an account has it
	ended    bool   // credited, or nothing will come of it
	tried    moment // when it was refused last
	refusal  string // why
}

// moment is what a refusal may depend on: the chain's tip, and how many addresses were given.
type moment struct {
	tip      chainhash.Hash
	assigned uint32
}

// Tip returns the highest block, the zero hash when there is none.
func (s *depositSink) Tip(context.Context) (uint32, chainhash.Hash, error) {
	if n := len(s.blocks); n > 0 {
		return s.height + uint32(n), s.blocks[n-1].hash, nil
	}
	return s.height, s.hash, nil
}

// HashAt returns a block's hash, zero for one that is not kept.
func (s *depositSink) HashAt(_ context.Context, height uint32) (chainhash.Hash, error) {
	switch {
	case height == s.height:
		return s.hash, nil
	case height > s.height && int(height-s.height) <= len(s.blocks):
		return s.blocks[height-s.height-1].hash, nil
	}
	return chainhash.Hash{}, nil
}

// Apply takes the next block and finds what pays to the wallet.
func (s *depositSink) Apply(_ context.Context, height uint32, hash, _ chainhash.Hash, block *wire.MsgBlock) error {
	if s.hash == (chainhash.Hash{}) && len(s.blocks) == 0 {
		// The first block of all is the base's successor; what was before it is settled by the configuration.
		s.height = height - min(height, 1)
		if height == 0 {
			s.hash = hash // nobody is paid in the first block of a chain
			return nil
		}
		s.hash = block.Header.PrevBlock
	}
	var header bytes.Buffer
	if err := block.Header.Serialize(&header); err != nil {
		return err
	}
	held := heldBlock{hash: hash, header: header.Bytes()}
	for place, tx := range block.Transactions {
		if place == 0 {
			continue // a coinbase pays nobody's account
		}
		found, err := s.paid(tx)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			branch := merkleBranch(block.Transactions, place)
			for i := range found {
				found[i].place, found[i].branch = uint32(place), branch
			}
			held.found = append(held.found, found...)
		}
	}
	s.blocks = append(s.blocks, held)
	return nil
}

// paid finds what a transaction pays to the wallet. All of it shares the transaction's bytes: one of a hundred thousand
// bytes may pay two thousand times.
func (s *depositSink) paid(tx *wire.MsgTx) (found []payment, err error) {
	var raw bytes.Buffer
	var txid chainhash.Hash
	for output, out := range tx.TxOut {
		index, ours := s.scripts[string(out.PkScript)]
		if !ours || out.Value <= 0 {
			continue
		}
		if raw.Len() == 0 {
			if err := tx.SerializeNoWitness(&raw); err != nil {
				return nil, err
			}
			txid = tx.TxHash()
		}
		found = append(found, payment{txid: txid, raw: raw.Bytes(), output: uint32(output), value: out.Value, index: index})
	}
	return found, nil
}

// Rollback forgets blocks above height, and keeps in mind which payments of theirs are credited. What is settled stays
// settled: a fork below it is for people.
func (s *depositSink) Rollback(_ context.Context, height uint32) error {
	if height < s.height {
		return spend.Distrust("deposits-reorg", fmt.Sprintf("height %d", height), fmt.Sprintf("a fork above block %d, whose deposits are credited", s.height),
			"one below it", "halt withdrawals; compare the node with others; credited deposits may be gone")
	}
	keep := min(int(height-s.height), len(s.blocks))
	for _, block := range s.blocks[keep:] {
		for _, p := range block.found {
			if p.credited {
				s.gone = append(s.gone, p)
			}
		}
	}
	s.blocks = s.blocks[:keep]
	return nil
}

// undone returns the credited payments that the chain had and has no more, once.
func (s *depositSink) undone() (out []payment) {
	for _, p := range s.gone {
		again := func(q payment) bool { return q.txid == p.txid && q.output == p.output }
		if !slices.ContainsFunc(s.blocks, func(b heldBlock) bool { return slices.ContainsFunc(b.found, again) }) {
			out = append(out, p)
		}
	}
	s.gone = nil
	return out
}

// settle moves the base up over blocks that lie deep enough and wait for nothing. It reports whether it moved.
func (s *depositSink) settle(deepest uint32) (moved bool) {
	for len(s.blocks) > int(deepest) {
		for _, p := range s.blocks[0].found {
			if !p.ended {
				return moved
			}
		}
		s.height, s.hash, moved = s.height+1, s.blocks[0].hash, true
		s.blocks = s.blocks[1:]
	}
	return moved
}

// headers returns the headers of n blocks from the one at place on, and false when there are fewer.
func (s *depositSink) headers(place int, n uint32) ([][]byte, bool) {
	if place+int(n) > len(s.blocks) {
		return nil, false
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = s.blocks[place+i].header
	}
	return out, true
}

// merkleBranch is what leads from a transaction to the root of its block, from the leaf up.
func merkleBranch(txs []*wire.MsgTx, place int) (branch [][]byte) {
	level := make([]chainhash.Hash, len(txs))
	for i, tx := range txs {
		level[i] = tx.TxHash()
	}
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		sibling := level[place^1]
		branch = append(branch, bytes.Clone(sibling[:]))
		up := make([]chainhash.Hash, len(level)/2)
		for i := range up {
			up[i] = chainhash.DoubleHashH(append(level[2*i][:], level[2*i+1][:]...))
		}
		level, place = up, place/2
	}
	return branch
}
