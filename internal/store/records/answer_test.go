package records

import (
	"context"
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

var huge = money.U128{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

// rare returns events of the records that a story cannot make without a blockchain, after its last command.
func rare(s *story) (events []byte) {
	add := func(kind exchange.Record, body any) {
		events = exchange.AppendRecord(exchange.AppendHead(events, exchange.RecordChanged, s.State.Seq()+1, s.Now), kind, enginetest.Body(body))
	}
	for i := range uint64(5) {
		at := s.Now + exchange.Millis(i)
		add(exchange.DepositAddressRecord, exchange.DepositAddressInfo{Account: 1, Asset: 1, Index: uint32(i), Address: fmt.Sprint("bcrt1q", marker, i), At: at})
		add(exchange.DepositRecord, exchange.DepositInfo{Number: i + 1, Account: 1, Asset: exchange.Asset(1 + i%2), Amount: huge, TxID: marker, Output: 3, Address: "bcrt1q" + marker, Height: 9, At: at})
		add(exchange.WithdrawalRecord, exchange.WithdrawalInfo{Number: i + 1, Account: 1, Asset: 1, Amount: huge, Fee: money.U128{Lo: i}, Address: "bcrt1q" + marker,
			Client: fmt.Sprint("w", i), Created: at, Changed: at})
		add(exchange.AddressRecord, exchange.AddressInfo{Account: 1, Asset: 1, Address: fmt.Sprint("bcrt1q", marker, i), Label: marker, Added: at, Usable: at + 1, Removed: i == 3})
	}
	add(exchange.WithdrawalRecord, exchange.WithdrawalInfo{Number: 2, Account: 1, Asset: 1, Amount: huge, Fee: money.U128{Lo: 1}, Address: "bcrt1q" + marker,
		Client: "w1", State: exchange.WithdrawalSettled, TxID: marker, Reason: marker + " paid", Created: s.Now + 1, Changed: s.Now + 9})
	return events
}

func ask(t testing.TB, r *Records, q exchange.Question) exchange.Answer {
	t.Helper()
	a, err := r.Answer(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// told is what the events of a story say, kept in the simplest way.
type told struct {
	orders map[exchange.OrderID]exchange.OrderView
	trades []exchange.TradeRecord
	times  []exchange.Millis
}

func listen(t testing.TB, s *story) told {
	out := told{orders: map[exchange.OrderID]exchange.OrderView{}}
	for _, raw := range s.events {
		var e exchange.Event
		for len(raw) > 0 {
			var err error
			if raw, err = e.Read(raw); err != nil {
				t.Fatal(err)
			}
			switch e.Kind {
			case exchange.Traded:
				out.trades, out.times = append(out.trades, e.Trade), append(out.times, e.At)
			case exchange.OrderChanged:
				o := e.Order
				out.orders[o.Order] = exchange.OrderView{Market: o.Market, Order: o.Order, Account: o.Account, Side: o.Side, Type: o.Type, Force: o.Force, SelfTrade: o.SelfTrade,
					Status: o.Status, Price: o.Price, Stop: o.Stop, Qty: o.Qty, Show: o.Show, QuoteMax: o.QuoteMax, Executed: o.Executed, Quote: o.Quote, Expire: o.Expire,
					Created: o.Created, Changed: e.At, Client: o.Client.String()}
			}
		}
	}
	return out
}

// of returns the account's orders, by rising identity.
func (d told) of(account exchange.Account) (out []exchange.OrderView) {
	for id := exchange.OrderID(1); id <= exchange.OrderID(len(d.orders)+1000); id++ {
		if o, ok := d.orders[id]; ok && o.Account == account {
			out = append(out, o)
		}
	}
	return out
}

func claimOrderHistory(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 11).steps(150)
	s.write(t, r)
	account := s.traders[1]
	own := listen(t, s).of(account)
	if len(own) < 60 {
		t.Fatal(len(own))
	}
	question := func(q exchange.OrdersQuestion) []exchange.OrderView {
		q.Account, q.Market, q.History = account, 1, true
		return ask(t, r, exchange.Question{Orders: &q}).Orders
	}
	middle := own[30]
	for what, c := range map[string]struct{ got, want []exchange.OrderView }{
		"the newest":                 {question(exchange.OrdersQuestion{Limit: 20}), own[len(own)-20:]},
		"from an identity on":        {question(exchange.OrdersQuestion{Limit: 20, Order: middle.Order}), own[30:50]},
		"after an identity":          {question(exchange.OrdersQuestion{Limit: 5, Order: own[29].Order + 1}), own[30:35]},
		"from behind the last":       {question(exchange.OrdersQuestion{Order: own[len(own)-1].Order + 1_000_000}), nil},
		"all there are, up to 500":   {question(exchange.OrdersQuestion{Order: 1}), own[:min(500, len(own))]},
		"since a time":               {question(exchange.OrdersQuestion{Limit: 3, Since: own[40].Created + 1}), after(own, own[40].Created+1, 3)},
		"since and until one time":   {question(exchange.OrdersQuestion{Since: middle.Created, Until: middle.Created}), at(own, middle.Created)},
		"the newest until a time":    {question(exchange.OrdersQuestion{Limit: 1, Until: own[40].Created}), at(own, own[40].Created)[len(at(own, own[40].Created))-1:]},
		"more than may be asked for": {question(exchange.OrdersQuestion{Limit: 1 << 30, Since: 1}), own[:min(1000, len(own))]},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %d orders, want %d\n%+v\n%+v", what, len(c.got), len(c.want), c.got, c.want)
		}
	}
	if a := ask(t, r, exchange.Question{Orders: &exchange.OrdersQuestion{Account: account, Market: 1, Order: middle.Order}}); len(a.Orders) != 1 || a.Orders[0] != middle {
		t.Error("one order", a)
	}
	for _, q := range []exchange.OrdersQuestion{{Account: s.traders[0], Market: 1, Order: middle.Order}, {Account: account, Market: 2, Order: middle.Order},
		{Account: account, Market: 1, Client: "never"}, {Account: account, Market: 1}} {
		if a := ask(t, r, exchange.Question{Orders: &q}); a.Code != exchange.UnknownOrder || len(a.Orders) != 0 {
			t.Errorf("%+v: %+v", q, a)
		}
	}
	for i := len(own) - 1; i >= 0; i-- {
		if own[i].Client != "" {
			if a := ask(t, r, exchange.Question{Orders: &exchange.OrdersQuestion{Account: account, Market: 1, Client: own[i].Client}}); len(a.Orders) != 1 || a.Orders[0] != own[i] {
				t.Error("the newest of a name", a)
			}
			break
		}
	}
}

func after(own []exchange.OrderView, since exchange.Millis, limit int) (out []exchange.OrderView) {
	for _, o := range own {
		if o.Created >= since && len(out) < limit {
			out = append(out, o)
		}
	}
	return out
}

func at(own []exchange.OrderView, time exchange.Millis) (out []exchange.OrderView) {
	for _, o := range own {
		if o.Created == time {
			out = append(out, o)
		}
	}
	return out
}

func claimTradesOfEverybodyAndOfOne(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 12).steps(150)
	s.write(t, r)
	all := listen(t, s)
	question := func(q exchange.TradesQuestion) []exchange.TradeView {
		q.Market = 1
		return ask(t, r, exchange.Question{Trades: &q}).Trades
	}
	numbers := func(trades []exchange.TradeView) (first, last exchange.TradeID, n int) {
		if len(trades) == 0 {
			return 0, 0, 0
		}
		return trades[0].Trade, trades[len(trades)-1].Trade, len(trades)
	}
	most := exchange.TradeID(len(all.trades))
	middle := all.times[most/2]
	since := exchange.TradeID(1)
	for all.times[since-1] < middle {
		since++
	}
	for what, c := range map[string]struct {
		q           exchange.TradesQuestion
		first, last exchange.TradeID
	}{"the newest": {exchange.TradesQuestion{Limit: 10}, most - 9, most}, "from a number on": {exchange.TradesQuestion{From: 7, Limit: 3}, 7, 9},
		"since a time": {exchange.TradesQuestion{Since: middle, Limit: 2}, since, since + 1}, "the newest before a time": {exchange.TradesQuestion{Until: middle - 1, Limit: 2}, since - 2, since - 1},
		"since the future": {exchange.TradesQuestion{Since: s.Now + 1_000_000}, 0, 0}, "until the past": {exchange.TradesQuestion{Until: 5}, 0, 0}} {
		if first, last, _ := numbers(question(c.q)); first != c.first || last != c.last {
			t.Errorf("%s: %d to %d, want %d to %d", what, first, last, c.first, c.last)
		}
	}
	account := s.traders[2]
	var own []exchange.TradeView
	for i, tr := range all.trades {
		for _, h := range []struct {
			half  exchange.Half
			maker bool
			side  exchange.Side
		}{{tr.Taker, false, tr.TakerSide}, {tr.Maker, true, exchange.Sell - tr.TakerSide}} {
			if h.half.Account == account {
				own = append(own, exchange.TradeView{Market: 1, Trade: tr.Trade, Price: tr.Price, Qty: tr.Qty, TakerSide: tr.TakerSide, At: all.times[i], Order: h.half.Order,
					Side: h.side, Maker: h.maker, Fee: h.half.Fee, FeeAsset: h.half.FeeAsset})
			}
		}
	}
	if got := question(exchange.TradesQuestion{Account: account, From: 1, Limit: 1000}); !reflect.DeepEqual(got, own[:min(1000, len(own))]) {
		t.Errorf("own trades: %d, want %d", len(got), len(own))
	}
	order := own[len(own)/2].Order
	var of []exchange.TradeView
	for _, tr := range own {
		if tr.Order == order {
			of = append(of, tr)
		}
	}
	if got := question(exchange.TradesQuestion{Account: account, Order: order}); !reflect.DeepEqual(got, of) {
		t.Errorf("trades of an order: %+v, want %+v", got, of)
	}
	if got := question(exchange.TradesQuestion{Account: account, Limit: 3}); !reflect.DeepEqual(got, own[len(own)-3:]) {
		t.Errorf("own newest: %+v", got)
	}
}

func claimCandlesAreTheirTrades(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 13).steps(400)
	s.write(t, r)
	all := listen(t, s)
	for _, interval := range []exchange.Millis{1000, 5000, 60_000, 180_000, 900_000, 3600_000, 4 * 3600_000, 86_400_000, 7 * 86_400_000, months} {
		var want []exchange.Candle
		for i, tr := range all.trades {
			start := opening(all.times[i], interval)
			if len(want) == 0 || want[len(want)-1].Open != start {
				want = append(want, exchange.Candle{Open: start, Prices: [4]int64{tr.Price, tr.Price, tr.Price, tr.Price}})
			}
			c := &want[len(want)-1]
			c.Prices[1], c.Prices[2], c.Prices[3] = max(c.Prices[1], tr.Price), min(c.Prices[2], tr.Price), tr.Price
			c.Volume, c.Quote.Lo, c.Trades = c.Volume+tr.Qty, c.Quote.Lo+uint64(tr.Price*tr.Qty), c.Trades+1
			if tr.TakerSide == exchange.Buy {
				c.BuyLots, c.BuyQuote.Lo = c.BuyLots+tr.Qty, c.BuyQuote.Lo+uint64(tr.Price*tr.Qty)
			}
		}
		first := opening(enginetest.Start, interval)
		question := exchange.CandlesQuestion{Market: 1, Interval: interval, Limit: 1500}
		if interval == months {
			question.Interval, question.Month = 0, true
		}
		var fromStart []exchange.Candle
		for page := question; page.Since == 0 || page.Since <= want[len(want)-1].Open; page.Since = further(page.Since, interval, 1500) {
			page.Since = max(page.Since, first)
			fromStart = append(fromStart, ask(t, r, exchange.Question{Candles: &page}).Candles...)
		}
		if !reflect.DeepEqual(fromStart, want) {
			t.Errorf("interval %d: %d candles, want %d", interval, len(fromStart), len(want))
		}
		newest := ask(t, r, exchange.Question{Candles: &question}).Candles
		if len(newest) > len(want) || interval >= 60_000 && len(newest) < len(want) || !reflect.DeepEqual(newest, want[len(want)-len(newest):]) {
			t.Errorf("interval %d, the newest: %d candles, want %d", interval, len(newest), len(want))
		}
	}
	for _, bad := range []exchange.CandlesQuestion{{Market: 1, Interval: 90_000}, {Market: 1, Interval: 1500}, {Market: 1}, {Market: 1, Interval: 60_000, Month: true}, {Market: 1, Month: true, Since: 1 << 60}} {
		if a := ask(t, r, exchange.Question{Candles: &bad}); a.Code != exchange.Malformed {
			t.Errorf("%+v: %+v", bad, a)
		}
	}
	a := ask(t, r, exchange.Question{Tickers: &exchange.TickersQuestion{}})
	if len(a.Tickers) != 1 || a.Tickers[0].Day.Trades != int64(len(all.trades)) || a.Tickers[0].First != 1 || a.Tickers[0].Last != exchange.TradeID(len(all.trades)) {
		t.Errorf("%+v, of %d trades", a.Tickers, len(all.trades))
	}
	if a := ask(t, r, exchange.Question{Tickers: &exchange.TickersQuestion{Market: 9}}); a.Code != exchange.UnknownMarket {
		t.Error(a)
	}
}

