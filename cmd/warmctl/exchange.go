package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
)

// changeOptions are those of an approval, for a change of the exchange.
type changeOptions struct {
	approver
	id, yes, out string
}

func newChangeCmd(a *app) *cobra.Command {
	var o changeOptions
	list := &cobra.Command{
		Use: "list", Short: "List changes of the exchange, newest first", Example: "  warmctl change list", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runChangeList(a) },
	}
	var out string
	show := &cobra.Command{
		Use:   "show ID",
		Short: "Show what a change does, read from its exact bytes",
		Long: "With --out the exact bytes are written: what people approve. An approval can then be made with OpenSSH alone:\n\n" +
			"  ssh-keygen -Y sign -f KEY -n coldsign-change-v1 change.bin",
		Example: "  warmctl change show 0f3a5c7e9b1d2f48\n  warmctl change show 0f3a5c7e9b1d2f48 --out change.bin",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runChangeShow(a, args[0], out) },
	}
	show.Flags().StringVar(&out, "out", "", "file for the exact bytes, or - for standard output")
	approve := &cobra.Command{
		Use:   "approve ID",
		Short: "Show what a change does, ask, and sign its exact bytes",
		Long: "A change of a market, an asset, a fee, a balance, a roster or a deposit wallet counts when two people who did not propose it\n" +
			"have signed its exact bytes. In scripts, --yes-word WORD is the consent: the first of the change's twelve words.",
		Example: "  warmctl change approve 0f3a5c7e9b1d2f48 --key alice-1\n  warmctl change approve 0f3a5c7e9b1d2f48 --identity ~/.ssh/id_ed25519",
		Args:    command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.id = args[0]
			return runChangeApprove(a, o)
		},
	}
	flags := approve.Flags()
	flags.StringVar(&o.key, "key", "", "approval key of this home, in a token (warmctl key list)")
	flags.StringVar(&o.identity, "identity", "", "OpenSSH private key file")
	flags.StringVar(&o.signature, "signature", "", "armored SSHSIG made elsewhere, with namespace coldsign-change-v1")
	flags.StringVar(&o.yes, "yes-word", "", "consent in scripts: the first of the change's words")
	flags.StringVar(&o.out, "out", "", "also write the approval (armored SSHSIG) to this file")
	flags.IntVar(&o.pinFD, "pin-fd", -1, "file descriptor to read the PIN from, instead of the terminal")
	flags.IntVar(&o.passphraseFD, "passphrase-fd", -1, "file descriptor to read the passphrase of --identity from, instead of the terminal")
	return command.Group("change", "Changes of the exchange that two people approve", list, show, approve)
}

// changeRead is a change as this home reads it.
type changeRead struct {
	id     string
	raw    []byte
	intent exchange.ChangeIntent
	words  string
	named  string // what the daemon says that its numbers stand for
}

// readChange takes nothing from the daemon but the bytes.
func readChange(c admin.Change, id string) (changeRead, error) {
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent)
	if err != nil {
		return changeRead{}, spend.Distrust("change-malformed", "change "+id, "the bytes of a change", err.Error(), "propose the change again")
	}
	if admin.ChangeID(c.Intent) != id {
		return changeRead{}, spend.Distrust("change-other", "change "+id, "the change of that name", "change "+admin.ChangeID(c.Intent), "ask the operator what the daemon does")
	}
	return changeRead{id: id, raw: c.Intent, intent: intent, words: words.Line(sha256.Sum256(c.Intent))}, nil
}

func (r changeRead) write(to io.Writer) {
	for _, one := range admin.DescribeChange(r.intent) {
		line(to, one[0], "%s", one[1])
	}
	if r.named != "" {
		line(to, "NAMED", "%s, as the daemon says", r.named)
	}
	line(to, "EXPIRES", "%s", time.UnixMilli(int64(r.intent.Expires)).UTC().Format(time.RFC3339))
	line(to, "WORDS", "%s", r.words)
}

// name asks the daemon what the numbers of the change stand for. Without an answer the bytes alone are shown.
func (r *changeRead) name(ctx context.Context, client *admin.Client) {
	if status, err := client.Engine(ctx); err == nil {
		r.named = console.Printable(admin.NameChange(r.intent, status.Assets))
	}
}

