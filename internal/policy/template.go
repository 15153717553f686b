package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// Template writes a commented policy for pinned wallets: for each of them that may pay another one, the limits that a
// treasury of modest size would begin with. It is meant to be read and edited; Parse reads it as it is. Names stand in
// quotes, in comments too, so that none can break out of its line and become a rule.
func Template(network spend.Network, wallets ...Wallet) []byte {
	var b strings.Builder
	b.WriteString("# What this signer will sign. Every field is required, nothing here turns a check off, and whatever is\n" +
		"# not allowed below is refused. The version of this policy is the SHA-256 of this file.\n")
	fmt.Fprintf(&b, "coldsign: %s\nserial: 1                        # raise it with every change\nnetwork: %s\n\n", policyFormat, network)
	b.WriteString("# The wallets that are spoken of below. The id is the identity, the name is for people.\nwallets:\n")
	for _, w := range wallets {
		fmt.Fprintf(&b, "  - id: \"%s\"\n    name: %s\n    tier: %s\n", w.ID, strconv.QuoteToASCII(w.Name), w.Tier)
	}
	b.WriteString("\n# What each wallet may do. A wallet without a rule signs nothing.\nrules:\n")
	for _, from := range wallets {
		var to []string
		for _, w := range wallets {
			if w.ID != from.ID && directionAllowed(from, w) {
				to = append(to, fmt.Sprintf("      - \"%s\"   # %s\n", w.ID, strconv.QuoteToASCII(w.Name)))
			}
		}
		if len(to) > 0 {
			fmt.Fprintf(&b, "  - from: \"%s\"   # %s\n    to:                          # add the wallet itself to allow consolidation\n%s%s",
				from.ID, strconv.QuoteToASCII(from.Name), strings.Join(to, ""), templateLimits)
		}
	}
	return []byte(b.String())
}

// templateLimits are the limits that Template gives every rule.
const templateLimits = `    transaction_max: "20 BTC"    # leaving in one transaction
    windows:                     # leaving within any such length of time
      - within: 1h
        max: "25 BTC"
      - within: 24h
        max: "50 BTC"
    fee_max: "0.005 BTC"         # all three fee limits must hold
    fee_percent_max: "1 %"       # of the amount leaving; not used when nothing leaves
    fee_rate_max: "300 sat/vB"
    fee_rate_min: "1 sat/vB"     # below it a transaction may never confirm
    approvals: 2                 # different people, none of them the proposer
    index_gap_max: 1000          # addresses beyond the highest index this signer has used
    locktime_ahead_max: 6        # blocks that nLockTime may lie ahead; times are refused
    replaceable: true            # BIP125: the fee can be raised while unconfirmed
    lifetime_max: 72h            # from the creation of an intent to its end
    clock_skew_max: 10m          # an intent may seem to come from the future by this much
    dust_min: "0.00001 BTC"      # least output
    refusals_max: 5              # then the wallet is locked until a quorum resets it
    to_book: false               # true: payments may go to the entries of the pinned address book
    timelock_above: "10 BTC"     # leaving within the next line's time; beyond it the last signature waits
    timelock: 24h                # from the creation of the intent, so that any keyholder can refuse
`
