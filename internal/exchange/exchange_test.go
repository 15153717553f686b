package exchange_test

import (
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"pgregory.net/rapid"
)

func client(t *rapid.T, label string) exchange.Client {
	c, ok := exchange.NewClient(rapid.StringMatching(`[a-zA-Z0-9\-_.:/]{0,36}`).Draw(t, label))
	if !ok {
		t.Fatal("a good name is refused")
	}
	return c
}

func drawCommand(t *rapid.T) exchange.Command {
	n := rapid.Int64()
	c := exchange.Command{Kind: exchange.Kind(rapid.IntRange(int(exchange.Tick), int(exchange.Approve)).Draw(t, "kind")),
		Account: exchange.Account(rapid.Uint64().Draw(t, "account")), Market: exchange.Market(rapid.Uint16().Draw(t, "market")),
		Side: exchange.Side(rapid.IntRange(0, 1).Draw(t, "side")), Type: exchange.OrderType(rapid.IntRange(0, 3).Draw(t, "type")),
		Force: exchange.Force(rapid.IntRange(0, 4).Draw(t, "force")), SelfTrade: exchange.SelfTrade(rapid.IntRange(0, 3).Draw(t, "stp")),
		Order: exchange.OrderID(rapid.Uint64().Draw(t, "order")), Price: n.Draw(t, "price"), Stop: n.Draw(t, "stop"), Qty: n.Draw(t, "qty"),
		Show: n.Draw(t, "show"), Quote: n.Draw(t, "quote"), Expire: exchange.Millis(n.Draw(t, "expire")),
		Client: client(t, "client"), Orig: client(t, "orig")}
	copy(c.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	if body := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body"); len(body) > 0 {
		c.Body = body
	}
	return c
}

func TestCommandsComeBackAsTheyWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawCommand(t)
		raw := want.Append(nil)
		var got exchange.Command
		rest, err := got.Read(append(raw[:len(raw):len(raw)], "next"...))
		if err != nil || string(rest) != "next" || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v %q\n%+v\n%+v", err, rest, got, want)
		}
		for cut := range len(raw) {
			if _, err := got.Read(raw[:cut]); err == nil {
				t.Fatalf("the first %d of %d bytes are a command", cut, len(raw))
			}
		}
	})
}

func TestOutcomesComeBackAsTheyWent(t *testing.T) {
	want := exchange.Outcome{ID: exchange.ID{1, 2}, Seq: 3, At: 4, Code: exchange.Superseded, Again: true, Order: 5, Status: exchange.StatusExpired,
		Replaced: 6, Executed: 7, Quote: 8, Canceled: 9, Number: 10, Reason: "because",
		Fills: []exchange.Fill{{Trade: 1, Price: 2, Qty: 3, Fee: money.U128{Hi: 4, Lo: 5}, FeeAsset: 6}, {Trade: 7}}}
	raw := want.Append(nil)
	var got exchange.Outcome
	if rest, err := got.Read(raw); err != nil || len(rest) != 0 || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v %d\n%+v\n%+v", err, len(rest), got, want)
	}
	for cut := range len(raw) {
		if _, err := got.Read(raw[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes are an outcome", cut, len(raw))
		}
	}
}

func events() [][]byte {
	order := exchange.OrderRecord{Market: 1, Order: 2, Account: 3, Side: exchange.Sell, Type: exchange.Stop, Force: exchange.PostOnly,
		SelfTrade: exchange.ExpireBoth, Status: exchange.StatusExpired, Cause: exchange.CauseAmended, Price: 4, Stop: 5, Qty: 6, Show: 7, QuoteMax: 8,
		Executed: 9, Quote: 10, Expire: 11, Created: 12}
	trade := exchange.TradeRecord{Market: 1, Trade: 2, Price: 3, Qty: 4, TakerSide: exchange.Sell,
		Taker: exchange.Half{Order: 5, Account: 6, Fee: money.U128{Hi: 1, Lo: 7}, FeeAsset: 8}, Maker: exchange.Half{Order: 9}}
	level := exchange.LevelRecord{Market: 1, Side: exchange.Sell, Price: 2, Qty: 3}
	balance := exchange.BalanceRecord{Account: 1, Asset: 2, Available: money.U128{Hi: 3, Lo: 4}, Held: money.U128{Lo: 5}}
	head := func(kind exchange.EventKind) []byte { return exchange.AppendHead(nil, kind, 77, 88) }
	return [][]byte{order.Append(head(exchange.OrderChanged)), trade.Append(head(exchange.Traded)), level.Append(head(exchange.LevelChanged)),
		balance.Append(head(exchange.BalanceChanged)), exchange.AppendRecord(head(exchange.RecordChanged), exchange.KeyRecord, []byte("body"))}
}

