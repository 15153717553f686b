package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// coins are the assets of the catalogue by their number.
func (k *exchangeDesk) coins(ctx context.Context) (map[exchange.Asset]money.Asset, error) {
	catalogue, err := k.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
	out := map[exchange.Asset]money.Asset{}
	for _, a := range catalogue.Assets {
		out[a.ID] = money.Asset{Symbol: a.Symbol, Decimals: a.Decimals}
	}
	return out, err
}

// Deposits lists payments to customers: those that wait, as the wallet segment sees them in the chain, then those that
// the records know to be credited.
func (k *exchangeDesk) Deposits(ctx context.Context, q admin.DepositQuery) ([]admin.Deposit, error) {
	coins, err := k.coins(ctx)
	if err != nil {
		return nil, err
	}
	history := exchange.HistoryQuestion{Account: exchange.Account(q.Account), Output: q.Output, Limit: admin.FundsMax}
	for id, coin := range coins {
		if coin.Symbol == q.Asset {
			history.Asset = id
		}
	}
	if q.Asset != "" && history.Asset == 0 {
		return nil, admin.NewProblem(admin.Misused, "asset-unknown", "there is no asset "+q.Asset, "exchanged asset list")
	}
	out, err := k.waitingDeposits(ctx, q, coins)
	if err != nil || q.State == admin.DepositConfirming || q.State == admin.DepositRefused {
		return out, err
	}
	known := exchange.Question{Deposits: &history}
	if k.deposits != nil {
		known.After = k.deposits.answered() // what waits no more is in the records that know this
	}
	a, err := k.ask(ctx, known)
	for _, d := range a.Deposits {
		out = append(out, admin.Deposit{Number: d.Number, Account: uint64(d.Account), Amount: admin.AmountOf(money.New(coins[d.Asset], d.Amount)), TxID: d.TxID, Output: d.Output,
			Address: d.Address, Height: d.Height, State: admin.DepositCredited, CreditedAt: timeOf(d.At)})
	}
	return out[:min(len(out), admin.FundsMax)], err
}

// waitingDeposits are those that are not credited.
func (k *exchangeDesk) waitingDeposits(ctx context.Context, q admin.DepositQuery, coins map[exchange.Asset]money.Asset) ([]admin.Deposit, error) {
	out := []admin.Deposit{}
	if k.deposits == nil || q.State == admin.DepositCredited {
		return out, nil
	}
	for _, w := range k.deposits.notCredited() {
		if len(out) == admin.FundsMax || q.Output != "" && q.Output != w.outpoint || q.Asset != "" && q.Asset != coins[w.asset].Symbol {
			continue
		}
		a, err := k.ask(ctx, exchange.Question{Addresses: &exchange.HistoryQuestion{Asset: w.asset, Number: uint64(w.index) + 1}})
		if err != nil {
			return nil, err
		}
		one := waitingDepositOf(w, coins[w.asset])
		if len(a.Addresses) > 0 {
			one.Account, one.Address = uint64(a.Addresses[0].Account), a.Addresses[0].Address
		}
		if (q.Account == 0 || q.Account == one.Account) && (q.State == "" || q.State == one.State) {
			out = append(out, one)
		}
	}
	return out, nil
}

func waitingDepositOf(w waitingDeposit, coin money.Asset) admin.Deposit {
	txid, _, _ := strings.Cut(w.outpoint, ":")
	d := admin.Deposit{Amount: admin.AmountOf(money.New(coin, money.U128{Lo: uint64(w.value)})), TxID: txid, Output: w.output, Height: w.height,
		State: admin.DepositConfirming, Confirmations: w.seen, Need: w.need}
	switch {
	case w.refusal != "":
		d.State, d.Waiting = admin.DepositRefused, w.refusal
	case !w.given:
		d.Waiting = fmt.Sprintf("nobody was given deposit address %d yet", w.index)
	case w.seen < w.need:
		d.Waiting = fmt.Sprintf("the chain: %d of %d confirmations", w.seen, w.need)
	default:
		d.Waiting = "the engine, which takes it next"
	}
	return d
}

// Withdrawals lists what an account asked for; of account zero, everything that waits.
func (k *exchangeDesk) Withdrawals(ctx context.Context, account uint64) ([]admin.Withdrawal, error) {
	return k.withdrawals(ctx, exchange.HistoryQuestion{Account: exchange.Account(account), Limit: admin.FundsMax})
}

// Withdrawal looks one up.
func (k *exchangeDesk) Withdrawal(ctx context.Context, number uint64) (admin.Withdrawal, error) {
	list, err := k.withdrawals(ctx, exchange.HistoryQuestion{Number: number})
	if err == nil && len(list) == 0 {
		err = admin.NewProblem(admin.Misused, "not-found", fmt.Sprintf("nobody asked for a withdrawal %d", number), "exchanged withdrawals list")
	}
	if err != nil {
		return admin.Withdrawal{}, err
	}
	return list[0], nil
}

func (k *exchangeDesk) withdrawals(ctx context.Context, q exchange.HistoryQuestion) ([]admin.Withdrawal, error) {
	coins, err := k.coins(ctx)
	if err != nil {
		return nil, err
	}
	a, err := k.ask(ctx, exchange.Question{Withdraws: &q})
	out := []admin.Withdrawal{}
	for _, w := range a.Withdraws {
		one := admin.Withdrawal{Number: w.Number, Account: uint64(w.Account), Amount: admin.AmountOf(money.New(coins[w.Asset], w.Amount)),
			Fee: admin.AmountOf(money.New(coins[w.Asset], w.Fee)), Address: w.Address, Client: w.Client, TxID: w.TxID, Reason: w.Reason,
			Created: timeOf(w.Created), Changed: timeOf(w.Changed)}
		switch w.State {
		case exchange.WithdrawalSettled:
			one.State = "settled"
		case exchange.WithdrawalCancelled:
			one.State = "cancelled"
		default:
			one.State, one.Waiting = "held", "the treasury, which pays it or gives it back; until then the amount is on hold"
		}
		out = append(out, one)
	}
	return out, err
}
