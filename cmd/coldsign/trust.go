package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/spf13/cobra"
)

type keyInfo = keystore.Info

// trustFileMax bounds an issuer, roster or policy file, in bytes; a roster of a hundred people takes about 30 kB.
const trustFileMax = 256 << 10

func newTrustCmd(a *app) *cobra.Command {
	return command.Group("trust", "Pin whom and what this signer believes: issuers, roster, policy, address book", newTrustAddCmd(a), newTrustListCmd(a))
}

func newTrustAddCmd(a *app) *cobra.Command {
	var o trustOptions
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Pin an issuer file, a roster, a policy or an address book", Args: command.Arguments(1, 1),
		Long: "Pins a file that this signer will believe: an issuer (the daemon whose seals count), the roster (the people whose\n" +
			"approvals count), the policy (this signer's limits) or the address book (whom it may pay besides wallets). The kind is\n" +
			"read from the file. All but an issuer need the signatures of as many keyholders as the wallet's threshold: see\n" +
			"`coldsign policy sign`. The twelve words of the file are compared with the other keyholders' screens, and the file is\n" +
			"sealed with a key of this home. A new file takes the place of the old one, which stays in the folder.",
		Example: "  coldsign trust add issuer.json --key a\n  coldsign trust add roster --signature roster.sig-a --signature roster.sig-b --key a\n" +
			"  coldsign trust add policy.yaml --signature policy.sig-a --signature policy.sig-b --key a",
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return runTrustAdd(a, o)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.words, "words", "", "the twelve words as another keyholder read them, instead of the question on the terminal")
	cmd.Flags().StringArrayVar(&o.signatures, "signature", nil, "file with a keyholder's signature under a roster, policy or book; repeat it for each")
	return cmd
}

type trustOptions struct {
	unlockFlags
	file       string
	words      string
	signatures []string
}

func runTrustAdd(a *app, o trustOptions) error {
	p, lines, err := readTrustFile(o.file)
	if err != nil {
		return err
	}
	if p.Signatures, err = readSignatures(o.signatures); err != nil {
		return err
	}
	u, err := a.unlock(o.unlockFlags)
	if err != nil {
		return err
	}
	defer u.close()
	if err := a.mayTrust(u, p); err != nil {
		return err
	}
	for _, line := range lines {
		a.Say("%s", line)
	}
	if err := a.compareWords(sha256.Sum256(p.Data), o.words); err != nil {
		return err
	}
	if err := a.pin(u, p); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.trust/v1", map[string]any{"kind": p.Kind, "name": p.Name, "pinned_by": u.info.Name})
	}
	a.Say("%s %s is pinned by key %s", p.Kind, p.Name, u.info.Name)
	return nil
}

