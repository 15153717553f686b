package limits

import (
	"math/bits"

	"github.com/coldsign/coldsign/internal/exchange"
)

// The scorer looks for automated abuse of what is unsigned or sensitive. Bots that trade are what an API is for: whoever
// signs rightly is judged by his account alone, and of an account nothing counts but orders that never trade, faster than
// an ordinary bot sends any, and withdrawals that its key may not make.
//
//	an address   names many keys wrongly, walks the whole market at heavy weights and never signs, asks for what does not
//	             exist in many places, or fails again and again where money leaves
//	a shape      the same of many addresses whose clients look alike, each of them too slow to be noticed
//	a network    the same of many addresses of one /24 or /48
//	an account   more than eleven orders a second for minutes, and next to none of them trades
//
// What is found slows the unsigned and failing requests of that address down, asks for a challenge where the gateway has
// one, and makes a ticket. It bans nobody, so who shares an address with a bot keeps what he had: his signed requests
// are not looked at. Whoever imitates a popular client exactly, slowly, from addresses all over the world is not found.
//
// Memory is fixed: tracks of addresses and accounts, and groups, in sets of four; the least interesting of a set makes
// room. Time is given, no float is used, and the same requests with the same seed give the same answers.

// Conduct is what the scorer found.
type Conduct uint8

// The conducts.
const (
	Quiet       Conduct = iota
	Scraping            // walks the market at heavy weights, unsigned
	Guessing            // wrong signatures for many keys
	Enumerating         // many names of keys that do not exist
	Scanning            // many things that this API does not have
	Probing             // fails again and again where money leaves
	Concerted           // one of many addresses that do one of these together
	Quoting             // orders that never trade
	conductEnd
)

// String says it for people.
func (c Conduct) String() string {
	return [...]string{"nothing", "walks the whole market at heavy weights and never signs", "wrong signatures for many keys", "names many keys that do not exist",
		"asks for many things that do not exist", "fails again and again where money leaves", "one of many addresses that attack together, each of them slowly",
		"many orders a second, next to none of which trades"}[min(c, conductEnd-1)]
}

// Trace is what the gateway knows beside the request. Hashes, so that nothing of a client is kept as it came.
type Trace struct {
	Route  uint8  // row of the gateway's table, 255 for those beyond; zero with a right request: the scorer does not count it
	Shape  uint32 // what the client calls itself and which headers it sends
	Target uint32 // what the request is about: a symbol, the name of a key, a path that does not exist
	Denied bool   // rightly signed, but the key may not do this, or not from there
	Fills  uint16 // of the account, since its last request
}

// How conduct is judged. Each was set on the tuning seeds of bot_trace_test.go.
const (
	periodSeconds = 300  // counts are halved
	turnPeriods   = 6    // sets of what was seen begin anew after half an hour, and one half hour is remembered
	foundSeconds  = 1800 // that a finding lasts without new evidence

	targetsFew  = 7  // different things asked for wrongly, by an address that mostly fails
	targetsMany = 20 // by any address
	failsMin    = 2  // within minutes; the different things are remembered for longer

	scrapeWeight  = 2_400
	scrapeSymbols = 16
	scrapeMean    = 12

	probesMin = 6

	// quoteOrders cannot be reached by eleven orders a second for ever: 11 x 300 x 2 are 6,600.
	quoteOrders = 7_000
	quoteFills  = 500 // orders to a fill
	quoteLimit  = 100 // orders in 10 seconds of an account that was found; an ordinary bot's ten a second

	groupAddresses = 36
	groupTargets   = 36
	groupFails     = 60
	netAddresses   = 14
	netTargets     = 24
	netFails       = 30
	groupWeight    = 20_000
	groupSymbols   = 24
)

const (
	trackSets   = 1 << 12 // of four: 16,384 addresses
	accountSets = 1 << 10
	groupSets   = 1 << 8
	ways        = 4
)

// Scorer judges conduct. It is not safe for several goroutines; a Table has its lock around it.
type Scorer struct {
	seed     uint64
	tracks   [][ways]track
	accounts [][ways]quoter
	groups   [][ways]group
}

// NewScorer returns a scorer. The seed decides where tracks lie, so that nobody outside can make them collide.
func NewScorer(seed uint64) *Scorer {
	return &Scorer{seed: seed, tracks: make([][ways]track, trackSets), accounts: make([][ways]quoter, accountSets), groups: make([][ways]group, groupSets)}
}

// track is what an address did lately, unsigned or wrongly. Counts are halved every five minutes.
type track struct {
	key     uint64 // zero: free
	period  uint32
	foundAt uint32 // second
	good    uint16 // signed rightly
	open    uint16 // unsigned
	weight  uint16 // of the unsigned ones
	bad     [3]uint16
	probes  uint16
	served  uint16 // rightly, where money leaves
	found   Conduct
	symbols [2]uint64 // seen in this half hour and in the one before
	targets [2]uint64
}

