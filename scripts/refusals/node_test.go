package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/node/nodetest"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// paying is a transaction, the first of a block when its number is 0.
func paying(number byte) *wire.MsgTx {
	previous := wire.OutPoint{Hash: chainhash.Hash{number}, Index: uint32(number)}
	if number == 0 {
		previous = wire.OutPoint{Index: wire.MaxPrevOutIndex}
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: previous, SignatureScript: []byte{1, number}})
	tx.AddTxOut(&wire.TxOut{Value: int64(number), PkScript: []byte{0x51}})
	return tx
}

// block returns an act that reads a mined block of these transactions after one change; solved says that the change is
// made before the work.
func block(numbers []byte, change func(*wire.MsgBlock), params *chaincfg.Params) func(*testing.T) error {
	return func(*testing.T) error {
		b := &wire.MsgBlock{Header: wire.BlockHeader{Version: 4, Bits: chaincfg.RegressionNetParams.PowLimitBits}}
		for _, number := range numbers {
			b.Transactions = append(b.Transactions, paying(number))
		}
		nodetest.Solve(b)
		change(b)
		var raw bytes.Buffer
		if err := b.Serialize(&raw); err != nil {
			return err
		}
		_, err := node.ReadBlock(raw.Bytes(), b.BlockHash(), params)
		return err
	}
}

// answers are what a pretended node says to each method, as raw JSON.
type answers map[string]string

// connected returns an act on the connection to a pretended node.
func connected(says answers, act func(*node.Bitcoin) error) func(*testing.T) error {
	return func(t *testing.T) error {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var call struct {
				ID     uint64
				Method string
			}
			if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"result":%s,"error":%s,"id":%d}`, says.result(call.Method), says.refusal(call.Method), call.ID)
		}))
		t.Cleanup(server.Close)
		credentials := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(credentials, []byte("alice:secret\n"), 0o600); err != nil {
			return err
		}
		b, err := node.Connect(t.Context(), node.Config{URL: server.URL, CredentialsFile: credentials, Network: drill, FeeFloor: 1000, FeeCap: 2000})
		if err != nil {
			return err
		}
		defer b.Close()
		return act(b)
	}
}

func (a answers) result(method string) string {
	if text, ok := a[method]; ok {
		return text
	}
	if method == "getblockhash" {
		return fmt.Sprintf("%q", chaincfg.RegressionNetParams.GenesisHash)
	}
	return "null"
}

func (a answers) refusal(method string) string {
	if text, ok := a["no "+method]; ok {
		return text
	}
	return "null"
}

// branch is a chain of headers, kept by a pretended node and by the daemon alike.
type branch struct{ blocks []*wire.MsgBlock }

// grown is a branch of so many blocks; the ones from height fork on differ from those of other branches by the mark.
func grown(count, fork int, mark uint32) *branch {
	c := &branch{}
	for i := range count {
		b := &wire.MsgBlock{Header: wire.BlockHeader{Nonce: uint32(i)}}
		if i >= fork {
			b.Header.Bits = mark
		}
		if i > 0 {
			b.Header.PrevBlock = c.blocks[i-1].BlockHash()
		}
		c.blocks = append(c.blocks, b)
	}
	return c
}

func (c *branch) Tip(context.Context) (uint32, chainhash.Hash, error) {
	return uint32(len(c.blocks) - 1), c.blocks[len(c.blocks)-1].BlockHash(), nil
}

func (c *branch) BlockHash(_ context.Context, height uint32) (chainhash.Hash, error) {
	return c.blocks[height].BlockHash(), nil
}

func (c *branch) HashAt(ctx context.Context, height uint32) (chainhash.Hash, error) {
	return c.BlockHash(ctx, height)
}

func (c *branch) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			return b, nil
		}
	}
	return nil, fmt.Errorf("no block %s", hash)
}

func (c *branch) Apply(context.Context, uint32, chainhash.Hash, chainhash.Hash, *wire.MsgBlock) error {
	return nil
}
func (c *branch) Rollback(context.Context, uint32) error { return nil }

// followed returns an act that follows a node's chain from where the daemon stands.
func followed(theirs, ours *branch) func(*testing.T) error {
	return func(t *testing.T) error {
		_, err := (&node.Follower{Chain: theirs, Sink: ours, ReorgMax: 3}).Sync(t.Context())
		return err
	}
}

func TestRefusalsOfNode(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	nothing := func(*wire.MsgBlock) {}
	var transaction bytes.Buffer
	if err := paying(1).Serialize(&transaction); err != nil {
		t.Fatal(err)
	}
	unlinked := grown(6, 6, 0)
	unlinked.blocks[5].Header.PrevBlock = chainhash.Hash{0xee}
	page.Check(t, pageOf("internal/node"), "exchanged", page.Examples{
		"block-bits-refused":   block([]byte{0}, nothing, &chaincfg.MainNetParams),
		"block-coinbase-wrong": block([]byte{0, 0}, nothing, params),
		"block-hash-mismatch": func(*testing.T) error {
			_, err := node.ReadBlock(make([]byte, 100), chainhash.Hash{1}, params)
			return err
		},
		"block-malformed": func(*testing.T) error {
			_, err := node.ReadBlock(make([]byte, 10), chainhash.Hash{1}, params)
			return err
		},
		"block-merkle-mismatch": block([]byte{0, 1}, func(b *wire.MsgBlock) {
			b.Transactions[1].TxOut[0].Value++
		}, params),
		"block-merkle-twin": block([]byte{0, 1, 2, 2}, nothing, params),
		"block-work-missing": block([]byte{0}, func(b *wire.MsgBlock) {
			for hash := b.BlockHash(); hash[31] < 0x80; hash = b.BlockHash() {
				b.Header.Nonce++
			}
		}, params),
		"chain-unlinked": followed(unlinked, grown(5, 5, 0)),
		"node-answer-malformed": connected(answers{"getblockcount": `"many"`}, func(b *node.Bitcoin) error {
			_, _, err := b.Tip(t.Context())
			return err
		}),
		"node-other-network": connected(answers{"getblockhash": fmt.Sprintf("%q", chaincfg.MainNetParams.GenesisHash)}, nil),
		"node-rejects": connected(answers{"no sendrawtransaction": `{"code":-26,"message":"min relay fee not met"}`}, func(b *node.Bitcoin) error {
			_, err := b.Broadcast(t.Context(), transaction.Bytes())
			return err
		}),
		"reorg-too-deep": followed(grown(20, 5, 9), grown(19, 19, 0)),
		"transaction-malformed": connected(answers{}, func(b *node.Bitcoin) error {
			_, err := b.Broadcast(t.Context(), []byte("hello"))
			return err
		}),
	}, *update)
}
