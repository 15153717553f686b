package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a market maker meets in the first hour.

// A stop order works from the moment at which it is touched, and not before.
func TestAStopOrderWorksOnlyWhenItIsTouched(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	key := r.send(r.request("POST", "/api/v3/userDataStream", tr)).field("listenKey")
	s := r.dial("/ws/" + key)
	r.until(func() bool { return r.server.users.hears(tr.account) })
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000")
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=49000")
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.001&selfTradePreventionMode=NONE")
	a := r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.1&price=49500&stopPrice=49500&newClientOrderId=stop&newOrderRespType=RESULT")
	if a.field("workingTime") != "-1" || a.field("status") != "NEW" || a.field("stopPrice") != "49500.00000000" {
		t.Fatal(a.body)
	}
	if m := s.read(); m["x"] != "NEW" || m["w"] != false || m["W"] != nil {
		t.Error(m)
	}
	s.read() // balances
	look := func() answer { return r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=stop") }
	if a := look(); a.field("workingTime") != "-1" || !strings.Contains(a.body, `"isWorking":false`) {
		t.Error(a.body)
	}
	r.pass(time.Second)
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01&selfTradePreventionMode=NONE") // trades at 50000 and 49000
	now := fmt.Sprint(r.clock().UnixMilli())
	if m := s.read(); m["x"] != "NEW" || m["X"] != "NEW" || m["w"] != true || fmt.Sprint(m["W"]) != now {
		t.Error(m)
	}
	if a := look(); a.field("workingTime") != now || !strings.Contains(a.body, `"isWorking":true`) || a.field("status") != "NEW" {
		t.Error(a.body)
	}
}

// Of a market order Binance says GTC, and one by quote quantity is for what it bought.
func TestAMarketOrderIsToldAsBinanceTellsIt(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	a := r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=5000")
	if a.field("timeInForce") != "GTC" || a.field("origQty") != "0.10000000" || a.field("origQuoteOrderQty") != "5000.00000000" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&orderId="+a.field("orderId")); a.field("timeInForce") != "GTC" || a.field("origQty") != "0.10000000" {
		t.Error(a.body)
	}
}

// What self-trade prevention took out is said in quantities.
func TestPreventedQuantitiesAreTold(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	a := r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.25&price=50000&selfTradePreventionMode=EXPIRE_TAKER")
	if a.status != 200 || a.field("status") != "EXPIRED_IN_MATCH" || a.field("preventedQuantity") != "0.25000000" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&orderId="+a.field("orderId")); a.field("preventedQuantity") != "0.25000000" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/order", "symbol=BTCUSDT&orderId=1"); a.field("preventedQuantity") != "" {
		t.Error(a.body)
	}
}

// A cancel that gives identity and name has to mean one order by both.
func TestACancelMayGiveIdentityAndName(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newClientOrderId=a")
	if a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=1&origClientOrderId=b"); a.code() != -2011 {
		t.Error(a.body)
	}
	if a := r.signed(tr, "DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=1&origClientOrderId=a"); a.status != 200 {
		t.Error(a.body)
	}
}

// The texts on which programs branch, where a code alone does not say enough.
func TestRefusalsHaveTheDocumentedWords(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000")
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000")
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=40000&newClientOrderId=there")
	for _, c := range []struct{ method, path, query, want string }{
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=9000&price=50000", `{"code":-2010,"msg":"Account has insufficient balance for requested action."}`},
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=41000&newClientOrderId=there", `{"code":-2010,"msg":"Duplicate order sent."}`},
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001&price=51000", `{"code":-2010,"msg":"Order would immediately match and take."}`},
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.001&stopPrice=60000", `{"code":-2010,"msg":"Order would trigger immediately."}`},
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.0000001&price=50000", `{"code":-1013,"msg":"Filter failure: LOT_SIZE"}`},
		{"POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000.001", `{"code":-1013,"msg":"Filter failure: PRICE_FILTER"}`},
		{"DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=99", `{"code":-2011,"msg":"Unknown order sent."}`},
		{"DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", ""},
		{"DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", `{"code":-2011,"msg":"Unknown order sent."}`},
		{"GET", "/api/v3/order", "symbol=BTCUSDT&orderId=99", `{"code":-2013,"msg":"Order does not exist."}`},
		{"GET", "/api/v3/account", "recvWindow=60001", `{"code":-1131,"msg":"recvWindow must be less than 60000"}`},
		{"POST", "/api/v3/order/test", limitBuy + "&computeCommissionRates=true", `"specialCommissionForOrder":`},
		{"POST", "/api/v3/order/test", limitBuy + "&computeCommissionRates=true", `"discount":{"enabledForAccount":false,`},
		{"GET", "/api/v3/account/commission", "symbol=BTCUSDT", `"specialCommission":{"maker":"0.00000000",`},
		{"GET", "/api/v3/rateLimit/order", "", `[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":200,"count":1},{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":1000000,"count":2}]`},
	} {
		if a := r.signed(tr, c.method, c.path, c.query); !strings.Contains(a.body, c.want) {
			t.Errorf("%s %s: %s\nwant %s", c.path, c.query, a.body, c.want)
		}
	}
}

// A cancel-replace that allows failure tries both halves, and says what became of each.
func TestACancelReplaceThatAllowsFailureTriesBothHalves(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", limitBuy+"&newClientOrderId=a")
	const path, mode = "/api/v3/order/cancelReplace", "&cancelReplaceMode=ALLOW_FAILURE"
	a := r.signed(tr, "POST", path, limitBuy+mode+"&cancelOrigClientOrderId=a&newClientOrderId=b&cancelNewClientOrderId=why")
	if a.status != 200 || a.field("cancelResult") != "SUCCESS" || a.field("newOrderResult") != "SUCCESS" ||
		!strings.Contains(a.field("cancelResponse"), `"clientOrderId":"why"`) || !strings.Contains(a.field("newOrderResponse"), `"clientOrderId":"b"`) {
		t.Fatal(a.body)
	}
	a = r.signed(tr, "POST", path, limitBuy+mode+"&cancelOrigClientOrderId=a&newClientOrderId=c")
	if a.status != 409 || a.code() != -2021 || !strings.Contains(a.body, `"cancelResult":"FAILURE","newOrderResult":"SUCCESS","cancelResponse":{"code":-2011,"msg":"Unknown order sent."},"newOrderResponse":{"symbol"`) {
		t.Error(a.status, a.body)
	}
	a = r.signed(tr, "POST", path, strings.Replace(limitBuy, "0.00010", "9000", 1)+mode+"&cancelOrigClientOrderId=b&newClientOrderId=d")
	if a.status != 409 || a.code() != -2021 || !strings.Contains(a.body, `"cancelResult":"SUCCESS","newOrderResult":"FAILURE"`) ||
		!strings.Contains(a.body, `"newOrderResponse":{"code":-2010,"msg":"Account has insufficient balance for requested action."}`) {
		t.Error(a.status, a.body)
	}
	a = r.signed(tr, "POST", path, strings.Replace(limitBuy, "0.00010", "9000", 1)+mode+"&cancelOrigClientOrderId=b&newClientOrderId=e")
	if a.status != 400 || a.code() != -2022 || !strings.Contains(a.body, `"cancelResult":"FAILURE","newOrderResult":"FAILURE"`) {
		t.Error(a.status, a.body)
	}
	if a := r.signed(tr, "GET", "/api/v3/openOrders", "symbol=BTCUSDT"); strings.Count(a.body, `"orderId"`) != 1 || !strings.Contains(a.body, `"clientOrderId":"c"`) {
		t.Error(a.body)
	}
}
