package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// limitsSubject is where gateways ask whether a request may pass.
const limitsSubject = "lim.take"

// openLimits makes the segment that counts requests for all gateways together.
func (s *site) openLimits(ctx context.Context) (work, error) {
	kept, err := s.openBans(bus.Limits)
	if err != nil {
		return nil, err
	}
	table := kept.table
	conn, err := s.dial(ctx, bus.Limits)
	if err != nil {
		return nil, err
	}
	err = conn.Serve(limitsSubject, 64, func(_ context.Context, _ bus.Segment, payload []byte) (out []byte, err error) {
		now := exchange.Millis(time.Now().UnixMilli())
		for len(payload) > 0 {
			var r limits.Request
			if payload, err = r.Read(payload); err != nil {
				return nil, err
			}
			d := table.Take(r, now)
			out = d.Append(out)
		}
		return out, nil
	})
	if err = errors.Join(err, kept.listens(conn, bus.Limits, "qry.limits")); err != nil {
		conn.Close()
		return nil, err
	}
	return func(ctx context.Context) error {
		defer conn.Close()
		return kept.keep(ctx)
	}, nil
}

// sharedLimits asks the segment limits, with whatever other requests ask at the same time.
type sharedLimits struct{ batch *bus.Batcher }

// Take asks for one request.
func (l sharedLimits) Take(ctx context.Context, r limits.Request) (d limits.Decision, err error) {
	err = l.batch.Raw(ctx, r.Append(nil), 1, func(reply []byte, keep bool) ([]byte, error) {
		var dropped limits.Decision
		if !keep {
			return dropped.Read(reply)
		}
		return d.Read(reply)
	})
	if err != nil {
		return limits.Decision{}, fmt.Errorf("limits: %w", err)
	}
	return d, nil
}
