package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

func newRunCmd(a *app) *cobra.Command {
	var format string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon until it is told to stop",
		Long: "Follows the chain, watches the tiers and serves the admin listener. Prints one JSON line on standard output when it\n" +
			"listens; everything else is a log on standard error. SIGTERM or SIGINT ends it in order; it may also be killed at any\n" +
			"moment, and goes on where it was.",
		Example: "  exchanged run --config /srv/coldsign/exchanged.yaml",
		Args:    command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			log, err := newLog(a.Err, format, verbose)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return runDaemon(ctx, a, log)
		},
	}
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log every admin request")
	return cmd
}

func newLog(to io.Writer, format string, verbose bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		options.Level = slog.LevelDebug
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(to, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	}
	return nil, console.Fail(console.Usage, fmt.Errorf("log format %q is not text or json", format))
}

func runDaemon(ctx context.Context, a *app, log *slog.Logger) error {
	c, at, err := a.load()
	if err != nil {
		return err
	}
	chain := &link{config: c.node(string(at))}
	d, err := newDaemon(ctx, c, at, outside{chain: chain, sender: chain, log: log, now: a.Now})
	if err != nil {
		return err
	}
	err = d.serve(ctx, a)
	return errors.Join(err, d.store.Close())
}

// serve runs the listener and the loop until ctx ends, or until the listener breaks.
func (d *daemon) serve(ctx context.Context, a *app) error {
	server := &admin.Server{Views: desk{d}, TopUps: desk{d}, Bundles: desk{d}, Plans: desk{d}, Changes: desk{d}, Staff: d.folder, Log: d.log, Now: d.now}
	authority, errCA := console.ReadFile(d.folder.path("tls", "ca.crt"), keyMax)
	cert, errCert := console.ReadFile(d.folder.path("tls", "server.crt"), keyMax)
	key, errKey := d.folder.private("tls", "server.key")
	if err := errors.Join(errCA, errCert, errKey); err != nil {
		return err
	}
	secure, err := server.TLS(authority, cert, key)
	if err != nil {
		return err
	}
	listener, err := d.listen()
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	address := listener.Addr().String()
	if err := replace(d.folder.path("listening"), []byte(address+"\n"), 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := d.records.Note(ctx, "daemon-started", map[string]any{"version": version, "listen": address}); err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, listener, secure)
		stop() // a daemon that nobody can reach must not go on unseen
	}()
	ready := map[string]any{"listen": address, "network": d.config.network, "issuer": d.config.Issuer, "pid": os.Getpid()}
	if err := a.JSON("coldsign.ready/v1", ready); err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	d.log.Info("ready", "listen", address, "network", string(d.config.network), "version", version)
	d.loop(ctx)
	d.log.Info("stopping")
	return <-served
}

// listen opens the admin listener. Port 0 means any free port, and the one of the last run where that is free: staff
// have pinned the address in their homes.
func (d *daemon) listen() (net.Listener, error) {
	wanted, err := netip.ParseAddrPort(d.config.Admin.Listen)
	if err != nil {
		return nil, err
	}
	if wanted.Port() == 0 {
		last, err := console.ReadFile(d.folder.path("listening"), 256)
		before, errParse := netip.ParseAddrPort(strings.TrimSpace(string(last)))
		if err == nil && errParse == nil && before.Addr() == wanted.Addr() {
			if listener, err := net.Listen("tcp", before.String()); err == nil {
				return listener, nil
			}
		}
	}
	return net.Listen("tcp", wanted.String())
}
