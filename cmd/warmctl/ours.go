package main

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// oursMax is how many addresses of each branch of a pinned wallet a payment is compared with.
const oursMax = 1000

// refuseOurs refuses a payment whose address is one of a wallet that is pinned in this home. The intent names an entry and
// no address; the address is the daemon's word, so this finds slips and not lies. Where customers pay to such a wallet,
// the house's money would be credited to one of them.
func (a *app) refuseOurs(t admin.TopUp, r reading) error {
	if !r.pays() || t.Plan == nil || t.Plan.Address == "" {
		return nil
	}
	list, err := a.home.wallets()
	if err != nil {
		return err
	}
	for _, w := range list {
		for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
			for index := range uint32(oursMax) {
				d, err := w.Derive(branch, index)
				if err != nil {
					return err
				}
				if d.Address == t.Plan.Address {
					return spend.Refuse("payment-to-ours", "entry "+r.intent.Entry, "an address outside every wallet that is pinned here", fmt.Sprintf("address %d/%d of wallet %s", branch, index, w.Name()),
						"do not approve; the keyholders take the entry out of the book; if customers pay to that wallet, one of them would be credited")
				}
			}
		}
	}
	return nil
}
