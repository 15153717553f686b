package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// ledger is a daemon's records in the folder "records", with a cold and a hot wallet and a made-up chain. The records
// take blocks as verified, so the blocks here carry no work.
type ledger struct {
	*store.Store
	t         *testing.T
	ctx       context.Context
	now       time.Time
	cold, hot spend.WalletID
	tip       *wire.MsgBlock
	height    uint32
}

var recordsKey = bytes.Repeat([]byte{7}, 32)

func (l *ledger) open(key []byte, network spend.Network) error {
	s, err := store.Open(l.ctx, store.Options{Dir: "records", Key: key, Network: network, Confirmations: 2, Now: func() time.Time { return l.now }})
	if err == nil {
		l.Store = s
	}
	return err
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	t.Chdir(t.TempDir())
	l := &ledger{t: t, ctx: context.Background(), now: noon, cold: sha256.Sum256([]byte("cold")), hot: sha256.Sum256([]byte("hot"))}
	l.must(os.Mkdir("records", 0o700))
	l.must(l.open(recordsKey, drill))
	t.Cleanup(func() { l.Close() })
	for _, w := range []store.Wallet{{ID: l.cold, Name: "COLD-A", Tier: spend.Cold, File: []byte("cold")}, {ID: l.hot, Name: "HOT-1", Tier: spend.Hot, File: []byte("hot")}} {
		var scripts []store.Script
		for branch := range uint32(2) {
			for index := range uint32(3) {
				scripts = append(scripts, store.Script{Branch: branch, Index: index, ScriptPubKey: scriptOf(w.ID, branch, index)})
			}
		}
		l.must(l.AddWallet(l.ctx, w, scripts))
	}
	l.mine()
	return l
}

func (l *ledger) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func scriptOf(id spend.WalletID, branch, index uint32) []byte {
	digest := sha256.Sum256(fmt.Appendf(nil, "%x/%d/%d", id, branch, index))
	return append([]byte{0, 32}, digest[:]...)
}

// mine applies a block with the transactions on the tip.
func (l *ledger) mine(txs ...*wire.MsgTx) {
	l.t.Helper()
	block := &wire.MsgBlock{Header: wire.BlockHeader{Nonce: l.height}, Transactions: append([]*wire.MsgTx{paying(0)}, txs...)}
	if l.tip != nil {
		block.Header.PrevBlock = l.tip.BlockHash()
	}
	l.must(l.Apply(l.ctx, l.height+1, block.BlockHash(), block.Header.PrevBlock, block))
	l.tip, l.height = block, l.height+1
}

// deposit is a transaction that pays the cold wallet.
func (l *ledger) deposit(number byte) *wire.MsgTx {
	tx := paying(number)
	tx.TxOut[0] = wire.NewTxOut(5000, scriptOf(l.cold, 0, 0))
	return tx
}

// coin is the coin of a deposit, after it was mined.
func (l *ledger) coin(number byte) wire.OutPoint {
	l.t.Helper()
	tx := l.deposit(number)
	l.mine(tx)
	return wire.OutPoint{Hash: tx.TxHash()}
}

func (l *ledger) propose(request string) (store.Intent, error) {
	i, _, err := l.Propose(l.ctx, store.Proposal{Request: request, To: l.hot}, func(d store.Draft) (spend.Intent, []byte, error) {
		i := spend.Intent{Network: drill, Purpose: spend.TopUp, Serial: d.Serial, Issuer: "exchanged-1", From: l.cold, To: l.hot, ToIndex: d.ToIndex,
			Amount: money.Sats(1000), Proposer: "a.lee", CreatedAt: l.now.Unix(), ExpiresAt: l.now.Add(time.Hour).Unix()}
		return i, fmt.Appendf(nil, "%+v", i), nil
	})
	return i, err
}

func (l *ledger) approve(serial uint64, person, signature string) error {
	_, err := l.Approve(l.ctx, serial, store.Approval{Person: person, Key: "SHA256:" + person, Signature: []byte(signature)},
		func(_ store.Intent, all []store.Approval) (bool, error) { return len(all) >= 2, nil })
	return err
}

