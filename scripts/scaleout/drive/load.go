package drive

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What an order's customer knows of it.
type fate uint8

const (
	Asking  fate = iota // no answer yet
	Acked               // acknowledged, with the number that the exchange gave it
	Refused             // the exchange said that it was not done
	Absent              // no answer came, and asked about it later the exchange said that there is no such order
)

// Order is one order as its customer remembers it.
type Order struct {
	account   uint64
	client    string
	fate      fate
	number    int64
	again     bool // the answer was lost and asked for
	Cancelled bool // its cancel was acknowledged
}

// Load drives gateways with orders, and remembers everything that was acknowledged.
type Load struct {
	gateways []string // host:port
	keys     []APIKey
	pace     time.Duration // between two orders of a customer
	// long is how long a customer goes on asking for an order of which no answer came, before it believes that there is
	// none: longer than anything that is under way can still be taken.
	long   time.Duration
	paused atomic.Bool
	Only   atomic.Int32 // the one gateway to use, or -1
	// Replace has customers put orders in the place of others, too.
	Replace atomic.Bool

	mu       sync.Mutex
	orders   []*Order
	acks     [][]time.Time // by gateway
	troubles map[string]int
	troubled []time.Time // by gateway: the last failure
	workers  sync.WaitGroup
	serial   atomic.Uint64
	stop     context.CancelFunc
	hurry    context.CancelFunc // ends what is asked again and again
}

// connections is how many requests a customer has under way at a time, apart from those whose outcome it asks for.
const connections = 3

// Begin starts the customers, one for each key.
func Begin(gateways []string, keys []APIKey, pace, long time.Duration) *Load {
	l := &Load{gateways: gateways, keys: keys, pace: pace, long: long, acks: make([][]time.Time, len(gateways)), troubles: map[string]int{}, troubled: make([]time.Time, len(gateways))}
	l.Only.Store(-1)
	ctx, stop := context.WithCancel(context.Background())
	asks, hurry := context.WithCancel(context.Background())
	l.stop, l.hurry = stop, hurry
	for i := range connections * len(keys) {
		key := keys[i%len(keys)]
		c := &customer{load: l, key: key, place: i, home: i / len(keys) % len(gateways), random: rand.New(rand.NewPCG(7, uint64(i))), asks: asks,
			http: &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2, DisableCompression: true}}}
		l.workers.Go(func() { c.trade(ctx) })
	}
	return l
}

// End stops all customers, after they have learned what became of their last orders.
func (l *Load) End() {
	l.stop()
	timer := time.AfterFunc(2*l.long, l.hurry)
	l.workers.Wait()
	timer.Stop()
	l.hurry()
}

// Abandon stops all customers at once, whatever they do not know.
func (l *Load) Abandon() {
	l.stop()
	l.hurry()
	l.workers.Wait()
}

// Counts says how many orders there are of each fate, and how many answers were asked for again.
func (l *Load) Counts() (by [Absent + 1]int, again, cancels int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.orders {
		by[o.fate]++
		if o.again {
			again++
		}
		if o.Cancelled {
			cancels++
		}
	}
	return by, again, cancels
}

// Known copies what customers know now.
func (l *Load) Known() []Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Order, len(l.orders))
	for i, o := range l.orders {
		out[i] = *o
	}
	return out
}

// Silence is the longest time without an acknowledgement of a gateway since then, the time until now included.
func (l *Load) Silence(gateway int, since time.Time) (longest time.Duration, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := since
	for _, at := range l.acks[gateway] {
		if at.After(since) {
			longest, last = max(longest, at.Sub(last)), at
			count++
		}
	}
	return max(longest, time.Since(last)), count
}

func (l *Load) note(gateway int) {
	l.mu.Lock()
	l.acks[gateway] = append(l.acks[gateway], time.Now())
	l.mu.Unlock()
}

func (l *Load) trouble(gateway int, what string) {
	l.mu.Lock()
	l.troubles[what]++
	l.troubled[gateway] = time.Now()
	l.mu.Unlock()
}

func (l *Load) set(o *Order, f fate, number int64, again bool) {
	l.mu.Lock()
	o.fate, o.number, o.again = f, number, again
	l.mu.Unlock()
}

// pick is the customer's own gateway, or another one while that one fails.
func (l *Load) pick(home int) int {
	if only := l.Only.Load(); only >= 0 {
		return int(only)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.gateways) > 1 && time.Since(l.troubled[home]) < 200*time.Millisecond {
		return (home + 1) % len(l.gateways)
	}
	return home
}

// customer is one connection of a customer: one request at a time, and the outcome of earlier ones beside it.
type customer struct {
	load   *Load
	key    APIKey
	place  int
	home   int
	random *rand.Rand
	http   *http.Client
	asks   context.Context // ends when nobody may ask any more
	sent   int
	open   []*Order
}

const (
	middle  = 50_000_00 // cents
	openMax = 20
)

