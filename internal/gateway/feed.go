package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// feed is the gateway's place in the journal. The bus may lose messages: a number that does not follow means that
// events were missed, and then everything that was built from them is asked for anew.
type feed struct {
	mu     sync.Mutex
	next   uint64 // the command that has to come next; zero before the first
	heard  time.Time
	event  exchange.Event
	trade  exchange.TradeRecord // the last one: the changes of its two orders follow it
	books  []*book              // with levels in this frame
	people map[exchange.Account]*writer
}

// Events takes what the commands first..last of the journal caused, in the order of the journal. Frames without events
// must be given too: a gap in the numbers makes the gateway ask for the books anew.
func (s *Server) Events(first, last uint64, events []byte) {
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = s.o.Clock()
	s.alive.Store(f.heard.UnixMilli())
	switch {
	case last < first || f.next != 0 && last < f.next:
		return // heard before
	case first < f.next: // nothing that this gateway can place: what it holds is compared with the engine's
		s.missed(f.next - 1)
		return
	case first > f.next:
		s.missed(first - 1)
	}
	f.next = last + 1
	for len(events) > 0 {
		rest, err := f.event.Read(events)
		if err != nil {
			s.o.Log.Error("events that cannot be read: the books are asked for anew", "first", first, "last", last)
			s.missed(last)
			break
		}
		s.takeEvent(&f.event)
		events = rest
	}
	for _, b := range f.books {
		s.settle(b, last)
	}
	f.books = f.books[:0]
	for account, w := range f.people {
		w.close(']')
		w.close('}')
		s.users.send(account, w.b)
	}
	clear(f.people)
	s.recent.reach(last)
}

// Missed says that events may have been lost, nobody knows how many: what was built from them is asked for anew.
func (s *Server) Missed() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.next != 0 {
		s.missed(s.feed.next - 1)
	}
}

// takeEvent takes one event of the frame.
func (s *Server) takeEvent(e *exchange.Event) {
	switch e.Kind {
	case exchange.Traded:
		s.feed.trade = e.Trade
		s.fills.note(&e.Trade)
		s.tellTrade(e)
	case exchange.OrderChanged:
		s.heard.note(e.Order.Account, e.Seq)
		s.recent.note(e)
		if s.users.hears(e.Order.Account) {
			s.tellOrder(e)
		}
	case exchange.LevelChanged:
		if b := s.books.of(e.Level.Market); b != nil {
			if len(b.frame) == 0 {
				s.feed.books = append(s.feed.books, b)
			}
			b.frame = append(b.frame, e.Level)
		}
	case exchange.BalanceChanged:
		s.heard.note(e.Balance.Account, e.Seq)
		if s.users.hears(e.Balance.Account) {
			s.tellBalance(e)
		}
	case exchange.RecordChanged:
		s.tellRecord(e)
	}
}

// settle applies a frame's levels to a book and tells its best prices when they moved.
func (s *Server) settle(b *book, last uint64) {
	if b.apply(last, b.frame) {
		s.work.Go(func() { s.refill(b) })
	}
	b.frame = b.frame[:0]
	m := s.catalogue.Load().byID[b.id]
	if m == nil {
		return
	}
	s.tellFrame(b, m)
	if !b.topics.of[onBookTicker].heard() {
		return
	}
	bid, ask := b.best()
	if b.top == [2]exchange.LevelRecord{bid, ask} {
		return
	}
	b.top = [2]exchange.LevelRecord{bid, ask}
	var w writer
	w.open('{')
	w.number("u", int64(last))
	w.text("s", m.Symbol)
	w.scaled("b", bid.Price, m.tick())
	w.scaled("B", bid.Qty, m.lot())
	w.scaled("a", ask.Price, m.tick())
	w.scaled("A", ask.Qty, m.lot())
	w.close('}')
	b.topics.of[onBookTicker].publish(w.b)
}

