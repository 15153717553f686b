package limits

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Traces to tune and to judge the scorer with. They are generated, not recorded: each kind of client and of abuse is a
// small program with parameters drawn from wide ranges, some of them on the wrong side of every threshold. Figures made
// with them say how well the scorer finds what we thought of, and nothing about what nobody thought of.

const (
	spanMillis = 40 * 60_000
	marketSize = 160 // symbols
)

// actor is one customer, one attacker, or one campaign of many addresses.
type actor struct {
	kind   string
	abuse  bool
	events []event
}

type event struct {
	at    exchange.Millis
	actor int
	r     Request
}

// town draws the actors of a seed.
type town struct {
	*rand.Rand
	nextAddress uint32
	nextAccount uint64
}

func (w *town) address() netip.Addr {
	// Spread like customers are: each in a network of its own, now and then two in one.
	w.nextAddress += 97 + uint32(w.IntN(4096))
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+w.nextAddress*7)))
}

func (w *town) account() exchange.Account {
	w.nextAccount++
	return exchange.Account(w.nextAccount)
}

// between draws from a range, small values as often as large ones.
func (w *town) between(low, high int) int { return low + w.IntN(high-low+1) }

func (w *town) shape() uint32 {
	if popular := w.IntN(10); popular < 7 {
		return uint32(1 + popular%5) // the libraries that most people use
	}
	return w.Uint32() | 1<<31
}

// client is somebody with an address, a way his requests look, and perhaps an account.
type client struct {
	*town
	a       *actor
	ip      netip.Addr
	shape   uint32
	account exchange.Account
}

func (w *town) client(a *actor) client {
	return client{town: w, a: a, ip: w.address(), shape: w.shape(), account: w.account()}
}

func (c client) send(at int, r Request) {
	if at < 0 || at >= spanMillis {
		return
	}
	r.IP, r.Trace.Shape = c.ip, c.shape
	if r.Trace.Route == 0 {
		r.Trace.Route = 1
	}
	c.a.events = append(c.a.events, event{at: exchange.Millis(at), r: r})
}

func (c client) open(at int, weight uint16, symbol int) {
	c.send(at, Request{Weight: weight, Trace: Trace{Target: uint32(1000 + symbol)}})
}

func (c client) signed(at int, r Request) {
	r.Account = c.account
	c.send(at, r)
}

func (c client) fails(at int, how Failure, class Class, target uint32) {
	c.send(at, Request{Weight: 1, Class: class, Failure: how, Account: exchange.Account(target) & 0xffff, Trace: Trace{Target: target}})
}

// every calls do about every so many milliseconds, from a random moment on.
func (c client) every(millis int, do func(at int)) {
	for at := c.IntN(millis + 1); at < spanMillis; at += millis/2 + c.IntN(millis+1) + 1 {
		do(at)
	}
}

// The clients.

func marketMaker(w *town, a *actor) {
	c := w.client(a)
	fillEvery, orders := w.between(20, 400), 0
	c.every(1000/w.between(4, 10), func(at int) {
		r := Request{Weight: 1, Class: Trading, Orders: uint16(w.IntN(2))}
		if orders += int(r.Orders); orders >= fillEvery {
			orders, r.Trace.Fills = 0, 1
		}
		c.signed(at, r)
	})
	c.every(5_000, func(at int) { c.open(at, 5, 1) })
}

func farAwayBot(w *town, a *actor) { // ten orders a second, none of which trades
	c := w.client(a)
	for at := 0; at < spanMillis; at += 100 {
		c.signed(at, Request{Weight: 1, Class: Trading, Orders: 1})
	}
}

func slowHuman(w *town, a *actor) {
	c, symbols := w.client(a), w.between(1, 12)
	c.every(w.between(2_000, 20_000), func(at int) { c.open(at, []uint16{2, 2, 2, 5, 20}[w.IntN(5)], w.IntN(symbols)) })
	if w.IntN(2) == 0 {
		c.every(180_000, func(at int) { c.signed(at, Request{Weight: 1, Class: Trading, Orders: 1, Trace: Trace{Fills: 1}}) })
	}
	for range w.IntN(5) {
		c.fails(w.IntN(spanMillis), BadRequest, General, uint32(w.IntN(3)))
	}
}