// approved is an intent with two approvals.
func (l *ledger) approved(request string) store.Intent {
	l.t.Helper()
	i, err := l.propose(request)
	l.must(err)
	for _, person := range []string{"r.sanz", "k.ito"} {
		l.must(l.approve(i.Serial, person, "by "+person))
	}
	return i
}

// sealing is a bundle of that name which spends coins to the intent's destination.
func (l *ledger) sealing(i store.Intent, name string, coins ...wire.OutPoint) store.Sealing {
	tx := wire.NewMsgTx(2)
	for _, coin := range coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: coin})
	}
	tx.AddTxOut(wire.NewTxOut(1000, scriptOf(l.hot, 0, i.ToIndex)))
	return store.Sealing{Coins: coins, Bundle: store.Bundle{ID: sha256.Sum256([]byte(name)), Serial: i.Serial, Bytes: []byte("sealed " + name),
		Payload: []byte("payload " + name), TxID: tx.TxHash()}}
}

// sealed is the first intent with its bundle.
func (l *ledger) sealed() (store.Intent, store.Sealing) {
	l.t.Helper()
	i := l.approved("one")
	s := l.sealing(i, "one", l.coin(1))
	l.must(l.Seal(l.ctx, s))
	return i, s
}

// forge changes the records past every method of the room, as somebody with the key and the file could.
func (l *ledger) forge(statement string) {
	l.t.Helper()
	db, err := driver.Open("file:records/records.db?vfs=adiantum", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(recordsKey) + "'")
	})
	l.must(err)
	_, err = db.ExecContext(l.ctx, statement)
	l.must(err)
	l.must(db.Close())
}

// kept returns an act on fresh records.
func kept(act func(*ledger) error) func(*testing.T) error {
	return func(t *testing.T) error { return act(newLedger(t)) }
}

func (l *ledger) answer(s store.Sealing, counter uint64, nonces ...store.Nonce) error {
	_, err := l.AddAnswer(l.ctx, store.Answer{Bundle: s.Bundle.ID, Position: 1, Bytes: fmt.Appendf(nil, "answer %d", counter), Counter: counter, Nonces: nonces})
	return err
}

func TestRefusalsOfStore(t *testing.T) {
	acts := page.Examples{}
	for _, part := range []map[string]func(*ledger) error{ofAnswers(), ofBundles(), ofIntents(), ofRecords()} {
		for code, act := range part {
			acts[code] = kept(act)
		}
	}
	page.Check(t, pageOf("internal/store"), "exchanged", acts, *update)
}

func ofAnswers() map[string]func(*ledger) error {
	return map[string]func(*ledger) error{
		"answer-conflict": func(l *ledger) error {
			_, s := l.sealed()
			l.must(l.answer(s, 7))
			return l.answer(s, 8)
		},
		"answer-counter-reused": func(l *ledger) error {
			_, s := l.sealed()
			l.must(l.answer(s, 7))
			second := l.sealing(l.approved("two"), "two", l.coin(2))
			l.must(l.Seal(l.ctx, second))
			return l.answer(second, 7)
		},
		"approval-repeated": func(l *ledger) error {
			i, err := l.propose("one")
			l.must(err)
			l.must(l.approve(i.Serial, "r.sanz", "by r.sanz"))
			return l.approve(i.Serial, "r.sanz", "by another key of r.sanz")
		},
		"nonce-reused": func(l *ledger) error {
			_, s := l.sealed()
			return l.answer(s, 7, store.Nonce{PubKey: [33]byte{2, 1}, R: [32]byte{5}, Digest: [32]byte{1}},
				store.Nonce{PubKey: [33]byte{2, 1}, R: [32]byte{5}, Digest: [32]byte{2}})
		},
		"halted": func(l *ledger) error {
			l.must(l.Halt(l.ctx, "nonce-reused", "answer of key 1 to top-up 411"))
			_, err := l.propose("one")
			return err
		},
	}
}

