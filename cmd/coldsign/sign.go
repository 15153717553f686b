package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/spf13/cobra"
)

// bundleFileMax bounds a bundle file, in bytes: room bundle refuses larger ones too.
const bundleFileMax = 16 << 20

type signOptions struct {
	unlockFlags
	file  string
	out   string
	plain bool
}

func newSignCmd(a *app) *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use: "sign FILE --out FILE", Short: "Judge a bundle, show what it does, and sign it with one key", Args: command.Arguments(1, 1),
		Long: "Opens a bundle, verifies its seal, its approvals and its expiry, proves every amount, judges it by the pinned policy, and\n" +
			"shows what its bytes will do. After every output was seen, and the amount and the end of the address were retyped, it\nasks for the passphrase or PIN, writes the signer ledger, signs, verifies its own signatures, and writes an answer. A bundle that this key signed before\n" +
			"gives the same answer again.",
		Example: "  coldsign sign request.bundle --key a --out a.answer",
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return runSign(a, o)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.out, "out", "", "file to write the answer to; it must not exist")
	cmd.Flags().BoolVar(&o.plain, "plain", false, "linear text instead of the full screen, for screen readers; same content")
	return cmd
}

// readBundle reads the file once; everything after works on these bytes.
func readBundle(path string) ([]byte, error) {
	raw, err := console.ReadFile(path, bundleFileMax)
	if err != nil {
		return nil, err
	}
	switch bundle.Sniff(raw) {
	case bundle.KindBundle:
		return raw, nil
	case bundle.KindPSBT, bundle.KindBase64PSBT:
		return nil, spend.Refuse("not-a-bundle", path, "a sealed bundle with approvals", "a plain PSBT",
			"look at it with: coldsign inspect "+path+"; treasury coins are signed only from a bundle")
	case bundle.KindAnswer:
		return nil, spend.Refuse("not-a-bundle", path, "a sealed bundle", "an answer", "take it back to treasury staff: warmctl bundle import "+path)
	}
	return nil, &spend.Refusal{Kind: spend.Unreadable, Code: "not-a-bundle", Where: path, Expected: "a sealed bundle", Found: "something else",
		Fix: "get the bundle from treasury staff: warmctl bundle export"}
}

func runSign(a *app, o signOptions) error {
	if o.out == "" {
		return console.Fail(console.Usage, fmt.Errorf("sign needs a file for the answer"), "coldsign sign "+o.file+" --out answer.cbor")
	}
	if err := free(o.out); err != nil {
		return err
	}
	raw, err := readBundle(o.file)
	if err != nil {
		return err
	}
	k, err := a.choose(o.unlockFlags)
	if err != nil {
		return err
	}
	defer k.close()
	session := signing.Session{Home: k.home, Ledger: k.ledger, Info: k.info, Unlock: k.unlock, Now: a.Now, Rand: rand.Reader,
		Ask: func(r review.Request) error { return a.ask(r, o.plain) }}
	result, err := session.Sign(context.Background(), raw)
	if err != nil {
		return keyError(err)
	}
	if err := writeAnswer(o.out, result.Answer); err != nil {
		return err
	}
	return a.signed(o, k.info.Name, result)
}

// free refuses a name that is taken, before a key is used or the ledger says something that then does not leave.
func free(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return spend.Refuse("file-exists", path, "a new name", "a file of that name", "choose another name; nothing is ever overwritten")
	}
	return nil
}

// ask shows the review and returns nil only when the person confirmed.
func (a *app) ask(r review.Request, plain bool) error {
	if plain {
		if _, err := fmt.Fprint(a.Err, review.Plain(r)); err != nil {
			return err
		}
		confirmation := review.Confirm(r)
		err := a.Confirm(confirmation.Prompt, 3, confirmation.Check)
		if console.CodeOf(err) == console.Declined {
			return console.Fail(console.Declined, fmt.Errorf("%w: %w", signing.Declined{Reason: signing.ConfirmationWrong}, err))
		}
		return err
	}
	session := review.NewSession(r)
	if err := a.Run(session); err != nil {
		return err
	}
	switch session.State() {
	case review.Approved:
		return nil
	case review.Locked:
		return console.Fail(console.Declined, fmt.Errorf("wrong confirmation three times: %w", signing.Declined{Reason: signing.ConfirmationWrong}), "start again when you have read the screen")
	}
	reason := reasonOr(session.Reason())
	return console.Fail(console.Declined, signing.Declined{Reason: reason}, "to tell treasury staff why: coldsign refuse FILE --reason "+reason+" --out refusal.cbor")
}

func reasonOr(code string) string {
	if code == "" {
		return "unexpected"
	}
	return code
}

// writeAnswer writes and reads back: what is carried away is what was given.
func writeAnswer(path string, answer []byte) error {
	if err := console.WriteNew(path, answer, 0o600); err != nil {
		return err
	}
	back, err := console.ReadFile(path, bundleFileMax)
	if err != nil {
		return err
	}
	if !bytes.Equal(back, answer) {
		return fmt.Errorf("%s reads back other bytes than were written; the medium is bad", path)
	}
	return nil
}

type signView struct {
	Bundle     string `json:"bundle"`
	Words      string `json:"words"`
	Wallet     string `json:"wallet"`
	Key        string `json:"key"`
	TxID       string `json:"txid"`
	Counter    uint64 `json:"counter"`
	Signatures int    `json:"signatures"`
	Threshold  int    `json:"threshold"`
	Again      bool   `json:"again"`
	Out        string `json:"out"`
}

func (a *app) signed(o signOptions, key string, r signing.Result) error {
	f := r.Examination.Effects.Facts()
	if a.json {
		return a.JSON("coldsign.sign/v1", signView{hex.EncodeToString(r.Examination.Opened.ID[:]), r.Examination.Opened.Words(), f.FromName, key,
			f.TxID, r.Counter, len(f.Inputs), f.Threshold, r.Again, o.out})
	}
	if r.Again {
		a.Say("this key signed the bundle before; %s is the same answer again, receipt %d", o.out, r.Counter)
	} else {
		a.Say("signed %d of %d inputs with key %s, receipt %d", r.Signatures, len(f.Inputs), key, r.Counter)
		a.Say("%s needs %d of %d keys; this is one of them", f.FromName, f.Threshold, f.Keys)
	}
	a.Hint("coldsign show " + o.out)
	return nil
}
