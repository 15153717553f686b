package engine_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// model is a ledger as somebody would write it who only reads events: maps and big numbers. It shares nothing with the
// ledger that it judges.
type model struct {
	free, held map[row]*big.Int
	orders     map[exchange.Market]map[exchange.OrderID]*modelOrder
	fees       map[exchange.Asset]*big.Int
	levels     map[exchange.LevelRecord]int64 // by level without quantity
}

type row struct {
	account exchange.Account
	asset   exchange.Asset
}

type modelOrder struct {
	exchange.OrderRecord
	reserved *big.Int
}

func newModel() *model {
	return &model{map[row]*big.Int{}, map[row]*big.Int{}, map[exchange.Market]map[exchange.OrderID]*modelOrder{}, map[exchange.Asset]*big.Int{}, map[exchange.LevelRecord]int64{}}
}

func number(n money.U128) *big.Int {
	v, _ := new(big.Int).SetString(n.String(), 10)
	return v
}

func (m *model) of(in map[row]*big.Int, r row) *big.Int {
	if in[r] == nil {
		in[r] = new(big.Int)
	}
	return in[r]
}

// pair describes a market to the model: what a tick x lot and a lot are.
type pairing struct {
	base, quote exchange.Asset
	unit, lot   int64
}

func pairingOf(market exchange.Market) pairing {
	if market == 1 {
		return pairing{btc, usd, 10, 1000}
	}
	return pairing{3, usd, 1000, 1_000_000_000_000_000_000}
}

// trade moves value between two accounts, and checks the fee by its definition.
func (m *model) trade(t *testing.T, e *exchange.TradeRecord) {
	p := pairingOf(e.Market)
	buyer, seller := e.Taker, e.Maker
	if e.TakerSide == exchange.Sell {
		buyer, seller = seller, buyer
	}
	cost := new(big.Int).Mul(big.NewInt(e.Price), big.NewInt(e.Qty))
	cost.Mul(cost, big.NewInt(p.unit))
	size := new(big.Int).Mul(big.NewInt(e.Qty), big.NewInt(p.lot))
	for _, leg := range []struct {
		from, to exchange.Half
		asset    exchange.Asset
		amount   *big.Int
	}{{buyer, seller, p.quote, cost}, {seller, buyer, p.base, size}} {
		giver := m.orders[e.Market][leg.from.Order]
		giver.reserved.Sub(giver.reserved, leg.amount)
		held := m.of(m.held, row{leg.from.Account, leg.asset})
		held.Sub(held, leg.amount)
		fee := number(leg.to.Fee)
		most := new(big.Int).Mul(leg.amount, big.NewInt(int64(1+leg.to.Account%3)*1000))
		most.Add(most, big.NewInt(999_999)).Div(most, big.NewInt(1_000_000))
		if leg.to.FeeAsset != leg.asset || fee.Cmp(most) > 0 {
			t.Fatalf("fee %s of %s for account %d, at most %s", fee, leg.amount, leg.to.Account, most)
		}
		free := m.of(m.free, row{leg.to.Account, leg.asset})
		free.Add(free, leg.amount).Sub(free, fee)
		if m.fees[leg.asset] == nil {
			m.fees[leg.asset] = new(big.Int)
		}
		m.fees[leg.asset].Add(m.fees[leg.asset], fee)
	}
}

// order keeps what an order reserves: a new one what it needs, an ended one nothing, a trade that was cheaper than its
// limit only what the rest needs.
func (m *model) order(o *exchange.OrderRecord) {
	p := pairingOf(o.Market)
	if m.orders[o.Market] == nil {
		m.orders[o.Market] = map[exchange.OrderID]*modelOrder{}
	}
	old := m.orders[o.Market][o.Order]
	if old == nil {
		old = &modelOrder{reserved: new(big.Int)}
		m.orders[o.Market][o.Order] = old
	}
	old.OrderRecord = *o
	need, asset := new(big.Int), p.base
	if rest := o.Qty - o.Executed; o.Side == exchange.Sell {
		need.Mul(big.NewInt(rest), big.NewInt(p.lot))
	} else {
		price := o.Price
		if o.Type == exchange.Stop && price == 0 {
			price = o.Stop + o.Stop/20
		}
		need.Mul(big.NewInt(rest), big.NewInt(price)).Mul(need, big.NewInt(p.unit))
		asset = p.quote
	}
	if o.Type == exchange.MarketOrder { // what it reserves, its bounds say; nobody else sees it
		need.Set(old.reserved)
	}
	if o.Status.Ended() {
		need.SetInt64(0)
	}
	change := new(big.Int).Sub(need, old.reserved)
	r := row{o.Account, asset}
	m.of(m.held, r).Add(m.of(m.held, r), change)
	m.of(m.free, r).Sub(m.of(m.free, r), change)
	old.reserved.Set(need)
}

