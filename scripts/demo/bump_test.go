package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A transaction is stuck: it pays too little and no block takes it. One person asks for a higher fee; A and B sign the
// replacement, whose screen says what it stands for; the real node drops the first one, and one payment is confirmed.
func TestAStuckTopUpIsReplaced(t *testing.T) {
	s, _ := stage(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.provision(ctx))
	must(s.allowDearFees(ctx))
	top, err := s.proposed(ctx)
	must(err)
	for _, person := range []string{"alice", "bob"} {
		_, err := s.must(s.approval(person, top.ID, top.Amount.Value))
		must(err)
	}
	_, err = s.await(ctx, "sealed", func(u topUp) bool { return u.ID == top.ID && u.State == "sealed" })
	must(err)
	must(s.signedFromFile(top.ID, "first"))
	stuck, err := s.await(ctx, "broadcast", func(u topUp) bool { return u.ID == top.ID && u.State == "broadcast" })
	must(err)

	var pays struct {
		Plan struct {
			FeeRate struct{ Value string } `json:"fee_rate"`
		}
	}
	must(s.mustJSON(s.warmctl("carol", "topup", "show", top.ID), &pays))
	if r, err := s.run(s.warmctl("carol", "topup", "bump", top.ID, "--fee-rate", pays.Plan.FeeRate.Value)); err != nil || r.code != 3 || !strings.Contains(r.errs, "bump-too-low") {
		t.Fatalf("a bump that no node would take: exit %d, %v\n%s", r.code, err, r.errs)
	}
	var bumped struct {
		topUp
		Replaced  int
		Replacing bool
	}
	rate, err := strconv.ParseFloat(pays.Plan.FeeRate.Value, 64)
	must(err)
	must(s.mustJSON(s.warmctl("carol", "topup", "bump", top.ID, "--fee-rate", fmt.Sprintf("%.1f", rate+12.5)), &bumped))
	if bumped.Replaced != 1 || !bumped.Replacing || bumped.TxID != stuck.TxID || bumped.BundleWords == stuck.BundleWords || len(bumped.Approvals) != 2 {
		t.Fatalf("bumped: %+v", bumped)
	}
	must(s.signedFromFile(top.ID, "second"))
	sent, err := s.await(ctx, "sent", func(u topUp) bool { return u.ID == top.ID && u.State == "broadcast" && u.TxID != stuck.TxID })
	must(err)
	var waiting []string
	must(s.node.Call(ctx, "getrawmempool", &waiting))
	if !slices.Equal(waiting, []string{sent.TxID}) {
		t.Errorf("the node holds %v, the replacement is %s", waiting, sent.TxID)
	}
	must(s.confirm(ctx, top.ID))
	must(s.onlyOneSpend(ctx, sent.TxID))
}

// allowDearFees raises the cap on fee rates: on a chain as young as this one the estimate may already lie at it.
func (s *story) allowDearFees(ctx context.Context) error {
	path := s.path(daemonData, "exchanged.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), "cap: 100000 ", "cap: 290000 ", 1)
	if changed == string(text) {
		return fmt.Errorf("%s has no cap to raise", path)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		return err
	}
	return s.crash(ctx)
}

// signedFromFile has A and B sign the live bundle of a top-up from a stick, and brings both answers.
func (s *story) signedFromFile(id, name string) error {
	request := s.path("carried", "topup-"+id+"-"+name+".bundle")
	if _, err := s.must(s.warmctl("bob", "bundle", "export", id, "--out", request)); err != nil {
		return err
	}
	for _, h := range holders[:2] {
		answer := s.path("carried", "topup-"+id+"-"+name+"-"+h.key+".answer")
		if err := s.review(h, request, answer); err != nil {
			return fmt.Errorf("keyholder %s: %w", h.key, err)
		}
		if _, err := s.must(s.warmctl("bob", "bundle", "import", answer)); err != nil {
			return err
		}
	}
	return nil
}
