package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// inputs lists what is spent; a coin counts once.
func (j *judgement) inputs() {
	seen := make(map[string]bool, len(j.facts.Inputs))
	j.check(len(j.facts.Inputs) > 0, "payload spends coins", fmt.Sprintf("%d inputs", len(j.facts.Inputs)),
		spend.Refuse("inputs-missing", "payload", "at least one input", "none", "the issuer: build the payload again"))
	for i, in := range j.facts.Inputs {
		where := fmt.Sprintf("input %d", i)
		j.check(in.Outpoint != "" && !seen[in.Outpoint], where+" amount is proven, coin is ours", in.Amount.String(),
			spend.Refuse("input-duplicate", where, "a coin that is spent once", in.Outpoint, "the issuer: build the payload again"))
		seen[in.Outpoint] = true
	}
}

// outputs refuses every output that is neither a wallet's own nor the entry that a payment names, that is dust, or that
// has no address to show.
func (j *judgement) outputs() {
	for i, out := range j.facts.Outputs {
		where := fmt.Sprintf("output %d", i)
		known, whose := out.Role == chain.Change || j.pays(out), out.WalletName
		if out.Role == chain.External {
			whose = "entry " + j.in.Intent.Entry
		}
		j.check(known && out.Position == i, where+" belongs to a pinned wallet or the book", whose, spend.Refuse("output-external", where,
			"change, or the intent's destination", fmt.Sprintf("%s to %q (script %.40s)", out.Amount, out.Address, out.Script),
			"nobody: money never leaves to an address that no pinned wallet derives and no book entry of the intent names"))
		j.check(out.Address != "", where+" has an address", out.Address, spend.Refuse("address-missing", where,
			"an address that a person can read", "script "+fmt.Sprintf("%.40s", out.Script), "the issuer: build the payload again"))
		j.check(out.Amount.Cmp(j.rule.DustMin) >= 0, where+" is not dust", out.Amount.String(), spend.Refuse("output-dust", where,
			"at least "+j.rule.DustMin.String(), out.Amount.String(), "the issuer: build the payload without it"))
	}
}

// outputsThat returns the outputs for which keep is true.
func (j *judgement) outputsThat(keep func(chain.Output) bool) []chain.Output {
	return slices.DeleteFunc(slices.Clone(j.facts.Outputs), func(o chain.Output) bool { return !keep(o) })
}

// destination holds the one output that pays against the intent, to the satoshi.
func (j *judgement) destination() {
	paid, in := j.outputsThat(j.pays), j.in.Intent
	j.check(len(paid) == 1, "exactly one output pays", fmt.Sprintf("of %d outputs", len(j.facts.Outputs)), spend.Refuse("destination-count", "payload",
		"one output to the intent's destination", fmt.Sprint(len(paid)), "the issuer: build the payload again"))
	j.check(!in.Amount.IsZero(), "intent asks for an amount", in.Amount.String(), spend.Refuse("amount-zero", "intent",
		"more than nothing", in.Amount.String(), "the proposer: make a new intent"))
	for _, out := range paid {
		where := fmt.Sprintf("output %d", out.Position)
		if in.Purpose == spend.Payment {
			j.check(true, where+" is the address of the book's entry", in.Entry, nil) // pays selected it by its address
		} else {
			j.derived(where, out)
		}
		j.check(out.Amount == in.Amount, where+" pays the approved amount", in.Amount.String(), spend.Refuse("amount-mismatch", where,
			in.Amount.String(), out.Amount.String(), "the issuer: build the payload for the amount that was approved"))
	}
}

// derived holds a destination against the wallet and the index that were approved.
func (j *judgement) derived(where string, out chain.Output) {
	in := j.in.Intent
	expected, found := fmt.Sprintf("%s /0/%d", in.To, in.ToIndex), fmt.Sprintf("%s /0/%d", out.Wallet, out.Index)
	j.check(out.Wallet == in.To && out.Index == in.ToIndex, where+" is derived from the intent's wallet and index",
		fmt.Sprintf("%s /0/%d", out.WalletName, out.Index), spend.Refuse("destination-mismatch", where, expected, found,
			"the issuer: build the payload for the intent that was approved"))
	j.gap(where, out.Index, j.in.ToIndexSeen)
}

