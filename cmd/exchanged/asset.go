package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

type assetOptions struct {
	decimals    uint8
	network     string
	least, cost string
	day         string
	note        string
}

func newAssetCmd(a *app) *cobra.Command {
	var o assetOptions
	add := &cobra.Command{
		Use:   "add SYMBOL",
		Short: "Propose a new asset, or what withdrawals of one cost",
		Long: "Symbol, decimals and network stay as they are for ever. An asset without network can be traded and adjusted, not deposited\n" +
			"or withdrawn. One with a network states how much of it may leave an account in 24 hours: no limit is no default." + twoPeople,
		Example: "  exchanged asset add BTC --decimals 8 --network regtest --withdraw-min 0.001 --withdraw-fee 0.0001 --withdraw-day-max 2 --data /srv/coldsign\n" +
			"  exchanged asset add USDT --decimals 6 --data /srv/coldsign",
		Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runAssetAdd(a, args[0], o) },
	}
	f := add.Flags()
	f.Uint8Var(&o.decimals, "decimals", 8, "decimals of its smallest unit")
	f.StringVar(&o.network, "network", "", "network that it is native to: mainnet, testnet, signet or regtest")
	f.StringVar(&o.least, "withdraw-min", "", "smallest withdrawal, its fee included")
	f.StringVar(&o.cost, "withdraw-fee", "", "fee of a withdrawal")
	f.StringVar(&o.day, "withdraw-day-max", "", "most that may leave one account in 24 hours, fees included; needed with --network")
	f.StringVar(&o.note, "note", "", "why, in a few words; people read it when they approve")
	list := &cobra.Command{Use: "list", Short: "List the assets", Example: "  exchanged asset list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runAssetList(a) }}
	return command.Group("asset", "Assets of the exchange", add, list)
}

func runAssetAdd(a *app, symbol string, o assetOptions) error {
	client, now, err := a.engineNow()
	if err != nil {
		return err
	}
	if err := symbolSound(symbol); err != nil {
		return err
	}
	if o.decimals > engine.DecimalsMax {
		return console.Fail(console.Usage, fmt.Errorf("--decimals %d: an asset has at most %d decimals", o.decimals, engine.DecimalsMax))
	}
	info := exchange.AssetInfo{ID: exchange.Asset(len(now.Assets) + 1), Symbol: symbol, Decimals: o.decimals}
	if i := slices.IndexFunc(now.Assets, func(b admin.Asset) bool { return b.Symbol == symbol }); i >= 0 {
		info.ID = exchange.Asset(now.Assets[i].ID)
		if old := now.Assets[i]; old.Decimals != o.decimals {
			return console.Fail(console.Usage, fmt.Errorf("--decimals %d: %s has %d decimals for ever", o.decimals, symbol, old.Decimals), fmt.Sprintf("exchanged asset add %s --decimals %d", symbol, old.Decimals))
		}
	}
	if o.network != "" {
		network, err := networkNamed(o.network)
		if err != nil {
			return console.Fail(console.Usage, err)
		}
		info.Network = string(network)
	}
	for _, field := range []struct {
		flag, text string
		to         *money.U128
	}{{"withdraw-min", o.least, &info.WithdrawMin}, {"withdraw-fee", o.cost, &info.WithdrawFee}, {"withdraw-day-max", o.day, &info.WithdrawDayMax}} {
		if field.text == "" {
			continue
		}
		amount, err := money.Parse(field.text, money.Asset{Symbol: symbol, Decimals: o.decimals})
		if err != nil {
			return console.Fail(console.Usage, fmt.Errorf("--%s: %w", field.flag, err))
		}
		*field.to = amount.Units()
	}
	if info.Network != "" && (info.WithdrawDayMax == (money.U128{}) || info.WithdrawDayMax.Cmp(info.WithdrawMin) < 0) {
		return console.Fail(console.Usage, fmt.Errorf("--withdraw-day-max is needed for an asset with a network, and is at least --withdraw-min"),
			"exchanged asset add "+console.Printable(symbol)+" --withdraw-day-max 2")
	}
	return a.propose(client, exchange.ChangeIntent{Note: o.note, Asset: &info})
}

// symbolSound refuses the name of an asset or a market that the engine would not take.
func symbolSound(symbol string) error {
	if !engine.IsSymbol(symbol) {
		return console.Fail(console.Usage, fmt.Errorf("%q is no symbol: 1 to 20 of A-Z and 0-9", console.Printable(symbol)))
	}
	return nil
}

func runAssetList(a *app) error {
	_, now, err := a.engineNow()
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.assets/v1", map[string]any{"assets": now.Assets})
	}
	rows := [][]string{}
	for _, one := range now.Assets {
		row := []string{one.Symbol, fmt.Sprint(one.Decimals), one.Network, one.WithdrawMin.Value, one.WithdrawFee.Value, one.DayMax.Value}
		if one.Network == "" { // it cannot be withdrawn
			row[3], row[4], row[5] = "", "", ""
		}
		rows = append(rows, row)
	}
	return console.Table(a.Out, []string{"ASSET", "DECIMALS", "NETWORK", "WITHDRAW MIN", "WITHDRAW FEE", "IN 24 HOURS"}, rows)
}
