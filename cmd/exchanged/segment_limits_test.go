package main

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/limits"
)

// Two gateways ask one table: what passes is what one of them alone would let pass.
func TestControl077LimitsHoldOverAllGatewaysTogether(t *testing.T) {
	b := newBourse(t)
	users := must(folder(b.dir).busUsers())
	server := must(bus.NewServer(bus.ServerOptions{Users: users}))
	defer server.Close()
	c, at, err := (&app{data: b.dir}).load()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{config: c, folder: at, server: server}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	table, err := s.openLimits(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- table(ctx) }()
	var gateways []sharedLimits
	for range 2 {
		conn, err := s.dial(ctx, bus.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		gateways = append(gateways, sharedLimits{bus.NewBatcher(conn, limitsSubject, bus.BatchOptions{Timeout: time.Minute})})
	}
	passed := 0
	for i := range 1300 {
		d, err := gateways[i%2].Take(ctx, limits.Request{IP: netip.MustParseAddr("192.0.2.7"), Weight: 1})
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict == limits.Pass {
			passed++
		}
	}
	if passed != 1200 {
		t.Errorf("%d of 1300 requests pass", passed)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if d, err := gateways[0].Take(short, limits.Request{IP: netip.MustParseAddr("192.0.2.8")}); err == nil {
		t.Errorf("without a table: %+v", d)
	}
}