// readTrustFile reads a file once; what is shown, compared and pinned are these bytes.
func readTrustFile(path string) (home.Pin, []string, error) {
	raw, err := console.ReadFile(path, trustFileMax)
	if err != nil {
		return home.Pin{}, nil, err
	}
	p, lines, err := readTrust(raw)
	if err != nil {
		return home.Pin{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, lines, nil
}

func readSignatures(paths []string) ([][]byte, error) {
	var out [][]byte
	for _, path := range paths {
		armored, err := console.ReadFile(path, seal.ArmoredMax)
		if err != nil {
			return nil, err
		}
		out = append(out, armored)
	}
	return out, nil
}

// readTrust tells the kind of a file and says in words what believing it means.
func readTrust(raw []byte) (home.Pin, []string, error) {
	switch {
	case bytes.Contains(raw, []byte(`"issuer/v1"`)):
		issuer, err := bundle.ParseIssuer(raw)
		if err != nil {
			return home.Pin{}, nil, err
		}
		return home.Pin{Kind: home.IssuerPin, Name: issuer.Name, Data: raw},
			[]string{fmt.Sprintf("issuer %s on %s seals with %s", issuer.Name, issuer.Network, seal.Fingerprint(issuer.Key))}, nil
	case strings.Contains(string(raw), "coldsign: policy/v1"):
		rules, err := policy.Parse(raw)
		if err != nil {
			return home.Pin{}, nil, err
		}
		return home.Pin{Kind: home.PolicyPin, Name: "policy", Data: raw}, []string{fmt.Sprintf("policy %d for %s", rules.Serial(), rules.Network())}, nil
	}
	if strings.Contains(string(raw), "coldsign: address-book/v1") {
		return readBook(raw)
	}
	roster, err := approvals.ParseRoster(raw)
	if err != nil {
		return home.Pin{}, nil, fmt.Errorf("it is no issuer file and no policy, and as a roster: %w", err)
	}
	var lines []string
	for _, person := range roster.People() {
		for _, k := range person.Keys {
			lines = append(lines, fmt.Sprintf("%s, %s at %s, %s key %s", person.Name, k.Role, k.Site, k.Device, seal.Fingerprint(k.Public)))
		}
	}
	return home.Pin{Kind: home.RosterPin, Name: "roster", Data: raw}, lines, nil
}

func readBook(raw []byte) (home.Pin, []string, error) {
	book, err := policy.ParseBook(raw)
	if err != nil {
		return home.Pin{}, nil, err
	}
	lines := []string{fmt.Sprintf("address book %d for %s", book.Serial(), book.Network())}
	for _, e := range book.Entries() {
		line := fmt.Sprintf("%s at %s", e.Name, e.Address)
		if e.Confirmed {
			line += ", CONFIRMED although it looks like another address"
		}
		lines = append(lines, line)
	}
	return home.Pin{Kind: home.BookPin, Name: "book", Data: raw}, lines, nil
}

// mayTrust refuses a file for another network, an older policy in the place of a newer one, and a file without the
// quorum of keyholders that its kind needs.
func (a *app) mayTrust(u *unlocked, p home.Pin) error {
	beliefs, err := signing.Load(u.home, u.ledger, u.info.Name, u.key.Receipt().PublicKey())
	if err != nil {
		return err
	}
	network, serial, least, err := edition(p, beliefs)
	switch {
	case err != nil:
		return err
	case network != "" && network != u.home.Network():
		return mismatch(p, u.home.Network(), network)
	case serial < least:
		return outdated(p.Kind, serial, least)
	case p.Kind == home.BookPin:
		book, err := policy.ParseBook(p.Data)
		if err != nil {
			return err
		}
		return errors.Join(beliefs.CheckBook(book), beliefs.Vouched(p))
	case p.Kind.NeedsQuorum():
		return beliefs.Vouched(p)
	case len(p.Signatures) > 0:
		return console.Fail(console.Usage, fmt.Errorf("nobody vouches for a file of kind %s", p.Kind), "coldsign trust add FILE")
	}
	return nil
}

// outdated refuses an older file in the place of a newer one.
func outdated(kind home.Kind, serial, least uint64) error {
	expected, found, fix := fmt.Sprintf("a version above %d", least-1), fmt.Sprint(serial), "raise the version in the file; an old one is never taken back"
	if kind == home.BookPin {
		return spend.Refuse("book-not-newer", "book", expected, found, fix)
	}
	return spend.Refuse("policy-not-newer", "policy", expected, found, fix)
}

// edition reads which network a file is for (a roster is for all), its serial where it has one, and the least serial
// that may take the place of the pinned file. The pinned file itself may be pinned again.
func edition(p home.Pin, b signing.Beliefs) (network spend.Network, serial, least uint64, err error) {
	switch p.Kind {
	case home.IssuerPin:
		issuer, err := bundle.ParseIssuer(p.Data)
		return issuer.Network, 0, 0, err
	case home.PolicyPin:
		rules, err := policy.Parse(p.Data)
		if rules.Version() == b.Rules.Version() {
			return rules.Network(), 0, 0, err
		}
		return rules.Network(), rules.Serial(), b.Rules.Serial() + 1, err
	case home.BookPin:
		book, err := policy.ParseBook(p.Data)
		if book.Version() == b.Book.Version() {
			return book.Network(), 0, 0, err
		}
		return book.Network(), book.Serial(), b.Book.Serial() + 1, err
	}
	return "", 0, 0, nil
}

func mismatch(p home.Pin, want, got spend.Network) error {
	return spend.Refuse("network-mismatch", string(p.Kind)+" "+p.Name, string(want), string(got), "bring the file for this home's network")
}

func newTrustListCmd(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "list", Short: "List whom and what this signer believes", Args: command.Arguments(0, 0), Example: "  coldsign trust list --key a",
		RunE: func(*cobra.Command, []string) error { return runTrustList(a, key) },
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pins to read (default: the only one of this home)")
	return cmd
}

func runTrustList(a *app, key string) error {
	info, beliefs, err := a.beliefs(key)
	if err != nil {
		return err
	}
	type row struct {
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Detail string `json:"detail"`
	}
	list := []row{}
	for _, i := range beliefs.Issuers {
		list = append(list, row{"issuer", i.Name, seal.Fingerprint(i.Key)})
	}
	for _, person := range beliefs.Roster.People() {
		for _, k := range person.Keys {
			list = append(list, row{"person", person.Name, k.Role + " at " + k.Site + ", " + k.Device + " key " + seal.Fingerprint(k.Public)})
		}
	}
	if beliefs.Rules.Serial() > 0 {
		version := beliefs.Rules.Version()
		list = append(list, row{"policy", fmt.Sprintf("version %d", beliefs.Rules.Serial()), fmt.Sprintf("sha256 %x", version[:8])})
	}
	for _, e := range beliefs.Book.Entries() {
		list = append(list, row{"entry", e.Name, e.Address})
	}
	if a.json {
		return a.JSON("coldsign.trust-list/v1", map[string]any{"pinned_by": info.Name, "trust": list})
	}
	rows := [][]string{{"KIND", "NAME", "DETAIL"}}
	for _, r := range list {
		rows = append(rows, []string{r.Kind, r.Name, r.Detail})
	}
	return a.table(rows)
}
