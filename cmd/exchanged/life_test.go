package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// step is one event in the life of a top-up.
type step struct {
	name string
	do   func(r *rig)
	want treasury.State
}

func wellBehaved(t *testing.T) []step {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	answer := func(position int) func(*rig) {
		return func(r *rig) {
			_, err := r.give(r.sealed(r.answerTo(1, position)))
			ok(err)
		}
	}
	return []step{
		{"the tier watch proposes", func(r *rig) {}, treasury.Proposed},
		{"alice approves", func(r *rig) { ok(r.approve(1, "alice")) }, treasury.Proposed},
		{"bob approves", func(r *rig) { ok(r.approve(1, "bob")) }, treasury.Sealed},
		{"key c answers", answer(2), treasury.Sealed},
		{"key a answers", answer(0), treasury.Broadcast},
		{"a block has it", func(r *rig) { r.chain.mine(); r.tick(context.Background()) }, treasury.Confirmed},
	}
}

func TestTopUpFromNeedToConfirmation(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t) {
		s.do(r)
		if v := r.look(1); v.Intent.State != s.want {
			t.Fatalf("after %s: %s (%s), want %s", s.name, v.Intent.State, v.Waiting, s.want)
		}
	}
	if got := r.hotBalance(); got != 250000000 {
		t.Errorf("hot wallet holds %d satoshi, want 2.5 BTC", got)
	}
	if v := r.look(1); v.Intent.Proposer != "exchanged-1" || v.Intent.ToIndex != 0 || v.Confirmations != 1 || len(v.Approvers) != 2 {
		t.Errorf("top-up ended as %+v", v)
	}
	r.tick(context.Background())
	if list, _ := r.treasury.List(context.Background()); len(list) != 1 {
		t.Errorf("%d top-ups after the wallet was filled", len(list))
	}
}

// A daemon killed between any two steps goes on where it was, and one transaction leaves it.
func TestKilledBetweenEveryTwoSteps(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t) {
		r.restart()
		s.do(r)
		r.restart()
		if v := r.look(1); v.Intent.State != s.want {
			t.Fatalf("after %s and a restart: %s (%s), want %s", s.name, v.Intent.State, v.Waiting, s.want)
		}
	}
	if len(r.chain.sent) == 0 {
		t.Fatal("nothing was sent")
	}
	for _, raw := range r.chain.sent {
		if !bytes.Equal(raw, r.chain.sent[0]) {
			t.Error("two different transactions were sent")
		}
	}
	if list, _ := r.treasury.List(context.Background()); len(list) != 1 {
		t.Errorf("%d top-ups", len(list))
	}
}

// A node that fails at broadcast changes nothing but the time of it: the stored bytes go out again, and only those.
func TestNodeFailsAtBroadcast(t *testing.T) {
	r := newRig(t)
	r.chain.fail = errNode
	for _, s := range wellBehaved(t)[:5] {
		s.do(r)
	}
	if v := r.look(1); v.Intent.State != treasury.Signed || !strings.Contains(v.Waiting, errNode.Error()) {
		t.Fatalf("after a failed broadcast: %s, waiting for %q", v.Intent.State, v.Waiting)
	}
	r.restart()
	r.tick(context.Background())
	r.chain.fail = nil
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Broadcast || v.Waiting == "" {
		t.Fatalf("after the node came back: %s", v.Intent.State)
	}
	for _, raw := range r.chain.sent {
		if !bytes.Equal(raw, r.chain.sent[0]) {
			t.Error("two different transactions were sent")
		}
	}
	before := len(r.chain.sent)
	r.tick(context.Background())
	if len(r.chain.sent) != before {
		t.Error("sent again without a new block")
	}
}

func TestAnswersInAnyOrderGiveTheSameTransaction(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}, {2, 1}, {0, 2}} {
		r := newRig(t)
		for _, s := range wellBehaved(t)[:3] {
			s.do(r)
		}
		for _, position := range order {
			if changed, err := r.give(r.sealed(r.answerTo(1, position))); err != nil || !changed {
				t.Fatalf("key %d: changed %v, %v", position, changed, err)
			}
		}
		if v := r.look(1); v.Intent.State != treasury.Broadcast || v.TxID != v.Bundle.TxID.String() {
			t.Errorf("order %v: %s, %s", order, v.Intent.State, v.TxID)
		}
	}
}

