package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
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
	return command.Group("trust", "Pin whom and what this signer believes: issuers, roster, policy", newTrustAddCmd(a), newTrustListCmd(a))
}

func newTrustAddCmd(a *app) *cobra.Command {
	var flags unlockFlags
	var given string
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Pin an issuer file, a roster or a policy", Args: command.Arguments(1, 1),
		Long: "Pins a file that this signer will believe: an issuer (the daemon whose seals count), the roster (the people whose\n" +
			"approvals count) or the policy (this signer's limits). The kind is read from the file. Its twelve words are compared\nwith the other keyholders' screens, and the file is sealed with a key of this home. A new roster or policy takes the\nplace of the old one, which stays in the folder.",
		Example: "  coldsign trust add issuer.json --key a\n  coldsign trust add roster --key a\n  coldsign trust add policy.yaml --key a",
		RunE:    func(_ *cobra.Command, args []string) error { return runTrustAdd(a, flags, args[0], given) },
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&given, "words", "", "the twelve words as another keyholder read them, instead of the question on the terminal")
	return cmd
}

func runTrustAdd(a *app, flags unlockFlags, path, given string) error {
	raw, err := console.ReadFile(path, trustFileMax)
	if err != nil {
		return err
	}
	p, lines, err := readTrust(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	u, err := a.unlock(flags)
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
	if err := a.compareWords(sha256.Sum256(raw), given); err != nil {
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

// mayTrust refuses a file for another network, and an older policy in the place of a newer one.
func (a *app) mayTrust(u *unlocked, p home.Pin) error {
	switch p.Kind {
	case home.IssuerPin:
		issuer, err := bundle.ParseIssuer(p.Data)
		if err != nil || issuer.Network != u.home.Network() {
			return errors.Join(err, mismatch(p, u.home.Network(), issuer.Network))
		}
	case home.PolicyPin:
		rules, err := policy.Parse(p.Data)
		if err != nil || rules.Network() != u.home.Network() {
			return errors.Join(err, mismatch(p, u.home.Network(), rules.Network()))
		}
		pins, err := u.home.Pins(u.ledger, home.PolicyPin, u.info.Name, u.key.Receipt().PublicKey())
		if err != nil {
			return err
		}
		for _, old := range pins {
			before, err := policy.Parse(old.Data)
			if err != nil {
				return err
			}
			if rules.Serial() <= before.Serial() && !bytes.Equal(old.Data, p.Data) {
				return spend.Refuse("policy-not-newer", "policy", fmt.Sprintf("a version above %d", before.Serial()), fmt.Sprint(rules.Serial()),
					"raise the version in the file; an old policy is never taken back")
			}
		}
	}
	return nil
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
	if a.json {
		return a.JSON("coldsign.trust-list/v1", map[string]any{"pinned_by": info.Name, "trust": list})
	}
	rows := [][]string{{"KIND", "NAME", "DETAIL"}}
	for _, r := range list {
		rows = append(rows, []string{r.Kind, r.Name, r.Detail})
	}
	return a.table(rows)
}
