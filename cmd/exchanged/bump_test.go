package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	effects "github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/treasury"
)

// toSealed brings top-up 1 to its first bundle.
func (r *rig) toSealed() {
	r.t.Helper()
	for _, s := range wellBehaved(r.t)[:3] {
		s.do(r)
	}
}

func (r *rig) bump(serial uint64, rate int64) error {
	r.t.Helper()
	_, err := r.treasury.Bump(context.Background(), carol, serial, rate)
	return err
}

// signBy hands in the answers of keys to the live bundle.
func (r *rig) signBy(serial uint64, positions ...int) {
	r.t.Helper()
	for _, position := range positions {
		if _, err := r.give(r.sealed(r.answerTo(serial, position))); err != nil {
			r.t.Fatal(err)
		}
	}
}

// leaving lists what a bundle pays to others than the spending wallet.
func (r *rig) leaving(serial uint64) (out []effects.Output) {
	r.t.Helper()
	_, packet, scope := r.opened(serial)
	for _, o := range must(bitcoin.Prove(packet, scope)).Facts().Outputs {
		if o.Position = 0; o.Role != effects.Change {
			out = append(out, o)
		}
	}
	return out
}

// Attack 116: a stuck transaction is replaced, twice, with restarts between all steps. The destination stays to the
// satoshi, the approvals stay, the words change, each replacement names the first bundle, and one payment is made.
func TestAttack116AStuckTransactionIsReplaced(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	first, _, _ := r.opened(1)
	paid, words := r.leaving(1), first.Words()
	r.signBy(1, 0, 1)
	stuck := r.look(1).TxID
	for n, rate := range []int64{5_000, 9_500} {
		r.restart()
		if err := r.bump(1, rate); err != nil {
			t.Fatal(err)
		}
		r.restart()
		opened, packet, _ := r.opened(1)
		if opened.Replaces != first.ID || opened.Words() == words || !bytes.Equal(opened.Body.Intent, first.Body.Intent) || len(opened.Approvals) != 2 {
			t.Fatalf("replacement %d: %s replaces %x, %d approvals", n, opened.Words(), opened.Replaces[:4], len(opened.Approvals))
		}
		if got := r.leaving(1); len(got) != 1 || got[0] != paid[0] {
			t.Fatalf("it pays %+v, the first paid %+v", got, paid)
		}
		v := r.look(1)
		if v.Intent.State != treasury.Broadcast || !v.Replacing() || v.TxID != stuck || v.Replaced != n+1 || !strings.Contains(v.Waiting, "to the replacement") {
			t.Fatalf("while it waits: %s, %+v", v.Intent.State, v.Waiting)
		}
		words = opened.Words()
		r.signBy(1, 2)
		r.restart()
		r.signBy(1, n)
		if v := r.look(1); v.Intent.State != treasury.Broadcast || v.Replacing() || v.TxID != packet.TxID() {
			t.Fatalf("after it is signed: %s, %s, want %s (%s)", v.Intent.State, v.TxID, packet.TxID(), v.Waiting)
		}
		stuck = packet.TxID()
	}
	r.chain.mine()
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Confirmed || v.TxID != stuck || r.hotBalance() != 250_000_000 {
		t.Errorf("%s with %s, hot holds %d", v.Intent.State, v.TxID, r.hotBalance())
	}
	wantCode(t, r.bump(1, 12_000), "bump-not-possible")
}

// The first transaction is confirmed while its replacement waits for signatures: nothing more is signed or sent.
func TestTheFirstTransactionMayWin(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	r.signBy(1, 0, 1)
	stuck := r.look(1).TxID
	if err := r.bump(1, 5_000); err != nil {
		t.Fatal(err)
	}
	late := r.sealed(r.answerTo(1, 0))
	r.chain.mine()
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Confirmed || v.TxID != stuck {
		t.Fatalf("%s with %s", v.Intent.State, v.TxID)
	}
	sent := len(r.chain.sent)
	if _, err := r.give(late); err != nil {
		t.Errorf("a late answer still counts for its nonces: %v", err)
	}
	r.signBy(1, 1)
	r.chain.mine()
	r.tick(context.Background())
	if v := r.look(1); len(r.chain.sent) != sent || v.TxID != stuck || r.hotBalance() != 250_000_000 {
		t.Errorf("%d more sent, %s", len(r.chain.sent)-sent, v.TxID)
	}
}

