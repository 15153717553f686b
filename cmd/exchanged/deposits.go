package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// depositsAheadMax is how many blocks may wait for the engine; the chain is not read further until it takes them.
const depositsAheadMax = 3000

// depositor brings payments to deposit addresses before the engine, each with its evidence. It decides nothing: the
// engine derives the address again from the wallet that it pinned, and proves the payment itself.
type depositor struct {
	rules    depositsConfig
	wallet   wallet.Wallet
	ask      func(context.Context, exchange.Question) (exchange.Answer, error) // the engine
	commands *bus.Batcher
	sink     *depositSink
	follower *node.Follower
	path     string // of the base
	log      *slog.Logger
	alerts   *alerts

	asset    exchange.Asset
	assigned uint32
	compared uint32 // the newest of so many given addresses was compared with the wallet's
	derived  uint32 // scripts of indexes below it are looked for
	said     string

	mu      sync.Mutex
	waiting []waitingDeposit // as of the last look, for people
	told    uint64           // command of the newest answer of the engine: records that know it know what waits no more
}

// waitingDeposit is a payment that is not credited yet, as people may see it.
type waitingDeposit struct {
	outpoint              string // transaction, colon, output
	output, index, height uint32
	seen, need            uint32 // confirmations
	value                 int64
	asset                 exchange.Asset
	given                 bool   // the address was given to somebody
	refusal               string // of the engine, when it refused it last
}

// notCredited lists what waits, the newest block first.
func (d *depositor) notCredited() []waitingDeposit {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting
}

// answered returns the newest command by which a payment may have ended.
func (d *depositor) answered() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told
}

