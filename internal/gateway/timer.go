package gateway

import (
	"context"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// How often streams are told.
const (
	fastEvery  = 100 * time.Millisecond
	slowTicks  = 10                    // fast ones to a slow one
	candleTime = 50 * time.Millisecond // that candles may take of a second
	quietAfter = 2 * time.Second       // without a frame the engine is asked whether there were any
	awayAfter  = 10 * time.Second      // without a word of the engine the gateway is not ready: what it tells may be old
	quietWait  = time.Second           // for an answer: the streams that need none shall not wait long
)

// Run follows the engine until the context ends: catalogue and books at the start, and then the streams that are told
// by the clock.
func (s *Server) Run(ctx context.Context) error {
	defer s.work.Wait()
	defer s.close()
	for {
		err := s.loadCatalogue(ctx, 0)
		if err == nil {
			break
		}
		s.o.Log.Warn("the engine does not answer yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	s.alive.Store(s.o.Clock().UnixMilli())
	for _, b := range s.books.all() {
		s.missedBook(b, 0)
	}
	ticker := time.NewTicker(fastEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.Tick(ctx, n%slowTicks == 0)
		}
	}
}

// Tick tells what is told every 100 ms and, when slow, every second. Run calls it; so may a test with its own time.
func (s *Server) Tick(ctx context.Context, slow bool) {
	cat := s.catalogue.Load()
	if cat == nil {
		return
	}
	now := s.o.Clock()
	at := now.UnixMilli()
	for _, m := range cat.markets {
		b := s.books.of(m.ID)
		s.tellDepth(b, m, slow, at)
		s.tellPictures(b, m, slow)
	}
	if !slow {
		return
	}
	s.tellKlines(ctx, cat, exchange.Millis(at))
	s.tellTickers(ctx, cat, at)
	if s.stale.Swap(false) {
		s.reload(0)
	}
	s.checkQuiet(ctx, now)
}

// tellDepth tells what changed in a book.
func (s *Server) tellDepth(b *book, m *market, slow bool, at int64) {
	if b.topics.of[onDepth0].heard() { // what a resync found, and no frame followed
		s.feed.mu.Lock()
		s.tellFrame(b, m)
		s.feed.mu.Unlock()
	}
	if msg := b.update(&b.fast, m, at); msg != nil {
		b.topics.of[onDepth100].publish(msg)
	}
	if !slow {
		return
	}
	if msg := b.update(&b.slow, m, at); msg != nil {
		b.topics.of[onDepth].publish(msg)
		b.topics.of[onDepth1000].publish(msg)
	}
}

// update writes what changed since the last one, or nothing. Its first number follows the last one of the update
// before, so that a listener sees at once whether one is missing.
func (b *book) update(d *delta, m *market, at int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !d.on || len(d.moved) == 0 || !b.known {
		return nil
	}
	w := writer{b: make([]byte, 0, 128+48*len(d.moved))}
	w.open('{')
	w.text("e", "depthUpdate")
	w.number("E", at)
	w.text("s", m.Symbol)
	w.number("U", int64(d.from))
	w.number("u", int64(b.seq))
	for side, name := range [...]string{"b", "a"} {
		w.array(name)
		for key, qty := range d.moved {
			if key&1 == int64(side) {
				w.level(key>>1, qty, m)
			}
		}
		w.close(']')
	}
	w.close('}')
	d.from = b.seq + 1
	clear(d.moved)
	return w.b
}

// tellPictures tells the best levels of a book, when they may have changed.
func (s *Server) tellPictures(b *book, m *market, slow bool) {
	for _, p := range [...]struct {
		kind topicKind
		n    int
		slow bool
	}{{onDepth5, 5, true}, {onDepth10, 10, true}, {onDepth20, 20, true}, {onDepth5Fast, 5, false}, {onDepth10Fast, 10, false}, {onDepth20Fast, 20, false}} {
		t := b.topics.of[p.kind]
		if !t.heard() || p.slow && !slow {
			continue
		}
		var w writer
		if _, whole := b.depth(&w, m, p.n); whole && b.number() != t.toldSeq {
			t.toldSeq = b.number()
			t.publish(w.b)
		}
	}
}

func (b *book) number() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}

// tellTickers tells the last 24 hours of the markets that somebody listens to.
func (s *Server) tellTickers(ctx context.Context, cat *catalogue, at int64) {
	all := s.allTickers.heard() || s.allMini.heard()
	wanted := all
	for _, m := range cat.markets {
		b := s.books.of(m.ID)
		wanted = wanted || b.topics.of[onTicker].heard() || b.topics.of[onMiniTicker].heard()
	}
	if !wanted {
		return
	}
	answer, ok := s.askQuietly(ctx, exchange.Question{Tickers: &exchange.TickersQuestion{}})
	if !ok {
		return
	}
	full, mini := &writer{}, &writer{}
	full.open('[')
	mini.open('[')
	for i := range answer.Tickers {
		t := &answer.Tickers[i]
		m := cat.byID[t.Market]
		if m == nil {
			continue
		}
		b := s.books.of(m.ID)
		one := func(kind topicKind, all *writer, write func(*writer)) {
			var w writer
			write(&w)
			b.topics.of[kind].publish(w.b)
			all.comma()
			all.b = append(all.b, w.b...)
		}
		one(onTicker, full, func(w *writer) { w.tickerMessage(m, t, at) })
		one(onMiniTicker, mini, func(w *writer) { w.miniMessage(m, t, at) })
	}
	full.close(']')
	mini.close(']')
	s.allTickers.publish(full.b)
	s.allMini.publish(mini.b)
}

func (w *writer) miniMessage(m *market, t *exchange.Ticker, at int64) {
	d := &t.Day
	w.open('{')
	w.text("e", "24hrMiniTicker")
	w.number("E", at)
	w.text("s", m.Symbol)
	w.scaled("c", d.Prices[3], m.tick())
	w.scaled("o", d.Prices[0], m.tick())
	w.scaled("h", d.Prices[1], m.tick())
	w.scaled("l", d.Prices[2], m.tick())
	w.scaled("v", d.Volume, m.lot())
	w.units("q", d.Quote, m.notional())
	w.close('}')
}

func (w *writer) tickerMessage(m *market, t *exchange.Ticker, at int64) {
	d := &t.Day
	first, last := d.Prices[0], d.Prices[3]
	w.open('{')
	w.text("e", "24hrTicker")
	w.number("E", at)
	w.text("s", m.Symbol)
	w.scaled("p", last-first, m.tick())
	w.name("P")
	w.b = append(appendPercent(append(w.b, '"'), first, last), '"')
	w.average("w", d.Quote, d.Volume, m)
	w.scaled("x", first, m.tick())
	w.scaled("c", last, m.tick())
	w.scaled("Q", 0, m.lot())
	w.scaled("b", t.Bid, m.tick())
	w.scaled("B", t.BidQty, m.lot())
	w.scaled("a", t.Ask, m.tick())
	w.scaled("A", t.AskQty, m.lot())
	w.scaled("o", first, m.tick())
	w.scaled("h", d.Prices[1], m.tick())
	w.scaled("l", d.Prices[2], m.tick())
	w.scaled("v", d.Volume, m.lot())
	w.units("q", d.Quote, m.notional())
	w.number("O", at-dayMillis)
	w.number("C", at)
	w.number("F", tradeOrNone(t.First))
	w.number("L", tradeOrNone(t.Last))
	w.number("n", d.Trades)
	w.close('}')
}

// klineTold is the candle that a stream told last.
type klineTold struct {
	open   exchange.Millis
	trades int64
	closed bool
}

// tellKlines tells the candles that somebody listens to. Each is a question, and strangers decide how many: when they
// take longer than candleTime the others wait for the next second, so that the books, which everybody listens to, do not.
func (s *Server) tellKlines(ctx context.Context, cat *catalogue, now exchange.Millis) {
	began, all := s.o.Clock(), len(cat.markets)*len(intervals)
	for i := range all {
		at := (s.candle + i) % all
		m, interval := cat.markets[at/len(intervals)], at%len(intervals)
		t := s.books.of(m.ID).topics.klines[interval]
		if !t.heard() {
			continue
		}
		if ok := s.tellKline(ctx, t, m, interval, now); !ok || s.o.Clock().Sub(began) > candleTime {
			s.candle = at + 1
			return
		}
	}
}

// tellKline tells a market's candles of an interval that changed, and each once more when its time is over. It reports
// whether the engine answered.
func (s *Server) tellKline(ctx context.Context, t *topic, m *market, interval int, now exchange.Millis) bool {
	question := intervals[interval].question(m.ID)
	question.Since, question.Limit = intervals[interval].lately(now), 2
	answer, ok := s.askQuietly(ctx, exchange.Question{Candles: &question})
	if !ok {
		return false
	}
	for j := range answer.Candles {
		k := &answer.Candles[j]
		told, closed := &t.toldCandle, intervals[interval].end(k.Open) <= now
		if k.Open < told.open || k.Open == told.open && k.Trades == told.trades && closed == told.closed {
			continue
		}
		*told = klineTold{k.Open, k.Trades, closed}
		var w writer
		w.klineMessage(m, interval, k, now)
		t.publish(w.b)
	}
	return true
}

func (w *writer) klineMessage(m *market, interval int, k *exchange.Candle, now exchange.Millis) {
	end := intervals[interval].end(k.Open)
	w.open('{')
	w.text("e", "kline")
	w.number("E", int64(now))
	w.text("s", m.Symbol)
	w.object("k")
	w.number("t", int64(k.Open))
	w.number("T", int64(end)-1)
	w.text("s", m.Symbol)
	w.text("i", intervals[interval].name)
	w.number("f", -1)
	w.number("L", -1)
	w.scaled("o", k.Prices[0], m.tick())
	w.scaled("c", k.Prices[3], m.tick())
	w.scaled("h", k.Prices[1], m.tick())
	w.scaled("l", k.Prices[2], m.tick())
	w.scaled("v", k.Volume, m.lot())
	w.number("n", k.Trades)
	w.flag("x", end <= now)
	w.units("q", k.Quote, m.notional())
	w.scaled("V", k.BuyLots, m.lot())
	w.units("Q", k.BuyQuote, m.notional())
	w.text("B", "0")
	w.close('}')
	w.close('}')
}

// askQuietly asks for a stream. Without an answer the stream is silent this time.
func (s *Server) askQuietly(ctx context.Context, q exchange.Question) (exchange.Answer, bool) {
	ctx, cancel := context.WithTimeout(ctx, min(s.o.Timeout, quietWait))
	defer cancel()
	answer, err := s.o.Engine.Ask(ctx, q)
	return answer, err == nil && answer.Code == exchange.Done
}

// checkQuiet finds out, when no frame came for a while, whether the last ones were lost.
func (s *Server) checkQuiet(ctx context.Context, now time.Time) {
	s.feed.mu.Lock()
	next, quiet := s.feed.next, now.Sub(s.feed.heard) >= quietAfter
	s.feed.mu.Unlock()
	if !quiet {
		return
	}
	answer, ok := s.askQuietly(ctx, exchange.Question{Status: &struct{}{}})
	if ok {
		s.alive.Store(now.UnixMilli())
	}
	if !ok || answer.Status == nil || answer.Status.Seq < next {
		return
	}
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.next == next && answer.Status.Seq >= next {
		s.missed(answer.Status.Seq)
		s.feed.next = answer.Status.Seq + 1
	}
}
