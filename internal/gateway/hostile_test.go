package gateway

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/limits"
)

// elsewhere sends a request as it is from one of many addresses of a stranger.
func (r *rig) elsewhere(q *http.Request, i int) answer {
	q.RemoteAddr = fmt.Sprintf("203.0.113.%d:1", i%250)
	return r.send(q)
}

// Control 87: what somebody else sends never uses up what an account may. Known to strangers are the name of a key,
// which every request carries, and requests that were signed long ago or a moment ago, which lie in the logs of proxies.
func TestControl087StrangersUseUpNothingOfAnAccount(t *testing.T) {
	for name, attack := range map[string]func(r *rig, victim *trader) func() *http.Request{
		"the name alone": func(r *rig, victim *trader) func() *http.Request {
			return func() *http.Request { return r.request("GET", "/api/v3/historicalTrades?symbol=BTCUSDT", victim) }
		},
		"an old request": func(r *rig, victim *trader) func() *http.Request {
			old := victim.sign("", r.clock())
			r.pass(time.Hour)
			return func() *http.Request { return r.request("GET", "/api/v3/openOrders?"+old, victim) }
		},
		"an order of a moment ago": func(r *rig, victim *trader) func() *http.Request {
			order := victim.sign(limitBuy, r.clock())
			r.send(raw("POST", "/api/v3/order/test", order, victim.name))
			return func() *http.Request { return raw("POST", "/api/v3/order", order, victim.name) }
		},
	} {
		for _, allowed := range [][]string{nil, {"192.0.2.0/24"}} {
			r := newLimitedRig(t, limits.Options{})
			victim := r.trader("victim", "hmac", all, allowed...)
			next := attack(r, victim)
			for i := range 600 {
				r.elsewhere(next(), i)
			}
			a := r.signed(victim, "POST", "/api/v3/order", limitBuy)
			if a.status != 200 {
				t.Errorf("%s, key for %v: the customer's own order gets %d %s", name, allowed, a.status, a.body)
			}
			if a := r.signed(victim, "GET", "/api/v3/openOrders", ""); a.status != 200 {
				t.Errorf("%s, key for %v: the customer's own question gets %d %s", name, allowed, a.status, a.body)
			}
			if n := a.header.Get("X-Mbx-Order-Count-10s"); n != "1" {
				t.Errorf("%s, key for %v: %s orders are counted", name, allowed, n)
			}
		}
	}
}
