package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMarketsAreToldAsBinanceWritesThem(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=2&price=50000")
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5")
	for _, c := range []struct{ target, want string }{
		{"/api/v3/ping", "{}"},
		{"/api/v3/time", `{"serverTime":1767225600002}`},
		{"/api/v3/exchangeInfo", `"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"21474836.47000000","tickSize":"0.01000000"`},
		{"/api/v3/exchangeInfo?symbol=BTCUSDT", `"filterType":"LOT_SIZE","minQty":"0.00001000"`},
		{"/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%5D", `"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200`},
		{"/api/v3/exchangeInfo?symbols=[%22BTCUSDT%22,%22BTCUSDT%22]", `-1151`},
		{"/api/v3/exchangeInfo?symbols=BTCUSDT", `-1100`},
		{"/api/v3/exchangeInfo?symbol=NOPE", `-1121`},
		{"/api/v3/exchangeInfo?permissions=%5B%22SPOT%22,%22MARGIN%22%5D", `"symbol":"BTCUSDT"`},
		{"/api/v3/exchangeInfo?permissions=SPOT&symbolStatus=TRADING", `"symbol":"BTCUSDT"`},
		{"/api/v3/exchangeInfo?permissions=%5B%22MARGIN%22%5D", `-1130`},
		{"/api/v3/exchangeInfo?symbolStatus=HALT", `"symbols":[]`},
		{"/api/v3/exchangeInfo?symbolStatus=OPEN", `-1122`},
		{"/api/v3/exchangeInfo?symbolStatus=HALT&symbol=BTCUSDT", `-1128`},
		{"/api/v3/exchangeInfo?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", `-1128`},
		{"/api/v3/depth?symbol=BTCUSDT", `"bids":[],"asks":[["50000.00000000","1.50000000"]]}`},
		{"/api/v3/trades?symbol=BTCUSDT", `[{"id":1,"price":"50000.00000000","qty":"0.50000000","quoteQty":"25000.00000000","time":1767225600002,"isBuyerMaker":false,"isBestMatch":true}]`},
		{"/api/v3/aggTrades?symbol=BTCUSDT", `[{"a":1,"p":"50000.00000000","q":"0.50000000","f":1,"l":1,"T":1767225600002,"m":false,"M":true}]`},
		{"/api/v3/klines?symbol=BTCUSDT&interval=1m", `[[1767225600000,"50000.00000000","50000.00000000","50000.00000000","50000.00000000","0.50000000",1767225659999,"25000.00000000",1,`},
		{"/api/v3/klines?symbol=BTCUSDT&interval=7m", `-1120`},
		{"/api/v3/klines?symbol=BTCUSDT", `-1102`},
		{"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=5&endTime=4", `-1023`},
		{"/api/v3/avgPrice?symbol=BTCUSDT", `{"mins":5,"price":"50000.00000000",`},
		{"/api/v3/ticker/price?symbol=BTCUSDT", `{"symbol":"BTCUSDT","price":"50000.00000000"}`},
		{"/api/v3/ticker/price", `[{"symbol":"BTCUSDT","price":"50000.00000000"}]`},
		{"/api/v3/ticker/bookTicker?symbol=BTCUSDT", `{"symbol":"BTCUSDT","bidPrice":"0.00000000","bidQty":"0.00000000","askPrice":"50000.00000000","askQty":"1.50000000"}`},
		{"/api/v3/ticker/24hr?symbol=BTCUSDT", `"weightedAvgPrice":"50000.00000000"`},
		{"/api/v3/ticker/24hr?type=MINI", `[{"symbol":"BTCUSDT","lastPrice":"50000.00000000","openPrice"`},
		{"/sapi/v1/system/status", `{"status":0,"msg":"normal"}`},
		{"/api/v3/historicalTrades?symbol=BTCUSDT", `-2014`},
		{"/api/v3/nothing", `-1020`},
	} {
		if a := r.get(c.target); !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %s\nwant %s", c.target, a.body, c.want)
		}
	}
	if a := r.send(r.request("GET", "/api/v3/historicalTrades?symbol=BTCUSDT", tr)); a.status != 200 {
		t.Error(a.body)
	}
}

// A chart has no holes: candles in which nothing was traded have the price before them.
func TestCandlesWithoutTradesAreTold(t *testing.T) {
	r := newRig(t)
	tr, other := r.trader("trader", "hmac", all), r.trader("other", "hmac", all)
	r.signed(tr, "POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=2&price=50000")
	r.signed(other, "POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5")
	r.pass(3 * time.Minute)
	const none = `"50000.00000000","50000.00000000","50000.00000000","50000.00000000","0.00000000",`
	for query, want := range map[string][]string{
		"interval=1m":         {"1767225600000", "1767225660000", "1767225720000", "1767225780000"},
		"interval=1m&limit=2": {"1767225720000", "1767225780000"},
		"interval=1m&startTime=1767225600000&limit=2":               {"1767225600000", "1767225660000"},
		"interval=1m&startTime=1767225600000&endTime=1767225660000": {"1767225600000", "1767225660000"},
		"interval=1M": {"1767225600000"},
	} {
		a := r.get("/api/v3/klines?symbol=BTCUSDT&" + query)
		var got []string
		rows, _ := a.json.([]any)
		for _, row := range rows {
			got = append(got, fmt.Sprint(row.([]any)[0]))
		}
		if !slices.Equal(got, want) || len(want) > 1 && !strings.Contains(a.body, none) {
			t.Errorf("%s: %v\n%s", query, got, a.body)
		}
	}
	if a := r.get("/api/v3/klines?symbol=BTCUSDT&interval=1M"); !strings.Contains(a.body, ",1769903999999,") {
		t.Error("January does not end with its last day:", a.body)
	}
	if a := r.get("/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=1000"); a.status != 200 || len(a.json.([]any)) != 181 {
		t.Error(a.status, len(a.json.([]any)))
	}
}

func TestPercentagesAndAveragesAreExact(t *testing.T) {
	for _, c := range []struct {
		first, last int64
		want        string
	}{{100, 101, "1.000"}, {3, 2, "-33.333"}, {0, 5, "0.000"}, {1, 1, "0.000"}, {100_000, 99_999, "-0.001"}, {7, 8, "14.285"}} {
		if got := string(appendPercent(nil, c.first, c.last)); got != c.want {
			t.Errorf("%d to %d: %s", c.first, c.last, got)
		}
	}
}
