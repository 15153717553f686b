package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// request is one of the WebSocket API, signed when tr is not nil.
func (r *rig) wsRequest(tr *trader, method string, params map[string]any) string {
	r.pass(time.Millisecond)
	if params == nil {
		params = map[string]any{}
	}
	if tr != nil {
		params["apiKey"] = tr.name
		if params["timestamp"] == nil {
			params["timestamp"] = r.clock().UnixMilli()
		}
		var pairs []string
		for n, v := range params {
			pairs = append(pairs, n+"="+fmt.Sprint(v))
		}
		slices.Sort(pairs)
		signature := tr.signature(strings.Join(pairs, "&"))
		signature = strings.NewReplacer("%2B", "+", "%2F", "/", "%3D", "=").Replace(signature)
		params["signature"] = signature
	}
	raw, _ := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	return string(raw)
}

// outcome is the status, the code and the result of an answer.
func outcome(m map[string]any) string {
	code := ""
	if e, is := m["error"].(map[string]any); is {
		code = fmt.Sprint(" ", e["code"])
	}
	return fmt.Sprint(m["status"]) + code
}

func (r *rig) unsigned(s *socket, method string, params map[string]any) map[string]any {
	if params == nil {
		params = map[string]any{}
	}
	if params["timestamp"] == nil {
		params["timestamp"] = r.clock().UnixMilli()
	}
	return s.ask(r.wsRequest(nil, method, params))
}

func order(price string) map[string]any {
	return map[string]any{"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": price}
}

