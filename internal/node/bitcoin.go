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
	"context"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
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

// Connect reads the credentials, and checks that the node's genesis block is the network's before anything is believed.
func Connect(ctx context.Context, config Config) (*Bitcoin, error) { return nil, errUnfinished }

// Close releases idle connections.
func (b *Bitcoin) Close() {}

// Tip returns the height and hash of the node's best block.
func (b *Bitcoin) Tip(ctx context.Context) (uint32, chainhash.Hash, error) {
	return 0, chainhash.Hash{}, errUnfinished
}

// BlockHash returns the hash of the node's best chain at height.
func (b *Bitcoin) BlockHash(ctx context.Context, height uint32) (chainhash.Hash, error) {
	return chainhash.Hash{}, errUnfinished
}

// Block returns the verified block with that hash.
func (b *Bitcoin) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	return nil, errUnfinished
}

// FeeRate returns satoshi per 1000 virtual bytes for confirmation within blocks, clamped to [FeeFloor, FeeCap].
func (b *Bitcoin) FeeRate(ctx context.Context, blocks int) (int64, error) { return 0, errUnfinished }

// Broadcast hands a transaction to the network. A transaction that the node already has, in its mempool or in the
// chain, is a success: broadcasting is idempotent.
func (b *Bitcoin) Broadcast(ctx context.Context, raw []byte) (chainhash.Hash, error) {
	return chainhash.Hash{}, errUnfinished
}

// TestAccept asks whether the node would take the transaction; a no is a *spend.Refusal node-rejects.
func (b *Bitcoin) TestAccept(ctx context.Context, raw []byte) error { return errUnfinished }

// Unspent is a coin as the node's chain (never its mempool) has it.
type Unspent struct {
	Value         int64
	ScriptPubKey  []byte
	Confirmations int64
}

// Unspent returns the coin at an outpoint, or false when the chain has no unspent coin there.
func (b *Bitcoin) Unspent(ctx context.Context, out wire.OutPoint) (Unspent, bool, error) {
	return Unspent{}, false, errUnfinished
}