// Attack 074: an answer that is presented again changes nothing, at whatever time.
func TestAttack074AnswersPresentedAgainChangeNothing(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t)[:3] {
		s.do(r)
	}
	first, second := r.sealed(r.answerTo(1, 0)), r.sealed(r.answerTo(1, 1))
	for i, raw := range [][]byte{first, first, second, second, first} {
		changed, err := r.give(raw)
		if err != nil || changed != (i == 0 || i == 2) {
			t.Errorf("presentation %d: changed %v, %v", i, changed, err)
		}
	}
	r.chain.mine()
	r.tick(context.Background())
	if changed, err := r.give(first); err != nil || changed {
		t.Errorf("after confirmation: changed %v, %v", changed, err)
	}
	if v := r.look(1); len(v.Answers) != 2 || len(r.chain.sent) != 1 {
		t.Errorf("%d answers, %d transactions sent", len(v.Answers), len(r.chain.sent))
	}
}

// Attacks 070 and 072: the same key twice, another bundle's or another wallet's answer, and answers changed on the way.
func TestAttack070And072TamperedAnswersAreRefused(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t)[:3] {
		s.do(r)
	}
	good := r.answerTo(1, 0)
	other := r.answerTo(1, 1)
	change := func(edit func(*bundle.Answer)) []byte {
		a := good
		a.Signatures = nil
		for _, s := range good.Signatures {
			s.Signature = bytes.Clone(s.Signature)
			a.Signatures = append(a.Signatures, s)
		}
		edit(&a)
		return r.sealed(a)
	}
	bent := r.sealed(good)
	bent[len(bent)/2] ^= 1
	stranger := good
	for name, attack := range map[string]struct {
		raw  []byte
		code string
	}{
		"a bit flipped on the way":     {bent, ""},
		"sealed by another key":        {must(bundle.SealAnswer(stranger, r.signers[1].receipt, rand.Reader)), ""},
		"an unknown bundle":            {change(func(a *bundle.Answer) { a.Bundle[0] ^= 1 }), "bundle-unknown"},
		"another key's signatures":     {change(func(a *bundle.Answer) { a.Signatures = other.Signatures }), "answer-other-key"},
		"one signature missing":        {change(func(a *bundle.Answer) { a.Signatures = a.Signatures[1:] }), "answer-incomplete"},
		"a signature of nothing":       {change(func(a *bundle.Answer) { a.Signatures[0].Signature[40] ^= 1 }), ""},
		"another sighash byte":         {change(func(a *bundle.Answer) { s := a.Signatures[0].Signature; s[len(s)-1] = 0x81 }), ""},
		"another input's signature":    {change(func(a *bundle.Answer) { a.Signatures[0].Signature = a.Signatures[1].Signature }), ""},
		"the answer of another wallet": {change(func(a *bundle.Answer) { a.Wallet = r.hot.ID() }), ""},
		"another position's claim":     {must(bundle.SealAnswer(positioned(good, 1), r.signers[1].receipt, rand.Reader)), "answer-other-key"},
	} {
		changed, err := r.give(attack.raw)
		var refusal *spend.Refusal
		switch {
		case err == nil || changed:
			t.Errorf("%s was taken", name)
		case attack.code != "":
			wantCode(t, err, attack.code)
		default:
			if !asRefusal(err, &refusal) {
				t.Errorf("%s: %v is no refusal", name, err)
			}
		}
	}
	if v := r.look(1); len(v.Answers) != 0 || v.Intent.State != treasury.Sealed || len(r.chain.sent) != 0 {
		t.Errorf("after the attacks: %d answers, %s", len(v.Answers), v.Intent.State)
	}
	if _, err := r.give(r.sealed(good)); err != nil {
		t.Fatal(err)
	}
	again := good
	again.Counter++
	_, err := r.give(r.sealed(again))
	wantCode(t, err, "answer-conflict")
	if v := r.look(1); v.Intent.State != treasury.Sealed {
		t.Errorf("one key alone brought it to %s", v.Intent.State)
	}
}

func positioned(a bundle.Answer, position int) bundle.Answer { a.Position = position; return a }

func asRefusal(err error, into **spend.Refusal) bool {
	for _, e := range []error{err} {
		if r, ok := e.(*spend.Refusal); ok {
			*into = r
			return true
		}
	}
	return strings.Contains(err.Error(), ":") // joined or wrapped refusals name their code first
}

// A signer's refusal is recorded and shown, and the other two keys can still do it.
func TestRefusalOfASignerIsShown(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t)[:3] {
		s.do(r)
	}
	no := r.answerTo(1, 0)
	no.Signatures, no.Refusal = nil, "limit-exceeded"
	if _, err := r.give(r.sealed(no)); err != nil {
		t.Fatal(err)
	}
	if v := r.look(1); len(v.Answers) != 1 || v.Answers[0].Refusal != "limit-exceeded" || !strings.Contains(v.Waiting, "refused by 1 of 3 keys") {
		t.Errorf("after a refusal: %+v, waiting for %q", v.Answers, v.Waiting)
	}
	for _, position := range []int{1, 2} {
		if _, err := r.give(r.sealed(r.answerTo(1, position))); err != nil {
			t.Fatal(err)
		}
	}
	if v := r.look(1); v.Intent.State != treasury.Broadcast {
		t.Errorf("after two signatures: %s", v.Intent.State)
	}
}

