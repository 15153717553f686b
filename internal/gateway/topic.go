package gateway

import (
	"strings"
	"sync"
	"sync/atomic"
)

// topicKind is a stream that every market has.
type topicKind uint8

const (
	onTrade topicKind = iota
	onAggTrade
	onBookTicker
	onTicker
	onMiniTicker
	onDepth
	onDepth1000
	onDepth100
	onDepth0
	onDepth5
	onDepth10
	onDepth20
	onDepth5Fast
	onDepth10Fast
	onDepth20Fast
	topicKinds
)

// topicNames are the streams' names behind the symbol.
var topicNames = [topicKinds]string{"trade", "aggTrade", "bookTicker", "ticker", "miniTicker", "depth", "depth@1000ms", "depth@100ms", "depth@0ms", "depth5", "depth10",
	"depth20", "depth5@100ms", "depth10@100ms", "depth20@100ms"}

// topic is one stream and who listens to it.
type topic struct {
	name  string
	count atomic.Int32 // read without the lock, so that what nobody listens to costs nothing
	mu    sync.Mutex
	conns map[*conn]struct{}

	// Of the timer alone: what was told last.
	toldSeq    uint64
	toldCandle klineTold
}

func newTopic(name string) *topic { return &topic{name: name, conns: map[*conn]struct{}{}} }

// topics are all streams of one market.
type topics struct {
	of     [topicKinds]*topic
	klines [len(intervals)]*topic
}

func newTopics(lower string) topics {
	var t topics
	for i, n := range topicNames {
		t.of[i] = newTopic(lower + "@" + n)
	}
	for i := range intervals {
		t.klines[i] = newTopic(lower + "@kline_" + intervals[i].name)
	}
	return t
}

func (t *topics) find(name string) *topic {
	if k, is := strings.CutPrefix(name, "kline_"); is {
		for i := range intervals {
			if intervals[i].name == k {
				return t.klines[i]
			}
		}
		return nil
	}
	for i, n := range topicNames {
		if n == name {
			return t.of[i]
		}
	}
	return nil
}

func (t *topic) heard() bool { return t.count.Load() > 0 }

func (t *topic) join(c *conn) {
	t.mu.Lock()
	t.conns[c] = struct{}{}
	t.count.Store(int32(len(t.conns)))
	t.mu.Unlock()
}

func (t *topic) leave(c *conn) {
	t.mu.Lock()
	delete(t.conns, c)
	t.count.Store(int32(len(t.conns)))
	t.mu.Unlock()
}

// publish sends a message to all who listen. The bytes are shared and never changed.
func (t *topic) publish(data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wrapped []byte
	for c := range t.conns {
		if !c.combined {
			c.send(data)
			continue
		}
		if wrapped == nil {
			wrapped = wrap(t.name, data)
		}
		c.send(wrapped)
	}
}

// wrap is the form of combined streams.
func wrap(name string, data []byte) []byte {
	w := writer{b: make([]byte, 0, len(data)+len(name)+24)}
	w.open('{')
	w.text("stream", name)
	w.name("data")
	w.b = append(w.b, data...)
	w.close('}')
	return w.b
}

// drop ends all connections that listen, so that they begin anew.
func (t *topic) drop(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.end(why)
	}
}

// stream finds a stream by name. The book is nil for those of all markets.
func (s *Server) stream(name string) (*topic, *book) {
	switch name {
	case "!ticker@arr":
		return s.allTickers, nil
	case "!miniTicker@arr":
		return s.allMini, nil
	}
	symbol, kind, found := strings.Cut(name, "@")
	cat := s.catalogue.Load()
	if !found || cat == nil {
		return nil, nil
	}
	m := cat.byLower[symbol]
	if m == nil {
		return nil, nil
	}
	b := s.books.of(m.ID)
	return b.topics.find(kind), b
}

// attend starts or stops counting a book's changes when the first listener came or the last one left.
func (b *book) attend() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.each.listen(b.topics.of[onDepth0].heard(), b.seq)
	b.fast.listen(b.topics.of[onDepth100].heard(), b.seq)
	b.slow.listen(b.topics.of[onDepth].heard() || b.topics.of[onDepth1000].heard(), b.seq)
}
