package bitcoin

import (
	"errors"
	"io"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/wallet"
)

var errUnready = errors.New("bitcoin: the room is being built")

// Coin is an unspent output of the spending wallet.
type Coin struct {
	Outpoint wire.OutPoint
	Value    int64
	Branch   wallet.Branch
	Index    uint32
	PrevTx   []byte
}

// Request asks for a packet.
type Request struct {
	From        wallet.Wallet
	To          wallet.Wallet
	ToIndex     uint32
	Amount      int64 // satoshi; zero with All
	All         bool  // spend every coin to To, the fee taken from the amount, no change: sweep or consolidation
	ChangeIndex uint32
	FeeRate     int64 // satoshi per 1000 virtual bytes
	Coins       []Coin
	Height      uint32
	Rand        io.Reader
}

// Plan says what was built.
type Plan struct {
	Inputs       []Coin
	Change       int64 // zero when there is none
	Fee          int64
	VirtualBytes int64
	PayloadBytes int
}

// Build makes a packet.
func Build(r Request) (*Packet, Plan, error) { return nil, Plan{}, errUnready }
