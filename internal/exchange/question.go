package exchange

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/fxamacker/cbor/v2"
)

// A Question is answered by the engine's segment and changes nothing. Exactly one of its fields is set. Questions and
// answers travel as deterministic CBOR.
type Question struct {
	// After: the answer must know at least this sequence number (an Outcome's Seq), so that whoever was told of a
	// change also reads it. Zero: as it is now.
	After     uint64             `cbor:"1,keyasint,omitempty"`
	Catalogue *struct{}          `cbor:"2,keyasint,omitempty"`
	Depth     *DepthQuestion     `cbor:"3,keyasint,omitempty"`
	Account   *AccountQuestion   `cbor:"4,keyasint,omitempty"` // state, fees and balances
	Orders    *OrdersQuestion    `cbor:"5,keyasint,omitempty"`
	Trades    *TradesQuestion    `cbor:"6,keyasint,omitempty"`
	Key       *KeyQuestion       `cbor:"7,keyasint,omitempty"`
	Deposits  *HistoryQuestion   `cbor:"8,keyasint,omitempty"`
	Withdraws *HistoryQuestion   `cbor:"9,keyasint,omitempty"`
	Addresses *HistoryQuestion   `cbor:"10,keyasint,omitempty"` // deposit addresses of the account
	Status    *struct{}          `cbor:"11,keyasint,omitempty"`
	Candles   *CandlesQuestion   `cbor:"12,keyasint,omitempty"`
	Tickers   *TickersQuestion   `cbor:"13,keyasint,omitempty"`
	Accounts  *DirectoryQuestion `cbor:"14,keyasint,omitempty"` // admin only
	Tickets   *HistoryQuestion   `cbor:"15,keyasint,omitempty"` // admin only; of account zero: of all accounts
	Unbans    *HistoryQuestion   `cbor:"16,keyasint,omitempty"` // of those who keep a table of requests; newest first
	Security  *SecurityQuestion  `cbor:"17,keyasint,omitempty"`
	Seal      *SealQuestion      `cbor:"18,keyasint,omitempty"` // gateway only
}

// Single reports whether exactly one thing is asked. Whoever decides who may ask what looks at this first.
func (q *Question) Single() bool {
	n := 0
	for _, there := range [...]bool{q.Catalogue != nil, q.Depth != nil, q.Account != nil, q.Orders != nil, q.Trades != nil, q.Key != nil, q.Deposits != nil,
		q.Withdraws != nil, q.Addresses != nil, q.Status != nil, q.Candles != nil, q.Tickers != nil, q.Accounts != nil, q.Tickets != nil, q.Unbans != nil,
		q.Security != nil, q.Seal != nil} {
		if there {
			n++
		}
	}
	return n == 1
}

// DepthQuestion asks for the best Limit levels of each side.
type DepthQuestion struct {
	Market Market `cbor:"1,keyasint"`
	Limit  int    `cbor:"2,keyasint"`
}

// AccountQuestion names an account.
type AccountQuestion struct {
	Account Account `cbor:"1,keyasint"`
}

// OrdersQuestion asks for orders of an account, newest last: the open ones, one, or the history from an identity or
// time on.
type OrdersQuestion struct {
	Account Account `cbor:"1,keyasint"`
	Market  Market  `cbor:"2,keyasint"` // zero: all (open ones only)
	Open    bool    `cbor:"3,keyasint"`
	Order   OrderID `cbor:"4,keyasint"` // one order; or, with From, the first of the history
	Client  string  `cbor:"5,keyasint"` // one order
	History bool    `cbor:"6,keyasint"`
	Since   Millis  `cbor:"7,keyasint"`
	Until   Millis  `cbor:"8,keyasint"`
	Limit   int     `cbor:"9,keyasint"`
}

// TradesQuestion asks for trades of a market, or of an account in it, oldest first; without From and Since the newest.
type TradesQuestion struct {
	Market  Market  `cbor:"1,keyasint"`
	Account Account `cbor:"2,keyasint"` // zero: everybody's, without accounts and fees
	Order   OrderID `cbor:"3,keyasint"`
	From    TradeID `cbor:"4,keyasint"`
	Since   Millis  `cbor:"5,keyasint"`
	Until   Millis  `cbor:"6,keyasint"`
	Limit   int     `cbor:"7,keyasint"`
}

// KeyQuestion names an API key.
type KeyQuestion struct {
	Key string `cbor:"1,keyasint"`
}