// publish lets people see what waits now.
func (d *depositor) publish() {
	var out []waitingDeposit
	for place := len(d.sink.blocks) - 1; place >= 0; place-- {
		for _, p := range d.sink.blocks[place].found {
			if !p.ended {
				out = append(out, waitingDeposit{outpoint: fmt.Sprintf("%s:%d", p.txid, p.output), output: p.output, index: p.index, height: d.sink.height + 1 + uint32(place),
					seen: uint32(len(d.sink.blocks) - place), need: d.rules.needs(money.Sats(p.value)), value: p.value, asset: d.asset, given: p.index < d.assigned, refusal: p.refusal})
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = out
}

// newDepositor reads how far deposits are credited.
func newDepositor(s *site, conn *bus.Conn, chain node.Chain) (*depositor, error) {
	rules := s.config.Exchange.Deposits
	w, err := s.folder.walletNamed(rules.Wallet)
	if err != nil {
		return nil, err
	}
	ask := func(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
		return askEngine(ctx, conn, "qry.wallet", q)
	}
	d := &depositor{rules: rules, wallet: w, ask: ask, commands: bus.NewBatcher(conn, "cmd.deposit", bus.BatchOptions{Frames: 2, Commands: 64}),
		sink: &depositSink{scripts: map[string]uint32{}}, path: s.folder.path(exchangeDir, "wallet", "deposits"), log: s.log.With("segment", "wallet"),
		alerts: s.alerts}
	d.follower = &node.Follower{Chain: chain, Sink: d.sink, Start: rules.Start}
	return d, errors.Join(rules.suffice(w.Network()), d.readBase())
}

// suffice refuses rules by which the engine would never take a deposit: what it gets are as many headers as a rule says,
// and a payment that it refuses for ever keeps all that come after it from being settled.
func (d depositsConfig) suffice(n spend.Network) error {
	for _, rule := range d.Confirmations {
		if least := engine.ConfirmationsMin(n); int(rule.Need) < least {
			return console.Fail(console.Usage, fmt.Errorf("exchange.deposits.confirmations: need is %d, and on %s the engine takes no deposit below %d", rule.Need, n, least),
				fmt.Sprintf("write need: %d or more in exchanged.yaml", least))
		}
	}
	return nil
}

// baseFile is the last block at and below which every deposit is settled.
type baseFile struct {
	Height uint32 `json:"height"`
	Hash   string `json:"hash"`
}

func (d *depositor) readBase() error {
	raw, err := console.ReadFile(d.path, keyMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var base baseFile
	if err := json.Unmarshal(raw, &base); err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	hash, err := chainhash.NewHashFromStr(base.Hash)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	d.sink.height, d.sink.hash = base.Height, *hash
	return nil
}

func (d *depositor) writeBase() error {
	raw, err := json.Marshal(baseFile{d.sink.height, d.sink.hash.String()})
	if err != nil {
		return err
	}
	return replace(d.path, append(raw, '\n'), 0o600)
}

// run follows the chain until ctx ends.
func (d *depositor) run(poll time.Duration) work {
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			more, err := d.tick(ctx)
			d.say(err)
			if more && err == nil {
				continue
			}
			select {
			case <-ctx.Done():
			case <-time.After(poll):
			}
		}
		return nil
	}
}

// say logs what stands in the way once, and once that it is gone.
func (d *depositor) say(err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	switch {
	case text == d.said:
	case text == "":
		d.log.Info("deposits go on")
	default:
		d.log.Warn("deposits stand still", "error", text)
		d.alerts.stopped(alertDeposits, "deposits", err)
	}
	d.said = text
}

// tick learns which addresses were given, reads blocks, and credits what lies deep enough.
func (d *depositor) tick(ctx context.Context) (more bool, err error) {
	if err := d.learn(ctx); err != nil {
		return false, err
	}
	var progress node.Progress
	if len(d.sink.blocks) < depositsAheadMax {
		progress, err = d.follower.Sync(ctx)
	} else {
		err = fmt.Errorf("%d blocks wait for the engine", len(d.sink.blocks))
	}
	d.tellUndone()
	if again, unsure := d.overtaken(ctx); again || unsure != nil {
		return again, errors.Join(err, unsure)
	}
	if credit := d.creditAll(ctx); credit != nil {
		err = errors.Join(err, credit)
	}
	if d.sink.settle(d.rules.deepest()) {
		err = errors.Join(err, d.writeBase())
	}
	d.publish()
	return progress.More, err
}

// overtaken forgets the blocks above the base when more addresses were given, while these were read, than were looked
// for: they are read again.
func (d *depositor) overtaken(ctx context.Context) (again bool, err error) {
	known := d.derived
	if err := d.learn(ctx); err != nil {
		return false, err
	}
	if again = d.assigned > known; again {
		d.sink.blocks = nil
	}
	return again, nil
}

// tellUndone tells people of credited payments whose blocks left the chain. The engine takes nothing back.
func (d *depositor) tellUndone() {
	for _, p := range d.sink.undone() {
		which := fmt.Sprintf("%s:%d", p.txid, p.output)
		d.log.Error("a credited deposit left the chain", "outpoint", which, "sat", p.value, "index", p.index)
		d.alerts.raise(alertDepositGone, which, fmt.Sprintf("%d sat are credited and the block that held them left the chain: halt withdrawals until the payment is in a block again", p.value))
	}
}

// learn asks the engine how many addresses it gave, and derives scripts to look for.
func (d *depositor) learn(ctx context.Context) error {
	if d.asset == 0 {
		a, err := d.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
		if err != nil {
			return err
		}
		for _, info := range a.Assets {
			if info.Network == string(d.wallet.Network()) {
				d.asset = info.ID
			}
		}
		if d.asset == 0 {
			return fmt.Errorf("no asset is native to %s yet", d.wallet.Network())
		}
	}
	a, err := d.ask(ctx, exchange.Question{Status: &struct{}{}})
	if err != nil {
		return err
	}
	if a.Status != nil && int(d.asset) < len(a.Status.Assigned) {
		d.assigned = a.Status.Assigned[d.asset]
	}
	for ; d.derived < d.assigned+lookahead; d.derived++ {
		at, err := d.wallet.Derive(wallet.Receive, d.derived)
		if err != nil {
			return err
		}
		d.sink.scripts[string(at.ScriptPubKey)] = d.derived
	}
	return d.compare(ctx)
}

// compare holds the newest given address against the wallet's. Two people may have granted the engine another wallet
// than the configuration names: what is paid to its addresses is not looked for, and somebody has to know.
func (d *depositor) compare(ctx context.Context) error {
	if d.compared == d.assigned {
		return nil
	}
	a, err := d.ask(ctx, exchange.Question{Addresses: &exchange.HistoryQuestion{Asset: d.asset, Number: uint64(d.assigned)}})
	if err != nil || len(a.Addresses) == 0 {
		return nil // the records say it later
	}
	ours, err := d.wallet.Derive(wallet.Receive, d.assigned-1)
	if err != nil {
		return err
	}
	if d.compared = d.assigned; a.Addresses[0].Address != ours.Address {
		d.log.Error("deposit addresses are given from another wallet than payments are looked for in", "wallet", d.wallet.Name(), "index", d.assigned-1)
		d.alerts.raise(alertDeposits, "wallet", fmt.Sprintf("deposit address %d is of another wallet than exchange.deposits.wallet %s: what is paid to it is not seen", d.assigned-1, d.wallet.Name()))
	}
	return nil
}

// creditAll sends every payment that lies deep enough for its value and has not ended.
func (d *depositor) creditAll(ctx context.Context) (refused error) {
	_, tip, err := d.sink.Tip(ctx)
	if err != nil {
		return err
	}
	now := moment{tip, d.assigned}
	for place := range d.sink.blocks {
		block := &d.sink.blocks[place]
		for i := range block.found {
			p := &block.found[i]
			if p.ended || p.tried == now {
				continue // what was refused is refused until something is new
			}
			headers, deep := d.sink.headers(place, d.rules.needs(money.Sats(p.value)))
			if !deep {
				continue
			}
			refusal, err := d.credit(ctx, p, d.sink.height+1+uint32(place), headers)
			if err != nil {
				return err
			}
			p.tried, p.refusal = now, ""
			if refusal != nil {
				p.refusal = refusal.Error()
			}
			refused = errors.Join(refused, refusal)
		}
	}
	return refused
}

// credit sends one payment with its evidence, and returns why the engine refused it, or why it is not known. An address
// that nobody was given waits until the deepest rule is met: it may be given in this moment.
func (d *depositor) credit(ctx context.Context, p *payment, height uint32, headers [][]byte) (refusal, err error) {
	body, err := exchange.EncodeBody(exchange.DepositBody{Asset: d.asset, Raw: p.raw, Output: p.output, Index: p.index, Height: height,
		Branch: p.branch, Place: p.place, Headers: headers})
	if err != nil {
		return nil, err
	}
	// A fresh identity each time: a refusal must not be the answer for ever. The engine knows the outpoint.
	out := make([]exchange.Outcome, 1)
	if err := d.commands.Do(ctx, []exchange.Command{{ID: exchange.RandomID(), Kind: exchange.Deposit, Body: body}}, out); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.told = max(d.told, out[0].Seq)
	d.mu.Unlock()
	which := fmt.Sprintf("%s:%d", p.txid, p.output)
	switch code := out[0].Code; {
	case code == exchange.Done:
		p.ended, p.credited = true, true
		d.log.Info("deposit credited", "number", out[0].Number, "outpoint", which, "sat", p.value, "height", height)
	case code == exchange.AlreadyCredited:
		p.ended, p.credited = true, true
	case code == exchange.Busy, code == exchange.Superseded:
		return nil, errors.New("the engine takes nothing right now")
	case p.index < d.assigned:
		return fmt.Errorf("deposit %s is refused: %s", which, refusalOf(out[0])), nil
	case len(d.sink.blocks) > int(d.rules.deepest()):
		p.ended = true
		d.log.Error("a payment to an address that nobody was given is not credited", "outpoint", which, "sat", p.value, "index", p.index)
		d.alerts.raise(alertDepositUnknown, which, fmt.Sprintf("%d sat were paid to address %d, which nobody was given: no account is credited", p.value, p.index))
	}
	return nil, nil
}
