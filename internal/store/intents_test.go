package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

func TestAskingTwiceProposesOnce(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	first := w.propose("ticket 41")
	again, fresh, err := w.Propose(ctx, store.Proposal{Request: "ticket 41", To: w.hot}, w.write(money.Sats(999)))
	w.must(err)
	if fresh || again.ID != first.ID || again.Amount != first.Amount {
		t.Errorf("the same request made %+v and then %+v", first, again)
	}
	second := w.propose("ticket 42")
	if second.Serial != first.Serial+1 || second.ToIndex != first.ToIndex+1 {
		t.Errorf("serial %d index %d after serial %d index %d", second.Serial, second.ToIndex, first.Serial, first.ToIndex)
	}
	if _, _, err := w.Propose(ctx, store.Proposal{To: w.hot}, w.write(money.Sats(1))); err == nil {
		t.Error("a proposal without a request key was taken")
	}
}

func TestAFailedProposalUsesNothingUp(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	broken := errors.New("broken")
	before, err := w.Counter(ctx, w.hot, 0)
	w.must(err)
	_, _, err = w.Propose(ctx, store.Proposal{Request: "a", To: w.hot}, func(store.Draft) (spend.Intent, []byte, error) { return spend.Intent{}, nil, broken })
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	spoiled := w.write(money.Sats(1))
	for name, spoil := range map[string]func(*spend.Intent){
		"serial":  func(i *spend.Intent) { i.Serial++ },
		"index":   func(i *spend.Intent) { i.ToIndex++ },
		"wallet":  func(i *spend.Intent) { i.To = w.cold },
		"network": func(i *spend.Intent) { i.Network = spend.BitcoinMainnet },
		"expiry":  func(i *spend.Intent) { i.ExpiresAt = w.now.Unix() },
	} {
		_, _, err := w.Propose(ctx, store.Proposal{Request: name, To: w.hot}, func(d store.Draft) (spend.Intent, []byte, error) {
			i, raw, err := spoiled(d)
			spoil(&i)
			return i, raw, err
		})
		if err == nil {
			t.Errorf("an intent with another %s than its draft was stored", name)
		}
	}
	_, _, err = w.Propose(ctx, store.Proposal{Request: "b", To: spend.WalletID{5}}, w.write(money.Sats(1)))
	refused(t, err, "wallet-unknown")
	if after, err := w.Counter(ctx, w.hot, 0); err != nil || after != before {
		t.Errorf("counter %v became %v, %v", before, after, err)
	}
	if i := w.propose("c"); i.Serial != 1 {
		t.Errorf("the first intent has serial %d", i.Serial)
	}
}

func TestProposalsStopAtTheLookAhead(t *testing.T) {
	w := newWorld(t)
	for n := range 20 {
		w.propose(fmt.Sprint(n))
	}
	_, _, err := w.Propose(context.Background(), store.Proposal{Request: "one more", To: w.hot}, w.write(money.Sats(1)))
	refused(t, err, "lookahead-exhausted")
}

func TestApprovalsCountPeopleOnce(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	i := w.propose("one")
	for range 2 { // the same signature again changes nothing
		got, err := w.approve(i.Serial, "bob")
		w.must(err)
		if got.State != store.Proposed {
			t.Errorf("one person's approval gives %s", got.State)
		}
	}
	for _, again := range []store.Approval{{Person: "bob", Key: "SHA256:other", Signature: []byte("x")}, {Person: "eve", Key: "SHA256:bob", Signature: []byte("x")}} {
		_, err := w.Approve(ctx, i.Serial, again, func(store.Intent, []store.Approval) (bool, error) { return true, nil })
		refused(t, err, "approval-repeated")
	}
	no := errors.New("not on the roster")
	_, err := w.Approve(ctx, i.Serial, store.Approval{Person: "mallory", Key: "k", Signature: []byte("x")},
		func(store.Intent, []store.Approval) (bool, error) { return true, no })
	if !errors.Is(err, no) {
		t.Error(err)
	}
	got, err := w.approve(i.Serial, "carol")
	w.must(err)
	if got.State != store.Approved {
		t.Errorf("two approvals give %s", got.State)
	}
	list, err := w.Approvals(ctx, i.Serial)
	w.must(err)
	if len(list) != 2 || list[0].Person != "bob" || list[1].Person != "carol" || list[0].At != w.now.Unix() {
		t.Errorf("approvals %v", list)
	}
	w.now = w.now.Add(2 * time.Hour)
	_, err = w.approve(i.Serial, "dave")
	refused(t, err, "intent-expired")
}

