package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

// world is a store with a cold and a hot wallet, a clock that a test moves, and a made-up chain. The store takes blocks
// as verified, so the blocks here carry no work.
type world struct {
	*store.Store
	t         *testing.T
	dir       string
	now       time.Time
	cold, hot spend.WalletID
	tip       *wire.MsgBlock
	height    uint32
	serial    int64
}

var key = bytes.Repeat([]byte{7}, 32)

func (w *world) open() error {
	s, err := store.Open(context.Background(), store.Options{Dir: w.dir, Key: key, Network: spend.BitcoinRegtest, Confirmations: 2,
		Now: func() time.Time { return w.now }})
	if err == nil {
		w.Store = s
	}
	return err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Unix(1_800_000_000, 0), cold: sha256.Sum256([]byte("cold")), hot: sha256.Sum256([]byte("hot"))}
	w.must(w.open())
	t.Cleanup(func() { w.Close() })
	for _, wallet := range []store.Wallet{{w.cold, "cold", spend.Cold, []byte("cold file")}, {w.hot, "hot", spend.Hot, []byte("hot file")}} {
		var scripts []store.Script
		for branch := range uint32(2) {
			for index := range uint32(20) {
				scripts = append(scripts, store.Script{Branch: branch, Index: index, ScriptPubKey: script(wallet.ID, branch, index)})
			}
		}
		w.must(w.AddWallet(context.Background(), wallet, scripts))
	}
	w.mine()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func script(id spend.WalletID, branch, index uint32) []byte {
	digest := sha256.Sum256(fmt.Appendf(nil, "%x/%d/%d", id, branch, index))
	return append([]byte{0, 32}, digest[:]...)
}

// mine applies a block with the transactions on the tip.
func (w *world) mine(txs ...*wire.MsgTx) *wire.MsgBlock {
	w.t.Helper()
	block := w.block(txs...)
	w.must(w.Apply(context.Background(), w.height+1, block.BlockHash(), block.Header.PrevBlock, block))
	w.tip, w.height = block, w.height+1
	return block
}

func (w *world) block(txs ...*wire.MsgTx) *wire.MsgBlock {
	w.serial++
	block := &wire.MsgBlock{Header: wire.BlockHeader{Nonce: uint32(w.serial)}}
	if w.tip != nil {
		block.Header.PrevBlock = w.tip.BlockHash()
	}
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: fmt.Appendf(nil, "%d", w.serial)})
	coinbase.AddTxOut(&wire.TxOut{Value: 50e8, PkScript: []byte{0x51}})
	block.Transactions = append([]*wire.MsgTx{coinbase}, txs...)
	return block
}

// pay makes a transaction from nowhere of ours that pays amounts to receive index 0 of a wallet.
func (w *world) pay(to spend.WalletID, amounts ...int64) *wire.MsgTx {
	w.serial++
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256(fmt.Appendf(nil, "outside %d", w.serial))}})
	for _, amount := range amounts {
		tx.AddTxOut(&wire.TxOut{Value: amount, PkScript: script(to, 0, 0)})
	}
	return tx
}

// spending makes a transaction that spends coins to a script.
func spending(to []byte, amount int64, coins ...wire.OutPoint) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	for _, coin := range coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: coin, Witness: wire.TxWitness{[]byte("signature")}})
	}
	tx.AddTxOut(&wire.TxOut{Value: amount, PkScript: to})
	return tx
}

func outpoint(tx *wire.MsgTx, index uint32) wire.OutPoint {
	return wire.OutPoint{Hash: tx.TxHash(), Index: index}
}

func rawOf(t *testing.T, tx *wire.MsgTx) []byte {
	t.Helper()
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

// propose asks for a top-up of the hot wallet that lives for an hour.
func (w *world) propose(request string) store.Intent {
	w.t.Helper()
	i, _, err := w.Propose(context.Background(), store.Proposal{Request: request, To: w.hot}, w.write(money.Sats(1000)))
	w.must(err)
	return i
}

func (w *world) write(amount money.Amount) store.Write {
	return func(d store.Draft) (spend.Intent, []byte, error) {
		i := spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: d.Serial, Issuer: "daemon", From: w.cold, To: w.hot,
			ToIndex: d.ToIndex, Amount: amount, Proposer: "alice", CreatedAt: w.now.Unix(), ExpiresAt: w.now.Add(time.Hour).Unix()}
		return i, fmt.Appendf(nil, "%+v", i), nil
	}
}

func (w *world) approve(serial uint64, person string) (store.Intent, error) {
	a := store.Approval{Person: person, Key: "SHA256:" + person, Signature: []byte("by " + person)}
	return w.Approve(context.Background(), serial, a, func(_ store.Intent, all []store.Approval) (bool, error) { return len(all) >= 2, nil })
}