func (c *customer) trade(ctx context.Context) {
	for ctx.Err() == nil {
		begun := time.Now()
		switch {
		case c.load.paused.Load():
		case len(c.open) > openMax || len(c.open) > 0 && c.random.IntN(5) == 0:
			c.cancel(ctx)
		case c.load.Replace.Load() && len(c.open) > 0 && c.random.IntN(5) == 0:
			c.replace(ctx)
		default:
			c.order(ctx)
		}
		wait(ctx, connections*c.load.pace-time.Since(begun))
	}
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Order places one near the middle, so that about half of them trade.
func (c *customer) order(ctx context.Context) {
	side := c.side()
	c.sent++
	o := &Order{account: c.key.Account, client: fmt.Sprintf("c%d-%d", c.place, c.sent)}
	c.load.mu.Lock()
	c.load.orders = append(c.load.orders, o)
	c.load.mu.Unlock()
	price := middle + c.random.Int64N(65) - 32
	query := c.key.Signed(fmt.Sprintf("symbol=BTCUSDT&side=%s&type=LIMIT&timeInForce=GTC&quantity=0.001&newOrderRespType=ACK&newClientOrderId=%s&price=%d.%02d", side, o.client, price/100, price%100))
	gateway := c.load.pick(c.home)
	a := c.send(http.MethodPost, gateway, "/api/v3/order", query)
	if a.unknown {
		c.load.workers.Go(func() { c.settle(o, query, gateway) }) // the next order does not wait for it
		return
	} else if a.status == http.StatusOK {
		c.load.note(gateway)
		c.load.set(o, Acked, a.body.OrderID, false)
		c.open = append(c.open, o)
	} else {
		c.load.set(o, Refused, 0, false)
		wait(ctx, 50*time.Millisecond)
	}
}

func (c *customer) side() string {
	if c.random.IntN(2) == 0 {
		return "SELL"
	}
	return "BUY"
}

// settle finds out what became of an order whose answer did not come. Most customers send the very same signed request
// through another gateway: the exchange knows it by its signature and does not do it twice. The others only ask.
func (c *customer) settle(o *Order, query string, gateway int) {
	resend := c.place%4 != 0
	until := time.Now().Add(c.load.long)
	for try := 1; c.asks.Err() == nil; try++ {
		wait(c.asks, min(time.Duration(try)*100*time.Millisecond, 2*time.Second))
		gateway = (gateway + 1) % len(c.load.gateways)
		if only := c.load.Only.Load(); only >= 0 {
			gateway = int(only)
		}
		if resend && time.Now().Before(until) {
			a := c.send(http.MethodPost, gateway, "/api/v3/order", query)
			switch {
			case a.status == http.StatusOK:
				c.load.note(gateway)
				c.load.set(o, Acked, a.body.OrderID, true)
				return
			case a.unknown || a.unsent || a.status >= 429:
				continue
			}
			resend = false // this gateway has seen the signature, or its time is over: now only asking is left
		}
		a := c.send(http.MethodGet, gateway, "/api/v3/order?"+c.key.Signed("symbol=BTCUSDT&origClientOrderId="+o.client), "")
		switch {
		case a.status == http.StatusOK:
			c.load.set(o, Acked, a.body.OrderID, true)
			return
		case a.body.Code == -2013 && time.Now().After(until):
			c.load.set(o, Absent, 0, true)
			return
		}
	}
}

// cancel takes an order out. One that was filled meanwhile is not there any more, which is as good.
func (c *customer) cancel(ctx context.Context) {
	i := c.random.IntN(len(c.open))
	o := c.open[i]
	gateway := c.load.pick(c.home)
	a := c.send(http.MethodDelete, gateway, "/api/v3/order?"+c.key.Signed("symbol=BTCUSDT&origClientOrderId="+o.client), "")
	switch {
	case a.status == http.StatusOK:
		c.load.note(gateway)
		c.load.mu.Lock()
		o.Cancelled = true
		c.load.mu.Unlock()
	case a.body.Code == -2011:
	default:
		wait(ctx, 50*time.Millisecond)
		return // asked for again later
	}
	c.open = append(c.open[:i], c.open[i+1:]...)
}

// Signed adds time and signature.
func (k APIKey) Signed(query string) string {
	query += fmt.Sprintf("&recvWindow=30000&timestamp=%d", time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(k.Secret))
	mac.Write([]byte(query))
	return query + "&signature=" + hex.EncodeToString(mac.Sum(nil))
}

// answer is what came back; unknown: nothing that says whether it was done.
type answer struct {
	status  int
	unknown bool
	unsent  bool // nobody listens: certainly not done
	body    struct {
		OrderID int64  `json:"orderId"`
		Code    int    `json:"code"`
		Msg     string `json:"msg"`
		New     struct {
			OrderID int64 `json:"orderId"`
		} `json:"newOrderResponse"`
	}
}

func (c *customer) send(method string, gateway int, path, form string) (a answer) {
	ctx, cancel := context.WithTimeout(c.asks, 8*time.Second)
	defer cancel()
	var body io.Reader
	if form != "" {
		body = strings.NewReader(form)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.load.gateways[gateway]+path, body)
	if err != nil {
		panic(err) // the address is ours
	}
	r.Header.Set("X-MBX-APIKEY", c.key.Key)
	// Each customer has addresses of its own, as customers behind a proxy do: the limits of one would not carry the load.
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", c.place, c.load.serial.Add(1)%200+1))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	reply, err := c.http.Do(r)
	if err != nil {
		a.unsent = errors.Is(err, syscall.ECONNREFUSED)
		a.unknown = !a.unsent
		c.load.trouble(gateway, "no answer: "+short(err))
		return a
	}
	defer reply.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil || json.Unmarshal(raw, &a.body) != nil {
		a.unknown = true
		c.load.trouble(gateway, "half an answer")
		return a
	}
	a.status = reply.StatusCode
	a.unknown = a.status == http.StatusGatewayTimeout || a.status == http.StatusInternalServerError || a.body.Code == -1007
	if a.status != http.StatusOK && a.body.Code != -2011 && a.body.Code != -2013 {
		c.load.trouble(gateway, fmt.Sprintf("%d %d %s", a.status, a.body.Code, a.body.Msg))
	}
	return a
}

// short drops addresses from a connection's error.
func short(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// Heard lists what customers were told beside acknowledgements.
func (l *Load) Heard() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	raw, _ := json.Marshal(l.troubles)
	return string(raw)
}
