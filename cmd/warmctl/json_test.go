package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/scripts/jsondoc"
)

// busyDesk is a daemon with something in every list.
type busyDesk struct{ *daemon }

func (d busyDesk) Status(ctx context.Context) (admin.Status, error) {
	s, err := d.daemon.Status(ctx)
	one := admin.AmountOf(money.Sats(100000000))
	s.Time, s.Trouble = noon, []string{"the chain is not followed to its tip"}
	s.Tiers = []admin.TierStatus{{Wallet: "HOT-BTC-1", From: "COLD-BTC-A", Balance: one, Floor: one, Target: one, Below: true, TopUp: "7"}}
	return s, err
}

func (d busyDesk) Wallets(context.Context) ([]admin.Wallet, error) {
	one := admin.AmountOf(money.Sats(100000000))
	return []admin.Wallet{{ID: "00", Name: "HOT-BTC-1", Tier: "hot", Threshold: 2, Keys: 3, Words: "abandon", Balance: one, Reserved: one, Spendable: one}}, nil
}

func (d busyDesk) Events(context.Context, uint64, string) ([]admin.Event, error) {
	return []admin.Event{{Seq: 1, At: noon, What: "daemon-started", Detail: json.RawMessage(`{"version":"development"}`)},
		{Seq: 2, At: noon, TopUp: "7", What: "intent-proposed", Detail: json.RawMessage(`{"serial":7}`)}}, nil
}

// settle fills in everything that a top-up has at its end.
func (r *rig) settle() {
	fee := admin.AmountOf(money.Sats(612))
	r.topUp.State, r.topUp.TxID, r.topUp.Fee, r.topUp.Confirmations, r.topUp.Waiting = "confirmed", "00", &fee, 1, "a person"
	r.topUp.Approvals = []admin.Approval{{Person: "bob", Role: "approver", Device: "file", Key: "SHA256:x"}}
	r.topUp.Answers = []admin.Answer{{Position: 0, Key: "a", At: noon, Signed: true, Receipt: true}, {Position: 1, Key: "b", At: noon, Refusal: "unexpected", Receipt: true}}
	r.plan.Exact = true
	r.topUp.Plan, r.topUp.Replaced, r.topUp.Replacing, r.topUp.RefusedBy = &r.plan, 1, true, []string{"key b: unexpected"}
	r.topUp.BundleWords, r.topUp.Ended = "abandon", "carol: typo"
}

// enrollsAtABusyDesk serves a second daemon, and makes a second home for it.
func (r *rig) enrollsAtABusyDesk(prints func(...string)) {
	r.t.Helper()
	authority := must(admin.NewAuthority("coldsign regtest", r.begin, rand.Reader))
	cert, key, err := authority.IssueServer([]string{"127.0.0.1"}, r.begin, rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	server := &admin.Server{Views: busyDesk{r.daemon}, TopUps: r.daemon, Bundles: r.daemon, Plans: r.daemon, Changes: r.daemon, Staff: r.daemon, Log: slog.New(slog.DiscardHandler), Now: r.now}
	config, listener := must(server.TLS(authority.CertPEM(), cert, key)), must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, config) }()
	r.t.Cleanup(func() { cancel(); <-done })
	r.home = filepath.Join(r.t.TempDir(), "home")
	prints("init", "--name", "alice", "--server", "https://"+listener.Addr().String(), "--ca", r.file("ca.crt", authority.CertPEM()))
	request := must(os.ReadFile(filepath.Join(r.home, "tls.csr")))
	prints("enroll", "--cert", r.file("alice.crt", must(authority.IssuePerson("alice", request, r.begin, rand.Reader))))
}

