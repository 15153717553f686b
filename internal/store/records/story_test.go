package records

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

const marker = "marker4711"

// bench is a place for records of one kind of database, and the tools to look behind them.
type bench struct {
	t       *testing.T
	ctx     context.Context
	options Options
	another func() Options // another, empty place of the same kind
	dump    func() []byte  // every byte that the database keeps
}

func (b *bench) open() *Records {
	b.t.Helper()
	r, err := Open(b.ctx, b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { r.Close() })
	return r
}

func key(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func inSQLite(t *testing.T) *bench {
	b := &bench{t: t, ctx: t.Context(), options: Options{Dir: t.TempDir(), Key: key("one")}}
	b.another = func() Options { return Options{Dir: t.TempDir(), Key: key("one")} }
	b.dump = func() []byte { return files(t, b.options.Dir) }
	return b
}

func startServer(t testing.TB) *storetest.Server {
	t.Helper()
	server, err := storetest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func inPostgreSQL(t *testing.T, server *storetest.Server) *bench {
	b := &bench{t: t, ctx: t.Context()}
	b.another = func() Options {
		name, err := server.NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return Options{URL: server.URL(name), Key: key("one")}
	}
	b.options = b.another()
	b.dump = func() []byte {
		if err := server.Stop(); err != nil { // what is in memory only goes to disk
			t.Fatal(err)
		}
		return files(t, server.Dir)
	}
	return b
}

// both runs a claim that is about the two databases.
func both(t *testing.T, claim func(t *testing.T, b *bench)) {
	t.Run("sqlite", func(t *testing.T) { claim(t, inSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { claim(t, inPostgreSQL(t, startServer(t))) })
}

// story is what an exchange did, frame by frame.
type story struct {
	*enginetest.World
	frames  []engine.Frame
	events  [][]byte
	traders []exchange.Account
	options engine.StateOptions
	random  *mrand.Rand
	middle  int64
}

// newStory begins an exchange with a market, four customers with money, one of them with a key and an address book.
func newStory(t testing.TB, seed uint64) *story {
	t.Helper()
	sealer, err := accounts.NewSealer(key("secrets"))
	if err != nil {
		t.Fatal(err)
	}
	s := &story{options: engine.StateOptions{Opener: sealer}, random: mrand.New(mrand.NewPCG(seed, 7)), middle: 5000}
	s.World = &enginetest.World{State: engine.NewState(s.options), People: enginetest.NewPeople(), Now: enginetest.Start}
	s.Seen = func(f engine.Frame) {
		f.Commands = bytes.Clone(f.Commands)
		s.frames, s.events = append(s.frames, f), append(s.events, bytes.Clone(s.Results.Events))
	}
	s.Must(s.People.Change(exchange.ChangeIntent{Roster: s.People.Roster()}, s.Now))
	s.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Bitcoin, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest", WithdrawMin: enginetest.Units(20_000), WithdrawFee: enginetest.Units(1000), WithdrawDayMax: enginetest.Units(2_100_000_000_000_000)}})
	s.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Dollar, Symbol: "USDT", Decimals: 8}})
	s.Change(exchange.ChangeIntent{Market: &exchange.MarketInfo{ID: enginetest.Pair, Symbol: "BTCUSDT", Base: enginetest.Bitcoin, Quote: enginetest.Dollar,
		TickDecimals: 2, LotDecimals: 5, QtyMin: 1, QtyMax: 1_000_000_000}})
	for i := range 4 {
		a := s.Customer(fmt.Sprintf("%s.customer-%d", marker, i))
		s.traders = append(s.traders, a)
		s.Give(a, enginetest.Bitcoin, enginetest.Units(1_000_000_000_000))
		s.Give(a, enginetest.Dollar, money.U128{Hi: 1})
	}
	s.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: s.traders[0], MakerPPM: 7, TakerPPM: 9}})
	s.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: s.traders[1], Free: true}})
	s.Change(exchange.ChangeIntent{Default: &exchange.DefaultFees{MakerPPM: 100, TakerPPM: 200}})
	s.keysAndAddresses(t, sealer)
	return s
}

