// Package spend is the shared vocabulary of every floor: what was asked (Intent), and what was found to be wrong or
// right with it (Check, Refusal, Verdict).
//
// It has words and no behaviour, so that the rooms which turn bytes into facts, judge them and show them can speak of
// the same things without knowing each other. What may never happen here: input or output, a clock, or a type that
// carries a secret.
package spend

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/money"
)

// Network names one chain and one network of it, e.g. "bitcoin:regtest". Bundles, wallets and homes carry it, and all
// must agree: a drill key cannot sign for mainnet.
type Network string

// The Bitcoin networks.
const (
	BitcoinMainnet Network = "bitcoin:mainnet"
	BitcoinTestnet Network = "bitcoin:testnet"
	BitcoinSignet  Network = "bitcoin:signet"
	BitcoinRegtest Network = "bitcoin:regtest"
)

// Name returns the part behind the colon, "regtest".
func (n Network) Name() string { _, name, _ := strings.Cut(string(n), ":"); return name }

// IsTest reports whether coins of the network are worth nothing, so that file keys may be used on it.
func (n Network) IsTest() bool {
	return n == BitcoinTestnet || n == BitcoinSignet || n == BitcoinRegtest
}

// WalletID is the immutable identity of a pinned wallet: a SHA-256 over its network and its canonical descriptor.
// A wallet whose keys, threshold or script differ is another wallet.
type WalletID [32]byte

// String returns 64 hexadecimal digits.
func (id WalletID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first eight digits in two groups, for screens: "7f3a 91c2".
func (id WalletID) Short() string {
	s := id.String()
	return s[:4] + " " + s[4:8]
}

// Tier says how far a wallet's keys are from a network.
type Tier string

// The three tiers.
const (
	Hot  Tier = "hot"
	Warm Tier = "warm"
	Cold Tier = "cold"
)

// Purpose says what kind of movement an intent asks for.
type Purpose string

// The purposes.
const (
	TopUp   Purpose = "topup"   // moves coins from one pinned wallet to the next index of another pinned wallet
	Payment Purpose = "payment" // pays an entry of the address book that a quorum of keyholders signed
)

// Intent is what was asked, by whom, until when. People approve its exact encoded bytes (room bundle encodes it), and
// every signer judges a payload against it. It names wallets by identity and destinations by index, or by the name of
// an entry in the signers' address book: no address in it is ever typed.
type Intent struct {
	Network   Network
	Purpose   Purpose
	Serial    uint64 // rises by one for each intent of an issuer
	Issuer    string // name of the issuing daemon, as in the signers' trust file
	From      WalletID
	To        WalletID
	ToIndex   uint32 // receive index of To that the destination is derived from
	Entry     string // of a payment: the entry of the address book that is paid; To and ToIndex are zero
	Amount    money.Amount
	Proposer  string // person in the roster, or the issuer's name when the tier watch proposed it
	CreatedAt int64  // Unix seconds, UTC
	ExpiresAt int64  // Unix seconds, UTC; nothing signs at or after it
}

// Kind says which exit code and which kind of sentence a refusal deserves.
type Kind uint8

// The kinds of refusal.
const (
	ByPolicy     Kind = iota // readable and genuine, but not allowed, or not proven
	NotAuthentic             // tampered, expired, replayed, or from an unknown issuer
	Unreadable               // malformed input: not what the format allows
)

// Refusal is one reason why something must not be signed or accepted. Code is stable and documented in docs/refusals.md.
// No field may hold a secret; text from outside is escaped by whoever prints it.
type Refusal struct {
	Kind     Kind
	Code     string // kebab case, e.g. "amount-unproven"
	Where    string // e.g. "input 3", "output 0", "approvals"
	Expected string
	Found    string
	Fix      string // who can fix it, and the next command where there is one
}

// Error says the refusal as one sentence.
func (r *Refusal) Error() string {
	s := r.Code
	if r.Where != "" {
		s += " at " + r.Where
	}
	if r.Expected != "" {
		s += ": expected " + r.Expected
	}
	if r.Found != "" {
		s += ", found " + r.Found
	}
	return s
}

// Check is one rule that was evaluated: a pass with what it saw, or a refusal.
type Check struct {
	Name    string   // what was checked, in a few words
	Detail  string   // what was seen when it passed, e.g. "12.5 of 20 BTC"
	Refusal *Refusal // nil when it passed
}

// Verdict is policy's answer on an intent against effects: every check with its outcome. A verdict without any check
// refuses: nothing was judged.
type Verdict struct{ Checks []Check }

// Refusals returns the reasons to refuse, in the order they were found.
func (v Verdict) Refusals() []*Refusal {
	var out []*Refusal
	for _, c := range v.Checks {
		if c.Refusal != nil {
			out = append(out, c.Refusal)
		}
	}
	return out
}

// Clean reports whether at least one check ran and none refused.
func (v Verdict) Clean() bool { return len(v.Checks) > 0 && len(v.Refusals()) == 0 }

// Refuse is a short way to write a refusal by policy.
func Refuse(code, where, expected, found, fix string) *Refusal {
	return &Refusal{ByPolicy, code, where, expected, found, fix}
}

// Distrust is a short way to write a refusal of something not authentic.
func Distrust(code, where, expected, found, fix string) *Refusal {
	return &Refusal{NotAuthentic, code, where, expected, found, fix}
}

// Malformed is a short way to write a refusal of unreadable input.
func Malformed(code, where, format string, args ...any) *Refusal {
	return &Refusal{Kind: Unreadable, Code: code, Where: where, Found: fmt.Sprintf(format, args...),
		Fix: "ask the sender for the file again; do not repair it by hand"}
}
