package exchange

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/fxamacker/cbor/v2"
)

// Record says what the body of a RecordChanged event is: the whole record as it now is.
type Record uint8

// The records. A number is never given to another meaning.
const (
	AssetRecord          Record = iota + 1 // AssetInfo
	MarketRecord                           // MarketInfo
	AccountRecord                          // AccountInfo
	KeyRecord                              // KeyInfo
	AddressRecord                          // AddressInfo
	DepositAddressRecord                   // DepositAddressInfo
	DepositRecord                          // DepositInfo
	WithdrawalRecord                       // WithdrawalInfo
	ChangeRecord                           // ChangeInfo
	TicketRecord                           // TicketInfo
	PasskeyRecord                          // PasskeyInfo
)

// Scope is what an API key may do; a set of bits.
type Scope uint8

// The scopes.
const (
	ScopeRead Scope = 1 << iota
	ScopeTrade
	ScopeWithdraw
)

// AccountState says what an account may do.
type AccountState uint8

// The states of an account.
const (
	AccountActive AccountState = iota
	AccountFrozen              // cancels and reading only
)

// AccountBody asks for an account. TOTP is the customer's one-time-code secret, sealed by the segment that holds the
// key for it (room accounts).
type AccountBody struct {
	Name   string `cbor:"1,keyasint"` // of the customer in the operator's own books; unique
	Number uint64 `cbor:"2,keyasint"`
	TOTP   []byte `cbor:"3,keyasint"`
}

// AccountInfo is an account as it now is.
type AccountInfo struct {
	ID       Account      `cbor:"1,keyasint"`
	Name     string       `cbor:"2,keyasint"`
	State    AccountState `cbor:"3,keyasint"`
	MakerPPM uint32       `cbor:"4,keyasint"` // fee in parts per million
	TakerPPM uint32       `cbor:"5,keyasint"`
	TOTP     []byte       `cbor:"6,keyasint"` // sealed
	Created  Millis       `cbor:"7,keyasint"`
	Own      bool         `cbor:"8,keyasint,omitempty"` // its fees were set for it; otherwise they are those of the exchange
}

// KeyBody asks for an API key, or for its end.
type KeyBody struct {
	Key     string   `cbor:"1,keyasint"` // the public name of the key, 64 characters of a-z, A-Z, 0-9
	Scopes  Scope    `cbor:"2,keyasint"`
	Kind    string   `cbor:"3,keyasint"` // "hmac" or "ed25519"
	Secret  []byte   `cbor:"4,keyasint"` // hmac: sealed by room accounts; ed25519: the 32 bytes of the public key
	Allowed []string `cbor:"5,keyasint"` // CIDR; at least one for ScopeWithdraw
	Code    string   `cbor:"6,keyasint"` // one-time code of the customer; needed for ScopeWithdraw
	Label   string   `cbor:"7,keyasint"`
}

// KeyInfo is an API key as it now is.
type KeyInfo struct {
	Key     string   `cbor:"1,keyasint"`
	Account Account  `cbor:"2,keyasint"`
	Scopes  Scope    `cbor:"3,keyasint"`
	Kind    string   `cbor:"4,keyasint"`
	Secret  []byte   `cbor:"5,keyasint"`
	Allowed []string `cbor:"6,keyasint"`
	Label   string   `cbor:"7,keyasint"`
	Created Millis   `cbor:"8,keyasint"`
	Usable  Millis   `cbor:"9,keyasint"` // ScopeWithdraw counts from this time
	Revoked bool     `cbor:"10,keyasint"`
}

// AddressBody adds an address to an account's withdrawal book, or removes it.
type AddressBody struct {
	Asset   Asset  `cbor:"1,keyasint"`
	Address string `cbor:"2,keyasint"`
	Label   string `cbor:"3,keyasint"`
	Code    string `cbor:"4,keyasint"` // one-time code; needed to add
}

// AddressInfo is an entry of an account's withdrawal book as it now is.
type AddressInfo struct {
	Account Account `cbor:"1,keyasint"`
	Asset   Asset   `cbor:"2,keyasint"`
	Address string  `cbor:"3,keyasint"`
	Label   string  `cbor:"4,keyasint"`
	Added   Millis  `cbor:"5,keyasint"`
	Usable  Millis  `cbor:"6,keyasint"`
	Removed bool    `cbor:"7,keyasint"`
}