// appendEvent writes an event again from what was read.
func appendEvent(e exchange.Event) []byte {
	out := exchange.AppendHead(nil, e.Kind, e.Seq, e.At)
	switch e.Kind {
	case exchange.OrderChanged:
		return e.Order.Append(out)
	case exchange.Traded:
		return e.Trade.Append(out)
	case exchange.LevelChanged:
		return e.Level.Append(out)
	case exchange.BalanceChanged:
		return e.Balance.Append(out)
	}
	return exchange.AppendRecord(out, e.Record, e.Body)
}

func TestEventsComeBackAsTheyWent(t *testing.T) {
	for _, raw := range events() {
		var e exchange.Event
		rest, err := e.Read(raw)
		if err != nil || len(rest) != 0 || string(appendEvent(e)) != string(raw) {
			t.Fatalf("%v %d %x %x", err, len(rest), appendEvent(e), raw)
		}
		for cut := range len(raw) {
			if _, err := e.Read(raw[:cut]); err == nil {
				t.Fatalf("the first %d of %d bytes are an event", cut, len(raw))
			}
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	raw, err := exchange.EncodeBody(exchange.WithdrawBody{Asset: 1, Amount: money.U128{Hi: 1, Lo: 2}, Address: "bcrt1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := exchange.DecodeBody[exchange.WithdrawBody](raw); err != nil || got.Amount != (money.U128{Hi: 1, Lo: 2}) {
		t.Fatal(got, err)
	}
	for name, bad := range map[string][]byte{"nothing": {}, "trailing": append(raw[:len(raw):len(raw)], 0), "unknown key": {0xa1, 0x18, 0x63, 0x01},
		"duplicate key": {0xa2, 0x01, 0x01, 0x01, 0x02}, "indefinite": {0xbf, 0xff}} {
		if _, err := exchange.DecodeBody[exchange.WithdrawBody](bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAnswersComeBackAsTheyWentHoweverLong(t *testing.T) {
	want := exchange.Answer{Seq: 7, Bids: make([]exchange.LevelRecord, 5000)}
	for i := range want.Bids {
		want.Bids[i] = exchange.LevelRecord{Market: 1, Price: int64(i), Qty: 1}
	}
	raw, err := exchange.EncodeBody(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := exchange.DecodeAnswer(raw); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"nothing": {}, "trailing": append(raw[:len(raw):len(raw)], 0), "unknown key": {0xa1, 0x18, 0x63, 0x01}} {
		if _, err := exchange.DecodeAnswer(bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0xa1, 0x02, 0x07})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, err := exchange.DecodeAnswer(raw); err == nil {
			if _, err := exchange.EncodeBody(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzCommand(f *testing.F) {
	f.Add((&exchange.Command{Kind: exchange.Place, Body: []byte("x")}).Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c exchange.Command
		rest, err := c.Read(raw)
		if err == nil && string(c.Append(nil)) != string(raw[:len(raw)-len(rest)]) {
			t.Fatalf("%x is read and written as %x", raw, c.Append(nil))
		}
	})
}

func FuzzOutcome(f *testing.F) {
	f.Add((&exchange.Outcome{Fills: []exchange.Fill{{Trade: 1}}}).Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o exchange.Outcome
		rest, err := o.Read(raw)
		if err == nil && string(o.Append(nil)) != string(raw[:len(raw)-len(rest)]) {
			t.Fatalf("%x is read and written as %x", raw, o.Append(nil))
		}
	})
}

func FuzzEvent(f *testing.F) {
	for _, raw := range events() {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e exchange.Event
		rest, err := e.Read(raw)
		if err == nil && string(appendEvent(e)) != string(raw[:len(raw)-len(rest)]) {
			t.Fatalf("%x is read and written as %x", raw, appendEvent(e))
		}
	})
}

func TestNamesThatDifferAlmostNeverShareAHash(t *testing.T) {
	seen := map[uint32]bool{}
	for i := range 20_000 {
		c, _ := exchange.NewClient(exchange.ID{byte(i), byte(i >> 8)}.String() + "abcd"[:i%5])
		seen[uint32(c.Hash(7)>>32)] = true
	}
	if len(seen) < 19_990 {
		t.Errorf("20,000 names have %d hashes", len(seen))
	}
	var none exchange.Client
	if none.Hash(1) == none.Hash(2) {
		t.Error("the seed does not count")
	}
}
