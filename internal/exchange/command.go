package exchange

import (
	"encoding/binary"
)

// Kind says what a command asks for.
type Kind uint8

// The kinds of command. A number is never given to another meaning: journals hold it.
const (
	Tick Kind = iota + 1 // nothing but that time passed: orders whose time came expire

	// Orders: what a customer's trading key may do.
	Place
	Cancel    // by Order, or by Orig
	CancelAll // of Account in Market
	Replace   // cancels Order (or Orig) and places the rest of the command, both or neither
	Amend     // gives Order (or Orig) the lower remaining quantity Qty and keeps its place

	// Funds. Deposit and Adjust carry their evidence in Body; without it no ledger entry can be made.
	Deposit         // Body: DepositBody; from the wallet segment
	Adjust          // Body: ChangeBody; from the admin segment
	WithdrawRequest // Body: WithdrawBody; from a gateway
	WithdrawSettle  // Body: WithdrawResult; from the wallet segment
	WithdrawRelease // Body: WithdrawResult; from the wallet segment

	// Accounts. Body as named.
	AccountOpen   // Body: AccountBody
	KeyAdd        // Body: KeyBody
	KeyRevoke     // Body: KeyBody
	AddressAdd    // Body: AddressBody
	AddressRemove // Body: AddressBody
	DepositAssign // Body: DepositAssignBody: the account's next deposit address

	// Catalogue. Body: ChangeBody, an intent that two people approved.
	Change

	// Passkeys. Body as named.
	PasskeyOffer // Body: EnrolBody; from the admin segment
	PasskeyEnrol // Body: PasskeyBody: the account's first passkey; from a gateway
	Approve      // Body: ApprovalBody; from a gateway
)

// Command is what one segment asks of the engine. Which fields count depends on Kind; the others are zero.
type Command struct {
	ID        ID
	Kind      Kind
	Account   Account
	Market    Market
	Side      Side
	Type      OrderType
	Force     Force
	SelfTrade SelfTrade
	Order     OrderID // of Cancel, Replace, Amend
	Price     int64   // ticks
	Stop      int64   // ticks
	Qty       int64   // lots
	Show      int64   // lots; of an iceberg
	Quote     int64   // ticks x lots; of a market order by quote quantity
	Expire    Millis  // of GoodTillTime
	Client    Client  // of a new order
	Orig      Client  // names the order to cancel, replace or amend, where Order is zero
	Body      []byte  // shares memory with the bytes it was read from
}

// BodyMax is the longest body of a command.
const BodyMax = 1 << 20

// A command is: ID 16, Kind 1, Account 8, Market 2, Side|Type|Force|SelfTrade 1 each, nine numbers (Order, Price, Stop,
// Qty, Show, Quote, Expire) of 8 each, Client length 1 and text, Orig length 1 and text, Body length 4 and bytes; little
// endian.
const commandFixed = 16 + 1 + 8 + 2 + 4 + 7*8

// Append appends the command's bytes.
func (c *Command) Append(out []byte) []byte {
	out = append(out, c.ID[:]...)
	out = append(out, byte(c.Kind))
	out = binary.LittleEndian.AppendUint64(out, uint64(c.Account))
	out = binary.LittleEndian.AppendUint16(out, uint16(c.Market))
	out = append(out, byte(c.Side), byte(c.Type), byte(c.Force), byte(c.SelfTrade))
	for _, n := range [...]uint64{uint64(c.Order), uint64(c.Price), uint64(c.Stop), uint64(c.Qty), uint64(c.Show), uint64(c.Quote), uint64(c.Expire)} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	out = c.Client.append(out)
	out = c.Orig.append(out)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(c.Body)))
	return append(out, c.Body...)
}

func (c Client) append(out []byte) []byte {
	return append(append(out, c.n), c.text[:c.n]...)
}

// Read reads one command from the front of raw and returns what follows. It refuses, with ErrBytes, whatever Append
// does not make.
func (c *Command) Read(raw []byte) (rest []byte, err error) {
	if len(raw) < commandFixed {
		return nil, ErrBytes
	}
	head := raw[:commandFixed] // field by field: a command is long, and most of it is written anew anyway
	c.ID, c.Kind, c.Account, c.Market = ID(head[:16]), Kind(head[16]), Account(binary.LittleEndian.Uint64(head[17:])), Market(binary.LittleEndian.Uint16(head[25:]))
	c.Side, c.Type, c.Force, c.SelfTrade = Side(head[27]), OrderType(head[28]), Force(head[29]), SelfTrade(head[30])
	c.Body = nil
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(head[31+8*i:])) }
	c.Order, c.Price, c.Stop, c.Qty, c.Show, c.Quote, c.Expire = OrderID(number(0)), number(1), number(2), number(3), number(4), number(5), Millis(number(6))
	if c.Kind < Tick || c.Kind > Approve || c.Side > Sell || c.Type > Stop || c.Force > GoodTillTime || c.SelfTrade > ExpireBoth {
		return nil, ErrBytes
	}
	raw = raw[commandFixed:]
	if raw, err = c.Client.read(raw); err != nil {
		return nil, err
	}
	if raw, err = c.Orig.read(raw); err != nil {
		return nil, err
	}
	if len(raw) < 4 {
		return nil, ErrBytes
	}
	size := binary.LittleEndian.Uint32(raw)
	raw = raw[4:]
	if size > BodyMax || int(size) > len(raw) {
		return nil, ErrBytes
	}
	if size > 0 {
		c.Body = raw[:size:size]
	}
	return raw[size:], nil
}

func (c *Client) read(raw []byte) ([]byte, error) {
	if len(raw) < 1 || raw[0] > ClientMax || len(raw) < 1+int(raw[0]) {
		return nil, ErrBytes
	}
	if raw[0] == 0 {
		*c = Client{}
		return raw[1:], nil
	}
	name, ok := NewClient(string(raw[1 : 1+int(raw[0])]))
	if !ok {
		return nil, ErrBytes
	}
	*c = name
	return raw[1+int(raw[0]):], nil
}

// Append appends the name's length and text.
func (c *Client) Append(out []byte) []byte { return c.append(out) }
