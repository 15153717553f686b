package accounts

import (
	"net/netip"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

const (
	minute = exchange.Millis(60_000)
	day    = 24 * 60 * minute
	// slice is how finely the amount of the last 24 hours is remembered. A slice counts in full until all of it is
	// older than a day, so at most a quarter of an hour more than a day counts, and never less.
	slice = 15 * minute
)

// dayWindow is what left an account in one asset lately.
type dayWindow struct {
	asset  exchange.Asset
	slices []dayAmount // oldest first
}

type dayAmount struct {
	number int64 // of the slice: its begin divided by its length
	amount money.U128
}

// Freeze is a key that a flood of withdrawals ended, and the ticket about it.
type Freeze struct {
	Key    exchange.KeyInfo
	Ticket exchange.TicketInfo
}

// CheckWithdraw says whether the account may withdraw now. It counts the attempt. dayMax is the most of the asset that
// may leave the account in 24 hours; zero: nothing. A Freeze is returned beside OverLimit when this attempt froze the
// key: the key's record has changed although the withdrawal was refused. After the amount is on hold the caller says so
// with Withdrew.
//
// The gateway has checked scope and allow-list before; it is checked again here because a gateway is the part that
// falls first.
func (b *Book) CheckWithdraw(id exchange.Account, body exchange.WithdrawBody, dayMax money.U128, now exchange.Millis) (*Freeze, exchange.Code) {
	a := b.find(id)
	if a == nil {
		return nil, exchange.UnknownAccount
	}
	k := b.keys[body.Key]
	if k == nil || k.info.Account != id || k.info.Revoked || k.info.Scopes&exchange.ScopeWithdraw == 0 {
		return nil, exchange.NotAllowed
	}
	if b.floods(k, now) {
		k.revoke()
		b.issued++
		ticket := exchange.TicketInfo{Number: b.issued, Account: id, Key: body.Key, Why: "withdrawal flood", At: now}
		b.tickets = append(b.tickets, ticket)
		if len(b.tickets) > ticketsMax {
			b.tickets = slices.Delete(b.tickets, 0, 1)
		}
		return &Freeze{Key: k.record(), Ticket: ticket}, exchange.OverLimit
	}
	from, err := netip.ParseAddr(body.From)
	if a.state != exchange.AccountActive || now < k.info.Usable || err != nil || !Allowed(from, k.info.Allowed) {
		return nil, exchange.NotAllowed
	}
	entry := a.entry(body.Asset, body.Address)
	switch {
	case entry < 0:
		return nil, exchange.UnknownAddress
	case now < a.more.addresses[entry].usable:
		return nil, exchange.AddressWaiting
	case b.exceeds(a, body, dayMax, now):
		return nil, exchange.OverLimit
	}
	return nil, exchange.Done
}

// floods counts an attempt of a key and reports whether it is one too many. The window begins with its first attempt,
// so a flood is seen at attempt number AttemptsMax+1 wherever it begins, and an attacker gets no more than that many.
func (b *Book) floods(k *key, now exchange.Millis) bool {
	if k.tries == 0 || now-k.since >= minute {
		k.tries, k.since = 0, now
	}
	k.tries++
	return int(k.tries) > b.rules.AttemptsMax
}

func (b *Book) exceeds(a *account, body exchange.WithdrawBody, dayMax money.U128, now exchange.Millis) bool {
	if n := len(a.more.recent); n >= b.rules.WithdrawalsMax && now-a.more.recent[n-b.rules.WithdrawalsMax] < minute {
		return true
	}
	sum := body.Amount
	for _, window := range a.more.days {
		if window.asset != body.Asset {
			continue
		}
		for _, s := range window.slices {
			next, ok := sum.Add(s.amount)
			if !ok {
				return true
			}
			if s.counts(now) {
				sum = next
			}
		}
	}
	return sum.Cmp(dayMax) > 0
}

func (s dayAmount) counts(now exchange.Millis) bool {
	return exchange.Millis(s.number+1)*slice > now-day
}

// Withdrew counts a withdrawal that CheckWithdraw allowed and the ledger holds.
func (b *Book) Withdrew(id exchange.Account, asset exchange.Asset, amount money.U128, now exchange.Millis) {
	a := b.find(id)
	if a == nil {
		return
	}
	h := a.holdings()
	h.recent = append(h.recent, now)
	if spare := len(h.recent) - b.rules.WithdrawalsMax; spare > 0 {
		h.recent = slices.Delete(h.recent, 0, spare)
	}
	for i := range h.days {
		h.days[i].slices = slices.DeleteFunc(h.days[i].slices, func(s dayAmount) bool { return !s.counts(now) })
	}
	h.days = slices.DeleteFunc(h.days, func(w dayWindow) bool { return len(w.slices) == 0 })
	place, found := slices.BinarySearchFunc(h.days, asset, func(w dayWindow, asset exchange.Asset) int { return int(w.asset) - int(asset) })
	if !found {
		h.days = slices.Insert(h.days, place, dayWindow{asset: asset})
	}
	window := &h.days[place]
	number := int64(now / slice)
	if last := len(window.slices) - 1; last >= 0 && window.slices[last].number == number {
		if sum, ok := window.slices[last].amount.Add(amount); ok {
			window.slices[last].amount = sum
			return
		}
	}
	window.slices = append(window.slices, dayAmount{number, amount})
}

// Tickets returns the newest tickets, oldest first.
func (b *Book) Tickets() []exchange.TicketInfo { return slices.Clone(b.tickets) }

// Issued returns how many tickets there ever were.
func (b *Book) Issued() uint64 { return b.issued }