func pollingBot(w *town, a *actor) { // as ccxt does
	c, symbols := w.client(a), w.between(1, 15)
	c.open(0, 20, 0)
	c.every(w.between(1_000, 5_000), func(at int) { c.open(at, []uint16{2, 2, 5}[w.IntN(3)], w.IntN(symbols)) })
	c.every(w.between(10_000, 60_000), func(at int) { c.signed(at, Request{Weight: 20}) })
	c.every(w.between(20_000, 300_000), func(at int) {
		c.signed(at, Request{Weight: 1, Class: Trading, Orders: 1, Trace: Trace{Fills: uint16(w.IntN(2))}})
	})
	c.every(900_000, func(at int) { c.open(at, 20, 0) })
}

func reconnecting(w *town, a *actor) { // WebSockets over a bad line: a picture of each book whenever it comes back
	c, symbols := w.client(a), w.between(1, 10)
	c.every(w.between(10_000, 180_000), func(at int) {
		c.open(at, 2, 0)
		c.signed(at+50, Request{Weight: 2})
		for s := range symbols {
			c.open(at+100+s*80, []uint16{5, 25, 50}[w.IntN(3)], s)
		}
	})
}

func office(w *town, a *actor) { // many customers behind one address, some of whom never get their secret right
	ip := w.address()
	for range w.between(5, 40) {
		c := w.client(a)
		c.ip = ip
		c.every(w.between(15_000, 90_000), func(at int) { c.open(at, 2, w.IntN(12)) })
		c.every(w.between(8_000, 60_000), func(at int) { c.signed(at, Request{Weight: 2, Class: Trading, Orders: 1, Trace: Trace{Fills: 1}}) })
	}
	for range w.IntN(5) {
		c := w.client(a)
		c.ip = ip
		c.every(w.between(5_000, 60_000), func(at int) { c.fails(at, BadSignature, General, uint32(5000+c.account)) })
	}
}

func wrongSecret(w *town, a *actor) {
	c, keys := w.client(a), w.between(1, 6)
	c.every(w.between(1_000, 30_000), func(at int) { c.fails(at, BadSignature, Trading, uint32(7000+w.IntN(keys))) })
}

func service(w *town, a *actor) { // runs bots for customers, some of whose keys are wrong or gone
	ip := w.address()
	for range w.between(20, 60) {
		c := w.client(a)
		c.ip = ip
		c.every(w.between(8_000, 60_000), func(at int) { c.signed(at, Request{Weight: 2, Class: Trading, Orders: 1, Trace: Trace{Fills: 1}}) })
	}
	for range w.between(2, 14) {
		c := w.client(a)
		c.ip = ip
		c.every(w.between(15_000, 120_000), func(at int) { c.fails(at, []Failure{BadSignature, BadKey}[w.IntN(2)], Trading, uint32(5000+c.account)) })
	}
}

func deletedKey(w *town, a *actor) {
	c, keys := w.client(a), w.between(1, 3)
	c.every(w.between(1_000, 60_000), func(at int) { c.fails(at, BadKey, General, uint32(7000+w.IntN(keys))) })
}

func brokenClient(w *town, a *actor) { // sends the same nonsense for ever
	c, ways := w.client(a), w.between(1, 4)
	c.every(w.between(500, 10_000), func(at int) { c.fails(at, BadRequest, General, uint32(w.IntN(ways))) })
}

func arbitrage(w *town, a *actor) { // many books, only their top
	c, symbols := w.client(a), w.between(10, 80)
	c.every(w.between(400, 2_000), func(at int) { c.open(at, 5, w.IntN(symbols)) })
}

func researcher(w *town, a *actor) { // few books, all of them
	c, symbols := w.client(a), w.between(1, 5)
	c.every(w.between(5_000, 20_000), func(at int) { c.open(at, []uint16{50, 250}[w.IntN(2)], w.IntN(symbols)) })
}

func starter(w *town, a *actor) { // reads the history of the whole market once, or a picture of many books
	c, heavy := w.client(a), w.IntN(3) == 0
	for range w.between(1, 3) {
		begin := w.IntN(spanMillis)
		for s := range w.between(20, marketSize) {
			if !heavy {
				c.open(begin+s*150, 2, s)
			} else if s < 40 {
				c.open(begin+s*1_300, 25, s)
			}
		}
	}
}

func withdrawer(w *town, a *actor) { // a cool-down, a wrong amount, and then it works
	c := w.client(a)
	at := w.IntN(spanMillis)
	for range w.between(0, 5) {
		c.signed(at, Request{Weight: 1, Class: Sensitive, Trace: Trace{Denied: true}})
		at += w.between(5_000, 120_000)
	}
	c.signed(at, Request{Weight: 1, Class: Sensitive})
	c.every(60_000, func(at int) { c.signed(at, Request{Weight: 20}) })
}

// The abuse.