// Attack 115 and control 105: who may approve.
func TestAttack115TwoDifferentPeopleWhoDidNotPropose(t *testing.T) {
	r := newRig(t)
	r.expireFirst()
	r.chain.mine()
	v, err := r.treasury.Propose(context.Background(), treasury.Person{Name: "carol"}, "")
	if err == nil {
		t.Fatalf("proposed %d beside the watch's own", v.Intent.Serial)
	}
	wantCode(t, err, "topup-live")
	_, err = r.treasury.Propose(context.Background(), treasury.Person{Name: "mallory"}, "")
	wantCode(t, err, "proposer-unknown")

	if err := r.approve(2, "alice"); err != nil {
		t.Fatal(err)
	}
	if err := r.approve(2, "alice"); err == nil {
		// a fresh signature by the same person is refused, the same signature would change nothing
		if v := r.look(2); len(v.Approvers) != 1 {
			t.Errorf("alice counts %d times", len(v.Approvers))
		}
	}
	_, err = r.treasury.Approve(context.Background(), treasury.Person{Name: "alice"}, 2, r.approval(2, "bob"))
	wantCode(t, err, "approval-carried-by-other")
	old := must(seal.Sign(r.people["bob"], seal.Approve, r.look(1).Intent.Bytes, rand.Reader))
	_, err = r.treasury.Approve(context.Background(), treasury.Person{Name: "bob"}, 2, old)
	wantCode(t, err, "approval-invalid")
	wrongPurpose := must(seal.Sign(r.people["bob"], seal.Pin, r.look(2).Intent.Bytes, rand.Reader))
	if _, err = r.treasury.Approve(context.Background(), treasury.Person{Name: "bob"}, 2, wrongPurpose); err == nil {
		t.Error("a signature for another purpose was taken")
	}
	if v := r.look(2); v.Intent.State != treasury.Proposed || len(v.Approvers) != 1 {
		t.Errorf("after all that: %s with %d approvals", v.Intent.State, len(v.Approvers))
	}
}

// expireFirst lets the first proposal of the tier watch run out, and the watch propose the next.
func (r *rig) expireFirst() {
	r.set(r.clock().Add(73 * time.Hour))
	r.tick(context.Background())
}

func TestProposerDoesNotCount(t *testing.T) {
	r := newRig(t)
	// carol proposes a top-up of a wallet that is above its floor and below its target, so the watch does not.
	gift := wire.NewMsgTx(2)
	gift.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{2}}, SignatureScript: []byte{0x51}})
	gift.AddTxOut(wire.NewTxOut(1.5e8, must(r.hot.Derive(wallet.Receive, 3)).ScriptPubKey))
	r.chain.mine(gift)
	r.expireFirst()
	v, err := r.treasury.Propose(context.Background(), treasury.Person{Name: "carol"}, "HOT-BTC-1")
	if err != nil {
		t.Fatal(err)
	}
	if amount, _ := v.Intent.Amount.Int64(); amount != 1e8 || v.Intent.ToIndex != 4 {
		t.Errorf("proposed %s to index %d, want 1 BTC to index 4", v.Intent.Amount, v.Intent.ToIndex)
	}
	wantCode(t, r.approve(v.Intent.Serial, "carol"), "approver-is-proposer")
	for _, name := range []string{"alice", "bob"} {
		if err := r.approve(v.Intent.Serial, name); err != nil {
			t.Error(err)
		}
	}
	if got := r.look(v.Intent.Serial).Intent.State; got != treasury.Sealed {
		t.Errorf("after two others: %s", got)
	}
}

// Somebody who left the roster between approving and sealing does not count.
func TestApproverWhoLeftDoesNotCount(t *testing.T) {
	r := newRig(t)
	if err := r.approve(1, "alice"); err != nil {
		t.Fatal(err)
	}
	r.setRoster("bob", "carol")
	if err := r.approve(1, "bob"); err != nil {
		t.Fatal(err)
	}
	if v := r.look(1); v.Intent.State != treasury.Proposed || len(v.Approvers) != 1 {
		t.Fatalf("alice still counts: %s, %d", v.Intent.State, len(v.Approvers))
	}
	if err := r.approve(1, "carol"); err != nil {
		t.Fatal(err)
	}
	if v := r.look(1); v.Intent.State != treasury.Sealed {
		t.Errorf("after bob and carol: %s, %s", v.Intent.State, v.Waiting)
	}
	opened, err := bundle.Open(must(r.treasury.Sealed(context.Background(), 1)), issuers{r.sealer.PublicKey()}, r.clock())
	if err != nil || len(opened.Approvals) != 2 {
		t.Errorf("the bundle carries %d approvals, %v", len(opened.Approvals), err)
	}
}

