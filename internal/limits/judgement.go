package limits

import (
	"math/bits"

	"github.com/coldsign/coldsign/internal/exchange"
)

const (
	sensitiveFactor = 20 // 1,200 are 60 sensitive requests in 60 seconds
	failureCost     = 10 // more for a wrong signature or key: 109 tries in 60 seconds, and then a ban
	strikesMax      = 20 // requests in a row that were told to slow down
	strikesForget   = 60 // seconds
	// stuffingMax of the 16 marks for accounts with a wrong signature: that many different accounts, or a few more.
	stuffingMax    = 8
	stuffingForget = 600 // seconds
	stuffingLevel  = 3   // where the ban begins: an hour
	levelForget    = 6 * 3600
	levelBlocked   = 6
	// slowedShare is the part of the limit that unsigned requests may use of an address with a bad conduct. Signed ones
	// have all of it.
	slowedShare = 4
)

// banSeconds is how long the ban of a level lasts.
func banSeconds(level uint8) uint32 {
	return [...]uint32{0, 120, 600, 3600, 6 * 3600, 24 * 3600}[level]
}

// judgement is one request's look at its address's entry.
type judgement struct {
	e             *entry
	now           exchange.Millis
	limit         uint16
	own, excepted bool
	slowed        bool // what the scorer found of its unsigned requests
}

// take counts a request against its address.
func (j judgement) take(r Request) Decision {
	e, second := j.e, uint32(j.now/1000)
	e.settle(j.now)
	if e.level == levelBlocked {
		return Decision{Verdict: Blocked, Why: e.reason(), Used: e.window.used}
	}
	if second < e.until {
		return j.banned(e.reason())
	}
	if r.Failure == BadSignature && j.own && j.stuffing(r.Account, second) {
		return j.ban(max(e.level+1, stuffingLevel))
	}
	cost := min(costOf(r), uint32(j.limit)) // what costs more than there is passes alone
	if j.slowed && !e.window.fits(cost, j.limit/slowedShare) {
		// No strike: it would become a ban, and others behind this address sign rightly.
		d := j.slowDown(cost)
		d.Why = WhyConduct
		return d
	}
	if e.window.fits(cost, j.limit) {
		e.window.add(cost)
		return Decision{Used: e.window.used}
	}
	if !j.own { // it shares its count with others, who must not be punished for it
		return j.slowDown(cost)
	}
	if second-e.struck > strikesForget {
		e.strikes = 0
	}
	e.strikes, e.struck = e.strikes+1, second
	if e.strikes >= strikesMax {
		e.marks = 0
		return j.ban(e.level + 1)
	}
	return j.slowDown(cost)
}

func costOf(r Request) uint32 {
	cost := uint32(max(r.Weight, 1))
	if r.Class == Sensitive {
		cost *= sensitiveFactor
	}
	if r.Failure != NoFailure {
		cost += failureCost
	}
	return cost
}

// stuffing marks an account whose signature was wrong and reports whether there are too many. A customer with a wrong
// secret tries one account, or the few that are his.
func (j judgement) stuffing(account exchange.Account, second uint32) bool {
	e := j.e
	if second-e.struck > stuffingForget {
		e.marks = 0
	}
	e.struck = second
	e.marks |= 1 << (uint64(account) * 0x9e3779b97f4a7c15 >> 60) // neighbours get different marks
	return bits.OnesCount16(e.marks) >= stuffingMax
}

func (j judgement) slowDown(cost uint32) Decision {
	return Decision{Verdict: SlowDown, Why: WhyAddressWeight, Used: j.e.window.used, RetryAfter: j.e.window.wait(cost, j.limit, j.now)}
}

func (j judgement) banned(why Why) Decision {
	return Decision{Verdict: Banned, Why: why, Used: j.e.window.used, RetryAfter: exchange.Millis(j.e.until)*1000 - j.now}
}

// ban begins a ban of a level. Behind the last one there is no ban but the block, except for addresses that the operator
// made an exception for: many people may be behind them.
func (j judgement) ban(level uint8) Decision {
	e := j.e
	if level >= levelBlocked && j.excepted {
		level = levelBlocked - 1
	}
	e.level, e.strikes = level, 0
	e.struck = uint32(j.now / 1000)
	if level >= levelBlocked {
		e.level, e.until = levelBlocked, 0
		return Decision{Verdict: Blocked, Why: e.reason(), Used: e.window.used}
	}
	e.until = e.struck + banSeconds(level)
	return j.banned(e.reason())
}
