package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
)

// busEngine is the engine as a gateway sees it: at the other end of the bus.
type busEngine struct {
	conn                     *bus.Conn
	orders, withdraws, books *bus.Batcher
	cancels                  *bus.Batcher  // beside the orders, which may be many and wait
	patience                 time.Duration // of a request, whatever its context says
	attempt                  time.Duration // after which a message without an answer is sent again
	unsure                   waiting       // requests that ask again
}

const (
	attemptsMax = 4 // of one request, when each message goes without an answer to the end of its time
	pauseLeast  = 10 * time.Millisecond
	pauseMost   = 250 * time.Millisecond
)

func newBusEngine(conn *bus.Conn, c exchangeConfig) *busEngine {
	attempt := c.Gateway.Timeout / attemptsMax
	o := bus.BatchOptions{Timeout: attempt}
	return &busEngine{conn: conn, patience: c.Gateway.Timeout, orders: bus.NewBatcher(conn, c.orderSubject(), o), cancels: bus.NewBatcher(conn, c.orderSubject(), o),
		withdraws: bus.NewBatcher(conn, "cmd.withdraw", o),
		books:     bus.NewBatcher(conn, "cmd.account", o), attempt: attempt}
}

// lane is where commands of a kind go. The engine checks it again; a kind that no gateway may send is refused there.
func (e *busEngine) lane(kind exchange.Kind) *bus.Batcher {
	switch kind {
	case exchange.Cancel, exchange.CancelAll:
		return e.cancels
	case exchange.WithdrawRequest:
		return e.withdraws
	case exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign, exchange.PasskeyEnrol,
		exchange.Approve:
		return e.books
	}
	return e.orders
}

// Do sends commands, those that follow each other on the same subject together. What no engine decides until ctx ends is
// Busy when it is certain that nothing was taken, and an error when it is not.
func (e *busEngine) Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	for i := 0; i < len(cmds); {
		lane, n := e.lane(cmds[i].Kind), i+1
		for n < len(cmds) && e.lane(cmds[n].Kind) == lane {
			n++
		}
		if err := e.decide(ctx, lane, cmds[i:n], out[i:n]); err != nil {
			return err
		}
		i = n
	}
	return nil
}

// decide asks until the outcomes are known. A command has its own identity and the engine answers it again without
// applying it twice, so an engine that died after its commit, or was replaced, costs the customer a moment and no more.
// Once an attempt has ended without an answer, a later one that was not taken says nothing about it.
func (e *busEngine) decide(ctx context.Context, lane *bus.Batcher, cmds []exchange.Command, out []exchange.Outcome) error {
	open := false // an attempt may have been taken
	try := func(ctx context.Context) (bool, error) {
		err := lane.Do(ctx, cmds, out)
		switch {
		case err == nil && passes(out):
			return false, nil // another engine writes: it knows
		case err == nil && open && busy(out):
			return false, nil
		case err == nil:
			return true, nil
		case errors.Is(err, bus.ErrBusy) && !open:
			return true, refused(cmds, out)
		case errors.Is(err, bus.ErrBusy), errors.Is(err, bus.ErrDown), errors.Is(err, bus.ErrLate):
			return false, nil
		case errors.Is(err, bus.ErrDenied), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrClosed):
			return true, err
		}
		open = true // ErrUnknown; or the engine failed over it, and what it had committed nobody knows
		return false, nil
	}
	if !e.unsure.room(&cmds[0]) {
		return refused(cmds, out)
	}
	done, err := try(ctx)
	if !done {
		e.unsure.enter(&cmds[0])
		defer e.unsure.leave(&cmds[0])
		done, err = e.until(ctx, try)
	}
	switch {
	case done || err != nil:
		return err
	case open:
		return bus.ErrUnknown
	}
	return refused(cmds, out)
}

// until tries again until it is done or ctx ends, with pauses that grow.
func (e *busEngine) until(ctx context.Context, try func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	for pause := pauseLeast; ; pause = min(2*pause, pauseMost) {
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(pause):
		}
		if done, err := try(ctx); done {
			return true, err
		}
	}
}

// refused says that nothing was taken, and that this is certain.
func refused(cmds []exchange.Command, out []exchange.Outcome) error {
	for i := range cmds {
		out[i] = exchange.Outcome{ID: cmds[i].ID, Code: exchange.Busy}
	}
	return nil
}

func passes(out []exchange.Outcome) bool {
	return slices.ContainsFunc(out, func(o exchange.Outcome) bool { return o.Code == exchange.Superseded })
}

func busy(out []exchange.Outcome) bool {
	return slices.ContainsFunc(out, func(o exchange.Outcome) bool { return o.Code == exchange.Busy })
}

// Ask sends a question, again when it went without an answer: it changes nothing. Which ones the gateway may ask is
// decided by the engine's segment.
func (e *busEngine) Ask(ctx context.Context, q exchange.Question) (a exchange.Answer, err error) {
	if !e.unsure.ask() {
		return a, gateway.ErrBusy
	}
	defer e.unsure.questions.Add(-1)
	var ended error
	try := func(ctx context.Context) (bool, error) {
		once, cancel := context.WithTimeout(ctx, e.attempt)
		defer cancel()
		var failed error
		a, failed = askEngine(once, e.conn, "qry.gateway", q)
		switch {
		case errors.Is(failed, bus.ErrBusy):
			return true, gateway.ErrBusy
		case errors.Is(failed, bus.ErrUnknown), errors.Is(failed, bus.ErrDown), errors.Is(failed, bus.ErrLate):
			ended = failed
			return false, nil
		}
		return true, failed
	}
	done, err := try(ctx)
	if !done {
		done, err = e.until(ctx, try)
	}
	if done || err != nil {
		return a, err
	}
	return a, ended
}

