// Package node speaks to a Bitcoin node over JSON-RPC and follows its chain block by block.
//
// A node is a witness, not an authority: it can withhold, and it must not be able to lie. So every block is hashed
// again, its merkle root recomputed from its transactions, its proof of work measured against the network's limit, and
// its place in the chain checked against the block before it. Mempool presence is never evidence of anything.
//
// The calls used are those that btcd and Bitcoin Core answer alike (getblockcount, getblockhash, getblock 0,
// sendrawtransaction, testmempoolaccept, gettxout); fees come from estimatesmartfee, or from estimatefee where that is
// missing, and are clamped between a floor and a cap. Requests are plain HTTP POST, one at a time, with a deadline and
// a bound on the bytes of an answer; there is no websocket and no background goroutine.
//
// What may never happen here: a block that was not verified leaving the room, a credential in a flag, a log or an
// error, a plain-text connection to another machine, or an unbounded read.
package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	transactionBytesMax = 400_000 // the largest standard transaction has 400,000 weight units
	testFeeRateMax      = "0.10"  // BTC per 1000 vB, Bitcoin Core's own default; btcd insists on being told
)

// Config says where the node is and what is expected of it.
type Config struct {
	URL             string // http://127.0.0.1:18334, or https://host:port together with CAFile
	CredentialsFile string // one line "user:password", readable by its owner alone (bitcoind's .cookie has this form)
	CAFile          string // PEM certificates that may vouch for an https node; btcd's own rpc.cert has this form
	Network         spend.Network
	FeeFloor        int64         // satoshi per 1000 vB; an estimate below it, or none, becomes it
	FeeCap          int64         // satoshi per 1000 vB; an estimate above it becomes it
	Timeout         time.Duration // per call; 0 means 30 seconds
}

// Bitcoin is a connection to one node of one network.
type Bitcoin struct {
	rpc    *client
	params *chaincfg.Params
	config Config
}

func paramsOf(n spend.Network) (*chaincfg.Params, error) {
	switch n {
	case spend.BitcoinMainnet:
		return &chaincfg.MainNetParams, nil
	case spend.BitcoinTestnet:
		return &chaincfg.TestNet3Params, nil
	case spend.BitcoinSignet:
		return &chaincfg.SigNetParams, nil
	case spend.BitcoinRegtest:
		return &chaincfg.RegressionNetParams, nil
	}
	return nil, fmt.Errorf("network %q is not a bitcoin network", string(n))
}

// Connect reads the credentials, and checks that the node's genesis block is the network's before anything is believed.
func Connect(ctx context.Context, config Config) (*Bitcoin, error) {
	params, err := paramsOf(config.Network)
	if err != nil {
		return nil, err
	}
	if config.FeeFloor < 1 || config.FeeCap < config.FeeFloor {
		return nil, fmt.Errorf("fee floor %d and cap %d: the floor is at least 1 and the cap not below it", config.FeeFloor, config.FeeCap)
	}
	rpc, err := newClient(config)
	if err != nil {
		return nil, err
	}
	b := &Bitcoin{rpc: rpc, params: params, config: config}
	genesis, err := b.BlockHash(ctx, 0)
	if err != nil {
		return nil, err
	}
	if genesis != *params.GenesisHash {
		return nil, spend.Distrust("node-other-network", "node", "genesis "+params.GenesisHash.String()+" of "+string(config.Network),
			"genesis "+genesis.String(), "the operator points the daemon at a node of "+string(config.Network))
	}
	return b, nil
}

// Close ends connections that a cancelled call may have left behind.
func (b *Bitcoin) Close() { b.rpc.http.CloseIdleConnections() }

// Tip returns the height and hash of the node's best block.
func (b *Bitcoin) Tip(ctx context.Context) (uint32, chainhash.Hash, error) {
	var count uint32
	if err := b.rpc.call(ctx, "getblockcount", &count); err != nil {
		return 0, chainhash.Hash{}, err
	}
	hash, err := b.BlockHash(ctx, count)
	return count, hash, err
}

// BlockHash returns the hash of the node's best chain at height.
func (b *Bitcoin) BlockHash(ctx context.Context, height uint32) (chainhash.Hash, error) {
	var text string
	if err := b.rpc.call(ctx, "getblockhash", &text, height); err != nil {
		return chainhash.Hash{}, err
	}
	return readHash(text)
}

// readHash insists on all 64 digits: chainhash pads shorter text with zeros.
func readHash(text string) (chainhash.Hash, error) {
	if len(text) != 2*chainhash.HashSize {
		return chainhash.Hash{}, badAnswer("a hash of %d digits", len(text))
	}
	hash, err := chainhash.NewHashFromStr(text)
	if err != nil {
		return chainhash.Hash{}, badAnswer("a hash that is not hexadecimal")
	}
	return *hash, nil
}

