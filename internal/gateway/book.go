package gateway

import (
	"sync"

	"github.com/coldsign/coldsign/internal/exchange"
)

// mirrorLevels is how many levels of each side are asked for: as many as the engine tells at a time, and as a client may
// ask for. Behind them the mirror knows nothing, so a picture that would reach there is the engine's own. The streams of
// changes tell every level, because an event holds the whole quantity of its price.
const mirrorLevels = 5000

// mirrorLow is how many known levels are too few when there are more beyond them.
const mirrorLow = 1024

// book is a mirror of one market's book. Its number is the journal number of the last command that changed it, so every
// gateway gives the same picture the same number, and a picture and the stream of its changes fit together.
type book struct {
	topics topics
	id     exchange.Market

	// Of the feed alone; see feed.go.
	frame     []exchange.LevelRecord // levels of the frame that is being read
	lastTrade exchange.TradeID

	mu      sync.Mutex
	known   bool   // it was loaded once
	live    bool   // events are applied as they come; otherwise they wait
	syncing bool   // somebody asks for it because events were missed
	refills bool   // somebody asks for it because it is short; nothing was missed
	after   uint64 // what the answer must know
	base    uint64 // what the last answer knew
	seq     uint64
	bids    side
	asks    side
	waiting []frameLevels
	each    delta // of depth@0ms
	fast    delta // of depth@100ms
	slow    delta // of depth
	top     [2]exchange.LevelRecord
}

// frameLevels are levels that wait until the book was loaded.
type frameLevels struct {
	last   uint64
	levels []exchange.LevelRecord
}

// side holds levels from the worst to the best: what changes most often stands at the end.
type side struct {
	sell   bool
	levels []exchange.LevelRecord
	edge   int64 // the worst known price when there are more behind it; zero: all are known
}

// worse reports whether price a is worse than b.
func (s *side) worse(a, b int64) bool {
	if s.sell {
		return a > b
	}
	return a < b
}

// set changes one level; a price behind the edge is not known and stays so.
func (s *side) set(l exchange.LevelRecord) {
	if s.edge != 0 && s.worse(l.Price, s.edge) {
		return
	}
	lo, hi := 0, len(s.levels)
	for lo < hi {
		mid := (lo + hi) / 2
		if s.worse(s.levels[mid].Price, l.Price) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	found := lo < len(s.levels) && s.levels[lo].Price == l.Price
	switch {
	case found && l.Qty == 0:
		s.levels = append(s.levels[:lo], s.levels[lo+1:]...)
	case found:
		s.levels[lo].Qty = l.Qty
	case l.Qty != 0:
		s.levels = append(s.levels, exchange.LevelRecord{})
		copy(s.levels[lo+1:], s.levels[lo:])
		s.levels[lo] = l
	}
}

// short reports whether there are more levels than are known, and few that are.
func (s *side) short() bool { return s.edge != 0 && len(s.levels) < mirrorLow }

func (s *side) qty(price int64) int64 {
	lo, hi := 0, len(s.levels)
	for lo < hi {
		mid := (lo + hi) / 2
		if s.worse(s.levels[mid].Price, price) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(s.levels) && s.levels[lo].Price == price {
		return s.levels[lo].Qty
	}
	return 0
}

func (s *side) best() exchange.LevelRecord {
	if n := len(s.levels); n > 0 {
		return s.levels[n-1]
	}
	return exchange.LevelRecord{}
}

// load replaces the levels by an answer, best first.
func (s *side) load(levels []exchange.LevelRecord) {
	s.levels, s.edge = s.levels[:0], 0
	for i := len(levels) - 1; i >= 0; i-- {
		s.levels = append(s.levels, levels[i])
	}
	if len(levels) >= mirrorLevels {
		s.edge = levels[len(levels)-1].Price
	}
}

func (b *book) side(s exchange.Side) *side {
	if s == exchange.Sell {
		return &b.asks
	}
	return &b.bids
}

// delta is what changed in a book since it was last told.
type delta struct {
	on    bool
	from  uint64          // the first number of the next update
	moved map[int64]int64 // what a price has now; in the key's lowest bit the side
}

func (d *delta) note(l exchange.LevelRecord) {
	if d.on {
		d.moved[l.Price<<1|int64(l.Side)] = l.Qty
	}
}

// forget begins behind a number: those who listened begin anew.
func (d *delta) forget(seq uint64) {
	d.from = seq + 1
	clear(d.moved)
}

// listen starts or stops counting. The first update that is told begins behind what a picture taken now knows.
func (d *delta) listen(on bool, seq uint64) {
	if on == d.on {
		return
	}
	d.on = on
	if d.moved == nil {
		d.moved = make(map[int64]int64)
	}
	d.forget(seq)
}

func (b *book) deltas() [3]*delta { return [...]*delta{&b.each, &b.fast, &b.slow} }

// apply takes the levels of one frame. It reports whether the book has become short, so that the caller has to ask for
// it again.
func (b *book) apply(last uint64, levels []exchange.LevelRecord) (short bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.live || b.refills {
		if len(b.waiting) < waitingMax {
			b.waiting = append(b.waiting, frameLevels{last, append([]exchange.LevelRecord(nil), levels...)})
		} else {
			b.after = max(b.after, last) // too much was missed: what is asked for must know it
			b.waiting = b.waiting[:0]
		}
	}
	if !b.live {
		return false
	}
	b.take(last, levels)
	if b.refills || !b.bids.short() && !b.asks.short() {
		return false
	}
	b.refills, b.after = true, max(b.after, last)
	return true
}

// refill takes an answer for a book that is short. Every frame that the answer knows was heard, and those behind it wait.
// It reports false when the answer is older than what is needed by now.
func (b *book) refill(a *exchange.Answer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refills {
		return true // events were missed meanwhile, and that is being mended
	}
	if a.Seq < b.after {
		return false
	}
	b.bids.load(a.Bids)
	b.asks.load(a.Asks)
	for _, f := range b.waiting {
		if f.last > a.Seq {
			for _, l := range f.levels {
				b.side(l.Side).set(l) // the streams have told it
			}
		}
	}
	b.refills, b.waiting = false, nil
	return true
}

func (b *book) refilled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refills, b.waiting = false, nil
}

// waitingMax is how many frames wait for an answer before they are given up and asked for.
const waitingMax = 4096

func (b *book) take(last uint64, levels []exchange.LevelRecord) {
	if last <= b.base {
		return
	}
	for _, l := range levels {
		b.side(l.Side).set(l)
		b.noteAll(l)
	}
	b.seq = last
}

// lose says that events up to a number were missed. It reports whether the book has to be asked for by the caller.
func (b *book) lose(upTo uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live && b.base >= upTo {
		return false
	}
	b.live, b.refills, b.after = false, false, max(b.after, upTo)
	b.waiting = b.waiting[:0]
	if b.syncing {
		return false
	}
	b.syncing = true
	return true
}

func (b *book) wanted() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.after
}

