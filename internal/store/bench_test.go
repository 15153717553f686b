package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

// A block as full as mainnet's, of which one output in a thousand is ours: 4,000 transactions, 8,000 inputs and outputs.
func BenchmarkApplyFullBlock(b *testing.B) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: b.TempDir(), Key: key, Network: spend.BitcoinRegtest, Confirmations: 2, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	id := spend.WalletID{1}
	var scripts []store.Script
	for index := range uint32(2000) {
		scripts = append(scripts, store.Script{Index: index, ScriptPubKey: script(id, 0, index)})
	}
	if err := s.AddWallet(ctx, store.Wallet{ID: id, Name: "w", Tier: spend.Cold, File: []byte{1}}, scripts); err != nil {
		b.Fatal(err)
	}
	prev, height := &wire.MsgBlock{}, uint32(0)
	for b.Loop() {
		b.StopTimer()
		block := fullBlock(id, prev, height)
		b.StartTimer()
		height++
		if err := s.Apply(ctx, height, block.BlockHash(), block.Header.PrevBlock, block); err != nil {
			b.Fatal(err)
		}
		prev = block
	}
}

func fullBlock(id spend.WalletID, prev *wire.MsgBlock, height uint32) *wire.MsgBlock {
	block := &wire.MsgBlock{Header: wire.BlockHeader{PrevBlock: prev.BlockHash(), Nonce: height}}
	for n := range 4000 {
		tx := wire.NewMsgTx(2)
		for k := range 2 {
			digest := sha256.Sum256(fmt.Appendf(nil, "%d/%d/%d", height, n, k))
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: digest}})
			to := append([]byte{0, 32}, digest[:]...)
			if n%500 == 0 && k == 0 {
				to = script(id, 0, uint32(n/500))
			}
			tx.AddTxOut(&wire.TxOut{Value: int64(n), PkScript: to})
		}
		block.Transactions = append(block.Transactions, tx)
	}
	return block
}

func BenchmarkEvent(b *testing.B) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: b.TempDir(), Key: key, Network: spend.BitcoinRegtest, Confirmations: 2, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.Log(ctx, "bench", "one durable transaction"); err != nil {
			b.Fatal(err)
		}
	}
}