func claimDepositsWithdrawalsAndAddresses(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 14)
	s.write(t, r)
	seq := s.State.Seq() + 1
	if err := tell(b.ctx, r, seq, s.Now, rare(s)); err != nil {
		t.Fatal(err)
	}
	a := ask(t, r, exchange.Question{After: seq, Deposits: &exchange.HistoryQuestion{Account: 1, Asset: 1, Offset: 1, Limit: 1}})
	if len(a.Deposits) != 1 || a.Deposits[0] != (exchange.DepositInfo{Number: 3, Account: 1, Asset: 1, Amount: huge, TxID: marker, Output: 3, Address: "bcrt1q" + marker, Height: 9, At: s.Now + 2}) {
		t.Errorf("%+v", a.Deposits)
	}
	a = ask(t, r, exchange.Question{Withdraws: &exchange.HistoryQuestion{Account: 1, Client: "w1"}})
	if len(a.Withdraws) != 1 || a.Withdraws[0].State != exchange.WithdrawalSettled || a.Withdraws[0].TxID != marker || a.Withdraws[0].Reason != marker+" paid" || wide(a.Withdraws[0].Amount).Cmp(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))) != 0 {
		t.Errorf("%+v", a.Withdraws)
	}
	if a = ask(t, r, exchange.Question{Withdraws: &exchange.HistoryQuestion{Account: 1, Since: s.Now + 1, Until: s.Now + 3}}); len(a.Withdraws) != 3 || a.Withdraws[0].Number != 4 {
		t.Errorf("%+v", a.Withdraws)
	}
	if a = ask(t, r, exchange.Question{Withdraws: &exchange.HistoryQuestion{Account: 2}}); len(a.Withdraws) != 0 {
		t.Error("another account sees them")
	}
	a = ask(t, r, exchange.Question{Addresses: &exchange.HistoryQuestion{Account: 1, Limit: 2}})
	if len(a.Addresses) != 2 || a.Addresses[0].Address != fmt.Sprint("bcrt1q", marker, 4) || a.Addresses[0].Index != 4 {
		t.Errorf("%+v", a.Addresses)
	}
	if len(a.Book) != 4 || a.Book[0].Label != marker || a.Book[3].Address != fmt.Sprint("bcrt1q", marker, 4) {
		t.Errorf("%+v", a.Book)
	}
}

