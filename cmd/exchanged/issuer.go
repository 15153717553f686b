package main

import (
	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/seal"
)

func newIssuerCmd(a *app) *cobra.Command {
	var out string
	export := &cobra.Command{
		Use:   "export",
		Short: "Write the issuer file that every signer pins",
		Long: "Writes name, network and public key of this daemon as issuer of bundles. Carry it to the signers on a way that you trust\n" +
			"and compare the fingerprint there: who pins another key believes another daemon.",
		Example: "  exchanged issuer export --data /srv/coldsign > issuer.json\n  coldsign trust add issuer.json",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runIssuerExport(a, out) },
	}
	export.Flags().StringVar(&out, "out", "-", "file to write, or - for standard output")
	return command.Group("issuer", "The daemon as issuer of bundles", export)
}

func runIssuerExport(a *app, out string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	signer, err := at.issuerKey()
	if err != nil {
		return err
	}
	raw, err := bundle.Issuer{Name: c.Issuer, Network: c.network, Key: signer.PublicKey()}.Marshal()
	if err != nil {
		return err
	}
	a.Say("issuer %s on %s, key %s", c.Issuer, c.network, seal.Fingerprint(signer.PublicKey()))
	if out == "-" {
		_, err = a.Out.Write(raw)
		return err
	}
	if err := console.WriteNew(out, raw, 0o644); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.issuer-export/v1", map[string]any{"issuer": c.Issuer, "network": c.network, "issuer_key": seal.KeyLine(signer.PublicKey()), "out": out})
	}
	return nil
}
