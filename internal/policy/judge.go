package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Movement is something that this signer signed before.
type Movement struct {
	At     time.Time
	Amount money.Amount // what left the wallet
}

// Input is everything that is judged together. Rules are the signer's own; all else is what it was given or remembers.
type Input struct {
	Intent          spend.Intent
	Effects         chain.Effects
	Approvals       []spend.Check // from room approvals: each approval, passed or refused
	ApproverCount   int           // different people whose approval counts
	Now             time.Time
	LastSeen        time.Time  // latest time that this signer has ever seen; zero on its first day
	History         []Movement // what left Intent.From before, signed by this signer; older than every window may be left out
	Tip             uint32     // height of the chain as far as this signer knows by itself; 0 when it does not
	ToIndexSeen     uint32     // highest receive index of Intent.To that this signer ever paid
	ChangeIndexSeen uint32     // highest change index of Intent.From that this signer ever made
	Refusals        int        // refusals for Intent.From since a quorum reset it
	Book            Book       // the pinned address book; the zero Book has no entries
	KeyNumber       int        // place of the key that is to sign in Intent.From, from 1; 0 when it is not known
}

// judgement gathers the checks of one input.
type judgement struct {
	rules  Rules
	rule   Rule
	in     Input
	facts  chain.Facts
	checks []spend.Check
}

// Judge evaluates every rule and gives every reason. What cannot be judged at all (no rule for the wallet, effects that
// nobody proved, amounts of another asset) is refused at once.
func Judge(rules Rules, in Input) spend.Verdict {
	j := &judgement{rules: rules, in: in}
	if j.judgeable() {
		j.facts = in.Effects.Facts()
		j.assets()
	}
	if len(j.verdict().Refusals()) > 0 {
		return j.verdict()
	}
	j.identity()
	j.destinationWallet()
	j.clock()
	j.lifetime()
	j.people()
	j.inputs()
	j.outputs()
	j.destination()
	j.change()
	j.sum()
	j.fee()
	j.limits()
	j.timeLock()
	j.shape()
	j.lockTime()
	return j.verdict()
}

func (j *judgement) verdict() spend.Verdict { return spend.Verdict{Checks: j.checks} }

// check records one rule: a pass with what was seen, or the refusal.
func (j *judgement) check(passed bool, name, detail string, refusal *spend.Refusal) {
	if passed {
		refusal = nil
	} else {
		detail = ""
	}
	j.checks = append(j.checks, spend.Check{Name: name, Detail: detail, Refusal: refusal})
}

// judgeable reports whether there is a rule and there are facts.
func (j *judgement) judgeable() bool {
	rule, known := j.rules.Rule(j.in.Intent.From)
	j.rule = rule
	wallet, _ := j.rules.Wallet(j.in.Intent.From)
	j.check(known, "spending wallet has a rule", wallet.Name, spend.Refuse("wallet-not-in-policy", "intent",
		"a wallet with a rule in this signer's policy", j.in.Intent.From.String(), "the keyholders: add a rule to the policy, if this wallet is right"))
	proven := j.in.Effects.Proven()
	j.check(proven, "effects are proven", "from bytes and pinned wallets", spend.Refuse("effects-unproven", "payload",
		"effects derived from the payload's bytes", "none", "the issuer: send the previous transactions with the payload"))
	return known && proven
}

// assets makes sure that every amount counts bitcoin, so that no later comparison can mix assets.
func (j *judgement) assets() {
	amounts := []money.Amount{j.in.Intent.Amount, j.facts.Fee}
	for _, in := range j.facts.Inputs {
		amounts = append(amounts, in.Amount)
	}
	for _, out := range j.facts.Outputs {
		amounts = append(amounts, out.Amount)
	}
	for _, m := range j.in.History {
		amounts = append(amounts, m.Amount)
	}
	foreign := slices.IndexFunc(amounts, func(a money.Amount) bool { return a.Asset() != money.BTC })
	found := ""
	if foreign >= 0 {
		found = fmt.Sprintf("%q", amounts[foreign].Asset().Symbol)
	}
	j.check(foreign < 0, "every amount is in BTC", fmt.Sprintf("%d amounts", len(amounts)),
		spend.Refuse("asset-mismatch", "amounts", "BTC", found, "the issuer: make a new intent for this wallet's asset"))
}

