package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"pgregory.net/rapid"
)

// tellsOfTimeLock begin with 12.5 BTC, above the template's 10, created an hour ago and signed by key 1 of 2.
func tellsOfTimeLock() []tell {
	const btc = 100_000_000
	age := func(d time.Duration) func(*story) {
		return func(s *story) {
			s.KeyNumber, s.Intent.CreatedAt, s.Intent.ExpiresAt = 2, now.Add(-d).Unix(), now.Add(48*time.Hour-d).Unix()
		}
	}
	last := func(change func(*story)) func(*story) { return func(s *story) { s.KeyNumber = 2; change(s) } }
	return []tell{
		{"C72", "the key before the last", func(s *story) { s.KeyNumber = 1 }, nil},
		{"C72", "the key that completes the threshold", func(s *story) { s.KeyNumber = 2 }, []string{"timelock-running"}},
		{"C72", "a key beyond the threshold", func(s *story) { s.KeyNumber = 3 }, []string{"timelock-running"}},
		{"C72", "a key whose number is not known", func(s *story) { s.KeyNumber = 0 }, []string{"timelock-running"}},
		{"C72", "a key number that wrapped", func(s *story) { s.KeyNumber = -1 }, []string{"timelock-running"}},
		{"C72", "23 h 59 min 59 s", age(24*time.Hour - time.Second), []string{"timelock-running"}},
		{"C72", "24 h", age(24 * time.Hour), nil},
		{"C72", "the last key, at the amount", last(func(s *story) { s.pays(10 * btc) }), nil},
		{"C72", "the last key, a satoshi above", last(func(s *story) { s.pays(10*btc + 1) }), []string{"timelock-running"}},
		{"114", "split: the rest left within the day", last(func(s *story) {
			s.pays(4 * btc).History = []policy.Movement{{At: now.Add(-24 * time.Hour), Amount: money.Sats(6*btc + 1)}}
		}), []string{"timelock-running"}},
		{"114", "split: the rest left before", last(func(s *story) {
			s.pays(4 * btc).History = []policy.Movement{{At: now.Add(-24*time.Hour - 1), Amount: money.Sats(6*btc + 1)}}
		}), nil},
		{"123", "a clock turned back restarts no lock", func(s *story) { age(30 * time.Hour)(s); s.Now = now.Add(-10 * time.Hour) },
			[]string{"clock-rolled-back", "timelock-running"}},
	}
}

func TestControl072TheLastSignatureWaits(t *testing.T) { attacked(t, "C72") }

func TestAMoveWithinTheWalletIsNotLocked(t *testing.T) {
	s := consolidation()
	s.KeyNumber = 2
	s.History = []policy.Movement{{At: now, Amount: money.Sats(2_000_000_000)}} // what left before does not lock what stays
	if v := s.judge(t); !v.Clean() {
		t.Errorf("%q", codes(v))
	}
}

// Whoever is asked, in whatever order, however often and at whatever moments: before the time fewer signatures than the
// threshold exist, and from it on everybody signs.
func TestAtMostOneFewerThanTheThresholdSignEarly(t *testing.T) {
	held := rules(t)
	signs := func(threshold, keys, number int, at time.Time) bool {
		s := topUp()
		s.facts.Threshold, s.facts.Keys, s.KeyNumber, s.Now, s.LastSeen = threshold, keys, number, at, time.Time{}
		s.Intent.CreatedAt, s.Intent.ExpiresAt, s.facts.LockTime = now.Unix(), now.Add(72*time.Hour).Unix(), 0
		s.Effects = chaintest.Effects(s.facts)
		v := policy.Judge(held, s.Input)
		if !v.Clean() && !policy.OnlyTimeLock(v) {
			t.Fatalf("%q", codes(v))
		}
		return v.Clean()
	}
	for keys := 3; keys <= 7; keys++ {
		for threshold := 2; threshold <= keys; threshold++ {
			early := 0
			for number := 1; number <= keys; number++ {
				if signs(threshold, keys, number, now.Add(24*time.Hour-time.Second)) {
					early++
				}
				if !signs(threshold, keys, number, now.Add(24*time.Hour)) {
					t.Errorf("key %d of %d-of-%d does not sign after the time", number, threshold, keys)
				}
			}
			// Every subset of keys is a part of all of them, so no subset has more signatures than all keys together.
			if early != threshold-1 {
				t.Errorf("%d-of-%d: %d signatures before the time", threshold, keys, early)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.IntRange(3, 15).Draw(rt, "keys")
		threshold := rapid.IntRange(2, keys).Draw(rt, "threshold")
		var signed []int
		for range rapid.IntRange(0, 30).Draw(rt, "asked") {
			number := rapid.IntRange(1, keys).Draw(rt, "number")
			minutes := rapid.IntRange(0, 24*60-1).Draw(rt, "minute")
			if signs(threshold, keys, number, now.Add(time.Duration(minutes)*time.Minute)) && !slices.Contains(signed, number) {
				signed = append(signed, number)
			}
		}
		if len(signed) >= threshold {
			rt.Errorf("%d-of-%d: keys %v signed before the time", threshold, keys, signed)
		}
	})
}

func TestTheLockSaysUntilWhen(t *testing.T) {
	s := topUp()
	s.Effects = chaintest.Effects(s.facts)
	lock := policy.TimeLock(rules(t), s.Input)
	if !lock.Applies || !lock.Until.Equal(now.Add(23*time.Hour)) {
		t.Errorf("%+v", lock)
	}
	s.Intent.From = hot.ID
	if lock := policy.TimeLock(rules(t), s.Input); lock.Applies {
		t.Error("a lock without a rule")
	}
}
