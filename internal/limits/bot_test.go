package limits

import (
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/coldsign/coldsign/internal/exchange"
)

// tally is how the scorer did over some seeds.
type tally struct {
	found, missed, wronged, left int
	byKind                       map[string][2]int // flagged, of all
	wrong                        []string
}

func (t tally) recall() float64    { return float64(t.found) / float64(t.found+t.missed) }
func (t tally) precision() float64 { return float64(t.found) / float64(t.found+t.wronged) }

// judged runs the traces of seeds. An abuser is found when most of what he sends in the second half of the time is
// flagged; a customer is wronged when one of his requests ever is.
func judged(seeds []uint64) tally {
	out := tally{byKind: map[string][2]int{}}
	for _, seed := range seeds {
		actors, events := world(seed)
		s := NewScorer(seed)
		late, flagged, ever := make([]int, len(actors)), make([]int, len(actors)), make([]Conduct, len(actors))
		for i := range events {
			e := &events[i]
			f := s.See(&e.r, 1_760_000_000_000+e.at)
			if f.Conduct != Quiet {
				ever[e.actor] = f.Conduct
			}
			if e.at >= spanMillis/2 {
				late[e.actor]++
				if f.Conduct != Quiet {
					flagged[e.actor]++
				}
			}
		}
		for i, a := range actors {
			is := a.abuse && 2*flagged[i] > late[i] || !a.abuse && ever[i] != Quiet
			n := out.byKind[a.kind]
			n[1]++
			if is {
				n[0]++
			}
			out.byKind[a.kind] = n
			switch {
			case a.abuse && is:
				out.found++
			case a.abuse:
				out.missed++
			case is:
				out.wronged++
				out.wrong = append(out.wrong, fmt.Sprintf("seed %d: %s: %v", seed, a.kind, ever[i]))
			default:
				out.left++
			}
		}
	}
	return out
}

func seedsFrom(first uint64, n int) (out []uint64) {
	for i := range n {
		out = append(out, first+uint64(i))
	}
	return out
}

// The thresholds were set on the first seeds; the claim is about others, which nothing was tuned on. Tuning seeds are
// 1 to 12 (the first eight run here), held-out ones from 1001 on.
func TestControl024AbuseIsFoundAndCustomersAreLeftAlone(t *testing.T) {
	tuned, held := judged(seedsFrom(1, 8)), judged(seedsFrom(1001, 20))
	for name, got := range map[string]tally{"tuning": tuned, "held out": held} {
		t.Logf("%s: recall %.3f (%d of %d), precision %.3f (%d wronged of %d customers)", name, got.recall(), got.found, got.found+got.missed, got.precision(), got.wronged, got.wronged+got.left)
		for _, kind := range sorted(got.byKind) {
			t.Logf("  %-16s %3d of %3d flagged", kind, got.byKind[kind][0], got.byKind[kind][1])
		}
		for _, wrong := range got.wrong {
			t.Log("  wronged: " + wrong)
		}
	}
	if held.recall() < 0.93 {
		t.Errorf("recall %.3f on seeds that nothing was tuned on", held.recall())
	}
	if held.precision() < 0.98 {
		t.Errorf("precision %.3f on seeds that nothing was tuned on", held.precision())
	}
	for _, kind := range []string{"far away bot", "market maker", "polling bot", "reconnecting", "office", "service", "wrong secret", "slow human"} {
		if held.byKind[kind][0] > 0 {
			t.Errorf("%s: %v flagged", kind, held.byKind[kind])
		}
	}
}

