package limits_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
	"pgregory.net/rapid"
)

const (
	second = exchange.Millis(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	start  = exchange.Millis(1_790_000_000_000)
)

func table(t testing.TB, o limits.Options) *limits.Table {
	t.Helper()
	table, err := limits.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

// ip4 returns one of 2^32 addresses.
func ip4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// passed is what got through to one address, and when.
type passed struct {
	at     exchange.Millis
	weight int
}

// inMinute returns the weight in the 60 seconds that end at now.
func inMinute(log []passed, now exchange.Millis) int {
	sum := 0
	for _, p := range log {
		if now-p.at < minute {
			sum += p.weight
		}
	}
	return sum
}

// Control 77: no window of 60 seconds, wherever it begins, passes more than 1,200, whatever the schedule; and nobody
// who stays below is refused.
func TestControl077NoScheduleGetsMoreThan1200IntoAny60Seconds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// With few places in the table, addresses come and go and share entries; the claim holds all the same.
		tab := table(t, limits.Options{Addresses: rapid.SampledFrom([]int{1, 2, 1000}).Draw(rt, "places")})
		now := start + exchange.Millis(rapid.IntRange(0, 60_000).Draw(rt, "phase"))
		logs := map[netip.Addr][]passed{}
		for range rapid.IntRange(1, 120).Draw(rt, "bursts") {
			now += exchange.Millis(rapid.SampledFrom([]int{0, 1, 999, 4_999, 5_000, 5_001, 29_999, 55_000, 59_999, 60_000, 60_001, 65_000, 130_000}).Draw(rt, "pause"))
			from := ip4(rapid.Uint32Range(1, 4).Draw(rt, "address"))
			weight := rapid.SampledFrom([]int{1, 5, 50, 250, 1200}).Draw(rt, "weight")
			for range rapid.IntRange(1, 8).Draw(rt, "requests") {
				d := tab.Take(limits.Request{IP: from, Weight: uint16(weight)}, now)
				if d.Verdict != limits.Pass {
					if d.RetryAfter <= 0 {
						rt.Fatalf("%+v", d)
					}
					continue
				}
				logs[from] = append(logs[from], passed{now, weight})
				if sum := inMinute(logs[from], now); sum > 1200 {
					rt.Fatalf("%d within 60 s", sum)
				}
			}
		}
	})
}

// The known trick against limits of a clock's minute: all of one minute's weight at its end, all of the next at its
// beginning.
func TestControl077TheSeamBetweenTwoMinutes(t *testing.T) {
	for phase := range exchange.Millis(60) {
		tab, log := table(t, limits.Options{}), []passed{}
		for now := start; now < start+3*minute; now += 50 {
			if offset := (now + phase*second) % minute; offset < 58*second && offset > 2*second {
				continue
			}
			if tab.Take(limits.Request{IP: ip("203.0.113.7"), Weight: 20}, now).Verdict == limits.Pass {
				log = append(log, passed{now, 20})
			}
			if sum := inMinute(log, now); sum > 1200 {
				t.Fatalf("%d within 60 s", sum)
			}
		}
		if len(log) < 60 {
			t.Errorf("only %d passed", len(log))
		}
	}
}

func TestWhoWaitsAsToldPasses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tab, now := table(t, limits.Options{}), start
		for range 40 {
			now += exchange.Millis(rapid.IntRange(0, 20_000).Draw(rt, "pause"))
			r := limits.Request{IP: ip("203.0.113.7"), Weight: uint16(rapid.IntRange(1, 1500).Draw(rt, "weight"))}
			d := tab.Take(r, now)
			if d.Verdict == limits.Pass {
				continue
			}
			if d.Verdict != limits.SlowDown || d.Why != limits.WhyAddressWeight || d.RetryAfter > 65*second {
				rt.Fatalf("%+v", d)
			}
			now += d.RetryAfter
			if d := tab.Take(r, now); d.Verdict != limits.Pass {
				rt.Fatalf("after waiting: %+v", d)
			}
		}
	})
}