// tellFrame tells what a frame changed in a book. Its caller holds the feed's lock, so that messages go out in order.
func (s *Server) tellFrame(b *book, m *market) {
	t := b.topics.of[onDepth0]
	if !t.heard() {
		return
	}
	if msg := b.update(&b.each, m, s.o.Clock().UnixMilli()); msg != nil {
		t.publish(msg)
	}
}

func (s *Server) tellTrade(e *exchange.Event) {
	b := s.books.of(e.Trade.Market)
	if b == nil {
		return
	}
	missing := b.lastTrade != 0 && e.Trade.Trade > b.lastTrade+1
	from := b.lastTrade + 1
	b.lastTrade = e.Trade.Trade
	single, agg := b.topics.of[onTrade], b.topics.of[onAggTrade]
	if !single.heard() && !agg.heard() {
		return
	}
	m := s.catalogue.Load().byID[b.id]
	if m == nil {
		return
	}
	if missing {
		s.catchUp(b, m, from, e)
	}
	publishTrade(b, m, e)
}

func publishTrade(b *book, m *market, e *exchange.Event) {
	if t := b.topics.of[onTrade]; t.heard() {
		var w writer
		w.tradeMessage(m, e)
		t.publish(w.b)
	}
	if t := b.topics.of[onAggTrade]; t.heard() {
		var w writer
		w.aggMessage(m, e)
		t.publish(w.b)
	}
}

// catchUp tells the trades that were missed, in their order, before the one that showed it.
func (s *Server) catchUp(b *book, m *market, from exchange.TradeID, e *exchange.Event) {
	ctx, cancel := context.WithTimeout(s.closing, s.o.Timeout)
	defer cancel()
	answer, err := s.o.Engine.Ask(ctx, exchange.Question{After: e.Seq - 1, Trades: &exchange.TradesQuestion{Market: b.id, From: from, Limit: ordersMost}})
	if err != nil || answer.Code != exchange.Done {
		return
	}
	for i := range answer.Trades {
		t := &answer.Trades[i]
		if t.Trade >= from && t.Trade < e.Trade.Trade {
			publishTrade(b, m, &exchange.Event{At: t.At, Trade: exchange.TradeRecord{Market: b.id, Trade: t.Trade, Price: t.Price, Qty: t.Qty, TakerSide: t.TakerSide}})
		}
	}
}

func (s *Server) tellOrder(e *exchange.Event) {
	cat := s.catalogue.Load()
	m := cat.byID[e.Order.Market]
	if m == nil {
		return
	}
	var fee exchange.AssetInfo
	if half, _ := halfOf(&e.Order, &s.feed.trade); half != nil {
		fee = cat.asset[half.FeeAsset]
	}
	var w writer
	w.executionReport(m, e, &s.feed.trade, fee)
	s.users.send(e.Order.Account, w.b)
}

// tellBalance collects the balances of an account, which are told together at the end of the frame.
func (s *Server) tellBalance(e *exchange.Event) {
	asset, known := s.catalogue.Load().asset[e.Balance.Asset]
	if !known {
		return
	}
	w := s.feed.people[e.Balance.Account]
	if w == nil {
		w = &writer{}
		w.open('{')
		w.text("e", "outboundAccountPosition")
		w.number("E", int64(e.At))
		w.number("u", int64(e.At))
		w.array("B")
		s.feed.people[e.Balance.Account] = w
	}
	w.open('{')
	w.text("a", asset.Symbol)
	w.units("f", e.Balance.Available, int(asset.Decimals))
	w.units("l", e.Balance.Held, int(asset.Decimals))
	w.close('}')
}

