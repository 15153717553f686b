package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/coldsign/coldsign/internal/console"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
)

// mortal is an engine at the other end of the bus that keeps what it took, as the journal does, and whose processes die
// when the test says so.
type mortal struct {
	t       *testing.T
	server  *bus.Server
	creds   map[bus.Segment]bus.Credentials
	died    chan struct{} // a process ended
	mu      sync.Mutex
	journal map[exchange.ID]uint64                  // what was committed, by the command's identity
	heard   int                                     // messages of commands
	act     func(heard int) (exchange.Code, string) // what becomes of a message: "die" after the commit, "busy", "fail"
	asked   func() error                            // what becomes of a question
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	all, err := bus.NewCredentials(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &mortal{t: t, creds: map[bus.Segment]bus.Credentials{}, died: make(chan struct{}, 8), journal: map[exchange.ID]uint64{}}
	for _, c := range all {
		m.creds[c.Segment()] = c
	}
	if m.server, err = bus.NewServer(bus.ServerOptions{Users: bus.UsersOf(all)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.server.Close)
	return m
}

func (m *mortal) dial(s bus.Segment) *bus.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := bus.Dial(ctx, bus.Options{Credentials: m.creds[s], Server: m.server})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(conn.Close)
	return conn
}

// rise starts a process of the engine.
func (m *mortal) rise() {
	conn := m.dial(bus.Engine)
	commands := func(ctx context.Context, _ bus.Segment, payload []byte) ([]byte, error) {
		reply, how := m.take(payload)
		switch how {
		case "die":
			go func() { conn.Close(); m.died <- struct{}{} }()
			<-ctx.Done() // a process that is gone says nothing
			return nil, ctx.Err()
		case "hang":
			<-ctx.Done()
			return nil, ctx.Err()
		case "busy":
			return nil, bus.ErrBusy
		case "fail":
			return nil, errors.New("the disk is full")
		}
		return reply, nil
	}
	questions := func(context.Context, bus.Segment, []byte) ([]byte, error) {
		if err := m.asked(); err != nil {
			return nil, err
		}
		return exchange.EncodeBody(exchange.Answer{Seq: 7})
	}
	if err := errors.Join(conn.Serve("cmd.order.main", 64, commands), conn.Serve("qry.gateway", 64, questions)); err != nil {
		m.t.Error(err)
	}
}

// take commits commands, each once, and says what became of them.
func (m *mortal) take(payload []byte) (reply []byte, how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard++
	code, how := m.act(m.heard)
	if how != "" && how != "die" {
		return nil, how
	}
	for len(payload) > 0 {
		var c exchange.Command
		var err error
		if payload, err = c.Read(payload); err != nil {
			m.t.Error(err)
			return nil, "fail"
		}
		out := exchange.Outcome{ID: c.ID, Code: code}
		if code == exchange.Done {
			out.Seq, out.Again = m.journal[c.ID], m.journal[c.ID] != 0
			if !out.Again {
				out.Seq = uint64(len(m.journal) + 1)
				m.journal[c.ID] = out.Seq
			}
		}
		reply = out.Append(reply)
	}
	return reply, how
}

// place sends one order as a gateway does that waits for so long.
func (m *mortal) place(wait time.Duration) (*busEngine, exchange.Outcome, error) {
	e := newBusEngine(m.dial(bus.Gateway), exchangeConfig{Store: storeConfig{Group: "main"}, Gateway: gatewayConfig{Timeout: wait}})
	ctx, cancel := context.WithTimeout(m.t.Context(), wait)
	defer cancel()
	var out [1]exchange.Outcome
	err := e.Do(ctx, []exchange.Command{{ID: exchange.ID{1, 2, 3}, Kind: exchange.Place, Account: 1, Market: 1}}, out[:])
	return e, out[0], err
}

// An engine that dies between its commit and its reply: the command is asked for again by its own identity at the engine
// that comes after it, and the customer hears what became of it. It was done once.
func TestAnEngineThatDiesAfterItsCommitTellsTheTruthThroughTheNextOne(t *testing.T) {
	m := newMortal(t)
	m.act = func(heard int) (exchange.Code, string) {
		if heard == 1 {
			return exchange.Done, "die"
		}
		return exchange.Done, ""
	}
	m.rise()
	go func() { <-m.died; m.rise() }()
	e, out, err := m.place(10 * time.Second)
	if err != nil || !out.Again || out.Seq != 1 || out.Code != exchange.Done || len(m.journal) != 1 {
		t.Errorf("%+v %v, taken: %v", out, err, m.journal)
	}
	if n := e.unsure.commands.Load(); n != 0 || len(e.unsure.of) != 0 {
		t.Errorf("%d still ask", n)
	}
}

// An engine that is replaced before it took anything, or that finds out that another one writes, costs a moment.
func TestAnEngineThatIsReplacedCostsAMoment(t *testing.T) {
	m := newMortal(t)
	m.act = func(heard int) (exchange.Code, string) {
		if heard < 3 {
			return exchange.Superseded, ""
		}
		return exchange.Done, ""
	}
	go m.rise() // nobody serves the subject at first
	if _, out, err := m.place(10 * time.Second); err != nil || out.Code != exchange.Done || out.Again || len(m.journal) != 1 {
		t.Errorf("%+v %v, taken: %v", out, err, m.journal)
	}
}

// When one attempt may have been taken, a later one that was refused as busy does not make it certain that nothing was:
// the customer hears that the outcome is not known, never that there is no order.
func TestARefusalAfterAnUnknownOutcomeIsNotTakenForTheOutcome(t *testing.T) {
	for _, how := range []string{"busy", "outcome"} {
		m := newMortal(t)
		m.act = func(heard int) (exchange.Code, string) {
			switch {
			case heard == 1:
				return exchange.Done, "die"
			case how == "busy":
				return exchange.Done, "busy"
			}
			return exchange.Busy, ""
		}
		m.rise()
		go func() { <-m.died; m.rise() }()
		if _, out, err := m.place(time.Second); !errors.Is(err, bus.ErrUnknown) || len(m.journal) != 1 {
			t.Errorf("%s: %+v %v, taken: %v", how, out, err, m.journal)
		}
	}
}

// What was certainly not taken is busy, not unknown: at once when a queue is full, at the end when nobody came.
func TestWhatWasCertainlyNotTakenIsBusy(t *testing.T) {
	m := newMortal(t)
	m.act = func(int) (exchange.Code, string) { return exchange.Done, "busy" }
	if _, out, err := m.place(300 * time.Millisecond); err != nil || out.Code != exchange.Busy {
		t.Errorf("no engine: %+v %v", out, err)
	}
	m.rise()
	if _, out, err := m.place(time.Hour); err != nil || out.Code != exchange.Busy || m.heard != 1 {
		t.Errorf("a full queue: %+v %v after %d messages", out, err, m.heard)
	}
}

// An engine that is away does not gather requests without bound: beyond the bound nothing is sent. Nobody has all of the
// room: not one account, not orders, not questions.
func TestAnEngineThatIsAwayGathersNoRequests(t *testing.T) {
	m := newMortal(t)
	m.act = func(int) (exchange.Code, string) { return exchange.Done, "" }
	m.asked = func() error { return nil }
	m.rise()
	e, out, err := m.place(10 * time.Second)
	if err != nil || out.Code != exchange.Done {
		t.Fatal(out, err)
	}
	heard := m.heard
	taken := func(kind exchange.Kind, account exchange.Account) bool {
		var outs [1]exchange.Outcome
		before := m.heard
		if err := e.Do(t.Context(), []exchange.Command{{ID: exchange.RandomID(), Kind: kind, Account: account}}, outs[:]); err != nil {
			t.Error(err)
		}
		if (outs[0].Code == exchange.Busy) != (m.heard == before) {
			t.Errorf("%+v after %d messages", outs[0], m.heard-heard)
		}
		return outs[0].Code == exchange.Done
	}
	greedy := &exchange.Command{Kind: exchange.Cancel, Account: 66}
	wait := func(n int, c func(i int) *exchange.Command) {
		for i := range n {
			e.unsure.enter(c(i))
		}
	}
	wait(unsureEach, func(int) *exchange.Command { return greedy })
	if taken(exchange.Cancel, 66) || !taken(exchange.Place, 1) {
		t.Error("one account takes the room of others")
	}
	wait(unsureOrders-unsureEach, func(i int) *exchange.Command { return &exchange.Command{Account: exchange.Account(1000 + i)} })
	if taken(exchange.Place, 1) || !taken(exchange.Cancel, 1) || !taken(exchange.CancelAll, 1) {
		t.Error("orders take the room of cancels")
	}
	wait(unsureMax-unsureOrders, func(i int) *exchange.Command { return &exchange.Command{Account: exchange.Account(9000 + i)} })
	if taken(exchange.Cancel, 1) {
		t.Error("there is room without end")
	}
	ask := func() error { _, err := e.Ask(t.Context(), exchange.Question{Status: &struct{}{}}); return err }
	if err := ask(); err != nil {
		t.Error("commands take the room of questions", err)
	}
	e.unsure.questions.Store(questionsMax)
	if err := ask(); !errors.Is(err, gateway.ErrBusy) {
		t.Error(err)
	}
	e.unsure.questions.Store(0)
}

// Orders that the engine is slow with keep no cancel waiting at the gateway: it comes in a message of its own.
func TestCancelsDoNotWaitForOrdersAtTheGateway(t *testing.T) {
	m := newMortal(t)
	slow := make(chan struct{}, 8)
	m.act = func(heard int) (exchange.Code, string) {
		if heard <= 4 { // as many messages of orders as are under way at a time
			slow <- struct{}{}
			return exchange.Done, "hang"
		}
		return exchange.Done, ""
	}
	m.rise()
	e := newBusEngine(m.dial(bus.Gateway), exchangeConfig{Store: storeConfig{Group: "main"}, Gateway: gatewayConfig{Timeout: time.Hour}})
	ctx, end := context.WithCancel(t.Context())
	var orders sync.WaitGroup
	for i := range 5 {
		orders.Go(func() {
			var out [1]exchange.Outcome
			_ = e.Do(ctx, []exchange.Command{{ID: exchange.RandomID(), Kind: exchange.Place, Account: 1, Market: 1}}, out[:]) // nobody hears of them
		})
		if i < 4 {
			<-slow
		}
	}
	var out [1]exchange.Outcome
	for _, kind := range []exchange.Kind{exchange.Cancel, exchange.CancelAll} {
		if err := e.Do(t.Context(), []exchange.Command{{ID: exchange.RandomID(), Kind: kind, Account: 2, Market: 1}}, out[:]); err != nil || out[0].Code != exchange.Done {
			t.Errorf("%+v %v", out[0], err)
		}
	}
	end()
	orders.Wait()
}

// A question that finds a full queue is busy, one that lost its engine is asked again, and one that the engine cannot
// answer is not.
func TestAQuestionIsAskedAgainWhenItsEngineIsGone(t *testing.T) {
	m := newMortal(t)
	e := newBusEngine(m.dial(bus.Gateway), exchangeConfig{Store: storeConfig{Group: "main"}, Gateway: gatewayConfig{Timeout: 10 * time.Second}})
	ask := func() (exchange.Answer, error) { return e.Ask(t.Context(), exchange.Question{Status: &struct{}{}}) }
	m.asked = func() error { return nil }
	go m.rise()
	if a, err := ask(); err != nil || a.Seq != 7 {
		t.Error(a, err)
	}
	m.asked = func() error { return bus.ErrBusy }
	if _, err := ask(); !errors.Is(err, gateway.ErrBusy) {
		t.Error(err)
	}
	m.asked = func() error { return errors.New("no such table") }
	if _, err := ask(); err == nil || errors.Is(err, gateway.ErrBusy) {
		t.Error(err)
	}
}

// steadily places orders until stop, one after the other. It counts those that are taken, and returns what else was answered.
func (c customer) steadily(name string, taken *atomic.Int64, stop <-chan struct{}) (other []string) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return other
		default:
		}
		query := fmt.Sprintf("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&quantity=0.001&price=60000&newClientOrderId=%s-%d&timestamp=%d", name, n, time.Now().UnixMilli())
		mac := hmac.New(sha256.New, []byte(c.secret))
		mac.Write([]byte(query))
		request, err := http.NewRequest(http.MethodPost, c.b.public+"/api/v3/order?"+query+"&signature="+hex.EncodeToString(mac.Sum(nil)), nil)
		if err != nil {
			return append(other, err.Error())
		}
		request.Header.Set("X-MBX-APIKEY", c.key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return append(other, err.Error())
		}
		raw, _ := io.ReadAll(response.Body)
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			taken.Add(1)
		default:
			other = append(other, string(raw))
		}
	}
}

