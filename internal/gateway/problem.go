package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// ErrBusy is what an Engine says of a question that found a full queue. Commands that were certainly not taken have the
// outcome Busy instead.
var ErrBusy = errors.New("the engine takes no more questions now")

// problem is a refusal as Binance words it: an HTTP status, a code that programs branch on, and a sentence.
type problem struct {
	status int
	code   int
	msg    string
	retry  time.Duration // of 429, 418 and 503
	data   func(*writer) // of cancelReplace: what became of the two halves
}

func (p *problem) Error() string { return strconv.Itoa(p.code) + " " + p.msg }

func refuse(code int, msg string) *problem {
	return &problem{status: http.StatusBadRequest, code: code, msg: msg}
}

// The refusals that name no parameter. Binance's codes, Binance's words where it has them.
func unknownError() *problem {
	return &problem{status: http.StatusInternalServerError, code: -1000, msg: "An unknown error occurred while processing the request."}
}

func timedOut() *problem {
	return &problem{status: http.StatusGatewayTimeout, code: -1007,
		msg: "Timeout waiting for response from backend server. Send status unknown; execution status unknown."}
}

func overloaded() *problem {
	return &problem{status: http.StatusServiceUnavailable, code: -1008, msg: "Server is currently overloaded with other requests. Please try again in a few minutes.",
		retry: time.Second}
}

func notReady() *problem {
	return &problem{status: http.StatusServiceUnavailable, code: -1001, msg: "Internal error; unable to process your request. Please try again.", retry: time.Second}
}

func unsupported() *problem {
	return &problem{status: http.StatusNotFound, code: -1020, msg: "This operation is not supported."}
}

func invalidSymbol() *problem { return refuse(-1121, "Invalid symbol.") }

func badWindow() *problem {
	return refuse(-1021, "Timestamp for this request is outside of the recvWindow.")
}

func aheadOfTime() *problem {
	return refuse(-1021, "Timestamp for this request was 5000ms ahead of the server's time.")
}

func usedBefore() *problem {
	return refuse(-1021, "Timestamp for this request was already used: a signed request counts once.")
}

func badSignature() *problem { return refuse(-1022, "Signature for this request is not valid.") }

func badKeyFormat() *problem {
	return &problem{status: http.StatusUnauthorized, code: -2014, msg: "API-key format invalid."}
}

func rejectedKey() *problem {
	return &problem{status: http.StatusUnauthorized, code: -2015, msg: "Invalid API-key, IP, or permissions for action."}
}

func noSuchOrder() *problem { return refuse(-2013, "Order does not exist.") }

func badListenKey() *problem { return refuse(-1125, "This listenKey does not exist.") }

// The refusals that name a parameter. Names come from the table of params.go, never from the request.
func mandatory(p param) *problem {
	return refuse(-1102, "Mandatory parameter '"+p.name()+"' was not sent, was empty/null, or malformed.")
}

func illegal(p param, legal string) *problem {
	return refuse(-1100, "Illegal characters found in parameter '"+p.name()+"'; legal range is '"+legal+"'.")
}

func emptied(p param) *problem { return refuse(-1105, "Parameter '"+p.name()+"' was empty.") }

func notRequired(p param) *problem {
	return refuse(-1106, "Parameter '"+p.name()+"' sent when not required.")
}

func tooPrecise(p param) *problem {
	return refuse(-1111, "Parameter '"+p.name()+"' has too much precision.")
}

func invalid(p param) *problem {
	return refuse(-1130, "Data sent for parameter '"+p.name()+"' is not valid.")
}

func duplicated() *problem {
	return refuse(-1101, "Too many parameters; a parameter was sent more than once.")
}

func unread(read, sent int) *problem {
	return refuse(-1104, "Not all sent parameters were read; read '"+strconv.Itoa(read)+"' parameter(s) but was sent '"+strconv.Itoa(sent)+"'.")
}

func malformed(what string) *problem {
	return refuse(-1100, "Illegal characters found in a parameter. "+what)
}

func filter(name string) *problem { return refuse(-1013, "Filter failure: "+name) }

// limited is what an address or account hears that asked too often.
func limited(d limits.Decision) *problem {
	p := &problem{status: http.StatusTooManyRequests, code: -1003, retry: time.Duration(d.RetryAfter) * time.Millisecond,
		msg: "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."}
	switch {
	case d.Verdict == limits.Banned:
		p.status, p.msg = http.StatusTeapot, "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
	case d.Verdict == limits.Blocked:
		p.status, p.msg = http.StatusForbidden, "Way too much request weight used; IP blocked until people have looked at it."
	case d.Why == limits.WhyOrders10s || d.Why == limits.WhyOrdersDay || d.Conduct == limits.Quoting:
		p.code, p.msg = -1015, "Too many new orders."
	}
	return p
}

// dated is the problem with the time at which to come again, for answers that have no header of that.
func (p *problem) dated(now exchange.Millis) *problem {
	if p.retry <= 0 || p.data != nil {
		return p
	}
	dated := *p
	dated.data = func(w *writer) {
		w.number("serverTime", int64(now))
		w.number("retryAfter", int64(now)+p.retry.Milliseconds())
	}
	return &dated
}

// append writes the problem as the body of an answer.
func (p *problem) append(w *writer) {
	w.open('{')
	w.number("code", int64(p.code))
	w.text("msg", p.msg)
	if p.data != nil {
		w.object("data")
		p.data(w)
		w.close('}')
	}
	w.close('}')
}
