package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

var reasonPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,47}$`)

func newRefuseCmd(a *app) *cobra.Command {
	var flags unlockFlags
	var reason, out string
	cmd := &cobra.Command{
		Use: "refuse FILE --reason CODE --out FILE", Short: "Write a signed refusal of a bundle, so that everybody sees why", Args: command.Arguments(1, 1),
		Long:    "Writes an answer that holds no signature but a reason, sealed with this key's receipt key. The daemon shows it to treasury\nstaff. The reason is a short code: small letters, digits and dashes.",
		Example: "  coldsign refuse request.bundle --reason unexpected-amount --key a --out a.refusal",
		RunE: func(_ *cobra.Command, args []string) error {
			if !reasonPattern.MatchString(reason) || out == "" {
				return console.Fail(console.Usage, fmt.Errorf("refuse needs --out and a --reason like unexpected-amount"), "coldsign refuse --help")
			}
			if err := free(out); err != nil {
				return err
			}
			raw, err := readBundle(args[0])
			if err != nil {
				return err
			}
			k, err := a.choose(flags)
			if err != nil {
				return err
			}
			defer k.close()
			return a.refuse(k, raw, reason, out)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, as a short code")
	cmd.Flags().StringVar(&out, "out", "", "file to write the refusal to; it must not exist")
	return cmd
}

func (a *app) refuse(k *keyed, raw []byte, reason, out string) error {
	session := signing.Session{Home: k.home, Ledger: k.ledger, Info: k.info, Unlock: k.unlock, Now: a.Now, Rand: rand.Reader}
	x, err := session.Examine(raw)
	if err != nil {
		return err
	}
	sealed, err := session.Refuse(context.Background(), x, reason)
	if err != nil {
		return err
	}
	if err := writeAnswer(out, sealed); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.refuse/v1", map[string]any{"reason": reason, "words": x.Opened.Words(), "out": out})
	}
	a.Say("refused with reason %s; wrote %s", reason, out)
	a.Hint("coldsign show " + out)
	return nil
}
