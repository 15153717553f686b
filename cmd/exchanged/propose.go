package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// operatorLine is what a roster needs so that exchanged can propose anything.
const operatorLine = "add a line for " + operator + " to the roster file, as for any person, then: exchanged roster set FILE, and exchanged exchange roster"

// propose sends a draft and says who has to do what now.
func (a *app) propose(client *admin.Client, draft exchange.ChangeIntent) error {
	ctx := context.Background()
	raw, err := exchange.EncodeBody(draft)
	if err != nil {
		return err
	}
	c, err := client.ProposeChange(ctx, raw)
	if err != nil {
		return unlisted(explained(err))
	}
	if a.json {
		return a.JSON(admin.SchemaChange, withoutSchema(c))
	}
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent)
	if err != nil {
		return err
	}
	if err := a.sayChange(ctx, client, intent); err != nil {
		return err
	}
	if c.State == "applied" {
		a.Say("change %s applied", c.ID)
		return nil
	}
	a.Say("change %s proposed, words: %s", c.ID, c.Words)
	a.Hint(fmt.Sprintf("%d other people approve with: warmctl change approve %s --key NAME", c.Need, c.ID))
	a.Hint("see how far it came: exchanged changes show " + c.ID)
	return a.sayOthers(ctx, client, c.ID, intent.Serial)
}

// unlisted adds to a refusal of the proposer what to do about it here: exchanged always proposes under one name.
func unlisted(err error) error {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "proposer-unknown" {
		return console.Fail(console.CodeOf(err), err, operatorLine)
	}
	return err
}

// sayChange says what a change does, with what its numbers stand for.
func (a *app) sayChange(ctx context.Context, client *admin.Client, intent exchange.ChangeIntent) error {
	rows := admin.DescribeChange(intent)
	if now, err := client.Engine(ctx); err == nil {
		if named := admin.NameChange(intent, now.Assets); named != "" {
			rows = append(rows, [2]string{"NAMED", named})
		}
	}
	for _, line := range rows {
		if _, err := fmt.Fprintf(a.Out, "%-12s %s\n", line[0], console.Printable(line[1])); err != nil {
			return err
		}
	}
	return nil
}

// sayOthers says which other changes wait with the same serial: the engine takes one of them.
func (a *app) sayOthers(ctx context.Context, client *admin.Client, id string, serial uint64) error {
	list, err := client.Changes(ctx)
	if err != nil {
		return explained(err)
	}
	for _, c := range list.Changes {
		intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent)
		if err == nil && c.State == "proposed" && c.ID != id && intent.Serial == serial {
			a.Hint(fmt.Sprintf("change %s waits with the same serial %d: whichever is approved first counts, and the other is proposed again", c.ID, serial))
			return nil
		}
	}
	return nil
}

func newChangesCmd(a *app) *cobra.Command {
	var all bool
	list := &cobra.Command{
		Use: "list", Short: "List the changes that wait for approvals, newest first",
		Long: "A change is proposed until two other people approved it, and then applied, or refused by the engine. It is passed when another\n" +
			"change took its serial: it is proposed again. It expires after a week.",
		Example: "  exchanged changes list --data /srv/coldsign\n  exchanged changes list --all --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runChanges(a, all) },
	}
	list.Flags().BoolVar(&all, "all", false, "also those that were applied, refused or passed, or have expired")
	show := &cobra.Command{
		Use: "show ID", Short: "Show what a change does, and who approved it", Example: "  exchanged changes show 0f3a5c7e9b1d2f48 --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE:              func(_ *cobra.Command, args []string) error { return runChange(a, args[0]) },
		ValidArgsFunction: a.completesChanges(),
	}
	return command.Group("changes", "Changes of the exchange that people approve", list, show)
}

