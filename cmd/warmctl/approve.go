package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

type approveOptions struct {
	approver
	id, yesAmount, out string
}

// approver is how a person approves: with a key in a token, with a key file, or with a signature made elsewhere.
type approver struct {
	key, identity, signature string
	pinFD, passphraseFD      int
}

func newApproveCmd(a *app) *cobra.Command {
	var o approveOptions
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Show what a top-up does, ask, and sign its exact intent bytes",
		Long: "Shows the intent as this home reads it and asks to retype the amount on the terminal. Then the exact intent bytes are\n" +
			"signed with one of: a key in a token (--key), an OpenSSH key file (--identity, counts on test networks only), or a\n" +
			"signature made elsewhere over the bytes of `warmctl topup show ID --out FILE` (--signature).\n\n" +
			"In scripts, --yes-amount AMOUNT is the consent: it must be the intent's amount.",
		Example: "  warmctl topup approve 7 --key alice-1\n  warmctl topup approve 7 --identity ~/.ssh/id_ed25519\n" +
			"  warmctl topup approve 7 --key alice-1 --yes-amount 2.5 --pin-fd 3 3<pin",
		Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.id = args[0]
			return runApprove(a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.key, "key", "", "approval key of this home, in a token (warmctl key list)")
	flags.StringVar(&o.identity, "identity", "", "OpenSSH private key file")
	flags.StringVar(&o.signature, "signature", "", "armored SSHSIG made elsewhere, with namespace coldsign-approve-v1")
	flags.StringVar(&o.yesAmount, "yes-amount", "", "consent in scripts: the amount in BTC that is approved")
	flags.StringVar(&o.out, "out", "", "also write the approval (armored SSHSIG) to this file")
	flags.IntVar(&o.pinFD, "pin-fd", -1, "file descriptor to read the PIN from, instead of the terminal")
	flags.IntVar(&o.passphraseFD, "passphrase-fd", -1, "file descriptor to read the passphrase of --identity from, instead of the terminal")
	return cmd
}

func runApprove(a *app, o approveOptions) error {
	ways := 0
	for _, way := range []string{o.key, o.identity, o.signature} {
		if way != "" {
			ways++
		}
	}
	if ways != 1 {
		return console.Fail(console.Usage, errors.New("exactly one of --key, --identity and --signature is needed"), "warmctl topup approve ID --key NAME")
	}
	ctx := context.Background()
	client, err := a.client()
	if err != nil {
		return err
	}
	t, r, err := a.look(ctx, client, o.id)
	if err != nil {
		return err
	}
	if err := a.mayApprove(t, r); err != nil {
		return err
	}
	if err := a.consent(r, o); err != nil {
		return err
	}
	armored, err := a.approval(r.raw, seal.Approve, o.approver)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := console.WriteNew(o.out, armored, 0o644); err != nil {
			return err
		}
	}
	after, err := client.Approve(ctx, o.id, armored)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaTopUp, r.view(after))
	}
	a.Say("approval of top-up %s taken: %d of %d", o.id, len(after.Approvals), after.Need)
	if after.Bundle != "" {
		a.Say("bundle sealed, words: %s", after.BundleWords)
		a.Hint("warmctl bundle show " + o.id)
	} else if after.Waiting != "" {
		a.Say("waits for %s", after.Waiting)
	}
	return nil
}

// mayApprove refuses before a person is asked what the daemon and every signer would refuse afterwards.
func (a *app) mayApprove(t admin.TopUp, r reading) error {
	id, err := a.home.identity()
	if err != nil {
		return err
	}
	if err := r.pinnedBoth(); err != nil {
		return err
	}
	if r.intent.Proposer == id.Name {
		return spend.Refuse("approver-is-proposer", "approval", "somebody other than the proposer", id.Name, "two other people approve")
	}
	if now := a.Now().Unix(); now >= r.intent.ExpiresAt {
		return spend.Distrust("intent-expired", "top-up "+t.ID, "a time before its expiry", "it has expired", "warmctl topup propose")
	}
	return a.refuseOurs(t, r)
}

// consent shows the intent and waits for a person to retype the amount, or compares it with the named consent.
func (a *app) consent(r reading, o approveOptions) error {
	same := func(text string) bool {
		typed, err := money.Parse(strings.TrimSpace(text), r.intent.Amount.Asset())
		return err == nil && typed.Cmp(r.intent.Amount) == 0
	}
	if o.yesAmount != "" {
		r.write(a.Err, a.Now())
		if !same(o.yesAmount) {
			return console.Fail(console.Declined, fmt.Errorf("--yes-amount %s is not the amount of this top-up", o.yesAmount), "warmctl topup show "+o.id)
		}
		return nil
	}
	if a.TTY == nil {
		return console.Fail(console.Usage, errors.New("there is no terminal to ask on"), "in scripts: warmctl topup approve "+o.id+" --yes-amount AMOUNT")
	}
	r.write(a.TTY, a.Now())
	return a.Confirm("Retype the amount in "+r.intent.Amount.Asset().Symbol+" to approve:", 3, same)
}

// approval makes the signature, or takes one that was made elsewhere, and checks that it is over these bytes.
func (a *app) approval(message []byte, purpose seal.Namespace, by approver) (armored []byte, err error) {
	var signer ssh.Signer
	switch {
	case by.signature != "":
		armored, err = console.ReadFile(by.signature, fileMax)
	case by.identity != "":
		signer, err = a.fileSigner(by.identity, by.passphraseFD)
	default:
		var done func() error
		if signer, done, err = a.tokenSigner(by.key, by.pinFD); err == nil {
			defer done()
		}
	}
	if err != nil {
		return nil, err
	}
	if signer != nil {
		if armored, err = seal.Sign(signer, purpose, message, rand.Reader); err != nil {
			return nil, console.Fail(console.KeyUnavailable, err)
		}
	}
	_, _, err = seal.Verify(armored, message, purpose)
	return armored, err
}
