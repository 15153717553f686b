package gateway

import (
	"net/url"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

const limitBuy = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00010&price=50000.00"

func TestOrdersOfEveryTypeArePlacedAsBinanceWritesThem(t *testing.T) {
	r := newRig(t)
	maker, taker := r.trader("maker", "hmac", all), r.trader("taker", "ed25519", all)
	if a := r.signed(maker, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000&newClientOrderId=first"); a.status != 200 ||
		a.field("orderId") != "1" || a.field("clientOrderId") != "first" || a.field("status") != "NEW" || a.field("price") != "50000.00000000" ||
		a.field("origQty") != "1.00000000" || a.field("timeInForce") != "GTC" || a.field("fills") != "[]" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, c := range []struct{ query, status, typ, executed, quote string }{
		{"side=BUY&type=MARKET&quantity=0.5", "FILLED", "MARKET", "0.50000000", "25000.00000000"},
		{"side=BUY&type=MARKET&quoteOrderQty=5000", "FILLED", "MARKET", "0.10000000", "5000.00000000"},
		{"side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=50000", "FILLED", "LIMIT", "0.10000000", "5000.00000000"},
		{"side=BUY&type=LIMIT_MAKER&quantity=0.1&price=49000&newOrderRespType=FULL", "NEW", "LIMIT_MAKER", "0.00000000", "0.00000000"},
		{"side=SELL&type=STOP_LOSS&quantity=0.1&stopPrice=48000&newOrderRespType=RESULT", "NEW", "STOP_LOSS", "0.00000000", "0.00000000"},
		{"side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.1&price=47000&stopPrice=48000&newOrderRespType=RESULT", "NEW", "STOP_LOSS_LIMIT", "0.00000000", "0.00000000"},
		{"side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.2&price=48500&icebergQty=0.05", "NEW", "LIMIT", "0.00000000", "0.00000000"},
	} {
		a := r.signed(taker, "POST", "/api/v3/order", "symbol=BTCUSDT&"+c.query)
		if a.status != 200 || a.field("status") != c.status || a.field("type") != c.typ || a.field("executedQty") != c.executed || a.field("cummulativeQuoteQty") != c.quote {
			t.Errorf("%s: %d %s", c.query, a.status, a.body)
		}
	}
	fill := r.signed(taker, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1")
	if !strings.Contains(fill.body, `"fills":[{"price":"50000.00000000","qty":"0.10000000","commission":"`) || !strings.Contains(fill.body, `"commissionAsset":"BTC","tradeId":4}]`) {
		t.Error(fill.body)
	}
	if a := r.signed(taker, "POST", "/api/v3/order", limitBuy+"&newOrderRespType=ACK"); strings.Contains(a.body, "executedQty") || !strings.Contains(a.body, "transactTime") {
		t.Error(a.body)
	}
}

func TestControl025OrdersAreRefusedWithTheDocumentedCodes(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	base := map[string]string{"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "50000"}
	for _, c := range []struct {
		change string // name=value; without '=' the parameter is left out
		code   int
	}{
		{"symbol=NOPE", -1121}, {"symbol", -1102}, {"side=HOLD", -1117}, {"side", -1102}, {"type=TAKE_PROFIT", -1116}, {"type=TAKE_PROFIT_LIMIT", -1116}, {"type=OCO", -1116},
		{"timeInForce=GTX", -1115}, {"timeInForce", -1102}, {"quantity", -1102}, {"price", -1102},
		{"quantity=1e3", -1100}, {"quantity=-1", -1100}, {"quantity=%2B1", -1100}, {"quantity=.5", -1100}, {"quantity=5.", -1100}, {"quantity=1_0", -1100},
		{"quantity=0x10", -1100}, {"quantity=NaN", -1100}, {"quantity=1e309", -1100}, {"quantity=%201", -1100}, {"quantity=1%20", -1100}, {"quantity=1,0", -1100},
		{"quantity=0.0010000001", -1111}, {"quantity=0.00000001", -1013}, {"quantity=0", -1013}, {"quantity=99999999999999999999999", -1013},
		{"price=50000.001", -1013}, {"price=0.123456789", -1111}, {"price=0", -1013}, {"quantity=", -1105},
		{"stopPrice=49000", -1106}, {"quoteOrderQty=10", -1106}, {"icebergQty=1", -1013}, {"trailingDelta=5", -1104}, {"newOrderRespType=MAX", -1136},
		{"selfTradePreventionMode=DECREMENT", -1130}, {"newClientOrderId=with space", -1100}, {"newClientOrderId=" + strings.Repeat("a", 37), -1100},
		{"recvWindow=60001", -1131}, {"recvWindow=-1", -1100}, {"recvWindow=5000.5", -1100}, {"strategyId=1", -1104},
	} {
		q := url.Values{}
		for k, v := range base {
			q.Set(k, v)
		}
		name, value, set := strings.Cut(c.change, "=")
		q.Del(name)
		query := q.Encode()
		if set {
			query += "&" + name + "=" + strings.ReplaceAll(value, " ", "%20")
		}
		if a := r.signed(tr, "POST", "/api/v3/order", query); a.code() != c.code || a.status != 400 {
			t.Errorf("%s: %d %s, want %d", c.change, a.status, a.body, c.code)
		}
	}
	if a := r.signed(tr, "POST", "/api/v3/order", limitBuy+"&price=50000"); a.code() != -1101 {
		t.Errorf("a parameter twice: %s", a.body)
	}
	if len(r.commands) != 0 {
		t.Errorf("%d refused orders reached the engine", len(r.commands))
	}
	for query, code := range map[string]int{
		"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=9000&price=20000000": -2010,
		"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=FOK&quantity=9&price=50000":       -2010,
		"symbol=BTCUSDT&side=BUY&type=MARKET&timeInForce=GTC&quantity=1":                  -1106,
		"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quoteOrderQty=1":                  -1106,
	} {
		if a := r.signed(tr, "POST", "/api/v3/order", query); a.code() != code {
			t.Errorf("%s: %s", query, a.body)
		}
	}
}

func TestCancelsReplacementsAndAmendmentsTellWhatBecameOfTheOrder(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	place := func(name string) {
		t.Helper()
		r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newClientOrderId="+name)
	}
	place("a")
	a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=a&newClientOrderId=by")
	if a.status != 200 || a.field("origClientOrderId") != "a" || a.field("clientOrderId") != "by" || a.field("status") != "CANCELED" || a.field("price") != "50000.00000000" {
		t.Fatal(a.body)
	}
	if a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=1"); a.code() != -2011 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT"); a.code() != -1102 {
		t.Error(a.body)
	}
	place("b")
	a = r.signed(tr, "POST", "/api/v3/order/cancelReplace", strings.Replace(limitBuy, "50000.00", "51000", 1)+"&cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=b&newClientOrderId=c")
	if a.status != 200 || a.field("cancelResult") != "SUCCESS" || !strings.Contains(a.field("cancelResponse"), `"origClientOrderId":"b"`) ||
		!strings.Contains(a.field("newOrderResponse"), `"clientOrderId":"c"`) {
		t.Fatal(a.body)
	}
	a = r.signed(tr, "POST", "/api/v3/order/cancelReplace", limitBuy+"&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=77")
	if a.status != 400 || a.code() != -2022 || !strings.Contains(a.field("data"), `"newOrderResult":"NOT_ATTEMPTED"`) {
		t.Error(a.body)
	}
	a = r.signed(tr, "PUT", "/api/v3/order/amend/keepPriority", "symbol=BTCUSDT&origClientOrderId=c&newQty=0.00004")
	if a.status != 200 || !strings.Contains(a.field("amendedOrder"), `"qty":"0.00004000"`) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "PUT", "/api/v3/order/amend/keepPriority", "symbol=BTCUSDT&origClientOrderId=c&newQty=0.00009"); a.code() != -2038 {
		t.Error(a.body)
	}
	place("d")
	if a := r.signed(tr, "GET", "/api/v3/openOrders", "symbol=BTCUSDT"); strings.Count(a.body, `"orderId"`) != 2 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=d"); a.field("status") != "NEW" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"); strings.Count(a.body, `"CANCELED"`) != 2 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"); a.code() != -2011 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&orderId=99"); a.code() != -2013 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/allOrders", "symbol=BTCUSDT"); strings.Count(a.body, `"orderId"`) != 4 {
		t.Error(a.body)
	}
}