// A bundle whose fee became too low before enough keys had signed: the old answer is no use to the new bundle.
func TestABundleIsReplacedBeforeItIsSigned(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	old := r.sealed(r.answerTo(1, 1))
	r.signBy(1, 0)
	if err := r.bump(1, 20_000); err != nil {
		t.Fatal(err)
	}
	_, err := r.give(old)
	wantCode(t, err, "bundle-replaced")
	if v := r.look(1); v.Intent.State != treasury.Sealed || len(v.Answers) != 0 || v.Plan.FeeRate != 20_000 || v.Fee != v.Plan.FeeAmount() {
		t.Errorf("%s with %d answers, %+v", v.Intent.State, len(v.Answers), v.Plan)
	}
	r.signBy(1, 0, 1)
	if v := r.look(1); v.Intent.State != treasury.Broadcast || len(r.chain.sent) != 1 {
		t.Errorf("%s, %d sent", v.Intent.State, len(r.chain.sent))
	}
}

func TestBumpsThatAreRefused(t *testing.T) {
	r := newRig(t)
	wantCode(t, r.bump(1, 5_000), "bump-not-possible") // nothing is sealed
	r.toSealed()
	wantCode(t, r.bump(1, 2_000), "bump-too-low")
	wantCode(t, r.bump(1, 100_001), "fee-rate-range")
	wantCode(t, r.bump(9, 5_000), "intent-unknown")
	_, err := r.treasury.Bump(context.Background(), treasury.Person{Name: "mallory"}, 1, 5_000)
	wantCode(t, err, "proposer-unknown")
	r.setRoster("bob", "carol")
	wantCode(t, r.bump(1, 5_000), "approvals-insufficient") // alice left
	r.setRoster("alice", "bob", "carol")
	r.signBy(1, 0, 1)
	r.set(noon.Add(73 * time.Hour))
	wantCode(t, r.bump(1, 5_000), "intent-expired") // approvals bind the expiry
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Broadcast {
		t.Errorf("a transaction under way became %s", v.Intent.State)
	}
}

// Signatures for a replacement that come after the approvals' time are not taken; the first transaction goes on.
func TestAReplacementExpiresAndTheFirstGoesOn(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	r.signBy(1, 0, 1)
	if err := r.bump(1, 5_000); err != nil {
		t.Fatal(err)
	}
	late := r.sealed(r.answerTo(1, 2))
	r.set(noon.Add(73 * time.Hour))
	_, err := r.give(late)
	wantCode(t, err, "intent-expired")
	r.chain.mine()
	r.tick(context.Background())
	if v := r.look(1); v.Intent.State != treasury.Confirmed {
		t.Errorf("the first transaction ended %s", v.Intent.State)
	}
}

func TestCancelBeforeAnythingIsSigned(t *testing.T) {
	ctx := context.Background()
	cancel := func(r *rig, anyway bool) error {
		_, err := r.treasury.Cancel(ctx, carol, 1, "typo", anyway)
		return err
	}
	r := newRig(t)
	if err := cancel(r, false); err != nil {
		t.Fatal(err)
	}
	if v := r.look(1); v.Intent.State != treasury.Cancelled {
		t.Errorf("proposed became %s", v.Intent.State)
	}
	r = newRig(t)
	r.toSealed()
	_, err := r.treasury.Cancel(ctx, treasury.Person{Name: "mallory"}, 1, "theft", false)
	wantCode(t, err, "proposer-unknown")
	late := r.sealed(r.answerTo(1, 1))
	r.signBy(1, 0)
	wantCode(t, cancel(r, false), "topup-has-signatures")
	if err := cancel(r, true); err != nil {
		t.Fatal(err)
	}
	_, err = r.give(late)
	wantCode(t, err, "intent-state")
	if held := must(r.records.Balance(ctx, r.cold.ID(), 1)); held.Reserved == 0 {
		t.Error("the coins are free although keyholders hold the bundle")
	}
	if len(r.chain.sent) != 0 {
		t.Error("something was sent")
	}
	r = newRig(t)
	r.toSealed()
	r.signBy(1, 0, 1)
	wantCode(t, cancel(r, true), "intent-state")
}

