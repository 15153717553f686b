package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Caps on the lists of a policy.
const (
	walletsMax = 64
	windowsMax = 8
)

// Bounds of the rules' values. A limit outside them would be a check turned off, and is refused.
const (
	supply         = 2_100_000_000_000_000 // satoshi that will ever be
	feeMaxBound    = 100_000_000           // satoshi: 1 BTC
	feePartsBound  = 100_000               // millionths: 10 %
	feeRateBound   = 10_000_000            // satoshi per 1000 vB: 10,000 sat/vB
	feeRateFloor   = 100                   // satoshi per 1000 vB: what Bitcoin Core relays at the least
	approvalsFloor = 2
	approvalsBound = 15
	indexGapBound  = 100_000
	lockTimeBound  = 1008 // blocks: a week
	lifetimeBound  = 168 * time.Hour
	clockSkewBound = time.Hour
	windowBound    = 8784 * time.Hour // a leap year
	dustFloor      = 330              // satoshi: below it a P2WSH output is not relayed
	dustBound      = 1_000_000
	refusalsBound  = 100
	serialBound    = 1<<53 - 1
	nameMax        = 32
	durationFloor  = time.Minute
	policyFormat   = "policy/v1"
)

// fileRule, fileWindow, fileWallet and file are the YAML as it stands, before any of it means something.
type fileRule struct {
	From             scalar       `yaml:"from"`
	To               []scalar     `yaml:"to"`
	TransactionMax   scalar       `yaml:"transaction_max"`
	Windows          []fileWindow `yaml:"windows"`
	FeeMax           scalar       `yaml:"fee_max"`
	FeePercentMax    scalar       `yaml:"fee_percent_max"`
	FeeRateMax       scalar       `yaml:"fee_rate_max"`
	FeeRateMin       scalar       `yaml:"fee_rate_min"`
	Approvals        scalar       `yaml:"approvals"`
	IndexGapMax      scalar       `yaml:"index_gap_max"`
	LockTimeAheadMax scalar       `yaml:"locktime_ahead_max"`
	Replaceable      scalar       `yaml:"replaceable"`
	LifetimeMax      scalar       `yaml:"lifetime_max"`
	ClockSkewMax     scalar       `yaml:"clock_skew_max"`
	DustMin          scalar       `yaml:"dust_min"`
	RefusalsMax      scalar       `yaml:"refusals_max"`
	ToBook           scalar       `yaml:"to_book"`
	TimelockAbove    scalar       `yaml:"timelock_above"`
	Timelock         scalar       `yaml:"timelock"`
}

type fileWindow struct {
	Within scalar `yaml:"within"`
	Max    scalar `yaml:"max"`
}

type fileWallet struct {
	ID   scalar `yaml:"id"`
	Name scalar `yaml:"name"`
	Tier scalar `yaml:"tier"`
}

type file struct {
	Coldsign scalar       `yaml:"coldsign"`
	Serial   scalar       `yaml:"serial"`
	Network  scalar       `yaml:"network"`
	Wallets  []fileWallet `yaml:"wallets"`
	Rules    []fileRule   `yaml:"rules"`
}

// Parse reads a policy file. The error joins every refusal that was found.
func Parse(raw []byte) (Rules, error) {
	var f file
	if err := readFile("policy", raw, &f); err != nil {
		return Rules{}, err
	}
	r := &reader{kind: "policy"}
	r.oneOf("coldsign", f.Coldsign, policyFormat)
	out := Rules{version: sha256.Sum256(raw), serial: r.number("serial", f.Serial, 1, serialBound)}
	out.network = r.network("network", f.Network)
	r.count("wallets", len(f.Wallets), walletsMax)
	r.count("rules", len(f.Rules), walletsMax)
	for i, w := range f.Wallets {
		out.wallets = append(out.wallets, r.wallet(fmt.Sprintf("wallets[%d]", i), w, out))
	}
	for i, rule := range f.Rules {
		out.rules = append(out.rules, r.rule(fmt.Sprintf("rules[%d]", i), rule, out))
	}
	if len(r.errs) > 0 {
		return Rules{}, errors.Join(r.errs...)
	}
	return out, nil
}

// wallet reads one wallet; the ones before it are in have.
func (r *reader) wallet(where string, f fileWallet, have Rules) Wallet {
	w := Wallet{ID: r.id(where+".id", f.ID), Name: r.name(where+".name", f.Name)}
	w.Tier = spend.Tier(r.oneOf(where+".tier", f.Tier, string(spend.Hot), string(spend.Warm), string(spend.Cold)))
	if _, twice := have.Wallet(w.ID); twice {
		r.invalid(where+".id", "a wallet that is listed once", w.ID.String())
	}
	if slices.ContainsFunc(have.wallets, func(other Wallet) bool { return other.Name == w.Name }) {
		r.invalid(where+".name", "a name that no other wallet has", w.Name)
	}
	return w
}

