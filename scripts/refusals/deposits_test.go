package main

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// claimed returns an act that proves a deposit of half a bitcoin after one lie about it.
func claimed(lie func(*bitcoin.DepositClaim)) func(*testing.T) error {
	return func(*testing.T) error {
		b := enginetest.Evidence(enginetest.Wallet(), 7, 50_000_000, 2)
		c := bitcoin.DepositClaim{Raw: b.Raw, Output: b.Output, Index: b.Index, Height: b.Height, Place: b.Place, Branch: b.Branch, Headers: b.Headers}
		lie(&c)
		_, err := bitcoin.ProveDeposit(enginetest.Wallet(), c)
		return err
	}
}

// rewritten changes the transaction of a claim.
func rewritten(change func(*wire.MsgTx)) func(*testing.T) error {
	return claimed(func(c *bitcoin.DepositClaim) {
		var tx wire.MsgTx
		if err := tx.Deserialize(bytes.NewReader(c.Raw)); err != nil {
			panic(err)
		}
		change(&tx)
		var out bytes.Buffer
		if err := tx.Serialize(&out); err != nil {
			panic(err)
		}
		c.Raw = out.Bytes()
	})
}

func ofDeposits() page.Examples {
	return page.Examples{
		"deposit-amount":   rewritten(func(tx *wire.MsgTx) { tx.TxOut[0].Value = 0 }),
		"deposit-coinbase": rewritten(func(tx *wire.MsgTx) { tx.TxIn[0].PreviousOutPoint = *wire.NewOutPoint(&chainhash.Hash{}, 1<<32-1) }),
		"deposit-headers":  claimed(func(c *bitcoin.DepositClaim) { c.Headers[1] = c.Headers[0] }),
		"deposit-merkle":   claimed(func(c *bitcoin.DepositClaim) { c.Place = 2 }),
		"deposit-output":   claimed(func(c *bitcoin.DepositClaim) { c.Output = 1 }),
		"deposit-script":   claimed(func(c *bitcoin.DepositClaim) { c.Index = 8 }),
		"deposit-work": claimed(func(c *bitcoin.DepositClaim) {
			c.Headers[0][72], c.Headers[0][73], c.Headers[0][74], c.Headers[0][75] = 0xff, 0xff, 0x00, 0x1d
		}),
	}
}
