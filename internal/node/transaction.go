package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// Waiting returns the bytes of a transaction that the node holds and no block has, witnesses included, or false. That it
// waits is the node's word; that the bytes are this transaction's is not.
func (b *Bitcoin) Waiting(ctx context.Context, txid chainhash.Hash) ([]byte, bool, error) {
	var answer struct {
		Hex           string      `json:"hex"`
		Confirmations json.Number `json:"confirmations"` // left out while no block has it
	}
	err := b.rpc.call(ctx, "getrawtransaction", &answer, txid.String(), 1)
	var no *rpcError
	if errors.As(err, &no) && no.Code == rpcNoSuchTx {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if n := answer.Confirmations.String(); n != "" && n != "0" {
		return nil, false, nil
	}
	raw, err := hex.DecodeString(answer.Hex)
	if err != nil {
		return nil, false, badAnswer("a transaction that is not hexadecimal")
	}
	if found, err := readTxID(raw); err != nil || found != txid {
		return nil, false, badAnswer("another transaction than %s", txid)
	}
	return raw, true, nil
}