// completesChanges offers the changes that wait.
func (a *app) completesChanges() cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) (out []string, _ cobra.ShellCompDirective) {
		if client, _, err := a.engineNow(); err == nil {
			list, _ := client.Changes(context.Background())
			for _, c := range list.Changes {
				if c.State == "proposed" {
					out = append(out, c.ID+"\t"+headline(c))
				}
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// headline is the first line of what a change does.
func headline(c admin.Change) string {
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent)
	if err != nil {
		return "damaged: " + err.Error()
	}
	line := admin.DescribeChange(intent)[0]
	return line[0] + " " + line[1]
}

func runChanges(a *app, all bool) error {
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	list, err := client.Changes(context.Background())
	if err != nil {
		return explained(err)
	}
	shown := admin.Changes{Changes: []admin.Change{}}
	rows := [][]string{}
	for _, c := range list.Changes {
		if !all && c.State != "proposed" {
			continue
		}
		shown.Changes = append(shown.Changes, c)
		rows = append(rows, []string{c.ID, c.State, headline(c), fmt.Sprintf("%d of %d", len(c.Approvals), c.Need), age(a.Now().Sub(c.CreatedAt))})
	}
	if a.json {
		return a.JSON(admin.SchemaChanges, withoutSchema(shown))
	}
	if len(rows) == 0 {
		a.Say("no change waits")
		return nil
	}
	return console.Table(a.Out, []string{"ID", "STATE", "CHANGE", "APPROVALS", "AGE"}, rows)
}

func runChange(a *app, id string) error {
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := client.Change(ctx, id)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaChange, withoutSchema(c))
	}
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent)
	if err != nil {
		return err
	}
	if err := a.sayChange(ctx, client, intent); err != nil {
		return err
	}
	rows := [][2]string{{"WORDS", c.Words}, {"STATE", c.State}}
	for _, one := range c.Approvals {
		rows = append(rows, [2]string{"APPROVED", one.Person + ", " + one.Device})
	}
	if c.Result != "" {
		rows = append(rows, [2]string{"REFUSED", c.Result})
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(a.Out, "%-12s %s\n", row[0], console.Printable(row[1])); err != nil {
			return err
		}
	}
	switch c.State {
	case "proposed":
		a.Hint(fmt.Sprintf("%d of %d approvals are there; others approve with: warmctl change approve %s --key NAME", len(c.Approvals), c.Need, c.ID))
	case "passed", "expired", "refused":
		a.Hint("propose it again")
	}
	return nil
}

// sane refuses what could come to nothing: that is better known before two people approve it.
func (k *exchangeDesk) sane(ctx context.Context, by admin.Actor, intent exchange.ChangeIntent) error {
	if err := k.apart(intent); err != nil {
		return err
	}
	switch {
	case intent.Roster != nil:
		return proposerOn(intent.Roster, by.Person)
	case intent.Freeze != nil:
		info, err := k.account(ctx, intent.Freeze.Account)
		if err == nil && info.State == intent.Freeze.State {
			err = idle(fmt.Sprintf("account %d", info.ID), "exchanged account list")
		}
		return err
	case intent.Fees != nil:
		_, err := k.account(ctx, intent.Fees.Account)
		return err
	case intent.Reset != nil:
		_, err := k.account(ctx, intent.Reset.Account)
		return err
	case intent.Balance != nil && intent.Balance.Account != 0:
		_, err := k.account(ctx, intent.Balance.Account)
		return err
	case intent.Market != nil:
		catalogue, err := k.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
		for _, m := range catalogue.Markets {
			if m == *intent.Market {
				err = idle("market "+m.Symbol, "exchanged market list")
			}
		}
		return err
	}
	return nil
}

// idle refuses a change that changes nothing.
func idle(what, look string) error {
	return admin.NewProblem(admin.Misused, "change-idle", what+" is like that already; nothing would change", look)
}

// account looks an account up, and refuses one that is not there.
func (k *exchangeDesk) account(ctx context.Context, n exchange.Account) (exchange.AccountInfo, error) {
	a, err := k.ask(ctx, exchange.Question{Account: &exchange.AccountQuestion{Account: n}})
	if err == nil && a.Account == nil {
		err = admin.NewProblem(admin.Misused, "account-unknown", fmt.Sprintf("there is no account %d", n), "exchanged account list")
	}
	if err != nil {
		return exchange.AccountInfo{}, err
	}
	return *a.Account, nil
}

// proposerOn refuses a roster that does not name whoever proposes it: nobody could propose the next change.
func proposerOn(file []byte, person string) error {
	people, err := approvals.ParseRoster(file)
	if err != nil {
		return err
	}
	for _, one := range people.People() {
		if one.Name == person {
			return nil
		}
	}
	version := people.Version()
	return admin.NewProblem(admin.Refused, "roster-without-proposer", fmt.Sprintf("roster %s does not name %s, under whose name changes are proposed: no further change could be",
		hex.EncodeToString(version[:4]), person), operatorLine)
}
