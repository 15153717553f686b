package nodetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// template is the part of getblocktemplate's answer that a block is made of.
type template struct {
	Bits          string `json:"bits"`
	CurTime       int64  `json:"curtime"`
	Height        int64  `json:"height"`
	Previous      string `json:"previousblockhash"`
	Version       int32  `json:"version"`
	CoinbaseValue int64  `json:"coinbasevalue"`
	Transactions  []struct {
		Data string `json:"data"`
	} `json:"transactions"`
}

// Mine mines count blocks with everything that is in the mempool, the reward to address, and returns their hashes.
func (n *Node) Mine(ctx context.Context, count int, to string) ([]chainhash.Hash, error) {
	decoded, err := address.DecodeAddress(to, &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(decoded)
	if err != nil {
		return nil, err
	}
	var hashes []chainhash.Hash
	for range count {
		var t template
		if err := n.Call(ctx, "getblocktemplate", &t, map[string]any{"mode": "template", "capabilities": []string{"coinbasevalue"},
			"rules": []string{"segwit"}}); err != nil {
			return hashes, err
		}
		block, err := n.assemble(t, script)
		if err != nil {
			return hashes, err
		}
		if err := n.Submit(ctx, block); err != nil {
			return hashes, err
		}
		hashes = append(hashes, block.BlockHash())
	}
	return hashes, nil
}

// Submit hands a finished block to the node.
func (n *Node) Submit(ctx context.Context, block *wire.MsgBlock) error {
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		return err
	}
	var reason *string
	if err := n.Call(ctx, "submitblock", &reason, hex.EncodeToString(raw.Bytes())); err != nil {
		return err
	}
	if reason != nil {
		return fmt.Errorf("block refused: %s", *reason)
	}
	return nil
}

func (n *Node) assemble(t template, script []byte) (*wire.MsgBlock, error) {
	prev, err := chainhash.NewHashFromStr(t.Previous)
	if err != nil {
		return nil, err
	}
	bits, err := strconv.ParseUint(t.Bits, 16, 32)
	if err != nil {
		return nil, err
	}
	block := &wire.MsgBlock{Header: wire.BlockHeader{Version: t.Version, PrevBlock: *prev, Timestamp: time.Unix(t.CurTime, 0), Bits: uint32(bits)}}
	n.serial++
	coinbase, err := newCoinbase(t, script, n.serial)
	if err != nil {
		return nil, err
	}
	block.Transactions = append(block.Transactions, coinbase)
	for _, entry := range t.Transactions {
		raw, err := hex.DecodeString(entry.Data)
		if err != nil {
			return nil, err
		}
		var tx wire.MsgTx
		if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		block.Transactions = append(block.Transactions, &tx)
	}
	commitWitnesses(block)
	Solve(block)
	return block, nil
}

func newCoinbase(t template, script []byte, serial uint32) (*wire.MsgTx, error) {
	// BIP34 wants the height first; the serial and the time make the coinbase unlike that of a competing block.
	signature, err := txscript.NewScriptBuilder().AddInt64(t.Height).AddInt64(int64(serial)).AddInt64(time.Now().UnixNano()).Script()
	if err != nil {
		return nil, err
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: signature,
		Sequence: wire.MaxTxInSequenceNum, Witness: wire.TxWitness{make([]byte, chainhash.HashSize)}})
	tx.AddTxOut(&wire.TxOut{Value: t.CoinbaseValue, PkScript: script})
	return tx, nil
}

// commitWitnesses adds the BIP141 commitment to the coinbase.
func commitWitnesses(block *wire.MsgBlock) {
	hashes := []chainhash.Hash{{}} // the coinbase counts as zero
	for _, tx := range block.Transactions[1:] {
		hashes = append(hashes, tx.WitnessHash())
	}
	root := merkleRoot(hashes)
	commitment := chainhash.DoubleHashB(append(root[:], make([]byte, chainhash.HashSize)...)) // the reserved value is zero
	script := append([]byte{txscript.OP_RETURN, txscript.OP_DATA_36, 0xaa, 0x21, 0xa9, 0xed}, commitment...)
	block.Transactions[0].AddTxOut(&wire.TxOut{PkScript: script})
}

// Solve sets the merkle root and looks for a nonce; regtest needs two tries on average.
func Solve(block *wire.MsgBlock) {
	var hashes []chainhash.Hash
	for _, tx := range block.Transactions {
		hashes = append(hashes, tx.TxHash())
	}
	block.Header.MerkleRoot = merkleRoot(hashes)
	for {
		hash := block.BlockHash()
		slices.Reverse(hash[:])
		if new(big.Int).SetBytes(hash[:]).Cmp(chaincfg.RegressionNetParams.PowLimit) <= 0 {
			return
		}
		block.Header.Nonce++
	}
}

func merkleRoot(level []chainhash.Hash) chainhash.Hash {
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		var up []chainhash.Hash
		for i := 0; i < len(level); i += 2 {
			up = append(up, chainhash.DoubleHashH(append(append([]byte{}, level[i][:]...), level[i+1][:]...)))
		}
		level = up
	}
	return level[0]
}

// InvalidateBlock makes the node leave the block and everything above it.
func (n *Node) InvalidateBlock(ctx context.Context, hash chainhash.Hash) error {
	return n.Call(ctx, "invalidateblock", nil, hash.String())
}

// ReconsiderBlock takes an InvalidateBlock back.
func (n *Node) ReconsiderBlock(ctx context.Context, hash chainhash.Hash) error {
	return n.Call(ctx, "reconsiderblock", nil, hash.String())
}

// Call calls any method of the node's RPC; out may be nil.
func (n *Node) Call(ctx context.Context, method string, out any, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(n.auth, ":")
	req.SetBasicAuth(user, password)
	resp, err := n.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var envelope struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return fmt.Errorf("%s: http %d: %.200s", method, resp.StatusCode, answer)
	}
	if envelope.Error != nil {
		return errors.New(method + ": " + envelope.Error.Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(envelope.Result, out)
}