// approved is an intent with the approvals of bob and carol.
func (w *world) approved(request string) store.Intent {
	w.t.Helper()
	i := w.propose(request)
	for _, person := range []string{"bob", "carol"} {
		var err error
		i, err = w.approve(i.Serial, person)
		w.must(err)
	}
	return i
}

// sealing is a bundle that spends coins to the intent's destination.
func sealing(i store.Intent, tx *wire.MsgTx, name string) store.Sealing {
	s := store.Sealing{Bundle: store.Bundle{ID: sha256.Sum256([]byte(name)), Serial: i.Serial, Bytes: []byte("sealed " + name),
		Payload: []byte("payload " + name), TxID: tx.TxHash()}}
	for _, in := range tx.TxIn {
		s.Coins = append(s.Coins, in.PreviousOutPoint)
	}
	return s
}

// sealed is an intent whose bundle spends coin.
func (w *world) sealed(request string, coin wire.OutPoint) (store.Intent, *wire.MsgTx, store.Sealing) {
	w.t.Helper()
	i := w.approved(request)
	tx := spending(script(w.hot, 0, i.ToIndex), 1000, coin)
	s := sealing(i, tx, request)
	w.must(w.Seal(context.Background(), s))
	return i, tx, s
}

func (w *world) state(serial uint64) store.State {
	w.t.Helper()
	i, err := w.Intent(context.Background(), serial)
	w.must(err)
	return i.State
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want refusal %s", err, code)
	}
}

func TestWrongKeyIsRefusedAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.must(w.Close())
	before, err := os.ReadFile(filepath.Join(w.dir, "records.db"))
	w.must(err)
	wrong := bytes.Repeat([]byte{8}, 32)
	_, err = store.Open(context.Background(), store.Options{Dir: w.dir, Key: wrong, Network: spend.BitcoinRegtest, Confirmations: 1, Now: time.Now})
	refused(t, err, "store-key-wrong")
	after, err := os.ReadFile(filepath.Join(w.dir, "records.db"))
	w.must(err)
	if !bytes.Equal(before, after) {
		t.Error("opening with a wrong key changed the records")
	}
	w.must(w.open())
	if strings.Contains(fmt.Sprint(err), "0808") {
		t.Error("the error shows the key")
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	w := newWorld(t)
	_, err := store.Open(context.Background(), store.Options{Dir: w.dir, Key: key, Network: spend.BitcoinRegtest, Confirmations: 1, Now: time.Now})
	refused(t, err, "store-in-use")
	w.must(w.Close())
	w.must(w.open())
}

func TestAttack053RecordsOfAnotherNetworkAreRefused(t *testing.T) {
	w := newWorld(t)
	w.must(w.Close())
	_, err := store.Open(context.Background(), store.Options{Dir: w.dir, Key: key, Network: spend.BitcoinMainnet, Confirmations: 1, Now: time.Now})
	refused(t, err, "store-other-network")
	w.must(w.open())
}

func TestNoPlaintextInAnyFile(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	const marker = "this-text-must-not-reach-the-disk"
	for range 50 {
		_, err := w.Log(ctx, "marker", map[string]string{"text": marker})
		w.must(err)
	}
	look := func(when string) {
		entries, err := os.ReadDir(w.dir)
		w.must(err)
		seen := map[string]int{}
		for _, entry := range entries {
			raw, err := os.ReadFile(filepath.Join(w.dir, entry.Name()))
			w.must(err)
			seen[entry.Name()] = len(raw)
			for _, text := range []string{marker, "SQLite format", "CREATE TABLE"} {
				if bytes.Contains(raw, []byte(text)) {
					t.Errorf("%s: %s holds %q", when, entry.Name(), text)
				}
			}
			if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s has mode %v", when, entry.Name(), info.Mode())
			}
		}
		if when == "open" && (seen["records.db-wal"] == 0 || seen["records.db-shm"] == 0) {
			t.Errorf("no log to look into: %v", seen)
		}
	}
	look("open")
	w.must(w.Close())
	look("closed")
	w.must(w.open())
	events, err := w.Events(ctx, 0, 100)
	w.must(err)
	if !strings.Contains(events[len(events)-1].Text, marker) {
		t.Error("the marker is not in the records either")
	}
}

func TestOpeningAgainMigratesNothingAndKeepsEverything(t *testing.T) {
	w := newWorld(t)
	w.mine(w.pay(w.cold, 1, 2, 3))
	before, err := w.StateHash(context.Background())
	w.must(err)
	for range 3 {
		w.must(w.Close())
		w.must(w.open())
	}
	after, err := w.StateHash(context.Background())
	w.must(err)
	if before != after {
		t.Error("opening again changed the state")
	}
}

