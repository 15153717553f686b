package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/internal/wallet"
)

// somePlan is a plan of 500 coins that takes three bundles in all.
func somePlan() admin.Plan {
	return admin.Plan{Amount: admin.AmountOf(money.Sats(49_000_000)), Fee: admin.AmountOf(money.Sats(104_926)), FeeRate: admin.RateOf(2000),
		Change: admin.AmountOf(money.Sats(105_971)), VirtualBytes: 52_463, Inputs: 500, PayloadBytes: 226_110, BundleBytes: 250_000, Frames: 155, Seconds: 31, Bundles: 3}
}

func TestPlansAreSaidBeforeAnythingIsProposed(t *testing.T) {
	r := newRig(t)
	r.plan = somePlan()
	out := r.mustRun("consolidation", "plan", "--wallet", "COLD-BTC-A", "--below", "0.01")
	for _, want := range []string{"0.00104926 BTC, 2.000 sat/vB for 52463 vB", "500 inputs, about 250000 bytes (226110 without proofs)", "about 155 frames, 31 seconds", "2 more consolidations"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	r.plan.Frames, r.plan.Exact, r.plan.Bundles = 0, true, 1
	if out := r.mustRun("topup", "plan", "--wallet", "HOT-BTC-1"); !strings.Contains(out, "carry it as a file") || strings.Contains(out, "about") || strings.Contains(out, "more") {
		t.Errorf("the plan says\n%s", out)
	}
	want := fmt.Sprint([]any{admin.Planning{Kind: admin.KindConsolidation, Wallet: "COLD-BTC-A", Below: "0.01"}, admin.Planning{Kind: admin.KindTopUp, Wallet: "HOT-BTC-1"}})
	if got := fmt.Sprint(r.asked); got != want {
		t.Errorf("asked %s", got)
	}
	for _, args := range [][]string{{"consolidation", "plan"}, {"consolidation", "propose"}, {"topup", "bump", "7"}, {"topup", "bump", "7", "--fee-rate", "1,5"}, {"topup", "cancel", "7"}} {
		if code, _, _ := r.run(args...); code != console.Usage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

// Attack 040: whether something is a consolidation is read from the intent's bytes, not from what the daemon says.
func TestAttack040AConsolidationIsReadFromItsBytes(t *testing.T) {
	r := newRig(t)
	r.topUp.Kind = admin.KindConsolidation
	if out := r.mustRun("topup", "show", "7"); strings.Contains(out, "NOTHING LEAVES") {
		t.Errorf("a top-up to another wallet is shown as\n%s", out)
	}
	r.intent.To, r.plan = r.intent.From, somePlan()
	r.propose()
	r.topUp.Kind, r.topUp.Plan = admin.KindTopUp, &r.plan
	out := r.mustRun("consolidation", "propose", "--wallet", "COLD-BTC-A")
	address := must(r.cold.Derive(wallet.Receive, 4)).Address
	for _, want := range []string{"NOTHING LEAVES", groups(address), "500 inputs"} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q:\n%s", want, out)
		}
	}
	if out := r.mustRun("topup", "show", "7", "--json"); !strings.Contains(out, `"kind":"consolidation"`) {
		t.Errorf("shown as %s", out)
	}
}

func TestBumpAndCancelSayWhatHappened(t *testing.T) {
	r := newRig(t)
	r.sealBundle(r.topUp.Intent)
	r.topUp.BundleWords, r.topUp.Replaced, r.topUp.TxID = "zebra zoo", 1, "00"
	code, out, errs := r.run("topup", "bump", "7", "--fee-rate", "12.5")
	if code != console.Done || !strings.Contains(errs, "new bundle sealed, words: zebra zoo") || !strings.Contains(out, "1 earlier bundles") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	r.topUp.State = "cancelled"
	if code, _, errs := r.run("topup", "cancel", "7", "--reason", "typo", "--accept-risk", "given-signatures"); code != console.Done || !strings.Contains(errs, "top-up 7 is cancelled") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if got, want := fmt.Sprint(r.asked), fmt.Sprint([]any{"7", admin.Bumping{FeeRate: "12.5"}, "7", "typo", 1}); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

// A keyholder's refusal stands above everything else, with the command that ends the top-up.
func TestARefusalIsReadFirst(t *testing.T) {
	r := newRig(t)
	r.sealBundle(r.topUp.Intent)
	r.topUp.RefusedBy = []string{"key b: unexpected"}
	r.topUp.Answers = []admin.Answer{{Position: 1, Key: "b", Refusal: "unexpected", Receipt: true}, {Position: 2, Key: "c", Signed: true}}
	code, out, errs := r.run("topup", "show", "7")
	_, progress, _ := strings.Cut(out, "WORDS")
	_, progress, _ = strings.Cut(progress, "\n")
	if code != console.Done || !strings.HasPrefix(progress, "REFUSED BY key b: unexpected\n") || !strings.Contains(errs, "warmctl topup cancel 7") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if !strings.Contains(out, "key c signed, without receipt") {
		t.Errorf("a bare answer is not shown as such:\n%s", out)
	}
}

// A plain PSBT goes to its own door, as binary, as text with a line end, and from pictures; a bundle goes nowhere.
func TestAPlainPSBTIsImported(t *testing.T) {
	r := newRig(t)
	r.mustRun("bundle", "import", r.file("binary", []byte("psbt\xff and so on")))
	r.mustRun("bundle", "import", r.file("text", []byte("cHNidP8BAHE=\n")))
	dir := t.TempDir()
	for i, symbol := range must(transport.Symbols(transport.PSBT, []byte("psbt\xff from a camera"), transport.Options{})) {
		name := filepath.Join(dir, itoa(i)+".png")
		if err := console.WriteNew(name, must(symbol.PNG(transport.PNGScale)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.mustRun("bundle", "import", "--images", dir)
	want := [][]byte{[]byte("psbt\xff and so on"), []byte("cHNidP8BAHE="), []byte("psbt\xff from a camera")}
	if len(r.returned) != len(want) || len(r.answers) != 0 {
		t.Fatalf("handed in %q and %q", r.returned, r.answers)
	}
	for i := range want {
		if !bytes.Equal(r.returned[i], want[i]) {
			t.Errorf("handed in %q", r.returned[i])
		}
	}
	r.sealBundle(must(bundle.EncodeIntent(r.intent)))
	for _, other := range [][]byte{r.bundle, []byte("nothing of ours")} {
		if code, _, errs := r.run("bundle", "import", r.file("other", other)); code != console.NotAuthentic || !strings.Contains(errs, "answer-unreadable") {
			t.Errorf("exit %d\n%s", code, errs)
		}
	}
}

func TestUnprovenKeysTakeAConsent(t *testing.T) {
	r := newRig(t)
	label := wallet.Label{Name: "MIXED-1", Tier: spend.Warm, Network: spend.BitcoinRegtest}
	mixed := must(wallet.FromDescriptor(testWallet("OTHER", spend.Warm, "p", "q", "s").Descriptor(), label, wallet.AcceptUnproven()))
	file := r.file("mixed", mixed.Marshal())
	if code, _, errs := r.run("wallet", "add", file); code != console.Refused || !strings.Contains(errs, "--accept-risk unproven-keys") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if code, _, _ := r.run("wallet", "add", file, "--accept-risk", "all"); code != console.Usage {
		t.Errorf("an unnamed risk: exit %d", code)
	}
	r.mustRun("wallet", "add", file, "--accept-risk", "unproven-keys")
	if out := r.mustRun("wallet", "list"); !strings.Contains(out, "2 of 3, 3 unproven") {
		t.Errorf("listed as\n%s", out)
	}
}
