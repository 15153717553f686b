package main

import (
	"context"
	"errors"
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

// twoPeople ends the help of every command that only proposes.
const twoPeople = "\n\nThis proposes a change; two other people of the roster approve it (warmctl change approve ID), and then it counts."

type marketOptions struct {
	base, quote              string
	tick, lot                uint8
	priceMin, priceMax       string
	qtyMin, qtyMax, notional string
	ordersMax                int
	closed                   bool
	note                     string
}

func newMarketCmd(a *app) *cobra.Command {
	var o marketOptions
	add := &cobra.Command{
		Use:   "add SYMBOL",
		Short: "Propose a new market, or new limits of one",
		Long: "A market trades one asset for another in whole ticks of 10^-TICK quote and whole lots of 10^-LOT base. Both assets exist\n" +
			"already. What it trades and its steps stay as they are for ever; limits and state can be changed by another add." + twoPeople,
		Example: "  exchanged market add BTCUSDT --base BTC --quote USDT --tick 2 --lot 4 --price-max 1000000 --qty-max 1000 --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runMarketAdd(a, args[0], o) },
	}
	f := add.Flags()
	f.StringVar(&o.base, "base", "", "asset that is traded")
	f.StringVar(&o.quote, "quote", "", "asset that it is paid in")
	f.Uint8Var(&o.tick, "tick", 2, "decimals of prices")
	f.Uint8Var(&o.lot, "lot", 4, "decimals of quantities")
	f.StringVar(&o.priceMin, "price-min", "", "lowest price; one tick unless given")
	f.StringVar(&o.priceMax, "price-max", "", "highest price")
	f.StringVar(&o.qtyMin, "qty-min", "", "smallest quantity; one lot unless given")
	f.StringVar(&o.qtyMax, "qty-max", "", "largest quantity")
	f.StringVar(&o.notional, "notional-min", "", "least price times quantity")
	f.IntVar(&o.ordersMax, "orders-max", 200, "open orders of one account at most")
	f.BoolVar(&o.closed, "auction", false, "open it with an auction: limit orders collect until it is resumed")
	f.StringVar(&o.note, "note", "", "why, in a few words; people read it when they approve")
	_ = add.RegisterFlagCompletionFunc("base", a.completes(assetSymbols))
	_ = add.RegisterFlagCompletionFunc("quote", a.completes(assetSymbols))
	add.ValidArgsFunction = a.completes(marketSymbols)
	list := &cobra.Command{Use: "list", Short: "List the markets", Example: "  exchanged market list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runMarketList(a) }}
	return command.Group("market", "Markets of the exchange", add, list,
		stateCmd(a, "halt", "Propose that a market takes nothing but cancels", exchange.MarketHalted),
		stateCmd(a, "resume", "Propose that a market trades; an auction ends with one price", exchange.MarketOpen),
		stateCmd(a, "auction", "Propose that a market only collects limit orders", exchange.MarketAuction))
}

func stateCmd(a *app, verb, short string, state exchange.MarketState) *cobra.Command {
	var note string
	cmd := &cobra.Command{Use: verb + " SYMBOL", Short: short, Long: short + "." + twoPeople, Example: "  exchanged market " + verb + " BTCUSDT --data /srv/coldsign",
		Args: command.Arguments(1, 1), RunE: func(_ *cobra.Command, args []string) error { return runMarketState(a, args[0], state, note) }}
	cmd.Flags().StringVar(&note, "note", "", "why, in a few words")
	cmd.ValidArgsFunction = a.completes(marketSymbols)
	return cmd
}

// engineNow connects and asks what there is.
func (a *app) engineNow() (*admin.Client, admin.EngineStatus, error) {
	_, at, err := a.load()
	if err != nil {
		return nil, admin.EngineStatus{}, err
	}
	client, err := operatorClient(a, at)
	if err != nil {
		return nil, admin.EngineStatus{}, err
	}
	status, err := client.Engine(context.Background())
	if errors.Is(err, admin.ErrUnreachable) {
		err = notRunning(at, err)
	}
	return client, status, explained(err)
}

// explained gives what the daemon said its exit code and its hints.
func explained(err error) error {
	var problem *admin.Problem
	if !errors.As(err, &problem) {
		return err
	}
	code := map[admin.Kind]console.Code{admin.Misused: console.Usage, admin.Refused: console.Refused, admin.NotAuthentic: console.NotAuthentic,
		admin.Waiting: console.Waiting}[problem.Kind]
	if code == console.Done {
		code = console.Failed
	}
	return console.Fail(code, err, problem.Hints...)
}

func runMarketAdd(a *app, symbol string, o marketOptions) error {
	if err := symbolSound(symbol); err != nil {
		return err
	}
	if o.base == "" || o.quote == "" {
		return console.Fail(console.Usage, errors.New("--base and --quote are needed"), "exchanged market add --help")
	}
	client, now, err := a.engineNow()
	if err != nil {
		return err
	}
	base, errBase := assetNamed(now, o.base)
	quote, errQuote := assetNamed(now, o.quote)
	if err := errors.Join(errBase, errQuote); err != nil {
		return err
	}
	if o.lot > base.Decimals || int(o.tick)+int(o.lot) > int(quote.Decimals) {
		return console.Fail(console.Usage, fmt.Errorf("--tick %d and --lot %d do not fit: a lot is a whole number of smallest units of %s (%d decimals), and a tick times a lot of %s (%d)",
			o.tick, o.lot, base.Symbol, base.Decimals, quote.Symbol, quote.Decimals), fmt.Sprintf("--tick and --lot together are at most %d", quote.Decimals))
	}
	m := exchange.MarketInfo{ID: exchange.Market(len(now.Markets) + 1), Symbol: symbol, Base: exchange.Asset(base.ID), Quote: exchange.Asset(quote.ID),
		TickDecimals: o.tick, LotDecimals: o.lot, OrdersMax: o.ordersMax}
	if i := slices.IndexFunc(now.Markets, func(m admin.Market) bool { return m.Symbol == symbol }); i >= 0 {
		m.ID = exchange.Market(now.Markets[i].ID)
	}
	if o.closed {
		m.State = exchange.MarketAuction
	}
	for _, field := range []struct {
		flag, text string
		decimals   uint8
		otherwise  int64
		to         *int64
	}{{"price-min", o.priceMin, o.tick, 1, &m.PriceMin}, {"price-max", o.priceMax, o.tick, 0, &m.PriceMax}, {"qty-min", o.qtyMin, o.lot, 1, &m.QtyMin},
		{"qty-max", o.qtyMax, o.lot, 0, &m.QtyMax}, {"notional-min", o.notional, o.tick + o.lot, 1, &m.NotionalMin}} {
		if field.text == "" && field.otherwise == 0 {
			return console.Fail(console.Usage, fmt.Errorf("--%s is needed", field.flag), "exchanged market add --help")
		}
		*field.to = field.otherwise
		if field.text == "" {
			continue
		}
		units, err := money.Parse(field.text, money.Asset{Symbol: symbol, Decimals: field.decimals})
		n, fits := units.Int64()
		if err != nil || !fits {
			return console.Fail(console.Usage, fmt.Errorf("--%s %s is not a number with at most %d decimals", field.flag, field.text, field.decimals))
		}
		*field.to = n
	}
	return a.propose(client, exchange.ChangeIntent{Note: o.note, Market: &m})
}

func assetNamed(now admin.EngineStatus, symbol string) (admin.Asset, error) {
	for _, asset := range now.Assets {
		if asset.Symbol == symbol {
			return asset, nil
		}
	}
	hint := "exchanged asset list"
	if engine.IsSymbol(symbol) {
		hint = "exchanged asset add " + symbol + " --decimals 8"
	}
	return admin.Asset{}, console.Fail(console.Usage, fmt.Errorf("there is no asset %q", console.Printable(symbol)), hint)
}

// marketOf is a market as the engine knows it, for a change that leaves everything but its state.
func marketOf(now admin.EngineStatus, symbol string) (exchange.MarketInfo, error) {
	for _, m := range now.Markets {
		if m.Symbol != symbol {
			continue
		}
		base, errBase := assetNamed(now, m.Base)
		quote, errQuote := assetNamed(now, m.Quote)
		return exchange.MarketInfo{ID: exchange.Market(m.ID), Symbol: m.Symbol, Base: exchange.Asset(base.ID), Quote: exchange.Asset(quote.ID),
			TickDecimals: m.TickDecimals, LotDecimals: m.LotDecimals, PriceMin: m.PriceMin, PriceMax: m.PriceMax, QtyMin: m.QtyMin, QtyMax: m.QtyMax,
			NotionalMin: m.NotionalMin, OrdersMax: m.OrdersMax}, errors.Join(errBase, errQuote)
	}
	return exchange.MarketInfo{}, console.Fail(console.Usage, fmt.Errorf("there is no market %q", console.Printable(symbol)), "exchanged market list")
}

func runMarketState(a *app, symbol string, state exchange.MarketState, note string) error {
	client, now, err := a.engineNow()
	if err != nil {
		return err
	}
	m, err := marketOf(now, symbol)
	if err != nil {
		return err
	}
	m.State = state
	return a.propose(client, exchange.ChangeIntent{Note: note, Market: &m})
}

func runMarketList(a *app) error {
	_, now, err := a.engineNow()
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.markets/v1", map[string]any{"markets": now.Markets})
	}
	rows := [][]string{}
	for _, m := range now.Markets {
		rows = append(rows, []string{m.Symbol, m.Base, m.Quote, m.State})
	}
	return console.Table(a.Out, []string{"MARKET", "BASE", "QUOTE", "STATE"}, rows)
}