// read follows the events of a frame.
func (m *model) read(t *testing.T, raw []byte) {
	var e exchange.Event
	for len(raw) > 0 {
		rest, err := e.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		switch raw = rest; e.Kind {
		case exchange.OrderChanged:
			m.order(&e.Order)
		case exchange.Traded:
			m.trade(t, &e.Trade)
		case exchange.LevelChanged:
			key := e.Level
			key.Qty = 0
			if m.levels[key] = e.Level.Qty; e.Level.Qty == 0 {
				delete(m.levels, key)
			}
		case exchange.BalanceChanged:
			m.compare(t, e.Balance)
		}
	}
}

// compare says what the model has differently. Market orders reserve more than the model knows while they trade, and
// nothing after it.
func (m *model) compare(t *testing.T, b exchange.BalanceRecord) {
	t.Helper()
	r := row{b.Account, b.Asset}
	if m.of(m.free, r).Cmp(number(b.Available)) != 0 || m.of(m.held, r).Cmp(number(b.Held)) != 0 {
		t.Fatalf("%+v: the model has %s and %s on hold", b, m.free[r], m.held[r])
	}
}

// crowd draws commands of all kinds for a few accounts in two markets.
type crowd struct {
	r       *rand.Rand
	w       *enginetest.World
	m       *model
	members []exchange.Account
	sent    []exchange.Command
	middle  [3]int64
	names   int
}

func newCrowd(t testing.TB, seed uint64, o engine.StateOptions) *crowd {
	c := &crowd{r: rand.New(rand.NewPCG(seed, 9)), w: enginetest.Open(o), m: newModel(), middle: [3]int64{0, 5000, 300}}
	c.w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: 3, Symbol: "ETH", Decimals: 18}})
	c.w.Change(exchange.ChangeIntent{Market: &exchange.MarketInfo{ID: 2, Symbol: "ETHUSDT", Base: 3, Quote: usd, TickDecimals: 5, LotDecimals: 0, PriceMin: 1, PriceMax: 100_000,
		QtyMin: 2, QtyMax: 500, NotionalMin: 100, OrdersMax: 12}})
	for i := range 6 {
		a := c.w.Customer(fmt.Sprintf("member-%d", i))
		c.members = append(c.members, a)
		for asset, amount := range map[exchange.Asset]money.U128{btc: units(60_000_000), usd: units(200_000_000_000), 3: {Hi: 200, Lo: 7}} {
			c.w.Give(a, asset, amount)
			c.m.of(c.m.free, row{a, asset}).Set(number(amount))
		}
		if a%3 != 0 { // the others pay what everybody pays
			c.w.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: a, MakerPPM: uint32(a%3) * 500, TakerPPM: uint32(1+a%3) * 1000}})
		}
	}
	c.w.Change(exchange.ChangeIntent{Default: &exchange.DefaultFees{TakerPPM: 1000}})
	return c
}

func (c *crowd) place() exchange.Command {
	market := exchange.Market(1 + c.r.IntN(2))
	c.middle[market] = max(c.middle[market]+c.r.Int64N(5)-2, 100)
	mid := c.middle[market]
	o := exchange.Command{ID: exchange.ID{byte(c.r.Uint64())}, Kind: exchange.Place, Account: c.members[c.r.IntN(len(c.members))], Market: market,
		Side: exchange.Side(c.r.IntN(2)), SelfTrade: exchange.SelfTrade(c.r.IntN(4)), Price: mid + c.r.Int64N(41) - 20, Qty: 1 + c.r.Int64N(300)}
	switch c.r.IntN(14) {
	case 0, 1:
		o.Force = exchange.ImmediateOrCancel
	case 2:
		o.Force = exchange.FillOrKill
	case 3:
		o.Force = exchange.PostOnly
	case 4:
		o.Force, o.Expire = exchange.GoodTillTime, c.w.Now+1+exchange.Millis(c.r.IntN(3000))
	case 5:
		o.Show = 1 + c.r.Int64N(o.Qty)
	case 6:
		o.Type, o.Price, o.Force = exchange.MarketOrder, 0, []exchange.Force{exchange.ImmediateOrCancel, exchange.FillOrKill, exchange.GoodTillCancel}[c.r.IntN(3)]
	case 7:
		o.Type, o.Price, o.Qty, o.Quote, o.Force = exchange.MarketOrder, 0, 0, 1+c.r.Int64N(600*mid), exchange.ImmediateOrCancel
	case 8:
		o.Type, o.Price, o.Stop = exchange.Stop, 0, mid+c.r.Int64N(61)-30
	case 9:
		o.Type, o.Stop, o.Force = exchange.StopLimit, mid+c.r.Int64N(61)-30, exchange.Force(c.r.IntN(4))
	case 10:
		o.Qty *= 1000 // more than most can pay
	}
	if c.r.IntN(2) == 0 {
		c.names++
		o.Client, _ = exchange.NewClient(fmt.Sprintf("bot-%d", c.names-c.r.IntN(20)))
	}
	return o
}

