package gateway

import (
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// The values of parameters, read strictly. The first refusal is kept in fault.

func (q *params) fail(p *problem) {
	if q.fault == nil {
		q.fault = p
	}
}

func (q *params) has(id param) bool { return q.sent.has(id) }

// must returns a parameter that has to be there.
func (q *params) must(id param) string {
	if !q.sent.has(id) {
		q.fail(mandatory(id))
	}
	return q.text[id]
}

// forbid refuses parameters that say nothing here.
func (q *params) forbid(ids ...param) {
	for _, id := range ids {
		if q.sent.has(id) {
			q.fail(notRequired(id))
		}
	}
}

// whole returns a number without a fraction between least and most, or other when it was not sent.
func (q *params) whole(id param, other, least, most int64) int64 {
	if !q.sent.has(id) {
		return other
	}
	n, how := parseInteger(q.text[id])
	if how != readWell {
		q.fail(illegal(id, "^[0-9]{1,20}$"))
		return other
	}
	if n < least || n > most {
		q.fail(invalid(id))
		return other
	}
	return n
}

// limit returns how many rows are wanted.
func (q *params) limit(other, most int64) int { return int(q.whole(pLimit, other, 1, most)) }

// times returns the window that is asked for; zero where it is open.
func (q *params) times() (since, until exchange.Millis) {
	since = exchange.Millis(q.whole(pStartTime, 0, 0, 1<<53))
	until = exchange.Millis(q.whole(pEndTime, 0, 0, 1<<53))
	if since != 0 && until != 0 && since > until {
		q.fail(refuse(-1023, "Start time is greater than end time."))
	}
	return since, until
}

// parseInteger reads digits and nothing else. A leading zero is junk unless it is the number.
func parseInteger(text string) (int64, reading) {
	if strings.IndexByte(text, '.') >= 0 || len(text) > 1 && text[0] == '0' {
		return 0, notNumber
	}
	return parseWhole(text, 0)
}

func (q *params) truth(id param) bool {
	switch q.text[id] {
	case "true", "TRUE":
		return true
	case "", "false", "FALSE":
		return false
	}
	q.fail(invalid(id))
	return false
}

// client returns an order's name.
func (q *params) client(id param) exchange.Client {
	c, ok := exchange.NewClient(q.text[id])
	if !ok {
		q.fail(illegal(id, `^[\.A-Z\:/a-z0-9_-]{1,36}$`))
	}
	return c
}

// scaled returns a decimal of at most finest decimals as a whole number of 10^-scale. A number that is finer than the
// scale is the filter's business, one that is finer than the asset is too precise.
func (q *params) scaled(id param, scale, finest int, of string) int64 {
	if !q.sent.has(id) {
		return 0
	}
	text := q.text[id]
	n, how := parseWhole(text, scale)
	switch {
	case how == notNumber:
		q.fail(illegal(id, `^([0-9]{1,20})(\.[0-9]{1,20})?$`))
	case how == tooFine && decimals(text) > finest:
		q.fail(tooPrecise(id))
	case how != readWell:
		q.fail(filter(of))
	}
	return n
}

// amount returns a decimal in whole smallest units of an asset.
func (q *params) amount(id param, scale int) money.U128 {
	v, how := parseUnits(q.must(id), scale)
	switch how {
	case notNumber:
		q.fail(illegal(id, `^([0-9]{1,20})(\.[0-9]{1,20})?$`))
	case tooFine:
		q.fail(tooPrecise(id))
	case tooLarge:
		q.fail(invalid(id))
	}
	return v
}

// list reads names of names as clients of Binance write it: ["BTCUSDT","ETHUSDT"].
func (q *params) list(id param) []string {
	text := q.text[id]
	if !q.sent.has(id) {
		return nil
	}
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed || inner == "" {
		q.fail(illegal(id, `^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\]$`))
		return nil
	}
	parts := strings.Split(inner, ",")
	for i, part := range parts {
		if len(part) < 3 || len(part) > 22 || part[0] != '"' || part[len(part)-1] != '"' || strings.ContainsAny(part[1:len(part)-1], `"\[] `) {
			q.fail(illegal(id, `^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\]$`))
			return nil
		}
		parts[i] = part[1 : len(part)-1]
	}
	return parts
}
