package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
	"github.com/spf13/cobra"
)

func newRosterCmd(a *app) *cobra.Command {
	return command.Group("roster", "Stand behind a roster as a keyholder", newVouchCmd(a, home.RosterPin))
}

func newBookCmd(a *app) *cobra.Command {
	return command.Group("book", "Stand behind an address book as a keyholder", newVouchCmd(a, home.BookPin))
}

type vouchOptions struct {
	unlockFlags
	file string
	out  string
}

// newVouchCmd is `coldsign policy sign` and its sisters: one keyholder's word for a file that a quorum must sign.
func newVouchCmd(a *app, kind home.Kind) *cobra.Command {
	var o vouchOptions
	cmd := &cobra.Command{
		Use: "sign FILE --out FILE", Short: fmt.Sprintf("Sign a %s as one of the keyholders who must agree to it", kind), Args: command.Arguments(1, 1),
		Long: fmt.Sprintf("Signs the exact bytes of a %s with the receipt key of a key of this home. Read the file first: your signature says that\n"+
			"signers may go by it. A signer pins the file only with the signatures of as many keyholders as its wallet's threshold.", kind),
		Example: fmt.Sprintf("  coldsign %s sign FILE --key a --out FILE.sig-a\n  coldsign trust add FILE --signature FILE.sig-a --signature FILE.sig-b", kind),
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return runVouch(a, kind, o)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.out, "out", "", "file to write the signature to; it must not exist")
	return cmd
}

func runVouch(a *app, kind home.Kind, o vouchOptions) error {
	if o.out == "" {
		return console.Fail(console.Usage, fmt.Errorf("%s sign needs a file for the signature", kind), fmt.Sprintf("coldsign %s sign %s --out %s.sig", kind, o.file, o.file))
	}
	if _, err := os.Lstat(o.out); err == nil {
		return spend.Refuse("file-exists", o.out, "a new name", "a file of that name", "choose another name; nothing is ever overwritten")
	}
	p, lines, err := readTrustFile(o.file)
	if err != nil {
		return err
	}
	if p.Kind != kind {
		return spend.Refuse("other-kind", o.file, "a "+string(kind), "a file of kind "+string(p.Kind), fmt.Sprintf("coldsign %s sign %s", p.Kind, o.file))
	}
	u, err := a.unlock(o.unlockFlags)
	if err != nil {
		return err
	}
	defer u.close()
	if err := sameNetwork(u, p); err != nil {
		return err
	}
	for _, line := range lines {
		a.Say("%s", line)
	}
	armored, err := u.home.Vouch(u.ledger, a.Now(), p, u.signatory(), rand.Reader)
	if err != nil {
		return err
	}
	if err := console.WriteNew(o.out, armored, 0o600); err != nil {
		return err
	}
	line := words.Line(sha256.Sum256(p.Data))
	if a.json {
		return a.JSON("coldsign.vouch/v1", map[string]any{"kind": p.Kind, "signed_by": u.info.Name, "words": line, "out": o.out})
	}
	a.Say("key %s stands behind this %s, words: %s", u.info.Name, kind, line)
	a.Hint(fmt.Sprintf("coldsign trust add %s --signature %s --signature ...", o.file, o.out))
	return nil
}

// sameNetwork refuses to sign rules of another network: a drill's policy must not carry a real key's signature.
func sameNetwork(u *unlocked, p home.Pin) error {
	network, _, _, err := edition(p, signing.Beliefs{})
	if err == nil && network != "" && network != u.home.Network() {
		err = mismatch(p, u.home.Network(), network)
	}
	return err
}