func ofBundles() map[string]func(*ledger) error {
	return map[string]func(*ledger) error{
		"bundle-conflict": func(l *ledger) error {
			_, s := l.sealed()
			s.Bundle.Bytes = []byte("other bytes")
			return l.Seal(l.ctx, s)
		},
		"bundle-replaced": func(l *ledger) error {
			i, s := l.sealed()
			second := l.sealing(i, "two", s.Coins[0], l.coin(2))
			second.Replaces = &s.Bundle.ID
			l.must(l.Seal(l.ctx, second))
			return l.answer(s, 7)
		},
		"bundle-unknown": func(l *ledger) error { _, err := l.Bundle(l.ctx, [32]byte{9}); return err },
		"change-index-used": func(l *ledger) error {
			s := l.sealing(l.approved("one"), "one", l.coin(1))
			s.HasChange, s.ChangeIndex = true, 900
			return l.Seal(l.ctx, s)
		},
		"coin-reserved": func(l *ledger) error {
			_, s := l.sealed()
			return l.Seal(l.ctx, l.sealing(l.approved("two"), "two", s.Coins[0]))
		},
		"coin-unavailable": func(l *ledger) error {
			return l.Seal(l.ctx, l.sealing(l.approved("one"), "one", wire.OutPoint{Hash: chainhash.Hash{9}}))
		},
		"replacement-shares-no-coin": func(l *ledger) error {
			i, s := l.sealed()
			second := l.sealing(i, "two", l.coin(2))
			second.Replaces = &s.Bundle.ID
			return l.Seal(l.ctx, second)
		},
		"replacement-unknown": func(l *ledger) error {
			i, s := l.sealed()
			second := l.sealing(i, "two", s.Coins[0])
			second.Replaces = &[32]byte{9}
			return l.Seal(l.ctx, second)
		},
		"transaction-mismatch": func(l *ledger) error {
			_, s := l.sealed()
			var raw bytes.Buffer
			l.must(paying(9).Serialize(&raw))
			_, err := l.Finish(l.ctx, s.Bundle.ID, raw.Bytes())
			return err
		},
	}
}

func ofIntents() map[string]func(*ledger) error {
	return map[string]func(*ledger) error{
		"intent-damaged": func(l *ledger) error {
			i, err := l.propose("one")
			l.must(err)
			l.forge("UPDATE intents SET bytes = zeroblob(10)")
			_, err = l.Intent(l.ctx, i.Serial)
			return err
		},
		"intent-expired": func(l *ledger) error {
			i := l.approved("one")
			s := l.sealing(i, "one", l.coin(1))
			l.now = l.now.Add(2 * time.Hour)
			return l.Seal(l.ctx, s)
		},
		"intent-state": func(l *ledger) error {
			i, err := l.propose("one")
			l.must(err)
			return l.Seal(l.ctx, l.sealing(i, "one", l.coin(1)))
		},
		"intent-unknown": func(l *ledger) error { _, err := l.Intent(l.ctx, 99); return err },
		"lookahead-exhausted": func(l *ledger) error {
			for i := range 3 {
				if _, err := l.propose(fmt.Sprint(i)); err != nil {
					return err
				}
			}
			_, err := l.propose("one too many")
			return err
		},
		"parent-damaged": func(l *ledger) error {
			var raw bytes.Buffer
			l.must(l.deposit(1).Serialize(&raw))
			i, _, err := l.Propose(l.ctx, store.Proposal{Request: "child", To: l.cold, Stuck: [][]byte{raw.Bytes()}}, func(d store.Draft) (spend.Intent, []byte, error) {
				i := spend.Intent{Network: drill, Purpose: spend.TopUp, Serial: d.Serial, Issuer: "exchanged-1", From: l.cold, To: l.cold, ToIndex: d.ToIndex,
					Amount: money.Sats(1000), Proposer: "a.lee", CreatedAt: l.now.Unix(), ExpiresAt: l.now.Add(time.Hour).Unix()}
				return i, fmt.Appendf(nil, "%+v", i), nil
			})
			l.must(err)
			l.forge("UPDATE stuck SET raw = zeroblob(10)")
			_, err = l.Stuck(l.ctx, i.Serial)
			return err
		},
		"script-conflict": func(l *ledger) error {
			return l.AddScripts(l.ctx, l.cold, []store.Script{{Branch: 0, Index: 3, ScriptPubKey: scriptOf(l.hot, 0, 0)}})
		},
		"script-gap": func(l *ledger) error {
			return l.AddScripts(l.ctx, l.cold, []store.Script{{Branch: 0, Index: 9, ScriptPubKey: scriptOf(l.cold, 0, 9)}})
		},
		"wallet-conflict": func(l *ledger) error {
			return l.AddWallet(l.ctx, store.Wallet{ID: l.cold, Name: "COLD-A", Tier: spend.Cold, File: []byte("another file")}, nil)
		},
		"wallet-unknown": func(l *ledger) error { _, err := l.Counter(l.ctx, spend.WalletID{1}, 0); return err },
	}
}