func TestSealingReservesAllOrNothing(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 2000, 3000)
	foreign := w.pay(w.hot, 500)
	w.mine(funding, foreign)
	a, b := w.approved("a"), w.approved("b")
	first := sealing(a, spending(script(w.hot, 0, a.ToIndex), 1000, outpoint(funding, 0)), "a")
	first.HasChange, first.ChangeIndex = true, 0
	w.must(w.Seal(ctx, first))
	w.must(w.Seal(ctx, first)) // again changes nothing
	for name, test := range map[string]struct {
		coins  []wire.OutPoint
		change uint32
		code   string
	}{
		"a coin of another intent":  {[]wire.OutPoint{outpoint(funding, 1), outpoint(funding, 0)}, 1, "coin-reserved"},
		"a coin of another wallet":  {[]wire.OutPoint{outpoint(foreign, 0)}, 1, "coin-unavailable"},
		"a coin that never existed": {[]wire.OutPoint{{Index: 7}}, 1, "coin-unavailable"},
		"no coin":                   {nil, 1, "coin-unavailable"},
		"a used change index":       {[]wire.OutPoint{outpoint(funding, 1)}, 0, "change-index-used"},
		"an unwatched change index": {[]wire.OutPoint{outpoint(funding, 1)}, 20, "change-index-used"},
	} {
		s := sealing(b, spending(script(w.hot, 0, b.ToIndex), 1000, test.coins...), name)
		s.Coins, s.HasChange, s.ChangeIndex = test.coins, true, test.change
		refused(t, w.Seal(ctx, s), test.code)
		if state := w.state(b.Serial); state != store.Approved {
			t.Errorf("%s: a refused bundle leaves the intent %s", name, state)
		}
	}
	free, err := w.Spendable(ctx, w.cold, 1)
	w.must(err)
	if len(free) != 2 {
		t.Errorf("%d free coins after one was reserved and six attempts failed", len(free))
	}
	if balance, err := w.Balance(ctx, w.cold, 1); err != nil || balance != (store.Balance{Total: 6000, Reserved: 1000, Leaving: 1000, Spendable: 5000}) {
		t.Errorf("balance %v %v", balance, err)
	}
	other := first
	other.Bundle.Bytes = []byte("other bytes")
	refused(t, w.Seal(ctx, other), "bundle-conflict")
	live, err := w.LiveBundle(ctx, a.Serial)
	w.must(err)
	if !bytes.Equal(live.Bytes, first.Bundle.Bytes) || !live.Live || live.SealedAt != w.now.Unix() || live.TxID != first.Bundle.TxID {
		t.Errorf("live bundle %+v", live)
	}
	_, err = w.LiveBundle(ctx, b.Serial)
	refused(t, err, "bundle-unknown")
}

func TestOnlyApprovedAndUnexpiredIntentsAreSealed(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 2000)
	w.mine(funding)
	i := w.propose("one")
	refused(t, w.Seal(ctx, sealing(i, spending(script(w.hot, 0, 0), 1, outpoint(funding, 0)), "early")), "intent-state")
	j := w.approved("two")
	s := sealing(j, spending(script(w.hot, 0, 1), 1, outpoint(funding, 0)), "late")
	w.must(w.Halt(ctx, "drill", "stop"))
	refused(t, w.Seal(ctx, s), "halted")
	w.must(w.ClearHalts(ctx, "ruth", "drill over"))
	w.now = time.Unix(j.ExpiresAt, 0)
	refused(t, w.Seal(ctx, s), "intent-expired")
	s.Bundle.Serial = 99
	refused(t, w.Seal(ctx, s), "intent-unknown")
}

