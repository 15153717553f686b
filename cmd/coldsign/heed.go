package main

import (
	"crypto/rand"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func newHeedCmd(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "heed REFUSAL BUNDLE", Short: "Take in another keyholder's refusal, so that this home does not sign either", Args: command.Arguments(2, 2),
		Long: "Verifies the sealed refusal of another keyholder of the wallet and records it; needs no passphrase. From then on no key\n" +
			"of this home signs that bundle, nor, if it is time-locked, any other bundle for the same intent. A keyholder can so stop\na large move without the daemon, by bringing the file of `coldsign refuse` to the others.",
		Example: "  coldsign heed a.refusal request.bundle --key c",
		RunE:    func(_ *cobra.Command, args []string) error { return runHeed(a, key, args[0], args[1]) },
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pins to believe (default: the only one of this home)")
	return cmd
}

func runHeed(a *app, key, refusal, request string) error {
	raw, err := readBundle(request)
	if err != nil {
		return err
	}
	sealed, err := console.ReadFile(refusal, bundle.AnswerMax)
	if err != nil {
		return err
	}
	k, err := a.choose(unlockFlags{key: key})
	if err != nil {
		return err
	}
	defer k.close()
	session := signing.Session{Home: k.home, Ledger: k.ledger, Info: k.info, Unlock: k.unlock, Now: a.Now, Rand: rand.Reader}
	x, err := session.Examine(raw)
	if err != nil {
		return err
	}
	holder, err := session.Heed(x, sealed)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.heed/v1", map[string]any{"refused_by": holder, "words": x.Opened.Words()})
	}
	a.Say("key %s refused this bundle; this home will not sign it", holder)
	return nil
}
