package limits

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Sentence is a ban, or what is remembered of earlier ones, so that a table that begins anew knows it.
type Sentence struct {
	Block  netip.Prefix // one address, or a /64 of IPv6
	Level  uint8        // 1 to 6; 6: for good
	Since  exchange.Millis
	Until  exchange.Millis
	Number uint64 // of the ticket, for a block for good
	Why    Why
}

// Sentences returns everybody who is or was banned and has not yet made up for it.
func (t *Table) Sentences() []Sentence {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Sentence
	for place := range t.addresses.count {
		e := t.addresses.at(place)
		if e.settle(t.now); e.level > 0 {
			s := Sentence{Block: e.key().block(), Level: e.level, Since: exchange.Millis(e.struck) * 1000, Until: exchange.Millis(e.until) * 1000, Why: e.reason()}
			if e.level == levelBlocked {
				s.Number = uint64(place + 1)
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Sentence) int {
		if a.Since != b.Since {
			return int(min(1, max(-1, a.Since-b.Since)))
		}
		return a.Block.Addr().Compare(b.Block.Addr())
	})
	return out
}

// valid reports whether a table can have given the sentence.
func (s Sentence) valid() bool {
	return s.Level > 0 && s.Level <= levelBlocked && s.Block.IsValid() && keyOf(s.Block.Addr()).block() == s.Block && s.Since >= 0 && s.Until >= 0 &&
		s.Since/1000 <= 1<<32-1 && s.Until/1000 <= 1<<32-1
}

// Blocked reports whether the sentence is for good, until two people end it.
func (s Sentence) Blocked() bool { return s.Level == levelBlocked }

// Changes counts how often what Sentences returns became another: whoever keeps them asks for it, and then for them.
func (t *Table) Changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// sentence takes in what an earlier table knew.
func (a *addresses) sentence(s Sentence) error {
	k := keyOf(s.Block.Addr())
	if !s.valid() {
		return fmt.Errorf("limits: sentence of %v, level %d: none that a table gave", s.Block, s.Level)
	}
	e, own := a.entry(k, 0)
	if !own {
		return fmt.Errorf("limits: sentences for more than %d addresses", a.most)
	}
	e.level, e.struck, e.until = s.Level, uint32(s.Since/1000), uint32(s.Until/1000)
	if s.Why == WhyStuffing {
		e.marks = 1
	}
	return nil
}

// Ticket is a block for good that people have to look at.
type Ticket struct {
	Number uint64
	Block  netip.Prefix // the address, or the /64 of IPv6
	Why    Why
	At     exchange.Millis
}

// Tickets returns the open tickets, oldest first.
func (t *Table) Tickets() []Ticket {
	var out []Ticket
	for _, s := range t.Sentences() {
		if s.Level == levelBlocked {
			out = append(out, Ticket{Number: s.Number, Block: s.Block, Why: s.Why, At: s.Since})
		}
	}
	return out
}

// Unban forgives an address what it did until a time, closes its ticket and reports whether there was anything to
// forgive. The caller has made sure that two people want it; told twice, it forgives nothing that came after. The weight
// that the address used lately still counts.
func (t *Table) Unban(ip netip.Addr, until exchange.Millis) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, _ := t.addresses.find(keyOf(ip))
	if place < 0 {
		return false
	}
	e := t.addresses.at(place)
	if e.level == 0 || exchange.Millis(e.struck)*1000 > until {
		return false
	}
	e.level, e.until, e.strikes, e.marks, e.struck = 0, 0, 0, 0, 0
	t.changes++
	return true
}
