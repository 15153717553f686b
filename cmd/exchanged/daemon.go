package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/store"
	"github.com/coldsign/coldsign/internal/treasury"
)

// daemon is everything that runs.
type daemon struct {
	config   config
	folder   folder
	store    *store.Store
	records  ledger
	sealer   ssh.Signer
	roster   *roster
	treasury *treasury.Treasury
	follower *node.Follower
	exchange *exchangeDesk // nil: treasury alone
	alerts   *alerts       // nil: nobody is told
	log      *slog.Logger
	now      func() time.Time

	mu       sync.Mutex
	behind   error           // why the chain is not followed to its tip right now
	imported map[string]bool // wallet files that were looked at
	said     map[string]string
	halted   map[string]bool // alarms that people were told of

	rosterNoted string // version of the roster that the events name last
}

var errStarting = errors.New("the first look at the chain is not done yet")

// newDaemon wires the rooms. chain and sender are the node's two sides.
func newDaemon(ctx context.Context, c config, at folder, outside outside) (*daemon, error) {
	sealer, err := at.issuerKey()
	if err != nil {
		return nil, err
	}
	records, err := openRecords(ctx, c, at, outside.now)
	if err != nil {
		return nil, err
	}
	d := &daemon{config: c, folder: at, store: records, records: ledger{records}, sealer: sealer, roster: &roster{folder: at},
		follower: &node.Follower{Chain: outside.chain, Sink: records, Start: c.Node.Start},
		log:      outside.log, now: outside.now, behind: errStarting, imported: map[string]bool{}, said: map[string]string{}, halted: map[string]bool{}}
	d.treasury, err = treasury.New(ctx, c.rules(), treasury.Outside{Records: d.records, Node: outside.sender, Sealer: sealer,
		Roster: d.roster.now, Book: paper{at, bookPaper}.now, Policy: paper{at, policyPaper}.now, Followed: d.followed, Now: outside.now, Random: rand.Reader, Log: outside.log, Customers: outside.customers})
	if err != nil {
		return nil, errors.Join(err, records.Close())
	}
	return d, nil
}

// outside is what a daemon gets from its surroundings.
type outside struct {
	chain  node.Chain
	sender treasury.Node
	log    *slog.Logger
	now    func() time.Time

	customers treasury.Customers // nil: there are none
}

// followed returns nil while the chain is followed to its tip.
func (d *daemon) followed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.behind
}

// tick does everything that can be done now, in the order in which one needs the other: wallets, blocks, top-ups. It
// reports whether there are more blocks to read at once.
func (d *daemon) tick(ctx context.Context) (more bool) {
	d.say("wallets", d.importWallets(ctx))
	d.say("roster", d.noteRoster(ctx))
	progress, err := d.follower.Sync(ctx)
	if err == nil && progress.Behind {
		err = errors.New("the node is behind us; it is still catching up")
	}
	if err == nil && progress.More {
		more, err = true, fmt.Errorf("blocks are being read, at height %d", progress.Height)
	}
	if progress.Applied > 0 || progress.RolledBack > 0 {
		d.log.Info("chain", "height", progress.Height, "hash", progress.Hash.String(), "applied", progress.Applied, "rolled_back", progress.RolledBack)
	}
	d.mu.Lock()
	d.behind = err
	d.mu.Unlock()
	d.say("chain", err)
	d.say("treasury", d.treasury.Step(ctx))
	d.tellHalts(ctx)
	return more
}

// say logs what stands in the way once, and once that it is gone.
func (d *daemon) say(what string, err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	if d.said[what] == text {
		return
	}
	d.said[what] = text
	if text == "" {
		d.log.Info(what + " goes on")
	} else {
		d.log.Warn(what+" stands still", "error", text)
	}
}

// importWallets registers wallet files that `exchanged wallet add` left in the folder. Coins of a new wallet may lie in
// blocks that were read before it was known, so those are read again.
func (d *daemon) importWallets(ctx context.Context) error {
	files, err := d.folder.walletFiles()
	if err != nil {
		return err
	}
	rescan := false
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if d.imported[name] {
			continue
		}
		w, fresh, err := d.treasury.Register(ctx, files[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d.imported[name] = true
		rescan = rescan || fresh
		if fresh {
			d.log.Info("wallet registered", "wallet", w.Name(), "tier", string(w.Tier()), "words", w.Words())
		}
	}
	if !rescan {
		return nil
	}
	height, hash, err := d.store.Tip(ctx)
	// The first block of all pays nobody; any other first block must be read again too.
	keep := max(d.config.Node.Start, 1) - 1
	if err != nil || hash == (chainhash.Hash{}) || height <= keep {
		return err
	}
	d.mu.Lock()
	d.behind = errors.New("blocks are read again for a new wallet")
	d.mu.Unlock()
	d.log.Info("reading blocks again for a new wallet", "from", d.config.Node.Start, "to", height)
	return d.store.Rollback(ctx, keep)
}

// noteRoster writes into the events which roster counts, at the start and whenever it changes.
func (d *daemon) noteRoster(ctx context.Context) error {
	now, err := d.roster.now()
	if err != nil {
		return err
	}
	version := fmt.Sprintf("%x", now.Version())
	if version == d.rosterNoted {
		return nil
	}
	people := []string{}
	for _, person := range now.People() {
		people = append(people, person.Name)
	}
	if err := d.records.Note(ctx, "roster-counts", map[string]any{"version": version, "people": people}); err != nil {
		return err
	}
	d.rosterNoted = version
	d.log.Info("roster", "version", version[:8], "people", len(people))
	return nil
}

// loop ticks until ctx ends, at least every poll.
func (d *daemon) loop(ctx context.Context) {
	for ctx.Err() == nil {
		if d.tick(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(d.config.Poll):
		}
	}
}

// link is a connection to the node that is made when it is first needed, so that the daemon starts before its node.
type link struct {
	config node.Config
	mu     sync.Mutex
	conn   *node.Bitcoin
}

func (l *link) get(ctx context.Context) (*node.Bitcoin, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		return l.conn, nil
	}
	conn, err := node.Connect(ctx, l.config)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	l.conn = conn
	return conn, nil
}

func (l *link) Tip(ctx context.Context) (uint32, chainhash.Hash, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return 0, chainhash.Hash{}, err
	}
	return conn.Tip(ctx)
}

func (l *link) BlockHash(ctx context.Context, height uint32) (chainhash.Hash, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return conn.BlockHash(ctx, height)
}

func (l *link) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Block(ctx, hash)
}

func (l *link) FeeRate(ctx context.Context, blocks int) (int64, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	return conn.FeeRate(ctx, blocks)
}

func (l *link) Waiting(ctx context.Context, txid chainhash.Hash) ([]byte, bool, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return nil, false, err
	}
	return conn.Waiting(ctx, txid)
}

func (l *link) Output(ctx context.Context, at wire.OutPoint) (int64, bool, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return 0, false, err
	}
	coin, known, err := conn.Unspent(ctx, at)
	return coin.Value, known, err
}

func (l *link) Broadcast(ctx context.Context, raw []byte) (chainhash.Hash, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	return conn.Broadcast(ctx, raw)
}
