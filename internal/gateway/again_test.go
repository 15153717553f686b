package gateway

import (
	"strings"
	"testing"
)

// An order whose first answer was lost is answered like one whose answer was not: with its trades.
func TestAnOrderThatIsAskedForAgainIsAnsweredWhole(t *testing.T) {
	r := newRig(t)
	maker, taker := r.trader("maker", "hmac", all), r.trader("taker", "hmac", all)
	r.signed(maker, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	r.set(&r.lossy, true)
	a := r.signed(taker, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=50000")
	if a.status != 200 || a.field("status") != "FILLED" || a.field("executedQty") != "0.50000000" ||
		!strings.Contains(a.body, `"fills":[{"price":"50000.00000000","qty":"0.50000000",`) || strings.Count(a.body, "tradeId") != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(r.trades) != 1 {
		t.Errorf("%d trades", len(r.trades))
	}
}

// Cancels too: by name, all at once, and with a replacement, also when the events that tell of them were missed.
func TestACancelThatIsAskedForAgainIsAnsweredWhole(t *testing.T) {
	for _, missed := range []bool{false, true} {
		r := newRig(t)
		tr := r.trader("trader", "hmac", all)
		place := func(name string) {
			t.Helper()
			if a := r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newClientOrderId="+name); a.status != 200 {
				t.Fatal(a.body)
			}
		}
		place("one")
		place("two")
		place("three")
		r.set(&r.lossy, true)
		r.setLost(missed)
		if a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=one"); a.status != 200 || a.field("price") != "50000.00000000" || a.field("status") != "CANCELED" {
			t.Errorf("%v: %d %s", missed, a.status, a.body)
		}
		if a := r.signed(tr, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"); a.status != 200 || strings.Count(a.body, `"origClientOrderId":"t`) != 2 {
			t.Errorf("%v: %d %s", missed, a.status, a.body)
		}
	}
}