// Every object that warmctl prints for --json is as docs/json.md says, and every schema there is printed.
func TestJSONIsAsDocumented(t *testing.T) {
	token := hsmtest.New(t, "people")
	doc := must(jsondoc.Read("../../docs/json.md"))
	seen, asked := map[string]bool{}, []string{"warmctl key new"}
	documented := func(line string) {
		t.Helper()
		schema, err := doc.Check("warmctl", []byte(line))
		if err != nil {
			t.Error(err)
		}
		seen[schema] = true
	}
	r := newRig(t)
	prints := func(args ...string) {
		t.Helper()
		asked = append(asked, "warmctl "+strings.Join(args, " "))
		documented(r.mustRun(append(args, "--json")...))
	}
	r.approvesAChange(prints)
	prints("wallet", "add", r.file("cold", r.cold.Marshal()))
	prints("wallet", "list")
	prints("wallet", "address", "HOT-BTC-1", "4")
	code, line, errs := r.giveFD("--pin-fd", hsmtest.UserPIN, "key", "new", "alice-1", "--token", "people", "--module", token.Module, "--json")
	if code != console.Done {
		t.Fatal(errs)
	}
	documented(line)
	prints("key", "list")
	r.plan = admin.Plan{Amount: r.topUp.Amount, Fee: admin.AmountOf(money.Sats(612)), FeeRate: admin.RateOf(2000), Change: admin.AmountOf(money.Sats(49999388)),
		VirtualBytes: 306, Inputs: 3, PayloadBytes: 1212, BundleBytes: 3537, Frames: 5, Seconds: 1, Bundles: 1}
	prints("topup", "plan")
	prints("topup", "propose")
	prints("topup", "cancel", "7", "--reason", "typo")
	prints("topup", "bump", "7", "--fee-rate", "25")
	prints("consolidation", "plan", "--wallet", "COLD-BTC-A")
	prints("consolidation", "propose", "--wallet", "COLD-BTC-A")
	r.plan.Address = "bcrt1qtheirs"
	r.plan.Lifted = &admin.Lifted{Parent: "00", Transactions: 1, VirtualBytes: 200, Fee: admin.AmountOf(money.Sats(200)), RateAlone: admin.RateOf(1000),
		PackageRate: admin.RateOf(25000), HighestRate: admin.RateOf(90000), HighestBy: "fee_max of the signers' policy", CapsKnown: true}
	paying := []string{"--wallet", "COLD-BTC-A", "--entry", "otc-desk", "--amount", "1.5"}
	prints(append([]string{"payment", "plan"}, paying...)...)
	prints(append([]string{"payment", "propose"}, paying...)...)
	prints("payment", "entries", "--wallet", "COLD-BTC-A")
	prints("child", "plan", "--of", "7", "--fee-rate", "25")
	prints("child", "propose", "--of", "7", "--fee-rate", "25")
	prints("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5")
	r.sealBundle(r.topUp.Intent)
	r.settle()
	prints("topup", "list")
	prints("topup", "show", "7")
	prints("bundle", "list")
	dir := t.TempDir()
	prints("bundle", "show", "7", "--png", filepath.Join(dir, "frames"), "--html", filepath.Join(dir, "page.html"), "--out", filepath.Join(dir, "b"))
	prints("bundle", "export", "7", "--out", filepath.Join(dir, "c"))
	refusal := must(bundle.SealAnswer(bundle.Answer{Wallet: r.cold.ID(), Position: 1, Counter: 1, Refusal: "limit-exceeded"}, r.key, rand.Reader))
	prints("bundle", "import", r.file("answer", refusal))
	_, _, errs = r.run("wallet", "address", "HOT-BTC-2", "4", "--json")
	documented(errs)
	r.enrollsAtABusyDesk(prints)
	prints("status")
	prints("events")
	if left := jsondoc.Unasked(newRootCmd(&app{Console: &console.Console{}}), asked); len(left) > 0 {
		t.Errorf("not asked: %q", left)
	}
	if got, want := slices.Sorted(maps.Keys(seen)), slices.Sorted(slices.Values(append(doc.Schemas("warmctl"), doc.Schemas(jsondoc.Everywhere)...))); !slices.Equal(got, want) {
		t.Errorf("schemas seen:\n%s\nof docs/json.md:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
