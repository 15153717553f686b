package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// ownersAhead is how many deposit addresses beyond those that were given count as customers': they will be given, and
// whoever looks for deposits anew finds what was paid to them before.
const ownersAhead = 1000

// depositOwners know whose deposit addresses are, for the treasury: it may pay to none of them.
type depositOwners struct {
	wallet wallet.Wallet
	desk   *exchangeDesk

	mu      sync.Mutex
	scripts map[string]uint32
	derived uint32
}

// newDepositOwners returns nil where no deposits are taken.
func newDepositOwners(at folder, c config) (*depositOwners, error) {
	name := c.Exchange.Deposits.Wallet
	if name == "" {
		return nil, nil
	}
	w, err := at.walletNamed(name)
	return &depositOwners{wallet: w, scripts: map[string]uint32{}}, err
}

// walletNamed finds the deposit wallet among those that are registered.
func (f folder) walletNamed(name string) (wallet.Wallet, error) {
	list, err := f.wallets()
	if err != nil {
		return wallet.Wallet{}, err
	}
	i := slices.IndexFunc(list, func(w wallet.Wallet) bool { return w.Name() == name })
	if i < 0 {
		return wallet.Wallet{}, console.Fail(console.Usage, fmt.Errorf("exchange.deposits.wallet %q is not registered", name), "exchanged wallet add FILE --data "+string(f))
	}
	return list[i], nil
}

// Deposit reports whether customers pay to a wallet.
func (o *depositOwners) Deposit(id spend.WalletID) bool { return o.wallet.ID() == id }

// Whose names the customer whose deposit address a script is. While the engine does not say how many addresses it gave,
// nothing can be said, and nothing is paid.
func (o *depositOwners) Whose(ctx context.Context, script []byte) (string, error) {
	asset, assigned, err := o.desk.assigned(ctx, o.wallet.Network())
	if err != nil {
		return "", err
	}
	index, ours, err := o.find(script, assigned+ownersAhead)
	if err != nil || !ours {
		return "", err
	}
	which := fmt.Sprintf("deposit address %d of %s", index, o.wallet.Name())
	if index >= assigned {
		return which + ", which the next customers get", nil
	}
	a, err := o.desk.ask(ctx, exchange.Question{Addresses: &exchange.HistoryQuestion{Asset: asset, Number: uint64(index) + 1}})
	if err != nil || len(a.Addresses) == 0 {
		return which, err
	}
	account := a.Addresses[0].Account
	who, err := o.desk.ask(ctx, exchange.Question{Account: &exchange.AccountQuestion{Account: account}})
	if err != nil || who.Account == nil {
		return fmt.Sprintf("%s, of account %d", which, account), err
	}
	return fmt.Sprintf("%s, of customer %s (account %d)", which, who.Account.Name, account), nil
}

// find looks for a script among the first n receive addresses.
func (o *depositOwners) find(script []byte, n uint32) (uint32, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; o.derived < n; o.derived++ {
		at, err := o.wallet.Derive(wallet.Receive, o.derived)
		if err != nil {
			return 0, false, err
		}
		o.scripts[string(at.ScriptPubKey)] = o.derived
	}
	index, ours := o.scripts[string(script)]
	return index, ours, nil
}

// assigned asks how many deposit addresses of a network were given.
func (k *exchangeDesk) assigned(ctx context.Context, network spend.Network) (exchange.Asset, uint32, error) {
	catalogue, err := k.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
	if err != nil {
		return 0, 0, err
	}
	status, err := k.status(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, a := range catalogue.Assets {
		if a.Network == string(network) && int(a.ID) < len(status.Assigned) {
			return a.ID, status.Assigned[a.ID], nil
		}
	}
	return 0, 0, nil
}

// apart refuses a deposit wallet that the treasury fills: its top-ups would be credited to customers.
func (k *exchangeDesk) apart(intent exchange.ChangeIntent) error {
	if intent.Wallet == nil {
		return nil
	}
	w, err := wallet.Parse(intent.Wallet, wallet.AcceptUnproven())
	if err != nil {
		return err
	}
	list, err := k.folder.wallets()
	if err != nil {
		return err
	}
	for _, filled := range list {
		if filled.ID() == w.ID() && slices.Contains(k.filled, filled.Name()) {
			return admin.NewProblem(admin.Refused, "deposit-wallet-filled", "wallet "+filled.Name()+" is a watched tier: top-ups to it would be credited to customers",
				"make a wallet for deposits alone, and register it: exchanged wallet add FILE", "or take "+filled.Name()+" out of tiers in exchanged.yaml")
		}
	}
	return nil
}