// HistoryQuestion asks for records of an account, newest first. Withdrawals of account zero are those of all accounts
// that wait for the treasury, oldest first; deposits of account zero those of all accounts. With Number it is one record
// of whatever account; only operators and the wallet may ask that.
type HistoryQuestion struct {
	Account Account `cbor:"1,keyasint"`
	Asset   Asset   `cbor:"2,keyasint"` // zero: all
	Since   Millis  `cbor:"3,keyasint"`
	Until   Millis  `cbor:"4,keyasint"`
	Offset  int     `cbor:"5,keyasint"`
	Limit   int     `cbor:"6,keyasint"`
	Client  string  `cbor:"7,keyasint"`
	Number  uint64  `cbor:"8,keyasint,omitempty"` // of a deposit or a withdrawal; of an address: its index plus one
	Output  string  `cbor:"9,keyasint,omitempty"` // of a deposit: its transaction, a colon, and the output's place
}

// Everybodys reports whether it asks beyond one account.
func (q *HistoryQuestion) Everybodys() bool { return q.Account == 0 || q.Number != 0 || q.Output != "" }

// CandlesQuestion asks for candles of a market, oldest first.
type CandlesQuestion struct {
	Market   Market `cbor:"1,keyasint"`
	Interval Millis `cbor:"2,keyasint"` // one second or more; zero with Month
	Since    Millis `cbor:"3,keyasint"`
	Until    Millis `cbor:"4,keyasint"`
	Limit    int    `cbor:"5,keyasint"`
	Month    bool   `cbor:"6,keyasint,omitempty"` // of calendar months, UTC
}

// TickersQuestion asks what the last 24 hours were like, in one market or in all.
type TickersQuestion struct {
	Market Market `cbor:"1,keyasint"`
}

// DirectoryQuestion asks for accounts, keys and pending changes.
type DirectoryQuestion struct {
	Account Account `cbor:"1,keyasint"` // zero: all accounts
}

// Answer answers a question. Code is Done, or says why there is no answer; the field that counts is the question's.
type Answer struct {
	Code      Code                 `cbor:"1,keyasint"`
	Seq       uint64               `cbor:"2,keyasint"` // the last command that the answer knows
	At        Millis               `cbor:"3,keyasint"`
	Assets    []AssetInfo          `cbor:"4,keyasint,omitempty"`
	Markets   []MarketInfo         `cbor:"5,keyasint,omitempty"`
	Bids      []LevelRecord        `cbor:"6,keyasint,omitempty"` // best first
	Asks      []LevelRecord        `cbor:"7,keyasint,omitempty"`
	Account   *AccountInfo         `cbor:"8,keyasint,omitempty"`
	Balances  []BalanceRecord      `cbor:"9,keyasint,omitempty"`
	Orders    []OrderView          `cbor:"10,keyasint,omitempty"`
	Trades    []TradeView          `cbor:"11,keyasint,omitempty"`
	Key       *KeyInfo             `cbor:"12,keyasint,omitempty"` // Secret is open: only a gateway may ask
	Deposits  []DepositInfo        `cbor:"13,keyasint,omitempty"`
	Withdraws []WithdrawalInfo     `cbor:"14,keyasint,omitempty"`
	Addresses []DepositAddressInfo `cbor:"15,keyasint,omitempty"`
	Candles   []Candle             `cbor:"16,keyasint,omitempty"`
	Tickers   []Ticker             `cbor:"17,keyasint,omitempty"`
	Accounts  []AccountInfo        `cbor:"18,keyasint,omitempty"`
	Keys      []KeyInfo            `cbor:"19,keyasint,omitempty"` // without secrets
	Status    *EngineStatus        `cbor:"20,keyasint,omitempty"`
	Book      []AddressInfo        `cbor:"21,keyasint,omitempty"`
	Tickets   []TicketInfo         `cbor:"22,keyasint,omitempty"`
	Unbans    []UnbanInfo          `cbor:"23,keyasint,omitempty"`
	Security  *SecurityInfo        `cbor:"25,keyasint,omitempty"`
	Passkeys  []PasskeyInfo        `cbor:"26,keyasint,omitempty"`
	Sealed    []byte               `cbor:"27,keyasint,omitempty"`
	Fees      *DefaultFees         `cbor:"24,keyasint,omitempty"` // of a Catalogue; the engine's own answer alone has them
}

