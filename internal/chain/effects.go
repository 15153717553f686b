// Package chain is the waist of the hourglass: the effects of a payload, whatever chain it is for.
//
// A chain room (internal/chain/bitcoin) turns bytes into Effects; policy and review read Effects only. An Effects
// value can be made only with a token from internal/chain/internal/proof, which the compiler refuses to every package
// outside internal/chain: nothing above can turn a claim into a fact. What may never happen here: a field that is
// copied from a payload's own statement about itself.
package chain

import (
	"slices"

	"github.com/coldsign/coldsign/internal/chain/internal/proof"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Role says whose an output is, and why that is known.
type Role string

// The roles of an output.
const (
	Change      Role = "change"      // our own descriptor derives its script on the change branch
	Destination Role = "destination" // another pinned wallet derives its script at the intent's index
	External    Role = "external"    // no pinned wallet derives it
)

// Input is a coin that the payload spends. Its amount is proven by the previous transaction.
type Input struct {
	Outpoint string // txid:index, txid in display order
	Amount   money.Amount
	Change   bool   // on the wallet's change branch
	Index    uint32 // derivation index in the spending wallet
}

// Output is a coin that the payload makes.
type Output struct {
	Position   int // in the transaction, from 0
	Amount     money.Amount
	Address    string // full address text; empty for a script that has none
	Script     string // hexadecimal scriptPubKey
	Role       Role
	Wallet     spend.WalletID // of Change and Destination outputs
	WalletName string
	Index      uint32 // derivation index in that wallet
}

// Hash is a named digest for the page of hashes, e.g. "txid".
type Hash struct{ Name, Value string }

// Facts are what a payload's bytes will do. Everything in it is derived from bytes that were proven and from pinned
// wallets.
type Facts struct {
	Network       spend.Network
	From          spend.WalletID
	FromName      string
	FromTier      spend.Tier
	Threshold     int // m of the spending wallet
	Keys          int // n of the spending wallet
	TxID          string
	Inputs        []Input
	Outputs       []Output
	Fee           money.Amount
	VirtualBytes  int64 // size of the finished transaction, signatures of m keys included (BIP141 vsize)
	LockTime      uint32
	Replaceable   bool // signals BIP125
	UnknownFields int  // fields in the payload that no rule read
	SignedBy      int  // valid signatures already present, the least over all inputs
	PayloadBytes  int
	Hashes        []Hash // digests beside TxID that a person may compare
}

// Effects are proven Facts. The zero Effects proves nothing.
type Effects struct {
	facts Facts
	token proof.Token
}

// New wraps facts that a chain room has proven.
func New(facts Facts, token proof.Token) Effects { return Effects{facts, token} }

// Proven reports whether a chain room made these effects.
func (e Effects) Proven() bool { return e.token.Valid() }

// Facts returns a copy of the facts. It panics on unproven effects: reading them would be believing nobody.
func (e Effects) Facts() Facts {
	if !e.Proven() {
		panic("chain: effects that nobody proved")
	}
	f := e.facts
	f.Inputs, f.Outputs, f.Hashes = slices.Clone(f.Inputs), slices.Clone(f.Outputs), slices.Clone(f.Hashes)
	return f
}