// Whoever was told of a change by the engine also reads it: an answer waits for the command that the question names.
func claimAnswersKnowWhatTheQuestionDemands(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 15)
	answers := make(chan exchange.Answer)
	go func() {
		a, _ := r.Answer(b.ctx, exchange.Question{After: s.State.Seq(), Catalogue: &struct{}{}})
		answers <- a
	}()
	seq := s.State.Seq()
	s.write(t, r)
	if a := <-answers; a.Code != exchange.Done || a.Seq != seq || len(a.Markets) != 1 || a.Assets[0].WithdrawFee != enginetest.Units(1000) {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if a, err := r.Answer(ctx, exchange.Question{After: seq + 1, Catalogue: &struct{}{}}); a.Code != exchange.Busy || err != nil {
		t.Errorf("%+v %v", a, err)
	}
	for _, q := range []exchange.Question{{}, {Depth: &exchange.DepthQuestion{Market: 1}}, {Key: &exchange.KeyQuestion{Key: "k"}}} {
		if a := ask(t, r, q); a.Code != exchange.NotAllowed {
			t.Errorf("%+v: %+v", q, a)
		}
	}
	if a := ask(t, r, exchange.Question{Account: &exchange.AccountQuestion{Account: 12345}}); a.Code != exchange.UnknownAccount {
		t.Error(a)
	}
	if a := ask(t, r, exchange.Question{Accounts: &exchange.DirectoryQuestion{}}); len(a.Accounts) != 5 || a.Accounts[4].ID != 99 {
		t.Error(a.Accounts)
	}
	if a := ask(t, r, exchange.Question{Status: &struct{}{}}); a.Status.Records != seq {
		t.Error(a.Status)
	}
	// A customer who reads after an order sees it, without naming a command: what was told before is in the answer.
	for range 20 {
		s.step()
		last := s.frames[len(s.frames)-1]
		if err := r.Write(b.ctx, s.State.Seq(), last.At, s.events[len(s.events)-1]); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, r, exchange.Question{Orders: &exchange.OrdersQuestion{Account: 99, Market: 1, History: true}}); a.Seq != s.State.Seq() {
			t.Fatalf("the answer knows command %d of %d", a.Seq, s.State.Seq())
		}
	}
}

