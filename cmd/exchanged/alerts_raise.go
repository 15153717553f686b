package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/spend"
)

// stopped tells why something goes on no more, when that is for people: a refusal. A node or an engine that does not
// answer right now is not.
func (a *alerts) stopped(kind, about string, err error) {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) {
		a.raise(kind, about, refusal.Code+": "+err.Error())
	}
}

// tellsItsEnd is the engine's work, whose end people are told of unless they asked for it.
func (s *site) tellsItsEnd(w work) work {
	return func(ctx context.Context) error {
		err := w(ctx)
		s.tellStop(ctx, err)
		return err
	}
}

// tellStop tells people that the engine takes nothing more, or did not begin to.
func (s *site) tellStop(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	about := "engine"
	var refusal *spend.Refusal
	if errors.As(err, &refusal) {
		about = refusal.Code
	}
	s.alerts.raise(alertEngineStopped, about, err.Error())
}

// tellTicket tells people of a key that the engine ended.
func (s *site) tellTicket(body []byte) {
	t, err := exchange.DecodeBody[exchange.TicketInfo](body)
	if err != nil {
		s.log.Error("a ticket that cannot be read", "error", err)
		return
	}
	s.alerts.raise(alertKeyEnded, fmt.Sprintf("ticket %d", t.Number), fmt.Sprintf("key %s... of account %d was ended: %s", shortKey(t.Key), t.Account, t.Why))
}

// shortKey is as much of a key's name as leaves this program unasked.
func shortKey(name string) string { return name[:min(6, len(name))] }

// tellKey tells people of a key that is used from elsewhere.
func (s *site) tellKey(n gateway.Notice) {
	about := fmt.Sprintf("key %s... of account %d", n.Key, n.Account)
	if n.Kind == gateway.KeyNamedElsewhere {
		s.alerts.raise(alertKeyNamed, about, fmt.Sprintf("%s names it for %s, and its list does not allow that address", n.Addr, n.Path))
		return
	}
	s.alerts.raise(alertKeyElsewhere, about, fmt.Sprintf("%s signs with it for %s, and its list does not allow that address: its secret is in other hands, or the list is wrong", n.Addr, n.Path))
}

// tell tells people what the table of requests noticed.
func (b *bans) tell() {
	list, lost := b.table.Notices()
	for _, n := range list {
		kind, about, text := wordsOf(n)
		b.alerts.raise(kind, about, text)
	}
	if lost > 0 {
		b.alerts.raise(alertBlocked, alertOthers, fmt.Sprintf("%d more addresses within a second: exchanged limits list", lost))
	}
}

func wordsOf(n limits.Notice) (kind, about, text string) {
	switch {
	case n.Account != 0:
		return alertConduct, fmt.Sprintf("account %d", n.Account), fmt.Sprintf("account %d: %s (from %s)", n.Account, n.Conduct, n.Block)
	case n.Conduct != limits.Quiet:
		return alertConduct, n.Block.String(), fmt.Sprintf("%s: %s", n.Block, n.Conduct)
	case n.Blocked():
		return alertBlocked, n.Block.String(), fmt.Sprintf("%s is blocked for good (%s): a ticket; two people end it with exchanged limits unban", n.Block, sayWhy(n.Why))
	}
	return alertStuffing, n.Block.String(), fmt.Sprintf("%s sent wrong signatures for many accounts and is banned; no account was locked", n.Block)
}

// tellHalts tells people of every standing alarm of the treasury that they were not told of.
func (d *daemon) tellHalts(ctx context.Context) {
	if d.alerts == nil {
		return
	}
	halts, err := d.store.Halts(ctx)
	if err != nil {
		return // the treasury's own step says so
	}
	for _, h := range halts {
		if about := fmt.Sprintf("%s at %d", h.Code, h.At); !d.halted[about] {
			d.halted[about] = true
			d.alerts.raise(alertHalt, about, h.Text)
		}
	}
}

// watchForged tells people when the bus brings messages that no segment sent.
func (s *site) watchForged(conn *bus.Conn) work {
	return func(ctx context.Context) error {
		for known := uint64(0); ; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(alertLook):
			}
			stats := conn.Stats()
			if forged := stats.Forged + stats.Replayed; forged > known {
				s.alerts.raise(alertForged, "bus", fmt.Sprintf("%d messages on the bus were forged, changed or sent again; none was taken", forged-known))
				known = forged
			}
		}
	}
}
