package main

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// What a person asks for and cannot have, each with its own reason.
func TestProposalsThatAreRefused(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		before func(r *rig)
		wallet string
		code   string
	}{
		"a wallet that no tier names":        {func(*rig) {}, "COLD-BTC-A", "tier-unknown"},
		"a wallet that is full":              {func(r *rig) { r.deposit(r.hot, 0, 2.5e8) }, "HOT-BTC-1", "topup-not-needed"},
		"while an alarm stands":              {func(r *rig) { _ = r.store.Halt(ctx, "drill", "stop") }, "HOT-BTC-1", "halted"},
		"while the chain is not followed":    {func(r *rig) { r.mu.Lock(); r.behind = errNode; r.mu.Unlock() }, "HOT-BTC-1", "chain-not-followed"},
		"by somebody who is not on a roster": {func(r *rig) { r.setRoster("alice", "bob") }, "HOT-BTC-1", "proposer-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.expireFirst()
			if _, err := r.treasury.Cancel(ctx, carol, 2, "the tier watch's own", false); err != nil {
				t.Fatal(err)
			}
			c.before(r)
			_, err := r.treasury.Propose(ctx, carol, c.wallet)
			wantCode(t, err, c.code)
		})
	}
}

func TestAWalletOfAnotherNetworkIsNotRegistered(t *testing.T) {
	r := newRig(t)
	c := newCosigner("elsewhere")
	var records []wallet.KeyRecord
	for _, name := range []string{"q", "r", "s"} {
		record := newCosigner(name).record
		record.Network = spend.BitcoinTestnet // the same version bytes, another network: the proof no longer fits
		records = append(records, record)
	}
	if _, err := wallet.New("W", spend.Cold, 2, records); err == nil {
		t.Fatalf("a proof for %s counts on another network", c.record.Network)
	}
	foreign := must(wallet.FromDescriptor(r.cold.Descriptor(), wallet.Label{Name: "TESTNET-1", Tier: spend.Cold, Network: spend.BitcoinTestnet}, wallet.AcceptUnproven()))
	_, _, err := r.treasury.Register(context.Background(), foreign.Marshal())
	wantCode(t, err, "wallet-other-network")
	code, _, errs := r.command("wallet", "add", r.file("foreign", foreign.Marshal()), "--accept-risk", "unproven-keys")
	if code != console.Refused || !strings.Contains(errs, "wallet-other-network") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// An answer sealed by a key of another pinned wallet speaks of this bundle: its receipt is good, and it says nothing.
func TestAttack072AnAnswerOfAnotherWallet(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	stranger := r.answerTo(1, 0)
	stranger.Wallet = r.hot.ID()
	_, err := r.give(must(bundle.SealAnswer(stranger, cosigners("x")[0].receipt, rand.Reader)))
	wantCode(t, err, "answer-other-wallet")
	if v := r.look(1); len(v.Answers) != 0 {
		t.Errorf("answers %+v", v.Answers)
	}
}

// liar is a database that somebody changed behind the daemon's back.
type liar struct {
	treasury.Records
	bundle func(*treasury.Bundle)
	intent func(*treasury.Intent)
}

func (l liar) LiveBundle(ctx context.Context, serial uint64) (treasury.Bundle, error) {
	b, err := l.Records.LiveBundle(ctx, serial)
	if err == nil && l.bundle != nil {
		l.bundle(&b)
	}
	return b, err
}

func (l liar) Intents(ctx context.Context, states ...treasury.State) ([]treasury.Intent, error) {
	list, err := l.Records.Intents(ctx, states...)
	for i := range list {
		if l.intent != nil {
			l.intent(&list[i])
		}
	}
	return list, err
}

// over runs the daemon's treasury over other records.
func (r *rig) over(records treasury.Records) {
	r.t.Helper()
	var err error
	r.daemon.treasury, err = treasury.New(context.Background(), r.config.rules(), treasury.Outside{Records: records, Node: r.chain, Sealer: r.sealer,
		Roster: r.roster.now, Followed: r.followed, Now: r.clock, Random: rand.Reader, Log: r.log})
	if err != nil {
		r.t.Fatal(err)
	}
}

// The records name another transaction than the bundle was sealed for: what the signatures finish is not stored under it.
func TestTheFinalTransactionIsTheSealedOne(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	r.signBy(1, 0)
	second := r.sealed(r.answerTo(1, 1))
	r.over(liar{Records: r.records, bundle: func(b *treasury.Bundle) { b.TxID = chainhash.Hash{7} }})
	if _, err := r.give(second); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.treasury.Step(context.Background()), "final-other-transaction")
	if len(r.chain.sent) != 0 {
		t.Error("something was sent")
	}
}

// Stored bytes that are not the sealed ones are nobody's bundle.
func TestAChangedBundleInTheRecordsIsNotFinished(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	r.signBy(1, 0)
	second := r.sealed(r.answerTo(1, 1))
	r.over(liar{Records: r.records, bundle: func(b *treasury.Bundle) { b.Bytes[len(b.Bytes)/2] ^= 1 }})
	if _, err := r.give(second); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.treasury.Step(context.Background()), "seal-invalid")
}

// An amount beyond what a chain of satoshi can say ends before anything is built.
func TestAnAmountThatNoCoinHasIsNotBuilt(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"alice", "bob"} {
		if name == "bob" {
			r.over(liar{Records: r.records, intent: func(i *treasury.Intent) {
				if i.State == treasury.Approved {
					i.Amount = money.New(money.BTC, money.U128{Hi: 1})
				}
			}})
		}
		if err := r.approve(1, name); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, r.treasury.Step(context.Background()), "amount-too-large")
}