func askEngine(ctx context.Context, conn *bus.Conn, subject string, q exchange.Question) (a exchange.Answer, err error) {
	raw, err := exchange.EncodeBody(q)
	if err != nil {
		return a, err
	}
	reply, err := conn.Request(ctx, subject, raw)
	if err != nil {
		return a, err
	}
	return exchange.DecodeAnswer(reply)
}

// feedGateway brings a stream of frames to a gateway.
type feedGateway struct {
	server *gateway.Server
	log    *slog.Logger
}

// Missed makes the gateway ask anew: what was lost may have been the last thing for hours.
func (f feedGateway) Missed() { f.server.Missed() }

// Event is a frame: its first and last sequence number, and its events.
func (f feedGateway) Event(payload []byte) {
	if len(payload) < 16 {
		f.log.Error("a frame of events without numbers", "bytes", len(payload))
		return
	}
	f.server.Events(binary.LittleEndian.Uint64(payload), binary.LittleEndian.Uint64(payload[8:]), payload[16:])
}

// openGateway makes the segment that serves customers.
func (s *site) openGateway(ctx context.Context) (work, error) {
	c := s.config.Exchange.Gateway
	conn, err := s.dial(ctx, bus.Gateway)
	if err != nil {
		return nil, err
	}
	engine := newBusEngine(conn, *s.config.Exchange)
	asks := s.config.Exchange.Limits
	proxies, errProxies := c.proxies()
	secret, errSecret := s.folder.key32(exchangeDir, "gateway", "listen.key")
	counting, kept, errLimits := s.limits(conn)
	challenge, errChallenge := c.Challenge.open(s.folder)
	if err := errors.Join(errProxies, errSecret, errLimits, errChallenge); err != nil {
		conn.Close()
		return nil, err
	}
	server, err := gateway.New(gateway.Options{Engine: engine, Limits: counting, Notice: s.tellKey, Challenge: challenge, Log: s.log.With("segment", "gateway"), Proxies: proxies, Timeout: c.Timeout,
		Conns: c.Connections, Secret: [32]byte(secret), AddressWeight: uint32(asks.AddressWeight), Orders10s: asks.Orders10s, OrdersDay: asks.OrdersDay})
	if err != nil {
		conn.Close()
		return nil, err
	}
	public, errPublic := s.listenPublic()
	internal, errInternal := net.Listen("tcp", c.Internal)
	if err := errors.Join(errPublic, errInternal); err != nil {
		conn.Close()
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := conn.Subscribe(s.config.Exchange.frameSubject(), feedGateway{server, s.log}); err != nil {
		conn.Close()
		return nil, err
	}
	if kept == nil {
		kept = &bans{} // the segment limits keeps them
	} else if err := kept.listens(conn, bus.Gateway, "qry.gateway"); err != nil {
		conn.Close()
		return nil, err
	}
	return func(ctx context.Context) error {
		defer conn.Close()
		ready := map[string]any{"listen": public.Addr().String(), "internal": internal.Addr().String(), "pid": os.Getpid()}
		if err := s.app.JSON("coldsign.gateway-ready/v1", ready); err != nil {
			return err
		}
		s.log.Info("gateway listens", "public", public.Addr().String(), "internal", internal.Addr().String())
		return together(ctx, kept.keep, server.Run, s.watchForged(conn), httpServer(public, server.Public(), s.log), httpServer(internal, server.Internal(), s.log))
	}, nil
}

// limits is the table of this process with what is kept of it, or the one that all gateways ask.
func (s *site) limits(conn *bus.Conn) (gateway.Limits, *bans, error) {
	if s.config.Exchange.Gateway.Limits == "shared" {
		return sharedLimits{bus.NewBatcher(conn, limitsSubject, bus.BatchOptions{Timeout: time.Second})}, nil, nil
	}
	kept, err := s.openBans(bus.Gateway)
	if err != nil {
		return nil, nil, err
	}
	return gateway.OwnLimits{Table: kept.table, Clock: time.Now}, kept, nil
}

// listenPublic opens the listener of customers, with TLS where it is configured.
func (s *site) listenPublic() (net.Listener, error) {
	c := s.config.Exchange.Gateway
	open, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, err
	}
	proxies, err := c.proxies()
	if err != nil {
		return nil, errors.Join(err, open.Close())
	}
	listener := newCapped(open, c.Connections+connectionsSpare, proxies)
	if c.Cert == "" {
		return listener, nil
	}
	pair, err := s.folder.pair(c.Cert, c.Key)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, gateway.PublicTLS(pair)), nil
}

// newServer bounds everything that a client may do slowly. An answer takes up to gateway.timeout, which is a minute at
// most; a client that does not read it is cut off. WebSockets have times of their own.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: handler, MaxHeaderBytes: 16 << 10, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}

// httpServer serves until ctx ends, then lets requests under way finish for a few seconds.
func httpServer(listener net.Listener, handler http.Handler, log *slog.Logger) work {
	return func(ctx context.Context) error {
		server := newServer(handler, log)
		stopped := make(chan error, 1)
		go func() {
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			stopped <- server.Shutdown(grace)
		}()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("listener %s: %w", listener.Addr(), err)
		}
		if err := <-stopped; err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	}
}
