package main

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
	"github.com/coldsign/coldsign/internal/treasury"
)

// ledger gives the treasury its records out of the store: the same acts, in the treasury's own types. It decides
// nothing.
type ledger struct{ store *store.Store }

var _ treasury.Records = ledger{}

func (l ledger) Propose(ctx context.Context, p treasury.Proposal, write func(treasury.Draft) (spend.Intent, []byte, error)) (treasury.Intent, bool, error) {
	intent, fresh, err := l.store.Propose(ctx, store.Proposal(p), func(d store.Draft) (spend.Intent, []byte, error) { return write(treasury.Draft(d)) })
	return intentOf(intent), fresh, err
}

func (l ledger) Approve(ctx context.Context, serial uint64, a treasury.Approval, judge func(treasury.Intent, []treasury.Approval) (bool, error)) (treasury.Intent, error) {
	intent, err := l.store.Approve(ctx, serial, store.Approval(a), func(i store.Intent, list []store.Approval) (bool, error) {
		return judge(intentOf(i), approvalsOf(list))
	})
	return intentOf(intent), err
}

func (l ledger) Approvals(ctx context.Context, serial uint64) ([]treasury.Approval, error) {
	list, err := l.store.Approvals(ctx, serial)
	return approvalsOf(list), err
}

func (l ledger) Intent(ctx context.Context, serial uint64) (treasury.Intent, error) {
	intent, err := l.store.Intent(ctx, serial)
	return intentOf(intent), err
}

func (l ledger) Intents(ctx context.Context, states ...treasury.State) ([]treasury.Intent, error) {
	var named []store.State
	for _, s := range states {
		named = append(named, store.State(s))
	}
	list, err := l.store.Intents(ctx, named...)
	var out []treasury.Intent
	for _, intent := range list {
		out = append(out, intentOf(intent))
	}
	return out, err
}

func (l ledger) Planned(ctx context.Context, serial uint64) ([]wire.OutPoint, error) {
	return l.store.Planned(ctx, serial)
}

func (l ledger) Stuck(ctx context.Context, serial uint64) ([][]byte, error) {
	return l.store.Stuck(ctx, serial)
}

func (l ledger) Reason(ctx context.Context, serial uint64) (string, error) {
	return l.store.Reason(ctx, serial)
}

func (l ledger) Void(ctx context.Context, serial uint64, reason string) error {
	return l.store.Void(ctx, serial, reason)
}

func (l ledger) Cancel(ctx context.Context, serial uint64, by, reason string) error {
	return l.store.Cancel(ctx, serial, by, reason)
}

func (l ledger) Expire(ctx context.Context) ([]uint64, error) { return l.store.Expire(ctx) }

func (l ledger) Seal(ctx context.Context, s treasury.Sealing) error {
	return l.store.Seal(ctx, store.Sealing{Bundle: store.Bundle(s.Bundle), Coins: s.Coins, HasChange: s.HasChange, ChangeIndex: s.ChangeIndex, Replaces: s.Replaces})
}

func (l ledger) LiveBundle(ctx context.Context, serial uint64) (treasury.Bundle, error) {
	b, err := l.store.LiveBundle(ctx, serial)
	return treasury.Bundle(b), err
}

func (l ledger) Bundle(ctx context.Context, id [32]byte) (treasury.Bundle, error) {
	b, err := l.store.Bundle(ctx, id)
	return treasury.Bundle(b), err
}

func (l ledger) BundleOf(ctx context.Context, txid chainhash.Hash) (treasury.Bundle, error) {
	b, err := l.store.BundleOf(ctx, txid)
	return treasury.Bundle(b), err
}

func (l ledger) Lineage(ctx context.Context, serial uint64) ([][32]byte, error) {
	return l.store.Lineage(ctx, serial)
}

func (l ledger) AddAnswer(ctx context.Context, a treasury.Answer) (bool, error) {
	out := store.Answer{Bundle: a.Bundle, Position: a.Position, Bytes: a.Bytes, Counter: a.Counter, Bare: a.Bare, Refusal: a.Refusal, At: a.At}
	for _, n := range a.Nonces {
		out.Nonces = append(out.Nonces, store.Nonce(n))
	}
	return l.store.AddAnswer(ctx, out)
}

func (l ledger) Receipts(ctx context.Context, id spend.WalletID) (map[int]uint64, error) {
	return l.store.Receipts(ctx, id)
}

func (l ledger) Answers(ctx context.Context, bundle [32]byte) ([]treasury.Answer, error) {
	list, err := l.store.Answers(ctx, bundle)
	var out []treasury.Answer
	for _, a := range list {
		out = append(out, treasury.Answer{Bundle: a.Bundle, Position: a.Position, Bytes: a.Bytes, Counter: a.Counter, Bare: a.Bare, Refusal: a.Refusal, At: a.At})
	}
	return out, err
}