// change allows one output back to the wallet that spends.
func (j *judgement) change() {
	back := j.outputsThat(func(o chain.Output) bool { return o.Role == chain.Change })
	j.check(len(back) <= 1, "at most one change output", fmt.Sprint(len(back)), spend.Refuse("change-count", "payload",
		"at most one change output", fmt.Sprint(len(back)), "the issuer: build the payload again"))
	for _, out := range back {
		where := fmt.Sprintf("output %d", out.Position)
		j.check(out.Wallet == j.in.Intent.From, where+" returns to the spending wallet", out.WalletName, spend.Refuse("change-foreign", where,
			j.in.Intent.From.String(), out.Wallet.String(), "the issuer: build the payload again"))
		j.gap(where, out.Index, j.in.ChangeIndexSeen)
	}
}

// gap refuses an index so far ahead that an owner who restores the wallet would not look for the coin there.
func (j *judgement) gap(where string, index, seen uint32) {
	most := uint64(seen) + uint64(j.rule.IndexGapMax)
	j.check(uint64(index) <= most, where+" index is near the used ones", fmt.Sprintf("%d, at most %d", index, most), spend.Refuse("index-gap", where,
		fmt.Sprintf("an index of at most %d", most), fmt.Sprint(index), "the issuer: use the next index; or the keyholders: raise index_gap_max"))
}

// sum adds everything up again: what goes in is what comes out and the fee.
func (j *judgement) sum() {
	in, errIn := total(nil)
	for _, i := range j.facts.Inputs {
		if errIn == nil {
			in, errIn = in.Add(i.Amount)
		}
	}
	out, errOut := total(j.facts.Outputs)
	if errOut == nil {
		out, errOut = out.Add(j.facts.Fee)
	}
	equal := errIn == nil && errOut == nil && in == out
	j.check(equal, "inputs equal outputs and fee", in.String(), spend.Refuse("sum-mismatch", "payload",
		"inputs equal to outputs and fee", fmt.Sprintf("%s in, %s out", in, out), "report this: the signer contradicts itself"))
}

