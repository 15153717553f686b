package main

import (
	"fmt"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func newLedgerCmd(a *app) *cobra.Command {
	return command.Group("ledger", "Read the signer ledger: what this home pinned, signed and refused; go on with a restored one", newLedgerListCmd(a), newLedgerReconcileCmd(a))
}

func newLedgerListCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Check the chain of the signer ledger and list its entries", Args: command.Arguments(0, 0),
		Example: "  coldsign ledger list --json",
		RunE: func(*cobra.Command, []string) error {
			ledger, err := a.readLedger()
			if err != nil {
				return err
			}
			if a.json {
				return a.JSON("coldsign.ledger/v1", map[string]any{"entries": ledger.Entries()})
			}
			rows := [][]string{{"SEQ", "TIME", "EVENT", "KEY", "WHAT"}}
			for _, e := range ledger.Entries() {
				rows = append(rows, []string{fmt.Sprint(e.Seq), e.Time.Format(time.RFC3339), string(e.Event), e.Key, what(e)})
			}
			return a.table(rows)
		},
	}
}

func what(e home.Entry) string {
	switch e.Event {
	case home.Pinned, home.Vouched:
		return e.Kind + " " + e.Name
	case home.Reserved:
		return fmt.Sprintf("bundle %.16s, %s satoshi leave, receipt %d", e.Bundle, e.Leaving, e.Counter)
	case home.Reconciled:
		return fmt.Sprintf("%s, counted as %s satoshi", e.Reason, e.Leaving)
	case home.Withheld:
		return fmt.Sprintf("bundle %.16s, the last signature waits", e.Bundle)
	case home.Declined, home.Vetoed:
		return fmt.Sprintf("bundle %.16s, %s", e.Bundle, e.Reason)
	}
	return fmt.Sprintf("bundle %.16s, receipt %d", e.Bundle, e.Counter)
}

// table prints rows, the first of them the header.
func (a *app) table(rows [][]string) error { return console.Table(a.Out, rows[0], rows[1:]) }