func ofRecords() map[string]func(*ledger) error {
	reopened := func(l *ledger, key []byte, network spend.Network) error {
		l.must(l.Close())
		defer func() { l.must(l.open(recordsKey, drill)) }()
		return l.open(key, network)
	}
	return map[string]func(*ledger) error{
		"block-unlinked": func(l *ledger) error {
			stray := &wire.MsgBlock{Header: wire.BlockHeader{PrevBlock: chainhash.Hash{9}}}
			return l.Apply(l.ctx, l.height+1, stray.BlockHash(), stray.Header.PrevBlock, stray)
		},
		"coin-unproven": func(l *ledger) error {
			l.coin(1)
			l.forge("UPDATE coins SET value = value + 1")
			_, err := l.Coins(l.ctx, l.cold)
			return err
		},
		"events-tampered": func(l *ledger) error {
			l.forge("DROP TRIGGER events_stay; UPDATE events SET text = '{}' WHERE seq = 2")
			_, err := l.VerifyEvents(l.ctx)
			return err
		},
		"outpoint-amount-changed": func(l *ledger) error {
			before, height := l.tip, l.height
			l.coin(1)
			l.must(l.Rollback(l.ctx, height))
			l.tip, l.height = before, height
			l.forge("DROP TRIGGER outpoints_stay; UPDATE outpoints SET value = value + 1")
			block := &wire.MsgBlock{Header: wire.BlockHeader{PrevBlock: before.BlockHash()}, Transactions: []*wire.MsgTx{paying(0), l.deposit(1)}}
			return l.Apply(l.ctx, height+1, block.BlockHash(), block.Header.PrevBlock, block)
		},
		"store-damaged": func(l *ledger) error {
			l.must(l.Close())
			mark, err := os.ReadFile("records/records.check")
			l.must(err)
			l.must(os.Remove("records/records.check"))
			defer func() {
				l.must(os.WriteFile("records/records.check", mark, 0o600))
				l.must(l.open(recordsKey, drill))
			}()
			return l.open(recordsKey, drill)
		},
		"store-in-use":        func(l *ledger) error { return l.open(recordsKey, drill) },
		"store-key-wrong":     func(l *ledger) error { return reopened(l, bytes.Repeat([]byte{8}, 32), drill) },
		"store-other-network": func(l *ledger) error { return reopened(l, recordsKey, spend.BitcoinMainnet) },
		"store-newer": func(l *ledger) error {
			l.must(l.Close())
			l.forge("PRAGMA user_version = 99")
			defer func() {
				l.forge("PRAGMA user_version = 1")
				l.t.Chdir(l.t.TempDir())
				l.must(os.Mkdir("records", 0o700))
				l.must(l.open(recordsKey, drill))
			}()
			return l.open(recordsKey, drill)
		},
	}
}
