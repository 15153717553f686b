package gateway

import (
	"strings"
)

// param is a parameter that some route knows. One number for each name makes duplicates and strangers a matter of bits.
type param uint8

// The parameters. The order is that of paramNames.
const (
	pSymbol param = iota
	pSymbols
	pPermissions
	pShowPermissionSets
	pSymbolStatus
	pLimit
	pFromID
	pStartTime
	pEndTime
	pInterval
	pTimeZone
	pKind
	pOrderID
	pOrigClientOrderID
	pNewClientOrderID
	pSide
	pType
	pTimeInForce
	pQuantity
	pQuoteOrderQty
	pPrice
	pStopPrice
	pIcebergQty
	pNewOrderRespType
	pSelfTrade
	pCommissionRates
	pCancelReplaceMode
	pCancelOrderID
	pCancelOrigClientOrderID
	pCancelNewClientOrderID
	pCancelRestrictions
	pNewQty
	pOmitZero
	pListenKey
	pCoin
	pNetwork
	pStatus
	pOffset
	pAddress
	pAmount
	pName
	pWithdrawOrderID
	pTxID
	pIncludeSource
	pIDList
	pWalletType
	pFeeFlag
	pRecvWindow
	pTimestamp
	pSignature
	pAPIKey         // of the WebSocket API only: HTTP has the header
	pReturnLimits   // the same: HTTP always says
	pSubscriptionID // the same
	paramCount
)

// paramNames are the names as clients write them.
var paramNames = [paramCount]string{"symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus", "limit", "fromId", "startTime", "endTime",
	"interval", "timeZone", "kind", "orderId", "origClientOrderId", "newClientOrderId", "side", "type", "timeInForce", "quantity", "quoteOrderQty",
	"price", "stopPrice", "icebergQty", "newOrderRespType", "selfTradePreventionMode", "computeCommissionRates", "cancelReplaceMode",
	"cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId", "cancelRestrictions", "newQty", "omitZeroBalances", "listenKey", "coin",
	"network", "status", "offset", "address", "amount", "name", "withdrawOrderId", "txId", "includeSource", "idList", "walletType",
	"transactionFeeFlag", "recvWindow", "timestamp", "signature", "apiKey", "returnRateLimits", "subscriptionId"}

func (p param) name() string { return paramNames[p] }

// set is a set of parameters.
type set uint64

func setOf(ps ...param) set {
	var s set
	for _, p := range ps {
		s |= 1 << p
	}
	return s
}

func (s set) has(p param) bool { return s&(1<<p) != 0 }

// Bounds of what a stranger may send as parameters.
const (
	queryMax = 8 << 10 // bytes of query and body, each
	valueMax = 2 << 10 // bytes of one value after decoding
)

// params are the parameters of one request. What was refused first is kept, so that a handler reads all that it needs
// and looks once.
type params struct {
	names map[string]param // shared, never written after New
	sent  set
	read  set
	text  [paramCount]string
	fault *problem
}

func newParamNames() map[string]param {
	m := make(map[string]param, paramCount)
	for i, n := range paramNames {
		m[n] = param(i)
	}
	return m
}

func (q *params) reset() {
	q.sent, q.read, q.fault = 0, 0, nil
	clear(q.text[:])
}

// scan reads name=value pairs joined by '&', as they are in a query or a form. Every name must be in allowed and come
// once. The signature, when there is one, must stand last, since it signs what stands before it; it is returned, and
// the bytes that it signs.
func (q *params) scan(raw string, allowed set) (signed string, problem *problem) {
	if len(raw) > queryMax {
		return "", malformed("There are too many of them.")
	}
	signed = raw
	for at := 0; at < len(raw); {
		end := strings.IndexByte(raw[at:], '&')
		if end < 0 {
			end = len(raw)
		} else if end += at; end == len(raw)-1 {
			return "", malformed("A pair is empty.")
		}
		id, p := q.pair(raw[at:end], allowed)
		if p != nil {
			return "", p
		}
		if id == pSignature {
			if end != len(raw) {
				return "", badSignature()
			}
			signed = raw[:max(at-1, 0)]
		}
		at = end + 1
	}
	return signed, nil
}

func (q *params) pair(raw string, allowed set) (param, *problem) {
	eq := strings.IndexByte(raw, '=')
	if eq <= 0 {
		return 0, malformed("A pair has no name, or no value.")
	}
	value := raw[eq+1:]
	id, known := q.names[raw[:eq]]
	if !known || !allowed.has(id) {
		n := popcount(q.sent)
		return 0, unread(n, n+1)
	}
	if q.sent.has(id) {
		return 0, duplicated()
	}
	if plain(value) {
		q.text[id] = value
	} else {
		decoded, ok := unescape(value)
		if id == pSignature && smallEscapes(value) {
			return 0, badSignature() // a signature has one spelling
		}
		if !ok || len(decoded) > valueMax {
			return 0, illegal(id, "percent-encoded ASCII")
		}
		q.text[id] = decoded
	}
	if q.text[id] == "" {
		return 0, emptied(id)
	}
	q.sent |= 1 << id
	return id, nil
}

func popcount(s set) int {
	n := 0
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// plain reports whether a value stands for itself. It is printable ASCII without the signs that mean something in a
// query: a raw '=' would let one request be cut in two ways, and so would a raw ';', at which some readers part pairs.
func plain(v string) bool {
	if len(v) > valueMax {
		return false
	}
	for i := range len(v) {
		c := v[i]
		if c <= ' ' || c >= 0x7f || c == '%' || c == '+' || c == '=' || c == '&' || c == ';' || c == '#' {
			return false
		}
	}
	return true
}

// unescape decodes percent-encoding. What stands for itself must be printable; what is encoded must be ASCII without
// control characters.
func unescape(v string) (string, bool) {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '%':
			if i+2 >= len(v) {
				return "", false
			}
			hi, ok1 := nibble(v[i+1])
			lo, ok2 := nibble(v[i+2])
			if c = hi<<4 | lo; !ok1 || !ok2 || c < ' ' || c >= 0x7f {
				return "", false
			}
			i += 2
		case c <= ' ' || c >= 0x7f || c == '=' || c == '&' || c == ';' || c == '#':
			return "", false
		case c == '+':
			c = ' '
		}
		out = append(out, c)
	}
	return string(out), true
}

// smallEscapes reports whether percent-encoding is written in small letters.
func smallEscapes(v string) bool {
	for i := range len(v) {
		if v[i] == '%' && strings.ContainsAny(v[i:min(i+3, len(v))], "abcdef") {
			return true
		}
	}
	return false
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
