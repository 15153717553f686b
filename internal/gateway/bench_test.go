package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// stub answers at once, so that what is measured is the gateway.
type stub struct{ info exchange.KeyInfo }

func (s *stub) Do(_ context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	for i := range cmds {
		out[i] = exchange.Outcome{ID: cmds[i].ID, Seq: 1, At: 1, Order: 1}
	}
	return nil
}

func (s *stub) Ask(_ context.Context, q exchange.Question) (exchange.Answer, error) {
	switch {
	case q.Key != nil:
		return exchange.Answer{Key: &s.info}, nil
	case q.Catalogue != nil:
		return exchange.Answer{Assets: []exchange.AssetInfo{{ID: 1, Symbol: "BTC", Decimals: 8}, {ID: 2, Symbol: "USDT", Decimals: 8}},
			Markets: []exchange.MarketInfo{{ID: 1, Symbol: "BTCUSDT", Base: 1, Quote: 2, TickDecimals: 2, LotDecimals: 5}}}, nil
	}
	return exchange.Answer{}, nil
}

// sink takes an answer as net/http does, without the network.
type sink struct {
	h      http.Header
	failed int
}

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int) {
	if status != http.StatusOK {
		s.failed++
	}
}

func benchmarkOrder(b *testing.B, kind string) {
	tr := &trader{name: fmt.Sprintf("%064d", 1), secret: "secret"}
	info := exchange.KeyInfo{Key: tr.name, Account: 1, Kind: kind, Scopes: all, Secret: []byte(tr.secret)}
	if kind == "ed25519" {
		info.Secret = tr.keyBody(nil, kind, all, nil).Secret
	}
	now := time.UnixMilli(1767225600000)
	s, err := New(Options{Engine: &stub{info}, Limits: open{}, Clock: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.loadCatalogue(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	queries := make([]string, b.N)
	for i := range queries {
		queries[i] = tr.sign(limitBuy+"&newClientOrderId=x"+strconv.Itoa(i)+"&recvWindow=5000", now)
	}
	w := &sink{h: http.Header{}}
	q := raw("POST", "/api/v3/order", "", tr.name)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%200_000 == 199_999 {
			s.replayed = newReplayed() // all have one timestamp here
		}
		clear(w.h)
		q.URL.RawQuery = queries[i]
		s.serve(w, q)
	}
	if w.failed > 0 {
		b.Fatalf("%d of %d orders failed", w.failed, b.N)
	}
}

func BenchmarkOrderHMAC(b *testing.B)    { benchmarkOrder(b, "hmac") }
func BenchmarkOrderEd25519(b *testing.B) { benchmarkOrder(b, "ed25519") }

// Every gateway reads every event of every market, listeners or not.
func BenchmarkEventsOfAnOrder(b *testing.B) {
	s, err := New(Options{Engine: &stub{}, Limits: open{}})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.loadCatalogue(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	s.books.of(1).load(&exchange.Answer{})
	s.feed.next = 1
	const perFrame = 64
	b.ReportAllocs()
	var events []byte
	for i := 0; b.Loop(); i++ {
		seq := uint64(i + 1)
		o := exchange.OrderRecord{Market: 1, Order: exchange.OrderID(seq), Account: 1, Price: 5_000_000 + int64(i%400), Qty: 1}
		l := exchange.LevelRecord{Market: 1, Price: o.Price, Qty: int64(i%7) + 1}
		balance := exchange.BalanceRecord{Account: 1, Asset: 2}
		events = o.Append(exchange.AppendHead(events, exchange.OrderChanged, seq, 1))
		events = l.Append(exchange.AppendHead(events, exchange.LevelChanged, seq, 1))
		events = balance.Append(exchange.AppendHead(events, exchange.BalanceChanged, seq, 1))
		if seq%perFrame == 0 {
			s.Events(seq-perFrame+1, seq, events)
			events = events[:0]
		}
	}
}
