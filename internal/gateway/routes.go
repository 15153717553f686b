package gateway

import (
	"net/http"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// auth says who may come.
type auth uint8

const (
	authNone   auth = iota // anybody
	authKey                // whoever knows a key's name; Binance signs neither listen keys nor historicalTrades
	authSigned             // a signature of a key with the route's scope
	authEngine             // a code or a passkey, which the engine judges (security.go)
)

// route is a row of the one table of what this API has. Everything that must hold for all of it is a test over the
// table: each row has a weight, a class, an auth and its parameters.
type route struct {
	method string
	path   string
	auth   auth
	scope  exchange.Scope
	class  limits.Class
	weight uint16
	weigh  func(*params) uint16 // where the weight depends on the parameters; weight is then the least
	orders uint16               // new orders it places
	logon  bool                 // a session does not stand for its signature
	params set
	object bool  // its body is a JSON object
	page   *page // it is a file for browsers
	handle func(*Server, *call) *problem
	number uint16 // its row, from 1
}

const (
	get  = http.MethodGet
	post = http.MethodPost
	put  = http.MethodPut
	del  = http.MethodDelete
)

// routes is the table.
func routes() []route {
	rows := append(append(append(marketRoutes(), tradeRoutes()...), fundsRoutes()...), securityRoutes()...)
	for i := range rows {
		rows[i].number = uint16(i + 1)
	}
	return rows
}

func marketRoutes() []route {
	symbol, page := setOf(pSymbol), setOf(pStartTime, pEndTime, pLimit)
	many := symbol | setOf(pSymbols, pSymbolStatus)
	klines := symbol | page | setOf(pInterval, pTimeZone)
	public := func(path string, weight uint16, names set, handle func(*Server, *call) *problem) route {
		return route{method: get, path: path, class: limits.General, weight: weight, params: names, handle: handle}
	}
	weighed := func(r route, weigh func(*params) uint16) route { r.weigh = weigh; return r }
	return []route{
		public("/api/v3/ping", 1, 0, (*Server).ping),
		public("/api/v3/time", 1, 0, (*Server).time),
		public("/api/v3/exchangeInfo", 20, many|setOf(pPermissions, pShowPermissionSets), (*Server).exchangeInfo),
		weighed(public("/api/v3/depth", 5, symbol|setOf(pLimit, pSymbolStatus), (*Server).depth), depthWeight),
		public("/api/v3/trades", 25, symbol|setOf(pLimit), (*Server).trades),
		{method: get, path: "/api/v3/historicalTrades", auth: authKey, class: limits.General, weight: 25,
			params: symbol | setOf(pLimit, pFromID), handle: (*Server).historicalTrades},
		public("/api/v3/aggTrades", 4, symbol|page|setOf(pFromID), (*Server).aggTrades),
		public("/api/v3/klines", 2, klines, (*Server).klines),
		public("/api/v3/uiKlines", 2, klines, (*Server).klines),
		public("/api/v3/avgPrice", 2, symbol, (*Server).avgPrice),
		weighed(public("/api/v3/ticker/24hr", 2, many|setOf(pType), (*Server).ticker24), tickerWeight),
		weighed(public("/api/v3/ticker/price", 2, many, (*Server).tickerPrice), priceWeight),
		weighed(public("/api/v3/ticker/bookTicker", 2, many, (*Server).bookTicker), priceWeight),
		public("/sapi/v1/system/status", 1, 0, (*Server).systemStatus),
	}
}

// timing is what every signed request may carry.
func timing() set { return setOf(pRecvWindow, pTimestamp, pSignature) }

func tradeRoutes() []route {
	symbol, page := setOf(pSymbol), setOf(pStartTime, pEndTime, pLimit)
	one := symbol | setOf(pOrderID, pOrigClientOrderID)
	fresh := symbol | setOf(pSide, pType, pTimeInForce, pQuantity, pQuoteOrderQty, pPrice, pStopPrice, pIcebergQty, pNewOrderRespType, pSelfTrade, pNewClientOrderID)
	reads := func(path string, weight uint16, names set, handle func(*Server, *call) *problem) route {
		return route{method: get, path: path, auth: authSigned, scope: exchange.ScopeRead, class: limits.General, weight: weight, params: names | timing(), handle: handle}
	}
	trades := func(method, path string, names set, handle func(*Server, *call) *problem) route {
		return route{method: method, path: path, auth: authSigned, scope: exchange.ScopeTrade, class: limits.Trading, weight: 1, params: names | timing(), handle: handle}
	}
	placing := func(r route) route { r.orders = 1; return r }
	test := trades(post, "/api/v3/order/test", fresh|setOf(pCommissionRates), (*Server).testOrder)
	test.weigh = testWeight
	open := reads("/api/v3/openOrders", 6, symbol, (*Server).openOrders)
	open.weigh = openWeight
	amend := trades(put, "/api/v3/order/amend/keepPriority", one|setOf(pNewQty, pNewClientOrderID), (*Server).amendOrder)
	amend.weight = 4
	listen := func(method string, names set, handle func(*Server, *call) *problem) route {
		return route{method: method, path: "/api/v3/userDataStream", auth: authKey, scope: exchange.ScopeRead, class: limits.General, weight: 2, params: names, handle: handle}
	}
	return []route{
		placing(trades(post, "/api/v3/order", fresh, (*Server).placeOrder)),
		test,
		reads("/api/v3/order", 4, one, (*Server).queryOrder),
		trades(del, "/api/v3/order", one|setOf(pNewClientOrderID, pCancelRestrictions), (*Server).cancelOrder),
		placing(trades(post, "/api/v3/order/cancelReplace", fresh|setOf(pCancelReplaceMode, pCancelOrderID, pCancelOrigClientOrderID,
			pCancelNewClientOrderID, pCancelRestrictions), (*Server).cancelReplace)),
		amend,
		open,
		trades(del, "/api/v3/openOrders", symbol, (*Server).cancelAll),
		reads("/api/v3/allOrders", 20, symbol|page|setOf(pOrderID), (*Server).allOrders),
		reads("/api/v3/account", 20, setOf(pOmitZero), (*Server).account),
		reads("/api/v3/myTrades", 20, symbol|page|setOf(pOrderID, pFromID), (*Server).myTrades),
		reads("/api/v3/rateLimit/order", 40, 0, (*Server).orderCounts),
		reads("/api/v3/account/commission", 20, symbol, (*Server).commission),
		listen(post, 0, (*Server).newListenKey),
		listen(put, setOf(pListenKey), (*Server).keepListenKey),
		listen(del, setOf(pListenKey), (*Server).closeListenKey),
	}
}

func fundsRoutes() []route {
	history := setOf(pCoin, pStatus, pStartTime, pEndTime, pOffset, pLimit)
	reads := func(path string, weight uint16, names set, handle func(*Server, *call) *problem) route {
		return route{method: get, path: path, auth: authSigned, scope: exchange.ScopeRead, class: limits.General, weight: weight, params: names | timing(), handle: handle}
	}
	address := reads("/sapi/v1/capital/deposit/address", 1, setOf(pCoin, pNetwork, pAmount), (*Server).depositAddress)
	address.class = limits.Sensitive
	return []route{
		reads("/sapi/v1/capital/config/getall", 10, 0, (*Server).coins),
		address,
		reads("/sapi/v1/capital/deposit/address/list", 10, setOf(pCoin, pNetwork), (*Server).depositAddresses),
		reads("/sapi/v1/capital/deposit/hisrec", 1, history|setOf(pTxID, pIncludeSource), (*Server).deposits),
		{method: post, path: "/sapi/v1/capital/withdraw/apply", auth: authSigned, scope: exchange.ScopeWithdraw, class: limits.Sensitive, weight: 1,
			params: setOf(pCoin, pNetwork, pAddress, pAmount, pName, pWithdrawOrderID, pWalletType, pFeeFlag) | timing(), handle: (*Server).withdraw},
		reads("/sapi/v1/capital/withdraw/history", 10, history|setOf(pWithdrawOrderID), (*Server).withdrawals),
		reads("/sapi/v1/asset/tradeFee", 1, setOf(pSymbol), (*Server).tradeFee),
		reads("/sapi/v1/account/apiRestrictions", 1, 0, (*Server).apiRestrictions),
		reads("/sapi/v1/account/status", 1, 0, (*Server).accountStatus),
		reads("/sapi/v1/margin/allPairs", 1, 0, (*Server).nothing),
		reads("/sapi/v1/margin/isolated/allPairs", 1, setOf(pSymbol), (*Server).nothing),
	}
}

// depthWeight is Binance's, but that a full book costs fifty times the least: it is the heaviest of the market data.
func depthWeight(q *params) uint16 {
	switch n, _ := parseInteger(q.text[pLimit]); {
	case n <= 100:
		return 5
	case n <= 500:
		return 25
	case n <= 1000:
		return 50
	}
	return 250
}

func tickerWeight(q *params) uint16 {
	switch {
	case q.has(pSymbol):
		return 2
	case !q.has(pSymbols) || len(q.text[pSymbols]) > 100*10:
		return 80
	case len(q.text[pSymbols]) > 20*10:
		return 40
	}
	return 2
}

func priceWeight(q *params) uint16 {
	if q.has(pSymbol) {
		return 2
	}
	return 4
}

func testWeight(q *params) uint16 {
	if q.has(pCommissionRates) {
		return 20
	}
	return 1
}

func openWeight(q *params) uint16 {
	if q.has(pSymbol) {
		return 6
	}
	return 80
}