// tellRecord takes what changes rarely: keys are forgotten, the catalogue is read again, money that came or went is told.
func (s *Server) tellRecord(e *exchange.Event) {
	switch e.Record {
	case exchange.KeyRecord:
		info, err := exchange.DecodeBody[exchange.KeyInfo](e.Body)
		s.keys.drop(info.Key) // all of them when it cannot be read
		if err != nil || info.Revoked {
			s.users.end(info.Key, "the API key was revoked")
			s.sessions.end(func(in *session) bool { return in.key == info.Key || err != nil }, "the API key was revoked")
		}
	case exchange.AccountRecord:
		if a, err := exchange.DecodeBody[exchange.AccountInfo](e.Body); err != nil || a.State != exchange.AccountActive {
			s.sessions.end(func(in *session) bool { return in.account == a.ID || err != nil }, "the account was frozen")
		}
	case exchange.AssetRecord, exchange.MarketRecord:
		s.reload(e.Seq)
	case exchange.DepositRecord:
		if d, err := exchange.DecodeBody[exchange.DepositInfo](e.Body); err == nil && s.users.hears(d.Account) {
			s.tellMove(e, d.Account, d.Asset, "", d.Amount)
		}
	case exchange.WithdrawalRecord:
		if v, err := exchange.DecodeBody[exchange.WithdrawalInfo](e.Body); err == nil && v.State == exchange.WithdrawalSettled && s.users.hears(v.Account) {
			s.tellMove(e, v.Account, v.Asset, "-", v.Amount)
		}
	}
}

// missed says that events up to a number did not come.
func (s *Server) missed(upTo uint64) {
	first := s.feed.next == 0
	s.keys.drop("")
	if !first {
		s.gaps.Inc()
		s.o.Log.Warn("events were missed: books, keys and catalogue are asked for anew", "upto", upTo)
		const why = "events were missed: come again and ask for your orders and balances"
		s.users.end("", why)
		s.sessions.end(func(*session) bool { return true }, why)
	}
	s.reload(upTo)
	for _, b := range s.books.all() {
		s.missedBook(b, upTo)
	}
}

func (s *Server) missedBook(b *book, upTo uint64) {
	if b.lose(upTo) {
		s.work.Go(func() { s.resync(b) })
	}
}

// reload asks for the catalogue, in the background.
func (s *Server) reload(seq uint64) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.closing, s.o.Timeout)
		defer cancel()
		if err := s.loadCatalogue(ctx, seq); err != nil && !errors.Is(err, context.Canceled) {
			s.o.Log.Error("the catalogue could not be read again", "error", err)
			s.stale.Store(true)
			return
		}
		for _, b := range s.books.all() {
			if !b.isKnown() {
				s.missedBook(b, seq)
			}
		}
	})
}

func (b *book) isKnown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

// resync asks for a book until the answer knows what was missed.
func (s *Server) resync(b *book) {
	for s.closing.Err() == nil {
		ctx, cancel := context.WithTimeout(s.closing, s.o.Timeout)
		answer, err := s.o.Engine.Ask(ctx, exchange.Question{After: b.wanted(), Depth: &exchange.DepthQuestion{Market: b.id, Limit: mirrorLevels}})
		cancel()
		if err == nil && answer.Code == exchange.Done {
			done, torn := b.load(&answer)
			if torn {
				for _, kind := range [...]topicKind{onDepth, onDepth1000, onDepth100, onDepth0} {
					b.topics.of[kind].drop("the book was asked for anew and is deeper than what is known of it: take a new snapshot")
				}
			}
			if done {
				return
			}
		}
		select {
		case <-s.closing.Done():
		case <-time.After(resyncPause):
		}
	}
}

// refill asks for a book that has become short, of which nothing was missed: its streams go on meanwhile. The answer is
// taken when all that it knows was heard here too, so that pictures and streams stay at the same command.
func (s *Server) refill(b *book) {
	for s.closing.Err() == nil {
		ctx, cancel := context.WithTimeout(s.closing, s.o.Timeout)
		answer, err := s.o.Engine.Ask(ctx, exchange.Question{After: b.wanted(), Depth: &exchange.DepthQuestion{Market: b.id, Limit: mirrorLevels}})
		heard := err == nil && answer.Code == exchange.Done && s.recent.wait(ctx, answer.Seq)
		cancel()
		if heard && b.refill(&answer) {
			return
		}
		if err == nil && !heard {
			b.refilled() // the next frame that finds it short begins again
			return
		}
		select {
		case <-s.closing.Done():
		case <-time.After(resyncPause):
		}
	}
}

const resyncPause = 50 * time.Millisecond