// Block returns the verified block with that hash.
func (b *Bitcoin) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	var text string
	if err := b.rpc.call(ctx, "getblock", &text, hash.String(), 0); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, badBlock("block "+hash.String(), "text that is not hexadecimal")
	}
	return ReadBlock(raw, hash, b.params)
}

// Broadcast hands a transaction to the network. A transaction that the node already has, in its mempool or in the
// chain, is a success: broadcasting is idempotent.
func (b *Bitcoin) Broadcast(ctx context.Context, raw []byte) (chainhash.Hash, error) {
	txid, err := readTxID(raw)
	if err != nil {
		return chainhash.Hash{}, err
	}
	err = b.rpc.call(ctx, "sendrawtransaction", nil, hex.EncodeToString(raw))
	var no *rpcError
	if err == nil || !errors.As(err, &no) {
		return txid, err
	}
	if no.Code == rpcAlreadyInChain || strings.Contains(no.Message, "already have transaction") ||
		strings.Contains(no.Message, "txn-already-") || b.has(ctx, txid) {
		return txid, nil
	}
	return txid, rejected(txid, no.Message)
}

// has asks for the transaction itself. It matters when every output of a confirmed transaction is spent: the node then
// says that inputs are missing, not that it knows the transaction.
func (b *Bitcoin) has(ctx context.Context, txid chainhash.Hash) bool {
	var text string
	if b.rpc.call(ctx, "getrawtransaction", &text, txid.String(), 0) != nil {
		return false
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return false
	}
	found, err := readTxID(raw)
	return err == nil && found == txid
}

func readTxID(raw []byte) (chainhash.Hash, error) {
	if len(raw) > transactionBytesMax {
		return chainhash.Hash{}, badTransaction("%d bytes, at most %d", len(raw), transactionBytesMax)
	}
	var tx wire.MsgTx
	r := bytes.NewReader(raw)
	if err := tx.Deserialize(r); err != nil || r.Len() != 0 {
		return chainhash.Hash{}, badTransaction("%d bytes that are not one transaction", len(raw))
	}
	return tx.TxHash(), nil
}

// badTransaction refuses our own bytes: nobody but the daemon hands them over.
func badTransaction(format string, args ...any) *spend.Refusal {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "transaction-malformed", Where: "transaction", Expected: "one whole transaction",
		Found: fmt.Sprintf(format, args...), Fix: "report this as a defect: the daemon made these bytes"}
}

func rejected(txid chainhash.Hash, reason string) *spend.Refusal {
	return spend.Refuse("node-rejects", "transaction "+txid.String(), "a transaction that the node relays", fmt.Sprintf("%.300q", reason),
		"treasury staff look at the node's reason; the transaction stays stored and is offered again")
}

// TestAccept asks whether the node would take the transaction; a no is a *spend.Refusal node-rejects. One that the node
// has already is a yes.
func (b *Bitcoin) TestAccept(ctx context.Context, raw []byte) error {
	txid, err := readTxID(raw)
	if err != nil {
		return err
	}
	var results []struct {
		TxID    string `json:"txid"`
		Allowed bool   `json:"allowed"` // btcd leaves it out when it is false
		Reason  string `json:"reject-reason"`
	}
	if err := b.rpc.call(ctx, "testmempoolaccept", &results, []string{hex.EncodeToString(raw)}, json.Number(testFeeRateMax)); err != nil {
		return err
	}
	if len(results) != 1 || results[0].TxID != txid.String() {
		return badAnswer("a verdict on another transaction")
	}
	if results[0].Allowed || b.has(ctx, txid) {
		return nil
	}
	return rejected(txid, results[0].Reason)
}

// Unspent is a coin as the node's chain (never its mempool) has it.
type Unspent struct {
	Value         int64
	ScriptPubKey  []byte
	Confirmations int64
}

// Unspent returns the coin at an outpoint, or false when the chain has no unspent coin there. It is the node's word
// alone: the follower's own records decide about money, and this answer can only contradict them.
func (b *Bitcoin) Unspent(ctx context.Context, out wire.OutPoint) (Unspent, bool, error) {
	var answer *struct {
		Value         json.Number `json:"value"`
		Confirmations int64       `json:"confirmations"`
		ScriptPubKey  struct {
			Hex string `json:"hex"`
		} `json:"scriptPubKey"`
	}
	err := b.rpc.call(ctx, "gettxout", &answer, out.Hash.String(), out.Index, false)
	var no *rpcError
	if errors.As(err, &no) && no.Code == rpcNoSuchTx {
		return Unspent{}, false, nil
	}
	if err != nil || answer == nil {
		return Unspent{}, false, err
	}
	value, exact, err := satoshi(answer.Value)
	script, err2 := hex.DecodeString(answer.ScriptPubKey.Hex)
	if err != nil || !exact || err2 != nil {
		return Unspent{}, false, badAnswer("a coin without a whole amount or script")
	}
	return Unspent{Value: value, ScriptPubKey: script, Confirmations: answer.Confirmations}, true, nil
}