// DepositAssignBody asks for the next deposit address of an account.
type DepositAssignBody struct {
	Asset Asset `cbor:"1,keyasint"`
}

// DepositAddressInfo says that payments to the receive index of the deposit wallet are of the account.
type DepositAddressInfo struct {
	Account Account `cbor:"1,keyasint"`
	Asset   Asset   `cbor:"2,keyasint"`
	Index   uint32  `cbor:"3,keyasint"`
	Address string  `cbor:"4,keyasint"`
	At      Millis  `cbor:"5,keyasint"`
}

// DepositBody is the evidence of a deposit: the transaction, and that a block with proof of work holds it. The engine
// derives the address again from its own pinned wallet.
type DepositBody struct {
	Asset   Asset    `cbor:"1,keyasint"`
	Raw     []byte   `cbor:"2,keyasint"` // the transaction
	Output  uint32   `cbor:"3,keyasint"`
	Index   uint32   `cbor:"4,keyasint"` // receive index of the deposit wallet
	Height  uint32   `cbor:"5,keyasint"`
	Branch  [][]byte `cbor:"6,keyasint"` // Merkle branch, each 32 bytes, from the leaf up
	Place   uint32   `cbor:"7,keyasint"` // of the transaction in its block
	Headers [][]byte `cbor:"8,keyasint"` // the block's header and those that confirm it, each 80 bytes, oldest first
}

// DepositInfo is a credited deposit.
type DepositInfo struct {
	Number  uint64     `cbor:"1,keyasint"`
	Account Account    `cbor:"2,keyasint"`
	Asset   Asset      `cbor:"3,keyasint"`
	Amount  money.U128 `cbor:"4,keyasint"`
	TxID    string     `cbor:"5,keyasint"`
	Output  uint32     `cbor:"6,keyasint"`
	Address string     `cbor:"7,keyasint"`
	Height  uint32     `cbor:"8,keyasint"`
	At      Millis     `cbor:"9,keyasint"`
}

// WithdrawBody asks for a withdrawal to an address of the account's book. Amount includes the fee.
type WithdrawBody struct {
	Asset   Asset      `cbor:"1,keyasint"`
	Amount  money.U128 `cbor:"2,keyasint"`
	Address string     `cbor:"3,keyasint"`
	Client  string     `cbor:"4,keyasint"` // withdrawOrderId; unique for the account where given
	Key     string     `cbor:"5,keyasint"` // the API key that asks
	From    string     `cbor:"6,keyasint"` // the IP address that asks
}

// WithdrawalState says where a withdrawal is in its life.
type WithdrawalState uint8

// The states of a withdrawal.
const (
	WithdrawalHeld      WithdrawalState = iota // the amount is on hold; it waits for the treasury
	WithdrawalSettled                          // paid and confirmed
	WithdrawalCancelled                        // the hold was released
)

// WithdrawResult ends a withdrawal.
type WithdrawResult struct {
	Number uint64 `cbor:"1,keyasint"`
	TxID   string `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint"`
}

// WithdrawalInfo is a withdrawal as it now is.
type WithdrawalInfo struct {
	Number  uint64          `cbor:"1,keyasint"`
	Account Account         `cbor:"2,keyasint"`
	Asset   Asset           `cbor:"3,keyasint"`
	Amount  money.U128      `cbor:"4,keyasint"` // with the fee
	Fee     money.U128      `cbor:"5,keyasint"`
	Address string          `cbor:"6,keyasint"`
	Client  string          `cbor:"7,keyasint"`
	State   WithdrawalState `cbor:"8,keyasint"`
	TxID    string          `cbor:"9,keyasint"`
	Reason  string          `cbor:"10,keyasint"`
	Created Millis          `cbor:"11,keyasint"`
	Changed Millis          `cbor:"12,keyasint"`
}

// ChangeBody is an intent that people approved: exact bytes of a ChangeIntent, and their SSHSIG approvals.
type ChangeBody struct {
	Intent    []byte   `cbor:"1,keyasint"`
	Approvals [][]byte `cbor:"2,keyasint"`
}

