package signing_test

import (
	"testing"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
)

// locked is a treasury whose time-lock holds for everything above 0.001 BTC.
func locked(t *testing.T) *treasury {
	t.Helper()
	tr := newTreasury(t, 2, 3)
	tr.rules(t, "serial: 1", "serial: 2", `timelock_above: "10 BTC"`, `timelock_above: "0.001 BTC"`)
	return tr
}

// Control 072: at 23:59 hours refused, at 24:00 allowed; the key before the last may sign at once.
func TestControl072TheLastSignatureWaitsForTheTime(t *testing.T) {
	tr := locked(t)
	a, b, c := tr.holder(t, 0), tr.holder(t, 1), tr.holder(t, 2)
	ask := tr.ask(0)
	raw := tr.seal(t, ask)
	for _, h := range []*holder{b, c} {
		h.now = ask.created.Add(24*time.Hour - time.Minute)
		_, err := h.signs(t, raw)
		gives(t, h.name+" at 23:59", err, "timelock-running")
	}
	if declined, withheld := tr.events(t, home.Declined), tr.events(t, home.Withheld); declined != 0 || withheld != 2 {
		t.Errorf("waiting was recorded as %d refusals and %d waits", declined, withheld)
	}
	for _, h := range []*holder{a, b, c} {
		h.now = ask.created.Add(24 * time.Hour)
		_, err := h.signs(t, raw)
		gives(t, h.name+" at 24:00", err)
	}
	early := tr.ask(2)
	a.now = noon.Add(25 * time.Hour)
	early.created = a.now
	_, err := a.signs(t, tr.seal(t, early))
	gives(t, "the key before the last, at once", err)
}

// Attack 132: somebody who keeps asking for an early signature does not lock the wallet.
func TestAttack132WaitingIsNoRefusal(t *testing.T) {
	tr := locked(t)
	b := tr.holder(t, 1)
	ask := tr.ask(0)
	raw := tr.seal(t, ask)
	for range 7 { // refusals_max is 5
		_, err := b.signs(t, raw)
		gives(t, "early", err, "timelock-running")
	}
	b.now = ask.created.Add(24 * time.Hour)
	_, err := b.signs(t, raw)
	gives(t, "at the time", err)
}

// Control 072: one keyholder's refusal kills a large move at any time before the last signature, whatever the daemon does:
// also after that keyholder has signed, and also for another payload of the same intent.
func TestControl072OneVetoKillsTheIntent(t *testing.T) {
	tr := locked(t)
	a, b, c := tr.holder(t, 0), tr.holder(t, 1), tr.holder(t, 2)
	ask := tr.ask(0)
	raw := tr.seal(t, ask)
	tr.serial-- // the same intent with another fee
	ask.rate = 3000
	again := tr.seal(t, ask)
	_, err := a.signs(t, raw)
	gives(t, "the first signature", err)
	refusal, err := a.refuses(t, raw)
	must(t, err)
	_, err = a.signs(t, raw)
	gives(t, "the stored answer after the veto", err, "vetoed")
	c.now = ask.created.Add(25 * time.Hour)
	must(t, c.heeds(t, refusal, raw))
	for what, bundle := range map[string][]byte{"the bundle": raw, "another payload of its intent": again} {
		_, err := c.signs(t, bundle)
		gives(t, what, err, "vetoed")
	}
	gives(t, "a refusal of another bundle", b.heeds(t, refusal, again), "veto-mismatch")
	refusal[len(refusal)-80] ^= 1
	if len(codesOf(b.heeds(t, refusal, raw))) == 0 {
		t.Error("a changed refusal was taken in")
	}
}

// An answer that signs is no refusal of anything.
func TestAnAnswerThatSignedIsNoVeto(t *testing.T) {
	tr := locked(t)
	a, b := tr.holder(t, 0), tr.holder(t, 1)
	raw := tr.seal(t, tr.ask(0))
	signed, err := a.signs(t, raw)
	must(t, err)
	gives(t, "a signature", b.heeds(t, signed.Answer, raw), "veto-mismatch")
}

// After the time a signature that left cannot be taken back, and without a time-lock it never can.
func TestARefusalAfterSigningNeedsARunningLock(t *testing.T) {
	tr := locked(t)
	a := tr.holder(t, 0)
	ask := tr.ask(0)
	raw := tr.seal(t, ask)
	_, err := a.signs(t, raw)
	must(t, err)
	a.now = ask.created.Add(24 * time.Hour)
	_, err = a.refuses(t, raw)
	gives(t, "after the time", err, "already-signed")
	small := tr.ask(2)
	small.amount = 90_000
	small.created = a.now
	// Within the lock's length before, 300,000 satoshi left; they count, so what is small is large with them.
	_, x, err := a.examined(t, tr.seal(t, small))
	must(t, err)
	if !x.Lock.Applies {
		t.Error("attack 114: a large move was split into parts that nobody waits for")
	}
}

// Without a lock, a keyholder who refused a bundle in writing does not sign that same bundle, and may sign a better one.
func TestARefusedBundleStaysRefused(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a, b := tr.holder(t, 0), tr.holder(t, 1)
	ask := tr.ask(0)
	raw := tr.seal(t, ask)
	_, err := a.refuses(t, raw)
	must(t, err)
	_, err = a.signs(t, raw)
	gives(t, "the refused bundle", err, "vetoed")
	_, err = b.signs(t, raw)
	gives(t, "another keyholder who did not hear of it", err)
	tr.serial--
	ask.rate = 1500
	_, err = a.signs(t, tr.seal(t, ask))
	gives(t, "a cheaper payload of the same intent", err)
}
