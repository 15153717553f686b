package engine

import (
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/matching"
)

// depthMax is the most levels of a side that an answer has, ordersAnswerMax the most orders.
const (
	depthMax        = 5000
	ordersAnswerMax = ownOrdersMax
)

// Answer answers a question about what is now, and reports whether it is one of those. Whoever asks about an order that
// has ended, or about history, is answered by the records.
func (s *State) Answer(q exchange.Question) (exchange.Answer, bool) {
	a := exchange.Answer{Seq: s.seq, At: s.now}
	if q.After > s.seq {
		a.Code = exchange.Busy
		return a, true
	}
	switch {
	case q.Catalogue != nil:
		a.Assets = append(a.Assets, s.assets[1:]...)
		for _, m := range s.markets[1:] {
			a.Markets = append(a.Markets, m.info)
		}
		if f := s.accounts.Fees(); f != (exchange.DefaultFees{}) {
			a.Fees = &f
		}
	case q.Depth != nil:
		s.depth(q.Depth, &a)
	case q.Account != nil:
		s.account(q.Account.Account, &a)
	case q.Orders != nil:
		live := s.openOrders(q.Orders, &a)
		return a, live
	case q.Key != nil:
		s.keyAnswer(q.Key.Key, &a)
	case q.Security != nil:
		s.security(q.Security, &a)
	case q.Withdraws != nil && q.Withdraws.Number != 0:
		w, waits := s.waiting[q.Withdraws.Number]
		if !waits {
			return a, false
		}
		a.Withdraws = append(a.Withdraws, *w)
	case q.Withdraws != nil && q.Withdraws.Account == 0:
		s.held(q.Withdraws, &a)
	case q.Status != nil:
		a.Status = &exchange.EngineStatus{Seq: s.seq, Hash: s.Hash(), Accounts: s.accounts.Len(), OpenCount: s.open, Changes: s.serial, Tickets: s.accounts.Issued()}
		for asset := range s.addresses {
			a.Status.Assigned = append(a.Status.Assigned, uint32(len(s.addresses[asset])))
		}
	default:
		return a, false
	}
	return a, true
}

// heldMax is the most withdrawals that an answer has.
const heldMax = 1000

// held answers which withdrawals of all accounts wait for the treasury, oldest first.
func (s *State) held(q *exchange.HistoryQuestion, a *exchange.Answer) {
	numbers := make([]uint64, 0, len(s.waiting))
	for number, w := range s.waiting {
		if q.Asset == 0 || w.Asset == q.Asset {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	numbers = numbers[min(max(q.Offset, 0), len(numbers)):]
	for _, number := range numbers[:min(len(numbers), heldMax)] {
		a.Withdraws = append(a.Withdraws, *s.waiting[number])
	}
}

func (s *State) depth(q *exchange.DepthQuestion, a *exchange.Answer) {
	if q.Market == 0 || int(q.Market) >= len(s.markets) {
		a.Code = exchange.UnknownMarket
		return
	}
	book := s.markets[q.Market].book
	for _, side := range []struct {
		of   matching.Side
		into *[]exchange.LevelRecord
	}{{matching.Buy, &a.Bids}, {matching.Sell, &a.Asks}} {
		for _, l := range book.Depth(side.of, min(q.Limit, depthMax), nil) {
			*side.into = append(*side.into, exchange.LevelRecord{Market: q.Market, Side: exchange.Side(side.of), Price: int64(l.Price), Qty: int64(l.Qty)})
		}
	}
}

func (s *State) account(id exchange.Account, a *exchange.Answer) {
	info, known := s.accounts.Account(id)
	if !known {
		a.Code = exchange.UnknownAccount
		return
	}
	info.TOTP = nil
	a.Account = &info
	for asset := 1; asset < len(s.assets); asset++ {
		if p := s.ledger.Find(id, exchange.Asset(asset)); p != 0 {
			b := s.ledger.Balance(p)
			a.Balances = append(a.Balances, exchange.BalanceRecord{Account: id, Asset: exchange.Asset(asset), Available: b.Available, Held: b.Held})
		}
	}
}

// openOrders answers for all open orders of an account, or for one that is open. It reports false for the others.
func (s *State) openOrders(q *exchange.OrdersQuestion, a *exchange.Answer) bool {
	if q.History {
		return false
	}
	if _, known := s.accounts.Terms(q.Account); !known {
		a.Code = exchange.UnknownAccount
		return true
	}
	if int(q.Market) >= len(s.markets) || q.Market == 0 && !q.Open {
		a.Code = exchange.UnknownMarket
		return true
	}
	if !q.Open {
		return s.oneOrder(q, a)
	}
	for _, m := range s.markets[1:] {
		if q.Market != 0 && q.Market != m.info.ID {
			continue
		}
		for _, tag := range s.ownOrders(m, q.Account) {
			if len(a.Orders) < ordersAnswerMax {
				a.Orders = append(a.Orders, s.orders[tag].answer())
			}
		}
	}
	return true
}

// oneOrder answers for one order while it is open.
func (s *State) oneOrder(q *exchange.OrdersQuestion, a *exchange.Answer) bool {
	client, ok := exchange.NewClient(q.Client)
	if !ok {
		a.Code = exchange.Malformed
		return true
	}
	tag := s.named(s.markets[q.Market], &exchange.Command{Account: q.Account, Market: q.Market, Order: q.Order, Orig: client})
	if tag == 0 {
		return false
	}
	a.Orders = append(a.Orders, s.orders[tag].answer())
	return true
}

func (r *order) answer() exchange.OrderView {
	o := r.view()
	return exchange.OrderView{Market: o.Market, Order: o.Order, Account: o.Account, Side: o.Side, Type: o.Type, Force: o.Force, SelfTrade: o.SelfTrade,
		Status: o.Status, Price: o.Price, Stop: o.Stop, Qty: o.Qty, Show: o.Show, QuoteMax: o.QuoteMax, Executed: o.Executed, Quote: o.Quote,
		Expire: o.Expire, Created: o.Created, Changed: r.changed, Client: o.Client.String()}
}

// keyAnswer gives a key with its secret open, for the gateway that checks signatures with it. A secret that cannot be
// opened is no secret: the key is as good as unknown.
func (s *State) keyAnswer(name string, a *exchange.Answer) {
	info, known := s.accounts.LookupKey(name)
	if !known {
		a.Code = exchange.NotAllowed
		return
	}
	if info.Kind == "hmac" && len(info.Secret) > 0 {
		if s.options.Opener == nil {
			a.Code = exchange.NotAllowed
			return
		}
		secret, err := s.options.Opener.Open(info.Account, info.Key, info.Secret)
		if err != nil {
			a.Code = exchange.NotAllowed
			return
		}
		info.Secret = secret
	}
	a.Key = &info
}