func TestASessionStandsForTheSignaturesThatFollow(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "ed25519", all)
	s, other := r.dial("/ws-api/v3"), r.dial("/ws-api/v3")
	if m := s.ask(`{"id":1,"method":"session.status"}`); outcome(m) != "200" || m["result"].(map[string]any)["apiKey"] != nil {
		t.Error(m)
	}
	if m := r.unsigned(s, "order.place", order("40000")); outcome(m) != "401 -2015" {
		t.Error(m)
	}
	m := s.ask(r.wsRequest(tr, "session.logon", nil))
	if result, _ := m["result"].(map[string]any); outcome(m) != "200" || result["apiKey"] != tr.name || result["authorizedSince"] == nil || result["userDataStream"] != false {
		t.Fatal(m)
	}
	for range 2 { // the same words twice are two orders: each request of a session has an identity of its own
		if m := r.unsigned(s, "order.place", order("40000")); outcome(m) != "200" {
			t.Error(m)
		}
	}
	if m := r.unsigned(s, "openOrders.status", map[string]any{"symbol": "BTCUSDT"}); outcome(m) != "200" || len(m["result"].([]any)) != 2 {
		t.Error(m)
	}
	if m := r.unsigned(other, "order.place", order("40000")); outcome(m) != "401 -2015" {
		t.Error("another connection has the session too", m)
	}
	if m := s.ask(`{"id":1,"method":"userDataStream.subscribe"}`); outcome(m) != "200" || fmt.Sprint(m["result"]) != "map[subscriptionId:0]" {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"session.subscriptions"}`); fmt.Sprint(m["result"]) != "[map[subscriptionId:0]]" {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"session.status"}`); m["result"].(map[string]any)["userDataStream"] != true {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}}`); outcome(m) != "200" {
		t.Error(m)
	}
	if m := s.ask(`{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}}`); outcome(m) != "400 -2036" {
		t.Error(m)
	}
	if m := s.ask(r.wsRequest(nil, "session.logout", nil)); outcome(m) != "200" || m["result"].(map[string]any)["apiKey"] != nil {
		t.Error(m)
	}
	if m := r.unsigned(s, "order.place", order("40000")); outcome(m) != "401 -2015" {
		t.Error(m)
	}
}

// Controls 82 and 83: only a key without a secret at the server opens a session, by a fresh signature that counts once;
// the requests that follow still have their time.
func TestControl082And083ASessionIsOpenedByAFreshSignature(t *testing.T) {
	r := newRig(t)
	secret, tr := r.trader("secret", "hmac", all), r.trader("trader", "ed25519", all)
	s := r.dial("/ws-api/v3")
	if m := s.ask(r.wsRequest(secret, "session.logon", nil)); outcome(m) != "401 -4056" {
		t.Error(m)
	}
	if m := r.unsigned(s, "session.logon", nil); outcome(m) != "401 -2015" {
		t.Error(m)
	}
	old := r.wsRequest(tr, "session.logon", map[string]any{"recvWindow": 30_000, "timestamp": r.clock().Add(-31 * time.Second).UnixMilli()})
	if m := s.ask(old); outcome(m) != "400 -1021" {
		t.Error(m)
	}
	logon := r.wsRequest(tr, "session.logon", nil)
	if m := s.ask(logon); outcome(m) != "200" {
		t.Fatal(m)
	}
	thief := r.dial("/ws-api/v3")
	if m := thief.ask(logon); outcome(m) != "400 -1021" {
		t.Error("a captured logon opens another session", m)
	}
	if m := r.unsigned(s, "session.logon", nil); outcome(m) != "401 -2015" {
		t.Error("a session opens a session", m)
	}
	late := order("40000")
	late["timestamp"], late["recvWindow"] = r.clock().Add(-31*time.Second).UnixMilli(), 60_000
	if m := r.unsigned(s, "order.place", late); outcome(m) != "400 -1021" {
		t.Error(m)
	}
	untimed := s.ask(r.wsRequest(nil, "order.place", order("40000")))
	if outcome(untimed) != "400 -1102" {
		t.Error(untimed)
	}
	if len(r.commands) != 0 {
		t.Errorf("%d commands", len(r.commands))
	}
}

// Control 84: scopes and addresses of the key count for every request of its session, as they are then.
func TestControl084ASessionMayWhatItsKeyMay(t *testing.T) {
	r := newRig(t)
	reader, far := r.trader("reader", "ed25519", exchange.ScopeRead), r.trader("far", "ed25519", all, "198.51.100.0/24")
	s := r.dial("/ws-api/v3")
	if m := s.ask(r.wsRequest(far, "session.logon", nil)); outcome(m) != "401 -2015" {
		t.Error("a session from an address that the key does not name", m)
	}
	if m := s.ask(r.wsRequest(reader, "session.logon", nil)); outcome(m) != "200" {
		t.Fatal(m)
	}
	if m := r.unsigned(s, "order.place", order("40000")); outcome(m) != "401 -2015" {
		t.Error(m)
	}
	if m := r.unsigned(s, "account.status", nil); outcome(m) != "200" {
		t.Error(m)
	}
}

// A key that is revoked, an account that is frozen, and events that were missed end the session with its connection.
func TestASessionEndsWithItsKeyAndWithItsAccount(t *testing.T) {
	for name, act := range map[string]func(*rig, *trader){
		"revoked": func(r *rig, tr *trader) {
			r.inWorld(func(w *enginetest.World) {
				w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyRevoke, Account: tr.account, Body: enginetest.Body(exchange.KeyBody{Key: tr.name})})
			})
		},
		"frozen": func(r *rig, tr *trader) {
			r.inWorld(func(w *enginetest.World) {
				w.Change(exchange.ChangeIntent{Freeze: &exchange.StateChange{Account: tr.account, State: exchange.AccountFrozen}})
			})
		},
		"missed": func(r *rig, tr *trader) { r.server.Missed() },
	} {
		r := newRig(t)
		tr, other := r.trader("trader", "ed25519", all), r.trader("other", "ed25519", all)
		s, t2 := r.dial("/ws-api/v3"), r.dial("/ws-api/v3")
		if m := s.ask(r.wsRequest(tr, "session.logon", nil)); outcome(m) != "200" {
			t.Fatal(m)
		}
		if m := t2.ask(r.wsRequest(other, "session.logon", nil)); outcome(m) != "200" {
			t.Fatal(m)
		}
		act(r, tr)
		if _, _, err := s.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: the connection goes on: %v", name, err)
		}
		if name != "missed" {
			if m := r.unsigned(t2, "order.place", order("40000")); outcome(m) != "200" {
				t.Errorf("%s: the neighbour's session ended too: %v", name, m)
			}
		}
	}
}

// Answers of the WebSocket API tell what was used, and when to come again, unless the client wants neither.
func TestAnswersOfTheWebSocketAPITellWhatWasUsed(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "ed25519", all)
	loud, quiet := r.dial("/ws-api/v3"), r.dial("/ws-api/v3?returnRateLimits=false&timeUnit=MILLISECOND")
	m := loud.ask(r.wsRequest(tr, "order.place", order("40000")))
	if rows, _ := m["rateLimits"].([]any); outcome(m) != "200" || len(rows) != 3 || !strings.Contains(fmt.Sprint(rows[0]), "ORDERS") {
		t.Error(m)
	}
	if m := loud.ask(`{"id":1,"method":"time"}`); len(m["rateLimits"].([]any)) != 1 {
		t.Error(m)
	}
	if m := quiet.ask(r.wsRequest(tr, "order.place", order("40001"))); outcome(m) != "200" || m["rateLimits"] != nil {
		t.Error(m)
	}
	if m := quiet.ask(`{"id":1,"method":"time","params":{"returnRateLimits":true}}`); m["rateLimits"] == nil {
		t.Error(m)
	}
	if a := r.send(r.request("GET", "/ws-api/v3?timeUnit=MICROSECOND", nil)); a.code() != -1100 {
		t.Error(a.body)
	}
	r.set(&r.full, true)
	m = loud.ask(r.wsRequest(tr, "account.status", nil))
	if e := m["error"].(map[string]any); outcome(m) != "503 -1008" || e["data"].(map[string]any)["retryAfter"] == nil {
		t.Error(m)
	}
}

// A question that finds the engine's queue full is not a lost one: 503, -1008 and when to come again.
func TestAQuestionThatFindsAFullQueueIsBusy(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.status != 200 {
		t.Fatal(a.body)
	}
	r.set(&r.full, true)
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.status != 503 || a.code() != -1008 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.server.keys.drop("")
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.status != 503 || a.code() != -1008 {
		t.Errorf("a key that nobody could be asked for: %d %s", a.status, a.body)
	}
}