func newTable(t *testing.T, o Options) *Table {
	t.Helper()
	table, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

var (
	botAddress    = netip.MustParseAddr("203.0.113.5")
	botTrace      = Trace{Route: 9, Shape: 3}
	botOrder      = Request{IP: botAddress, Account: 77, Class: Trading, Weight: 1, Orders: 1, Trace: botTrace}
	traceBegin    = exchange.Millis(1_760_000_000_000)
	hourOfMillis  = exchange.Millis(3_600_000)
	enumeratesKey = Request{IP: botAddress, Failure: BadKey, Weight: 1, Trace: Trace{Route: 9, Shape: 8}}
)

// A bot sends ten orders a second for two hours, none of which trades, and somebody behind the same address names key
// after key. Every order passes; the other one is found, slowed and told of, and never banned.
func TestControl024ABotBesideAnAbuserIsNeverDisturbed(t *testing.T) {
	table := newTable(t, Options{Seed: 24, AddressWeight: 6_000})
	slowed := 0
	for i := range 2 * 36_000 {
		now := traceBegin + exchange.Millis(i)*100
		if d := table.Take(botOrder, now); d.Verdict != Pass || d.Conduct != Quiet {
			t.Fatalf("order %d: %+v", i, d)
		}
		if i%3 == 0 {
			r := enumeratesKey
			r.Trace.Target = uint32(i) * 2654435761
			switch d := table.Take(r, now); {
			case d.Verdict > SlowDown:
				t.Fatalf("request %d: %+v", i, d)
			case d.Verdict == SlowDown && d.Why == WhyConduct:
				slowed++
			}
		}
	}
	if slowed < 1000 {
		t.Errorf("%d of the other one's requests were slowed down", slowed)
	}
	list, lost := table.Notices()
	if len(list) != 1 || lost != 0 || list[0].Conduct != Enumerating || list[0].Account != 0 || list[0].Block != netip.MustParsePrefix("203.0.113.5/32") {
		t.Errorf("%+v, %d lost", list, lost)
	}
}

// Who walks the market without ever signing has a quarter of the limit for it, and is not banned while he keeps to that.
func TestControl024AScraperIsSlowedDown(t *testing.T) {
	table := newTable(t, Options{Seed: 24})
	passed := [2]int{}
	for i := range 60 * 24 {
		r := Request{IP: botAddress, Weight: 50, Trace: Trace{Route: 4, Shape: 8, Target: uint32(i%150) * 2654435761}}
		switch d := table.Take(r, traceBegin+exchange.Millis(i)*2_500); {
		case d.Verdict > SlowDown:
			t.Fatalf("request %d: %+v", i, d)
		case d.Verdict == Pass:
			passed[i/(30*24)]++
		}
	}
	if passed[1] > 30*6+6 || passed[1] < 30*3 {
		t.Errorf("%v passed, of 720 in each half hour", passed)
	}
	if list, _ := table.Notices(); len(list) != 1 || list[0].Conduct != Scraping {
		t.Errorf("%+v", list)
	}
}

// Twenty orders a second that never trade become ten; the account keeps those, and people are told once.
func TestControl024OrdersThatNeverTradeAreSlowedToAnOrdinaryBots(t *testing.T) {
	table := newTable(t, Options{Seed: 24, AddressWeight: 6_000})
	var passed [60]int
	for i := range 60 * 60 * 20 {
		if d := table.Take(botOrder, traceBegin+exchange.Millis(i)*50); d.Verdict == Pass {
			passed[i/1_200]++
		}
	}
	if passed[0] != 1_200 || passed[59] != 600 {
		t.Errorf("%v a minute", passed)
	}
	list, _ := table.Notices()
	if len(list) != 1 || list[0].Account != 77 || list[0].Conduct != Quoting {
		t.Errorf("%+v", list)
	}
	r := botOrder
	r.Account, r.Trace.Fills = 78, 1 // one who trades
	for i := range 60 * 60 * 19 {
		if d := table.Take(r, traceBegin+hourOfMillis+exchange.Millis(i)*52); d.Conduct != Quiet {
			t.Fatalf("%+v", d)
		}
		r.Trace.Fills = uint16(i % 300 / 299)
	}
}

// A campaign of a hundred addresses is told of a few times, not a hundred.
func TestControl024ACampaignIsToldOfOnce(t *testing.T) {
	table := newTable(t, Options{Seed: 24})
	flagged := 0
	for i := range 6_000 {
		r := Request{IP: netip.AddrFrom4([4]byte{11, byte(i % 100), 3, 9}), Failure: BadKey, Weight: 1,
			Trace: Trace{Route: 7, Shape: 0x77777777, Target: uint32(i) * 2654435761}}
		if table.Take(r, traceBegin+exchange.Millis(i)*2_000).Conduct != Quiet {
			flagged++
		}
	}
	told := 0
	list, _ := table.Notices()
	for _, n := range list {
		if n.Conduct == Concerted {
			told++
		}
	}
	if flagged < 1_000 || told == 0 || told > 8 {
		t.Errorf("%d flagged, people told %d times", flagged, told)
	}
}

// Attackers who imitate a customer's client, from everywhere and far more often than all who use it, make nothing of him:
// he signs rightly from his address, and one wrong signature in between is one.
func TestControl024ImitatorsMakeNothingOfWhoeverTheyImitate(t *testing.T) {
	table := newTable(t, Options{Seed: 24})
	for i := range 20_000 {
		now := traceBegin + exchange.Millis(i)*100
		table.Take(Request{IP: netip.AddrFrom4([4]byte{11, byte(i % 200), 3, 9}), Failure: BadKey, Weight: 1, Trace: Trace{Route: 7, Shape: botTrace.Shape, Target: uint32(i) * 2654435761}}, now)
		if i%50 == 0 {
			if d := table.Take(botOrder, now); d.Conduct != Quiet || d.Verdict != Pass {
				t.Fatalf("%+v", d)
			}
		}
		if i%5_000 == 4_999 {
			wrong := Request{IP: botAddress, Account: 77, Failure: BadSignature, Weight: 1, Trace: botTrace}
			if d := table.Take(wrong, now); d.Conduct != Quiet {
				t.Fatalf("%+v", d)
			}
		}
	}
	if list, _ := table.Notices(); len(list) == 0 || list[0].Conduct != Concerted {
		t.Errorf("%+v", list)
	}
}

// The same requests with the same seed give the same answers, and a request takes no memory.
func TestControl024TheScorerIsDeterministicAndTakesNoMemory(t *testing.T) {
	_, events := world(5)
	events = events[:50_000]
	one, other := NewScorer(9), NewScorer(9)
	for i := range events {
		if a, b := one.See(&events[i].r, events[i].at), other.See(&events[i].r, events[i].at); a != b {
			t.Fatalf("event %d: %+v and %+v", i, a, b)
		}
	}
	i := 0
	if n := testing.AllocsPerRun(2_000, func() { one.See(&events[i].r, events[i].at); i++ }); n != 0 {
		t.Errorf("%.1f allocations a request", n)
	}
	bytes := ways * (trackSets*unsafe.Sizeof(track{}) + accountSets*unsafe.Sizeof(quoter{}) + groupSets*unsafe.Sizeof(group{}))
	t.Logf("a track has %d bytes, an account's %d, a group %d: %d KiB for ever", unsafe.Sizeof(track{}), unsafe.Sizeof(quoter{}), unsafe.Sizeof(group{}), bytes>>10)
	if bytes > 2<<20 {
		t.Errorf("the scorer has %d bytes", bytes)
	}
}

func BenchmarkScorer(b *testing.B) {
	_, events := world(5)
	s := NewScorer(9)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := &events[i%len(events)]
		s.See(&e.r, e.at+exchange.Millis(i/len(events))*spanMillis)
	}
}
