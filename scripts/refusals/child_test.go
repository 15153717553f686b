package main

import (
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// ofChildren asks for children of a transaction of 212 vB that pays the least that is relayed.
func ofChildren() page.Examples {
	planned := func(change func(*bitcoin.ChildRequest)) func(*testing.T) error {
		return func(*testing.T) error {
			r := bitcoin.ChildRequest{Wallet: coldWallet(drill), Coin: request().Coins[0], Stuck: bitcoin.Stuck{{Fee: 212, VirtualBytes: 212}}, Rate: 25_000, Floor: 1000,
				Caps: []bitcoin.Cap{{Name: "fee_max of the signers' policy", Fee: 500_000}}}
			change(&r)
			_, err := bitcoin.PlanChild(r)
			return err
		}
	}
	return page.Examples{
		"package-rate-reached":     planned(func(r *bitcoin.ChildRequest) { r.Rate = 1000 }),
		"package-rate-unreachable": planned(func(r *bitcoin.ChildRequest) { r.Caps[0].Fee = 5000 }),
		"package-too-long":         planned(func(r *bitcoin.ChildRequest) { r.Stuck = make(bitcoin.Stuck, 25) }),
		"package-senseless": func(*testing.T) error {
			_, err := bitcoin.Weigh([][]byte{request().Coins[0].PrevTx}, func(wire.OutPoint) (int64, error) { return 1000, nil })
			return err
		},
	}
}
