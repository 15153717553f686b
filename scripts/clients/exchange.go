package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/gateway"
	"github.com/coldsign/coldsign/internal/limits"
	"github.com/coldsign/coldsign/internal/store/records"
)

// payTo is an address of the payer's withdrawal book.
const payTo = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// local is an exchange in this process.
type local struct {
	ctx     context.Context
	gateway *gateway.Server
	records *records.Records
	sealer  *accounts.Sealer
	mu      sync.Mutex
	world   *enginetest.World
}

func newExchange(ctx context.Context, dir string) (*local, error) {
	key := make([]byte, 32)
	rand.Read(key) // it never fails: crypto/rand ends the program instead
	sealer, err := accounts.NewSealer(key)
	if err != nil {
		return nil, err
	}
	at := filepath.Join(dir, "records")
	if err := os.Mkdir(at, 0o700); err != nil {
		return nil, err
	}
	e := &local{ctx: ctx, sealer: sealer}
	if e.records, err = records.Open(ctx, records.Options{Dir: at, Key: key}); err != nil {
		return nil, err
	}
	// No waiting times: the clients' programs do not stay for a day.
	rules := accounts.DefaultRules()
	rules.AddressDelay, rules.KeyDelay = 0, 0
	table, err := limits.New(limits.Options{AccountWeight: 60_000, Orders10s: 100_000, Exceptions: []limits.Exception{{Block: netip.MustParsePrefix("127.0.0.0/8"), Weight: 60_000}}})
	if err != nil {
		return nil, err
	}
	e.gateway, err = gateway.New(gateway.Options{Engine: e, Limits: gateway.OwnLimits{Table: table, Clock: time.Now}, AddressWeight: 60_000, Orders10s: 100_000})
	if err != nil {
		return nil, err
	}
	e.world = &enginetest.World{State: engine.NewState(engine.StateOptions{Opener: sealer, Rules: rules}), People: enginetest.NewPeople(),
		Now: past(), Seen: e.seen}
	if err := e.catalogue(); err != nil {
		return nil, err
	}
	go e.gateway.Run(ctx)
	return e, nil
}

// seen follows every frame: records first, then the gateway.
func (e *local) seen(f engine.Frame) {
	events := bytes.Clone(e.world.Results.Events)
	if err := e.records.Write(e.ctx, e.world.State.Seq(), e.world.State.Now(), events); err != nil {
		panic(err)
	}
	e.gateway.Events(f.First, e.world.State.Seq(), events)
}

func (e *local) catalogue() error {
	w := e.world
	w.Change(exchange.ChangeIntent{Roster: w.People.Roster()})
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Bitcoin, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest",
		WithdrawMin: enginetest.Units(20_000), WithdrawFee: enginetest.Units(1000), WithdrawDayMax: enginetest.Units(2_100_000_000_000_000)}})
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: enginetest.Dollar, Symbol: "USDT", Decimals: 8}})
	w.Change(exchange.ChangeIntent{Market: &exchange.MarketInfo{ID: enginetest.Pair, Symbol: "BTCUSDT", Base: enginetest.Bitcoin, Quote: enginetest.Dollar,
		TickDecimals: 2, LotDecimals: 5, QtyMin: 1, QtyMax: 1_000_000_000, NotionalMin: 5_00000_00}})
	file, err := depositWallet()
	if err != nil {
		return err
	}
	w.Change(exchange.ChangeIntent{Wallet: file})
	return nil
}

// people opens the accounts and keys that the programs use.
func (e *local) people(s *site) error {
	const payer = 9001
	secret, err := accounts.NewTOTPSecret(rand.Reader)
	if err != nil {
		return err
	}
	sealed, err := e.sealer.Seal(rand.Reader, payer, accounts.TOTPName, secret)
	if err != nil {
		return err
	}
	w := e.world
	trader, second := w.Customer("trader"), w.Customer("second")
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: "payer", Number: payer, TOTP: sealed})})
	for _, a := range []exchange.Account{trader, second, payer} {
		w.Give(a, enginetest.Bitcoin, enginetest.Units(100_00000000))
		w.Give(a, enginetest.Dollar, enginetest.Units(10_000_000_00000000))
		w.Change(exchange.ChangeIntent{Fees: &exchange.FeesChange{Account: a, MakerPPM: 1000, TakerPPM: 1000}})
	}
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AddressAdd, Account: payer,
		Body: enginetest.Body(exchange.AddressBody{Asset: enginetest.Bitcoin, Address: payTo, Code: accounts.OneTimeCode(secret, w.Now)})})
	w.Now += 60_000
	const trade = exchange.ScopeRead | exchange.ScopeTrade
	for _, k := range []struct {
		into   *access
		of     exchange.Account
		kind   string
		scopes exchange.Scope
	}{{&s.Trader, trader, "hmac", trade}, {&s.Second, second, "ed25519", trade}, {&s.Payer, payer, "hmac", trade | exchange.ScopeWithdraw}} {
		body := exchange.KeyBody{Scopes: k.scopes, Kind: k.kind, Allowed: []string{"127.0.0.0/16"}, Code: accounts.OneTimeCode(secret, w.Now)}
		if err := e.newKey(k.into, k.of, &body); err != nil {
			return err
		}
		w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyAdd, Account: k.of, Body: enginetest.Body(body)})
	}
	return nil
}

// newKey draws a key; what its customer keeps goes into into.
func (e *local) newKey(into *access, of exchange.Account, body *exchange.KeyBody) error {
	name, err := accounts.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	body.Key, into.Key = name, name
	if body.Kind == "hmac" {
		if into.Secret, err = accounts.NewSecret(rand.Reader); err != nil {
			return err
		}
		body.Secret, err = e.sealer.Seal(rand.Reader, of, name, []byte(into.Secret))
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	body.Secret, into.Private = public, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return nil
}

// Do is what the bus and the journal do elsewhere.
func (e *local) Do(_ context.Context, cmds []exchange.Command, out []exchange.Outcome) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.world.Now = max(e.world.Now, exchange.Millis(time.Now().UnixMilli()))
	if n := copy(out, e.world.Do(cmds...)); n != len(cmds) {
		return fmt.Errorf("%d outcomes for %d commands", n, len(cmds))
	}
	for i := range out {
		out[i].Fills = append([]exchange.Fill(nil), out[i].Fills...)
	}
	return nil
}

// Ask answers from the state, and what that does not know from the records.
func (e *local) Ask(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	e.mu.Lock()
	a, live := e.world.State.Answer(q)
	e.mu.Unlock()
	if live {
		return a, nil
	}
	return e.records.Answer(ctx, q)
}
