package gateway

import (
	"net/http"

	"github.com/coldsign/coldsign/internal/exchange"
)

// outcomeCodes says how Binance words each way in which a command of the engine can end. Every exchange.Code is here; a
// test counts.
func outcomeCodes() map[exchange.Code]problem {
	const bad, busy, denied = http.StatusBadRequest, http.StatusServiceUnavailable, http.StatusUnauthorized
	return map[exchange.Code]problem{
		exchange.Done:              {status: http.StatusOK},
		exchange.Busy:              {status: busy, code: -1008, msg: "Server is currently overloaded with other requests. Please try again in a few minutes."},
		exchange.Malformed:         {status: bad, code: -1013, msg: "Invalid order: the matching engine refuses one of its values."},
		exchange.NotAllowed:        {status: bad, code: -2010, msg: "This action is disabled on this account."},
		exchange.UnknownMarket:     {status: bad, code: -1121, msg: "Invalid symbol."},
		exchange.UnknownAccount:    {status: denied, code: -2015, msg: "Invalid API-key, IP, or permissions for action."},
		exchange.UnknownAsset:      {status: bad, code: -4018, msg: "We don't have this asset."},
		exchange.UnknownOrder:      {status: bad, code: -2011, msg: "Unknown order sent."},
		exchange.DuplicateClient:   {status: bad, code: -2010, msg: "Duplicate order sent."},
		exchange.InsufficientFunds: {status: bad, code: -2010, msg: "Account has insufficient balance for requested action."},
		exchange.OutsideBand:       {status: bad, code: -1013, msg: "Filter failure: PRICE_FILTER"},
		exchange.BelowMin:          {status: bad, code: -1013, msg: "Filter failure: NOTIONAL"},
		exchange.AboveMax:          {status: bad, code: -1013, msg: "Filter failure: LOT_SIZE"},
		exchange.Halted:            {status: bad, code: -2010, msg: "Market is closed."},
		exchange.InAuction:         {status: bad, code: -2010, msg: "Market is closed. It takes resting limit orders and cancels until its auction ends."},
		exchange.WouldTake:         {status: bad, code: -2010, msg: "Order would immediately match and take."},
		exchange.StopWouldTrigger:  {status: bad, code: -2010, msg: "Order would trigger immediately."},
		exchange.TooManyOrders:     {status: bad, code: -1013, msg: "Filter failure: MAX_NUM_ORDERS"},
		exchange.EvidenceRefused:   {status: bad, code: -1130, msg: "Data sent for a parameter is not valid."},
		exchange.AlreadyCredited:   {status: bad, code: -2010, msg: "Duplicate order sent."},
		exchange.UnknownAddress:    {status: bad, code: -4035, msg: "The withdrawal address is not in the account's address book."},
		exchange.AddressWaiting:    {status: bad, code: -4036, msg: "The withdrawal address is in the account's address book, but its waiting time is not over."},
		exchange.OverLimit:         {status: bad, code: -4023, msg: "The withdrawal is above what the account may still withdraw in the current window."},
		exchange.UnknownWithdrawal: {status: bad, code: -4029, msg: "No such withdrawal."},
		exchange.WrongState:        {status: bad, code: -2010, msg: "This action is disabled on this account."},
		exchange.AlreadyExists:     {status: bad, code: -4001, msg: "There is already one of that name."},
		exchange.AmountOverflow:    {status: bad, code: -1013, msg: "Invalid quantity."},
		exchange.SecondFactorWrong: {status: denied, code: -2015, msg: "Invalid API-key, IP, or permissions for action."},
		exchange.OrderNotFilled:    {status: bad, code: -2010, msg: "Unable to fill: a fill-or-kill order that cannot trade whole is not taken."},
		exchange.Superseded:        {status: busy, code: -1001, msg: "Internal error; unable to process your request. Please try again."},
	}
}

// verdicts is outcomeCodes by number.
type verdicts [exchange.Superseded + 1]problem

func newVerdicts() *verdicts {
	var v verdicts
	for code, p := range outcomeCodes() {
		v[code] = p
	}
	return &v
}

// refusal returns how the outcome is told, or nil when it is done.
func (v *verdicts) refusal(code exchange.Code, reason string) *problem {
	if int(code) >= len(v) {
		return unknownError()
	}
	p := v[code]
	if p.status == http.StatusOK {
		return nil
	}
	if p.status == 0 {
		return unknownError()
	}
	if reason != "" && (code == exchange.Malformed || code == exchange.EvidenceRefused) {
		p.msg += " " + reason
	}
	if p.status == http.StatusServiceUnavailable {
		p.retry = overloaded().retry
	}
	return &p
}