func (s *story) keysAndAddresses(t testing.TB, sealer *accounts.Sealer) {
	t.Helper()
	secret := []byte("12345678901234567890")
	sealed := func(id exchange.Account, name string, secret []byte) []byte {
		raw, err := sealer.Seal(rand.Reader, id, name, secret)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	id := exchange.Account(99)
	s.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: marker + ".saver", Number: uint64(id),
		TOTP: sealed(id, accounts.TOTPName, secret)})})
	s.traders = append(s.traders, id)
	name := strings.Repeat("K", 64)
	s.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyAdd, Account: id, Body: enginetest.Body(exchange.KeyBody{Key: name, Scopes: exchange.ScopeTrade | exchange.ScopeWithdraw,
		Kind: accounts.HMAC, Secret: sealed(id, name, []byte(strings.Repeat("s", 64))), Allowed: []string{"203.0.113.0/24"}, Label: marker, Code: accounts.OneTimeCode(secret, s.Now)})})
}

// step applies a frame of a few random orders and cancels.
func (s *story) step() {
	var commands []exchange.Command
	s.Now += exchange.Millis(s.random.IntN(40_000))
	for range 1 + s.random.IntN(6) {
		s.middle += s.random.Int64N(5) - 2
		c := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: s.traders[s.random.IntN(4)], Market: enginetest.Pair, Side: exchange.Side(s.random.IntN(2)),
			Price: s.middle + s.random.Int64N(21) - 10, Qty: 1 + s.random.Int64N(500), SelfTrade: exchange.SelfTrade(s.random.IntN(4))}
		switch s.random.IntN(8) {
		case 0:
			c.Kind = exchange.CancelAll
			c.Price, c.Qty, c.Side = 0, 0, 0
		case 1:
			c.Force = exchange.ImmediateOrCancel
		case 2:
			c.Force, c.Expire = exchange.GoodTillTime, s.Now+20_000
		case 3:
			c.Client, _ = exchange.NewClient(fmt.Sprintf("bot-%d", s.random.IntN(50)))
		case 4:
			c.Show = 1 + s.random.Int64N(c.Qty)
		}
		commands = append(commands, c)
	}
	s.Do(commands...)
}

func (s *story) steps(n int) *story {
	for range n {
		s.step()
	}
	return s
}

// write gives everything that the records do not know yet, a few frames at a time, as a follower does.
func (s *story) write(t testing.TB, r *Records) {
	t.Helper()
	last, err := r.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var events []byte
	for i, f := range s.frames {
		seq := f.First + uint64(f.Count) - 1
		if seq <= last {
			continue
		}
		events = append(events, s.events[i]...)
		if s.random.IntN(4) == 0 || i == len(s.frames)-1 {
			if err := r.Write(t.Context(), seq, f.At, events); err != nil {
				t.Fatal(err)
			}
			events = nil
		}
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tell writes events and waits until they are in the tables, or are not.
func tell(ctx context.Context, r *Records, seq uint64, at exchange.Millis, events []byte) error {
	if err := r.Write(ctx, seq, at, events); err != nil {
		return err
	}
	return r.Flush(ctx)
}

// journal is the story as the journal has it.
type journal struct{ frames []engine.Frame }

func (journal) Append(context.Context, engine.Frame, func()) error {
	panic("nobody writes a story again")
}
func (j journal) Last(context.Context) (uint64, error) {
	f := j.frames[len(j.frames)-1]
	return f.First + uint64(f.Count) - 1, nil
}
func (journal) Chain(context.Context, uint64) ([32]byte, error) { return [32]byte{}, nil }
func (j journal) Read(_ context.Context, from uint64, visit func(engine.Frame) error) error {
	for _, f := range j.frames {
		if f.First >= from {
			if err := visit(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func wide(n money.U128) *big.Int {
	out, _ := new(big.Int).SetString(n.String(), 10)
	return out
}

// counter counts the rows that are put.
type counter struct {
	database
	rows, commits int
	longest       time.Duration
}

func (c *counter) commit(ctx context.Context, calls []call, many ...rows) error {
	c.rows += len(calls)
	for _, r := range many {
		c.rows += r.count()
	}
	c.commits++
	start := time.Now()
	defer func() { c.longest = max(c.longest, time.Since(start)) }()
	return c.database.commit(ctx, calls, many...)
}