// Attack 073: two bundles of one intent could both be signed. They must share a coin, whichever two they are.
func TestAttack073ReplacementsShareACoinWithEveryEarlierBundle(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 2000, 3000)
	w.mine(funding)
	i, tx, first := w.sealed("one", outpoint(funding, 0))
	replace := func(name string, old [32]byte, coins ...uint32) (store.Sealing, error) {
		var points []wire.OutPoint
		for _, c := range coins {
			points = append(points, outpoint(funding, c))
		}
		s := sealing(i, spending(script(w.hot, 0, i.ToIndex), 900, points...), name)
		s.Replaces = &old
		return s, w.Seal(ctx, s)
	}
	second := sealing(i, spending(script(w.hot, 0, i.ToIndex), 900, outpoint(funding, 0)), "beside")
	refused(t, w.Seal(ctx, second), "intent-state") // a second live bundle without naming the first
	_, err := replace("apart", first.Bundle.ID, 1)
	refused(t, err, "replacement-shares-no-coin")
	_, err = replace("wrong", [32]byte{1}, 0)
	refused(t, err, "replacement-unknown")
	second, err = replace("wider", first.Bundle.ID, 0, 1)
	w.must(err)
	// It shares coin 1 with the second bundle and nothing with the first, which may be signed already.
	_, err = replace("slips away", second.Bundle.ID, 1)
	refused(t, err, "replacement-shares-no-coin")
	_, err = w.Finish(ctx, first.Bundle.ID, rawOf(t, tx))
	refused(t, err, "bundle-replaced")
	_, err = w.AddAnswer(ctx, store.Answer{Bundle: first.Bundle.ID, Bytes: []byte("late"), Counter: 1})
	refused(t, err, "bundle-replaced")
	if err := w.Forge(ctx, "TWO_LIVE"); err == nil {
		t.Error("the records allow two live bundles of one intent")
	}
	live, err := w.LiveBundle(ctx, i.Serial)
	if err != nil || live.ID != second.Bundle.ID {
		t.Errorf("live bundle %x %v", live.ID, err)
	}
}

// Whoever seals first has the coin; the other one is told so, and nobody waits for anybody.
func TestAttack073OneCoinGoesToOneOfManyIntents(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	var sealings []store.Sealing
	for n := range 8 {
		i := w.approved(fmt.Sprint(n))
		sealings = append(sealings, sealing(i, spending(script(w.hot, 0, i.ToIndex), 1000, outpoint(funding, 0)), fmt.Sprint(n)))
	}
	results := make([]error, len(sealings))
	var group sync.WaitGroup
	for n, s := range sealings {
		group.Add(1)
		go func() { defer group.Done(); results[n] = w.Seal(ctx, s) }()
	}
	group.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else {
			refused(t, err, "coin-reserved")
		}
	}
	if won != 1 {
		t.Errorf("%d intents hold the coin", won)
	}
}

func TestCancelledCoinsComeBackWhenNoSignerTakesTheBundle(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	i, _, s := w.sealed("one", outpoint(funding, 0))
	w.must(w.Cancel(ctx, i.Serial, "alice", "typo"))
	w.must(w.Cancel(ctx, i.Serial, "alice", "typo")) // again changes nothing
	_, err := w.AddAnswer(ctx, store.Answer{Bundle: s.Bundle.ID, Bytes: []byte("late"), Counter: 1})
	refused(t, err, "intent-state")
	free := func() int {
		_, err := w.Expire(ctx)
		w.must(err)
		coins, err := w.Spendable(ctx, w.cold, 1)
		w.must(err)
		return len(coins)
	}
	if free() != 0 {
		t.Error("the coin is free although the bundle can still be signed")
	}
	w.now = time.Unix(i.ExpiresAt, 0)
	if free() != 0 {
		t.Error("the coin is free although a slow clock can still sign the bundle")
	}
	w.now = w.now.Add(15 * time.Minute)
	if free() != 1 {
		t.Error("the coin is not free after the bundle's time")
	}
}