func total(outputs []chain.Output) (sum money.Amount, err error) {
	sum = money.Sats(0)
	for _, o := range outputs {
		if sum, err = sum.Add(o.Amount); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Leaving returns what leaves the wallet of proven facts: every output that is not its own. Amounts must be in BTC.
func Leaving(facts chain.Facts) (money.Amount, error) {
	return total(slices.DeleteFunc(slices.Clone(facts.Outputs), func(o chain.Output) bool {
		return o.Role != chain.External && o.Wallet == facts.From
	}))
}

// fee holds the fee against all of its limits. When nothing leaves there is nothing to take a percentage of, and the
// other limits still hold.
func (j *judgement) fee() {
	fee, rule, size := j.facts.Fee, j.rule, j.facts.VirtualBytes
	const fix = "the issuer: build the payload with a fee within this signer's limits"
	j.check(fee.Cmp(rule.FeeMax) <= 0, "fee", fmt.Sprintf("%s of %s", fee, rule.FeeMax), spend.Refuse("fee-above-cap", "fee",
		"at most "+rule.FeeMax.String(), fee.String(), fix))
	milli, fits := fee.Units().Mul64(1000)
	sized := size > 0 && size <= standardMax
	most, least := money.U128{}, money.U128{}
	if sized && fits {
		most, _ = money.U128{Lo: rule.FeeRateMax}.Mul64(uint64(size)) // both are bounded: the product fits
		least, _ = money.U128{Lo: rule.FeeRateMin}.Mul64(uint64(size))
	}
	j.check(sized, "size is standard", fmt.Sprintf("%d vB", size), spend.Refuse("size-nonstandard", "payload",
		fmt.Sprintf("1 to %d vB", standardMax), fmt.Sprintf("%d vB", size), "the issuer: spend fewer coins at once"))
	rate := func(milliSats uint64) string {
		return money.New(money.Asset{Symbol: "sat/vB", Decimals: 3}, money.U128{Lo: milliSats}).String()
	}
	found := fmt.Sprintf("%s for %d vB", fee, size)
	j.check(sized && fits && milli.Cmp(most) <= 0, "fee rate", fmt.Sprintf("%s, at most %s", found, rate(rule.FeeRateMax)),
		spend.Refuse("fee-rate-above-cap", "fee", "at most "+rate(rule.FeeRateMax), found, fix))
	j.check(sized && fits && milli.Cmp(least) >= 0, "fee rate is enough", fmt.Sprintf("%s, at least %s", found, rate(rule.FeeRateMin)),
		spend.Refuse("fee-rate-below-floor", "fee", "at least "+rate(rule.FeeRateMin), found, fix))
	j.feePercent(fee, fix)
}

func (j *judgement) feePercent(fee money.Amount, fix string) {
	leaving, err := Leaving(j.facts)
	if err == nil && leaving.IsZero() {
		j.check(true, "fee in percent", "nothing leaves", nil)
		return
	}
	parts, fitsFee := fee.Units().Mul64(1_000_000)
	most, fitsMost := leaving.Units().Mul64(j.rule.FeePartsMax)
	percent := money.New(money.Asset{Symbol: "%", Decimals: 4}, money.U128{Lo: j.rule.FeePartsMax}).String()
	j.check(err == nil && fitsFee && fitsMost && parts.Cmp(most) <= 0, "fee in percent", fmt.Sprintf("%s of %s, at most %s", fee, leaving, percent),
		spend.Refuse("fee-above-percent", "fee", "at most "+percent+" of the amount leaving", fmt.Sprintf("%s of %s", fee, leaving), fix))
}

// shape looks at what is left of the payload.
func (j *judgement) shape() {
	f := j.facts
	j.check(!f.Replaceable || j.rule.Replaceable, "replaceability", fmt.Sprintf("replaceable: %t", f.Replaceable), spend.Refuse("replaceable",
		"payload", "a final transaction", "one that signals BIP125", "the issuer: build the payload without it"))
	j.check(f.SignedBy < f.Threshold, "signatures are missing", fmt.Sprintf("%d of %d present", f.SignedBy, f.Threshold),
		spend.Refuse("already-signed", "payload", fmt.Sprintf("fewer than %d signatures", f.Threshold), fmt.Sprint(f.SignedBy),
			"the issuer: finalise it; there is nothing to sign"))
	// Fields that no rule reads decide nothing; a person sees how many there are.
	j.check(true, "fields that decide nothing", fmt.Sprintf("%d unknown fields ignored", f.UnknownFields), nil)
}

// limits holds what leaves against the limit of one transaction and of every window.
func (j *judgement) limits() {
	for _, l := range usage(j.rule, j.facts, j.in) {
		code := "limit-window"
		if l.window == 0 {
			code = "limit-transaction"
		}
		j.check(l.err == nil && l.used.Cmp(l.max) <= 0, l.name, fmt.Sprintf("%s of %s", l.used, l.max), spend.Refuse(code, l.name,
			"at most "+l.max.String(), l.used.String(), "the proposer: ask for less, or wait; or the keyholders: change the policy"))
	}
}

// limit is one limit and how much of it would be used, this payload included.
type limit struct {
	name   string
	window time.Duration // 0 for the limit of one transaction
	used   money.Amount
	max    money.Amount
	err    error
}

// usage computes every limit. A movement counts in a window until it is older than the window, to the nanosecond, and
// a movement from the future counts in every window: a clock that went back must not empty it.
func usage(rule Rule, facts chain.Facts, in Input) []limit {
	leaving, err := Leaving(facts)
	out := []limit{{"this transaction", 0, leaving, rule.TransactionMax, err}}
	for _, w := range rule.Windows {
		l := limit{fmt.Sprintf("%d h", w.Length/time.Hour), w.Length, leaving, w.Max, err}
		if w.Length%time.Hour != 0 {
			l.name = fmt.Sprintf("%d min", w.Length/time.Minute)
		}
		out = append(out, within(w, l, in))
	}
	return out
}

// within adds to a limit what left within its window.
func within(w Window, l limit, in Input) limit {
	for _, m := range in.History {
		if l.err == nil && !m.At.Before(in.Now.Add(-w.Length)) {
			l.used, l.err = l.used.Add(m.Amount)
		}
	}
	return l
}

// Limits says how much of each limit the input would use, for the review screen. It says nothing of what cannot be
// judged: unproven effects, no rule, amounts that do not add up.
func Limits(rules Rules, in Input) []string {
	rule, known := rules.Rule(in.Intent.From)
	if !known || !in.Effects.Proven() {
		return nil
	}
	var out []string
	for _, l := range usage(rule, in.Effects.Facts(), in) {
		if l.err == nil {
			out = append(out, fmt.Sprintf("%s %s of %s %s", l.name, short(l.used), short(l.max), l.max.Asset().Symbol))
		}
	}
	return out
}

// short writes an amount without the zeros at its end: "12.5".
func short(a money.Amount) string {
	text := a.Decimal()
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}
