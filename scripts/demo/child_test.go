package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cap sets the cap on fee rates in satoshi per 1000 vB and starts the daemon again.
func (s *story) cap(ctx context.Context, rate int) error {
	path := s.path(daemonData, "exchanged.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := bytes.Index(text, []byte("\n  cap: "))
	if at < 0 {
		return fmt.Errorf("%s has no cap", path)
	}
	rest := bytes.TrimLeft(text[at+len("\n  cap: "):], "0123456789")
	changed := fmt.Appendf(nil, "%s\n  cap: %d%s", text[:at], rate, rest)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		return err
	}
	return s.crash(ctx)
}

// lifted is what warmctl --json says of a child.
type lifted struct {
	topUp
	Kind  string
	Ended string
	Plan  struct {
		Fee          struct{ Value string }
		VirtualBytes int64 `json:"virtual_bytes"`
		Inputs       int
		Lifted       struct {
			Parent      string
			PackageRate struct{ Value string } `json:"package_rate"`
			HighestBy   string                 `json:"highest_by"`
			CapsKnown   bool                   `json:"caps_known"`
		}
	}
}

// stayReview is a keyholder who reads that nothing leaves but the fee, and retypes it with the number of inputs.
func (s *story) stayReview(h holder, request, answer, fee string) (screen string, err error) {
	return s.reviewed(s.unlocked(h, "sign", request, "--out", answer), "NOTHING LEAVES",
		[]press{{"o", "outputs 1/1 seen"}, {"m", "Everything was shown"}, {"s", "Nothing leaves. Retype the fee"}}, fee+" 1")
}

