package signing

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
)

// gapMax is the most receipts that one reconciliation can account for. A wider gap is no restored copy but another signer.
const gapMax = 1000

// claimed is the counter that the issuer says it saw in this key's last receipt.
func claimed(opened bundle.Opened, keyNumber int) uint64 {
	for _, c := range opened.Counters {
		if c.Position == keyNumber-1 {
			return c.Counter
		}
	}
	return 0
}

// current refuses when the issuer has seen a receipt of this key that its ledger does not know: the home was restored
// from an older copy, or there are two of it, and its limits and its memory of signed coins cannot be believed. The
// issuer's word can only make a signer refuse, so it needs no proof.
func (b Beliefs) current(l *home.Ledger, opened bundle.Opened, keyNumber int) error {
	seen, known := claimed(opened, keyNumber), l.LastCounter(b.key)
	if seen <= known {
		return nil
	}
	return spend.Distrust("ledger-rolled-back", "signer ledger", fmt.Sprintf("receipt %d of key %s, which the issuer has seen", seen, b.key), fmt.Sprintf("receipt %d as the last", known),
		"if this home was restored from a copy: coldsign ledger reconcile --bundle FILE --counter N; if not, stop: somebody else signs with this key")
}

// Gap is what a ledger does not know: receipts of a key after Last up to To.
type Gap struct {
	Key     string
	Wallet  spend.WalletID
	Last    uint64
	To      uint64
	Leaving money.Amount // counted for all of them: the most that policy let leave
	Bundle  [32]byte
}

// FindGap compares a ledger with the receipts that a sealed bundle names. to is the last receipt as the keyholder knows
// it, from the answers kept elsewhere; it may be above the issuer's claim and never below.
func FindGap(b Beliefs, l *home.Ledger, raw []byte, to uint64, now time.Time) (Gap, error) {
	if err := b.complete(); err != nil {
		return Gap{}, err
	}
	opened, err := bundle.Open(raw, b, now)
	if err != nil {
		return Gap{}, err
	}
	scope, err := b.scope(opened.Intent)
	if err != nil {
		return Gap{}, err
	}
	rule, ok := b.Rules.Rule(opened.Intent.From)
	if !ok {
		return Gap{}, spend.Refuse("wallet-not-in-policy", "wallet "+scope.From.Name(), "a rule that says what could leave at most", "none", "pin a policy with such a rule first: coldsign trust add FILE")
	}
	seen, known := claimed(opened, b.keyNumber(scope.From)), l.LastCounter(b.key)
	if seen <= known {
		return Gap{}, spend.Refuse("ledger-current", "signer ledger", "a bundle that names a receipt above "+fmt.Sprint(known), fmt.Sprint(seen), "nothing is to be reconciled with this bundle")
	}
	if to < seen || to-known > gapMax {
		return Gap{}, spend.Refuse("gap-unlikely", "signer ledger", fmt.Sprintf("a counter from %d to %d", seen, known+gapMax), fmt.Sprint(to),
			"look at the last answer of this key: its receipt is the counter")
	}
	units, fits := rule.TransactionMax.Units().Mul64(to - known)
	if !fits {
		return Gap{}, spend.Refuse("gap-unlikely", "signer ledger", "an amount that can be counted", "one that cannot", "start a new home with a new key")
	}
	return Gap{b.key, opened.Intent.From, known, to, money.New(money.BTC, units), opened.ID}, nil
}

// Reconcile records the gap. The movements count from now on in every window, as if all of them had just been made.
func Reconcile(l *home.Ledger, now time.Time, g Gap) error {
	return l.Append(now, home.Entry{Event: home.Reconciled, Key: g.Key, Wallet: g.Wallet.String(), Counter: g.To,
		Leaving: g.Leaving.Units().String(), Bundle: hex.EncodeToString(g.Bundle[:]), Reason: fmt.Sprintf("receipts %d to %d", g.Last+1, g.To)})
}

// amounts are the values of the coins that a payload spends, in the order of outpoints.
func amounts(e chain.Effects) []string {
	var out []string
	for _, in := range e.Facts().Inputs {
		out = append(out, in.Amount.Units().String())
	}
	return out
}

// sameAmounts refuses a coin that had another value when this home signed for it before (attack 026). A previous
// transaction proves one value for ever, so this is a defect or a broken hash, and never an oversight.
func sameAmounts(l *home.Ledger, e chain.Effects) error {
	seen := remembered(l, outpoints(e))
	for i, in := range e.Facts().Inputs {
		if before, known := seen[in.Outpoint]; known && before != in.Amount.Units().String() {
			return spend.Distrust("coin-amount-changed", fmt.Sprintf("input %d", i), before+" satoshi, as when this home signed for "+in.Outpoint,
				in.Amount.Units().String()+" satoshi", "stop, keep both bundles, and report this: one of two proofs is forged")
		}
	}
	return nil
}

// remembered gives the values that coins had when any key of this home first reserved them. The ledger is read once for
// all coins: asking it for each would take the product of their numbers.
func remembered(l *home.Ledger, coins []string) map[string]string {
	seen, wanted := map[string]string{}, make(map[string]bool, len(coins))
	for _, coin := range coins {
		wanted[coin] = true
	}
	for _, e := range l.Entries() {
		for i, coin := range e.Outpoints {
			if wanted[coin] && i < len(e.Amounts) {
				seen[coin], wanted[coin] = e.Amounts[i], false
			}
		}
	}
	return seen
}

// movement is what an entry counts for: a reservation by what left, a reconciliation by what could have.
func movement(e home.Entry) (policy.Movement, error) {
	units, err := money.ParseU128(e.Leaving)
	if err != nil {
		return policy.Movement{}, spend.Distrust("ledger-unreadable", "entry of "+e.Bundle[:min(16, len(e.Bundle))], "an amount", e.Leaving, "restore the home from its backup")
	}
	return policy.Movement{At: e.Time, Amount: money.New(money.BTC, units)}, nil
}