// Attack 124: what expired is over; its approvals do not carry over, and its coins are free after a while.
func TestAttack124ExpiryEndsATopUp(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t)[:4] {
		s.do(r)
	}
	late := r.sealed(r.answerTo(1, 0))
	r.set(noon.Add(73 * time.Hour))
	if _, err := r.give(late); err == nil {
		t.Error("an answer was taken after the intent's time")
	}
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Expired {
		t.Fatalf("state %s", v.Intent.State)
	}
	if v := r.look(2); v.Intent.State != treasury.Proposed || len(v.Approvers) != 0 || v.Intent.ToIndex != 1 {
		t.Errorf("the next top-up: %s, %d approvals, index %d", v.Intent.State, len(v.Approvers), v.Intent.ToIndex)
	}
	r.set(noon.Add(75 * time.Hour))
	r.tick(context.Background())
	if held := must(r.records.Balance(context.Background(), r.cold.ID(), 1)); held.Reserved != 0 {
		t.Errorf("%d satoshi stay reserved", held.Reserved)
	}
	if len(r.chain.sent) != 0 {
		t.Error("something was sent")
	}
}

// Attack 065: two signatures under one nonce raise an alarm, and everything stands still.
func TestAttack065NonceReuseHalts(t *testing.T) {
	r := newRig(t)
	for _, s := range wellBehaved(t)[:3] {
		s.do(r)
	}
	answer := r.answerTo(1, 0)
	if len(answer.Signatures) < 2 {
		t.Fatalf("%d inputs; the test needs two", len(answer.Signatures))
	}
	r.signWithOneNonce(&answer)
	_, err := r.give(r.sealed(answer))
	if err == nil {
		t.Fatal("the answer was taken without a word")
	}
	wantCode(t, err, "nonce-reused")
	if _, trouble, _ := r.treasury.Overview(context.Background()); !slices.ContainsFunc(trouble, func(s string) bool { return strings.Contains(s, "nonce-reused") }) {
		t.Errorf("trouble is %q", trouble)
	}
	for _, position := range []int{1, 2} {
		_, _ = r.give(r.sealed(r.answerTo(1, position)))
	}
	if v := r.look(1); v.Intent.State != treasury.Sealed || len(r.chain.sent) != 0 {
		t.Errorf("after the alarm: %s, %d sent", v.Intent.State, len(r.chain.sent))
	}
}

func TestNotEnoughFundsIsSaid(t *testing.T) {
	r := newRig(t)
	r.expireFirst()
	if list, _ := r.treasury.List(context.Background()); len(list) != 2 {
		t.Fatalf("%d top-ups", len(list))
	}
	spent := wire.NewMsgTx(2)
	for _, coin := range must(r.records.Spendable(context.Background(), r.cold.ID(), 1)) {
		spent.AddTxIn(&wire.TxIn{PreviousOutPoint: coin.Outpoint})
	}
	spent.AddTxOut(wire.NewTxOut(1e8, []byte{0x51}))
	r.chain.mine(spent)
	r.expireFirst()
	_, trouble, err := r.treasury.Overview(context.Background())
	if err != nil || len(trouble) == 0 {
		t.Errorf("trouble %q, %v", trouble, err)
	}
	if list, _ := r.treasury.List(context.Background()); len(list) != 2 {
		t.Errorf("%d top-ups without funds", len(list))
	}
}

// A wallet that is registered while the daemon runs is followed, coins in old blocks included.
func TestWalletRegisteredLaterFindsItsOldCoins(t *testing.T) {
	r := newRig(t)
	warm := walletOf("WARM-BTC-1", spend.Warm, cosigners("w1", "w2", "w3"))
	gift := wire.NewMsgTx(2)
	gift.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{3}}, SignatureScript: []byte{0x51}})
	gift.AddTxOut(wire.NewTxOut(7e7, must(warm.Derive(wallet.Receive, 2)).ScriptPubKey))
	r.chain.mine(gift)
	r.chain.mine()
	r.tick(context.Background())
	r.mustCommand("wallet", "add", r.file("warm", warm.Marshal()))
	r.tick(context.Background())
	if held := must(r.records.Balance(context.Background(), warm.ID(), 1)); held.Total != 7e7 {
		t.Errorf("the wallet holds %d", held.Total)
	}
	if err := r.followed(); err != nil {
		t.Errorf("not followed: %v", err)
	}
	if list, _ := r.treasury.List(context.Background()); len(list) != 1 {
		t.Errorf("%d top-ups after the rescan", len(list))
	}
}