// born has two people approve a child, A and B sign it, and the node take it.
func (s *story) born(t *testing.T, child lifted) (topUp, error) {
	id, ctx := child.ID, t.Context()
	for _, person := range []string{"alice", "bob"} {
		if _, err := s.must(s.approval(person, id, child.Amount.Value)); err != nil {
			return topUp{}, err
		}
	}
	if _, err := s.await(ctx, "sealed", func(u topUp) bool { return u.ID == id && u.State == "sealed" }); err != nil {
		return topUp{}, err
	}
	if _, err := s.must(s.warmctl("bob", "bundle", "export", id, "--out", s.bundleFile(id))); err != nil {
		return topUp{}, err
	}
	for _, h := range holders[:2] {
		screen, err := s.stayReview(h, s.bundleFile(id), s.answerFile(h, id), child.Plan.Fee.Value)
		if err != nil {
			return topUp{}, fmt.Errorf("keyholder %s: %w", h.key, err)
		}
		for _, want := range []string{"STAYS", "NOTHING LEAVES", "1/1 inputs proven", "CHANGE   NONE"} {
			if !strings.Contains(strings.Join(strings.Fields(screen), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("the screen lacks %q:\n%s", want, screen)
			}
		}
		if _, err := s.must(s.warmctl("bob", "bundle", "import", s.answerFile(h, id))); err != nil {
			return topUp{}, err
		}
	}
	return s.await(ctx, "sent", func(u topUp) bool { return u.ID == id && u.State == "broadcast" })
}

// packageRate asks the node what the transactions in its mempool pay together, in satoshi per virtual byte.
func (s *story) packageRate(ctx context.Context, txids ...string) (float64, error) {
	var pool map[string]struct {
		Fee   float64
		Vsize int64
	}
	if err := s.node.Call(ctx, "getrawmempool", &pool, true); err != nil {
		return 0, err
	}
	fee, size := 0.0, int64(0)
	for _, txid := range txids {
		tx, waits := pool[txid]
		if !waits {
			return 0, fmt.Errorf("the node does not hold %s: %v", txid, pool)
		}
		fee, size = fee+tx.Fee*btc, size+tx.Vsize
	}
	return fee / float64(size), nil
}

// stuckTopUp brings the daemon's top-up to the node at the least fee that is relayed, where no block takes it.
func (s *story) stuckTopUp(ctx context.Context) (topUp, error) {
	top, err := s.proposed(ctx)
	if err != nil {
		return top, err
	}
	if err := s.cap(ctx, 1000); err != nil {
		return top, err
	}
	for _, person := range []string{"alice", "bob"} {
		if _, err := s.must(s.approval(person, top.ID, top.Amount.Value)); err != nil {
			return top, err
		}
	}
	if _, err := s.await(ctx, "sealed", func(u topUp) bool { return u.ID == top.ID && u.State == "sealed" }); err != nil {
		return top, err
	}
	if err := s.signedFromFile(top.ID, "stuck"); err != nil {
		return top, err
	}
	return s.await(ctx, "broadcast", func(u topUp) bool { return u.ID == top.ID && u.State == "broadcast" })
}

// tellLimits gives the daemon its copy of the signers' policy, as the keyholders signed it.
func (s *story) tellLimits() error {
	policy := s.path("records", "policy.yaml")
	_, err := s.must(call{program: "exchanged", args: []string{"policy", "set", policy, "--signature", policy + ".sig-a", "--signature", policy + ".sig-b", "--data", s.path(daemonData)}})
	return err
}

// A top-up hangs at the least fee that nodes relay. A child that spends its change lifts both to the wanted rate: two people
// approve it, a software key and a token sign it, the real node takes it, and one block has both. Then a customer's payment
// hangs, and its child lifts that.
func TestAStuckTransactionIsPaidForByItsChild(t *testing.T) {
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
	stuck, err := s.stuckTopUp(ctx)
	must(err)
	must(s.cap(ctx, 290_000))
	must(s.tellLimits())
	before, err := s.packageRate(ctx, stuck.TxID)
	if err != nil || before > 1.1 {
		t.Fatalf("the stuck top-up pays %.2f sat/vB, %v", before, err)
	}
	if r, err := s.run(s.warmctl("carol", "child", "plan", "--of", stuck.ID, "--fee-rate", "1000")); err != nil || r.code != 3 ||
		!strings.Contains(r.errs, "package-rate-unreachable") || !strings.Contains(r.errs, "limit: the cap on fee rates in the daemon's configuration") {
		t.Fatalf("a rate that no cap allows: exit %d, %v\n%s", r.code, err, r.errs)
	}
	var child lifted
	must(s.mustJSON(s.warmctl("carol", "child", "propose", "--of", stuck.ID, "--fee-rate", "25"), &child))
	if child.Kind != "child" || child.Plan.Lifted.Parent != stuck.TxID || !child.Plan.Lifted.CapsKnown || child.Plan.Inputs != 1 {
		t.Fatalf("proposed: %+v", child)
	}
	sent, err := s.born(t, child)
	must(err)
	s.liftedTo(t, 25, stuck.TxID, sent.TxID)
	must(s.miner.mine(ctx, 1))
	for _, id := range []string{stuck.ID, child.ID} {
		_, err := s.await(ctx, "confirmed", func(u topUp) bool { return u.ID == id && u.State == "confirmed" })
		must(err)
	}
	must(s.inLastBlock(ctx, stuck.TxID, sent.TxID))
	must(s.balances())
	s.incomingHangs(t)
}

func (s *story) liftedTo(t *testing.T, want float64, txids ...string) {
	t.Helper()
	got, err := s.packageRate(t.Context(), txids...)
	if err != nil || got < want || got > want*1.03 {
		t.Errorf("the package pays %.2f sat/vB, wanted %.2f, %v", got, want, err)
	}
	t.Logf("%d transactions pay %.2f sat/vB together", len(txids), got)
}

// inLastBlock asks the node whether its last block has the transactions.
func (s *story) inLastBlock(ctx context.Context, txids ...string) error {
	var height int64
	if err := s.node.Call(ctx, "getblockcount", &height); err != nil {
		return err
	}
	var hash string
	if err := s.node.Call(ctx, "getblockhash", &hash, height); err != nil {
		return err
	}
	var block struct{ Tx []string }
	if err := s.node.Call(ctx, "getblock", &block, hash, 1); err != nil {
		return err
	}
	for _, txid := range txids {
		if !slices.Contains(block.Tx, txid) {
			return fmt.Errorf("block %d has %v, not %s", height, block.Tx, txid)
		}
	}
	return nil
}

// incomingHangs lifts a payment that somebody else sent.
func (s *story) incomingHangs(t *testing.T) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	to, err := s.must(s.coldsign(holders[0], "wallet", "address", coldName, strconv.Itoa(30)))
	must(err)
	tx, err := s.miner.signed(ctx, 160, payment{strings.TrimSpace(to), btc / 2})
	must(err)
	txid, err := s.miner.send(ctx, tx)
	must(err)
	if r, err := s.run(s.warmctl("carol", "child", "propose", "--of", txid, "--output", "1", "--fee-rate", "12.5")); err != nil || r.code != 3 || !strings.Contains(r.errs, "child-no-output") {
		t.Fatalf("by the customer's own change: exit %d, %v\n%s", r.code, err, r.errs)
	}
	var child lifted
	must(s.mustJSON(s.warmctl("carol", "child", "propose", "--of", txid, "--fee-rate", "12.5"), &child))
	sent, err := s.born(t, child)
	must(err)
	s.liftedTo(t, 12.5, txid, sent.TxID)
	must(s.miner.mine(ctx, 1))
	_, err = s.await(ctx, "confirmed", func(u topUp) bool { return u.ID == child.ID && u.State == "confirmed" })
	must(err)
	must(s.inLastBlock(ctx, txid, sent.TxID))
}