// ChangeIntent is what people approve when a market, an asset, a fee, a roster or a balance shall change, or a ban shall end. Exactly one of
// its actions is set.
type ChangeIntent struct {
	Serial   uint64       `cbor:"1,keyasint"` // rises by one for each applied change
	Proposer string       `cbor:"2,keyasint"`
	Created  Millis       `cbor:"3,keyasint"`
	Expires  Millis       `cbor:"4,keyasint"`
	Note     string       `cbor:"5,keyasint"`
	Asset    *AssetInfo   `cbor:"6,keyasint,omitempty"`
	Market   *MarketInfo  `cbor:"7,keyasint,omitempty"` // a new market, or new limits and state of an old one
	Fees     *FeesChange  `cbor:"8,keyasint,omitempty"`
	Balance  *Adjustment  `cbor:"9,keyasint,omitempty"`
	Roster   []byte       `cbor:"10,keyasint,omitempty"` // the first one needs no approvals: it is what the journal begins with
	Freeze   *StateChange `cbor:"11,keyasint,omitempty"`
	Wallet   []byte       `cbor:"12,keyasint,omitempty"` // the wallet file whose receive addresses are deposit addresses
	Unban    string       `cbor:"13,keyasint,omitempty"` // an IP address that the tables of requests shall forgive
	Reset    *FactorReset `cbor:"15,keyasint,omitempty"` // of a customer who lost every passkey
	Default  *DefaultFees `cbor:"14,keyasint,omitempty"` // what accounts pay that have no fees of their own
}

// ChangeInfo is a change that was applied.
type ChangeInfo struct {
	Serial    uint64   `cbor:"1,keyasint"`
	Intent    []byte   `cbor:"2,keyasint"`
	Approvers []string `cbor:"3,keyasint"`
	At        Millis   `cbor:"4,keyasint"`
}

// TicketInfo asks people to look at what the engine did by itself: a key that it ended because of a flood of
// withdrawals.
type TicketInfo struct {
	Number  uint64  `cbor:"1,keyasint"`
	Account Account `cbor:"2,keyasint"`
	Key     string  `cbor:"3,keyasint"`
	Why     string  `cbor:"4,keyasint"`
	At      Millis  `cbor:"5,keyasint"`
}

// UnbanInfo says that two people forgave an address what it did before.
type UnbanInfo struct {
	Address string `cbor:"1,keyasint"`
	At      Millis `cbor:"2,keyasint"`
}

// FeesChange sets an account's fee tier. Both zero is the exchange's fees, unless Free says that it pays nothing.
type FeesChange struct {
	Account  Account `cbor:"1,keyasint"`
	MakerPPM uint32  `cbor:"2,keyasint"`
	TakerPPM uint32  `cbor:"3,keyasint"`
	Free     bool    `cbor:"4,keyasint,omitempty"`
}

// DefaultFees are the fees of every account that has none of its own; zero before the first change of them.
type DefaultFees struct {
	MakerPPM uint32 `cbor:"1,keyasint"`
	TakerPPM uint32 `cbor:"2,keyasint"`
}

// Adjustment moves value between an account and the house, in either direction.
type Adjustment struct {
	Account Account    `cbor:"1,keyasint"`
	Asset   Asset      `cbor:"2,keyasint"`
	Amount  money.U128 `cbor:"3,keyasint"`
	Debit   bool       `cbor:"4,keyasint"` // takes from the account
}

// StateChange freezes an account or lets it act again.
type StateChange struct {
	Account Account      `cbor:"1,keyasint"`
	State   AccountState `cbor:"2,keyasint"`
}

// EncodeBody returns the deterministic CBOR (RFC 8949 section 4.2.1) of a body or a record.
func EncodeBody(body any) ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(body)
}

// DecodeBody reads a body or a record strictly: no duplicate or unknown keys, no indefinite lengths, nothing behind it.
func DecodeBody[T any](raw []byte) (T, error) {
	var body T
	if len(raw) > BodyMax {
		return body, fmt.Errorf("%w: a body of %d bytes", ErrBytes, len(raw))
	}
	mode, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: 4096, MaxMapPairs: 64, MaxNestedLevels: 8}.DecMode()
	if err != nil {
		return body, err
	}
	if err := mode.Unmarshal(raw, &body); err != nil {
		return body, fmt.Errorf("%w: %w", ErrBytes, err)
	}
	return body, nil
}