func TestCandlesOfAWeekBeginOnMonday(t *testing.T) {
	const thursday, monday = enginetest.Start, enginetest.Start - 3*86_400_000 // 2026-01-01 and 2025-12-29
	for at, want := range map[exchange.Millis]exchange.Millis{thursday: monday, monday: monday, monday - 1: monday - weekSpan, monday + weekSpan - 1: monday} {
		if got := opening(at, weekSpan); got != want {
			t.Errorf("%d: %d, want %d", at, got, want)
		}
	}
	if got := opening(thursday+61_001, minuteSpan); got != thursday+60_000 {
		t.Error(got)
	}
}

func TestCandlesOfAMonthBeginOnItsFirstDay(t *testing.T) {
	at := func(year int, month time.Month, day int) exchange.Millis {
		return exchange.Millis(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMilli())
	}
	for from, want := range map[exchange.Millis]exchange.Millis{at(2026, 1, 31): at(2026, 1, 1), at(2026, 3, 1) - 1: at(2026, 2, 1), at(2026, 3, 1): at(2026, 3, 1)} {
		if got := opening(from, months); got != want {
			t.Errorf("%d: %d, want %d", from, got, want)
		}
	}
	if got := further(at(2026, 1, 1), months, -2); got != at(2025, 11, 1) {
		t.Error(got)
	}
	if got := further(at(2024, 2, 1), months, 1) - at(2024, 2, 1); got != 29*daySpan {
		t.Error(got)
	}
}
