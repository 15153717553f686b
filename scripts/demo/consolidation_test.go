package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console/ptytest"
)

const (
	smallCoins  = 500
	smallSats   = 20_000
	smallLimit  = "0.01" // BTC; what the wallet holds beside the deposits is more
	addressLast = 100    // deposits go to so many addresses
)

// plan is what warmctl --json says of what a bundle takes.
type plan struct {
	Inputs       int
	Frames       int
	Seconds      int
	PayloadBytes int `json:"payload_bytes"`
	BundleBytes  int `json:"bundle_bytes"`
	VirtualBytes int `json:"virtual_bytes"`
	Bundles      int
	Exact        bool
	Amount, Fee  struct{ Value string }
}

// deposits pays many small amounts into the cold wallet out of two transactions, as an exchange that batches pays them.
func (s *story) deposits(ctx context.Context) error {
	var addresses []string
	for index := range addressLast {
		address, err := s.must(s.coldsign(holders[0], "wallet", "address", coldName, strconv.Itoa(index)))
		if err != nil {
			return err
		}
		addresses = append(addresses, strings.TrimSpace(address))
	}
	for _, n := range []int{smallCoins - 50, 50} {
		var out []payment
		for i := range n {
			out = append(out, payment{addresses[i%addressLast], smallSats})
		}
		if _, err := s.miner.pay(ctx, out...); err != nil {
			return err
		}
	}
	return nil
}

// allowMerging lists each wallet that pays among those it may pay.
func allowMerging(policy string) string {
	rule := regexp.MustCompile(`(?m)^  - from: (".*?").*\n    to: .*\n`)
	return rule.ReplaceAllString(policy, "${0}      - ${1}\n")
}

// mergeReview is a keyholder who reads that nothing leaves, pages through the outputs, and retypes the fee and the number
// of inputs. It returns the first screen, and how long the key took after that.
func (s *story) mergeReview(h holder, request, answer, fee string) (screen string, took time.Duration, err error) {
	session, done, err := s.terminal(s.unlocked(h, "sign", request, "--out", answer))
	if err != nil {
		return "", 0, err
	}
	defer done()
	if err := session.ExpectScreen("NOTHING LEAVES", stepPatience); err != nil {
		return "", 0, err
	}
	screen = session.Screen()
	for _, press := range []struct{ key, then string }{{"i", "input 1 of 500"}, {"o", "outputs 2/2 seen"}, {"m", "Everything was shown"}, {"s", "Nothing leaves. Retype the fee"}} {
		if err := session.Send(press.key); err != nil {
			return screen, 0, err
		}
		if err := session.ExpectScreen(press.then, stepPatience); err != nil {
			return screen, 0, err
		}
	}
	return screen, took, s.retyped(session, fee+" "+strconv.Itoa(smallCoins), &took)
}

func (s *story) retyped(session *ptytest.Session, text string, took *time.Duration) error {
	began := time.Now()
	if err := session.Send(text + "\r"); err != nil {
		return err
	}
	code, err := session.Wait(stepPatience)
	if *took = time.Since(began); err != nil || code != 0 {
		return fmt.Errorf("sign ended with %d, %w\n%s", code, err, session.Text())
	}
	return nil
}