func TestControl077A64OfIPv6IsOneAddressAndIPv4InIPv6IsIPv4(t *testing.T) {
	tab := table(t, limits.Options{})
	for i := range 1200 {
		raw := ip("2001:db8:1:2::").As16()
		binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
		if d := tab.Take(limits.Request{IP: netip.AddrFrom16(raw), Weight: 1}, start); d.Verdict != limits.Pass || int(d.Used) != i+1 {
			t.Fatal(i, d)
		}
	}
	if d := tab.Take(limits.Request{IP: ip("2001:db8:1:2::1"), Weight: 1}, start); d.Verdict != limits.SlowDown {
		t.Error("another address of the /64 passes", d)
	}
	if d := tab.Take(limits.Request{IP: ip("2001:db8:1:3::1"), Weight: 1}, start); d.Used != 1 {
		t.Error("the next /64 is charged", d)
	}
	tab.Take(limits.Request{IP: ip("203.0.113.7"), Weight: 5}, start)
	if d := tab.Take(limits.Request{IP: ip("::ffff:203.0.113.7"), Weight: 5}, start); d.Used != 10 {
		t.Error("an IPv4 address has two accounts", d)
	}
}

func TestControl077ExceptionsHaveTheirOwnLimit(t *testing.T) {
	tab := table(t, limits.Options{Exceptions: []limits.Exception{{Block: netip.MustParsePrefix("198.51.100.0/24"), Weight: 12_000}, {Block: netip.MustParsePrefix("2001:db8::/48"), Weight: 10}}})
	for from, want := range map[string]int{"198.51.100.9": 12_000, "::ffff:198.51.100.10": 12_000, "198.51.101.9": 1200, "2001:db8::1": 10} {
		n := 0
		for tab.Take(limits.Request{IP: ip(from), Weight: 1}, start).Verdict == limits.Pass {
			n++
		}
		if n != want {
			t.Errorf("%s: %d, want %d", from, n, want)
		}
	}
	for _, bad := range []limits.Options{{AddressWeight: 60_001}, {Addresses: -1}, {Exceptions: []limits.Exception{{Block: netip.MustParsePrefix("2001:db8::/65"), Weight: 1}}},
		{Exceptions: []limits.Exception{{Weight: 1}}}, {Exceptions: []limits.Exception{{Block: netip.MustParsePrefix("198.51.100.9/24"), Weight: 1}}}} {
		if _, err := limits.New(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// Control 23: a bot at 10 orders a second for an hour is never refused, with the jitter that networks have, while
// somebody beside it is.
func TestControl023TenOrdersASecondForAnHourAreNeverRefused(t *testing.T) {
	tab, random := table(t, limits.Options{}), rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range exchange.Millis(36_000) {
		now := start + i*100 + exchange.Millis(random.IntN(90))
		if d := tab.Take(limits.Request{IP: ip("203.0.113.7"), Account: 1, Class: limits.Trading, Weight: 1, Orders: 1}, now); d.Verdict != limits.Pass {
			t.Fatal(i, d)
		}
		for range 20 {
			if tab.Take(limits.Request{IP: ip("203.0.113.8"), Account: 2, Class: limits.Trading, Weight: 1, Orders: 1}, now).Verdict != limits.Pass {
				refused++
			}
		}
	}
	if refused < 700_000 {
		t.Errorf("of 720,000 abusive orders only %d were refused", refused)
	}
}

// Control 78: every class has a limit, the more sensitive the narrower.
func TestControl078SensitiveEndpointsHaveTheNarrowestLimit(t *testing.T) {
	most := func(c limits.Class) (n int) {
		tab := table(t, limits.Options{})
		for tab.Take(limits.Request{IP: ip("203.0.113.7"), Class: c}, start).Verdict == limits.Pass { // weight zero costs one
			n++
		}
		return n
	}
	if g, o, s := most(limits.General), most(limits.Trading), most(limits.Sensitive); g != 1200 || o != 1200 || s != 60 {
		t.Error(g, o, s)
	}
}

// Control 87: a request that is 250 times as heavy for us is so for its sender.
func TestControl087HeavyQueriesCostTheirWeight(t *testing.T) {
	tab := table(t, limits.Options{})
	for i, want := range []limits.Verdict{limits.Pass, limits.Pass, limits.Pass, limits.Pass, limits.SlowDown} {
		if d := tab.Take(limits.Request{IP: ip("203.0.113.7"), Weight: 250}, start); d.Verdict != want {
			t.Error(i, d)
		}
	}
}

func TestAccountsHaveLimitsOverAllTheirAddresses(t *testing.T) {
	tab := table(t, limits.Options{AccountWeight: 100, Orders10s: 5, OrdersDay: 8})
	now := start - start%day + hour // a tenth second and a day begin on known times
	take := func(r limits.Request) limits.Decision {
		r.IP = ip4(rand.Uint32())
		return tab.Take(r, now)
	}
	if d := take(limits.Request{Account: 1, Orders: 5}); d.Verdict != limits.Pass || d.Orders10s != 5 || d.OrdersDay != 5 {
		t.Error(d)
	}
	if d := take(limits.Request{Account: 1, Orders: 1}); d.Why != limits.WhyOrders10s || d.RetryAfter != 10*second || d.Orders10s != 5 {
		t.Error(d)
	}
	now += 10 * second
	if d := take(limits.Request{Account: 1, Orders: 3}); d.Verdict != limits.Pass || d.Orders10s != 3 || d.OrdersDay != 8 {
		t.Error(d)
	}
	if d := take(limits.Request{Account: 1, Orders: 1}); d.Why != limits.WhyOrdersDay || d.RetryAfter != 23*hour-10*second {
		t.Error(d)
	}
	if d := take(limits.Request{Account: 1, Weight: 97}); d.Verdict != limits.Pass {
		t.Error(d)
	}
	if d := take(limits.Request{Account: 1, Weight: 2}); d.Why != limits.WhyAccountWeight || d.Verdict != limits.SlowDown || d.RetryAfter <= 0 {
		t.Error(d)
	}
	if d := take(limits.Request{Account: 2, Weight: 2}); d.Verdict != limits.Pass {
		t.Error("another account is charged", d)
	}
	now += day
	if d := take(limits.Request{Account: 1, Orders: 5, Weight: 100}); d.Verdict != limits.Pass {
		t.Error("a new day", d)
	}
}

func TestManyAccountsAreForgottenWhenNothingOfThemCounts(t *testing.T) {
	tab, now := table(t, limits.Options{}), start
	for i := range 200_000 {
		if i%20_000 == 0 {
			now += 2 * day
		}
		tab.Take(limits.Request{IP: ip4(uint32(i)), Account: exchange.Account(i + 1), Orders: 1}, now)
	}
	if n := tab.Accounts(); n > 60_000 {
		t.Errorf("%d accounts are remembered", n)
	}
}

// Control 77: an attacker with a million addresses costs 64 MiB at most.
func TestControl077AMillionAddressesTakeAtMost64MiB(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tab := table(t, limits.Options{})
	for i := range uint32(1_100_000) {
		tab.Take(limits.Request{IP: ip4(i), Weight: 1}, start)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := after.HeapAlloc - before.HeapAlloc
	t.Logf("%.1f MiB", float64(size)/(1<<20))
	if size > 64<<20 {
		t.Errorf("%d bytes", size)
	}
	if d := tab.Take(limits.Request{IP: ip4(5), Weight: 1}, start); d.Used != 2 {
		t.Error("the first ones were forgotten to make room", d)
	}
}

func TestTakingAllocatesNothing(t *testing.T) {
	tab := table(t, limits.Options{AddressWeight: 60_000, Orders10s: 1 << 30})
	r := limits.Request{IP: ip("203.0.113.7"), Account: 1, Orders: 1}
	tab.Take(r, start)
	if n := testing.AllocsPerRun(1000, func() { tab.Take(r, start) }); n != 0 {
		t.Error(n)
	}
}

func BenchmarkTake(b *testing.B) {
	tab := table(b, limits.Options{AddressWeight: 60_000, AccountWeight: 60_000, Orders10s: 1 << 30, OrdersDay: 1 << 30})
	i := uint32(0)
	for b.Loop() {
		i++
		tab.Take(limits.Request{IP: ip4(i * 2654435761 % 1_000_000), Account: exchange.Account(i%10_000 + 1), Weight: 1, Orders: 1}, start+exchange.Millis(i/10))
	}
}

func drawRequest(t *rapid.T) limits.Request {
	r := limits.Request{Account: exchange.Account(rapid.Uint64().Draw(t, "account")), Class: limits.Class(rapid.IntRange(0, 2).Draw(t, "class")),
		Failure: limits.Failure(rapid.IntRange(0, 3).Draw(t, "failure")), Weight: rapid.Uint16().Draw(t, "weight"), Orders: rapid.Uint16().Draw(t, "orders")}
	raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip")
	switch rapid.IntRange(0, 2).Draw(t, "family") {
	case 1:
		r.IP = netip.AddrFrom4([4]byte(raw))
	case 2:
		r.IP = netip.AddrFrom16([16]byte(raw)).Unmap()
	}
	return r
}

func TestRequestsAndDecisionsComeBackAsTheyWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRequest(t)
		raw := want.Append(nil)
		var got limits.Request
		if rest, err := got.Read(append(raw[:len(raw):len(raw)], "next"...)); err != nil || string(rest) != "next" || got != want {
			t.Fatalf("%v\n%+v\n%+v", err, got, want)
		}
		for cut := range len(raw) {
			if _, err := got.Read(raw[:cut]); err == nil {
				t.Fatalf("the first %d bytes are a request", cut)
			}
		}
	})
	want := limits.Decision{Verdict: limits.Blocked, Why: limits.WhyRepeatedly, Used: 3, Orders10s: 4, OrdersDay: 5, RetryAfter: 6}
	var got limits.Decision
	if rest, err := got.Read(want.Append(nil)); err != nil || len(rest) != 0 || got != want {
		t.Error(got, err)
	}
}

func TestAMessageOfRequestsIsAnsweredInOrderOrNotAtAll(t *testing.T) {
	tab := table(t, limits.Options{})
	var raw []byte
	for _, weight := range []uint16{1000, 300, 200} {
		r := limits.Request{IP: ip("203.0.113.7"), Weight: weight}
		raw = r.Append(raw)
	}
	if _, err := tab.TakeAll(raw[:len(raw)-1], nil, start); err == nil {
		t.Error("a cut message is answered")
	}
	out, err := tab.TakeAll(raw, nil, start)
	if err != nil {
		t.Fatal(err)
	}
	var got []limits.Verdict
	for len(out) > 0 {
		var d limits.Decision
		if out, err = d.Read(out); err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Verdict)
	}
	if !reflect.DeepEqual(got, []limits.Verdict{limits.Pass, limits.SlowDown, limits.Pass}) {
		t.Error(got)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add((&limits.Request{IP: ip("203.0.113.7"), Weight: 1}).Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r limits.Request
		rest, err := r.Read(raw)
		if err == nil && string(r.Append(nil)) != string(raw[:len(raw)-len(rest)]) {
			t.Fatalf("%x is read and written as %x", raw, r.Append(nil))
		}
	})
}

func FuzzDecision(f *testing.F) {
	f.Add((&limits.Decision{Used: 1}).Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d limits.Decision
		rest, err := d.Read(raw)
		if err == nil && string(d.Append(nil)) != string(raw[:len(raw)-len(rest)]) {
			t.Fatalf("%x is read and written as %x", raw, d.Append(nil))
		}
	})
}
