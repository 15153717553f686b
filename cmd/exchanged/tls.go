package main

import (
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
)

func newTLSCmd(a *app) *cobra.Command {
	var hosts []string
	renew := &cobra.Command{
		Use:   "renew",
		Short: "Make a new certificate for the admin listener, and for the operator",
		Long: "Server certificates last two years, the operator's one. The authority stays the same, so nothing changes for staff. Give\n" +
			"--host again for every further name. A running daemon takes the new certificate when it is started again.",
		Example: "  exchanged tls renew --data /srv/coldsign --host admin.internal",
		Args:    command.Arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return runTLSRenew(a, hosts) },
	}
	renew.Flags().StringArrayVar(&hosts, "host", nil, "further host name or IP address for the certificate; may be repeated")
	return command.Group("tls", "Certificates of the admin listener", renew)
}

func runTLSRenew(a *app, hosts []string) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	authority, err := at.authority()
	if err != nil {
		return err
	}
	files, err := certificates(at, authority, c.Admin.Listen, hosts, a.Now())
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := replace(file.name, file.data, file.mode); err != nil {
			return err
		}
	}
	if a.json {
		return a.JSON("coldsign.tls-renew/v1", map[string]any{"listen": c.Admin.Listen, "hosts": append([]string{}, hosts...)})
	}
	a.Say("certificates of the admin listener and of the operator are new")
	a.Hint("start the daemon again")
	return nil
}

// certificates makes the server's and the operator's certificates with their keys.
func certificates(at folder, authority admin.Authority, listen string, hosts []string, now time.Time) ([]keyFile, error) {
	address, err := netip.ParseAddrPort(listen)
	if err != nil {
		return nil, err
	}
	names := append([]string{address.Addr().String(), "127.0.0.1", "::1", "localhost"}, hosts...)
	serverCert, serverKey, err := authority.IssueServer(names, now, rand.Reader)
	if err != nil {
		return nil, err
	}
	operatorKey, request, err := admin.NewPersonKey(operator, rand.Reader)
	if err != nil {
		return nil, err
	}
	operatorCert, err := authority.IssuePerson(operator, request, now, rand.Reader)
	if err != nil {
		return nil, err
	}
	return []keyFile{
		{at.path("tls", "server.crt"), serverCert, 0o644}, {at.path("tls", "server.key"), serverKey, 0o600},
		{at.path("staff", operator+".crt"), operatorCert, 0o644}, {at.path("tls", "operator.key"), operatorKey, 0o600},
	}, nil
}
