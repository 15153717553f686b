package policy

import (
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

// clockFloor is a time that has passed. A clock before it was never set (machines wake up in 1970, or on the day their
// firmware was built).
const clockFloor = 1_767_225_600 // 2026-01-01 00:00:00 UTC

// The calendar of Bitcoin blocks, for signers that know no tip: block 840,000 was found at this time, and blocks come
// at most 5 % faster than every ten minutes over years.
const (
	anchorHeight  = 840_000
	anchorTime    = 1_713_571_767 // 2024-04-20 00:09:27 UTC
	blockSeconds  = 600
	calendarExtra = 20      // one block in so many is granted on top
	testHeightMax = 10e6    // blocks of a test network follow no calendar, and its coins have no worth
	lockTimeTimes = 500e6   // from here on nLockTime is a time, not a height
	standardMax   = 100_000 // virtual bytes that nodes relay at the most
	timeFormat    = time.RFC3339
)

func utc(t time.Time) string { return t.UTC().Format(timeFormat) }

// clock asks whether this machine's time can be believed.
func (j *judgement) clock() {
	now, last := j.in.Now, j.in.LastSeen
	j.check(now.Unix() >= clockFloor, "clock is set", utc(now), spend.Refuse("clock-unset", "clock",
		"a time after "+utc(time.Unix(clockFloor, 0)), utc(now), "the keyholder: set the clock (UTC), with a second person"))
	seen := "first use"
	if !last.IsZero() {
		seen = "last seen " + utc(last)
	}
	j.check(!now.Before(last), "clock did not go back", seen, spend.Refuse("clock-rolled-back", "clock",
		"not before "+utc(last), utc(now), "the keyholder: correct the clock; if it was ahead before, a quorum resets the ledger"))
}

// lifetime asks whether the intent is alive and was not made to live too long.
func (j *judgement) lifetime() {
	in, now := j.in.Intent, j.in.Now.Unix()
	// Seconds are compared as numbers: a time.Time wraps far outside the calendar.
	latest := now + int64(j.rule.ClockSkewMax/time.Second)
	created, expires := utc(time.Unix(in.CreatedAt, 0)), utc(time.Unix(in.ExpiresAt, 0))
	j.check(in.CreatedAt <= latest, "intent was created by now", created, spend.Refuse("intent-from-future", "intent",
		"created by "+utc(time.Unix(latest, 0)), created, "the keyholder: compare this clock with the issuer's"))
	j.check(now < in.ExpiresAt, "intent has not expired", "until "+expires, spend.Distrust("intent-expired", "intent",
		"signing before "+expires, utc(j.in.Now), "the proposer: make a new intent and have it approved again"))
	// Before 1970 there was no intent; without this the subtraction could wrap.
	sane := in.CreatedAt > 0 && in.ExpiresAt > in.CreatedAt
	long := uint64(in.ExpiresAt - in.CreatedAt)
	within := sane && long <= uint64(j.rule.LifetimeMax/time.Second)
	j.check(within, "intent's lifetime", fmt.Sprintf("%d of %d minutes", long/60, uint64(j.rule.LifetimeMax/time.Minute)),
		spend.Refuse("lifetime-too-long", "intent", fmt.Sprintf("at most %d minutes, and more than none", uint64(j.rule.LifetimeMax/time.Minute)),
			created+" to "+expires, "the proposer: make a new intent with a shorter life"))
}

// lockTime allows none, or a height that the chain has about reached. A transaction that is signed today and can be
// mined only next year is a trap for whoever has forgotten it by then. Times are refused: a payload mixes no units.
func (j *judgement) lockTime() {
	lock := j.facts.LockTime
	if lock == 0 {
		j.check(true, "lock time", "none", nil)
		return
	}
	j.check(lock < lockTimeTimes, "lock time is a height", fmt.Sprint(lock), spend.Refuse("locktime-is-time", "payload",
		"a block height or 0", fmt.Sprint(lock), "the issuer: build the payload with a height"))
	ceiling, why := j.heightNow()
	most := ceiling + uint64(j.rule.LockTimeAheadMax)
	j.check(uint64(lock) <= most, "lock time is not ahead", fmt.Sprintf("%d, at most %d (%s)", lock, most, why),
		spend.Refuse("locktime-ahead", "payload", fmt.Sprintf("at most %d (%s)", most, why), fmt.Sprint(lock),
			"the issuer: build the payload with the present height"))
}

// heightNow returns a height that the chain can have reached by now, and how that is known.
func (j *judgement) heightNow() (uint64, string) {
	switch {
	case j.in.Tip != 0:
		return uint64(j.in.Tip), "known tip"
	case j.rules.network.IsTest():
		return testHeightMax, "test network"
	}
	elapsed := j.in.Now.Unix() - anchorTime
	if elapsed < 0 {
		return anchorHeight, "calendar"
	}
	blocks := uint64(elapsed) / blockSeconds
	return anchorHeight + blocks + blocks/calendarExtra, "calendar"
}
