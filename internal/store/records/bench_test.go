package records

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

// orderEvents makes the events of frames in which so many accounts place orders with names and every second order
// trades with any order before it. With 100,000 accounts nearly every event is of another account and order, so that
// hardly anything of a batch falls together.
func orderEvents(accounts, frames, perFrame int) (pieces [][]byte, events int) {
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
			o := exchange.OrderRecord{Market: 1, Order: orders, Account: exchange.Account(1 + random.IntN(accounts)), Price: 5000, Qty: 10, Created: at}
			o.Client, _ = exchange.NewClient(exchange.RandomID().String())
			out = o.Append(head(exchange.OrderChanged))
			changed := []exchange.Account{o.Account}
			if seq%2 == 0 {
				trades++
				maker := exchange.OrderRecord{Market: 1, Order: exchange.OrderID(1 + random.Uint64N(uint64(orders))), Account: exchange.Account(1 + random.IntN(accounts)), Status: exchange.StatusFilled}
				tr := exchange.TradeRecord{Market: 1, Trade: trades, Price: 5000, Qty: 10, Taker: exchange.Half{Order: orders, Account: o.Account, Fee: money.U128{Lo: 7}, FeeAsset: 1},
					Maker: exchange.Half{Order: maker.Order, Account: maker.Account, Fee: money.U128{Lo: 7}, FeeAsset: 2}}
				out = tr.Append(head(exchange.Traded))
				o.Status, o.Executed = exchange.StatusFilled, 10
				out = o.Append(head(exchange.OrderChanged))
				out = maker.Append(head(exchange.OrderChanged))
				changed = append(changed, maker.Account)
			}
			for _, account := range changed {
				b := exchange.BalanceRecord{Account: account, Asset: 1 + exchange.Asset(seq%2), Available: money.U128{Lo: seq}, Held: money.U128{Lo: 5}}
				out = b.Append(head(exchange.BalanceChanged))
			}
		}
		pieces = append(pieces, out)
	}
	return pieces, events
}

// BenchmarkWrite writes pieces of some 1,400 events as fast as they are taken, as a follower that catches up does, and
// prints events and rows a second.
func BenchmarkWrite(b *testing.B) {
	const perFrame = 400
	pieces, events := orderEvents(100_000, 250, perFrame)
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
			if err := r.Flush(b.Context()); err != nil {
				b.Fatal(err)
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

// BenchmarkPaced tells orders at the pace of an exchange that takes 20,000 a second in frames of 18, and prints what an
// order takes: processor time of this process and of the database's server, rows, and bytes that were written.
func BenchmarkPaced(b *testing.B) {
	const perFrame, perSecond, seconds = 18, 20_000, 4
	measure := func(b *testing.B, o Options, accounts, server int) {
		r, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		pieces, _ := orderEvents(accounts, seconds*perSecond/perFrame, perFrame)
		counted := &counter{database: r.db}
		r.db = counted
		before, start := spent(b, server), time.Now()
		for i, piece := range pieces {
			time.Sleep(time.Until(start.Add(time.Duration(i*perFrame) * time.Second / perSecond)))
			if err := r.Write(b.Context(), uint64((i+1)*perFrame), exchange.Millis(i*perFrame*20), piece); err != nil {
				b.Fatal(err)
			}
		}
		late := time.Since(start) - seconds*time.Second
		if server != 0 { // the server's part ends before the connection does
			if _, err := r.Last(b.Context()); err != nil {
				b.Fatal(err)
			}
		} else if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		after, orders := spent(b, server), float64(len(pieces)*perFrame)
		b.ReportMetric(float64(after.cpu-before.cpu)/1000/orders, "cpu-us/order")
		b.ReportMetric(float64(after.written-before.written)/orders, "bytes/order")
		b.ReportMetric(float64(counted.rows)/orders, "rows/order")
		b.ReportMetric(float64(counted.commits)/seconds, "commits/s")
		b.ReportMetric(float64(late.Milliseconds()), "late-ms")
		b.ReportMetric(float64(counted.longest.Milliseconds()), "longest-ms")
		r.Close()
	}
	for _, accounts := range []int{64, 100_000} {
		b.Run(fmt.Sprintf("sqlite/accounts=%d", accounts), func(b *testing.B) {
			measure(b, Options{Dir: b.TempDir(), Key: key("one")}, accounts, 0)
		})
		b.Run(fmt.Sprintf("postgres/accounts=%d", accounts), func(b *testing.B) {
			server, err := storetest.Start(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			name, err := server.NewDatabase(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			measure(b, Options{URL: server.URL(name), Key: key("one")}, accounts, server.PID)
		})
	}
}

// used is what processes have used since they began.
type used struct {
	cpu     time.Duration
	written uint64
}

// spent counts this process, and a server with its children.
func spent(b *testing.B, server int) (u used) {
	b.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if parent, _ := strconv.Atoi(fields[1]); pid != os.Getpid() && (server == 0 || pid != server && parent != server) {
			continue
		}
		for _, ticks := range fields[11:13] {
			n, _ := strconv.ParseInt(ticks, 10, 64)
			u.cpu += time.Duration(n) * 10 * time.Millisecond
		}
		raw, _ = os.ReadFile(filepath.Join(filepath.Dir(path), "io"))
		for line := range strings.Lines(string(raw)) {
			if after, found := strings.CutPrefix(line, "wchar: "); found {
				n, _ := strconv.ParseUint(strings.TrimSpace(after), 10, 64)
				u.written += n
			}
		}
	}
	return u
}
