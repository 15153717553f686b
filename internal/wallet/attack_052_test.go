package wallet_test

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Attack 052: a wallet with a second way to spend, for one key after a time, for another script, or for anybody with a
// word, cannot be registered in any form.
func TestAttack052NoWalletHasARecoveryBranch(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	body, _, _ := strings.Cut(strings.TrimPrefix(w.Descriptor(), "wsh("), "#")
	quorum := strings.TrimSuffix(body, ")")
	key := strings.Split(strings.TrimSuffix(quorum, ")"), ",")[1]
	for _, text := range []string{
		"wsh(andor(" + quorum + ",older(4240),pk(" + key + ")))",
		"wsh(or_d(" + quorum + ",and_v(v:pkh(" + key + "),older(4240))))",
		"wsh(or_i(" + quorum + ",and_v(v:pk(" + key + "),after(900000))))",
		"wsh(thresh(1," + quorum + ",sln:older(4240)))",
		"wsh(and_v(v:sha256(" + strings.Repeat("ab", 32) + "),pk(" + key + ")))",
		"tr(" + key + ",and_v(v:pk(" + key + "),older(4240)))",
		"wsh(" + quorum + ",older(4240))",
		"sh(" + body, "wsh(multi(" + strings.TrimPrefix(quorum, "sortedmulti(") + ")", "wsh(pk(" + key + "))",
	} {
		label := wallet.Label{Name: "COLD-R", Tier: spend.Cold, Network: spend.BitcoinRegtest}
		d, err := wallet.ParseUnchecked(text)
		if err == nil {
			_, err = wallet.FromDescriptor(d.String(), label, wallet.AcceptUnproven())
		}
		if err == nil {
			t.Errorf("registered: %s", text)
		}
		if _, err := wallet.Parse(replaced(t, w.Marshal(), w.Descriptor(), text), wallet.AcceptUnproven()); err == nil {
			t.Errorf("read from a wallet file: %s", text)
		}
	}
}