// OrderView is an order, and when it last changed.
type OrderView struct {
	Market    Market    `cbor:"1,keyasint"`
	Order     OrderID   `cbor:"2,keyasint"`
	Account   Account   `cbor:"3,keyasint"`
	Side      Side      `cbor:"4,keyasint"`
	Type      OrderType `cbor:"5,keyasint"`
	Force     Force     `cbor:"6,keyasint"`
	SelfTrade SelfTrade `cbor:"7,keyasint"`
	Status    Status    `cbor:"8,keyasint"`
	Price     int64     `cbor:"9,keyasint"`
	Stop      int64     `cbor:"10,keyasint"`
	Qty       int64     `cbor:"11,keyasint"`
	Show      int64     `cbor:"12,keyasint"`
	QuoteMax  int64     `cbor:"13,keyasint"`
	Executed  int64     `cbor:"14,keyasint"`
	Quote     int64     `cbor:"15,keyasint"`
	Expire    Millis    `cbor:"16,keyasint"`
	Created   Millis    `cbor:"17,keyasint"`
	Changed   Millis    `cbor:"18,keyasint"`
	Client    string    `cbor:"19,keyasint"`
}

// TradeView is a trade as its account, or as everybody, sees it.
type TradeView struct {
	Market    Market     `cbor:"1,keyasint"`
	Trade     TradeID    `cbor:"2,keyasint"`
	Price     int64      `cbor:"3,keyasint"`
	Qty       int64      `cbor:"4,keyasint"`
	TakerSide Side       `cbor:"5,keyasint"`
	At        Millis     `cbor:"6,keyasint"`
	Order     OrderID    `cbor:"7,keyasint"` // of the account
	Side      Side       `cbor:"8,keyasint"` // of the account
	Maker     bool       `cbor:"9,keyasint"` // the account's order was in the book
	Fee       money.U128 `cbor:"10,keyasint"`
	FeeAsset  Asset      `cbor:"11,keyasint"`
}

// Candle is what happened in a market in an interval. Prices are ticks, volumes lots and ticks x lots.
type Candle struct {
	Open     Millis     `cbor:"1,keyasint"`
	Prices   [4]int64   `cbor:"2,keyasint"` // first, highest, lowest, last
	Volume   int64      `cbor:"3,keyasint"`
	Quote    money.U128 `cbor:"4,keyasint"`
	Trades   int64      `cbor:"5,keyasint"`
	BuyLots  int64      `cbor:"6,keyasint"` // of taker buys
	BuyQuote money.U128 `cbor:"7,keyasint"`
}

// Ticker is a market's last 24 hours.
type Ticker struct {
	Market Market  `cbor:"1,keyasint"`
	Day    Candle  `cbor:"2,keyasint"`
	First  TradeID `cbor:"3,keyasint"`
	Last   TradeID `cbor:"4,keyasint"`
	Bid    int64   `cbor:"5,keyasint"`
	BidQty int64   `cbor:"6,keyasint"`
	Ask    int64   `cbor:"7,keyasint"`
	AskQty int64   `cbor:"8,keyasint"`
	At     Millis  `cbor:"9,keyasint"`
}

// EngineStatus is how the engine does.
type EngineStatus struct {
	Seq       uint64   `cbor:"1,keyasint"` // last applied command
	Hash      [32]byte `cbor:"2,keyasint"` // of the state after it; zero when it is not known
	Queue     int      `cbor:"3,keyasint"`
	Records   uint64   `cbor:"4,keyasint"` // last sequence that the records know
	Snapshot  uint64   `cbor:"5,keyasint"` // last sequence of the newest snapshot
	Follower  uint64   `cbor:"6,keyasint"` // last sequence of the shadow replica
	Stopped   string   `cbor:"7,keyasint"` // why nothing is taken, empty when all is well
	Accounts  int      `cbor:"8,keyasint"`
	OpenCount int      `cbor:"9,keyasint"`
	Changes   uint64   `cbor:"10,keyasint"` // serial of the last change that was applied
	Assigned  []uint32 `cbor:"11,keyasint"` // by asset: how many deposit addresses were given; their indexes begin at zero
	Tickets   uint64   `cbor:"12,keyasint"` // how many there ever were
}

// AnswerMax is the longest answer, in bytes.
const AnswerMax = 4 << 20

// DecodeAnswer reads an answer strictly. It holds more than a body may: thousands of levels, orders or trades.
func DecodeAnswer(raw []byte) (a Answer, err error) {
	if len(raw) > AnswerMax {
		return a, fmt.Errorf("%w: an answer of %d bytes", ErrBytes, len(raw))
	}
	mode, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: 1 << 17, MaxMapPairs: 64, MaxNestedLevels: 8}.DecMode()
	if err != nil {
		return a, err
	}
	if err := mode.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("%w: %w", ErrBytes, err)
	}
	return a, nil
}
