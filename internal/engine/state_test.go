package engine_test

import (
	"bytes"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

const (
	btc  = enginetest.Bitcoin
	usd  = enginetest.Dollar
	pair = enginetest.Pair
)

// one is 1.00000000 of either asset.
const one = 100_000_000

func units(n uint64) money.U128 { return enginetest.Units(n) }

func order(a exchange.Account, side exchange.Side, price, qty int64) exchange.Command {
	return exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: a, Market: pair, Side: side, Price: price, Qty: qty}
}

func named(c exchange.Command, name string) exchange.Command {
	c.Client, _ = exchange.NewClient(name)
	return c
}

// traders returns an exchange in which alice has a million dollars and bob a hundred bitcoins.
func traders(t testing.TB) (w *enginetest.World, alice, bob exchange.Account) {
	t.Helper()
	w = enginetest.Open(engine.StateOptions{})
	alice, bob = w.Customer("alice"), w.Customer("bob")
	w.Give(alice, usd, units(1_000_000*one))
	w.Give(bob, btc, units(100*one))
	return w, alice, bob
}

func expect(t *testing.T, w *enginetest.World, r row, available, held uint64) {
	t.Helper()
	if x, y := w.Balance(r.account, r.asset); x != units(available) || y != units(held) {
		t.Errorf("account %d has %s and %s on hold of asset %d, not %d and %d", r.account, x, y, r.asset, available, held)
	}
}

// Half a bitcoin at 20,000.00: 2,000,000 ticks and 50,000 lots.
func TestATradeMovesMoneyAndGivesBackWhatWasReservedForNothing(t *testing.T) {
	w, alice, bob := traders(t)
	w.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: alice, MakerPPM: 500, TakerPPM: 1000}})
	w.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: bob, MakerPPM: 500, TakerPPM: 1000}})
	w.Must(order(bob, exchange.Sell, 2_000_000, 50_000))
	expect(t, w, row{bob, btc}, 99_50000000, 50000000)
	o := w.Must(order(alice, exchange.Buy, 2_100_000, 100_000))
	if o.Status != exchange.StatusPartiallyFilled || o.Executed != 50_000 || o.Quote != 100_000_000_000 || len(o.Fills) != 1 ||
		o.Fills[0] != (exchange.Fill{Trade: 1, Price: 2_000_000, Qty: 50_000, Fee: units(50000), FeeAsset: btc}) {
		t.Errorf("outcome %+v", o)
	}
	// Half a bitcoin was bought at 20,000, half is on order at 21,000.
	expect(t, w, row{alice, usd}, (1_000_000-10_000-10_500)*one, 10_500*one)
	expect(t, w, row{alice, btc}, 50000000-50000, 0)
	expect(t, w, row{bob, btc}, 99_50000000, 0)
	expect(t, w, row{bob, usd}, 10_000*one-5*one, 0)
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.Cancel, Account: alice, Market: pair, Order: o.Order})
	expect(t, w, row{alice, usd}, (1_000_000-10_000)*one, 0)
}

// Fees are an account's own or the usual ones, whatever came first: the account, the usual fees, or a restart.
func TestAccountsWithoutFeesOfTheirOwnPayTheUsualOnes(t *testing.T) {
	w, alice, bob := traders(t)
	hash := w.State.Hash()
	w.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: bob, Free: true}})
	w.Change(exchange.ChangeIntent{Default: &exchange.DefaultFees{MakerPPM: 500, TakerPPM: 1000}})
	if w.State.Hash() == hash {
		t.Error("the hash knows nothing of it")
	}
	carl := w.Customer("carl")
	w.Give(carl, btc, units(100*one))
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.State, err = engine.RestoreState(&raw, engine.StateOptions{}); err != nil {
		t.Fatal(err)
	}
	for maker, fee := range map[exchange.Account]uint64{bob: 0, carl: 5 * one} { // 500 of a million of 10,000 dollars
		before, _ := w.Balance(maker, usd)
		w.Must(order(maker, exchange.Sell, 2_000_000, 50_000))
		if o := w.Must(order(alice, exchange.Buy, 2_000_000, 50_000)); len(o.Fills) != 1 || o.Fills[0].Fee != units(50000) {
			t.Errorf("%+v", o)
		}
		after, _ := w.Balance(maker, usd)
		if want, _ := before.Add(units(10_000*one - fee)); after != want {
			t.Errorf("account %d has %s, want %s", maker, after, want)
		}
	}
	a, _ := w.State.Answer(exchange.Question{Catalogue: &struct{}{}})
	if a.Fees == nil || *a.Fees != (exchange.DefaultFees{MakerPPM: 500, TakerPPM: 1000}) {
		t.Errorf("the catalogue says %+v", a.Fees)
	}
}
