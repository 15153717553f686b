package ledger_test

import (
	"bytes"
	"fmt"
	"math/big"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/money"
	"pgregory.net/rapid"
)

// book is a ledger as somebody would write it without thinking of speed: maps and big numbers.
type book struct {
	free, held map[row]*big.Int
	fees       map[exchange.Asset]*big.Int
	outside    map[exchange.Asset]*big.Int
	credited   map[string]bool
}

type row struct {
	account exchange.Account
	asset   exchange.Asset
}

func newBook() *book {
	return &book{map[row]*big.Int{}, map[row]*big.Int{}, map[exchange.Asset]*big.Int{}, map[exchange.Asset]*big.Int{}, map[string]bool{}}
}

func in[K comparable](m map[K]*big.Int, k K) *big.Int {
	if m[k] == nil {
		m[k] = new(big.Int)
	}
	return m[k]
}

func number(n money.U128) *big.Int {
	return new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(n.Hi), 64), new(big.Int).SetUint64(n.Lo))
}

func deposit(id string, amount money.U128) chain.Deposit {
	return chaintest.Deposit(chain.DepositFacts{Network: "bitcoin:regtest", TxID: id, Amount: money.New(money.Asset{}, amount)})
}

func amount(t *rapid.T, label string) money.U128 {
	return money.U128{Hi: rapid.SampledFrom([]uint64{0, 0, 0, 1, 1 << 40}).Draw(t, label+" high"), Lo: rapid.Uint64().Draw(t, label)}
}

// ceil is a fee by its definition.
func ceil(n *big.Int, ppm uint32) *big.Int {
	out := new(big.Int).Mul(n, big.NewInt(int64(ppm)))
	return out.Add(out, big.NewInt(999_999)).Div(out, big.NewInt(1_000_000))
}

// Whatever is posted, a ledger of maps and big numbers says the same, every sum holds, and a restored ledger is the same.
func TestTheNaiveLedgerHasTheSameBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, b := ledger.New(), newBook()
		rows := []row{{1, 1}, {1, 2}, {2, 1}, {2, 2}, {900_000, 1}, {900_000, 2}}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			r := rapid.SampledFrom(rows).Draw(t, "row")
			p := l.Find(r.account, r.asset)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				id, n := fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), amount(t, "deposit")
				_, code := l.Credit(deposit(id, n), r.account, r.asset)
				if want := b.credited[id]; (code == exchange.AlreadyCredited) != want {
					t.Fatalf("deposit %s: code %d, credited before %v", id, code, want)
				}
				if code == exchange.Done {
					b.credited[id] = true
					in(b.free, r).Add(in(b.free, r), number(n))
					in(b.outside, r.asset).Add(in(b.outside, r.asset), number(n))
				}
			case 2:
				n := amount(t, "hold")
				if done, can := l.Hold(p, n), p != 0 && in(b.free, r).Cmp(number(n)) >= 0; done != can {
					t.Fatalf("hold %s of %s: %v", n, in(b.free, r), done)
				} else if can {
					in(b.free, r).Sub(in(b.free, r), number(n))
					in(b.held, r).Add(in(b.held, r), number(n))
				}
			case 3:
				if held := l.Balance(p).Held; p != 0 {
					l.Release(p, held)
					in(b.held, r).Sub(in(b.held, r), number(held))
					in(b.free, r).Add(in(b.free, r), number(held))
				}
			case 4:
				if held, fee := l.Balance(p).Held, l.Balance(p).Held; p != 0 {
					fee, _ = fee.DivMod64(7)
					if code := l.Pay(p, uint64(step)+1, held, fee); code != exchange.Done {
						t.Fatal(code)
					}
					if code := l.Pay(p, uint64(step)+1, money.U128{}, money.U128{}); code != exchange.WrongState {
						t.Fatalf("a withdrawal was paid twice: %d", code)
					}
					in(b.held, r).Sub(in(b.held, r), number(held))
					in(b.fees, r.asset).Add(in(b.fees, r.asset), number(fee))
					in(b.outside, r.asset).Sub(in(b.outside, r.asset), new(big.Int).Sub(number(held), number(fee)))
				}
			case 5:
				b.trade(t, l, rows)
			}
			b.compare(t, l, rows)
		}
		restore(t, l)
	})
}

func (b *book) trade(t *rapid.T, l *ledger.Ledger, rows []row) {
	x, y := rapid.SampledFrom(rows).Draw(t, "buyer").account, rapid.SampledFrom(rows).Draw(t, "seller").account
	buyer, seller := l.Open(x, 2), l.Open(y, 1)
	reserved, size := l.Balance(buyer).Held, l.Balance(seller).Held
	cost, _ := reserved.DivMod64(uint64(rapid.IntRange(1, 9).Draw(t, "price")))
	trade := ledger.Trade{Base: 1, Quote: 2, BuyerQuote: buyer, SellerBase: seller, BuyerBase: l.Open(x, 1), SellerQuote: l.Open(y, 2), Size: size, Cost: cost, Reserved: reserved,
		BuyerPPM: rapid.Uint32Range(0, 1_000_000).Draw(t, "buyer's fee"), SellerPPM: rapid.Uint32Range(0, 1_000_000).Draw(t, "seller's fee")}
	buyerFee, sellerFee := l.Settle(&trade)
	if wantBuyer, wantSeller := ceil(number(size), trade.BuyerPPM), ceil(number(cost), trade.SellerPPM); wantBuyer.Cmp(number(buyerFee)) != 0 || wantSeller.Cmp(number(sellerFee)) != 0 {
		t.Fatalf("fees %s and %s, want %s and %s", buyerFee, sellerFee, wantBuyer, wantSeller)
	}
	in(b.held, row{x, 2}).Sub(in(b.held, row{x, 2}), number(reserved))
	in(b.free, row{x, 2}).Add(in(b.free, row{x, 2}), new(big.Int).Sub(number(reserved), number(cost)))
	in(b.held, row{y, 1}).Sub(in(b.held, row{y, 1}), number(size))
	in(b.free, row{x, 1}).Add(in(b.free, row{x, 1}), new(big.Int).Sub(number(size), number(buyerFee)))
	in(b.free, row{y, 2}).Add(in(b.free, row{y, 2}), new(big.Int).Sub(number(cost), number(sellerFee)))
	in(b.fees, 1).Add(in(b.fees, 1), number(buyerFee))
	in(b.fees, 2).Add(in(b.fees, 2), number(sellerFee))
}