func scraper(w *town, a *actor) {
	c, symbols, weight := w.client(a), w.between(14, marketSize), []uint16{25, 50, 250}[w.IntN(3)]
	share := w.between(8, 100) // per cent of 1,200 in a minute
	s := 0
	c.every(max(int(weight)*60_000*100/(1200*share), 1), func(at int) { c.open(at, weight, s%symbols); s++ })
}

func guesser(w *town, a *actor) {
	c, keys := w.client(a), w.between(8, 5_000)
	c.every(w.between(2_000, 110_000), func(at int) { c.fails(at, BadSignature, Trading, uint32(20_000+w.IntN(keys))) })
}

func enumerator(w *town, a *actor) {
	c := w.client(a)
	c.every(w.between(1_000, 110_000), func(at int) { c.fails(at, BadKey, General, w.Uint32()) })
}

func scanner(w *town, a *actor) {
	c, paths := w.client(a), w.between(10, 400)
	c.every(w.between(1_000, 30_000), func(at int) { c.fails(at, BadRequest, General, uint32(w.IntN(paths))) })
}

func prober(w *town, a *actor) { // stolen keys tried where money leaves
	c, stolen := w.client(a), w.IntN(2) == 0
	c.every(w.between(5_000, 50_000), func(at int) {
		if stolen {
			c.signed(at, Request{Weight: 1, Class: Sensitive, Trace: Trace{Denied: true}})
		} else {
			c.fails(at, BadSignature, Sensitive, uint32(w.IntN(3)))
		}
	})
}

func stuffer(w *town, a *actor) { // quote stuffing
	c := w.client(a)
	rate := w.between(13, 20)
	for i := range spanMillis / 1000 * rate {
		r := Request{Weight: 1, Class: Trading, Orders: 1}
		if i%w.between(900, 4_000) == 899 {
			r.Trace.Fills = 1
		}
		c.signed(i*1000/rate, r)
	}
}

// campaign has one behaviour at many addresses, each too slow to be noticed.
func campaign(w *town, a *actor, each func(c client)) {
	shape := w.Uint32() | 1<<31
	block := w.IntN(3) == 0 // all in one network, each looking different
	first := w.address().As4()
	for i := range w.between(50, 180) {
		c := w.client(a)
		c.shape = shape
		if block {
			first[3] = byte(i)
			c.ip, c.shape = netip.AddrFrom4(first), w.Uint32()|1<<31
		}
		each(c)
	}
}

func slowGuessers(w *town, a *actor) {
	pause := w.between(120_000, 600_000)
	campaign(w, a, func(c client) {
		c.every(pause, func(at int) { c.fails(at, []Failure{BadSignature, BadKey}[w.IntN(2)], Trading, w.Uint32()) })
	})
}

func slowScrapers(w *town, a *actor) {
	shape, pause := w.Uint32()|1<<31, w.between(12_000, 90_000)
	for range w.between(50, 180) {
		c := w.client(a)
		c.shape = shape
		c.every(pause, func(at int) { c.open(at, 50, w.IntN(marketSize)) })
	}
}

// world draws everybody of a seed, and what they send in the order of time.
func world(seed uint64) (actors []*actor, events []event) {
	w := &town{Rand: rand.New(rand.NewPCG(seed, 24))}
	honest := map[string]func(*town, *actor){"market maker": marketMaker, "far away bot": farAwayBot, "slow human": slowHuman, "polling bot": pollingBot,
		"reconnecting": reconnecting, "office": office, "service": service, "wrong secret": wrongSecret, "deleted key": deletedKey, "broken client": brokenClient,
		"arbitrage": arbitrage, "researcher": researcher, "starter": starter, "withdrawer": withdrawer}
	abuse := map[string]func(*town, *actor){"scraper": scraper, "guesser": guesser, "enumerator": enumerator, "scanner": scanner, "prober": prober,
		"quote stuffer": stuffer, "slow guessers": slowGuessers, "slow scrapers": slowScrapers}
	draw := func(kinds map[string]func(*town, *actor), isAbuse bool, least, most int) {
		for _, kind := range sorted(kinds) {
			for range w.between(least, most) {
				a := &actor{kind: kind, abuse: isAbuse}
				kinds[kind](w, a)
				for i := range a.events {
					a.events[i].actor = len(actors)
				}
				actors, events = append(actors, a), append(events, a.events...)
			}
		}
	}
	draw(honest, false, 1, 4)
	draw(abuse, true, 0, 3)
	slices.SortStableFunc(events, func(x, y event) int { return cmp.Compare(x.at, y.at) })
	return actors, events
}

func sorted[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
