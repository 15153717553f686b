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
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

// runOptions are what `exchanged run` was told.
type runOptions struct {
	format   string
	verbose  bool
	segments []string
	bus      string
	standby  bool
}

func newRunCmd(a *app) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon until it is told to stop",
		Long: "Follows the chain, watches the tiers and serves the admin listener. Prints one JSON line on standard output when it\n" +
			"listens; everything else is a log on standard error. SIGTERM or SIGINT ends it in order; it may also be killed at any\n" +
			"moment, and goes on where it was.\n\n" +
			"Where the configuration has a section exchange, this starts the whole exchange: each segment in a process of its own\n" +
			"with its own keys, around a message bus. A segment that dies is started again. --segment runs the named ones in this\n" +
			"process instead, so that each can be on another machine (engine, gateway, limits, and wallet,admin together).",
		Example: "  exchanged run --config /srv/coldsign/exchanged.yaml\n  exchanged run --data /srv/coldsign --segment gateway\n" +
			"  exchanged run --data /srv/coldsign --segment engine --standby",
		Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			log, err := newLog(a.Err, o.format, o.verbose)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return start(ctx, a, log, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.format, "log-format", "text", "text or json")
	flags.BoolVar(&o.verbose, "verbose", false, "log every admin request")
	flags.StringSliceVar(&o.segments, "segment", nil, "segments of the exchange that run in this process: engine, gateway, limits, wallet,admin")
	flags.BoolVar(&o.standby, "standby", false, "with --segment engine: follow the engine that runs, and take its place when it ends")
	flags.StringVar(&o.bus, "bus", "", "address of the bus, where it is not the configured one")
	if err := flags.MarkHidden("bus"); err != nil {
		panic(err) // the flag was made one line above
	}
	return cmd
}

// start chooses: the named segments, the whole exchange, or the treasury alone.
func start(ctx context.Context, a *app, log *slog.Logger, o runOptions) error {
	if o.standby && !slices.Contains(o.segments, "engine") {
		return console.Fail(console.Usage, errors.New("--standby is for --segment engine"))
	}
	if len(o.segments) > 0 {
		return runSegments(ctx, a, log, o)
	}
	c, _, err := a.load()
	if err != nil {
		return err
	}
	if c.Exchange == nil {
		return runDaemon(ctx, a, log)
	}
	pass := []string{"--log-format", o.format}
	if o.verbose {
		pass = append(pass, "--verbose")
	}
	for flag, value := range map[string]string{"--data": a.data, "--config": a.config} {
		if value != "" {
			pass = append(pass, flag, value)
		}
	}
	return supervise(ctx, a, log, pass)
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
	if d.exchange != nil {
		server.Exchange, server.Customers, server.Engine, server.Funds = d.exchange, d.exchange, d.exchange, d.exchange
	}
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
