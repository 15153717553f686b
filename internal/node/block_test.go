package node_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/node/nodetest"
)

var regtest = &chaincfg.RegressionNetParams

// minedBlock is a regtest block with a coinbase and extra transactions, with real (regtest) work.
func minedBlock(extra int) *wire.MsgBlock {
	b := &wire.MsgBlock{Header: wire.BlockHeader{Version: 4, Bits: regtest.PowLimitBits, PrevBlock: *regtest.GenesisHash}}
	for n := range extra + 1 {
		tx := wire.NewMsgTx(2)
		previous := wire.OutPoint{Hash: chainhash.Hash{byte(n)}, Index: uint32(n)}
		if n == 0 {
			previous = wire.OutPoint{Index: wire.MaxPrevOutIndex}
		}
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: previous, SignatureScript: []byte{1, byte(n)}})
		tx.AddTxOut(&wire.TxOut{Value: int64(n), PkScript: []byte{0x51}})
		b.Transactions = append(b.Transactions, tx)
	}
	nodetest.Solve(b)
	return b
}

func serialized(t testing.TB, b *wire.MsgBlock) []byte {
	t.Helper()
	var raw bytes.Buffer
	if err := b.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func TestGenuineBlocksAreRead(t *testing.T) {
	for extra := range 9 {
		b := minedBlock(extra)
		got, err := node.ReadBlock(serialized(t, b), b.BlockHash(), regtest)
		if err != nil || len(got.Transactions) != extra+1 {
			t.Errorf("%d transactions: %v", extra+1, err)
		}
	}
	for _, params := range []*chaincfg.Params{&chaincfg.TestNet3Params, &chaincfg.SigNetParams, regtest} {
		if _, err := node.ReadBlock(serialized(t, params.GenesisBlock), *params.GenesisHash, params); err != nil {
			t.Errorf("genesis of %s: %v", params.Name, err)
		}
	}
}

// Attack 117: what a hostile node can serve under a hash that we asked for, and what it cannot.
func TestAttack117ForgedBlocksAreRefused(t *testing.T) {
	honest := minedBlock(2)
	forge := func(change func(*wire.MsgBlock)) ([]byte, chainhash.Hash) {
		var b wire.MsgBlock
		if err := b.Deserialize(bytes.NewReader(serialized(t, honest))); err != nil {
			t.Fatal(err)
		}
		change(&b)
		return serialized(t, &b), b.BlockHash()
	}
	last := func(b *wire.MsgBlock) *wire.MsgTx { return b.Transactions[len(b.Transactions)-1] }
	for code, change := range map[string]func(*wire.MsgBlock){
		"block-merkle-twin":     func(b *wire.MsgBlock) { b.Transactions = append(b.Transactions, last(b)) },
		"block-merkle-mismatch": func(b *wire.MsgBlock) { last(b).TxOut[0].Value++ },
		"block-coinbase-wrong":  func(b *wire.MsgBlock) { b.Transactions = b.Transactions[1:] },
		"block-bits-refused":    func(b *wire.MsgBlock) { b.Header.Bits = 0x217fffff },
		"block-work-missing":    func(b *wire.MsgBlock) { b.Header.Bits = 0x1d00ffff },
	} {
		raw, hash := forge(change)
		if code == "block-merkle-twin" && hash != honest.BlockHash() {
			t.Fatal("the twin has another hash: it is no twin")
		}
		_, err := node.ReadBlock(raw, hash, regtest)
		refused(t, err, code)
	}
	raw := serialized(t, honest)
	_, err := node.ReadBlock(raw, chainhash.Hash{1}, regtest)
	refused(t, err, "block-hash-mismatch")
	for name, bad := range map[string][]byte{"cut": raw[:len(raw)-1], "longer": append(bytes.Clone(raw), 0), "header": raw[:80], "short": raw[:79], "empty": nil} {
		_, err := node.ReadBlock(bad, honest.BlockHash(), regtest)
		t.Log(name)
		refused(t, err, "block-malformed")
	}
}

// The twin exists at every level where a list of odd length was filled up: six transactions become eight.
func TestAttack117TwinsOfInnerLevelsAreRefused(t *testing.T) {
	b := minedBlock(5)
	hash := b.BlockHash()
	b.Transactions = append(b.Transactions, b.Transactions[4:]...)
	if b.BlockHash() != hash {
		t.Fatal("the twin has another hash")
	}
	_, err := node.ReadBlock(serialized(t, b), hash, regtest)
	refused(t, err, "block-merkle-twin")
}

// Two coinbases, and a transaction of 64 bytes that poses as an inner node, break the same rule.
func TestOnlyTheFirstTransactionIsACoinbase(t *testing.T) {
	b := minedBlock(1)
	b.Transactions[1] = b.Transactions[0].Copy()
	b.Transactions[1].TxOut[0].Value = 7
	nodetest.Solve(b)
	_, err := node.ReadBlock(serialized(t, b), b.BlockHash(), regtest)
	refused(t, err, "block-coinbase-wrong")
}

// A mainnet block must be as hard to make as mainnet has been for years: its own genesis would be free to forge today.
func TestMainnetBlocksNeedMainnetWork(t *testing.T) {
	main := &chaincfg.MainNetParams
	_, err := node.ReadBlock(serialized(t, main.GenesisBlock), *main.GenesisHash, main)
	refused(t, err, "block-bits-refused")
	for _, bits := range []uint32{0, 0x03000000, 0x03800001, 0x1d80ffff, 0x21000001, 0x01003456, 0xff7fffff} {
		b := minedBlock(0)
		b.Header.Bits = bits
		_, err := node.ReadBlock(serialized(t, b), b.BlockHash(), regtest)
		refused(t, err, "block-bits-refused")
	}
}

func FuzzReadBlock(f *testing.F) {
	for extra := range 4 {
		f.Add(serialized(f, minedBlock(extra))[80:])
	}
	f.Add(binary.AppendUvarint(nil, 1<<60))
	header := serialized(f, minedBlock(0))[:80]
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := append(bytes.Clone(header), body...)
		block, err := node.ReadBlock(raw, chainhash.DoubleHashH(header), regtest)
		if err == nil && !bytes.Equal(serialized(t, block), raw) {
			t.Errorf("%x is read as something else", raw)
		}
	})
}