// known is an order of a market that was placed lately.
func (c *crowd) known(m exchange.Market) (exchange.OrderID, exchange.Account) {
	orders := c.m.orders[m]
	if len(orders) == 0 {
		return 1, c.members[0]
	}
	id := exchange.OrderID(len(orders)) - exchange.OrderID(c.r.IntN(min(60, len(orders))))
	return id, orders[id].Account
}

func (c *crowd) next() exchange.Command {
	k := exchange.Command{Market: exchange.Market(1 + c.r.IntN(2))}
	switch n := c.r.IntN(100); {
	case n < 3 && len(c.sent) > 0:
		return c.sent[len(c.sent)-1-c.r.IntN(min(len(c.sent), 50))] // again
	case n < 15:
		k.Kind = exchange.Cancel
		k.Order, k.Account = c.known(k.Market)
	case n < 17:
		k.Kind = exchange.Cancel
		k.Account = c.members[c.r.IntN(len(c.members))]
		k.Orig, _ = exchange.NewClient(fmt.Sprintf("bot-%d", c.names-c.r.IntN(60)))
	case n < 18:
		k.Kind, k.Account = exchange.CancelAll, c.members[c.r.IntN(len(c.members))]
	case n < 26:
		k = c.place()
		k.Kind = exchange.Replace
		k.Order, k.Account = c.known(k.Market)
	case n < 32:
		k.Kind, k.Qty = exchange.Amend, c.r.Int64N(200)
		k.Order, k.Account = c.known(k.Market)
	default:
		k = c.place()
	}
	for i := range k.ID {
		k.ID[i] = byte(c.r.Uint64())
	}
	c.sent = append(c.sent, k)
	return k
}

// change now and then calls, halts and opens a market.
func (c *crowd) change() {
	m := exchange.MarketInfo{ID: 1, Symbol: "BTCUSDT", Base: btc, Quote: usd, TickDecimals: 2, LotDecimals: 5, QtyMin: 1, QtyMax: 1_000_000_000, State: exchange.MarketState(c.r.IntN(3))}
	c.w.Change(exchange.ChangeIntent{Market: &m})
}

// Whatever customers send: after every command the sums hold, nothing available is negative, what is on hold is what
// orders need, no market is crossed, and a ledger that reads only the events has the same balances.
func TestMoneyIsConservedWhateverIsSent(t *testing.T) {
	commands := 60_000
	if testing.Short() {
		commands = 5000
	}
	c := newCrowd(t, 1, engine.StateOptions{})
	codes, causes := map[exchange.Code]int{}, map[exchange.Cause]int{}
	for i := range commands {
		if i%400 == 399 {
			c.change()
			c.m.read(t, c.w.Results.Events)
		}
		c.w.Now += exchange.Millis(c.r.IntN(40))
		k := c.next()
		o := c.w.Do(k)[0]
		codes[o.Code]++
		if len(c.w.Results.Events) == 0 && o.Code == exchange.Done && !o.Again && k.Kind != exchange.CancelAll {
			t.Fatalf("command %d, kind %d, was done and nobody was told", i, k.Kind)
		}
		c.count(t, causes)
		c.market(k, &o)
		c.m.read(t, c.w.Results.Events)
		if i%7 == 0 {
			if err := c.w.State.Verify(); err != nil {
				t.Fatalf("command %d %+v: %v", i, k, err)
			}
		}
	}
	c.finish(t)
	t.Logf("codes %v, causes %v", codes, causes)
	for _, code := range []exchange.Code{exchange.Done, exchange.InsufficientFunds, exchange.DuplicateClient, exchange.UnknownOrder, exchange.WouldTake, exchange.StopWouldTrigger,
		exchange.OrderNotFilled, exchange.Halted, exchange.InAuction, exchange.TooManyOrders, exchange.BelowMin, exchange.AboveMax, exchange.WrongState, exchange.Malformed} {
		if codes[code] == 0 {
			t.Errorf("no command ended with code %d: the crowd tests too little", code)
		}
	}
	for cause := exchange.CauseNew; cause <= exchange.CauseAmended; cause++ {
		if causes[cause] == 0 {
			t.Errorf("no order changed because of %d: the crowd tests too little", cause)
		}
	}
}

func (c *crowd) count(t *testing.T, causes map[exchange.Cause]int) {
	var e exchange.Event
	for raw := c.w.Results.Events; len(raw) > 0; {
		rest, err := e.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if raw = rest; e.Kind == exchange.OrderChanged {
			causes[e.Order.Cause]++
		}
	}
}

