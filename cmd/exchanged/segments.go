package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/treasury"
)

// site is what every segment of this process shares.
type site struct {
	app    *app
	config config
	folder folder
	log    *slog.Logger
	server *bus.Server // of this process; nil: the URLs count
	urls   []string

	chain   bothSides // nil: the configured one
	standby bool      // the engine waits for the place of one that runs
	alerts  *alerts   // of this process; nil: nobody is told
}

// bothSides are what a daemon needs of a Bitcoin node.
type bothSides interface {
	node.Chain
	treasury.Node
}

// work is one segment: it runs until ctx ends or something is broken.
type work func(ctx context.Context) error

// parseSegments reads --segment. Wallet and admin keep the same records, so they are one process.
func parseSegments(names []string) ([]bus.Segment, error) {
	var out []bus.Segment
	for _, name := range names {
		s, err := bus.ParseSegment(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, s) {
			return nil, fmt.Errorf("segment %s is named twice", s)
		}
		out = append(out, s)
	}
	if slices.Contains(out, bus.Wallet) != slices.Contains(out, bus.Admin) {
		return nil, errors.New("segments wallet and admin keep the same records, so they run in one process: --segment wallet,admin")
	}
	return out, nil
}

// runSegments runs the named segments in this process.
func runSegments(ctx context.Context, a *app, log *slog.Logger, o runOptions) error {
	names, err := parseSegments(o.segments)
	if err != nil {
		return console.Fail(console.Usage, err)
	}
	c, at, err := a.load()
	if err != nil {
		return err
	}
	if c.Exchange == nil {
		return console.Fail(console.Usage, errors.New("the configuration has no section exchange, so there are no segments"), "exchanged exchange init --data "+string(at))
	}
	s := &site{app: a, config: c, folder: at, log: log, urls: c.Exchange.Bus.URLs, standby: o.standby}
	if o.bus != "" {
		s.urls = []string{o.bus}
	}
	if len(s.urls) == 0 {
		users, err := at.busUsers()
		if err != nil {
			return err
		}
		if s.server, err = bus.NewServer(bus.ServerOptions{Users: users}); err != nil {
			return err
		}
		defer s.server.Close()
	}
	return s.run(ctx, names)
}

// run runs the segments, and tells people what they have to know until the last of them ended.
func (s *site) run(ctx context.Context, names []bus.Segment) error {
	s.alerts = openAlerts(s.folder.alertsPath(names[0].String()), names[0].String(), s.log, time.Now)
	until, end := context.WithCancel(context.Background())
	told := make(chan error, 1)
	go func() { told <- s.alerts.run(until, s.config.Exchange.Alerts) }()
	err := s.runAll(ctx, names)
	end()
	return errors.Join(err, <-told)
}

// runAll opens the segments, the engine first so that the others find it, and runs them together.
func (s *site) runAll(ctx context.Context, names []bus.Segment) error {
	var works []work
	for _, name := range []bus.Segment{bus.Limits, bus.Engine, bus.Gateway, bus.Wallet} { // admin comes with wallet
		if !slices.Contains(names, name) {
			continue
		}
		w, err := s.open(ctx, name)
		if err != nil {
			if name == bus.Engine {
				s.tellStop(ctx, err)
			}
			ended, end := context.WithCancel(ctx)
			end() // whatever was opened is closed by its own work
			return errors.Join(err, together(ended, works...))
		}
		works = append(works, w)
	}
	return together(ctx, works...)
}

func (s *site) open(ctx context.Context, name bus.Segment) (work, error) {
	switch name {
	case bus.Limits:
		return s.openLimits(ctx)
	case bus.Engine:
		return s.openEngine(ctx)
	case bus.Gateway:
		return s.openGateway(ctx)
	}
	return s.openTreasury(ctx)
}

// together runs works until the first of them fails or ctx ends; then the others are told, and waited for.
func together(ctx context.Context, works ...work) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(works))
	var wait sync.WaitGroup
	for i, w := range works {
		wait.Go(func() {
			errs[i] = w(ctx)
			stop()
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// dial connects a segment to the bus, and waits for the server as long as ctx lives: it may start after us.
func (s *site) dial(ctx context.Context, name bus.Segment) (*bus.Conn, error) {
	credentials, err := s.folder.busCredentials(name)
	if err != nil {
		return nil, err
	}
	secure, err := s.config.Exchange.Bus.tls(s.folder)
	if err != nil {
		return nil, err
	}
	conn, err := bus.Dial(ctx, bus.Options{Credentials: credentials, Server: s.server, URLs: s.urls, TLS: secure, Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", name, err)
	}
	return conn, nil
}

// orderSubject is where the market group's orders go, and frameSubject where its events come from.
func (c exchangeConfig) orderSubject() string { return "cmd.order." + c.Store.Group }
func (c exchangeConfig) frameSubject() string { return "evt.frame." + c.Store.Group }
