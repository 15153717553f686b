package storetest

import (
	"fmt"
	"math/rand/v2"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Genesis is how the exchange of a test begins: people, two assets, a market, and customers 1 to accounts with money
// that lasts. Every frame of it goes to seen, in order; it returns the time after it.
func Genesis(accounts int, seen func(engine.Frame)) exchange.Millis {
	w := &enginetest.World{State: engine.NewState(engine.StateOptions{NoEvents: true}), People: enginetest.NewPeople(), Now: enginetest.Start, Seen: seen}
	w.Change(exchange.ChangeIntent{Roster: w.People.Roster()})
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Bitcoin, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest", WithdrawMin: enginetest.Units(20_000), WithdrawFee: enginetest.Units(1000), WithdrawDayMax: enginetest.Units(2_100_000_000_000_000)}})
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Dollar, Symbol: "USDT", Decimals: 8}})
	w.Change(exchange.ChangeIntent{Market: &exchange.MarketInfo{ID: enginetest.Pair, Symbol: "BTCUSDT", Base: enginetest.Bitcoin, Quote: enginetest.Dollar,
		TickDecimals: 2, LotDecimals: 5, QtyMin: 1, QtyMax: 1_000_000_000}})
	for i := range accounts {
		a := w.Customer(fmt.Sprintf("customer%d", i+1))
		w.Give(a, enginetest.Bitcoin, enginetest.Units(1<<50))
		w.Give(a, enginetest.Dollar, enginetest.Units(1<<62))
	}
	return w.Now
}

// Trader makes one customer's commands: 70 % orders near the middle of the book, 20 % cancels of its own, 10 % orders that
// take. The book stays about as large as it is.
type Trader struct {
	account exchange.Account
	random  *rand.Rand
	open    []exchange.OrderID
	begun   bool
}

// NewTrader makes a trader; the same seed makes the same commands from the same outcomes.
func NewTrader(account exchange.Account, seed uint64) *Trader {
	return &Trader{account: account, random: rand.New(rand.NewPCG(seed, uint64(account)))}
}

const (
	middle  = 50_000_00 // ticks
	openMax = 100       // orders of one trader; above that it cancels
)

// Next returns the next command; the first one cancels what an earlier trader of the account left. Its identity is drawn from the same seed.
func (t *Trader) Next() exchange.Command {
	c := exchange.Command{Kind: exchange.Place, Account: t.account, Market: enginetest.Pair, Side: exchange.Side(t.random.IntN(2)), Qty: 1 + t.random.Int64N(100)}
	for i := 0; i < len(c.ID); i += 8 {
		n := t.random.Uint64()
		for k := range 8 {
			c.ID[i+k] = byte(n >> (8 * k))
		}
	}
	if !t.begun {
		t.begun = true
		return exchange.Command{ID: c.ID, Kind: exchange.CancelAll, Account: t.account, Market: enginetest.Pair}
	}
	dice := t.random.IntN(10)
	if len(t.open) > 0 && (dice < 2 || len(t.open) >= openMax) {
		i := t.random.IntN(len(t.open))
		c = exchange.Command{ID: c.ID, Kind: exchange.Cancel, Account: t.account, Market: enginetest.Pair, Order: t.open[i]}
		t.open[i] = t.open[len(t.open)-1]
		t.open = t.open[:len(t.open)-1]
		return c
	}
	away := 1 + t.random.Int64N(500)
	if dice == 9 {
		away, c.Force = -20, exchange.ImmediateOrCancel
	}
	if c.Side == exchange.Buy {
		away = -away
	}
	c.Price = middle + away
	return c
}

// Saw tells the trader what became of a command.
func (t *Trader) Saw(o *exchange.Outcome) {
	if o.Code == exchange.Done && o.Order != 0 && !o.Status.Ended() && o.Canceled == 0 && !o.Again {
		t.open = append(t.open, o.Order)
	}
}
