package gateway

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Outcomes are short: the answer to a cancel does not hold the order's price or name. The events do, and they come to
// every gateway at about the same time as the answer, so a gateway keeps those of the last commands that took orders
// out or changed them, and looks them up by the command's journal number instead of asking the engine again.

// recentMax is how many orders are kept.
const recentMax = 1 << 14

// recentWait is how long the events are waited for.
const recentWait = 500 * time.Millisecond

type changed struct {
	seq    uint64
	at     exchange.Millis
	record exchange.OrderRecord
}

// recent is a ring of changed orders by rising journal number.
type recent struct {
	mu    sync.Mutex
	ring  [recentMax]changed
	next  uint64 // entries ever written
	known uint64 // the last command whose events were read
	moved chan struct{}
}

func newRecent() *recent { return &recent{moved: make(chan struct{})} }

// note keeps an order that a command took out or changed.
func (r *recent) note(e *exchange.Event) {
	switch e.Order.Cause {
	case exchange.CauseCancelled, exchange.CauseReplaced, exchange.CauseAmended:
		r.mu.Lock()
		r.ring[r.next%recentMax] = changed{e.Seq, e.At, e.Order}
		r.next++
		r.mu.Unlock()
	}
}

// reach says that all events up to a command were read, and wakes who waits for them.
func (r *recent) reach(seq uint64) {
	r.mu.Lock()
	r.known = max(r.known, seq)
	old := r.moved
	r.moved = make(chan struct{})
	r.mu.Unlock()
	close(old)
}

// of returns what a command did to orders of an account, and false when its events did not come in time.
func (r *recent) of(c *call, seq uint64, account exchange.Account) ([]changed, bool) {
	ctx, cancel := context.WithTimeout(c.ctx, recentWait)
	defer cancel()
	if !r.wait(ctx, seq) {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.collect(seq, account), true
}

// wait waits until the events of a command were read, and reports whether they were.
func (r *recent) wait(ctx context.Context, seq uint64) bool {
	for {
		r.mu.Lock()
		known, moved := r.known >= seq, r.moved
		r.mu.Unlock()
		if known {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *recent) collect(seq uint64, account exchange.Account) []changed {
	oldest := uint64(0)
	if r.next > recentMax {
		oldest = r.next - recentMax
	}
	n := int(r.next - oldest)
	at := sort.Search(n, func(i int) bool { return r.ring[(oldest+uint64(i))%recentMax].seq >= seq })
	var found []changed
	for ; at < n; at++ {
		e := &r.ring[(oldest+uint64(at))%recentMax]
		if e.seq != seq {
			break
		}
		if e.record.Account == account {
			found = append(found, *e)
		}
	}
	return found
}

// view is the order as queries tell it.
func (e *changed) view() exchange.OrderView {
	o := &e.record
	return exchange.OrderView{Market: o.Market, Order: o.Order, Account: o.Account, Side: o.Side, Type: o.Type, Force: o.Force, SelfTrade: o.SelfTrade,
		Status: o.Status, Price: o.Price, Stop: o.Stop, Qty: o.Qty, Show: o.Show, QuoteMax: o.QuoteMax, Executed: o.Executed, Quote: o.Quote,
		Expire: o.Expire, Created: o.Created, Changed: e.at, Client: o.Client.String()}
}
