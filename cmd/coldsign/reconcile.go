package main

import (
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

type reconcileOptions struct {
	unlockFlags
	bundle  string
	counter uint64
	words   string
}

func newLedgerReconcileCmd(a *app) *cobra.Command {
	var o reconcileOptions
	cmd := &cobra.Command{
		Use: "reconcile --bundle FILE --counter N", Short: "Go on with a signer ledger that was restored from an older copy", Args: command.Arguments(0, 0),
		Long: "A signer refuses a bundle whose issuer has seen a later receipt of its key than its ledger knows (ledger-rolled-back). If\n" +
			"that is because the home was restored from a copy, this records the gap: N is the last receipt, as it stands in the last\n" +
			"answer of this key. Each missing receipt counts in every limit with as much as the policy lets leave at once, from now\n" +
			"on. Which coins were signed away in the gap is lost: compare with treasury staff. Pin the newest policy and roster again.\n" +
			"If nobody restored this home, somebody else signs with its key: stop.",
		Example: "  coldsign ledger reconcile --bundle request.bundle --counter 41 --key a",
		RunE:    func(*cobra.Command, []string) error { return runReconcile(a, o) },
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.bundle, "bundle", "", "the bundle that was refused")
	cmd.Flags().Uint64Var(&o.counter, "counter", 0, "last receipt of this key, from its last answer")
	cmd.Flags().StringVar(&o.words, "words", "", "the bundle's twelve words as another keyholder read them, instead of the question on the terminal")
	return cmd
}

func runReconcile(a *app, o reconcileOptions) error {
	if o.bundle == "" || o.counter == 0 {
		return console.Fail(console.Usage, errors.New("reconcile needs the bundle that was refused and the last receipt"), "coldsign ledger reconcile --help")
	}
	raw, err := readBundle(o.bundle)
	if err != nil {
		return err
	}
	u, err := a.unlock(o.unlockFlags)
	if err != nil {
		return err
	}
	defer u.close()
	beliefs, err := signing.Load(u.home, u.ledger, u.info.Name, u.key.Receipt().PublicKey())
	if err != nil {
		return err
	}
	gap, err := signing.FindGap(beliefs, u.ledger, raw, o.counter, a.Now())
	if err != nil {
		return err
	}
	a.Say("receipts %d to %d of key %s are missing; they count as %s that left now", gap.Last+1, gap.To, gap.Key, gap.Leaving)
	if err := a.compareWords(gap.Bundle, o.words); err != nil {
		return err
	}
	if err := signing.Reconcile(u.ledger, a.Now(), gap); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.reconcile/v1", map[string]any{"key": gap.Key, "from": gap.Last + 1, "to": gap.To, "counted": gap.Leaving.Decimal(), "asset": gap.Leaving.Asset().Symbol})
	}
	a.Say("the next receipt of key %s is %d", gap.Key, gap.To+1)
	a.Hint(fmt.Sprintf("coldsign trust list --key %s; pin the newest policy and roster again if these are older", gap.Key))
	return nil
}