// rule reads what one wallet may do; the wallets, and the rules before it, are in have.
func (r *reader) rule(where string, f fileRule, have Rules) Rule {
	amount := func(name string, s scalar, least, most int64) money.Amount {
		return r.amount(where+"."+name, s, least, most)
	}
	number := func(name string, s scalar, least, most uint64) uint64 {
		return r.number(where+"."+name, s, least, most)
	}
	out := Rule{
		From:             r.id(where+".from", f.From),
		TransactionMax:   amount("transaction_max", f.TransactionMax, 1, supply),
		FeeMax:           amount("fee_max", f.FeeMax, 1, feeMaxBound),
		FeePartsMax:      r.decimal(where+".fee_percent_max", f.FeePercentMax, unit{"%", 4}, bounds{1, feePartsBound}),
		FeeRateMax:       r.decimal(where+".fee_rate_max", f.FeeRateMax, unit{"sat/vB", 3}, bounds{feeRateFloor, feeRateBound}),
		FeeRateMin:       r.decimal(where+".fee_rate_min", f.FeeRateMin, unit{"sat/vB", 3}, bounds{feeRateFloor, feeRateBound}),
		Approvals:        int(number("approvals", f.Approvals, approvalsFloor, approvalsBound)),
		IndexGapMax:      uint32(number("index_gap_max", f.IndexGapMax, 1, indexGapBound)),
		LockTimeAheadMax: uint32(number("locktime_ahead_max", f.LockTimeAheadMax, 0, lockTimeBound)),
		Replaceable:      r.oneOf(where+".replaceable", f.Replaceable, "true", "false") == "true",
		LifetimeMax:      r.duration(where+".lifetime_max", f.LifetimeMax, lifetimeBound),
		ClockSkewMax:     r.duration(where+".clock_skew_max", f.ClockSkewMax, clockSkewBound),
		DustMin:          amount("dust_min", f.DustMin, dustFloor, dustBound),
		RefusalsMax:      int(number("refusals_max", f.RefusalsMax, 1, refusalsBound)),
		ToBook:           r.oneOf(where+".to_book", f.ToBook, "true", "false") == "true",
		TimelockAbove:    amount("timelock_above", f.TimelockAbove, 1, supply),
		Timelock:         r.duration(where+".timelock", f.Timelock, lifetimeBound),
	}
	if out.Timelock >= out.LifetimeMax && out.LifetimeMax > 0 {
		r.invalid(where+".timelock", "less than lifetime_max", f.Timelock.text)
	}
	if out.FeeRateMin > out.FeeRateMax {
		r.invalid(where+".fee_rate_min", "at most fee_rate_max", f.FeeRateMin.text)
	}
	if _, twice := have.Rule(out.From); twice {
		r.invalid(where+".from", "one rule for a wallet", out.From.String())
	}
	r.destinations(where, f.To, &out, have)
	r.windows(where, f.Windows, &out)
	return out
}

// destinations reads which wallets may be paid.
func (r *reader) destinations(where string, to []scalar, out *Rule, have Rules) {
	r.count(where+".to", len(to), walletsMax)
	from, known := have.Wallet(out.From)
	if !known {
		r.invalid(where+".from", "a wallet under wallets", out.From.String())
	}
	for i, s := range to {
		at := fmt.Sprintf("%s.to[%d]", where, i)
		id := r.id(at, s)
		wallet, known := have.Wallet(id)
		switch {
		case !known:
			r.invalid(at, "a wallet under wallets", id.String())
		case !directionAllowed(from, wallet):
			r.invalid(at, "cold to warm or hot, warm to hot, or the wallet itself", string(from.Tier)+" to "+string(wallet.Tier))
		case slices.Contains(out.To, id):
			r.invalid(at, "a wallet that is listed once", id.String())
		}
		out.To = append(out.To, id)
	}
}

// windows reads the rolling limits.
func (r *reader) windows(where string, windows []fileWindow, out *Rule) {
	r.count(where+".windows", len(windows), windowsMax)
	for i, f := range windows {
		at := fmt.Sprintf("%s.windows[%d]", where, i)
		w := Window{Length: r.duration(at+".within", f.Within, windowBound), Max: r.amount(at+".max", f.Max, 1, supply)}
		if slices.ContainsFunc(out.Windows, func(other Window) bool { return other.Length == w.Length }) {
			r.invalid(at+".within", "a length that no other window has", f.Within.text)
		}
		out.Windows = append(out.Windows, w)
	}
}
