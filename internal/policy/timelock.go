package policy

import (
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

// Lock is the time-lock of one intent.
type Lock struct {
	Applies bool
	Until   time.Time // from here on every key may sign
	used    limit     // what left within the time-lock's length, this payload included
}

// TimeLock says whether an intent moves so much that its last signature must wait, and until when. It says nothing of
// what cannot be judged.
func TimeLock(rules Rules, in Input) Lock {
	rule, known := rules.Rule(in.Intent.From)
	if !known || !in.Effects.Proven() {
		return Lock{}
	}
	leaving, err := Leaving(in.Effects.Facts())
	l := Lock{Until: time.Unix(in.Intent.CreatedAt, 0).Add(rule.Timelock)}
	l.used = within(Window{rule.Timelock, rule.TimelockAbove}, limit{used: leaving, err: err}, in)
	// What cannot be added up is more than anything. A move within the wallet is none.
	l.Applies = l.used.err != nil || !leaving.IsZero() && l.used.used.Cmp(rule.TimelockAbove) > 0
	return l
}

// mayLead reports whether a key belongs to those that may sign before the time: one fewer than the threshold. A key
// whose number is not known waits.
func mayLead(keyNumber, threshold int) bool { return keyNumber >= 1 && keyNumber < threshold }

// timeLock withholds the signature that would complete the threshold.
func (j *judgement) timeLock() {
	lock, in := TimeLock(j.rules, j.in), j.in
	open := in.Now.Unix() >= lock.Until.Unix()
	leads := mayLead(in.KeyNumber, j.facts.Threshold)
	detail := fmt.Sprintf("%s of %s", lock.used.used, j.rule.TimelockAbove)
	switch {
	case lock.Applies && open:
		detail = "over since " + utc(lock.Until)
	case lock.Applies && leads:
		detail = fmt.Sprintf("key %d may sign, the last signature waits until %s", in.KeyNumber, utc(lock.Until))
	}
	j.check(!lock.Applies || open || leads, "time-lock", detail, spend.Refuse(timelockCode, "intent",
		fmt.Sprintf("a signature by key %d from %s on", in.KeyNumber, utc(lock.Until)), utc(in.Now),
		"the keyholder: sign again from then on; or stop it for everybody: coldsign refuse FILE --reason unexpected"))
}

const timelockCode = "timelock-running"

// OnlyTimeLock reports whether waiting is all that a verdict asks for. It is no refusal of anybody, and does not count
// towards locking the wallet.
func OnlyTimeLock(v spend.Verdict) bool {
	refusals := v.Refusals()
	return len(refusals) == 1 && refusals[0].Code == timelockCode
}
