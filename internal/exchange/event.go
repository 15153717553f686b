package exchange

import (
	"encoding/binary"

	"github.com/coldsign/coldsign/internal/money"
)

// EventKind says what an event tells.
type EventKind uint8

// The kinds of event. A number is never given to another meaning.
const (
	OrderChanged   EventKind = iota + 1 // Event.Order
	Traded                              // Event.Trade
	LevelChanged                        // Event.Level: the visible quantity of a price now is; one per price and frame
	BalanceChanged                      // Event.Balance: one per account, asset and frame
	RecordChanged                       // Event.Record, Event.Body: something rarer; see Record
)

// Cause says why an order changed: the execution type of an order report.
type Cause uint8

// The causes.
const (
	CauseNew Cause = iota
	CauseTrade
	CauseCancelled
	CauseReplaced
	CauseExpired
	CausePrevented // self-trade prevention
	CauseTriggered // a stop order came to life
	CauseAmended
)

// OrderRecord is an order as it now is.
type OrderRecord struct {
	Market    Market
	Order     OrderID
	Account   Account
	Side      Side
	Type      OrderType
	Force     Force
	SelfTrade SelfTrade
	Status    Status
	Cause     Cause
	Price     int64
	Stop      int64
	Qty       int64
	Show      int64
	QuoteMax  int64 // of a market order by quote quantity, ticks x lots
	Executed  int64
	Quote     int64 // ticks x lots traded so far
	Expire    Millis
	Created   Millis
	Client    Client
	Orig      Client // of a cancel or replace that the client named
}

// Half is one of the two orders of a trade.
type Half struct {
	Order    OrderID
	Account  Account
	Fee      money.U128 // smallest units of FeeAsset
	FeeAsset Asset
}

// TradeRecord is one trade.
type TradeRecord struct {
	Market       Market
	Trade        TradeID
	Price        int64
	Qty          int64
	TakerSide    Side
	Taker, Maker Half
}

// LevelRecord is the visible quantity at one price; zero: the price is gone.
type LevelRecord struct {
	Market Market
	Side   Side
	Price  int64
	Qty    int64
}

// BalanceRecord is what an account has of an asset, in smallest units.
type BalanceRecord struct {
	Account         Account
	Asset           Asset
	Available, Held money.U128
}

// Event is one thing that happened. Which field counts depends on Kind.
type Event struct {
	Kind    EventKind
	Seq     uint64 // of the command that caused it
	At      Millis
	Order   OrderRecord
	Trade   TradeRecord
	Level   LevelRecord
	Balance BalanceRecord
	Record  Record // of RecordChanged: what Body holds
	Body    []byte // shares memory with the bytes it was read from
}

// An event is: Kind 1, Seq 8, At 8, and the fields of its kind in the order of the struct; little endian.
const (
	eventHead   = 1 + 8 + 8
	orderFixed  = 2 + 8 + 8 + 6 + 9*8
	halfSize    = 8 + 8 + 16 + 2
	tradeSize   = 2 + 8 + 8 + 8 + 1 + 2*halfSize
	levelSize   = 2 + 1 + 8 + 8
	balanceSize = 8 + 2 + 32
)

// AppendHead begins an event.
func AppendHead(out []byte, kind EventKind, seq uint64, at Millis) []byte {
	out = append(out, byte(kind))
	out = binary.LittleEndian.AppendUint64(out, seq)
	return binary.LittleEndian.AppendUint64(out, uint64(at))
}

// Append appends the record's bytes, after a head of OrderChanged.
func (o *OrderRecord) Append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint16(out, uint16(o.Market))
	out = binary.LittleEndian.AppendUint64(out, uint64(o.Order))
	out = binary.LittleEndian.AppendUint64(out, uint64(o.Account))
	out = append(out, byte(o.Side), byte(o.Type), byte(o.Force), byte(o.SelfTrade), byte(o.Status), byte(o.Cause))
	for _, n := range [...]int64{o.Price, o.Stop, o.Qty, o.Show, o.QuoteMax, o.Executed, o.Quote, int64(o.Expire), int64(o.Created)} {
		out = binary.LittleEndian.AppendUint64(out, uint64(n))
	}
	return o.Orig.append(o.Client.append(out))
}

// Append appends the record's bytes, after a head of Traded.
func (t *TradeRecord) Append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint16(out, uint16(t.Market))
	for _, n := range [...]uint64{uint64(t.Trade), uint64(t.Price), uint64(t.Qty)} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	out = append(out, byte(t.TakerSide))
	for _, h := range [...]*Half{&t.Taker, &t.Maker} {
		out = binary.LittleEndian.AppendUint64(out, uint64(h.Order))
		out = binary.LittleEndian.AppendUint64(out, uint64(h.Account))
		out = appendU128(out, h.Fee)
		out = binary.LittleEndian.AppendUint16(out, uint16(h.FeeAsset))
	}
	return out
}

