package node_test

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// A transaction that waits is known by its own hash, whatever the node says beside it.
func TestWaitingTransactionsProveThemselves(t *testing.T) {
	tx, raw := someTransaction(t)
	id := tx.TxHash()
	text := `"` + hex.EncodeToString(raw) + `"`
	for name, c := range map[string]struct {
		answer any
		ask    chainhash.Hash
		known  bool
		fails  bool
	}{
		"one that waits":         {`{"hex": ` + text + `}`, id, true, false},
		"as Bitcoin Core has it": {`{"hex": ` + text + `, "confirmations": 0}`, id, true, false},
		"one in a block":         {`{"hex": ` + text + `, "confirmations": 3}`, id, false, false},
		"another one":            {`{"hex": ` + text + `}`, chainhash.Hash{7}, false, true},
		"no hexadecimal":         {`{"hex": "zz"}`, id, false, true},
		"no transaction":         {`{"hex": "00"}`, id, false, true},
		"nothing":                {`{}`, id, false, true},
		"one it never had":       {errors.New(`{"code":-5,"message":"No information available about transaction"}`), id, false, false},
		"trouble":                {errors.New(`{"code":-28,"message":"Loading block index"}`), id, false, true},
	} {
		b := connect(t, fake{"getrawtransaction": c.answer})
		found, known, err := b.Waiting(context.Background(), c.ask)
		if known != c.known || (err != nil) != c.fails || known && string(found) != string(raw) {
			t.Errorf("%s: %x, %v, %v", name, found, known, err)
		}
	}
}