// A keyholder's signed refusal is the first thing that anybody reads; from the configured amount on it ends the top-up.
func TestAKeyholdersVeto(t *testing.T) {
	for above, want := range map[string]treasury.State{"": treasury.Sealed, "2.6": treasury.Sealed, "2.5": treasury.Cancelled} {
		r := newRig(t)
		if above != "" {
			r.configure(`# veto_above: "100.0"`, `veto_above: "`+above+`"`)
			r.restart()
		}
		r.toSealed()
		r.signBy(1, 0)
		no := r.answerTo(1, 2)
		no.Signatures, no.Refusal = nil, "unexpected"
		if _, err := r.give(r.sealed(no)); err != nil {
			t.Fatal(err)
		}
		v := r.look(1)
		if v.Intent.State != want || len(v.Refusals()) != 1 || v.Refusals()[0] != "key c: unexpected" {
			t.Errorf("above %q: %s, refused by %q", above, v.Intent.State, v.Refusals())
		}
		if want == treasury.Sealed && !strings.HasPrefix(v.Waiting, "a decision: refused by 1 of 3 keys (key c: unexpected)") {
			t.Errorf("waits for %q", v.Waiting)
		}
		if want == treasury.Cancelled {
			events := must(r.records.Events(context.Background(), 0, 500))
			if last := events[len(events)-1]; last.Kind != "intent-cancelled" || !strings.Contains(last.Text, `"by":"key c"`) {
				t.Errorf("the last event is %s %s", last.Kind, last.Text)
			}
		}
	}
}

// A keyholder who signed thinks again before the second signature is there: nothing moves with the first one.
func TestAKeyholderThinksAgain(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	r.signBy(1, 0)
	no := r.answerTo(1, 0)
	no.Signatures, no.Refusal = nil, "unexpected"
	if _, err := r.give(r.sealed(no)); err != nil {
		t.Fatal(err)
	}
	r.signBy(1, 1)
	v := r.look(1)
	if v.Intent.State != treasury.Sealed || !strings.Contains(v.Waiting, "refused by 1 of 3 keys (key a: unexpected)") || !strings.HasSuffix(v.Waiting, "1 of 2 signatures") {
		t.Errorf("%s: %s", v.Intent.State, v.Waiting)
	}
	r.signBy(1, 2)
	if v := r.look(1); v.Intent.State != treasury.Broadcast {
		t.Errorf("two others signed, and it is %s", v.Intent.State)
	}
}

// Attack 065: the answer to a replacement shares a nonce with the answer to the first bundle.
func TestAttack065NonceReuseAcrossAReplacement(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	same := func() bundle.Answer {
		answer := r.answerTo(1, 0)
		_, packet, scope := r.opened(1)
		for i, task := range must(bitcoin.Tasks(packet, scope, 0)) {
			key := r.signers[0].private(task.Branch, task.Index)
			answer.Signatures[i].Signature = signWith(key, task.Digest, uint32(7+i))
		}
		return answer
	}
	if _, err := r.give(r.sealed(same())); err != nil {
		t.Fatal(err)
	}
	if err := r.bump(1, 5_000); err != nil {
		t.Fatal(err)
	}
	_, err := r.give(r.sealed(same()))
	wantCode(t, err, "nonce-reused")
	_, err = r.treasury.Propose(context.Background(), carol, "")
	wantCode(t, err, "halted")
}
