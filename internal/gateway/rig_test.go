package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/money"
)

// rig is a gateway over a real engine in the same process, with a clock that stands still.
type rig struct {
	t        *testing.T
	world    *enginetest.World
	server   *Server
	order    sync.Mutex // held from a frame to its events
	mu       sync.Mutex
	now      time.Time
	lost     bool // frames are kept from the gateway
	late     bool // the engine does not answer
	behind   int  // how often the records do not know enough yet
	old      int  // how often the records know only what was before
	oldSeq   uint64
	also     *Server // another gateway that hears the events
	full     bool    // the engine takes no questions
	lossy    bool    // the first answer to every command is lost: the bus asks again by the same identity
	trades   []exchange.TradeView
	orders   map[exchange.OrderID]exchange.OrderView
	addrs    []exchange.DepositAddressInfo
	draws    []exchange.WithdrawalInfo
	asked    int // questions about keys
	commands []exchange.Command
}

// trader is a customer with a key.
type trader struct {
	account exchange.Account
	name    string
	secret  string
	private ed25519.PrivateKey
}

// open lets everything through.
type open struct{}

func (open) Take(context.Context, limits.Request) (limits.Decision, error) {
	return limits.Decision{Used: 7, Orders10s: 1, OrdersDay: 2}, nil
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	sealer, err := accounts.NewSealer(make([]byte, accounts.SealerKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: time.UnixMilli(int64(enginetest.Start)).UTC(), orders: map[exchange.OrderID]exchange.OrderView{}}
	r.world = enginetest.Open(engine.StateOptions{Opener: sealer})
	o := Options{Engine: r, Limits: open{}, Clock: r.clock, Timeout: 2 * time.Second}
	for _, c := range change {
		c(&o)
	}
	r.server, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.server.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	r.until(func() bool { return r.server.ready() == "" })
	return r
}

// until waits for what other goroutines do. It has no deadline of its own: a test that hangs shows where.
func (r *rig) until(ok func() bool) {
	for !ok() {
		time.Sleep(time.Millisecond)
	}
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
	r.world.Now = exchange.Millis(r.now.UnixMilli())
}

func (r *rig) Do(ctx context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	if r.is(&r.lossy) {
		if err := r.do(ctx, cmds, make([]exchange.Outcome, len(out))); err != nil {
			return err
		}
	}
	return r.do(ctx, cmds, out)
}

func (r *rig) is(flag *bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *flag
}

func (r *rig) set(flag *bool, to bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*flag = to
}

func (r *rig) do(_ context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	r.order.Lock()
	defer r.order.Unlock()
	r.mu.Lock()
	if r.late {
		r.mu.Unlock()
		return errors.New("no answer")
	}
	for i := range cmds {
		r.commands = append(r.commands, cmds[i])
		r.commands[len(r.commands)-1].Body = bytes.Clone(cmds[i].Body)
	}
	first := r.world.State.Seq() + 1
	copy(out, r.world.Do(cmds...))
	for i := range out {
		out[i].Fills = slices.Clone(out[i].Fills)
	}
	r.tell(first)
	return nil
}

// tell notes what happened since, and gives it to the gateway without the lock that answers need.
func (r *rig) tell(first uint64) {
	events := bytes.Clone(r.world.Results.Events)
	for rest := events; len(rest) > 0; {
		var e exchange.Event
		var err error
		if rest, err = e.Read(rest); err != nil {
			panic(err)
		}
		r.note(&e)
	}
	last, heard := r.world.State.Seq(), !r.lost
	r.mu.Unlock()
	if heard {
		r.server.Events(first, last, events)
		if r.also != nil {
			r.also.Events(first, last, events)
		}
	}
}

// note is the rig's small room of records.
func (r *rig) note(e *exchange.Event) {
	switch e.Kind {
	case exchange.Traded:
		t := e.Trade
		r.trades = append(r.trades, exchange.TradeView{Market: t.Market, Trade: t.Trade, Price: t.Price, Qty: t.Qty, TakerSide: t.TakerSide, At: e.At,
			Order: t.Taker.Order, Side: t.TakerSide, Fee: t.Taker.Fee, FeeAsset: t.Taker.FeeAsset})
	case exchange.OrderChanged:
		c := changed{e.Seq, e.At, e.Order}
		r.orders[e.Order.Order] = c.view()
	case exchange.RecordChanged:
		switch e.Record {
		case exchange.DepositAddressRecord:
			info, _ := exchange.DecodeBody[exchange.DepositAddressInfo](e.Body)
			r.addrs = append(r.addrs, info)
		case exchange.WithdrawalRecord:
			info, _ := exchange.DecodeBody[exchange.WithdrawalInfo](e.Body)
			r.draws = append(r.draws, info)
		}
	}
}

func (r *rig) Ask(_ context.Context, q exchange.Question) (exchange.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.late {
		return exchange.Answer{}, errors.New("no answer")
	}
	if r.full {
		return exchange.Answer{}, ErrBusy
	}
	if q.Key != nil {
		r.asked++
	}
	if a, live := r.world.State.Answer(q); live {
		return a, nil
	}
	a := exchange.Answer{Seq: r.world.State.Seq(), At: r.world.Now}
	if r.behind > 0 && q.After > 0 {
		r.behind--
		a.Code = exchange.Busy
		return a, nil
	}
	if r.old > 0 {
		r.old--
		if a.Seq = r.oldSeq; q.After > r.oldSeq {
			a.Code = exchange.Busy
		}
		return a, nil
	}
	switch {
	case q.Orders != nil:
		for _, o := range r.orders {
			if o.Account == q.Orders.Account && (q.Orders.History || o.Order == q.Orders.Order || q.Orders.Client != "" && o.Client == q.Orders.Client) {
				a.Orders = append(a.Orders, o)
			}
		}
		slices.SortFunc(a.Orders, func(x, y exchange.OrderView) int { return int(x.Order) - int(y.Order) })
	case q.Trades != nil:
		for _, t := range r.trades {
			if t.Trade >= q.Trades.From {
				a.Trades = append(a.Trades, t)
			}
		}
	case q.Addresses != nil:
		a.Addresses = r.addrs
	case q.Seal != nil:
		sealer, _ := accounts.NewSealer(make([]byte, accounts.SealerKeyBytes))
		a.Sealed, _ = sealer.Seal(zeros{}, q.Seal.Account, q.Seal.Name, q.Seal.Secret)
	case q.Withdraws != nil:
		a.Withdraws = r.draws
	case q.Candles != nil, q.Tickers != nil:
		var k exchange.Candle
		for _, t := range r.trades {
			if k.Trades == 0 {
				k.Prices = [4]int64{t.Price, t.Price, t.Price, t.Price}
				k.Open = t.At - t.At%60_000
			}
			k.Prices[1], k.Prices[2], k.Prices[3] = max(k.Prices[1], t.Price), min(k.Prices[2], t.Price), t.Price
			k.Volume, k.Trades = k.Volume+t.Qty, k.Trades+1
			k.Quote, _ = k.Quote.Add(money.U128{Lo: uint64(t.Price * t.Qty)})
		}
		if k.Trades > 0 {
			a.Candles = append(a.Candles, k)
		}
		a.Tickers = append(a.Tickers, exchange.Ticker{Market: enginetest.Pair, Day: k, At: r.world.Now})
	}
	return a, nil
}

// inWorld changes the world as the operator does, and tells the gateway.
func (r *rig) inWorld(act func(w *enginetest.World)) {
	r.order.Lock()
	defer r.order.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.world.Seen = func(f engine.Frame) { r.tell(f.First); r.mu.Lock() }
	act(r.world)
	r.world.Seen = nil
}

// trader opens an account with money and a key.
func (r *rig) trader(name string, kind string, scopes exchange.Scope, allowed ...string) *trader {
	tr := &trader{}
	var err error
	if tr.name, err = accounts.NewSecret(strings.NewReader(strings.Repeat(name, 200))); err != nil {
		r.t.Fatal(err)
	}
	r.inWorld(func(w *enginetest.World) {
		tr.account = w.Customer(name)
		w.Give(tr.account, enginetest.Bitcoin, enginetest.Units(1_000_00000000))
		w.Give(tr.account, enginetest.Dollar, enginetest.Units(100_000_000_00000000))
		w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyAdd, Account: tr.account, Body: enginetest.Body(tr.keyBody(r.t, kind, scopes, allowed))})
	})
	return tr
}

