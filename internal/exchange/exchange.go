// Package exchange is the language of the exchange: the commands that segments send, the outcomes that they get back,
// the events that tell what happened, and the questions that change nothing.
//
// It exists so that the public API, the bus, the journal, the engine and the records speak of the same things without
// knowing each other. A command is bytes of a fixed layout (command.go), because many thousands a second are written to
// the journal and read again at every replay; what is rare travels in its body as deterministic CBOR (bodies.go).
// Everything is in whole ticks, lots and smallest units; times are milliseconds of the Unix epoch.
//
//	client -> gateway: text -> Command -> frame -> bus -> engine: journal, apply -> Outcome, []Event -> bus -> gateway -> client
//
// What may never happen here: a decimal fraction, a clock, a decoder that takes what an encoder did not make.
package exchange

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/bits"

	"github.com/coldsign/coldsign/internal/money"
)

// ErrBytes says that bytes are not what an encoder of this package makes.
var ErrBytes = errors.New("exchange: bytes that no encoder makes")

// Account is a customer's account. Zero is the house and the operator.
type Account uint64

// Asset numbers an asset of the catalogue, from 1.
type Asset uint16

// Market numbers a market of the catalogue, from 1.
type Market uint16

// OrderID numbers the orders of one market, from 1, in the order in which the engine took them.
type OrderID uint64

// TradeID numbers the trades of one market, from 1.
type TradeID uint64

// Millis is a time in milliseconds of the Unix epoch.
type Millis int64

// ID names one command for ever: whoever sends it again, because an answer was lost, changes nothing.
type ID [16]byte

// NewID draws an identity.
func NewID(random io.Reader) (ID, error) {
	var id ID
	_, err := io.ReadFull(random, id[:])
	return id, err
}

// RandomID draws an identity from the operating system.
func RandomID() ID {
	var id ID
	rand.Read(id[:]) // it never fails: crypto/rand ends the program instead
	return id
}

// String returns 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ClientMax is the longest name that a client may give to an order.
const ClientMax = 36

// Client is the name that a client gave to its order, or nothing. It is comparable and holds no pointer.
type Client struct {
	n    uint8
	text [ClientMax]byte
}

// NewClient reads a name of at most 36 of the characters a-z, A-Z, 0-9, '-', '_', '.', ':' and '/'.
func NewClient(text string) (Client, bool) {
	var c Client
	if len(text) > ClientMax {
		return c, false
	}
	for i := range len(text) {
		b := text[i]
		if !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.' || b == ':' || b == '/') {
			return Client{}, false
		}
	}
	c.n = uint8(copy(c.text[:], text))
	return c, true
}

// String returns the name, empty when there is none.
func (c Client) String() string { return string(c.text[:c.n]) }

// IsZero reports whether the client gave no name.
func (c Client) IsZero() bool { return c.n == 0 }

// Hash spreads the name and a seed over 64 bits, for tables. It is no defence against somebody who looks for collisions.
func (c *Client) Hash(seed uint64) uint64 {
	h := seed ^ uint64(c.n)<<56
	for at := 0; at < 32; at += 8 {
		h = fold(h ^ binary.LittleEndian.Uint64(c.text[at:]))
	}
	return fold(h ^ uint64(binary.LittleEndian.Uint32(c.text[32:])))
}

func fold(n uint64) uint64 {
	hi, lo := bits.Mul64(n^0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
	return hi ^ lo
}

// Side is buy or sell.
type Side uint8

// The sides. The numbers are those of room matching.
const (
	Buy Side = iota
	Sell
)

// OrderType says how an order looks for its price.
type OrderType uint8

// The types. The numbers are those of room matching.
const (
	Limit OrderType = iota
	MarketOrder
	StopLimit
	Stop
)

// Force says how long an order stays.
type Force uint8

// The times in force. The numbers are those of room matching.
const (
	GoodTillCancel Force = iota
	ImmediateOrCancel
	FillOrKill
	PostOnly
	GoodTillTime
)

// SelfTrade says what happens when an order meets one of the same account.
type SelfTrade uint8

// The modes. The numbers are those of room matching.
const (
	AllowSelfTrade SelfTrade = iota
	ExpireTaker
	ExpireMaker
	ExpireBoth
)

// Status says where an order is in its life.
type Status uint8

// The states of an order.
const (
	StatusNew Status = iota
	StatusPartiallyFilled
	StatusFilled
	StatusCancelled      // its owner, or the operator, took it out
	StatusRejected       // it was never taken
	StatusExpired        // its rules ended it: nothing more to take, or its time came
	StatusExpiredInMatch // self-trade prevention ended it
)

// Ended reports whether the order has left the book for good.
func (s Status) Ended() bool { return s > StatusPartiallyFilled }

// MarketInfo is one market of the catalogue. A price is a whole number of ticks of 10^-TickDecimals quote for one base;
// a quantity is a whole number of lots of 10^-LotDecimals base. One tick times one lot is
// 10^(quote decimals - TickDecimals - LotDecimals) smallest units of quote, which must be a whole number, so that
// nothing but a fee is ever rounded.
type MarketInfo struct {
	ID           Market      `cbor:"1,keyasint"`
	Symbol       string      `cbor:"2,keyasint"` // BTCUSDT
	Base         Asset       `cbor:"3,keyasint"`
	Quote        Asset       `cbor:"4,keyasint"`
	TickDecimals uint8       `cbor:"5,keyasint"`
	LotDecimals  uint8       `cbor:"6,keyasint"`
	PriceMin     int64       `cbor:"7,keyasint"` // ticks; the band
	PriceMax     int64       `cbor:"8,keyasint"` // ticks; zero: no band
	QtyMin       int64       `cbor:"9,keyasint"` // lots
	QtyMax       int64       `cbor:"10,keyasint"`
	NotionalMin  int64       `cbor:"11,keyasint"` // ticks x lots
	OrdersMax    int         `cbor:"12,keyasint"` // of one account
	State        MarketState `cbor:"13,keyasint"`
}

// MarketState says what a market takes.
type MarketState uint8

// The states of a market. The numbers are those of room matching.
const (
	MarketOpen    MarketState = iota
	MarketHalted              // nothing but cancels
	MarketAuction             // limit orders collect until it reopens
)

// AssetInfo is one asset of the catalogue.
type AssetInfo struct {
	ID          Asset      `cbor:"1,keyasint"`
	Symbol      string     `cbor:"2,keyasint"`
	Decimals    uint8      `cbor:"3,keyasint"`
	Network     string     `cbor:"4,keyasint"` // "bitcoin:regtest"; empty: cannot be deposited or withdrawn
	WithdrawMin money.U128 `cbor:"5,keyasint"`
	WithdrawFee money.U128 `cbor:"6,keyasint"`
	// WithdrawDayMax is the most that may leave one account in 24 hours, fees included. An asset with a network has to
	// state it: zero means that nothing may leave, and never that there is no limit.
	WithdrawDayMax money.U128 `cbor:"7,keyasint,omitzero"`
}
