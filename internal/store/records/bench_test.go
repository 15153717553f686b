package records

import (
	"math/rand/v2"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// crowdEvents makes the events of frames in which 100,000 accounts place orders and every second order trades. Nearly
// every event is of another account and order, so that hardly anything of a batch falls together.
func crowdEvents(frames, perFrame int) (pieces [][]byte, events int) {
	random := rand.New(rand.NewPCG(1, 2))
	seq, trades, orders := uint64(0), exchange.TradeID(0), exchange.OrderID(0)
	for range frames {
		var out []byte
		at := exchange.Millis(seq) * 20
		head := func(kind exchange.EventKind) []byte {
			events++
			return exchange.AppendHead(out, kind, seq, at)
		}
		for range perFrame {
			seq, orders = seq+1, orders+1
			o := exchange.OrderRecord{Market: 1, Order: orders, Account: exchange.Account(1 + random.IntN(100_000)), Price: 5000, Qty: 10, Created: at}
			o.Client, _ = exchange.NewClient(exchange.RandomID().String())
			out = o.Append(head(exchange.OrderChanged))
			accounts := []exchange.Account{o.Account}
			if seq%2 == 0 {
				trades++
				maker := exchange.OrderRecord{Market: 1, Order: exchange.OrderID(1 + random.Uint64N(uint64(orders))), Account: exchange.Account(1 + random.IntN(100_000)), Status: exchange.StatusFilled}
				tr := exchange.TradeRecord{Market: 1, Trade: trades, Price: 5000, Qty: 10, Taker: exchange.Half{Order: orders, Account: o.Account, Fee: money.U128{Lo: 7}, FeeAsset: 1},
					Maker: exchange.Half{Order: maker.Order, Account: maker.Account, Fee: money.U128{Lo: 7}, FeeAsset: 2}}
				out = tr.Append(head(exchange.Traded))
				o.Status, o.Executed = exchange.StatusFilled, 10
				out = o.Append(head(exchange.OrderChanged))
				out = maker.Append(head(exchange.OrderChanged))
				accounts = append(accounts, maker.Account)
			}
			for _, account := range accounts {
				b := exchange.BalanceRecord{Account: account, Asset: 1 + exchange.Asset(seq%2), Available: money.U128{Lo: seq}, Held: money.U128{Lo: 5}}
				out = b.Append(head(exchange.BalanceChanged))
			}
		}
		pieces = append(pieces, out)
	}
	return pieces, events
}

// BenchmarkWrite writes pieces of some 1,400 events, as a follower under load does, and prints events and rows a second.
func BenchmarkWrite(b *testing.B) {
	const perFrame = 400
	pieces, events := crowdEvents(250, perFrame)
	measure := func(b *testing.B, o Options) {
		r, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		counted := &counter{database: r.db}
		r.db = counted
		for b.Loop() {
			b.StopTimer()
			if err := r.empty(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			counted.rows = 0
			for i, piece := range pieces {
				if err := r.Write(b.Context(), uint64((i+1)*perFrame), exchange.Millis(i*perFrame*20), piece); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(counted.rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("sqlite", func(b *testing.B) { measure(b, Options{Dir: b.TempDir(), Key: key("one")}) })
	b.Run("postgres", func(b *testing.B) {
		server, err := storetest.Start(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		defer server.Close()
		name, err := server.NewDatabase(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		measure(b, Options{URL: server.URL(name), Key: key("one")})
	})
}