// Append appends the record's bytes, after a head of LevelChanged.
func (l *LevelRecord) Append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint16(out, uint16(l.Market))
	out = append(out, byte(l.Side))
	out = binary.LittleEndian.AppendUint64(out, uint64(l.Price))
	return binary.LittleEndian.AppendUint64(out, uint64(l.Qty))
}

// Append appends the record's bytes, after a head of BalanceChanged.
func (b *BalanceRecord) Append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint64(out, uint64(b.Account))
	out = binary.LittleEndian.AppendUint16(out, uint16(b.Asset))
	return appendU128(appendU128(out, b.Available), b.Held)
}

// AppendRecord appends a record and its bytes, after a head of RecordChanged.
func AppendRecord(out []byte, r Record, body []byte) []byte {
	out = append(out, byte(r))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	return append(out, body...)
}

// Read reads one event from the front of raw and returns what follows.
func (e *Event) Read(raw []byte) (rest []byte, err error) {
	if len(raw) < eventHead {
		return nil, ErrBytes
	}
	e.Kind, e.Seq, e.At = EventKind(raw[0]), binary.LittleEndian.Uint64(raw[1:]), Millis(binary.LittleEndian.Uint64(raw[9:]))
	raw = raw[eventHead:]
	switch e.Kind {
	case OrderChanged:
		return e.Order.read(raw)
	case Traded:
		return e.Trade.read(raw)
	case LevelChanged:
		if len(raw) < levelSize || raw[2] > byte(Sell) {
			return nil, ErrBytes
		}
		e.Level = LevelRecord{Market(binary.LittleEndian.Uint16(raw)), Side(raw[2]), int64(binary.LittleEndian.Uint64(raw[3:])), int64(binary.LittleEndian.Uint64(raw[11:]))}
		return raw[levelSize:], nil
	case BalanceChanged:
		if len(raw) < balanceSize {
			return nil, ErrBytes
		}
		e.Balance = BalanceRecord{Account(binary.LittleEndian.Uint64(raw)), Asset(binary.LittleEndian.Uint16(raw[8:])), readU128(raw[10:]), readU128(raw[26:])}
		return raw[balanceSize:], nil
	case RecordChanged:
		if len(raw) < 5 {
			return nil, ErrBytes
		}
		size := binary.LittleEndian.Uint32(raw[1:])
		if size > BodyMax || int(size) > len(raw)-5 {
			return nil, ErrBytes
		}
		e.Record, e.Body = Record(raw[0]), raw[5:5+size:5+size]
		return raw[5+size:], nil
	}
	return nil, ErrBytes
}

func (o *OrderRecord) read(raw []byte) ([]byte, error) {
	if len(raw) < orderFixed {
		return nil, ErrBytes
	}
	*o = OrderRecord{Market: Market(binary.LittleEndian.Uint16(raw)), Order: OrderID(binary.LittleEndian.Uint64(raw[2:])),
		Account: Account(binary.LittleEndian.Uint64(raw[10:])), Side: Side(raw[18]), Type: OrderType(raw[19]), Force: Force(raw[20]),
		SelfTrade: SelfTrade(raw[21]), Status: Status(raw[22]), Cause: Cause(raw[23])}
	if o.Side > Sell || o.Type > Stop || o.Force > GoodTillTime || o.SelfTrade > ExpireBoth || o.Status > StatusExpiredInMatch || o.Cause > CauseAmended {
		return nil, ErrBytes
	}
	for i, n := range [...]*int64{&o.Price, &o.Stop, &o.Qty, &o.Show, &o.QuoteMax, &o.Executed, &o.Quote, (*int64)(&o.Expire), (*int64)(&o.Created)} {
		*n = int64(binary.LittleEndian.Uint64(raw[24+8*i:]))
	}
	raw, err := o.Client.read(raw[orderFixed:])
	if err != nil {
		return nil, err
	}
	return o.Orig.read(raw)
}

func (t *TradeRecord) read(raw []byte) ([]byte, error) {
	if len(raw) < tradeSize || raw[26] > byte(Sell) {
		return nil, ErrBytes
	}
	*t = TradeRecord{Market: Market(binary.LittleEndian.Uint16(raw)), Trade: TradeID(binary.LittleEndian.Uint64(raw[2:])),
		Price: int64(binary.LittleEndian.Uint64(raw[10:])), Qty: int64(binary.LittleEndian.Uint64(raw[18:])), TakerSide: Side(raw[26])}
	raw = raw[27:]
	for _, h := range [...]*Half{&t.Taker, &t.Maker} {
		*h = Half{OrderID(binary.LittleEndian.Uint64(raw)), Account(binary.LittleEndian.Uint64(raw[8:])), readU128(raw[16:]), Asset(binary.LittleEndian.Uint16(raw[32:]))}
		raw = raw[halfSize:]
	}
	return raw, nil
}
