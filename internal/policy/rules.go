// Package policy judges what a payload will do against what was asked, and against limits that the signer holds itself.
package policy

import (
	"errors"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Wallet names a pinned wallet in a policy.
type Wallet struct {
	ID   spend.WalletID
	Name string // for people; the identity is the ID
	Tier spend.Tier
}

// Window is a limit on what may leave within a rolling length of time.
type Window struct {
	Length time.Duration
	Max    money.Amount
}

// Rule is what one wallet may do.
type Rule struct {
	From             spend.WalletID
	To               []spend.WalletID
	TransactionMax   money.Amount
	Windows          []Window
	FeeMax           money.Amount
	FeePartsMax      uint64 // millionths of the amount leaving
	FeeRateMax       uint64 // satoshi per 1000 vB
	FeeRateMin       uint64 // satoshi per 1000 vB
	Approvals        int
	IndexGapMax      uint32
	LockTimeAheadMax uint32 // blocks
	Replaceable      bool
	LifetimeMax      time.Duration
	ClockSkewMax     time.Duration
	DustMin          money.Amount
	RefusalsMax      int
}

// Rules are a parsed policy.
type Rules struct {
	version [32]byte
	serial  uint64
	network spend.Network
	wallets []Wallet
	rules   []Rule
}

// Version is the SHA-256 of the policy file's bytes.
func (r Rules) Version() [32]byte { return r.version }

// Serial rises with every change of the policy.
func (r Rules) Serial() uint64 { return r.serial }

// Network is the network that the policy is for.
func (r Rules) Network() spend.Network { return r.network }

// Rule returns what a wallet may do.
func (r Rules) Rule(from spend.WalletID) (Rule, bool) {
	for _, rule := range r.rules {
		if rule.From == from {
			return rule, true
		}
	}
	return Rule{}, false
}

// Parse reads a policy file.
func Parse(raw []byte) (Rules, error) { return Rules{}, errors.ErrUnsupported }

// Template writes a commented default policy.
func Template(network spend.Network, wallets ...Wallet) []byte { return nil }

// Movement is something that this signer signed before.
type Movement struct {
	At     time.Time
	Amount money.Amount // what left the wallet
}

// Input is everything that is judged together.
type Input struct {
	Intent          spend.Intent
	Effects         chain.Effects
	Approvals       []spend.Check // from room approvals
	ApproverCount   int
	Now             time.Time
	LastSeen        time.Time  // latest time that this signer has ever seen; zero on its first day
	History         []Movement // what left Intent.From before, signed by this signer
	Tip             uint32     // height of the chain as far as this signer knows; 0 when it does not
	ToIndexSeen     uint32     // highest receive index of Intent.To that this signer ever paid
	ChangeIndexSeen uint32     // highest change index of Intent.From that this signer ever made
	Refusals        int        // refusals for Intent.From since it was last reset by a quorum
}

// Judge gives every reason for and against signing.
func Judge(rules Rules, in Input) spend.Verdict { return spend.Verdict{} }

// Limits says how much of each limit the input would use, for the review screen.
func Limits(rules Rules, in Input) []string { return nil }