// An answer that is lost is not a refusal: the client must find out, and is told so.
func TestATimeoutSaysThatTheOutcomeIsNotKnown(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	if a := r.signed(tr, "GET", "/api/v3/account", ""); a.status != 200 {
		t.Fatal(a.body)
	}
	r.mu.Lock()
	r.late = true
	r.mu.Unlock()
	if a := r.signed(tr, "POST", "/api/v3/order", limitBuy); a.status != 504 || a.code() != -1007 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Records follow the journal; whoever was told of an order also finds it.
func TestAQuestionWaitsForRecordsThatAreBehind(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", limitBuy)
	r.mu.Lock()
	r.behind = 3
	r.mu.Unlock()
	if a := r.signed(tr, "GET", "/api/v3/allOrders", "symbol=BTCUSDT"); a.status != 200 || !strings.Contains(a.body, `"orderId":1`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.mu.Lock()
	r.behind = 1000
	r.mu.Unlock()
	if a := r.signed(tr, "GET", "/api/v3/allOrders", "symbol=BTCUSDT"); a.status != 503 || a.code() != -1008 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestEveryCodeOfTheEngineHasAWord(t *testing.T) {
	codes := outcomeCodes()
	for code := exchange.Done; code <= exchange.Superseded; code++ {
		p, there := codes[code]
		if !there || p.status == 0 || p.status >= 400 && (p.code >= -999 || p.msg == "") {
			t.Errorf("code %d is told as %+v", code, p)
		}
	}
	if len(codes) != int(exchange.Superseded)+1 {
		t.Errorf("%d codes are told, the engine has %d", len(codes), exchange.Superseded+1)
	}
}

func TestATestOrderChangesNothing(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	if a := r.signed(tr, "POST", "/api/v3/order/test", limitBuy); a.status != 200 || a.body != "{}" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "POST", "/api/v3/order/test", limitBuy+"&computeCommissionRates=true"); !strings.Contains(a.body, "standardCommissionForOrder") {
		t.Error(a.body)
	}
	if a := r.signed(tr, "POST", "/api/v3/order/test", "symbol=BTCUSDT&side=BUY"); a.code() != -1102 {
		t.Error(a.body)
	}
	if len(r.commands) != 0 {
		t.Error("a test order reached the engine")
	}
}

func TestAccountsAreToldExactly(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	r.signed(tr, "POST", "/api/v3/order", limitBuy)
	a := r.signed(tr, "GET", "/api/v3/account", "omitZeroBalances=true")
	if a.status != 200 || !strings.Contains(a.body, `"free":"1000.`) || a.field("accountType") != "SPOT" || a.field("canTrade") != "" && false {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/myTrades", "symbol=BTCUSDT"); !strings.Contains(a.body, `"qty":"0.00010000","quoteQty":"5.00000000"`) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/capital/config/getall", ""); !strings.Contains(a.body, `"network":"BTC"`) || !strings.Contains(a.body, `"withdrawFee":"0.00001000"`) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/asset/tradeFee", "symbol=BTCUSDT"); !strings.Contains(a.body, `"takerCommission"`) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/account/commission", "symbol=BTCUSDT"); !strings.Contains(a.body, `"standardCommission"`) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/rateLimit/order", ""); !strings.Contains(a.body, `"count":2`) {
		t.Error(a.body)
	}
	_ = enginetest.Pair
}