// market tells the model what a market order reserved: exactly what it then paid, as it cannot rest.
func (c *crowd) market(k exchange.Command, o *exchange.Outcome) {
	if k.Type != exchange.MarketOrder || o.Code != exchange.Done || o.Again {
		return
	}
	p := pairingOf(k.Market)
	paid, asset := new(big.Int).Mul(big.NewInt(o.Quote), big.NewInt(p.unit)), p.quote
	if k.Side == exchange.Sell {
		paid, asset = new(big.Int).Mul(big.NewInt(o.Executed), big.NewInt(p.lot)), p.base
	}
	if c.m.orders[k.Market] == nil {
		c.m.orders[k.Market] = map[exchange.OrderID]*modelOrder{}
	}
	r := row{k.Account, asset}
	c.m.of(c.m.held, r).Add(c.m.of(c.m.held, r), paid)
	c.m.of(c.m.free, r).Sub(c.m.of(c.m.free, r), paid)
	c.m.orders[k.Market][o.Order] = &modelOrder{reserved: paid}
}

// finish cancels everything: nothing is on hold then, and all that customers and house have is what was given.
func (c *crowd) finish(t *testing.T) {
	for _, a := range c.members {
		for m := exchange.Market(1); m <= 2; m++ {
			c.w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.CancelAll, Account: a, Market: m})
			c.m.read(t, c.w.Results.Events)
		}
	}
	if len(c.m.levels) != 0 {
		t.Errorf("levels that were told and never went: %v", c.m.levels)
	}
	for r, held := range c.m.held {
		if held.Sign() != 0 {
			t.Errorf("%+v has %s on hold", r, held)
		}
		available, _ := c.w.Balance(r.account, r.asset)
		if c.m.free[r].Cmp(number(available)) != 0 {
			t.Errorf("%+v: %s, the model has %s", r, available, c.m.free[r])
		}
	}
	if err := c.w.State.Verify(); err != nil {
		t.Error(err)
	}
}

// A restored state goes on as the one that was written, with the same events, and so does one without listeners.
func TestReplayAndRestoreGiveTheSameState(t *testing.T) {
	c := newCrowd(t, 2, engine.StateOptions{})
	silent, restored := engine.NewState(engine.StateOptions{NoEvents: true}), (*engine.State)(nil)
	_ = silent
	var frames []engine.Frame
	c.w.Seen = func(f engine.Frame) { frames = append(frames, f) }
	var snapshot bytes.Buffer
	if err := c.w.State.Snapshot(&snapshot); err != nil {
		t.Fatal(err)
	}
	base := snapshot.Bytes()
	for range 8000 {
		c.w.Now += exchange.Millis(c.r.IntN(40))
		batch := make([]exchange.Command, 1+c.r.IntN(20))
		for i := range batch {
			batch[i] = c.next()
		}
		c.w.Do(batch...)
		for i, k := range batch {
			if k.Kind == exchange.Place || k.Kind == exchange.Replace {
				if o := c.w.Results.Outcomes[i]; o.Code == exchange.Done {
					if c.m.orders[k.Market] == nil {
						c.m.orders[k.Market] = map[exchange.OrderID]*modelOrder{}
					}
					c.m.orders[k.Market][o.Order] = &modelOrder{OrderRecord: exchange.OrderRecord{Account: k.Account}}
				}
			}
		}
		if len(frames) == 4000 {
			snapshot.Reset()
			if err := c.w.State.Snapshot(&snapshot); err != nil {
				t.Fatal(err)
			}
		}
	}
	middle := snapshot.Bytes()
	for name, from := range map[string]struct {
		raw    []byte
		frames []engine.Frame
		o      engine.StateOptions
	}{"from the beginning": {base, frames, engine.StateOptions{NoEvents: true}}, "from the middle": {middle, frames[4000:], engine.StateOptions{}}} {
		var err error
		if restored, err = engine.RestoreState(bytes.NewReader(from.raw), from.o); err != nil {
			t.Fatal(name, err)
		}
		var again bytes.Buffer
		if err := restored.Snapshot(&again); err != nil || !bytes.Equal(again.Bytes(), from.raw) {
			t.Fatalf("%s: a restored state has another snapshot: %v", name, err)
		}
		var results engine.Results
		for _, f := range from.frames {
			if err := restored.Apply(f, &results); err != nil {
				t.Fatal(name, err)
			}
		}
		if from.o.NoEvents != (len(results.Events) == 0) || !from.o.NoEvents && !bytes.Equal(results.Events, c.w.Results.Events) {
			t.Errorf("%s: other events", name)
		}
		if restored.Hash() != c.w.State.Hash() || restored.Seq() != c.w.State.Seq() {
			t.Errorf("%s: another state", name)
		}
		if err := restored.Verify(); err != nil {
			t.Error(name, err)
		}
	}
}