func TestExpiryEndsWhatIsNotSigned(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	proposed, approved := w.propose("a"), w.approved("b")
	sealed, _, _ := w.sealed("c", outpoint(funding, 0))
	signed, tx, s := w.sealed("d", outpoint(funding, 1))
	_, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, tx))
	w.must(err)
	if over, err := w.Expire(ctx); err != nil || len(over) != 0 {
		t.Errorf("expired early: %v %v", over, err)
	}
	w.now = time.Unix(sealed.ExpiresAt, 0)
	over, err := w.Expire(ctx)
	w.must(err)
	if fmt.Sprint(over) != fmt.Sprint([]uint64{proposed.Serial, approved.Serial, sealed.Serial}) {
		t.Errorf("expired %v", over)
	}
	if state := w.state(signed.Serial); state != store.Signed {
		t.Errorf("a signed intent became %s", state)
	}
	live, err := w.Intents(ctx, store.Signed, store.Expired)
	if err != nil || len(live) != 4 {
		t.Errorf("%d intents in two states, %v", len(live), err)
	}
	if all, err := w.Intents(ctx); err != nil || len(all) != 4 {
		t.Errorf("%d intents, %v", len(all), err)
	}
	refused(t, w.Cancel(ctx, signed.Serial, "alice", "too late"), "intent-state")
}

func TestATransactionIsStoredBeforeItIsSent(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000)
	w.mine(funding)
	i, tx, s := w.sealed("one", outpoint(funding, 0))
	refused(t, w.MarkBroadcast(ctx, i.Serial), "intent-state")
	_, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, w.pay(w.hot, 1)))
	refused(t, err, "transaction-mismatch")
	_, err = w.Finish(ctx, s.Bundle.ID, append(rawOf(t, tx), 0))
	refused(t, err, "transaction-mismatch")
	_, err = w.Finish(ctx, [32]byte{1}, rawOf(t, tx))
	refused(t, err, "bundle-unknown")
	w.must(w.Halt(ctx, "drill", "stop"))
	_, err = w.Finish(ctx, s.Bundle.ID, rawOf(t, tx))
	refused(t, err, "halted")
	w.must(w.ClearHalts(ctx, "ruth", "drill over"))
	first, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, tx))
	w.must(err)
	other := tx.Copy() // the same transaction with another set of signatures
	other.TxIn[0].Witness = wire.TxWitness{[]byte("another signature")}
	again, err := w.Finish(ctx, s.Bundle.ID, rawOf(t, other))
	w.must(err)
	if !bytes.Equal(again.Raw, first.Raw) {
		t.Error("finishing again changed the transaction")
	}
	if list, err := w.Unconfirmed(ctx); err != nil || len(list) != 1 || !bytes.Equal(list[0].Raw, rawOf(t, tx)) {
		t.Errorf("to send: %v %v", list, err)
	}
	w.must(w.MarkBroadcast(ctx, i.Serial))
	w.must(w.MarkBroadcast(ctx, i.Serial))
	if state := w.state(i.Serial); state != store.Broadcast {
		t.Errorf("state %s", state)
	}
	if _, found, err := w.Transaction(ctx, 99); found || err != nil {
		t.Errorf("an unknown intent has a transaction: %v", err)
	}
}

