package bitcoin

import (
	"errors"
	"io"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/wallet"
)

var errUnready = errors.New("bitcoin: the room is being built")

// Scope is what a packet is judged against: the spending wallet, and where an internal move may go.
type Scope struct {
	From     wallet.Wallet
	To       wallet.Wallet
	ToIndex  uint32 // receive index of To that the destination must have
	ToKnown  bool   // without it every output that is not change is external
	IndexMax uint32 // the greatest index of an input, of change or of the destination
}

// Task is one digest for one key to sign.
type Task struct {
	Input  int
	Branch wallet.Branch
	Index  uint32
	PubKey [33]byte
	Digest [32]byte
}

// Signature is what a key answers for one input.
type Signature struct {
	Input     uint32
	PubKey    [33]byte
	Signature []byte // strict DER, low S, and the sighash byte 0x01
}

// Final is a finished transaction that the script engine has accepted.
type Final struct {
	TxID         string
	Raw          []byte
	VirtualBytes int64
	Fee          money.Amount
}

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

// Prove derives what the packet does.
func Prove(p *Packet, s Scope) (chain.Effects, error) { return chain.Effects{}, errUnready }

// Tasks gives the digests for the key at a position of the spending wallet.
func Tasks(p *Packet, s Scope, position int) ([]Task, error) { return nil, errUnready }

// VerifySignatures checks the answer of one key.
func VerifySignatures(p *Packet, s Scope, signatures []Signature) error { return errUnready }

// WithSignatures gives the packet with partial signatures.
func (p *Packet) WithSignatures(signatures []Signature) ([]byte, error) { return nil, errUnready }

// Finalise merges answers.
func Finalise(p *Packet, s Scope, answers [][]Signature) (Final, error) { return Final{}, errUnready }

// Build makes a packet.
func Build(r Request) (*Packet, Plan, error) { return nil, Plan{}, errUnready }