// load takes an answer. It reports false when the answer is older than what is needed by now. torn says that levels
// that nobody knows lie behind the edge, so that listeners must begin anew.
func (b *book) load(a *exchange.Answer) (done, torn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Seq < b.after {
		return false, false
	}
	torn = b.known && (b.bids.edge != 0 || b.asks.edge != 0)
	old := [2]side{{levels: append([]exchange.LevelRecord(nil), b.bids.levels...)}, {sell: true, levels: append([]exchange.LevelRecord(nil), b.asks.levels...)}}
	b.bids.load(a.Bids)
	b.asks.sell = true
	b.asks.load(a.Asks)
	torn = torn || b.known && (b.bids.edge != 0 || b.asks.edge != 0)
	for i, now := range [...]*side{&b.bids, &b.asks} {
		if !torn {
			b.noteDifference(&old[i], now, exchange.Side(i))
		}
	}
	if torn {
		for _, d := range b.deltas() {
			d.forget(a.Seq)
		}
	}
	b.base, b.seq, b.known, b.live, b.syncing = a.Seq, a.Seq, true, true, false
	for _, f := range b.waiting {
		b.take(f.last, f.levels)
	}
	b.waiting = nil
	return true, torn
}

// noteDifference makes the streams tell what changed while nobody listened.
func (b *book) noteDifference(old, now *side, s exchange.Side) {
	for _, l := range old.levels {
		if now.qty(l.Price) != l.Qty {
			l.Side, l.Qty = s, now.qty(l.Price)
			b.noteAll(l)
		}
	}
	for _, l := range now.levels {
		if old.qty(l.Price) == 0 {
			l.Side = s
			b.noteAll(l)
		}
	}
}

func (b *book) noteAll(l exchange.LevelRecord) {
	for _, d := range b.deltas() {
		d.note(l)
	}
}

// best returns the best level of each side; zero where there is none.
func (b *book) best() (bid, ask exchange.LevelRecord) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bids.best(), b.asks.best()
}

// depth writes a picture of n levels, and reports whether there is one. whole is false, and nothing is written, when it
// would need levels that are not known here.
func (b *book) depth(w *writer, m *market, n int) (known, whole bool) {
	if b == nil {
		return false, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known || !b.bids.reaches(n) || !b.asks.reaches(n) {
		return b.known, false
	}
	w.open('{')
	w.number("lastUpdateId", int64(b.seq))
	w.levels("bids", &b.bids, m, n)
	w.levels("asks", &b.asks, m, n)
	w.close('}')
	return true, true
}

// reaches reports whether the n best levels are known.
func (s *side) reaches(n int) bool { return s.edge == 0 || len(s.levels) >= n }

func (w *writer) levels(name string, s *side, m *market, n int) {
	w.array(name)
	for i := len(s.levels) - 1; i >= 0 && n > 0; i, n = i-1, n-1 {
		w.level(s.levels[i].Price, s.levels[i].Qty, m)
	}
	w.close(']')
}

func (w *writer) level(price, qty int64, m *market) {
	w.open('[')
	w.itemScaled(price, m.tick())
	w.itemScaled(qty, m.lot())
	w.close(']')
}