// Acceptance 7 of the signer: five hundred small deposits become one coin. It is planned, approved, shown, signed by a
// software key and by a key in a token, and confirmed by a real node; the screen says that nothing leaves.
func TestFiveHundredCoinsBecomeOne(t *testing.T) {
	s, _ := stage(t)
	s.edit = allowMerging
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.provision(ctx))
	must(s.deposits(ctx))

	var planned plan
	must(s.eventually(ctx, func() error {
		if err := s.mustJSON(s.warmctl("carol", "consolidation", "plan", "--wallet", coldName, "--below", smallLimit), &planned); err != nil {
			return err
		}
		if planned.Inputs != smallCoins {
			return fmt.Errorf("%d inputs planned", planned.Inputs)
		}
		return nil
	}))
	var proposed struct {
		topUp
		Kind string
		Plan plan
	}
	must(s.mustJSON(s.warmctl("carol", "consolidation", "propose", "--wallet", coldName, "--below", smallLimit), &proposed))
	if proposed.Kind != "consolidation" || proposed.Plan != planned || planned.Bundles != 1 || planned.Exact {
		t.Fatalf("planned %+v, proposed a %s with %+v", planned, proposed.Kind, proposed.Plan)
	}
	id := proposed.ID
	for _, person := range []string{"alice", "bob"} {
		_, err := s.must(s.approval(person, id, proposed.Amount.Value))
		must(err)
	}
	_, err := s.await(ctx, "sealed", func(u topUp) bool { return u.ID == id && u.State == "sealed" })
	must(err)
	var sealed struct{ Plan plan }
	must(s.mustJSON(s.warmctl("bob", "topup", "show", id), &sealed))
	_, err = s.must(s.warmctl("bob", "bundle", "export", id, "--out", s.bundleFile(id)))
	must(err)
	file, err := os.Stat(s.bundleFile(id))
	must(err)
	if !sealed.Plan.Exact || int(file.Size()) != sealed.Plan.BundleBytes || sealed.Plan.Fee != planned.Fee || sealed.Plan.Inputs != smallCoins {
		t.Errorf("the bundle has %d bytes, the plan says %+v, before %+v", file.Size(), sealed.Plan, planned)
	}
	// As a plain PSBT the batch would stand in each input; no wallet would read that, and it says so.
	if r, err := s.run(s.warmctl("bob", "bundle", "show", id, "--psbt", s.path("carried", "plain.psbt"))); err != nil || r.code != 3 || !strings.Contains(r.errs, "psbt-too-large") {
		t.Errorf("a plain PSBT: exit %d, %v\n%s", r.code, err, r.errs)
	}

	for _, h := range holders[:2] {
		must(s.signMerge(t, h, id, planned.Fee.Value))
	}
	must(s.confirmMerge(ctx, id))
	t.Logf("500 inputs: PSBT %d bytes, bundle %d bytes, %d frames, %d s at 5 a second, %d vB", sealed.Plan.PayloadBytes, sealed.Plan.BundleBytes,
		sealed.Plan.Frames, sealed.Plan.Seconds, sealed.Plan.VirtualBytes)
}

// signMerge has one keyholder sign, checks what the screen said, and brings the answer.
func (s *story) signMerge(t *testing.T, h holder, id, fee string) error {
	screen, took, err := s.mergeReview(h, s.bundleFile(id), s.answerFile(h, id), fee)
	if err != nil {
		return err
	}
	for _, want := range []string{"STAYS", "NOTHING LEAVES", "500/500 inputs proven"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, screen)
		}
	}
	fmt.Fprintf(s.transcript, "%s\n", screen)
	answer, err := os.Stat(s.answerFile(h, id))
	if err != nil {
		return err
	}
	t.Logf("key %s: %s from the confirmation to the answer of %d bytes", h.key, took.Round(time.Millisecond), answer.Size())
	_, err = s.must(s.warmctl("bob", "bundle", "import", s.answerFile(h, id)))
	return err
}

// confirmMerge has the chain confirm the consolidation and asks the node what it spends.
func (s *story) confirmMerge(ctx context.Context, id string) error {
	u, err := s.await(ctx, "broadcast", func(u topUp) bool { return u.ID == id && (u.State == "broadcast" || u.State == "confirmed") })
	if err != nil {
		return err
	}
	if err := s.miner.mine(ctx, 1); err != nil {
		return err
	}
	if _, err := s.await(ctx, "confirmed", func(u topUp) bool { return u.ID == id && u.State == "confirmed" }); err != nil {
		return err
	}
	var tx struct {
		Confirmations int
		Vin           []struct{}
		Vout          []struct{}
	}
	if err := s.node.Call(ctx, "getrawtransaction", &tx, u.TxID, 1); err != nil {
		return err
	}
	if tx.Confirmations < 1 || len(tx.Vin) != smallCoins || len(tx.Vout) != 2 {
		return fmt.Errorf("the node has it with %d confirmations, %d inputs, %d outputs", tx.Confirmations, len(tx.Vin), len(tx.Vout))
	}
	return nil
}

// eventually asks again and again; the daemon reads blocks by itself.
func (s *story) eventually(ctx context.Context, ask func() error) error {
	ctx, stop := context.WithTimeout(ctx, stepPatience)
	defer stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", stepPatience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
