package limits

import (
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Notice is something that people want to hear of when it happens, and not when they look.
type Notice struct {
	Block   netip.Prefix     // the address, or the /64 of IPv6
	Account exchange.Account // where it is an account's conduct; zero: the address's
	Level   uint8            // of the ban; zero: none
	Conduct Conduct          // what the scorer found; Quiet: a ban
	Why     Why
	At      exchange.Millis
}

// Blocked reports whether the notice is of a block for good.
func (n Notice) Blocked() bool { return n.Level == levelBlocked }

// noticesMax wait at most. Whoever asks for them does so every second, and tells people only so many.
const noticesMax = 256

func (t *Table) notice(n Notice) {
	if len(t.notices) >= noticesMax {
		t.noticesLost++
		return
	}
	t.notices = append(t.notices, n)
}

// sentenced notes a ban that people want to hear of: one for good, or because of stolen secrets.
func (t *Table) sentenced(e *entry, before uint8, now exchange.Millis) {
	if e.level <= before || e.level != levelBlocked && e.reason() != WhyStuffing {
		return
	}
	t.notice(Notice{Block: e.key().block(), Level: e.level, Why: e.reason(), At: now})
}

// Notices returns what happened since it was asked last, oldest first, and how many more there were than fit.
func (t *Table) Notices() (list []Notice, lost uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list, lost = t.notices, t.noticesLost
	t.notices, t.noticesLost = nil, 0
	return list, lost
}

// found notes what the scorer found, in an address or in an account that signs from it.
func (t *Table) found(r Request, f Finding, now exchange.Millis) {
	n := Notice{Block: keyOf(r.IP).block(), Conduct: f.Conduct, Why: WhyConduct, At: now}
	if f.Account {
		n.Account = r.Account
	}
	t.notice(n)
}

// slows reports whether a finding narrows the address's limit for this request. Of one that is not counted nobody knows
// yet who sends it.
func (f Finding) slows() bool { return f.Conduct != Quiet && !f.Account && !f.Before }
