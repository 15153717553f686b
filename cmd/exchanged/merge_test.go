package main

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/internal/treasury"
)

var carol = treasury.Person{Name: "carol"}

// small is n times the same amount.
func small(n int, sats int64) []int64 { return slices.Repeat([]int64{sats}, n) }

// consolidate has carol propose, and alice and bob approve.
func (r *rig) consolidate(name, below string) treasury.View {
	r.t.Helper()
	limit := money.Amount{}
	if below != "" {
		limit = must(money.Parse(below, money.BTC))
	}
	v, err := r.treasury.Consolidate(context.Background(), carol, name, limit)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		if err := r.approve(v.Intent.Serial, name); err != nil {
			r.t.Fatal(err)
		}
	}
	return v
}

// consolidateWhileFeesRise has the fee rate rise fivefold between the proposal and the approvals. What people approved
// leaves room for the planned fee alone.
func (r *rig) consolidateWhileFeesRise(name, below string) {
	r.t.Helper()
	if _, err := r.treasury.Consolidate(context.Background(), carol, name, must(money.Parse(below, money.BTC))); err != nil {
		r.t.Fatal(err)
	}
	r.chain.dearer = 8000
	for _, name := range []string{"alice", "bob"} {
		if err := r.approve(2, name); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Forty deposits of a batch become one coin at the wallet's own next address. Nothing leaves but the fee, and everything
// was said before it was built.
func TestConsolidationFromProposalToConfirmation(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.deposit(r.cold, 10, small(40, 200_000)...)
	planned, err := r.treasury.PlanConsolidation(ctx, "COLD-BTC-A", must(money.Parse("0.01", money.BTC)))
	if err != nil {
		t.Fatal(err)
	}
	r.consolidateWhileFeesRise("COLD-BTC-A", "0.01")
	v := r.look(2)
	if !v.Intent.Merges() || v.Intent.ToIndex != 40 || v.Plan == nil || planned.Inputs != 40 || planned.Bundles != 1 {
		t.Fatalf("planned %+v, proposed %+v", planned, v.Plan)
	}
	serial := v.Intent.Serial
	v = r.look(serial)
	if v.Intent.State != treasury.Sealed || v.Plan.Inputs != 40 || v.Plan.Fee != planned.Fee || v.Plan.Change != planned.Change || v.Plan.Amount != planned.Amount {
		t.Fatalf("%s (%s): %+v", v.Intent.State, v.Waiting, v.Plan)
	}
	texts := must(transport.Frames(transport.CBOR, v.Bundle.Bytes, transport.Options{}))
	if v.Plan.BundleBytes != len(v.Bundle.Bytes) || v.Plan.Frames != len(texts) || v.Plan.Seconds() != (len(texts)+4)/5 {
		t.Errorf("the sealed bundle has %d bytes and %d frames: %+v", len(v.Bundle.Bytes), len(texts), v.Plan)
	}
	if off := math.Abs(float64(planned.BundleBytes)/float64(v.Plan.BundleBytes) - 1); off > 0.15 {
		t.Errorf("planned %d bytes, sealed %d", planned.BundleBytes, v.Plan.BundleBytes)
	}
	for _, position := range []int{2, 0} {
		if _, err := r.give(r.sealed(r.answerTo(serial, position))); err != nil {
			t.Fatal(err)
		}
	}
	r.chain.mine()
	r.tick(ctx)
	after := must(r.records.Balance(ctx, r.cold.ID(), 1))
	if v := r.look(serial); v.Intent.State != treasury.Confirmed || after.Total != 5e8+40*200_000-planned.Fee {
		t.Errorf("%s, the wallet holds %d", v.Intent.State, after.Total)
	}
	if coins := must(r.store.Coins(ctx, r.cold.ID())); len(coins) != 5+2 {
		t.Errorf("%d coins are left", len(coins))
	}
}

// One bundle takes as many coins as the caps allow, the smallest first; the plan says how many bundles follow.
func TestPlansKeepToTheCaps(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.configure("inputs_max: 500 ", "inputs_max: 12 ")
	r.restart()
	r.deposit(r.cold, 10, small(30, 300_000)...)
	plan, err := r.treasury.PlanConsolidation(ctx, "COLD-BTC-A", money.Amount{})
	if err != nil || plan.Inputs != 12 || plan.Bundles != 3 || plan.Amount+plan.Fee+plan.Change != 12*300_000 {
		t.Errorf("plan %+v, %v", plan, err)
	}
	r.configure("frames_max: 600 ", "frames_max: 7 ")
	r.restart()
	short, err := r.treasury.PlanConsolidation(ctx, "COLD-BTC-A", money.Amount{})
	if err != nil || short.Frames > 7 || short.Frames == 0 || short.Inputs >= 12 || short.Bundles <= 3 {
		t.Errorf("plan %+v, %v", short, err)
	}
	r.configure("frames_max: 7 ", "frames_max: 1 ")
	r.restart()
	_, err = r.treasury.PlanConsolidation(ctx, "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "frames-above-cap")

	r.configure("frames_max: 1 ", "frames_max: 0 ")
	r.configure("inputs_max: 12 ", "inputs_max: 2 ")
	r.restart()
	_, err = r.treasury.PlanTopUp(ctx, "") // 2.5 BTC out of coins of 1 BTC
	wantCode(t, err, "inputs-above-cap")
	if _, trouble, err := r.treasury.Overview(ctx); err != nil || len(trouble) != 0 {
		t.Errorf("top-up 1 is under way, and yet %q, %v", trouble, err)
	}
	r.expireFirst()
	if _, trouble, err := r.treasury.Overview(ctx); err != nil || len(trouble) != 1 || !strings.Contains(trouble[0], "inputs-above-cap") {
		t.Errorf("trouble %q, %v", trouble, err)
	}
	if list, _ := r.treasury.List(ctx); len(list) != 1 {
		t.Errorf("%d top-ups, one of which no bundle can hold", len(list))
	}
}

// What cannot be proposed is not planned again at every step, only when something has changed.
func TestAFailedPlanWaitsForABlock(t *testing.T) {
	r := newRig(t)
	r.configure("inputs_max: 500 ", "inputs_max: 2 ")
	r.restart()
	r.expireFirst()
	asked := r.chain.rates
	for range 5 {
		r.tick(context.Background())
	}
	if r.chain.rates != asked {
		t.Errorf("planned %d times more without a new block", r.chain.rates-asked)
	}
	r.deposit(r.cold, 20, 3e8) // one coin suffices now
	if v := r.look(2); v.Intent.State != treasury.Proposed || v.Plan.Inputs != 1 {
		t.Errorf("after the deposit: %s, %+v", v.Intent.State, v.Plan)
	}
}

// A top-up leaves the coins of a waiting consolidation alone while there are others, and takes them when it must: an
// empty hot wallet cannot wait. The consolidation then says what to do.
func TestTopUpsComeBeforeConsolidations(t *testing.T) {
	for _, scarce := range []bool{false, true} {
		r := newRig(t)
		ctx := context.Background()
		if !scarce {
			r.deposit(r.cold, 20, 4e8)
		}
		v, err := r.treasury.Consolidate(ctx, carol, "COLD-BTC-A", must(money.Parse("2", money.BTC)))
		if err != nil {
			t.Fatal(err)
		}
		merge := v.Intent.Serial
		for _, serial := range []uint64{1, merge} {
			for _, name := range []string{"alice", "bob"} {
				if err := r.approve(serial, name); err != nil {
					t.Fatal(err)
				}
			}
		}
		top, merged := r.look(1), r.look(merge)
		if top.Intent.State != treasury.Sealed {
			t.Fatalf("the top-up is %s: %s", top.Intent.State, top.Waiting)
		}
		switch {
		case !scarce && (merged.Intent.State != treasury.Sealed || top.Plan.Inputs != 1):
			t.Errorf("beside other coins: %s (%s), top-up of %d coins", merged.Intent.State, merged.Waiting, top.Plan.Inputs)
		case scarce && (merged.Intent.State != treasury.Approved || !strings.Contains(merged.Waiting, "planned-coins-gone")):
			t.Errorf("without other coins: %s (%s)", merged.Intent.State, merged.Waiting)
		}
		if scarce {
			if _, err := r.treasury.Cancel(ctx, carol, merge, "its coins are gone", false); err != nil {
				t.Error(err)
			}
		}
	}
}

// A wallet that merges its own coins loses none of them, so nothing refills it.
func TestConsolidatingAWatchedWalletIsNoNeed(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.deposit(r.hot, 0, small(20, 1e7)...) // 2 BTC, above the floor
	r.expireFirst()
	v := r.consolidate("HOT-BTC-1", "")
	if got := r.look(v.Intent.Serial); got.Intent.State != treasury.Sealed {
		t.Fatalf("%s: %s", got.Intent.State, got.Waiting)
	}
	r.chain.mine()
	r.tick(ctx)
	if list, _ := r.treasury.List(ctx); len(list) != 2 {
		t.Errorf("%d intents; the consolidation made the daemon propose a top-up", len(list))
	}
	tiers, _, err := r.treasury.Overview(ctx)
	if err != nil || tiers[0].Live != 0 || tiers[0].Balance != money.Sats(2e8) {
		t.Errorf("tier %+v, %v", tiers[0], err)
	}
	_, err = r.treasury.Consolidate(ctx, carol, "HOT-BTC-1", money.Amount{})
	wantCode(t, err, "topup-live")
}

func TestConsolidationsThatMakeNoSense(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	_, err := r.treasury.Consolidate(ctx, treasury.Person{Name: "mallory"}, "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "proposer-unknown")
	_, err = r.treasury.Consolidate(ctx, carol, "NO-SUCH", money.Amount{})
	wantCode(t, err, "wallet-unknown")
	_, err = r.treasury.Consolidate(ctx, carol, "HOT-BTC-1", money.Amount{})
	wantCode(t, err, "nothing-to-merge")
	r.deposit(r.hot, 0, 50_000, 300, 200) // the last two are not worth their fee twice
	_, err = r.treasury.PlanConsolidation(ctx, "HOT-BTC-1", money.Amount{})
	wantCode(t, err, "nothing-to-merge")
	r.behind = errNode
	_, err = r.treasury.PlanConsolidation(ctx, "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "chain-not-followed")
}

// The power goes between any two steps of a consolidation; it is proposed once and paid once.
func TestConsolidationSurvivesRestarts(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.deposit(r.cold, 10, small(6, 200_000)...)
	v, err := r.treasury.Consolidate(ctx, carol, "COLD-BTC-A", must(money.Parse("0.1", money.BTC)))
	if err != nil {
		t.Fatal(err)
	}
	serial := v.Intent.Serial
	r.restart()
	if err := r.approve(serial, "alice"); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if err := r.approve(serial, "bob"); err != nil {
		t.Fatal(err)
	}
	r.restart()
	for _, position := range []int{0, 1} {
		if _, err := r.give(r.sealed(r.answerTo(serial, position))); err != nil {
			t.Fatal(err)
		}
		r.restart()
	}
	r.chain.mine()
	r.tick(ctx)
	if v := r.look(serial); v.Intent.State != treasury.Confirmed || v.Plan.Inputs != 6 {
		t.Errorf("%s with %+v", v.Intent.State, v.Plan)
	}
	r.set(noon.Add(time.Hour))
}
