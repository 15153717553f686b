package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
)

// paperKind is a file that keyholders sign and the daemon has a copy of.
type paperKind string

// The kinds, named as the file in the daemon's folder and as the commands.
const (
	bookPaper   paperKind = "book"
	policyPaper paperKind = "policy"
)

func (k paperKind) namespace() seal.Namespace {
	if k == policyPaper {
		return seal.Policy
	}
	return seal.Book
}

const (
	paperMax      = 64 << 10
	signaturesMax = 256 << 10
)

// paper is the daemon's copy of one. The file that counts is named by its kind; its signatures stand beside every copy
// that ever counted, under its SHA-256, so that the two are never of different editions.
type paper struct {
	folder folder
	kind   paperKind
}

func (p paper) kept(data []byte, suffix string) string {
	digest := sha256.Sum256(data)
	return p.folder.path("papers", hex.EncodeToString(digest[:])+"."+string(p.kind)+suffix)
}

// now reads what counts now; the zero Paper when there is none.
func (p paper) now() (treasury.Paper, error) {
	data, err := console.ReadFile(p.folder.path(string(p.kind)), paperMax)
	if errors.Is(err, fs.ErrNotExist) {
		return treasury.Paper{}, nil
	}
	if err != nil {
		return treasury.Paper{}, err
	}
	joined, err := console.ReadFile(p.kept(data, ".signatures"), signaturesMax)
	if err != nil {
		return treasury.Paper{}, err
	}
	return treasury.Paper{Data: data, Signatures: apart(joined)}, nil
}

// apart cuts armoured signatures that stand one after the other.
func apart(joined []byte) (out [][]byte) {
	const end = "-----END SSH SIGNATURE-----\n"
	for _, one := range bytes.SplitAfter(joined, []byte(end)) {
		if len(bytes.TrimSpace(one)) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// edition is what a paper says of itself.
type edition struct {
	serial  uint64
	network spend.Network
	content []string                  // in words, a line each
	about   func(spend.WalletID) bool // whether it needs the keyholders of a wallet
}

func (k paperKind) read(data []byte) (edition, error) {
	if k == policyPaper {
		rules, err := policy.Parse(data)
		if err != nil {
			return edition{}, err
		}
		return edition{rules.Serial(), rules.Network(), nil, func(id spend.WalletID) bool { _, has := rules.Rule(id); return has }}, nil
	}
	book, err := policy.ParseBook(data)
	if err != nil {
		return edition{}, err
	}
	var lines []string
	for _, e := range book.Entries() {
		lines = append(lines, e.Name+"  "+e.Address)
	}
	return edition{book.Serial(), book.Network(), lines, func(spend.WalletID) bool { return true }}, nil
}

func newBookCmd(a *app) *cobra.Command {
	return command.Group("book", "The address book that payments may go to", newPaperSetCmd(a, bookPaper, "the address book"), newPaperShowCmd(a, bookPaper, "address book"))
}

func newPolicyCmd(a *app) *cobra.Command {
	return command.Group("policy", "The signers' policy, for what is better known before they refuse", newPaperSetCmd(a, policyPaper, "the signers' policy"),
		newPaperShowCmd(a, policyPaper, "policy"))
}

func newPaperSetCmd(a *app, kind paperKind, what string) *cobra.Command {
	var signatures []string
	cmd := &cobra.Command{
		Use:   "set FILE",
		Short: "Give the daemon its copy of " + what,
		Long: "Verifies the file and the keyholders' signatures under it (`coldsign " + string(kind) + " sign`), and makes it the copy that the daemon goes\n" +
			"by, also while it runs. It counts for every registered wallet whose quorum signed it. Signers never see this copy: each\n" +
			"goes by the one that it pinned itself.",
		Example: strings.ReplaceAll("  exchanged KIND set KIND.yaml --signature KIND.sig-a --signature KIND.sig-b --data /srv/coldsign", "KIND", string(kind)),
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runPaperSet(a, kind, args[0], signatures) },
	}
	cmd.Flags().StringArrayVar(&signatures, "signature", nil, "file with a keyholder's signature; repeat it for each")
	return cmd
}

func newPaperShowCmd(a *app, kind paperKind, what string) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the daemon's copy of the " + what, Example: "  exchanged " + string(kind) + " show --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, at, err := a.load()
			if err != nil {
				return err
			}
			p, err := paper{at, kind}.now()
			if err != nil {
				return err
			}
			if len(p.Data) == 0 {
				return console.Fail(console.Failed, fmt.Errorf("the daemon has no copy of the %s", what), "exchanged "+string(kind)+" set FILE --signature FILE")
			}
			wallets, err := at.standing(kind, p)
			if err != nil {
				return err
			}
			return sayPaper(a, kind, p.Data, wallets)
		},
	}
}

