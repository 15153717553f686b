package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/node/nodetest"
)

// miner plays the customers of the exchange: it mines regtest coins to a key of its own and pays them to wallets, as
// deposits would.
type miner struct {
	node    *nodetest.Node
	key     *btcec.PrivateKey
	script  []byte
	address string
	next    int64 // height of the next coinbase to spend
}

// coinbaseMaturity is how many blocks a coinbase must lie under before it can be spent (consensus), and some.
const coinbaseMaturity = 101

func newMiner(ctx context.Context, node *nodetest.Node) (*miner, error) {
	secret := sha256.Sum256([]byte("coldsign demo: the customers"))
	key, public := btcec.PrivKeyFromBytes(secret[:])
	to, err := address.NewAddressWitnessPubKeyHash(address.Hash160(public.SerializeCompressed()), &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(to)
	if err != nil {
		return nil, err
	}
	m := &miner{node: node, key: key, script: script, address: to.EncodeAddress(), next: 1}
	return m, m.mine(ctx, coinbaseMaturity+20)
}

func (m *miner) mine(ctx context.Context, blocks int) error {
	_, err := m.node.Mine(ctx, blocks, m.address)
	return err
}

// payment is one output of a deposit.
type payment struct {
	address string
	sats    int64
}

const minerFee = 20_000 // satoshi; far above the relay floor for these small transactions

// pay sends one transaction with the given outputs and mines it.
func (m *miner) pay(ctx context.Context, payments ...payment) (string, error) {
	tx, err := m.signed(ctx, minerFee, payments...)
	if err != nil {
		return "", err
	}
	txid, err := m.send(ctx, tx)
	if err != nil {
		return "", err
	}
	return txid, m.mine(ctx, 1)
}

// signed makes a transaction with the given outputs, funded by one mature coinbase.
func (m *miner) signed(ctx context.Context, fee int64, payments ...payment) (*wire.MsgTx, error) {
	coin, value, err := m.coinbase(ctx, m.next)
	if err != nil {
		return nil, err
	}
	m.next++
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&coin, nil, nil))
	rest := value - fee
	for _, p := range payments {
		to, err := address.DecodeAddress(p.address, &chaincfg.RegressionNetParams)
		if err != nil {
			return nil, err
		}
		script, err := txscript.PayToAddrScript(to)
		if err != nil {
			return nil, err
		}
		tx.AddTxOut(wire.NewTxOut(p.sats, script))
		rest -= p.sats
	}
	if rest < 0 {
		return nil, fmt.Errorf("a coinbase of %d satoshi does not pay that", value)
	}
	tx.AddTxOut(wire.NewTxOut(rest, m.script))
	fetcher := txscript.NewCannedPrevOutputFetcher(m.script, value)
	tx.TxIn[0].Witness, err = txscript.WitnessSignature(tx, txscript.NewTxSigHashes(tx, fetcher), 0, value, m.script, txscript.SigHashAll, m.key, true)
	return tx, err
}

func (m *miner) send(ctx context.Context, tx *wire.MsgTx) (string, error) {
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return "", err
	}
	var txid string
	err := m.node.Call(ctx, "sendrawtransaction", &txid, hex.EncodeToString(raw.Bytes()))
	return txid, err
}

// coinbase finds the coin that the block at a height created.
func (m *miner) coinbase(ctx context.Context, height int64) (wire.OutPoint, int64, error) {
	var hash, text string
	if err := m.node.Call(ctx, "getblockhash", &hash, height); err != nil {
		return wire.OutPoint{}, 0, err
	}
	if err := m.node.Call(ctx, "getblock", &text, hash, 0); err != nil {
		return wire.OutPoint{}, 0, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return wire.OutPoint{}, 0, err
	}
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		return wire.OutPoint{}, 0, err
	}
	id := block.Transactions[0].TxHash()
	return *wire.NewOutPoint((*chainhash.Hash)(&id), 0), block.Transactions[0].TxOut[0].Value, nil
}