func (tr *trader) keyBody(t *testing.T, kind string, scopes exchange.Scope, allowed []string) exchange.KeyBody {
	body := exchange.KeyBody{Key: tr.name, Scopes: scopes, Kind: kind, Allowed: allowed}
	if kind == "ed25519" {
		seed := sha256.Sum256([]byte(tr.name))
		tr.private = ed25519.NewKeyFromSeed(seed[:])
		body.Secret = tr.private.Public().(ed25519.PublicKey)
		return body
	}
	tr.secret = tr.name[32:] + tr.name[:32]
	sealer, _ := accounts.NewSealer(make([]byte, accounts.SealerKeyBytes))
	sealed, err := sealer.Seal(zeros{}, tr.account, tr.name, []byte(tr.secret))
	if err != nil {
		t.Fatal(err)
	}
	body.Secret = sealed
	return body
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sign appends timestamp and signature as clients do.
func (tr *trader) sign(query string, at time.Time) string {
	if !strings.Contains(query, "timestamp=") {
		if query != "" {
			query += "&"
		}
		query += "timestamp=" + strconv.FormatInt(at.UnixMilli(), 10)
	}
	return query + "&signature=" + tr.signature(query)
}

func (tr *trader) signature(payload string) string {
	if tr.private != nil {
		return url.QueryEscape(base64.StdEncoding.EncodeToString(ed25519.Sign(tr.private, []byte(payload))))
	}
	m := hmac.New(sha256.New, []byte(tr.secret))
	m.Write([]byte(payload))
	return hex.EncodeToString(m.Sum(nil))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	json   any
}

func (a answer) code() int {
	m, _ := a.json.(map[string]any)
	n, _ := m["code"].(json.Number)
	code, _ := strconv.Atoi(n.String())
	return code
}

func (a answer) field(name string) string {
	m, _ := a.json.(map[string]any)
	switch v := m[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return ""
	default:
		b, _ := json.Marshal(v)
		return string(b)
	}
}

// send makes a request as it is.
func (r *rig) send(q *http.Request) answer {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.server.Public().ServeHTTP(w, q)
	a := answer{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&a.json); err != nil {
		r.t.Fatalf("%s %s: the answer is no JSON: %v: %s", q.Method, q.URL, err, a.body)
	}
	return a
}

func (r *rig) request(method, target string, tr *trader) *http.Request {
	q := httptest.NewRequest(method, target, nil)
	q.RemoteAddr = "192.0.2.7:999"
	if tr != nil {
		q.Header.Set("X-MBX-APIKEY", tr.name)
	}
	return q
}

func (r *rig) get(target string) answer { r.t.Helper(); return r.send(r.request("GET", target, nil)) }

// signed sends parameters with a signature. Each call moves the clock, since a signed request counts once.
func (r *rig) signed(tr *trader, method, path, query string) answer {
	r.t.Helper()
	r.pass(time.Millisecond)
	return r.send(r.request(method, path+"?"+tr.sign(query, r.clock()), tr))
}

const all = exchange.ScopeRead | exchange.ScopeTrade
