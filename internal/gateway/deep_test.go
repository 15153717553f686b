package gateway

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// deep places buy orders at n prices, each 0.01 below the one before, from 50000 down.
func (r *rig) deep(tr *trader, from, n int) {
	r.t.Helper()
	for ; n > 0; from, n = from+500, n-500 {
		var cmds []exchange.Command
		for i := range min(n, 500) {
			cmds = append(cmds, exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: tr.account, Market: enginetest.Pair, Type: exchange.Limit,
				Side: exchange.Buy, Price: 5_000_000 - int64(from+i), Qty: 10})
		}
		r.mustDo(cmds...)
	}
}

func (r *rig) mustDo(cmds ...exchange.Command) {
	r.t.Helper()
	out := make([]exchange.Outcome, len(cmds))
	if err := r.Do(context.Background(), cmds, out); err != nil {
		r.t.Fatal(err)
	}
	for i := range out {
		if out[i].Code != exchange.Done {
			r.t.Fatalf("%+v", out[i])
		}
	}
}

// crowd places orders at so many prices, of customers with room for them.
func (r *rig) crowd(prices int) {
	r.t.Helper()
	for i := 0; i < prices; i += 150 {
		tr := &trader{}
		r.inWorld(func(w *enginetest.World) {
			tr.account = w.Customer("crowd-" + strconv.Itoa(i))
			w.Give(tr.account, enginetest.Dollar, enginetest.Units(100_000_00000000))
		})
		r.deep(tr, i, min(150, prices-i))
	}
}

func (r *rig) levels(limit string) (bids [][]any, last uint64) {
	r.t.Helper()
	a := r.get("/api/v3/depth?symbol=BTCUSDT&limit=" + limit)
	if a.status != 200 {
		r.t.Fatal(a.body)
	}
	m := a.json.(map[string]any)
	for _, l := range m["bids"].([]any) {
		bids = append(bids, l.([]any))
	}
	return bids, number(m["lastUpdateId"])
}

// A book that is deeper than a gateway's mirror: pictures of up to 5,000 levels are whole all the same, also while the
// best levels are taken one after the other.
func TestPicturesOfADeepBookAreWhole(t *testing.T) {
	r := newRig(t)
	r.crowd(6600)
	seller := r.trader("seller", "hmac", all)
	r.setLost(true) // the mirror is loaded from the engine, so that it knows an edge
	r.deep(seller, 6600, 1)
	r.setLost(false)
	r.deep(seller, 6601, 1)
	b := r.server.books.of(enginetest.Pair)
	r.until(func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.live && b.bids.edge != 0 })
	gone := 0
	for _, take := range []int{0, 1, 700, 3500, 1} { // levels that a seller takes; the mirror is filled again in between
		if take > 0 {
			r.mustDo(exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: seller.account, Market: enginetest.Pair, Type: exchange.Limit,
				Side: exchange.Sell, Force: exchange.ImmediateOrCancel, SelfTrade: exchange.AllowSelfTrade, Price: 1, Qty: int64(10 * take)})
			gone += take
		}
		for _, limit := range []struct {
			text string
			n    int
		}{{"5000", 5000}, {"1000", 1000}, {"20", 20}} {
			bids, _ := r.levels(limit.text)
			if len(bids) != min(limit.n, 6602-gone) {
				t.Errorf("after %d levels a picture of %d has %d", gone, limit.n, len(bids))
			}
			var w writer
			w.itemScaled(5_000_000-int64(gone), 2)
			if best := strings.Trim(string(w.b), `"`); len(bids) > 0 && bids[0][0] != best {
				t.Errorf("the best price is %v, not %s", bids[0][0], best)
			}
		}
	}
	r.until(func() bool { b.mu.Lock(); defer b.mu.Unlock(); return !b.refills && b.live })
}

// The stream of changes tells levels that lie behind the edge of the mirror, and goes on while the mirror is filled again.
func TestChangesBehindTheEdgeOfTheMirrorAreTold(t *testing.T) {
	r := newRig(t)
	r.crowd(5400)
	seller := r.trader("seller", "hmac", all)
	r.setLost(true)
	r.deep(seller, 5400, 1)
	r.setLost(false)
	r.deep(seller, 5401, 1)
	b := r.server.books.of(enginetest.Pair)
	r.until(func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.live && b.bids.edge != 0 })
	streams := []*socket{r.dial("/ws/btcusdt@depth@0ms"), r.dial("/ws/btcusdt@depth@100ms")}
	r.heard("btcusdt@depth@0ms", "btcusdt@depth@100ms")
	// What a client knows: the whole book, from the engine itself.
	answer, _ := r.Ask(t.Context(), exchange.Question{Depth: &exchange.DepthQuestion{Market: enginetest.Pair, Limit: 5000}})
	locals := []*localBook{{t: t, last: answer.Seq}, {t: t, last: answer.Seq}}
	for _, l := range locals {
		l.sides = [2]map[string]string{{}, {}}
	}
	random := rand.New(rand.NewPCG(3, 4))
	want := map[int64]int64{}
	deeper := r.trader("deeper", "hmac", all)
	for range 40 {
		price := 5_000_000 - int64(5000+random.IntN(600))
		if _, there := want[price]; there {
			continue
		}
		want[price] = 7
		r.mustDo(exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: deeper.account, Market: enginetest.Pair, Type: exchange.Limit, Side: exchange.Buy, Price: price, Qty: 7})
	}
	r.mustDo(exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: seller.account, Market: enginetest.Pair, Type: exchange.Limit,
		Side: exchange.Sell, Force: exchange.ImmediateOrCancel, SelfTrade: exchange.AllowSelfTrade, Price: 1, Qty: 10 * 4500})
	r.until(func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.refills && b.live && len(b.bids.levels) > mirrorLow-600
	})
	r.server.Tick(t.Context(), true)
	last := b.number()
	for i, s := range streams {
		for locals[i].last < last {
			locals[i].update(s.read())
		}
	}
	for i, l := range locals {
		for price := range want {
			var w writer
			w.itemScaled(price, 2)
			if l.sides[0][strings.Trim(string(w.b), `"`)] == "" {
				t.Errorf("stream %d did not tell the level %s", i, w.b)
			}
		}
	}
}

// Each frame of the engine that changes the book is one message of depth@0ms, and their numbers follow.
func TestEveryFrameIsAMessageOfTheFastestStream(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	random := rand.New(rand.NewPCG(5, 6))
	s := r.dial("/ws/btcusdt@depth@0ms")
	r.heard("btcusdt@depth@0ms")
	b := r.server.books.of(enginetest.Pair)
	local := &localBook{t: t}
	local.snapshot(r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
	messages := 0
	for range 200 {
		before := b.number()
		r.shower(tr, random, 1)
		if b.number() == before {
			continue // a cancel of nothing
		}
		local.update(s.read())
		messages++
		local.same(r.get("/api/v3/depth?symbol=BTCUSDT&limit=5000"))
	}
	if messages < 100 {
		t.Errorf("%d messages", messages)
	}
}
