package limits_test

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

var bad = limits.Request{IP: netip.MustParseAddr("203.0.113.7"), Weight: 1200}

// hammer sends heavy requests until the answer is no longer to slow down, and returns it.
func hammer(t testing.TB, tab *limits.Table, now exchange.Millis) limits.Decision {
	t.Helper()
	for range 100 {
		if d := tab.Take(bad, now); d.Verdict > limits.SlowDown {
			return d
		}
	}
	t.Fatal("a hundred heavy requests were only slowed down")
	return limits.Decision{}
}

// Control 81: slow down, then bans that grow, then a block with a ticket; each by a clock that the test holds.
func TestControl081TheResponseGrowsWithTheOffence(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	tab.Take(bad, now)
	for i := range 19 {
		if d := tab.Take(bad, now); d.Verdict != limits.SlowDown {
			t.Fatal(i, d)
		}
	}
	for level, want := range []exchange.Millis{2 * minute, 10 * minute, hour, 6 * hour, 24 * hour} {
		d := hammer(t, tab, now)
		if d.Verdict != limits.Banned || d.Why != limits.WhyHammering || d.RetryAfter != want {
			t.Fatalf("ban %d: %+v, want %d", level, d, want)
		}
		if d := tab.Take(limits.Request{IP: bad.IP}, now+want-1); d.Verdict != limits.Banned || d.RetryAfter != 1 {
			t.Fatalf("just before its end: %+v", d)
		}
		now += want
		if d := tab.Take(limits.Request{IP: bad.IP}, now); d.Verdict != limits.Pass {
			t.Fatalf("at its end: %+v", d)
		}
	}
	if d := hammer(t, tab, now); d.Verdict != limits.Blocked || d.Why != limits.WhyRepeatedly {
		t.Fatal(d)
	}
	if d := tab.Take(limits.Request{IP: bad.IP}, now+1000*day); d.Verdict != limits.Blocked {
		t.Error("a block ends by itself", d)
	}
	tickets := tab.Tickets()
	if len(tickets) != 1 || tickets[0].Block.String() != "203.0.113.7/32" || tickets[0].At != now/1000*1000 || tickets[0].Number == 0 {
		t.Fatalf("%+v", tickets)
	}
	if tab.Unban(bad.IP, now-second) {
		t.Error("people who forgave what was before forgave what came after")
	}
	if !tab.Unban(bad.IP, now) || tab.Unban(bad.IP, now) || len(tab.Tickets()) != 0 {
		t.Error("the block does not end when people say so")
	}
	if d := tab.Take(limits.Request{IP: bad.IP}, now+1000*day); d.Verdict != limits.Pass {
		t.Error(d)
	}
}

func TestControl081GoodConductTakesALevelBackEverySixHours(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	for _, ban := range []exchange.Millis{2 * minute, 10 * minute, hour} {
		hammer(t, tab, now)
		now += ban
	}
	for _, c := range []struct{ pause, want exchange.Millis }{{6*hour - second, 6 * hour}, {6 * hour, 6 * hour}, {12 * hour, hour}, {1000 * hour, 2 * minute}} {
		now += c.pause
		if d := hammer(t, tab, now); d.Verdict != limits.Banned || d.RetryAfter != c.want {
			t.Fatalf("after %d h: %+v", c.pause/hour, d)
		}
		now += c.want
	}
}

func TestControl081SlownessIsForgottenAfterAMinute(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	for i := range 200 {
		if d := tab.Take(bad, now); d.Verdict > limits.SlowDown {
			t.Fatal(i, d)
		}
		if i%10 == 9 {
			now += 90 * second
		}
	}
}

func TestControl081ExceptionsAreNeverBlockedForGood(t *testing.T) {
	tab, now := table(t, limits.Options{Exceptions: []limits.Exception{{Block: netip.MustParsePrefix("203.0.113.0/24"), Weight: 1200}}}), start
	for range 20 {
		d := hammer(t, tab, now)
		if d.Verdict != limits.Banned {
			t.Fatal(d)
		}
		now += d.RetryAfter
	}
}

// Control 87: stolen secrets tried for 100,000 accounts block the address that tries them and nobody else.
func TestControl087StuffingBlocksTheAddressAndNeverTheVictims(t *testing.T) {
	tab, tried, now := table(t, limits.Options{}), 0, start
	for account := range exchange.Account(100_000) {
		now += 10
		if d := tab.Take(limits.Request{IP: bad.IP, Account: account + 1, Failure: limits.BadSignature}, now); d.Verdict == limits.Pass {
			tried++
		} else if d.Verdict == limits.Banned && (d.Why != limits.WhyStuffing || d.RetryAfter > hour) {
			t.Fatal(d)
		}
	}
	if tried > 30 {
		t.Errorf("%d accounts were tried", tried)
	}
	for account := range exchange.Account(1000) {
		d := tab.Take(limits.Request{IP: ip4(uint32(account)), Account: account + 1, Orders: 1}, now)
		if d.Verdict != limits.Pass || d.Orders10s != 1 {
			t.Fatal("a victim is charged", d)
		}
	}
	if d := tab.Take(limits.Request{IP: bad.IP, Account: 7}, now); d.Verdict != limits.Banned {
		t.Error("the attacker is let in with a right signature", d)
	}
}

