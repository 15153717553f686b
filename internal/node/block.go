package node

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	headerBytes   = 80
	blockBytesMax = 4_000_000 // the weight limit: no block has more bytes than weight

	// mainnetTargetBits caps the target of mainnet blocks: at least 72 leading zero bits, a difficulty of 2^40, which the
	// network passed in 2018. Every wallet pinned here is younger, and a forged block below the cap costs real money.
	mainnetTargetBits = 256 - 72
)

// ReadBlock turns bytes from a node into a block, or says why they are not the block with that hash. The header is
// checked before anything behind it is parsed.
func ReadBlock(raw []byte, want chainhash.Hash, params *chaincfg.Params) (*wire.MsgBlock, error) {
	where := "block " + want.String()
	if len(raw) < headerBytes || len(raw) > blockBytesMax {
		return nil, badBlock(where, "%d bytes, from %d to %d", len(raw), headerBytes, blockBytesMax)
	}
	if got := chainhash.DoubleHashH(raw[:headerBytes]); got != want {
		return nil, forged("block-hash-mismatch", where, "the block asked for", "header with hash "+got.String())
	}
	var block wire.MsgBlock
	r := bytes.NewReader(raw)
	if err := block.Deserialize(r); err != nil {
		return nil, badBlock(where, "bytes that are not a block: %.100s", err)
	}
	if r.Len() != 0 || block.SerializeSize() != len(raw) {
		return nil, badBlock(where, "%d bytes behind the block", r.Len())
	}
	if err := checkWork(want, block.Header.Bits, params); err != nil {
		return nil, err
	}
	if err := checkTransactions(&block, where); err != nil {
		return nil, err
	}
	return &block, nil
}

func forged(code, where, expected, found string) *spend.Refusal {
	return spend.Distrust(code, where, expected, found, "the operator distrusts this node and connects the daemon to another")
}

func badBlock(where, format string, args ...any) *spend.Refusal {
	return unreadable("block-malformed", where, "one block, as the network writes it", fmt.Sprintf(format, args...))
}

// unreadable refuses what a node said and nobody can read.
func unreadable(code, where, expected, found string) *spend.Refusal {
	return &spend.Refusal{Kind: spend.Unreadable, Code: code, Where: where, Expected: expected, Found: found,
		Fix: "the operator looks at the node and its version; when it repeats, connects the daemon to another"}
}

// checkWork proves that the header's hash is as rare as its bits say, and that the bits are not easier than the network
// allows. It does not know the retarget history; a fake chain still has to be mined.
func checkWork(hash chainhash.Hash, bits uint32, params *chaincfg.Params) error {
	where := "block " + hash.String()
	limit := params.PowLimit
	if params.Net == wire.MainNet {
		limit = new(big.Int).Lsh(big.NewInt(1), mainnetTargetBits)
	}
	target, ok := targetOf(bits)
	if !ok || target.Cmp(limit) > 0 {
		return forged("block-bits-refused", where, fmt.Sprintf("a target of at most %d bits on %s", limit.BitLen(), params.Name),
			fmt.Sprintf("bits %08x", bits))
	}
	if value := hashValue(hash); value.Cmp(target) > 0 {
		return forged("block-work-missing", where, fmt.Sprintf("a hash below the target of bits %08x", bits), hash.String())
	}
	return nil
}

// targetOf expands the compact form of a header: one byte of length, three of mantissa whose top bit is a sign.
func targetOf(bits uint32) (*big.Int, bool) {
	length, mantissa := int(bits>>24), int64(bits&0x7fffff)
	if bits&0x800000 != 0 || mantissa == 0 || length > 32 {
		return nil, false
	}
	target := big.NewInt(mantissa)
	if length <= 3 {
		target.Rsh(target, uint(8*(3-length)))
	} else {
		target.Lsh(target, uint(8*(length-3)))
	}
	return target, target.Sign() > 0
}

func hashValue(hash chainhash.Hash) *big.Int {
	var reversed [chainhash.HashSize]byte
	for i, b := range hash {
		reversed[len(hash)-1-i] = b
	}
	return new(big.Int).SetBytes(reversed[:])
}

// checkTransactions proves that the header commits to exactly these transactions.
//
// Two other readings of one merkle root are known. A list whose tail is repeated has the same root (CVE-2012-2459): so
// no two neighbours of one level may be equal. And inner nodes, 64 bytes each, can pose as transactions: but then the
// first of them would have to be a coinbase, whose input names a hash of 32 zero bytes, which nobody can make a node
// hash to; so the first transaction must be a coinbase, and no other one may be.
func checkTransactions(block *wire.MsgBlock, where string) error {
	if len(block.Transactions) == 0 {
		return forged("block-coinbase-wrong", where, "a coinbase first", "no transaction")
	}
	level := make([]chainhash.Hash, len(block.Transactions))
	for i, tx := range block.Transactions {
		if isCoinbase(tx) != (i == 0) {
			return forged("block-coinbase-wrong", where, "one coinbase, first", fmt.Sprintf("transaction %d of %d", i, len(block.Transactions)))
		}
		level[i] = tx.TxHash()
	}
	root, twin := merkleRoot(level)
	if twin {
		return forged("block-merkle-twin", where, "each transaction once", "a list with a repeated tail (CVE-2012-2459)")
	}
	if root != block.Header.MerkleRoot {
		return forged("block-merkle-mismatch", where, "merkle root "+block.Header.MerkleRoot.String(), root.String())
	}
	return nil
}

func isCoinbase(tx *wire.MsgTx) bool {
	return len(tx.TxIn) == 1 && tx.TxIn[0].PreviousOutPoint.Index == wire.MaxPrevOutIndex &&
		tx.TxIn[0].PreviousOutPoint.Hash == chainhash.Hash{}
}

// merkleRoot consumes level and reports whether two neighbours were equal anywhere on the way up.
func merkleRoot(level []chainhash.Hash) (root chainhash.Hash, twin bool) {
	for len(level) > 1 {
		up := level[:0]
		for i := 0; i < len(level); i += 2 {
			left, right := level[i], level[min(i+1, len(level)-1)]
			twin = twin || i+1 < len(level) && left == right
			var both [2 * chainhash.HashSize]byte
			copy(both[:], left[:])
			copy(both[chainhash.HashSize:], right[:])
			up = append(up, chainhash.DoubleHashH(both[:]))
		}
		level = up
	}
	return level[0], twin
}
