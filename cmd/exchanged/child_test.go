package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	effects "github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// hangs brings top-up 1 to the node, where it hangs.
func (r *rig) hangs() *wire.MsgTx {
	r.t.Helper()
	r.toSealed()
	r.signBy(1, 0, 1)
	return r.chain.pool[0]
}

// incoming is a payment to the cold wallet that somebody else sent and no block has.
func (r *rig) incoming(sats, fee int64) *wire.MsgTx {
	r.t.Helper()
	r.counter++
	source := wire.NewMsgTx(2)
	source.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256(fmt.Appendf(nil, "customer %d", r.counter))}, SignatureScript: []byte{0x51}})
	source.AddTxOut(wire.NewTxOut(sats+fee, []byte{0x51}))
	r.chain.mine(source)
	r.tick(context.Background())
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: source.TxHash()}, SignatureScript: []byte{0x51}})
	tx.AddTxOut(wire.NewTxOut(sats, must(r.cold.Derive(wallet.Receive, 20)).ScriptPubKey))
	r.chain.pool = append(r.chain.pool, tx)
	return tx
}

func (r *rig) conceives(o treasury.ChildOrder) (treasury.View, error) {
	return r.treasury.ProposeChild(context.Background(), carol, o)
}

// bears brings a child to its bundle.
func (r *rig) bears(o treasury.ChildOrder) treasury.View {
	r.t.Helper()
	v := must(r.conceives(o))
	for _, name := range []string{"alice", "bob"} {
		must(0, r.approve(v.Intent.Serial, name))
	}
	return r.look(v.Intent.Serial)
}

func ofSerial(serial uint64, rate int64) treasury.ChildOrder {
	return treasury.ChildOrder{Serial: serial, Output: -1, Rate: rate}
}

func ofTx(tx *wire.MsgTx, rate int64) treasury.ChildOrder {
	return treasury.ChildOrder{TxID: tx.TxHash(), Output: -1, Rate: rate}
}

func sizeOf(tx *wire.MsgTx) int64 {
	return int64(3*tx.SerializeSizeStripped()+tx.SerializeSize()+3) / 4
}

// A top-up hangs and its approvals have expired. A child spends its change back into the wallet, with restarts between all
// steps; the two reach the wanted rate, nothing leaves but the child's fee, and both are confirmed.
func TestAChildPaysForAStuckTopUp(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	parent := r.hangs()
	r.set(noon.Add(73 * time.Hour))
	wantCode(t, r.bump(1, 20_000), "intent-expired")
	plan := must(r.treasury.PlanChild(ctx, ofSerial(1, 20_000)))
	r.restart()
	v := r.bears(ofSerial(1, 20_000))
	serial := v.Intent.Serial
	if !v.Intent.IsChild() || v.Intent.Merges() || v.Intent.From != r.cold.ID() || v.Intent.To != r.cold.ID() || v.Intent.State != treasury.Sealed || v.Plan.Fee != plan.Fee || *v.Plan.Child != *plan.Child {
		t.Fatalf("%s (%s): %+v, planned %+v", v.Intent.State, v.Waiting, v.Plan, plan)
	}
	r.restart()
	_, packet, scope := r.opened(serial)
	f := must(bitcoin.Prove(packet, scope)).Facts()
	if len(f.Outputs) != 1 || f.Outputs[0].Role != effects.Destination || f.Outputs[0].Wallet != f.From || len(f.Inputs) != 1 || !strings.HasPrefix(f.Inputs[0].Outpoint, parent.TxHash().String()) {
		t.Fatalf("the child does %+v", f)
	}
	r.signBy(serial, 0)
	r.restart()
	r.signBy(serial, 2)
	child := r.chain.pool[1]
	parentFee := r.look(1).Plan.Fee
	size := sizeOf(parent) + sizeOf(child)
	if rate := (parentFee + v.Plan.Fee) * 1000 / size; rate < 20_000 || rate > 20_200 || plan.Child.Fee != parentFee || plan.Child.VirtualBytes != sizeOf(parent) {
		t.Errorf("the package pays %d; planned %+v", rate, plan.Child)
	}
	wantCode(t, func() error { _, err := r.conceives(ofSerial(1, 25_000)); return err }(), "child-live")
	r.restart()
	r.chain.mine()
	r.tick(ctx)
	after := must(r.records.Balance(ctx, r.cold.ID(), 1))
	if a, b := r.look(1).Intent.State, r.look(serial).Intent.State; a != treasury.Confirmed || b != treasury.Confirmed || after.Total != 5e8-2.5e8-parentFee-v.Plan.Fee || len(must(r.records.Halts(ctx))) != 0 {
		t.Errorf("parent %s, child %s, the wallet holds %d", a, b, after.Total)
	}
	wantCode(t, func() error { _, err := r.conceives(ofSerial(1, 25_000)); return err }(), "child-not-needed")
}

