package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newStaffCmd(a *app) *cobra.Command {
	var request, out string
	enroll := &cobra.Command{
		Use:   "enroll NAME",
		Short: "Sign a person's certificate request, so that their warmctl may connect",
		Long: "Takes only the public key from the request. The certificate lasts a year, and works only while it is on file here:\n" +
			"a person has one certificate at a time.",
		Example: "  exchanged staff enroll alice --csr alice.csr --out alice.crt --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runStaffEnroll(a, args[0], request, out) },
	}
	enroll.Flags().StringVar(&request, "csr", "", "certificate request that warmctl init made")
	enroll.Flags().StringVar(&out, "out", "", "file for the certificate")
	revoke := &cobra.Command{
		Use: "revoke NAME", Short: "Turn a person away, at once and on open connections", Example: "  exchanged staff revoke alice --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runStaffRevoke(a, args[0]) },
	}
	list := &cobra.Command{
		Use: "list", Short: "List enrolled people", Example: "  exchanged staff list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runStaffList(a) },
	}
	return command.Group("staff", "People whose warmctl may connect", enroll, revoke, list)
}

func runStaffEnroll(a *app, name, request, out string) error {
	if request == "" || out == "" {
		return console.Fail(console.Usage, errors.New("--csr and --out are needed"), "exchanged staff enroll "+name+" --csr FILE --out FILE --data DIR")
	}
	_, at, err := a.load()
	if err != nil {
		return err
	}
	raw, err := console.ReadFile(request, keyMax)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("%s exists; nothing was changed", out))
	}
	authority, err := at.authority()
	if err != nil {
		return err
	}
	cert, err := authority.IssuePerson(name, raw, a.Now(), rand.Reader)
	if err != nil {
		return console.Fail(console.Usage, err)
	}
	err = console.WriteNew(at.path("staff", name+".crt"), cert, 0o644)
	if taken(err) {
		return console.Fail(console.Failed, fmt.Errorf("%s is enrolled already", name), "exchanged staff revoke "+name+" --data "+string(at))
	}
	if err != nil {
		return err
	}
	if err := console.WriteNew(out, cert, 0o644); err != nil {
		return errors.Join(err, os.Remove(at.path("staff", name+".crt")))
	}
	parsed, err := admin.ParseCertificate(cert)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.staff-enroll/v1", map[string]any{"person": name, "certificate": admin.CertificateID(parsed), "expires_at": parsed.NotAfter.UTC(), "out": out})
	}
	a.Say("%s is enrolled until %s", name, parsed.NotAfter.UTC().Format(time.DateOnly))
	a.Hint("warmctl enroll --cert " + out)
	return nil
}

func runStaffRevoke(a *app, name string) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	if err := admin.CheckPerson(name); err != nil {
		return console.Fail(console.Usage, err)
	}
	if err := os.Remove(at.path("staff", name+".crt")); errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("%s is not enrolled", name), "exchanged staff list --data "+string(at))
	} else if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.staff-revoke/v1", map[string]any{"person": name})
	}
	a.Say("%s is turned away from now on", name)
	a.Hint("take their approval keys off the roster too, here and at every signer")
	return nil
}

// staffJSON is an enrolled person as --json writes them.
type staffJSON struct {
	Person      string    `json:"person"`
	Certificate string    `json:"certificate"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func runStaffList(a *app) error {
	_, at, err := a.load()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(at.path("staff"))
	if err != nil {
		return err
	}
	list, rows := []staffJSON{}, [][]string{}
	for _, entry := range entries {
		name, isCert := strings.CutSuffix(entry.Name(), ".crt")
		if !isCert {
			continue
		}
		raw, err := console.ReadFile(at.path("staff", entry.Name()), keyMax)
		if err != nil {
			return err
		}
		cert, err := admin.ParseCertificate(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), err)
		}
		one := staffJSON{name, admin.CertificateID(cert), cert.NotAfter.UTC()}
		list, rows = append(list, one), append(rows, []string{one.Person, one.ExpiresAt.Format(time.DateOnly), one.Certificate[:16]})
	}
	if a.json {
		return a.JSON("coldsign.staff-list/v1", map[string]any{"staff": list})
	}
	return console.Table(a.Out, []string{"PERSON", "UNTIL", "CERTIFICATE"}, rows)
}