func TestAnswersAreTakenOncePerKey(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	_, _, s := w.sealed("one", outpoint(funding, 0))
	_, _, other := w.sealed("two", outpoint(funding, 1))
	answer := store.Answer{Bundle: s.Bundle.ID, Position: 0, Bytes: []byte("answer"), Counter: 7}
	for n := range 3 {
		fresh, err := w.AddAnswer(ctx, answer)
		if err != nil || fresh != (n == 0) {
			t.Fatalf("time %d: fresh %v, %v", n, fresh, err)
		}
	}
	conflict := answer
	conflict.Bytes, conflict.Counter = []byte("other answer"), 8
	_, err := w.AddAnswer(ctx, conflict)
	refused(t, err, "answer-conflict")
	copied := store.Answer{Bundle: other.Bundle.ID, Position: 0, Bytes: []byte("signer's ledger was copied"), Counter: 7}
	_, err = w.AddAnswer(ctx, copied)
	refused(t, err, "answer-counter-reused")
	copied.Position = 1 // another signer counts for itself
	_, err = w.AddAnswer(ctx, copied)
	w.must(err)
	_, err = w.AddAnswer(ctx, store.Answer{Bundle: [32]byte{9}, Bytes: []byte("x")})
	refused(t, err, "bundle-unknown")
	list, err := w.Answers(ctx, s.Bundle.ID)
	w.must(err)
	if len(list) != 1 || !bytes.Equal(list[0].Bytes, answer.Bytes) || list[0].Counter != 7 {
		t.Errorf("answers %v", list)
	}
}

func TestAttack065NonceReuseHaltsTheDaemon(t *testing.T) {
	for name, second := range map[string]store.Nonce{
		"one key signs two digests with one nonce": {PubKey: [33]byte{2, 1}, R: [32]byte{5}, Digest: [32]byte{2}},
		"two keys use one nonce":                   {PubKey: [33]byte{2, 2}, R: [32]byte{5}, Digest: [32]byte{1}},
	} {
		w := newWorld(t)
		ctx := context.Background()
		funding := w.pay(w.cold, 1000)
		w.mine(funding)
		_, tx, s := w.sealed("one", outpoint(funding, 0))
		nonce := store.Nonce{PubKey: [33]byte{2, 1}, R: [32]byte{5}, Digest: [32]byte{1}}
		_, err := w.AddAnswer(ctx, store.Answer{Bundle: s.Bundle.ID, Position: 0, Bytes: []byte("a"), Counter: 1, Nonces: []store.Nonce{nonce, nonce}})
		w.must(err) // the same signature twice is no reuse
		_, err = w.AddAnswer(ctx, store.Answer{Bundle: s.Bundle.ID, Position: 1, Bytes: []byte("b"), Counter: 1, Nonces: []store.Nonce{second}})
		refused(t, err, "nonce-reused")
		if list, err := w.Answers(ctx, s.Bundle.ID); err != nil || len(list) != 1 {
			t.Errorf("%s: the answer was kept: %v %v", name, list, err)
		}
		w.must(w.Close())
		w.must(w.open()) // the alarm outlives the process
		halts, err := w.Halts(ctx)
		if err != nil || len(halts) != 1 || halts[0].Code != "nonce-reused" {
			t.Errorf("%s: halts %v %v", name, halts, err)
		}
		_, err = w.Finish(ctx, s.Bundle.ID, rawOf(t, tx))
		refused(t, err, "halted")
	}
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	before, err := w.VerifyEvents(ctx)
	w.must(err)
	broken := errors.New("broken")
	if err := w.Fail(ctx, broken); !errors.Is(err, broken) {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = w.Fail(ctx, nil)
	}()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.Log(ended, "never", 1); err == nil {
		t.Error("an ended context writes")
	}
	after, err := w.VerifyEvents(ctx)
	w.must(err)
	if after != before {
		t.Errorf("event %d became event %d", before.Seq, after.Seq)
	}
	w.propose("the writer is not stuck")
}

func TestDamagedAndNewerRecordsAreRefused(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	i := w.propose("one")
	w.must(w.Forge(ctx, "UPDATE_INTENT"))
	_, err := w.Intent(ctx, i.Serial)
	refused(t, err, "intent-damaged")
	w.must(w.Forge(ctx, "NEWER"))
	w.must(w.Close())
	refused(t, w.open(), "store-newer")
	w.dir = t.TempDir()
	w.must(w.open()) // for the cleanup
}
