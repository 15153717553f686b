package engine

import (
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/near"
)

// aheadLen is how many commands are looked at together: enough that memory is always asked for many things at once, and
// so few that what came is still near when it is needed.
const aheadLen = 64

// lookAhead asks memory for what commands will need before the first of them is applied. Each alone would wait a dozen
// times, one answer after the other. Here they go in passes: a pass reads what the pass before it asked for, and asks for
// what stands behind it. It changes nothing that counts.
func (s *State) lookAhead(commands []exchange.Command) {
	if len(commands) < 4 {
		return
	}
	s.fetchEntries(commands)
	s.ahead.Ask()
	s.fetchRows(commands)
	s.ahead.Ask()
	s.fetchLinks(commands)
	for _, m := range s.crossed {
		s.fetchMakers(m.book)
		m.book.Arrive()
	}
	s.crossed = s.crossed[:0]
	s.ahead.Ask()
}

// bookOf returns the book that a command is for, or nil.
func (s *State) bookOf(c *exchange.Command) *matching.Book {
	if c.Market == 0 || int(c.Market) >= len(s.markets) {
		return nil
	}
	return s.markets[c.Market].book
}

func enters(c *exchange.Command) bool { return c.Kind == exchange.Place || c.Kind == exchange.Replace }

// fetchEntries asks for where everything begins, and walks along the orders that will be met.
func (s *State) fetchEntries(commands []exchange.Command) {
	for i := range commands {
		c := &commands[i]
		hash := hashOf(c.ID)
		s.window.newer.fetch(&s.ahead, hash)
		s.window.older.fetch(&s.ahead, hash)
		s.ledger.FetchEntry(&s.ahead, c.Account)
		book := s.bookOf(c)
		if book == nil {
			continue
		}
		book.FetchEntry(&s.ahead, matching.Owner(c.Account), matching.OrderID(c.Order))
		if enters(c) {
			book.FetchFresh(&s.ahead, matching.OrderID(s.markets[c.Market].nextOrder)+matching.OrderID(i))
			if fresh := book.Ahead() == 0; book.Expect(matching.Side(c.Side), matching.Price(c.Price), matching.Qty(c.Qty)) && fresh {
				s.cross(s.markets[c.Market])
			}
		}
		if !c.Client.IsZero() {
			s.clients.fetch(&s.ahead, nameHash(&c.Client, c.Account, c.Market))
		}
		s.step(i)
	}
}

// step walks on in one of the books that takers will cross. Not at each command: what a step asks for shall be there
// when the next one reads it.
func (s *State) step(i int) {
	if n := len(s.crossed); n > 0 && i%6 == 0 {
		s.crossed[i/6%n].book.Step()
	}
}

// cross remembers a market where a coming order will trade.
func (s *State) cross(m *market) {
	for _, known := range s.crossed {
		if known == m {
			return
		}
	}
	s.crossed = append(s.crossed, m)
}

// fetchRows asks for what the entries name.
func (s *State) fetchRows(commands []exchange.Command) {
	for i := range commands {
		c := &commands[i]
		s.ledger.FetchRow(&s.ahead, c.Account)
		s.step(i)
		book := s.bookOf(c)
		if book == nil {
			continue
		}
		if enters(c) {
			book.FetchEnds(&s.ahead, matching.Owner(c.Account), matching.Side(c.Side), matching.Price(c.Price))
		}
		if c.Order != 0 {
			book.FetchOrder(&s.ahead, matching.OrderID(c.Order))
		}
	}
}

// fetchLinks asks for what stands beside that.
func (s *State) fetchLinks(commands []exchange.Command) {
	for i := range commands {
		c := &commands[i]
		s.ledger.FetchNextRow(&s.ahead, c.Account)
		s.step(i)
		if book := s.bookOf(c); book != nil && c.Order != 0 {
			s.fetchOrder(book.FetchLinks(&s.ahead, matching.OrderID(c.Order)))
		}
	}
}

// fetchOrder asks for the record of an order. Its second line is for events, and for the new order that takes its place.
func (s *State) fetchOrder(tag uint32) {
	r := &s.orders[tag]
	near.Fetch(&s.ahead, &r.account)
	near.Fetch(&s.ahead, &r.created)
}

// fetchMakers asks for what trading will need of the orders that were met on the way.
func (s *State) fetchMakers(book *matching.Book) {
	for book.Step() {
	}
	s.ahead.Ask()
	s.makers = s.makers[:0]
	for n := range book.Ahead() {
		tag, owner := book.FetchMaker(&s.ahead, n)
		s.makers = append(s.makers, maker{tag, exchange.Account(owner)})
		s.fetchOrder(tag)
		s.ledger.FetchEntry(&s.ahead, exchange.Account(owner))
	}
	s.ahead.Ask()
	for n, k := range s.makers {
		book.FetchMakerLinks(&s.ahead, n)
		s.ledger.FetchRow(&s.ahead, k.account)
		if r := &s.orders[k.tag]; r.flags&named != 0 {
			s.clients.fetch(&s.ahead, r.name)
		}
	}
	s.ahead.Ask()
	for _, k := range s.makers {
		s.ledger.FetchNextRow(&s.ahead, k.account)
	}
	s.ahead.Ask()
}

// maker is an order that a coming order will meet.
type maker struct {
	tag     uint32
	account exchange.Account
}
