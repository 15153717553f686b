// Package matching is one order book per market: the same commands give the same events, on every machine.
//
// It exists to decide who trades with whom, and nothing else. Prices are whole ticks, quantities whole lots, times are
// numbers that the engine gives; there is no clock, no disk, no map that is walked, no float and no money here. Orders
// trade at the maker's price, best price first, and within a price in the order in which they came (FIFO).
//
// Memory is three slabs without pointers (orders, levels, pages of the price index) that grow to the largest book ever
// held and are then reused: in the steady state a command allocates nothing, and the garbage collector has nothing to
// scan. Order identities chosen by the engine in rising order are found by direct pages; arbitrary ones by an open
// addressing table.
//
//	book := matching.New(matching.Options{})
//	events = book.Place(matching.Order{ID: 1, Owner: 7, Side: matching.Buy, Price: 100, Qty: 5}, now, events[:0])
//
// What may never happen here: a crossed book while the market is open, an order that trades beyond its limit, a trade
// of an owner with itself when self-trade prevention was asked for, a result that depends on anything but the commands.
package matching

// Price is a price in whole ticks.
type Price int64

// Qty is a quantity in whole lots.
type Qty int64

// Time is the engine's own time; only its order matters here.
type Time int64

// OrderID names an order for ever. Zero is no order.
type OrderID uint64

// Owner is who an order belongs to, for self-trade prevention and for cancelling all.
type Owner uint64

// Side is buy or sell.
type Side uint8

// The sides.
const (
	Buy Side = iota
	Sell
)

// Type says how an order looks for its price.
type Type uint8

// The types of order.
const (
	Limit     Type = iota
	Market         // takes what is there, by Qty, by Quote, or until the first of both is reached
	StopLimit      // becomes Limit when the last price reaches Stop
	Stop           // becomes Market when the last price reaches Stop
)

// Force says how long an order stays.
type Force uint8

// The times in force.
const (
	GoodTillCancel    Force = iota
	ImmediateOrCancel       // what does not trade at once is cancelled
	FillOrKill              // trades whole at once, or not at all
	PostOnly                // never takes: refused when it would
	GoodTillTime            // cancelled when the time reaches Expire
)

// SelfTrade says what happens when an order would trade with one of the same owner. The taker's mode decides.
type SelfTrade uint8

// The modes of self-trade prevention.
const (
	Allow SelfTrade = iota
	ExpireTaker
	ExpireMaker
	ExpireBoth
)

// Order is a new order. Which fields count depends on Type and Force.
type Order struct {
	ID        OrderID
	Owner     Owner
	Side      Side
	Type      Type
	Force     Force
	SelfTrade SelfTrade
	Price     Price  // of Limit and StopLimit; of Stop the worst price that it may trade at, zero for any
	Stop      Price  // of Stop and StopLimit
	Qty       Qty    // of all, but Market by Quote alone
	Show      Qty    // iceberg: how much is visible at a time; zero shows all
	Quote     int64  // of Market: how many ticks x lots may be spent or earned
	Expire    Time   // of GoodTillTime
	Tag       uint32 // the caller's own; events carry it
}

// Kind says what an event tells.
type Kind uint8

// The kinds of event.
const (
	Accepted  Kind = iota // the order was taken: it rests, waits for its stop, or begins to trade
	Traded                // Maker and Taker traded Qty at Price
	Cancelled             // Rest lots of the order leave the book, for Reason
	Rejected              // the command changed nothing, for Reason
	Triggered             // a stop order's price was reached
	Amended               // the order now has Rest lots at Price
)

// Reason says why an order was cancelled or rejected.
type Reason uint8

// The reasons.
const (
	None           Reason = iota
	ByRequest             // its owner, or the operator, asked
	Unfilled              // immediate or market: nothing more to take
	Expired               // its time came
	SelfTraded            // it would have traded with its own owner
	WouldTake             // post-only order at a price that takes
	NotFillable           // fill-or-kill, and not enough there
	BadOrder              // a field has a value that no order may have
	Duplicate             // an order of that identity is in the book
	Unknown               // no order of that identity, or of another owner
	OutsideBand           // its price is outside the market's band
	TooSmall              // below the least quantity or notional
	TooLarge              // above the greatest quantity
	MarketHalted          // nothing but cancels is taken now
	AuctionRunning        // only resting limit orders are taken now
	BookFull              // the market holds as many orders as it may
	OwnerFull             // the owner has as many orders in it as they may
	Spent                 // market order: what is left of its quote buys no lot more
)

// Event is one thing that happened. Fields that its kind does not need are zero.
type Event struct {
	Kind       Kind
	Reason     Reason
	Side       Side   // of the taker in Traded, else of the order
	Tag        uint32 // of Order
	Order      OrderID
	Owner      Owner
	Maker      OrderID
	MakerOwner Owner
	Price      Price
	Qty        Qty
	Rest       Qty // of Order after the event
	MakerRest  Qty // of Maker after the event
	MakerTag   uint32
}

// Limits are the market's filters. A zero upper limit does not limit.
type Limits struct {
	PriceMin, PriceMax Price // the band; zero PriceMax: no band
	QtyMin, QtyMax     Qty
	NotionalMin        int64 // ticks x lots
	OrdersMax          int   // resting and waiting orders
	OwnerMax           int   // of these, of one owner
}

// State says what the market takes.
type State uint8

// The states of a market.
const (
	Open    State = iota
	Halted        // only cancels
	Auction       // limit orders collect without trading, until Reopen
)

// Options say how a book is made.
type Options struct {
	Limits      Limits
	ArbitraryID bool // order identities are not dense: use a table instead of direct pages
}

// Fixed bounds of the arithmetic: price x quantity always fits in 63 bits.
const (
	PriceMax Price = 1<<31 - 1
	QtyMax   Qty   = 1<<31 - 1
)