func runPaperSet(a *app, kind paperKind, path string, signatures []string) error {
	config, at, err := a.load()
	if err != nil {
		return err
	}
	p := treasury.Paper{}
	if p.Data, err = console.ReadFile(path, paperMax); err != nil {
		return err
	}
	for _, name := range signatures {
		armored, err := console.ReadFile(name, seal.ArmoredMax)
		if err != nil {
			return err
		}
		p.Signatures = append(p.Signatures, append(bytes.TrimSpace(armored), '\n'))
	}
	found, err := kind.read(p.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if found.network != config.network {
		return spend.Refuse(string(kind)+"-other-network", path, string(config.network), string(found.network), "use the daemon of that network")
	}
	wallets, err := at.standing(kind, p)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := at.keepPaper(kind, p); err != nil {
		return err
	}
	return sayPaper(a, kind, p.Data, wallets)
}

// standing returns the registered wallets whose keyholders stand behind a paper. A signature by anybody else is refused,
// as signers refuse it.
func (f folder) standing(kind paperKind, p treasury.Paper) ([]string, error) {
	found, err := kind.read(p.Data)
	if err != nil {
		return nil, err
	}
	list, err := f.wallets()
	if err != nil {
		return nil, err
	}
	names, circles, short := []string{}, []approvals.Circle(nil), []error(nil)
	for _, w := range list {
		if !found.about(w.ID()) {
			continue
		}
		circle := treasury.CircleOf(w)
		if err := circle.Stands(kind.namespace(), p.Data, p.Signatures); err != nil {
			short = append(short, err)
			continue
		}
		names, circles = append(names, w.Name()), append(circles, circle)
	}
	slices.Sort(names)
	if len(circles) == 0 && len(short) > 0 {
		return nil, errors.Join(short...)
	}
	return names, approvals.Vouch(kind.namespace(), p.Data, p.Signatures, circles)
}

// keepPaper stores the signatures first: a copy that counts has them.
func (f folder) keepPaper(kind paperKind, p treasury.Paper) error {
	if err := os.Mkdir(f.path("papers"), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // folders that an older version made have none
	}
	kept := paper{f, kind}
	if err := console.WriteNew(kept.kept(p.Data, ""), p.Data, 0o600); err != nil && !taken(err) {
		return err
	}
	if err := replace(kept.kept(p.Data, ".signatures"), bytes.Join(p.Signatures, nil), 0o600); err != nil {
		return err
	}
	return replace(f.path(string(kind)), p.Data, 0o600)
}

func sayPaper(a *app, kind paperKind, data []byte, wallets []string) error {
	found, err := kind.read(data)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	version := hex.EncodeToString(digest[:])
	if a.json {
		return a.JSON("coldsign.paper/v1", map[string]any{"kind": kind, "version": version, "serial": found.serial, "network": found.network, "wallets": wallets})
	}
	a.Say("%s %d, version %s, counts for %s", kind, found.serial, version[:8], strings.Join(wallets, ", "))
	for _, line := range found.content {
		fmt.Fprintln(a.Out, console.Printable(line))
	}
	return nil
}