// identity compares whom and what the intent names with the payload and the policy.
func (j *judgement) identity() {
	in, network := j.in.Intent, j.rules.network
	for _, n := range []struct {
		of    string
		found spend.Network
	}{{"intent", in.Network}, {"payload", j.facts.Network}} {
		j.check(n.found == network, "network of the "+n.of, string(n.found), spend.Refuse("network-mismatch", n.of,
			string(network), string(n.found), "use a signer of that network; keys never serve two"))
	}
	j.check(in.Purpose == spend.TopUp || in.Purpose == spend.Payment, "purpose is known", string(in.Purpose), spend.Refuse("purpose-unknown", "intent",
		string(spend.TopUp)+" or "+string(spend.Payment), string(in.Purpose), "update this signer, if the purpose is genuine"))
	complete := in.Serial > 0 && in.Issuer != "" && in.Proposer != ""
	j.check(complete, "intent names its serial, issuer and proposer", fmt.Sprintf("%d, %s, %s", in.Serial, in.Issuer, in.Proposer),
		spend.Refuse("intent-incomplete", "intent", "a serial above zero, an issuer and a proposer",
			fmt.Sprintf("serial %d, issuer %q, proposer %q", in.Serial, in.Issuer, in.Proposer), "the issuer: make a new intent"))
	j.check(j.facts.From == in.From, "payload spends the intent's wallet", j.facts.FromName, spend.Refuse("wallet-mismatch", "payload",
		in.From.String(), j.facts.From.String(), "the issuer: build the payload from the wallet that was approved"))
	from, _ := j.rules.Wallet(in.From)
	j.check(j.facts.FromTier == from.Tier, "tier of the spending wallet", string(from.Tier), spend.Refuse("tier-mismatch", "payload",
		string(from.Tier), string(j.facts.FromTier), "the keyholders: compare the pinned wallet file with the policy"))
}

// destinationWallet asks whether the wallet that is to be paid may be paid.
func (j *judgement) destinationWallet() {
	in := j.in.Intent
	if in.Purpose == spend.Payment {
		j.destinationEntry()
		return
	}
	to, _ := j.rules.Wallet(in.To)
	j.check(slices.Contains(j.rule.To, in.To), "destination is allowed by the policy", to.Name, spend.Refuse("destination-not-allowed", "intent",
		"a wallet under to in this signer's policy", in.To.String(), "the keyholders: add the wallet to the policy, if it is right"))
	from, _ := j.rules.Wallet(in.From)
	direction := string(from.Tier) + " to " + string(to.Tier)
	j.check(directionAllowed(from, to), "direction of the move", direction, spend.Refuse("tier-direction", "intent",
		"cold to warm or hot, warm to hot, or the wallet itself", direction, "the issuer: top-ups never go the other way"))
}

// people asks whether enough people agreed, and whether the wallet is locked after too many refusals.
func (j *judgement) people() {
	in := j.in
	j.check(len(in.Approvals) > 0, "approvals were verified", fmt.Sprintf("%d checks", len(in.Approvals)), spend.Refuse("approvals-unjudged",
		"approvals", "verified approvals", "none", "the proposer: collect approvals: warmctl topup approve ID"))
	j.checks = append(j.checks, in.Approvals...)
	need := fmt.Sprintf("%d different people", j.rule.Approvals)
	j.check(in.ApproverCount >= j.rule.Approvals, "enough people approved", fmt.Sprintf("%d of %d", in.ApproverCount, j.rule.Approvals),
		spend.Refuse("approvals-missing", "approvals", need, fmt.Sprint(in.ApproverCount), "another approver: warmctl topup approve ID"))
	j.check(in.Refusals >= 0 && in.Refusals < j.rule.RefusalsMax, "wallet is not locked by refusals",
		fmt.Sprintf("%d of %d", in.Refusals, j.rule.RefusalsMax), spend.Refuse("refusals-locked", "wallet",
			fmt.Sprintf("fewer than %d refusals", j.rule.RefusalsMax), fmt.Sprint(in.Refusals),
			"a quorum of keyholders: find out who keeps asking, then reset the wallet"))
}
