package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/internal/words"
)

type showOptions struct {
	id, png, html, out, psbt string
}

func newBundleCmd(a *app) *cobra.Command {
	var o showOptions
	list := &cobra.Command{
		Use: "list", Short: "List sealed bundles and the answers to them", Example: "  warmctl bundle list", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runBundleList(a) },
	}
	show := &cobra.Command{
		Use:   "show ID",
		Short: "Show the bundle of a top-up as an animated QR series, or write it",
		Long: "Without a flag the series runs on the terminal until q is pressed (+ and - change the speed). The twelve words printed\n" +
			"before it must be the same on every signer.",
		Example: "  warmctl bundle show 7\n  warmctl bundle show 7 --png frames\n  warmctl bundle show 7 --psbt top-up-7.psbt",
		Args:    command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.id = args[0]
			return runBundleShow(a, o)
		},
	}
	show.Flags().StringVar(&o.png, "png", "", "new folder to write the frames to as PNG")
	show.Flags().StringVar(&o.html, "html", "", "file to write a page to that shows the frames in any browser")
	show.Flags().StringVar(&o.out, "out", "", "file for a USB stick with the sealed bundle, or - for standard output")
	show.Flags().StringVar(&o.psbt, "psbt", "", "file for the plain PSBT inside, for other wallets")
	var out string
	export := &cobra.Command{
		Use: "export ID", Short: "Write the sealed bundle to a file, for a USB stick", Example: "  warmctl bundle export 7 --out /media/stick/top-up-7.bundle", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return console.Fail(console.Usage, errors.New("--out is needed"), "warmctl bundle export "+args[0]+" --out FILE")
			}
			return runBundleShow(a, showOptions{id: args[0], out: out})
		},
	}
	export.Flags().StringVar(&out, "out", "", "file to write, or - for standard output")
	return command.Group("bundle", "Bundles to signers, answers back", list, show, export, newImportCmd(a))
}

func runBundleList(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	pinnedHere, err := a.home.wallets()
	if err != nil {
		return err
	}
	list, err := client.TopUps(context.Background())
	if err != nil {
		return err
	}
	views, rows := []any{}, [][]string{}
	for _, t := range list.TopUps {
		if t.Bundle == "" {
			continue
		}
		r, err := read(t, pinnedHere)
		if err != nil {
			return err
		}
		views = append(views, r.view(t))
		signed := 0
		for _, answer := range t.Answers {
			if answer.Signed {
				signed++
			}
		}
		rows = append(rows, []string{t.ID, t.State, r.intent.Amount.String(), fmt.Sprintf("%d of %d", signed, t.Signers), t.BundleWords})
	}
	if a.json {
		return a.JSON("coldsign.bundles/v1", map[string]any{"bundles": views})
	}
	return console.Table(a.Out, []string{"ID", "STATE", "AMOUNT", "SIGNED", "WORDS"}, rows)
}

// issuer believes the issuer key that the daemon states over TLS. Nothing depends on it here but an early warning:
// every signer judges the seal by the key that it pinned itself.
type issuer struct {
	name string
	key  ssh.PublicKey
}

func (i issuer) Issuer(name string) (ssh.PublicKey, bool) { return i.key, name == i.name }