func TestControl087OneWrongSecretIsNoStuffing(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	for i := range 2000 {
		now += second
		if d := tab.Take(limits.Request{IP: bad.IP, Account: exchange.Account(i%3 + 1), Failure: limits.BadSignature}, now); d.Verdict > limits.SlowDown {
			t.Fatal(i, d)
		}
	}
}

// Nobody under a ban is forgotten because others need room.
func TestABanOutlastsAFloodOfAddresses(t *testing.T) {
	tab := table(t, limits.Options{Addresses: 100})
	hammer(t, tab, start)
	for i := range uint32(100_000) {
		tab.Take(limits.Request{IP: ip4(i), Weight: 1}, start+exchange.Millis(i))
	}
	if d := tab.Take(limits.Request{IP: bad.IP}, start+101*second); d.Verdict != limits.Banned {
		t.Error(d)
	}
}

// A full table makes limits narrower for those who have to share, and bans none of them.
func TestAFullTableNeverLetsMoreThroughAndBansNobodyForOthers(t *testing.T) {
	tab := table(t, limits.Options{Addresses: 1})
	tab.Take(bad, start)
	for i := range uint32(1_000_000) {
		if d := tab.Take(limits.Request{IP: ip4(i), Weight: 600}, start); d.Verdict > limits.SlowDown {
			t.Fatal(i, d)
		}
	}
	if d := tab.Take(limits.Request{IP: ip4(7), Weight: 600}, start+70*second); d.Verdict != limits.Pass {
		t.Error("the flood is over and the table still full", d)
	}
}

// Control 81: a ban outlives the process, and a file of bans that was changed is refused as a whole.
func TestControl081SentencesOutliveTheTable(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	hammer(t, tab, now)
	for account := range exchange.Account(100) {
		tab.Take(limits.Request{IP: ip("2001:db8::1"), Account: account + 1, Failure: limits.BadSignature}, now)
	}
	raw := limits.AppendSentences(nil, tab.Sentences())
	read, err := limits.ReadSentences(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := limits.ReadSentences(bad); err == nil {
			t.Errorf("a file whose byte %d was changed is taken", i)
		}
		if _, err := limits.ReadSentences(raw[:i]); err == nil {
			t.Errorf("the first %d bytes of a file are taken", i)
		}
	}
	other, err := limits.New(limits.Options{Sentences: read})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"203.0.113.7", "2001:db8::2"} {
		r := limits.Request{IP: ip(from)}
		if one, two := tab.Take(r, now), other.Take(r, now); one.Verdict != limits.Banned || one.Why != two.Why || one.RetryAfter != two.RetryAfter {
			t.Errorf("%+v, %+v", one, two)
		}
	}
	if one, two := tab.Sentences(), other.Sentences(); len(one) != 2 || !reflect.DeepEqual(one, two) {
		t.Errorf("%+v\n%+v", one, two)
	}
	for _, s := range []limits.Sentence{{}, {Block: netip.MustParsePrefix("203.0.113.0/24"), Level: 1}, {Block: netip.MustParsePrefix("203.0.113.7/32"), Level: 7}} {
		if _, err := limits.New(limits.Options{Sentences: []limits.Sentence{s}}); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// Whoever keeps the sentences hears of each that is new, and of nothing else.
func TestChangesCountNewSentences(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	tab.Take(bad, now)
	tab.Take(bad, now)
	if n := tab.Changes(); n != 0 {
		t.Errorf("slowed down: %d", n)
	}
	hammer(t, tab, now)
	if n := tab.Changes(); n != 1 {
		t.Errorf("banned: %d", n)
	}
	tab.Take(bad, now+second)
	if n := tab.Changes(); n != 1 {
		t.Errorf("still banned: %d", n)
	}
	tab.Unban(bad.IP, now)
	if n := tab.Changes(); n != 2 {
		t.Errorf("forgiven: %d", n)
	}
}

// A file whose sum is right is read in one way, or refused.
func FuzzReadSentences(f *testing.F) {
	f.Add(limits.AppendSentences(nil, []limits.Sentence{{Block: netip.MustParsePrefix("203.0.113.7/32"), Level: 6, Why: limits.WhyRepeatedly},
		{Block: netip.MustParsePrefix("2001:db8::/64"), Level: 1, Why: limits.WhyStuffing}})[:len("CSBANS01")+70])
	f.Fuzz(func(t *testing.T, raw []byte) {
		sum := sha256.Sum256(raw)
		raw = append(raw, sum[:]...)
		list, err := limits.ReadSentences(raw)
		if err != nil {
			return
		}
		if again := limits.AppendSentences(nil, list); !bytes.Equal(again, raw) {
			t.Errorf("%x is read as %x", raw, again)
		}
	})
}
