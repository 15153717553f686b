// Package policy judges what a payload will do (chain.Effects) against what was asked (spend.Intent), and both against
// rules that the signer holds itself.
//
// Every rule that is evaluated leaves a check in the verdict, passed or refused, so that a person can read what was
// looked at. Nothing is a warning: what is unproven, unknown, missing or does not add up is refused, and no field of a
// policy turns a check off. Time, approvals and what was signed before come in as arguments.
//
// A policy is strict YAML: ASCII, one document, at most 64 KiB, every field present, no unknown or repeated field, no
// anchors, aliases, tags or block text. Amounts and identities are quoted, and carry their unit:
//
//	coldsign: policy/v1
//	serial: 1                        # rises with every change
//	network: bitcoin:mainnet
//	wallets:
//	  - id: "7f3a..."                # 64 hexadecimal digits: the identity
//	    name: cold-a                 # for people
//	    tier: cold
//	rules:
//	  - from: "7f3a..."
//	    to: ["91c2..."]              # pinned wallets; nobody else is ever paid
//	    transaction_max: "20 BTC"
//	    windows:
//	      - within: 24h
//	        max: "50 BTC"
//	    fee_max: "0.005 BTC"         # all three fee limits must hold
//	    fee_percent_max: "1 %"       # of the amount leaving; not used when nothing leaves
//	    fee_rate_max: "300 sat/vB"
//	    fee_rate_min: "1 sat/vB"
//	    approvals: 2
//	    index_gap_max: 1000
//	    locktime_ahead_max: 6        # blocks
//	    replaceable: true
//	    lifetime_max: 72h
//	    clock_skew_max: 10m
//	    dust_min: "0.00001 BTC"
//	    refusals_max: 5
//	    to_book: false               # whether payments may go to the pinned address book (see Book)
//	    timelock_above: "10 BTC"
//	    timelock: 24h
//
// # Time-lock
//
// When more than timelock_above would leave, counted together with what left within the time-lock's length before, the
// signature that completes the threshold m is withheld until timelock after the intent was created. A signer cannot know
// which signatures exist elsewhere, and two signers may act at the same moment; so the rule looks at nothing but the
// signer's own place: until then only the keys numbered 1 to m-1 in the wallet sign, all others wait. Each key has one
// number, which is part of the wallet's identity, so at most m-1 signatures exist before the time, whoever is asked, in
// whatever order, however often. The lock gives keyholders the time to refuse; it does not replace the threshold, because
// a stolen key that should wait does not.
//
// The version of a policy is the SHA-256 of the file's bytes. What may never happen here: a clock, a disk, a float, an
// amount that is believed without proof, an error that lets something pass.
package policy

import (
	"time"

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
	To               []spend.WalletID // From itself among them allows consolidation
	TransactionMax   money.Amount     // leaving in one transaction
	Windows          []Window
	FeeMax           money.Amount
	FeePartsMax      uint64 // millionths of the amount leaving
	FeeRateMax       uint64 // satoshi per 1000 vB
	FeeRateMin       uint64 // satoshi per 1000 vB
	Approvals        int
	IndexGapMax      uint32 // indexes beyond the highest one that this signer has used
	LockTimeAheadMax uint32 // blocks
	Replaceable      bool   // BIP125 signalling is allowed
	LifetimeMax      time.Duration
	ClockSkewMax     time.Duration // an intent may be created this much ahead of the signer's clock
	DustMin          money.Amount  // least output
	RefusalsMax      int           // this many refusals lock the wallet until a quorum resets it
	ToBook           bool          // payments to entries of the address book are allowed
	TimelockAbove    money.Amount  // what leaves within Timelock, beyond which the last signature waits
	Timelock         time.Duration // from the creation of the intent
}

// Rules are a parsed policy. They come from Parse alone; the zero Rules refuse everything.
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

// Wallet returns what the policy says of a wallet.
func (r Rules) Wallet(id spend.WalletID) (Wallet, bool) {
	for _, w := range r.wallets {
		if w.ID == id {
			return w, true
		}
	}
	return Wallet{}, false
}

// directionAllowed reports whether a top-up may go from one tier to another: towards the tier that is used next, or
// within one wallet.
func directionAllowed(from, to Wallet) bool {
	switch {
	case from.ID == to.ID:
		return true
	case from.Tier == spend.Cold:
		return to.Tier == spend.Warm || to.Tier == spend.Hot
	case from.Tier == spend.Warm:
		return to.Tier == spend.Hot
	}
	return false
}