// quoter is what an account did lately.
type quoter struct {
	key     uint64
	period  uint32
	foundAt uint32
	orders  uint32
	fills   uint32
	probes  uint16
	found   Conduct
}

// Finding is what the scorer says of a request.
type Finding struct {
	Conduct Conduct
	Fresh   bool // found with this request: people want to hear of it
	Account bool // it is the account's conduct
	Before  bool // this request was not counted: it is what was found before
}

// See counts a request that its gateway traced and says what is known of whoever sent it.
func (s *Scorer) See(r *Request, now exchange.Millis) Finding {
	second := uint32(now / 1000)
	place := uint64(keyOf(r.IP))
	if r.Trace.Route == 0 && r.Failure == NoFailure {
		return s.known(place, second)
	}
	t := s.track(place, second)
	if r.Account != 0 && r.Failure == NoFailure {
		t.good = add(t.good, 1)
		s.group(shapeKey(r), second).good++
		s.group(netKey(place), second).good++
		return s.signed(t, r, second)
	}
	return s.unsigned(t, r, place, second)
}

// signed judges a request with a right signature: by its account, never by its address.
func (s *Scorer) signed(t *track, r *Request, second uint32) Finding {
	q := s.account(uint64(r.Account), second)
	q.orders, q.fills = q.orders+uint32(r.Orders), q.fills+uint32(r.Trace.Fills)
	if r.Class == Sensitive && r.Trace.Denied {
		q.probes, t.probes = add(q.probes, 1), add(t.probes, 1)
	} else if r.Class == Sensitive {
		t.served = add(t.served, 1)
	}
	what := Quiet
	switch {
	case q.orders >= quoteOrders && q.fills*quoteFills < q.orders:
		what = Quoting
	case q.probes >= probesMin:
		what = Probing
	}
	return Finding{Conduct: q.found, Account: true}.with(what, &q.found, &q.foundAt, second)
}

// with takes new evidence to what was found before.
func (f Finding) with(what Conduct, found *Conduct, at *uint32, second uint32) Finding {
	if what != Quiet {
		f.Fresh = *found == Quiet
		*found, *at = what, second
	}
	f.Conduct = *found
	return f
}

// unsigned judges a request that nobody signed, or wrongly.
func (s *Scorer) unsigned(t *track, r *Request, place uint64, second uint32) Finding {
	shape, net := s.group(shapeKey(r), second), s.group(netKey(place), second)
	mark := uint64(1) << (mix(uint64(r.Trace.Target)+1) >> 58)
	joint := Quiet
	switch r.Failure {
	case NoFailure:
		t.open, t.weight = add(t.open, 1), add(t.weight, r.Weight)
		t.symbols[0] |= mark
		if r.Weight >= scrapeMean {
			shape.weighs(r, place)
			joint = shape.scrapes()
		}
	default:
		t.bad[r.Failure-BadSignature] = add(t.bad[r.Failure-BadSignature], 1)
		t.targets[0] |= mark // one set for all failures
		if r.Class == Sensitive {
			t.probes = add(t.probes, 1)
		}
		shape.fails(r, place)
		net.fails(r, place)
		if joint = shape.concerted(groupAddresses, groupTargets, groupFails); joint == Quiet {
			joint = net.concerted(netAddresses, netTargets, netFails)
		}
	}
	what := t.judge()
	if what == Quiet && t.good == 0 { // who signs rightly is not taken for one of those who imitate his client
		what = joint
	}
	f := Finding{}.with(what, &t.found, &t.foundAt, second)
	if f.Fresh && what == Concerted { // people hear of the group once, not of each of its addresses
		f.Fresh = shape.tell(second) && net.tell(second)
	}
	return f
}

// judge says what an address does by itself.
func (t *track) judge() Conduct {
	fails := uint32(t.bad[0]) + uint32(t.bad[1]) + uint32(t.bad[2])
	different := bits.OnesCount64(t.targets[0] | t.targets[1])
	mostly := fails > 2*uint32(t.good)+uint32(t.open)/4
	switch {
	case t.probes >= probesMin && t.probes > 2*t.served:
		return Probing
	case fails >= failsMin && (different >= targetsFew && mostly || different >= targetsMany):
		return [...]Conduct{Guessing, Enumerating, Scanning}[largest(t.bad)]
	case t.weight >= scrapeWeight && uint32(t.weight) >= scrapeMean*uint32(t.open) && uint32(t.good)*50 < uint32(t.open) &&
		bits.OnesCount64(t.symbols[0]|t.symbols[1]) >= scrapeSymbols:
		return Scraping
	}
	return Quiet
}

func largest(n [3]uint16) (place int) {
	for i := range n {
		if n[i] > n[place] {
			place = i
		}
	}
	return place
}

// add counts and stays at the most that there is room for.
func add(n, more uint16) uint16 { return uint16(min(uint32(n)+uint32(more), 1<<16-1)) }

// mix spreads a key's bits. It is a bijection, so two keys are never one.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
