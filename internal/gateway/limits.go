package gateway

import (
	"context"
	"net/netip"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Limits says whether a request may pass, for all gateways together.
type Limits interface {
	Take(ctx context.Context, r Toll) (Ruling, error)
}

// Class is a kind of request that is limited by itself, beside the weight that all requests share.
type Class uint8

// The classes, from the freest to the most guarded.
const (
	ClassPublic   Class = iota + 1 // market data
	ClassAccount                   // reading one's own
	ClassOrder                     // orders and cancels
	ClassStream                    // WebSocket connections and listen keys
	ClassFunds                     // deposit addresses and histories
	ClassWithdraw                  // withdrawals
)

// Toll is what a request costs.
type Toll struct {
	Addr    netip.Addr
	Account exchange.Account // zero: not known
	Class   Class
	Weight  int
	Orders  int  // new orders in it
	Refused bool // the signature, the key or its address was refused: it counts against the address alone
}

// Ruling is the answer.
type Ruling struct {
	OK         bool
	Banned     bool          // 418 instead of 429
	RetryAfter time.Duration // when not OK
	Weight     int           // of the address in the last minute
	Orders10s  int           // of the account
	OrdersDay  int
}