// Somebody's payment to us hangs. Its child is a child as well, and so may have one: all three are weighed together.
func TestAChildPaysForAnIncomingPaymentAndAGrandchildForBoth(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	parent := r.incoming(50_000_000, 200)
	v := r.bears(ofTx(parent, 5_000))
	r.signBy(v.Intent.Serial, 0, 1)
	w := r.bears(ofSerial(v.Intent.Serial, 12_000))
	if c := w.Plan.Child; c.Transactions != 2 || c.Fee != 200+v.Plan.Fee || c.RateAlone < 5_000 || c.PackageRate < 12_000 {
		t.Fatalf("the grandchild lifts %+v", c)
	}
	wantCode(t, r.bump(v.Intent.Serial, 50_000), "bump-beyond-change")
	r.signBy(w.Intent.Serial, 1, 2)
	wantCode(t, r.bump(v.Intent.Serial, 50_000), "bump-has-child")
	if n := len(r.chain.pool); n != 3 {
		t.Fatalf("%d transactions at the node", n)
	}
	r.chain.mine()
	r.tick(ctx)
	for _, serial := range []uint64{v.Intent.Serial, w.Intent.Serial} {
		if got := r.look(serial); got.Intent.State != treasury.Confirmed {
			t.Errorf("%d is %s (%s)", serial, got.Intent.State, got.Waiting)
		}
	}
}

// The parent is confirmed at every stage of its child's life; the child stays good.
func TestAConfirmedParentLeavesItsChildGood(t *testing.T) {
	for stage := range 4 {
		r := newRig(t)
		ctx := context.Background()
		parent := r.incoming(50_000_000, 200)
		confirm := func(at int) {
			if at == stage {
				r.chain.mine()
				r.tick(ctx)
				r.restart()
			}
		}
		v := must(r.conceives(ofTx(parent, 5_000)))
		serial := v.Intent.Serial
		confirm(0)
		must(0, r.approve(serial, "alice"))
		confirm(1)
		must(0, r.approve(serial, "bob"))
		confirm(2)
		r.signBy(serial, 0)
		confirm(3)
		r.signBy(serial, 1)
		r.chain.mine()
		r.tick(ctx)
		if v := r.look(serial); v.Intent.State != treasury.Confirmed {
			t.Errorf("confirmed at stage %d, the child is %s (%s)", stage, v.Intent.State, v.Waiting)
		}
	}
}

// A replacement of ours takes the parent's place while the child is not signed: the child ends and says why.
func TestAReplacedParentEndsItsChild(t *testing.T) {
	for _, signatures := range [][]int{nil, {0}} {
		r := newRig(t)
		r.hangs()
		v := r.bears(ofSerial(1, 20_000))
		r.signBy(v.Intent.Serial, signatures...)
		must(0, r.bump(1, 9_000))
		if v := r.look(v.Intent.Serial); v.Intent.State != treasury.Sealed {
			t.Errorf("nobody has signed the replacement, and the child is %s", v.Intent.State)
		}
		late := r.sealed(r.answerTo(v.Intent.Serial, 1))
		r.signBy(1, 0, 2)
		r.tick(context.Background())
		v = r.look(v.Intent.Serial)
		if v.Intent.State != treasury.Cancelled || !strings.HasPrefix(v.Ended, "the chain: parent-replaced: transaction ") || !strings.Contains(v.Ended, "of top-up 1 took the place") {
			t.Errorf("%s, ended %q", v.Intent.State, v.Ended)
		}
		_, err := r.give(late)
		wantCode(t, err, "intent-state")
		if n := len(r.chain.pool); n != 1 {
			t.Errorf("%d transactions at the node", n)
		}
	}
}