func (b *book) compare(t *rapid.T, l *ledger.Ledger, rows []row) {
	for _, r := range rows {
		have := l.Balance(l.Find(r.account, r.asset))
		if in(b.free, r).Cmp(number(have.Available)) != 0 || in(b.held, r).Cmp(number(have.Held)) != 0 {
			t.Fatalf("%+v: %s and %s on hold, the naive ledger has %s and %s", r, have.Available, have.Held, b.free[r], b.held[r])
		}
	}
	for asset := exchange.Asset(1); asset <= 2; asset++ {
		if h := l.House(asset); in(b.fees, asset).Cmp(number(h.Fees)) != 0 || in(b.outside, asset).Cmp(number(h.External)) != 0 {
			t.Fatalf("asset %d: %+v, the naive ledger has fees %s and %s from outside", asset, h, b.fees[asset], b.outside[asset])
		}
	}
	if err := l.Verify(); err != nil {
		t.Fatal(err)
	}
}

func restore(t *rapid.T, l *ledger.Ledger) {
	var first, second bytes.Buffer
	if err := l.Snapshot(&first); err != nil {
		t.Fatal(err)
	}
	again, err := ledger.Restore(bytes.NewReader(append(first.Bytes(), "more"...)))
	if err != nil {
		t.Fatal(err)
	}
	if again.Snapshot(&second); !bytes.Equal(first.Bytes(), second.Bytes()) || again.Digest() != l.Digest() {
		t.Fatal("a restored ledger is another")
	}
}

func TestACreditThatDoesNotFitIsDenied(t *testing.T) {
	l := ledger.New()
	most := money.U128{Hi: 1<<64 - 1, Lo: 1<<64 - 1}
	if _, code := l.Credit(deposit("a", most), 1, 1); code != exchange.Done {
		t.Fatal(code)
	}
	if _, code := l.Credit(deposit("b", money.U128{Lo: 1}), 2, 1); code != exchange.AmountOverflow {
		t.Errorf("code %d", code)
	}
	if err := l.Verify(); err != nil {
		t.Error(err)
	}
}

func TestAnUnprovenDepositIsNotCredited(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the zero deposit was credited")
		}
	}()
	ledger.New().Credit(chain.Deposit{}, 1, 1)
}

// Accounts with numbers far apart have rows too, and keep them when the numbers between are used.
func TestAccountsMayHaveAnyNumber(t *testing.T) {
	l := ledger.New()
	places := map[exchange.Account]ledger.Place{}
	for _, a := range []exchange.Account{1, ledger.AccountMax, 70_000, 140_000, 66_000, 2, 131_000, 196_000} {
		l.SetTerms(a, ledger.Terms{MakerPPM: uint32(a % 1000), Known: true})
		places[a] = l.Open(a, 3)
	}
	for a := exchange.Account(1); a < 200_000; a += 7 {
		l.Open(a, 1)
	}
	for a, p := range places {
		if l.Find(a, 3) != p || l.Terms(a).MakerPPM != uint32(a%1000) {
			t.Errorf("account %d: place %d and terms %+v, want place %d", a, l.Find(a, 3), l.Terms(a), p)
		}
	}
}

func TestPostingsAllocateNothing(t *testing.T) {
	l := ledger.New()
	for a := exchange.Account(1); a <= 2; a++ {
		for asset := exchange.Asset(1); asset <= 2; asset++ {
			l.Credit(deposit(fmt.Sprint(a, asset), money.U128{Lo: 1 << 60}), a, asset)
		}
	}
	trade := ledger.Trade{Base: 1, Quote: 2, BuyerBase: l.Find(1, 1), BuyerQuote: l.Find(1, 2), SellerBase: l.Find(2, 1), SellerQuote: l.Find(2, 2),
		Size: money.U128{Lo: 100}, Cost: money.U128{Lo: 2000}, Reserved: money.U128{Lo: 2100}, BuyerPPM: 1000, SellerPPM: 500}
	n := testing.AllocsPerRun(1000, func() {
		l.Hold(trade.BuyerQuote, trade.Reserved)
		l.Hold(trade.SellerBase, trade.Size)
		l.Settle(&trade)
		l.Hold(trade.BuyerQuote, trade.Cost)
		l.Release(trade.BuyerQuote, trade.Cost)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRestore(f *testing.F) {
	l := ledger.New()
	l.Credit(deposit("a", money.U128{Lo: 5}), 1, 1)
	l.Hold(l.Find(1, 1), money.U128{Lo: 2})
	var raw bytes.Buffer
	if err := l.Snapshot(&raw); err != nil {
		f.Fatal(err)
	}
	f.Add(raw.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ledger.Restore(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if l.Snapshot(&again); !bytes.HasPrefix(raw, again.Bytes()) {
			t.Fatal("a restored ledger is written otherwise")
		}
	})
}
