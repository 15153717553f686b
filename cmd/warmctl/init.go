package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newInitCmd(a *app) *cobra.Command {
	var name, server, authority string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a home for one person: TLS key, certificate request, pinned authority",
		Long: "Makes the folder, a TLS key that never leaves it, and a request that an operator signs with `exchanged staff enroll`.\n" +
			"The daemon's authority (its tls/ca.crt) is pinned: no other certificate of the daemon is believed.",
		Example: "  warmctl init --home alice --name alice --server https://127.0.0.1:7443 --ca ca.crt",
		Args:    command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return runInit(a, identity{identityFormat, name, server}, authority)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the person's name, as on the roster")
	cmd.Flags().StringVar(&server, "server", "", "address of the daemon's admin listener, https://IP:PORT")
	cmd.Flags().StringVar(&authority, "ca", "", "file with the daemon's authority, tls/ca.crt of its folder")
	return cmd
}

func runInit(a *app, id identity, authority string) error {
	server, err := admin.CheckServer(id.Server)
	if err := errors.Join(admin.CheckPerson(id.Name), err); err != nil {
		return console.Fail(console.Usage, err, "warmctl init --home DIR --name NAME --server https://127.0.0.1:7443 --ca FILE")
	}
	id.Server = server
	root, err := console.ReadFile(authority, fileMax)
	if err != nil {
		return console.Fail(console.Usage, fmt.Errorf("authority: %w", err), "copy tls/ca.crt from the daemon's folder")
	}
	pinned, err := admin.ParseCertificate(root)
	if err != nil || !pinned.IsCA {
		return console.Fail(console.Usage, fmt.Errorf("%s is not the certificate of an authority", authority))
	}
	if _, err := os.Lstat(a.home.path("warmctl.json")); !errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("%s is a home already; nothing was changed", a.home))
	}
	for _, dir := range []string{"", "wallets", "keys"} {
		if err := os.MkdirAll(a.home.path(dir), 0o700); err != nil {
			return err
		}
	}
	key, request, err := admin.NewPersonKey(id.Name, rand.Reader)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
		mode fs.FileMode
	}{{"ca.crt", root, 0o644}, {"tls.key", key, 0o600}, {"tls.csr", request, 0o644}, {"warmctl.json", append(text, '\n'), 0o600}} {
		if err := console.WriteNew(a.home.path(file.name), file.data, file.mode); err != nil {
			return err
		}
	}
	if a.json {
		return a.JSON("coldsign.warm-init/v1", map[string]any{"home": string(a.home), "name": id.Name, "server": id.Server,
			"csr": a.home.path("tls.csr"), "authority": admin.CertificateID(pinned)})
	}
	a.Say("home of %s made in %s", id.Name, a.home)
	a.Say("pinned authority %s", admin.CertificateID(pinned))
	a.Hint("an operator runs: exchanged staff enroll " + id.Name + " --csr " + a.home.path("tls.csr") + " --out " + id.Name + ".crt")
	return nil
}

func newEnrollCmd(a *app) *cobra.Command {
	var cert string
	cmd := &cobra.Command{
		Use:     "enroll",
		Short:   "Take the certificate that an operator signed",
		Example: "  warmctl enroll --cert alice.crt",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runEnroll(a, cert) },
	}
	cmd.Flags().StringVar(&cert, "cert", "", "certificate that exchanged staff enroll wrote")
	return cmd
}

func runEnroll(a *app, path string) error {
	id, err := a.home.identity()
	if err != nil {
		return err
	}
	if path == "" {
		return console.Fail(console.Usage, errors.New("--cert is needed"), "warmctl enroll --cert FILE")
	}
	raw, err := console.ReadFile(path, fileMax)
	if err != nil {
		return err
	}
	cert, err := admin.ParseCertificate(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if cert.Subject.CommonName != id.Name {
		return fmt.Errorf("%s is the certificate of %q, this is the home of %q", path, cert.Subject.CommonName, id.Name)
	}
	key, err := console.ReadFile(a.home.path("tls.key"), fileMax)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(raw, key); err != nil {
		return fmt.Errorf("%s does not belong to this home's key", path)
	}
	if _, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok {
		return fmt.Errorf("%s does not belong to this home's key", path)
	}
	// A renewed certificate takes the place of the old one; what it replaces is public and worth nothing.
	if err := os.Remove(a.home.path("tls.crt")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := console.WriteNew(a.home.path("tls.crt"), raw, 0o644); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.warm-enroll/v1", map[string]any{"name": id.Name, "certificate": admin.CertificateID(cert), "expires_at": cert.NotAfter.UTC()})
	}
	a.Say("%s may connect until %s", id.Name, cert.NotAfter.UTC().Format(time.DateOnly))
	a.Hint("warmctl status --home " + string(a.home))
	return nil
}
