package engine_test

import (
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
)

// told is what somebody knows who hears the events of balances alone, as records and streams do.
type told map[row]exchange.BalanceRecord

func (k told) hear(t *testing.T, events []byte) {
	t.Helper()
	var e exchange.Event
	for len(events) > 0 {
		rest, err := e.Read(events)
		if err != nil {
			t.Fatal(err)
		}
		if events = rest; e.Kind == exchange.BalanceChanged {
			k[row{e.Balance.Account, e.Balance.Asset}] = e.Balance
		}
	}
}

// A replacement may sell what the order before it would have bought: then two rows change.
func TestAReplacementOnTheOtherSideTellsBothBalances(t *testing.T) {
	w, alice, _ := traders(t)
	w.Give(alice, btc, units(one))
	old := w.Must(order(alice, exchange.Buy, 2_000_000, 50_000))
	instead := order(alice, exchange.Sell, 3_000_000, 10_000)
	instead.Kind, instead.Order = exchange.Replace, old.Order
	w.Must(instead)
	known := told{}
	known.hear(t, w.Results.Events)
	for _, asset := range []exchange.Asset{btc, usd} {
		available, held := w.Balance(alice, asset)
		if b := known[row{alice, asset}]; b.Available != available || b.Held != held {
			t.Errorf("asset %d: told %s and %s, has %s and %s", asset, b.Available, b.Held, available, held)
		}
	}
}

func TestWhoeverHearsTheEventsKnowsEveryBalance(t *testing.T) {
	c, known := newCrowd(t, 5, engine.StateOptions{}), told{}
	for i := range 8000 {
		c.w.Now += exchange.Millis(c.r.IntN(40))
		k := c.next()
		o := c.w.Do(k)[0]
		c.market(k, &o)
		c.m.read(t, c.w.Results.Events)
		known.hear(t, c.w.Results.Events)
		for r, b := range known {
			if available, held := c.w.Balance(r.account, r.asset); b.Available != available || b.Held != held {
				t.Fatalf("command %d of kind %d: %+v was told %s and %s, has %s and %s", i, k.Kind, r, b.Available, b.Held, available, held)
			}
		}
	}
}
