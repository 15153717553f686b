package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/store/journal"
)

const customers = 64

// served is the exchange in this process.
type served struct {
	journal *counting
	sealer  *accounts.Sealer
	runner  *engine.Runner
	frames  atomic.Pointer[bus.Publisher]
	last    uint64
	keys    []apiKey
}

// counting is a journal that counts, and that forgets where it was told to.
type counting struct {
	engine.Journal
	forget            atomic.Bool
	commits, commands atomic.Uint64
}

// Append makes a frame durable, or does not.
func (c *counting) Append(ctx context.Context, f engine.Frame, meanwhile func()) error {
	c.commits.Add(1)
	c.commands.Add(uint64(f.Count))
	if c.forget.Load() {
		if meanwhile != nil {
			meanwhile()
		}
		return nil
	}
	return c.Journal.Append(ctx, f, meanwhile)
}

// openLimits count as the product's do, and let everybody pass: the generator has one address.
type openLimits struct{ table *limits.Table }

// Take counts a request.
func (l openLimits) Take(_ context.Context, r limits.Request) (limits.Decision, error) {
	d := l.table.Take(r, exchange.Millis(time.Now().UnixMilli()))
	d.Verdict = limits.Pass
	return d, nil
}

// serveMain runs an exchange until standard input ends, and says for each line of it what it has used.
func serveMain(variant, dir string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s := &served{}
	parts, err := s.open(ctx, variant, dir)
	if err != nil {
		return err
	}
	failed := make(chan error, len(parts))
	for _, part := range parts {
		go func() { failed <- part(ctx) }()
	}
	if err := s.populate(ctx); err != nil {
		return err
	}
	s.journal.forget.Store(variant == "forgetful")
	address, err := s.listen(ctx, variant == "guarded")
	if err != nil {
		return err
	}
	plan := loadPlan{Address: address, Keys: s.keys, Symbol: "BTCUSDT", Middle: 100_000_00, Decimals: 2}
	if err := json.NewEncoder(os.Stdout).Encode(plan); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := errors.Join(s.report(), s.runner.Stopped()); err != nil {
			return err
		}
	}
	stop()
	for range parts {
		err = errors.Join(err, <-failed)
	}
	return err
}

func (s *served) report() error {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Commits: s.journal.commits.Load(), Commands: s.journal.commands.Load(), RSS: residentKiB()})
}

// open makes journal, state, runner and, in the full variant, the shadow replica with the records.
func (s *served) open(ctx context.Context, variant, dir string) (parts []func(context.Context) error, err error) {
	key := make([]byte, 32)
	rand.Read(key)
	if s.sealer, err = accounts.NewSealer(key); err != nil {
		return nil, err
	}
	at := filepath.Join(dir, "journal")
	if err := os.Mkdir(at, 0o700); err != nil {
		return nil, err
	}
	opened, err := journal.Open(ctx, journal.Options{Dir: at, Key: key})
	if err != nil {
		return nil, err
	}
	s.journal = &counting{Journal: opened}
	state := engine.StateOptions{Opener: s.sealer}
	o := engine.RunnerOptions{Journal: s.journal, State: engine.NewState(state), Publish: s.publish, Now: now}
	if variant != "full" && variant != "guarded" {
		s.runner = engine.NewRunner(o)
		return append(parts, s.runner.Run), nil
	}
	o.Tail = engine.NewTail()
	s.runner = engine.NewRunner(o)
	sinks, err := openSinks(ctx, dir, key)
	if err != nil {
		return nil, err
	}
	follower, err := engine.NewFollower(ctx, engine.FollowerOptions{Journal: s.journal, State: engine.NewState(state), Tail: o.Tail, Sinks: sinks})
	return append(parts, s.runner.Run, follower.Run), err
}

func now() exchange.Millis { return exchange.Millis(time.Now().UnixMilli()) }

// must has one command of the operator applied.
func (s *served) must(ctx context.Context, c exchange.Command) (exchange.Outcome, error) {
	out := make([]exchange.Outcome, 1)
	if err := s.runner.Submit(ctx, "admin", []exchange.Command{c}, out); err != nil {
		return out[0], err
	}
	if out[0].Code != exchange.Done {
		return out[0], fmt.Errorf("command of kind %d: code %d %s", c.Kind, out[0].Code, out[0].Reason)
	}
	return out[0], nil
}

// populate makes a market, and accounts with keys and money, as operators do: by changes that two people approved.
func (s *served) populate(ctx context.Context) error {
	people := enginetest.NewPeople()
	changes := []exchange.ChangeIntent{{Roster: people.Roster()},
		{Asset: &exchange.AssetInfo{ID: enginetest.Bitcoin, Symbol: "BTC", Decimals: 8}},
		{Asset: &exchange.AssetInfo{ID: enginetest.Dollar, Symbol: "USDT", Decimals: 8}},
		{Market: &exchange.MarketInfo{ID: enginetest.Pair, Symbol: "BTCUSDT", Base: enginetest.Bitcoin, Quote: enginetest.Dollar, TickDecimals: 2, LotDecimals: 5,
			QtyMin: 1, QtyMax: 1_000_000_000, OrdersMax: 10_000}}}
	const each = 1e15 // ten million whole units
	for i := range customers {
		opened, err := s.customer(ctx, fmt.Sprintf("customer-%02d", i))
		if err != nil {
			return err
		}
		for _, asset := range []exchange.Asset{enginetest.Bitcoin, enginetest.Dollar} {
			for _, to := range []exchange.Account{0, opened} {
				changes = append(changes, exchange.ChangeIntent{Balance: &exchange.Adjustment{Account: to, Asset: asset, Amount: enginetest.Units(each)}})
			}
		}
	}
	for _, change := range changes {
		if _, err := s.must(ctx, people.Change(change, now())); err != nil {
			return err
		}
	}
	return nil
}

// customer opens an account and gives it a key.
func (s *served) customer(ctx context.Context, name string) (exchange.Account, error) {
	opened, err := s.must(ctx, exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: name})})
	if err != nil {
		return 0, err
	}
	account := exchange.Account(opened.Number)
	label, errLabel := accounts.NewSecret(rand.Reader)
	secret, errSecret := accounts.NewSecret(rand.Reader)
	if err := errors.Join(errLabel, errSecret); err != nil {
		return 0, err
	}
	sealed, err := s.sealer.Seal(rand.Reader, account, label, []byte(secret))
	if err != nil {
		return 0, err
	}
	body := exchange.KeyBody{Key: label, Scopes: exchange.ScopeRead | exchange.ScopeTrade, Kind: accounts.HMAC, Secret: sealed}
	_, err = s.must(ctx, exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyAdd, Account: account, Body: enginetest.Body(body)})
	s.keys = append(s.keys, apiKey{Key: label, Secret: secret})
	return account, err
}

// publish sends a frame's events to the gateway.
func (s *served) publish(seq uint64, _ exchange.Millis, events []byte) {
	message := binary.LittleEndian.AppendUint64(make([]byte, 0, 16+len(events)), s.last+1)
	message = append(binary.LittleEndian.AppendUint64(message, seq), events...)
	s.last = seq
	frames := s.frames.Load()
	if frames == nil {
		return // nobody listens yet
	}
	if err := frames.Publish(message); err != nil {
		fmt.Fprintln(os.Stderr, "events were not sent:", err)
	}
}