func (l ledger) Finish(ctx context.Context, bundle [32]byte, raw []byte) (treasury.Transaction, error) {
	tx, err := l.store.Finish(ctx, bundle, raw)
	return treasury.Transaction(tx), err
}

func (l ledger) MarkBroadcast(ctx context.Context, serial uint64) error {
	return l.store.MarkBroadcast(ctx, serial)
}

func (l ledger) Transaction(ctx context.Context, serial uint64) (treasury.Transaction, bool, error) {
	tx, known, err := l.store.Transaction(ctx, serial)
	return treasury.Transaction(tx), known, err
}

func (l ledger) TransactionOf(ctx context.Context, txid chainhash.Hash) (treasury.Transaction, bool, error) {
	tx, known, err := l.store.TransactionOf(ctx, txid)
	return treasury.Transaction(tx), known, err
}

func (l ledger) Unconfirmed(ctx context.Context) ([]treasury.Transaction, error) {
	list, err := l.store.Unconfirmed(ctx)
	var out []treasury.Transaction
	for _, tx := range list {
		out = append(out, treasury.Transaction(tx))
	}
	return out, err
}

func (l ledger) Confirmations(ctx context.Context, txid chainhash.Hash) (uint32, error) {
	return l.store.Confirmations(ctx, txid)
}

func (l ledger) AddWallet(ctx context.Context, w treasury.Pinned, scripts []treasury.Script) error {
	return l.store.AddWallet(ctx, store.Wallet(w), scriptsOf(scripts))
}

func (l ledger) AddScripts(ctx context.Context, id spend.WalletID, scripts []treasury.Script) error {
	return l.store.AddScripts(ctx, id, scriptsOf(scripts))
}

func (l ledger) Wallets(ctx context.Context) ([]treasury.Pinned, error) {
	list, err := l.store.Wallets(ctx)
	var out []treasury.Pinned
	for _, w := range list {
		out = append(out, treasury.Pinned(w))
	}
	return out, err
}

func (l ledger) Counter(ctx context.Context, id spend.WalletID, branch uint32) (treasury.Counter, error) {
	c, err := l.store.Counter(ctx, id, branch)
	return treasury.Counter(c), err
}

func (l ledger) Tip(ctx context.Context) (uint32, chainhash.Hash, error) { return l.store.Tip(ctx) }

func (l ledger) Owner(ctx context.Context, scriptPubKey []byte) (treasury.Owner, bool, error) {
	owner, known, err := l.store.Owner(ctx, scriptPubKey)
	return treasury.Owner(owner), known, err
}

func (l ledger) ReservedBy(ctx context.Context, coin wire.OutPoint) (uint64, error) {
	return l.store.ReservedBy(ctx, coin)
}

func (l ledger) Spendable(ctx context.Context, id spend.WalletID, depth uint32) ([]treasury.Coin, error) {
	list, err := l.store.Spendable(ctx, id, depth)
	var out []treasury.Coin
	for _, c := range list {
		out = append(out, treasury.Coin{Outpoint: c.Outpoint, Branch: c.Branch, Index: c.Index, Value: c.Value, PrevTx: c.PrevTx})
	}
	return out, err
}

func (l ledger) Balance(ctx context.Context, id spend.WalletID, depth uint32) (treasury.Balance, error) {
	b, err := l.store.Balance(ctx, id, depth)
	return treasury.Balance(b), err
}

func (l ledger) Note(ctx context.Context, kind string, detail any) error {
	_, err := l.store.Log(ctx, kind, detail)
	return err
}

func (l ledger) Events(ctx context.Context, after uint64, limit int) ([]treasury.Event, error) {
	list, err := l.store.Events(ctx, after, limit)
	var out []treasury.Event
	for _, e := range list {
		out = append(out, treasury.Event{Seq: e.Seq, At: e.At, Kind: e.Kind, Text: e.Text})
	}
	return out, err
}

func (l ledger) Halt(ctx context.Context, code, text string) error {
	return l.store.Halt(ctx, code, text)
}

func (l ledger) Halts(ctx context.Context) ([]treasury.Halt, error) {
	list, err := l.store.Halts(ctx)
	var out []treasury.Halt
	for _, h := range list {
		out = append(out, treasury.Halt(h))
	}
	return out, err
}

func intentOf(i store.Intent) treasury.Intent {
	return treasury.Intent{Intent: i.Intent, ID: i.ID, Bytes: i.Bytes, State: treasury.State(i.State), Request: i.Request, Plan: i.Plan, UpdatedAt: i.UpdatedAt,
		Parent: i.Parent}
}

func approvalsOf(list []store.Approval) []treasury.Approval {
	var out []treasury.Approval
	for _, a := range list {
		out = append(out, treasury.Approval(a))
	}
	return out
}

func scriptsOf(list []treasury.Script) []store.Script {
	out := make([]store.Script, len(list))
	for i, s := range list {
		out[i] = store.Script(s)
	}
	return out
}
