package bitcoin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/internal/proof"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Limits on the evidence of a deposit.
const (
	headerBytes  = 80
	headersMax   = 1000 // of the block and those that confirm it
	branchMax    = 22   // steps: a block of 4 MB holds fewer than 2^17 transactions
	innerNode    = 64   // bytes of two hashes in a row
	mainnetWorks = 72   // leading zero bits of a mainnet hash at least: the network passed that difficulty in 2018
)

// DepositClaim is what somebody says about a deposit, with the evidence.
type DepositClaim struct {
	Raw     []byte // the transaction
	Output  uint32
	Index   uint32 // receive index of the wallet
	Height  uint32
	Place   uint32   // of the transaction in its block
	Branch  [][]byte // Merkle branch from the leaf up, each 32 bytes in hash order
	Headers [][]byte // the block's header and those that confirm it, oldest first, each 80 bytes
}

// ProveDeposit says whether the claim holds against a pinned wallet: the output pays the script that the wallet derives
// at the index, the transaction is in the first header's Merkle tree, each header follows the one before, and each has
// the work that it states, which is no less than the network allows.
//
// It does not know the chain: a fork with enough work would pass. Whoever calls asks for as many headers as make that
// dearer than the deposit, and gets them from a node that follows the chain.
func ProveDeposit(w wallet.Wallet, c DepositClaim) (chain.Deposit, error) {
	params, err := wallet.Params(w.Network())
	if err != nil {
		return chain.Deposit{}, err
	}
	t, err := readTransaction(c.Raw, "deposit transaction")
	if err != nil {
		return chain.Deposit{}, err
	}
	derived, err := w.Derive(wallet.Receive, c.Index)
	if err != nil {
		return chain.Deposit{}, err
	}
	amount, err := t.pays(c, derived)
	if err != nil {
		return chain.Deposit{}, err
	}
	if err := c.included(t); err != nil {
		return chain.Deposit{}, err
	}
	block, err := c.worked(params)
	if err != nil {
		return chain.Deposit{}, err
	}
	return chain.NewDeposit(chain.DepositFacts{
		Network: w.Network(), Wallet: w.ID(), Index: c.Index, Address: derived.Address, TxID: displayTxID(t.id), Output: c.Output,
		Amount: money.Sats(amount), Block: displayTxID(block), Height: c.Height, Confirmations: len(c.Headers),
	}, proof.Done()), nil
}

// pays returns what the claimed output pays to the derived script.
func (t transaction) pays(c DepositClaim, d wallet.Derived) (int64, error) {
	if isCoinbase(t) {
		return 0, notProven("deposit-coinbase", "a transaction that spends coins", "a coinbase, which may not be spent for 100 blocks")
	}
	if uint64(c.Output) >= uint64(len(t.outputs)) {
		return 0, notProven("deposit-output", fmt.Sprintf("an output below %d", len(t.outputs)), fmt.Sprint(c.Output))
	}
	o := t.outputs[c.Output]
	if !bytes.Equal(o.script, d.ScriptPubKey) {
		return 0, notProven("deposit-script", fmt.Sprintf("the script of %s, receive index %d", d.Address, d.Index), fmt.Sprintf("%.80x", o.script))
	}
	if o.value <= 0 || o.value > satsMax {
		return 0, notProven("deposit-amount", "an amount above zero that can exist", fmt.Sprint(o.value))
	}
	return o.value, nil
}

func isCoinbase(t transaction) bool {
	return len(t.inputs) == 1 && bytes.Equal(t.inputs[0].outpoint, append(make([]byte, 32), 0xff, 0xff, 0xff, 0xff))
}

// included proves that the first header commits to the transaction.
//
// An inner node of the tree is 64 bytes, and a transaction of that length can pose as one, or one as a transaction
// (CVE-2017-12842): no such transaction is believed. A branch whose step up from the right names the node itself is the
// repetition by which a tree of odd width is filled (CVE-2012-2459): no transaction stands there.
func (c DepositClaim) included(t transaction) error {
	switch {
	case len(t.stripped) == innerNode:
		return notProven("deposit-merkle", "a transaction that cannot be an inner node", "one of 64 bytes (CVE-2017-12842)")
	case len(c.Headers) == 0 || len(c.Headers) > headersMax:
		return notProven("deposit-headers", fmt.Sprintf("from 1 to %d headers", headersMax), fmt.Sprint(len(c.Headers)))
	case len(c.Branch) > branchMax || uint64(c.Place) >= 1<<len(c.Branch):
		return notProven("deposit-merkle", fmt.Sprintf("at most %d steps, and a place below 2^steps", branchMax), fmt.Sprintf("%d steps, place %d", len(c.Branch), c.Place))
	}
	node := t.id
	for i, step := range c.Branch {
		if len(step) != len(node) {
			return notProven("deposit-merkle", "steps of 32 bytes", fmt.Sprintf("step %d of %d", i, len(step)))
		}
		switch right := c.Place>>i&1 == 1; {
		case right && bytes.Equal(step, node[:]):
			return notProven("deposit-merkle", "a place that a transaction has", "a repetition that fills the tree (CVE-2012-2459)")
		case right:
			node = sha256d(step, node[:])
		default:
			node = sha256d(node[:], step)
		}
	}
	if h := c.Headers[0]; len(h) != headerBytes || !bytes.Equal(h[36:68], node[:]) {
		return notProven("deposit-merkle", "a branch that ends at the header's root", fmt.Sprintf("%x", node))
	}
	return nil
}

// worked checks linkage and work of the headers and returns the hash of the first.
func (c DepositClaim) worked(params *chaincfg.Params) (block [32]byte, err error) {
	limit := params.PowLimit
	if params.Net == wire.MainNet {
		limit = new(big.Int).Lsh(big.NewInt(1), 256-mainnetWorks)
	}
	var before [32]byte
	for i, h := range c.Headers {
		if len(h) != headerBytes {
			return block, notProven("deposit-headers", "headers of 80 bytes", fmt.Sprintf("header %d of %d", i, len(h)))
		}
		if i > 0 && !bytes.Equal(h[4:36], before[:]) {
			return block, notProven("deposit-headers", "headers that follow each other", fmt.Sprintf("header %d, which follows another", i))
		}
		hash, bits := sha256d(h), binary.LittleEndian.Uint32(h[72:])
		target, sound := targetOf(bits)
		if !sound || target.Cmp(limit) > 0 {
			return block, notProven("deposit-work", fmt.Sprintf("a target of at most %d bits on %s", limit.BitLen(), params.Name), fmt.Sprintf("header %d with bits %08x", i, bits))
		}
		if hashNumber(hash).Cmp(target) > 0 {
			return block, notProven("deposit-work", fmt.Sprintf("a hash below the target of bits %08x", bits), fmt.Sprintf("header %d, %s", i, displayTxID(hash)))
		}
		if before = hash; i == 0 {
			block = hash
		}
	}
	return block, nil
}

// targetOf expands the compact form of a header: one byte of length, three of mantissa whose top bit is a sign.
func targetOf(bits uint32) (*big.Int, bool) {
	length, mantissa := int(bits>>24), int64(bits&0x7fffff)
	if bits&0x800000 != 0 || length > 32 {
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

func hashNumber(hash [32]byte) *big.Int {
	for i := range len(hash) / 2 {
		hash[i], hash[len(hash)-1-i] = hash[len(hash)-1-i], hash[i]
	}
	return new(big.Int).SetBytes(hash[:])
}

func notProven(code, expected, found string) *spend.Refusal {
	return spend.Distrust(code, "deposit", expected, found, "take the evidence again from a node that follows the chain; credit nothing until it holds")
}
