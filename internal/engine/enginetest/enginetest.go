// Package enginetest sets up an exchange for tests: people who approve changes, assets, a market, customers with money,
// all through the commands that the product takes.
//
// A house test refuses its import outside _test.go files. What may never happen here: use by a program.
package enginetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
)

// Start is the time at which the exchanges of tests begin: 2026-01-01.
const Start exchange.Millis = 1767225600_000

// People are an operator, who proposes, and two approvers, with keys in files.
type People struct {
	serial  uint64
	signers []ssh.Signer
}

var names = []string{"olga", "anna", "bernd"}

// NewPeople returns the people, always with the same keys.
func NewPeople() *People {
	p := &People{}
	for _, name := range names {
		seed := sha256.Sum256([]byte("enginetest " + name))
		signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
		if err != nil {
			panic(err)
		}
		p.signers = append(p.signers, signer)
	}
	return p
}

// Roster is the file that names them.
func (p *People) Roster() []byte {
	var out strings.Builder
	for i, name := range names {
		role := "approver"
		if i == 0 {
			role = "operator"
		}
		fmt.Fprintf(&out, "%s namespaces=\"coldsign-change-v1\",valid-after=\"20250101Z\",valid-before=\"20400101Z\" %s role=%s site=zurich device=file\n",
			name, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.signers[i].PublicKey()))), role)
	}
	return []byte(out.String())
}

// Sign approves the bytes of an intent as one of the people: 0 is the proposer.
func (p *People) Sign(person int, intent []byte) []byte {
	armored, err := seal.Sign(p.signers[person], seal.Change, intent, rand.Reader)
	if err != nil {
		panic(err)
	}
	return armored
}

// Change returns the command for the next change, approved by both approvers. It fills in what every intent has.
func (p *People) Change(i exchange.ChangeIntent, now exchange.Millis) exchange.Command {
	p.serial++
	i.Serial, i.Proposer, i.Created, i.Expires = p.serial, names[0], now, now+3600_000
	raw := Body(i)
	body := exchange.ChangeBody{Intent: raw}
	if p.serial > 1 {
		body.Approvals = [][]byte{p.Sign(1, raw), p.Sign(2, raw)}
	}
	kind := exchange.Change
	if i.Balance != nil {
		kind = exchange.Adjust
	}
	return exchange.Command{ID: exchange.RandomID(), Kind: kind, Body: Body(body)}
}

// Body encodes a body.
func Body(body any) []byte {
	raw, err := exchange.EncodeBody(body)
	if err != nil {
		panic(err)
	}
	return raw
}

// Units is a whole number of smallest units.
func Units(n uint64) money.U128 { return money.U128{Lo: n} }

// Bitcoin, Dollar and Pair are the catalogue of Open: prices in cents, quantities in 10^-5 BTC.
const (
	Bitcoin exchange.Asset  = 1
	Dollar  exchange.Asset  = 2
	Pair    exchange.Market = 1
)

// World is an exchange in memory. Its commands fail the test by a panic when they are not done.
type World struct {
	State   *engine.State
	People  *People
	Results engine.Results
	Now     exchange.Millis
	Seen    func(engine.Frame) // told of every frame
}

// New returns an exchange with nothing but a roster.
func New(o engine.StateOptions) *World {
	w := &World{State: engine.NewState(o), People: NewPeople(), Now: Start}
	w.Must(w.People.Change(exchange.ChangeIntent{Roster: w.People.Roster()}, w.Now))
	return w
}

// Open returns an exchange with two assets and a market.
func Open(o engine.StateOptions) *World {
	w := New(o)
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: Bitcoin, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest", WithdrawMin: Units(20_000), WithdrawFee: Units(1000), WithdrawDayMax: Units(2_100_000_000_000_000)}})
	w.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: Dollar, Symbol: "USDT", Decimals: 8}})
	w.Change(exchange.ChangeIntent{Market: &exchange.MarketInfo{ID: Pair, Symbol: "BTCUSDT", Base: Bitcoin, Quote: Dollar, TickDecimals: 2, LotDecimals: 5,
		QtyMin: 1, QtyMax: 1_000_000_000}})
	return w
}

// Frame puts commands into the frame that follows.
func (w *World) Frame(commands ...exchange.Command) engine.Frame {
	f := engine.Frame{First: w.State.Seq() + 1, At: w.Now, Count: len(commands)}
	for i := range commands {
		f.Commands = commands[i].Append(f.Commands)
	}
	return f
}

// Do applies commands as one frame and returns the outcomes, which the next call overwrites.
func (w *World) Do(commands ...exchange.Command) []exchange.Outcome {
	f := w.Frame(commands...)
	if err := w.State.Apply(f, &w.Results); err != nil {
		panic(err)
	}
	if w.Seen != nil {
		w.Seen(f)
	}
	return w.Results.Outcomes
}

// Must applies one command, which has to be done.
func (w *World) Must(c exchange.Command) exchange.Outcome {
	o := w.Do(c)[0]
	if o.Code != exchange.Done {
		panic(fmt.Sprintf("enginetest: a command of kind %d was refused with code %d: %s", c.Kind, o.Code, o.Reason))
	}
	return o
}

// Change applies a change that two people approved.
func (w *World) Change(i exchange.ChangeIntent) exchange.Outcome {
	return w.Must(w.People.Change(i, w.Now))
}

// Customer opens an account.
func (w *World) Customer(name string) exchange.Account {
	o := w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: Body(exchange.AccountBody{Name: name})})
	return exchange.Account(o.Number)
}

// Give funds the house from outside and gives the amount to an account: two changes, as the product wants them.
func (w *World) Give(to exchange.Account, asset exchange.Asset, amount money.U128) {
	for _, account := range []exchange.Account{0, to} {
		w.Change(exchange.ChangeIntent{Balance: &exchange.Adjustment{Account: account, Asset: asset, Amount: amount}})
	}
}

// Balance is what an account has of an asset.
func (w *World) Balance(a exchange.Account, asset exchange.Asset) (available, held money.U128) {
	answer, _ := w.State.Answer(exchange.Question{Account: &exchange.AccountQuestion{Account: a}})
	for _, b := range answer.Balances {
		if b.Asset == asset {
			return b.Available, b.Held
		}
	}
	return available, held
}