// first is the word that stands for consent.
func (r changeRead) first() string {
	word, _, _ := strings.Cut(r.words, " ")
	return word
}

func runChangeList(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Changes(context.Background())
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaChanges, map[string]any{"changes": list.Changes})
	}
	rows := [][]string{}
	for _, c := range list.Changes {
		r, err := readChange(c, c.ID)
		if err != nil {
			return err
		}
		what := admin.DescribeChange(r.intent)[0]
		rows = append(rows, []string{c.ID, c.State, what[0] + " " + what[1], r.intent.Proposer, fmt.Sprintf("%d of %d", len(c.Approvals), c.Need)})
	}
	return console.Table(a.Out, []string{"ID", "STATE", "CHANGE", "PROPOSER", "APPROVALS"}, rows)
}

func runChangeShow(a *app, id, out string) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	c, err := client.Change(context.Background(), id)
	if err != nil {
		return err
	}
	r, err := readChange(c, id)
	if err != nil {
		return err
	}
	r.name(context.Background(), client)
	if out != "" {
		if err := a.give(out, r.raw); err != nil || out == "-" {
			return err
		}
	}
	if a.json {
		c.Schema = ""
		return a.JSON(admin.SchemaChange, c)
	}
	r.write(a.Out)
	line(a.Out, "STATE", "%s", c.State)
	for _, approval := range c.Approvals {
		line(a.Out, "APPROVED", "%s, %s", approval.Person, approval.Device)
	}
	if c.Result != "" {
		line(a.Out, "REFUSED", "%s", c.Result)
	}
	return nil
}

func runChangeApprove(a *app, o changeOptions) error {
	ways := 0
	for _, way := range []string{o.key, o.identity, o.signature} {
		if way != "" {
			ways++
		}
	}
	if ways != 1 {
		return console.Fail(console.Usage, errors.New("exactly one of --key, --identity and --signature is needed"), "warmctl change approve ID --key NAME")
	}
	ctx := context.Background()
	client, err := a.client()
	if err != nil {
		return err
	}
	c, err := client.Change(ctx, o.id)
	if err != nil {
		return err
	}
	r, err := readChange(c, o.id)
	if err != nil {
		return err
	}
	r.name(ctx, client)
	if err := a.agree(r, o.yes); err != nil {
		return err
	}
	armored, err := a.approval(r.raw, seal.Change, o.approver)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := console.WriteNew(o.out, armored, 0o644); err != nil {
			return err
		}
	}
	after, err := client.ApproveChange(ctx, o.id, armored)
	if err != nil {
		return err
	}
	if a.json {
		after.Schema = ""
		return a.JSON(admin.SchemaChange, after)
	}
	a.Say("approval of change %s taken: %d of %d", o.id, len(after.Approvals), after.Need)
	switch after.State {
	case "applied":
		a.Say("the change is applied")
	case "refused":
		return console.Fail(console.Refused, fmt.Errorf("the engine refused the change: %s", console.Printable(after.Result)), "propose it again")
	}
	return nil
}

// agree shows the change and waits for a person to type the first of its words, or compares it with the named consent.
func (a *app) agree(r changeRead, yes string) error {
	id, err := a.home.identity()
	if err != nil {
		return err
	}
	if r.intent.Proposer == id.Name {
		return spend.Refuse("approver-is-proposer", "approval", "somebody other than the proposer", id.Name, "two other people approve")
	}
	same := func(text string) bool { return strings.EqualFold(strings.TrimSpace(text), r.first()) }
	if yes != "" {
		r.write(a.Err)
		if !same(yes) {
			return console.Fail(console.Declined, fmt.Errorf("--yes-word %s is not the first word of this change", console.Printable(yes)), "warmctl change show "+r.id)
		}
		return nil
	}
	if a.TTY == nil {
		return console.Fail(console.Usage, errors.New("there is no terminal to ask on"), "in scripts: warmctl change approve "+r.id+" --yes-word WORD")
	}
	r.write(a.TTY)
	return a.Confirm("Type the first of the words to approve:", 3, same)
}