// fetch gets a bundle, and checks that its seal is good and that it is the bundle of the top-up as read here.
func (a *app) fetch(ctx context.Context, id string) ([]byte, bundle.Opened, error) {
	client, err := a.client()
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	t, r, err := a.look(ctx, client, id)
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	if t.Bundle == "" {
		return nil, bundle.Opened{}, console.Fail(console.Waiting, fmt.Errorf("top-up %s has no bundle: it waits for %s", id, t.Waiting), "warmctl topup show "+id)
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	key, err := seal.ParseKey(status.IssuerKey)
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	raw, err := client.Bundle(ctx, id)
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	opened, err := bundle.Open(raw, issuer{status.Issuer, key}, a.Now())
	if err != nil {
		return nil, bundle.Opened{}, err
	}
	return raw, opened, r.sameIntent(opened.Body.Intent)
}

func runBundleShow(a *app, o showOptions) error {
	raw, opened, err := a.fetch(context.Background(), o.id)
	if err != nil {
		return err
	}
	toStdout := o.out == "-"
	a.Say("bundle of top-up %s, %d bytes", o.id, len(raw))
	a.Say("words: %s", words.Line(opened.ID))
	written := map[string]any{"id": o.id, "bundle": fmt.Sprintf("%x", opened.ID), "words": words.Line(opened.ID), "bytes": len(raw)}
	if o.out != "" {
		if err := a.give(o.out, raw); err != nil {
			return err
		}
		written["out"] = o.out
	}
	if o.psbt != "" {
		packet, err := bitcoin.Join(opened.Payload, opened.Proofs)
		if err != nil {
			return err
		}
		plain, err := packet.Plain()
		if err != nil {
			return err
		}
		if err := a.give(o.psbt, plain); err != nil {
			return err
		}
		written["psbt"] = o.psbt
	}
	if o.png != "" || o.html != "" {
		if err := a.writeFrames(raw, o, written); err != nil {
			return err
		}
	}
	switch {
	case toStdout:
		return nil
	case a.json:
		return a.JSON("coldsign.bundle/v1", written)
	case o.out == "" && o.psbt == "" && o.png == "" && o.html == "":
		return a.animate(raw)
	}
	return nil
}

// writeFrames writes the series as PNG files and as a page.
func (a *app) writeFrames(raw []byte, o showOptions, written map[string]any) error {
	symbols, err := transport.Symbols(transport.CBOR, raw, transport.Options{})
	if err != nil {
		return err
	}
	written["frames"] = len(symbols)
	if o.html != "" {
		page, err := transport.HTML(symbols, 5)
		if err != nil {
			return err
		}
		if err := a.give(o.html, page); err != nil {
			return err
		}
		written["html"] = o.html
	}
	if o.png == "" {
		return nil
	}
	if err := a.WriteFrames(o.png, symbols); err != nil {
		return err
	}
	written["png"] = o.png
	return nil
}

// animate runs the series on the terminal, as dense as its size allows.
func (a *app) animate(raw []byte) error {
	if a.TTY == nil {
		return console.Fail(console.Usage, errors.New("there is no terminal to show the bundle on"), "write it instead: --png DIR, --html FILE or --out FILE")
	}
	return a.ShowFrames(transport.CBOR, raw)
}

// What can be imported, in bytes: an answer of a thousand inputs has 120 kB, a plain PSBT in base64 much more.
const importMax = 12 << 20

func newImportCmd(a *app) *cobra.Command {
	var images string
	cmd := &cobra.Command{
		Use:   "import (FILE | --images DIR)",
		Short: "Hand a signer's answer, or a PSBT that another wallet signed, to the daemon",
		Long: "Takes an answer from a file (or - for standard input), or reads the pictures in a folder with a QR decoder. Answers come\n" +
			"in any order; the same answer again changes nothing.\n\n" +
			"A plain PSBT (binary or base64) is taken too, for cosigners whose devices know no bundles: export it with\n" +
			"`warmctl bundle show ID --psbt FILE`, sign it in that wallet, and import what it gives back. Only signatures are\n" +
			"taken from it, and only of keys that have no receipt key; they are recorded as without receipt.",
		Example: "  warmctl bundle import answer-a.cbor\n  warmctl bundle import --images photos\n  warmctl bundle import signed-by-electrum.psbt",
		Args:    command.Arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (images != "") {
				return console.Fail(console.Usage, errors.New("either FILE or --images is needed"), "warmctl bundle import FILE")
			}
			if images != "" {
				return runImport(a, func() ([]byte, error) { return a.readImages(images) })
			}
			return runImport(a, func() ([]byte, error) { return a.readAnswer(args[0]) })
		},
	}
	cmd.Flags().StringVar(&images, "images", "", "folder with pictures (PNG or JPEG) of the frames")
	return cmd
}

func runImport(a *app, get func() ([]byte, error)) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	raw, err := get()
	if err != nil {
		return err
	}
	var answered admin.Answered
	switch bundle.Sniff(raw) {
	case bundle.KindAnswer:
		answered, err = client.Answer(context.Background(), raw)
	case bundle.KindPSBT:
		answered, err = client.Returned(context.Background(), raw)
	case bundle.KindBase64PSBT: // wallets end the line
		answered, err = client.Returned(context.Background(), bytes.TrimSpace(raw))
	default:
		err = noAnswer("import", fmt.Sprintf("%d bytes of something else", len(raw)))
	}
	if err != nil {
		return err
	}
	list, err := a.home.wallets()
	if err != nil {
		return err
	}
	r, err := read(answered.TopUp, list)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON(admin.SchemaAnswered, map[string]any{"changed": answered.Changed, "topup": r.view(answered.TopUp)})
	}
	if answered.Changed {
		a.Say("answer to top-up %s taken", answered.TopUp.ID)
	} else {
		a.Say("this answer to top-up %s was here before; nothing changed", answered.TopUp.ID)
	}
	return writeProgress(a, answered.TopUp)
}

func (a *app) readAnswer(path string) ([]byte, error) {
	if path != "-" {
		return console.ReadFile(path, importMax)
	}
	raw, err := io.ReadAll(io.LimitReader(a.In, importMax+1))
	if err == nil && len(raw) > importMax {
		err = fmt.Errorf("standard input has more than %d bytes", importMax)
	}
	return raw, err
}

// readImages joins the frames in a folder of pictures.
func (a *app) readImages(dir string) ([]byte, error) {
	series, err := a.ReadFrames(dir)
	if err == nil && series.Type != transport.CBOR && series.Type != transport.PSBT {
		err = noAnswer(dir, "a series of type "+series.Type.String())
	}
	return series.Data, err
}

func noAnswer(where, found string) error {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "answer-unreadable", Where: where, Expected: "an answer of coldsign, or a signed PSBT",
		Found: found, Fix: "import the file that coldsign sign or coldsign refuse wrote"}
}
