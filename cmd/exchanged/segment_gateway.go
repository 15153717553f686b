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
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
)

// busEngine is the engine as a gateway sees it: at the other end of the bus.
type busEngine struct {
	conn                     *bus.Conn
	orders, withdraws, books *bus.Batcher
}

func newBusEngine(conn *bus.Conn, c exchangeConfig) *busEngine {
	o := bus.BatchOptions{Timeout: c.Gateway.Timeout}
	return &busEngine{conn, bus.NewBatcher(conn, c.orderSubject(), o), bus.NewBatcher(conn, "cmd.withdraw", o), bus.NewBatcher(conn, "cmd.account", o)}
}

// lane is where commands of a kind go. The engine checks it again; a kind that no gateway may send is refused there.
func (e *busEngine) lane(kind exchange.Kind) *bus.Batcher {
	switch kind {
	case exchange.WithdrawRequest:
		return e.withdraws
	case exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign:
		return e.books
	}
	return e.orders
}

// Do sends commands, those that follow each other on the same subject together.
func (e *busEngine) Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	for i := 0; i < len(cmds); {
		lane, n := e.lane(cmds[i].Kind), i+1
		for n < len(cmds) && e.lane(cmds[n].Kind) == lane {
			n++
		}
		err := lane.Do(ctx, cmds[i:n], out[i:n])
		switch {
		case errors.Is(err, bus.ErrBusy), errors.Is(err, bus.ErrDown), errors.Is(err, bus.ErrLate):
			for ; i < n; i++ { // nothing was taken, and that is certain
				out[i] = exchange.Outcome{ID: cmds[i].ID, Code: exchange.Busy}
			}
		case err != nil:
			return err
		}
		i = n
	}
	return nil
}

// Ask sends a question. Which ones the gateway may ask is decided by the engine's segment.
func (e *busEngine) Ask(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	return askEngine(ctx, e.conn, "qry.gateway", q)
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
	if err := errors.Join(errProxies, errSecret, errLimits); err != nil {
		conn.Close()
		return nil, err
	}
	server, err := gateway.New(gateway.Options{Engine: engine, Limits: counting, Log: s.log.With("segment", "gateway"), Proxies: proxies, Timeout: c.Timeout,
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
		return together(ctx, kept.keep, server.Run, httpServer(public, server.Public(), s.log), httpServer(internal, server.Internal(), s.log))
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
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil || c.Cert == "" {
		return listener, err
	}
	pair, err := s.folder.pair(c.Cert, c.Key)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, gateway.PublicTLS(pair)), nil
}

// httpServer serves until ctx ends, then lets requests under way finish for a few seconds.
func httpServer(listener net.Listener, handler http.Handler, log *slog.Logger) work {
	return func(ctx context.Context) error {
		server := &http.Server{Handler: handler, MaxHeaderBytes: 16 << 10, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
			IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
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
