package gateway

import (
	"testing"
	"time"
)

// another is a second gateway at the same engine. It hears the same events, unless it is deaf.
func (r *rig) another(deaf bool) *rig {
	r.t.Helper()
	b := &rig{t: r.t, now: r.now}
	var err error
	if b.server, err = New(Options{Engine: r, Limits: open{}, Clock: r.clock, Timeout: 2 * time.Second}); err != nil {
		r.t.Fatal(err)
	}
	if err := b.server.loadCatalogue(r.t.Context(), 0); err != nil {
		r.t.Fatal(err)
	}
	if !deaf {
		r.also = b.server
	}
	return b
}

// An order that was placed and filled at one gateway is found at another, whose records are behind: whether its events
// have come there or not. That there is no such order is said only when it is true.
func TestAnOrderOfOneGatewayIsFoundAtAnother(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		r := newRig(t)
		b := r.another(deaf)
		tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
		r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
		before := r.world.State.Seq()
		if a := r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newClientOrderId=mine"); a.field("status") != "FILLED" {
			t.Fatal(a.body)
		}
		r.mu.Lock()
		r.old, r.oldSeq = 2, before
		r.mu.Unlock()
		at := func(query string) answer {
			r.pass(time.Millisecond)
			return b.send(b.request("GET", "/api/v3/order?"+tr.sign("symbol=BTCUSDT&"+query, r.clock()), tr))
		}
		if a := at("origClientOrderId=mine"); a.status != 200 || a.field("status") != "FILLED" {
			t.Errorf("deaf %v: %d %s", deaf, a.status, a.body)
		}
		if a := at("origClientOrderId=none"); a.code() != -2013 {
			t.Errorf("deaf %v: %d %s", deaf, a.status, a.body)
		}
		r.mu.Lock()
		r.old, r.oldSeq = 1000, before
		r.mu.Unlock()
		if a := at("origClientOrderId=mine"); a.status != 503 || a.code() != -1008 {
			t.Errorf("deaf %v: records that stay behind: %d %s", deaf, a.status, a.body)
		}
	}
}

// Lists too, once the events have come.
func TestTradesOfOneGatewayAreListedAtAnother(t *testing.T) {
	r := newRig(t)
	b := r.another(false)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	before := r.world.State.Seq()
	r.signed(tr, "POST", "/api/v3/order", limitBuy)
	r.mu.Lock()
	r.old, r.oldSeq = 3, before
	r.mu.Unlock()
	r.pass(time.Millisecond)
	if a := b.send(b.request("GET", "/api/v3/myTrades?"+tr.sign("symbol=BTCUSDT", r.clock()), tr)); a.status != 200 || a.body == "[]" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