// Whoever sent us the stuck payment pays somebody else with the same coin. The child, signed or not, ends once the chain
// has that: a mempool alone is no evidence.
func TestAParentThatIsDoubleSpentEndsItsChild(t *testing.T) {
	for _, signatures := range [][]int{nil, {0, 1}} {
		r := newRig(t)
		ctx := context.Background()
		parent := r.incoming(50_000_000, 200)
		v := r.bears(ofTx(parent, 5_000))
		serial := v.Intent.Serial
		r.signBy(serial, signatures...)
		instead := wire.NewMsgTx(2)
		instead.AddTxIn(&wire.TxIn{PreviousOutPoint: parent.TxIn[0].PreviousOutPoint, SignatureScript: []byte{0x52}})
		instead.AddTxOut(wire.NewTxOut(49_000_000, []byte{0x51}))
		r.chain.pool = nil // the node takes the other one in its place, and the child falls with its parent
		before := r.look(serial).Intent.State
		r.tick(ctx)
		if v := r.look(serial); v.Intent.State != before {
			t.Errorf("a mempool's word alone made %s of a child that was %s", v.Intent.State, before)
		}
		r.chain.pool = nil
		r.chain.mine(instead)
		r.chain.picky = func(raw []byte) bool { return bytes.Equal(raw, rawOf(parent)) }
		r.tick(ctx)
		r.chain.mine()
		r.restart()
		r.chain.mine()
		r.tick(ctx)
		v = r.look(serial)
		if v.Intent.State != treasury.Cancelled || !strings.Contains(v.Ended, "parent-replaced: the chain spent what transaction "+parent.TxHash().String()) {
			t.Errorf("%s (%s), ended %q", v.Intent.State, v.Waiting, v.Ended)
		}
	}
}

// A node that lost its mempool is handed the parent before the child.
func TestTheParentIsSentBeforeTheChild(t *testing.T) {
	r := newRig(t)
	parent := r.incoming(50_000_000, 200)
	v := r.bears(ofTx(parent, 5_000))
	r.chain.pool = nil
	r.signBy(v.Intent.Serial, 0, 1)
	if len(r.chain.pool) != 2 || r.chain.pool[0].TxHash() != parent.TxHash() || r.chain.pool[1].TxIn[0].PreviousOutPoint.Hash != parent.TxHash() {
		t.Errorf("the node got %d transactions", len(r.chain.pool))
	}
}

// What the node has lost of ours comes out of the records; what it does not take any more is said, and stays sent for.
func TestANodeThatDropsTheParentIsHandedItAgain(t *testing.T) {
	r := newRig(t)
	parent := r.hangs()
	r.chain.pool = nil
	r.bears(ofSerial(1, 20_000))
	if len(r.chain.pool) != 1 || r.chain.pool[0].TxHash() != parent.TxHash() {
		t.Fatalf("the node has %d transactions", len(r.chain.pool))
	}
	foreign := r.incoming(50_000_000, 200)
	v := r.bears(ofTx(foreign, 5_000))
	r.chain.pool, r.chain.picky = nil, func(raw []byte) bool { return bytes.Equal(raw, rawOf(foreign)) }
	r.signBy(v.Intent.Serial, 0, 1)
	if v := r.look(v.Intent.Serial); v.Intent.State != treasury.Signed || !strings.Contains(v.Waiting, "parent: "+errNode.Error()) || len(r.chain.pool) != 0 {
		t.Errorf("%s, waits for %q, the node has %d", v.Intent.State, v.Waiting, len(r.chain.pool))
	}
	r.chain.picky = nil
	r.tick(context.Background())
	if v := r.look(v.Intent.Serial); v.Intent.State != treasury.Broadcast || len(r.chain.pool) != 2 {
		t.Errorf("%s, the node has %d", v.Intent.State, len(r.chain.pool))
	}
}