// The engine is killed twice while orders come, and started again by the supervisor: no customer hears anything but that
// the order is taken, and each order is there once.
func TestAnEngineThatIsKilledIsNotNoticedByItsCustomers(t *testing.T) {
	b := exchangeFolder(t)
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	b.configure("timeout: 5s", "timeout: 30s") // the gateway: however slow this machine starts an engine
	b.configure("orders_10s: 200", "orders_10s: 100000")
	b.configure("address_weight: 1200", "address_weight: 60000")
	b.configure("account_weight: 6000", "account_weight: 60000")
	_, lines := supervised(t, b.dir)
	all := ready(t, lines, readyEngine, readyGateway, readyTreasury)
	b.staff = must(operatorClient(&app{Console: &console.Console{Now: time.Now}}, folder(b.dir)))
	b.public = "http://" + all[readyGateway].Listen
	b.market()
	one := b.customer("one")
	b.mustChange("account", "adjust", "house", "1000", "BTC")
	b.mustChange("account", "adjust", "1", "1000", "BTC")
	var account struct{ CanTrade bool }
	until(t, "the gateway to be of use", func() bool {
		return one.call(http.MethodGet, "/api/v3/account", "", &account) == http.StatusOK && account.CanTrade
	})
	stop := make(chan struct{})
	others := make(chan []string)
	var taken atomic.Int64
	for _, name := range []string{"a", "b", "c"} {
		go func() { others <- one.steadily(name, &taken, stop) }()
	}
	engine := all[readyEngine]
	for range 2 {
		before := taken.Load()
		until(t, "orders to come", func() bool { return taken.Load() > before+30 })
		if err := syscall.Kill(engine.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		engine = ready(t, lines, readyEngine)[readyEngine]
	}
	before := taken.Load()
	until(t, "orders to come again", func() bool { return taken.Load() > before+30 })
	close(stop)
	for range 3 {
		if other := <-others; len(other) > 0 {
			t.Errorf("%d other answers, such as %s", len(other), other[0])
		}
	}
	names, found, next := map[string]bool{}, 0, int64(1)
	for more := true; more; {
		var page []struct {
			OrderID       int64
			ClientOrderID string
		}
		until(t, "the orders", func() bool {
			return one.call(http.MethodGet, "/api/v3/allOrders", fmt.Sprintf("symbol=BTCUSDT&limit=1000&orderId=%d", next), &page) == http.StatusOK
		})
		for _, o := range page {
			names[o.ClientOrderID], next = true, o.OrderID+1
		}
		found, more = found+len(page), len(page) > 0
	}
	if n := int(taken.Load()); found != n || len(names) != n {
		t.Errorf("%d orders were taken, there are %d with %d names", n, found, len(names))
	}
}
