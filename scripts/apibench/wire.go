package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/store/records"
)

const (
	orders = "cmd.order.1"
	frames = "evt.frame.1"
)

// openSinks returns what the shadow replica writes to.
func openSinks(ctx context.Context, dir string, key []byte) ([]engine.Sink, error) {
	at := filepath.Join(dir, "records")
	if err := os.Mkdir(at, 0o700); err != nil {
		return nil, err
	}
	kept, err := records.Open(ctx, records.Options{Dir: at, Key: key})
	if err != nil {
		return nil, err
	}
	return []engine.Sink{kept}, nil // it ends with the process, whose folder is removed
}

// listen joins engine and gateway by a bus of this process and serves customers.
func (s *served) listen(ctx context.Context, guarded bool) (string, error) {
	all, err := bus.NewCredentials(rand.Reader)
	if err != nil {
		return "", err
	}
	server, err := bus.NewServer(bus.ServerOptions{Users: bus.UsersOf(all)})
	if err != nil {
		return "", err
	}
	conns := map[bus.Segment]*bus.Conn{}
	for _, c := range all {
		if c.Segment() != bus.Engine && c.Segment() != bus.Gateway {
			continue
		}
		if conns[c.Segment()], err = bus.Dial(ctx, bus.Options{Credentials: c, Server: server}); err != nil {
			return "", err
		}
	}
	if err := s.serveEngine(conns[bus.Engine]); err != nil {
		return "", err
	}
	table, err := limits.New(limits.Options{})
	if err != nil {
		return "", err
	}
	var counts gateway.Limits = openLimits{table}
	if guarded {
		counts = gateway.OwnLimits{Table: table, Clock: time.Now}
	}
	public, err := gateway.New(gateway.Options{Engine: &far{conns[bus.Gateway], bus.NewBatcher(conns[bus.Gateway], orders, bus.BatchOptions{})}, Limits: counts})
	if err != nil {
		return "", err
	}
	if err := conns[bus.Gateway].Subscribe(frames, feed{public}); err != nil {
		return "", err
	}
	go public.Run(ctx) // ends with the context
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go (&http.Server{Handler: public.Public(), ReadHeaderTimeout: 5 * time.Second}).Serve(listener) // ends with the process
	return listener.Addr().String(), ready(ctx, public, listener.Addr().String())
}

// ready waits until the gateway has the catalogue.
func ready(ctx context.Context, s *gateway.Server, address string) error {
	for ctx.Err() == nil {
		answer, err := http.Get("http://" + address + "/api/v3/depth?symbol=BTCUSDT&limit=5")
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return ctx.Err()
}

// serveEngine answers the bus.
func (s *served) serveEngine(conn *bus.Conn) error {
	publisher, err := conn.Publisher(frames)
	if err != nil {
		return err
	}
	s.frames.Store(publisher)
	errOrders := conn.Serve(orders, 256, func(ctx context.Context, _ bus.Segment, payload []byte) (reply []byte, err error) {
		var cmds []exchange.Command
		for len(payload) > 0 {
			cmds = append(cmds, exchange.Command{})
			if payload, err = cmds[len(cmds)-1].Read(payload); err != nil {
				return nil, err
			}
		}
		out := make([]exchange.Outcome, len(cmds))
		if err := s.runner.Submit(ctx, "gateway", cmds, out); err != nil {
			return nil, err
		}
		for i := range out {
			reply = out[i].Append(reply)
		}
		return reply, nil
	})
	errAsk := conn.Serve("qry.gateway", 64, func(ctx context.Context, _ bus.Segment, payload []byte) ([]byte, error) {
		q, err := exchange.DecodeBody[exchange.Question](payload)
		if err != nil {
			return nil, err
		}
		a, live, err := s.runner.Ask(ctx, q)
		if err != nil || !live {
			return nil, errors.Join(err, fmt.Errorf("question about the past: %v", !live))
		}
		return exchange.EncodeBody(a)
	})
	return errors.Join(errOrders, errAsk)
}

// far is the engine at the other end of the bus.
type far struct {
	conn   *bus.Conn
	orders *bus.Batcher
}

// Do sends commands with whatever else is pending.
func (f *far) Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	return f.orders.Do(ctx, cmds, out)
}

// Ask asks.
func (f *far) Ask(ctx context.Context, q exchange.Question) (a exchange.Answer, err error) {
	raw, err := exchange.EncodeBody(q)
	if err != nil {
		return a, err
	}
	reply, err := f.conn.Request(ctx, "qry.gateway", raw)
	if err != nil {
		return a, err
	}
	return exchange.DecodeAnswer(reply)
}

// feed brings the events to the gateway.
type feed struct{ to *gateway.Server }

// Missed tells that the events begin.
func (f feed) Missed() {}

// Event is a frame.
func (f feed) Event(payload []byte) {
	if len(payload) < 16 {
		fmt.Fprintln(os.Stderr, "a frame of events without numbers")
		return
	}
	f.to.Events(binary.LittleEndian.Uint64(payload), binary.LittleEndian.Uint64(payload[8:]), payload[16:])
}