// signerPolicy is a policy of the keyholders with an edit, set at the daemon.
func (r *rig) signerPolicy(edits ...string) {
	r.t.Helper()
	text := string(policy.Template(spend.BitcoinRegtest, policy.Wallet{ID: r.cold.ID(), Name: "COLD-BTC-A", Tier: spend.Cold}, policy.Wallet{ID: r.hot.ID(), Name: "HOT-BTC-1", Tier: spend.Hot}))
	text = strings.Replace(text, "      - \""+r.hot.ID().String(), "      - \""+r.cold.ID().String()+"\"\n      - \""+r.hot.ID().String(), 1)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			r.t.Fatalf("the policy lacks %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	r.mustCommand(r.vouched(policyPaper, []byte(text), 0, 1)...)
}

// What signers would refuse is said before anything is built, with what can be reached and who sets the limit.
func TestAttack049AChildKeepsToTheSignersCaps(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	parent := r.incoming(50_000_000, 200)
	if p := must(r.treasury.PlanChild(ctx, ofTx(parent, 20_000))); p.Child.CapsKnown || !strings.Contains(p.Child.HighestBy, "daemon's configuration") {
		t.Errorf("without a policy: %+v", p.Child)
	}
	for name, c := range map[string]struct {
		edit, to, by string
		coin         int64
	}{
		"absolute": {`fee_max: "0.005 BTC"`, `fee_max: "0.00002 BTC"`, "fee_max of the signers' policy", 50_000_000},
		"rate":     {`fee_rate_max: "300 sat/vB"`, `fee_rate_max: "15 sat/vB"`, "fee_rate_max of the signers' policy", 50_000_000},
		"dust":     {`dust_min: "0.00001 BTC"`, `dust_min: "0.01 BTC"`, "the coin of 0.01002", 1_002_000},
	} {
		r := newRig(t)
		parent := r.incoming(c.coin, 200)
		r.signerPolicy(c.edit, c.to)
		_, err := r.conceives(ofTx(parent, 50_000))
		wantCode(t, err, "package-rate-unreachable")
		if err == nil || !strings.Contains(err.Error(), "(limit: "+c.by) {
			t.Errorf("%s: %v", name, err)
		}
		p := must(r.treasury.PlanChild(ctx, ofTx(parent, 3_000)))
		if !p.Child.CapsKnown || !strings.HasPrefix(p.Child.HighestBy, c.by) {
			t.Errorf("%s: %+v", name, p.Child)
		}
		if _, err := r.treasury.PlanChild(ctx, ofTx(parent, p.Child.HighestRate)); err != nil {
			t.Errorf("%s: the highest rate is refused: %v", name, err)
		}
		_, err = r.treasury.PlanChild(ctx, ofTx(parent, p.Child.HighestRate+1))
		wantCode(t, err, "package-rate-unreachable")
	}
	r.signerPolicy("      - \""+r.cold.ID().String()+"\"\n", "")
	_, err := r.conceives(ofTx(parent, 5_000))
	wantCode(t, err, "child-not-in-policy")
}

func TestChildrenThatAreNotConceived(t *testing.T) {
	r := newRig(t)
	parent := r.incoming(50_000_000, 200)
	stranger := wire.NewMsgTx(2)
	stranger.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: r.chain.blocks[2].Transactions[1].TxHash()}, SignatureScript: []byte{0x51}})
	stranger.AddTxOut(wire.NewTxOut(1000, []byte{0x51}))
	r.chain.pool = append(r.chain.pool, stranger)
	for name, c := range map[string]struct {
		order treasury.ChildOrder
		code  string
	}{
		"of an unknown top-up":        {ofSerial(9, 5_000), "intent-unknown"},
		"of one that was not sent":    {ofSerial(1, 5_000), "child-no-parent"},
		"of nothing":                  {treasury.ChildOrder{TxID: chainhash.Hash{7}, Output: -1, Rate: 5_000}, "child-no-parent"},
		"of a stranger's transaction": {ofTx(stranger, 5_000), "child-no-output"},
		"by an output of nobody":      {treasury.ChildOrder{TxID: parent.TxHash(), Output: 1, Rate: 5_000}, "child-no-output"},
		"at its own rate":             {ofTx(parent, 1_000), "package-rate-reached"},
		"beyond the daemon's cap":     {ofTx(parent, 100_001), "package-rate-unreachable"},
		"at no rate":                  {ofTx(parent, 0), "fee-rate-range"},
	} {
		_, err := r.conceives(c.order)
		t.Log(name)
		wantCode(t, err, c.code)
	}
	_, err := r.treasury.ProposeChild(context.Background(), treasury.Person{Name: "mallory"}, ofTx(parent, 5_000))
	wantCode(t, err, "proposer-unknown")
	v := must(r.conceives(ofTx(parent, 5_000)))
	_, err = r.conceives(ofTx(parent, 9_000))
	wantCode(t, err, "child-live")
	must(r.treasury.Cancel(context.Background(), carol, v.Intent.Serial, "too cheap", false))
	if again := must(r.conceives(ofTx(parent, 9_000))); again.Intent.Serial == v.Intent.Serial || r.look(v.Intent.Serial).Ended != "carol: too cheap" {
		t.Errorf("after it was cancelled (%q): %d", r.look(v.Intent.Serial).Ended, again.Intent.Serial)
	}
	r.chain.pool = slices.DeleteFunc(r.chain.pool, func(tx *wire.MsgTx) bool { return tx == parent })
	_, err = r.conceives(ofTx(parent, 9_000))
	wantCode(t, err, "child-no-parent")
}

// A node that tells nonsense about amounts has no child planned.
func TestAParentThatSpendsNothingIsNotPaidFor(t *testing.T) {
	r := newRig(t)
	parent := r.incoming(50_000_000, 200)
	parent.TxIn[0].PreviousOutPoint.Hash[0] ^= 1
	_, err := r.conceives(ofTx(parent, 5_000))
	wantCode(t, err, "parent-spends-nothing")
	rich := r.incoming(50_000_000, 200)
	rich.TxOut[0].Value = 50_000_201
	_, err = r.conceives(ofTx(rich, 5_000))
	wantCode(t, err, "package-senseless")
}
