package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// pays makes the rig's intent a payment to an entry of the address book.
func (r *rig) pays() {
	r.intent.Purpose, r.intent.To, r.intent.ToIndex, r.intent.Entry = spend.Payment, spend.WalletID{}, 0, "otc-desk"
	r.propose()
}

// exchangePins puts one pinned wallet in the place of the other.
func (r *rig) exchangePins() {
	r.t.Helper()
	name := func(id spend.WalletID) string { return filepath.Join(r.home, "wallets", id.String()+".wallet") }
	must(0, os.WriteFile(name(r.hot.ID()), r.cold.Marshal(), 0o600))
}

// What a person approves of a payment is read from the intent: whom it pays, and that it leaves our wallets. The address
// beside it is marked as the daemon's word.
func TestAPaymentIsShownAsLeavingOurWallets(t *testing.T) {
	r := newRig(t)
	r.pays()
	r.plan = admin.Plan{Amount: r.topUp.Amount, Address: "bcrt1qtheirs"}
	r.topUp.Plan, r.topUp.Kind, r.topUp.To = &r.plan, admin.KindTopUp, "HOT-BTC-1" // the daemon lies
	out := r.mustRun("topup", "show", "7")
	for _, want := range []string{"OUTSIDE OUR WALLETS: entry otc-desk of the address book", "bcrt 1qth eirs", "as the daemon's copy of the book has it"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "HOT-BTC-1") || strings.Contains(out, "derived here") {
		t.Errorf("it names a wallet:\n%s", out)
	}
	if view := r.mustRun("topup", "show", "7", "--json"); !strings.Contains(view, `"kind":"payment"`) || !strings.Contains(view, `"entry":"otc-desk"`) || !strings.Contains(view, `"to_id":""`) {
		t.Errorf("as JSON: %s", view)
	}
	if code, _, errs := r.run("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5"); code != console.Done || len(r.approved) != 1 {
		t.Errorf("approve: exit %d\n%s", code, errs)
	}
}

// An address of a pinned wallet is no entry's, on either branch: where customers pay to that wallet, one of them would be
// credited with the house's money. Whoever approves has the wallet and need not believe the daemon that it looked.
func TestAPaymentToAWalletOfOursIsNotApproved(t *testing.T) {
	for _, address := range []func(r *rig) string{
		func(r *rig) string { return must(r.hot.Derive(wallet.Receive, 0)).Address },
		func(r *rig) string { return must(r.hot.Derive(wallet.Receive, oursMax-1)).Address },
		func(r *rig) string { return must(r.cold.Derive(wallet.ChangeBranch, 17)).Address },
	} {
		r := newRig(t)
		r.pays()
		r.topUp.Plan = &admin.Plan{Amount: r.topUp.Amount, Address: address(r)}
		code, _, errs := r.run("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5")
		if code != console.Refused || !strings.Contains(errs, "payment-to-ours") || len(r.approved) != 0 {
			t.Errorf("exit %d, %d approvals\n%s", code, len(r.approved), errs)
		}
	}
}

func TestPaymentsAndChildrenAreAskedForByName(t *testing.T) {
	r := newRig(t)
	r.plan.Lifted = &admin.Lifted{Parent: "4fd1", Transactions: 2, VirtualBytes: 400, Fee: admin.AmountOf(money.Sats(400)), RateAlone: admin.RateOf(1000),
		PackageRate: admin.RateOf(25_000), HighestRate: admin.RateOf(90_000), HighestBy: "fee_max of the signers' policy"}
	r.mustRun("payment", "propose", "--wallet", "COLD-BTC-A", "--entry", "otc-desk", "--amount", "1.5")
	out := r.mustRun("child", "plan", "--of", "7", "--output", "1", "--fee-rate", "25")
	r.mustRun("child", "propose", "--of", "7", "--fee-rate", "12.5")
	want := []any{admin.Paying{Wallet: "COLD-BTC-A", Entry: "otc-desk", Amount: "1.5"}, admin.Bearing{Of: "7", FeeRate: "12.5"}}
	if len(r.asked) != 3 || r.asked[0] != want[0] || r.asked[2] != want[1] || *r.asked[1].(admin.Planning).Child != (admin.Bearing{Of: "7", Output: "1", FeeRate: "25"}) {
		t.Errorf("asked %+v", r.asked)
	}
	for _, line := range []string{"PARENT     4fd1", "with 1 ancestors that no block has it pays 0.00000400 BTC for 400 vB", "PACKAGE    25.000 sat/vB with the child; at most 90.000 (limit: fee_max",
		"SIGNERS    the daemon has no copy"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if out := r.mustRun("payment", "entries", "--wallet", "COLD-BTC-A"); !strings.Contains(out, "otc-desk  bcrt1qtheirs") {
		t.Errorf("entries:\n%s", out)
	}
	for _, args := range [][]string{{"payment", "propose", "--wallet", "COLD-BTC-A", "--entry", "otc-desk"}, {"payment", "plan"}, {"payment", "entries"},
		{"child", "plan", "--of", "7"}, {"child", "propose", "--fee-rate", "25"}, {"child", "propose", "--of", "7", "--fee-rate", "dear"}} {
		if code, _, errs := r.run(args...); code != console.Usage {
			t.Errorf("%v: exit %d\n%s", args, code, errs)
		}
	}
}

// What is pinned was verified once. A file that is another wallet now, or none, is somebody's work, and exits 5.
func TestAttack053AChangedPinIsNotAuthentic(t *testing.T) {
	for name, change := range map[string]func(r *rig, path string){
		"exchanged": func(r *rig, _ string) { r.exchangePins() },
		"changed": func(r *rig, path string) {
			must(0, os.WriteFile(path, []byte(strings.Replace(string(r.hot.Marshal()), "HOT-BTC-1", "HOT BTC 1", 1)), 0o600))
		},
		"emptied": func(_ *rig, path string) { must(0, os.WriteFile(path, nil, 0o600)) },
	} {
		r := newRig(t)
		change(r, filepath.Join(r.home, "wallets", r.hot.ID().String()+".wallet"))
		for _, args := range [][]string{{"topup", "show", "7"}, {"wallet", "list"}, {"topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5"}} {
			code, _, errs := r.run(args...)
			if code != console.NotAuthentic || !strings.Contains(errs, "pinned wallet ") || !strings.Contains(errs, "hint: find out who changed this home") {
				t.Errorf("%s, %v: exit %d\n%s", name, args, code, errs)
			}
		}
	}
}