func TestWalletsArePinnedByEveryByte(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.must(w.AddWallet(ctx, store.Wallet{ID: w.cold, Name: "cold", Tier: spend.Cold, File: []byte("cold file")}, nil))
	for _, other := range []store.Wallet{
		{w.cold, "cold", spend.Cold, []byte("another file")},
		{w.cold, "cold", spend.Hot, []byte("cold file")},
		{w.cold, "renamed", spend.Cold, []byte("cold file")},
		{sha256.Sum256([]byte("new")), "hot", spend.Hot, []byte("hot file")},
	} {
		refused(t, w.AddWallet(ctx, other, nil), "wallet-conflict")
	}
	wallets, err := w.Wallets(ctx)
	w.must(err)
	if len(wallets) != 2 || wallets[0].Name != "cold" || wallets[1].ID != w.hot {
		t.Errorf("wallets %v", wallets)
	}
	refused(t, w.AddScripts(ctx, w.cold, []store.Script{{0, 21, script(w.cold, 0, 21)}}), "script-gap")
	refused(t, w.AddScripts(ctx, w.cold, []store.Script{{0, 20, script(w.hot, 0, 0)}}), "script-conflict")
	refused(t, w.AddScripts(ctx, spend.WalletID{1}, []store.Script{{0, 0, []byte{1}}}), "wallet-unknown")
	w.must(w.AddScripts(ctx, w.cold, []store.Script{{0, 19, script(w.cold, 0, 19)}, {0, 20, script(w.cold, 0, 20)}}))
	owner, found, err := w.Owner(ctx, script(w.cold, 0, 20))
	if want := (store.Owner{Wallet: w.cold, Index: 20}); err != nil || !found || owner != want {
		t.Errorf("owner %v %v %v", owner, found, err)
	}
	if _, found, err := w.Owner(ctx, []byte{0x51}); found || err != nil {
		t.Errorf("a foreign script has an owner: %v", err)
	}
}

func TestReadersAndOneWriterAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.mine(w.pay(w.cold, 5000))
	var group sync.WaitGroup
	failed := make(chan error, 64)
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 20 {
				if b, err := w.Balance(ctx, w.cold, 1); err != nil || b.Total != 5000 {
					failed <- fmt.Errorf("balance %v: %w", b, err)
				}
			}
		}()
	}
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range 20 {
				if _, err := w.Log(ctx, "busy", n); err != nil {
					failed <- err
				}
			}
		}()
	}
	group.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	last, err := w.VerifyEvents(ctx)
	w.must(err)
	if last.Seq != 82 { // 80, and two wallets pinned
		t.Errorf("%d events", last.Seq)
	}
}

func TestOptionsMustBeWhole(t *testing.T) {
	good := store.Options{Dir: t.TempDir(), Key: key, Network: spend.BitcoinRegtest, Confirmations: 1, Now: time.Now}
	for name, spoil := range map[string]func(*store.Options){
		"short key":        func(o *store.Options) { o.Key = key[:31] },
		"no confirmations": func(o *store.Options) { o.Confirmations = 0 },
		"no clock":         func(o *store.Options) { o.Now = nil },
		"no network":       func(o *store.Options) { o.Network = "" },
	} {
		o := good
		spoil(&o)
		if s, err := store.Open(context.Background(), o); err == nil {
			t.Errorf("%s was accepted", name)
			s.Close()
		}
	}
}

func hashOf(t *testing.T, w *world) [32]byte {
	t.Helper()
	h, err := w.StateHash(context.Background())
	w.must(err)
	return h
}

// A daemon was killed, so its last transactions stand in the log alone; then somebody starts it with the wrong key.
// SQLite by itself would take the log for an empty one and delete it.
func TestWrongKeyAfterACrashLosesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	i := w.propose("one")
	crashed := t.TempDir()
	for _, name := range []string{"records.check", "records.db", "records.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(w.dir, name))
		w.must(err)
		w.must(os.WriteFile(filepath.Join(crashed, name), raw, 0o600))
	}
	_, err := store.Open(ctx, store.Options{Dir: crashed, Key: bytes.Repeat([]byte{8}, 32), Network: spend.BitcoinRegtest, Confirmations: 1, Now: time.Now})
	refused(t, err, "store-key-wrong")
	w.must(w.Close())
	w.dir = crashed
	w.must(w.open())
	if back, err := w.Intent(ctx, i.Serial); err != nil || back.ID != i.ID {
		t.Errorf("the intent is gone: %v", err)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"no mark":      func(dir string) error { return os.Remove(filepath.Join(dir, "records.check")) },
		"a first page": func(dir string) error { return scribble(filepath.Join(dir, "records.db"), 100) },
		"a later page": func(dir string) error { return scribble(filepath.Join(dir, "records.db"), 4096*3+100) },
	} {
		w := newWorld(t)
		w.must(w.Close())
		w.must(damage(w.dir))
		t.Log(name)
		refused(t, w.open(), "store-damaged")
		w.dir = t.TempDir()
		w.must(w.open()) // for the cleanup
	}
}

// scribble changes one byte of a file.
func scribble(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	b[0] ^= 1
	_, err2 := f.WriteAt(b[:], at)
	return errors.Join(err, err2, f.Close())
}
