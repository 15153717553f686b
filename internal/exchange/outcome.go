package exchange

import (
	"encoding/binary"

	"github.com/coldsign/coldsign/internal/money"
)

// Code says how a command ended. Zero is done; every other one changed nothing.
type Code uint16

// The codes. A number is never given to another meaning: gateways translate them.
const (
	Done              Code = iota
	Busy                   // the engine's queue is full: nothing was journalled, the same ID may be sent again
	Malformed              // a field has a value that no such command may have
	NotAllowed             // the segment or the account may not send this
	UnknownMarket          //
	UnknownAccount         //
	UnknownAsset           //
	UnknownOrder           // no such open order of this account
	DuplicateClient        // an open order of the account has this client name
	InsufficientFunds      //
	OutsideBand            // price outside the market's band
	BelowMin               // quantity or notional below the market's least
	AboveMax               // quantity above the market's greatest
	Halted                 // the market takes only cancels
	InAuction              // the market takes only resting limit orders and cancels
	WouldTake              // post-only order at a price that takes
	StopWouldTrigger       // stop price on the wrong side of the last price
	TooManyOrders          // the account, or the market, holds as many orders as it may
	EvidenceRefused        // the deposit or the approval does not hold: Reason tells
	AlreadyCredited        // the deposit's outpoint was credited before
	UnknownAddress         // the withdrawal address is not in the account's book
	AddressWaiting         // the withdrawal address is too new
	OverLimit              // the account's withdrawal limit for the window
	UnknownWithdrawal      //
	WrongState             // the withdrawal, market or key is not in a state that allows it
	AlreadyExists          // account, key, address, asset or market of that name
	AmountOverflow         // the amount does not fit
	SecondFactorWrong      // the one-time code is wrong, old, or was used before
	OrderNotFilled         // fill-or-kill order that could not be filled (expired, nothing traded)
	Superseded             // another engine writes this journal: ask again
)

// Fill is one trade of the order that the outcome speaks of.
type Fill struct {
	Trade    TradeID
	Price    int64      // ticks
	Qty      int64      // lots
	Fee      money.U128 // smallest units of FeeAsset
	FeeAsset Asset
}

// Outcome is the engine's answer to one command, sent after the command is durable.
type Outcome struct {
	ID       ID
	Seq      uint64 // of the command in the journal; zero: it was not journalled
	At       Millis // engine time of its frame
	Code     Code
	Again    bool // the command had been applied before: this is what it answered then, without fills
	Order    OrderID
	Status   Status
	Replaced OrderID // of Replace: the order that was cancelled
	Executed int64   // lots
	Quote    int64   // ticks x lots traded so far
	Canceled int64   // how many orders CancelAll took out
	Number   uint64  // of the account, key, withdrawal, deposit index, ... that was made
	Reason   string  // of EvidenceRefused and Malformed: one clear sentence, at most 255 bytes
	Fills    []Fill
}

const (
	outcomeFixed = 16 + 8 + 8 + 2 + 1 + 8 + 1 + 8 + 8 + 8 + 8 + 8
	fillSize     = 8 + 8 + 8 + 16 + 2
	fillsMax     = 1 << 16
)

// Append appends the outcome's bytes.
func (o *Outcome) Append(out []byte) []byte {
	out = append(out, o.ID[:]...)
	out = binary.LittleEndian.AppendUint64(out, o.Seq)
	out = binary.LittleEndian.AppendUint64(out, uint64(o.At))
	out = binary.LittleEndian.AppendUint16(out, uint16(o.Code))
	again := byte(0)
	if o.Again {
		again = 1
	}
	out = append(out, again)
	out = binary.LittleEndian.AppendUint64(out, uint64(o.Order))
	out = append(out, byte(o.Status))
	for _, n := range [...]uint64{uint64(o.Replaced), uint64(o.Executed), uint64(o.Quote), uint64(o.Canceled), o.Number} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	reason := o.Reason[:min(len(o.Reason), 255)]
	out = append(append(out, byte(len(reason))), reason...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(o.Fills)))
	for i := range o.Fills {
		f := &o.Fills[i]
		out = binary.LittleEndian.AppendUint64(out, uint64(f.Trade))
		out = binary.LittleEndian.AppendUint64(out, uint64(f.Price))
		out = binary.LittleEndian.AppendUint64(out, uint64(f.Qty))
		out = appendU128(out, f.Fee)
		out = binary.LittleEndian.AppendUint16(out, uint16(f.FeeAsset))
	}
	return out
}

// Read reads one outcome from the front of raw and returns what follows.
func (o *Outcome) Read(raw []byte) (rest []byte, err error) {
	if len(raw) < outcomeFixed+1 {
		return nil, ErrBytes
	}
	*o = Outcome{ID: ID(raw[:16]), Seq: binary.LittleEndian.Uint64(raw[16:]), At: Millis(binary.LittleEndian.Uint64(raw[24:])),
		Code: Code(binary.LittleEndian.Uint16(raw[32:])), Again: raw[34] == 1, Order: OrderID(binary.LittleEndian.Uint64(raw[35:])), Status: Status(raw[43])}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[44+8*i:]) }
	o.Replaced, o.Executed, o.Quote, o.Canceled, o.Number = OrderID(number(0)), int64(number(1)), int64(number(2)), int64(number(3)), number(4)
	if o.Code > Superseded || raw[34] > 1 || o.Status > StatusExpiredInMatch {
		return nil, ErrBytes
	}
	raw = raw[outcomeFixed:]
	n := int(raw[0])
	if len(raw) < 1+n+4 {
		return nil, ErrBytes
	}
	o.Reason, raw = string(raw[1:1+n]), raw[1+n:]
	fills := binary.LittleEndian.Uint32(raw)
	raw = raw[4:]
	if fills > fillsMax || len(raw) < int(fills)*fillSize {
		return nil, ErrBytes
	}
	if fills > 0 {
		o.Fills = make([]Fill, fills)
	}
	for i := range o.Fills {
		o.Fills[i] = Fill{Trade: TradeID(binary.LittleEndian.Uint64(raw)), Price: int64(binary.LittleEndian.Uint64(raw[8:])),
			Qty: int64(binary.LittleEndian.Uint64(raw[16:])), Fee: readU128(raw[24:]), FeeAsset: Asset(binary.LittleEndian.Uint16(raw[40:]))}
		raw = raw[fillSize:]
	}
	return raw, nil
}

func appendU128(out []byte, n money.U128) []byte {
	out = binary.LittleEndian.AppendUint64(out, n.Lo)
	return binary.LittleEndian.AppendUint64(out, n.Hi)
}

func readU128(raw []byte) money.U128 {
	return money.U128{Lo: binary.LittleEndian.Uint64(raw), Hi: binary.LittleEndian.Uint64(raw[8:])}
}
