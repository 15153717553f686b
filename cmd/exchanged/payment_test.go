package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	effects "github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

const (
	deskAddress  = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	otherAddress = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"
)

func bookOf(serial int, network spend.Network, entries ...string) []byte {
	text := fmt.Sprintf("coldsign: address-book/v1\nserial: %d\nnetwork: %s\nentries:\n", serial, network)
	for i := 0; i < len(entries); i += 2 {
		text += fmt.Sprintf("  - name: %s\n    address: \"%s\"\n    confirmed: false\n", entries[i], entries[i+1])
	}
	return []byte(text)
}

// vouched writes a paper and the signatures of keyholders of the cold wallet, and returns what `set` takes.
func (r *rig) vouched(kind paperKind, data []byte, signers ...int) []string {
	r.t.Helper()
	args := []string{string(kind), "set", r.file(string(kind), data)}
	for _, i := range signers {
		armored := must(seal.Sign(r.signers[i].receipt, kind.namespace(), data, rand.Reader))
		args = append(args, "--signature", r.file(fmt.Sprintf("%s.sig-%d", kind, i), armored))
	}
	return args
}

func (r *rig) setBook(entries ...string) {
	r.t.Helper()
	r.mustCommand(r.vouched(bookPaper, bookOf(1, spend.BitcoinRegtest, entries...), 0, 1)...)
}

func (r *rig) pay(entry string, sats int64) (treasury.View, error) {
	return r.treasury.Pay(context.Background(), carol, treasury.Payment{Wallet: "COLD-BTC-A", Entry: entry, Amount: money.Sats(sats)})
}

// A payment goes to the address of the book's entry, to the satoshi, and is followed to the chain; its fee is raised on
// the way.
func TestAPaymentFromProposalToConfirmation(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.setBook("otc-desk", deskAddress, "lender", otherAddress)
	planned := must(r.treasury.PlanPayment(ctx, treasury.Payment{Wallet: "COLD-BTC-A", Entry: "otc-desk", Amount: money.Sats(1.5e8)}))
	v := must(r.pay("otc-desk", 1.5e8))
	serial := v.Intent.Serial
	if !v.Intent.Pays() || v.To != "otc-desk" || v.Intent.To != (spend.WalletID{}) || v.Plan.Address != deskAddress || v.Plan.Amount != planned.Amount || planned.Address != deskAddress {
		t.Fatalf("proposed %+v with %+v", v.Intent, v.Plan)
	}
	r.restart()
	for _, name := range []string{"alice", "bob"} {
		must(0, r.approve(serial, name))
	}
	paid := r.leaving(serial)
	sats, _ := paid[0].Amount.Int64()
	if len(paid) != 1 || paid[0].Role != effects.External || paid[0].Address != deskAddress || sats != 1.5e8 {
		t.Fatalf("the bundle pays %+v", paid)
	}
	r.signBy(serial, 0, 1)
	must(0, r.bump(serial, 9_000))
	if again := r.leaving(serial); len(again) != 1 || again[0] != paid[0] {
		t.Fatalf("the replacement pays %+v", again)
	}
	r.restart()
	r.signBy(serial, 1, 2)
	r.chain.mine()
	r.tick(ctx)
	if v := r.look(serial); v.Intent.State != treasury.Confirmed || v.Plan.FeeRate != 9_000 {
		t.Errorf("%s (%s)", v.Intent.State, v.Waiting)
	}
	out := r.chain.blocks[len(r.chain.blocks)-1].Transactions[1]
	script := must(bitcoin.AddressScript(spend.BitcoinRegtest, deskAddress))
	found := false
	for _, o := range out.TxOut {
		found = found || o.Value == 1.5e8 && string(o.PkScript) == string(script)
	}
	if !found {
		t.Errorf("the chain has %+v", out.TxOut)
	}
}

func TestPaymentsThatAreNotProposed(t *testing.T) {
	ours := func(r *rig) string { return must(r.hot.Derive(wallet.Receive, 3)).Address }
	for name, c := range map[string]struct {
		before func(r *rig)
		entry  string
		sats   int64
		code   string
	}{
		"without a book":             {func(*rig) {}, "otc-desk", 1e6, "book-missing"},
		"to an unknown entry":        {func(r *rig) { r.setBook("otc-desk", deskAddress) }, "otc", 1e6, "book-entry-unknown"},
		"below dust":                 {func(r *rig) { r.setBook("otc-desk", deskAddress) }, "otc-desk", 293, "output-dust"},
		"more than there is":         {func(r *rig) { r.setBook("otc-desk", deskAddress) }, "otc-desk", 5e8, "funds-insufficient"},
		"to a wallet of ours":        {func(r *rig) { r.setBook("hot", ours(r)) }, "hot", 1e6, "book-entry-ours"},
		"to no address":              {func(r *rig) { r.setBook("otc-desk", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081") }, "otc-desk", 1e6, "address-invalid"},
		"to another network's entry": {func(r *rig) { r.setBook("otc-desk", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq") }, "otc-desk", 1e6, "address-invalid"},
		"with another network's book": {func(r *rig) {
			must(0, folder(r.dir).keepPaper(bookPaper, treasury.Paper{Data: bookOf(1, spend.BitcoinMainnet, "otc-desk", deskAddress)}))
		}, "otc-desk", 1e6, "book-other-network"},
		"with a book that nobody signed": {func(r *rig) {
			must(0, folder(r.dir).keepPaper(bookPaper, treasury.Paper{Data: bookOf(1, spend.BitcoinRegtest, "otc-desk", deskAddress)}))
		}, "otc-desk", 1e6, "book-quorum"},
		"with a book changed on disk": {func(r *rig) {
			r.setBook("otc-desk", deskAddress)
			kept := must(os.ReadFile(paper{folder(r.dir), bookPaper}.kept(bookOf(1, spend.BitcoinRegtest, "otc-desk", deskAddress), ".signatures")))
			forged := bookOf(1, spend.BitcoinRegtest, "otc-desk", otherAddress)
			must(0, os.WriteFile(folder(r.dir).path("book"), forged, 0o600))
			must(0, os.WriteFile(paper{folder(r.dir), bookPaper}.kept(forged, ".signatures"), kept, 0o600))
		}, "otc-desk", 1e6, "book-quorum"},
		"by a stranger": {func(r *rig) { r.setBook("otc-desk", deskAddress); r.setRoster("alice", "bob") }, "otc-desk", 1e6, "proposer-unknown"},
		"twice at once": {func(r *rig) { r.setBook("otc-desk", deskAddress); must(r.pay("otc-desk", 1e6)) }, "otc-desk", 1e6, "payment-live"},
		"while an alarm stands": {func(r *rig) {
			r.setBook("otc-desk", deskAddress)
			must(0, r.store.Halt(context.Background(), "drill", "stop"))
		}, "otc-desk", 1e6, "halted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c.before(r)
			_, err := r.pay(c.entry, c.sats)
			wantCode(t, err, c.code)
		})
	}
}

// The entry gets another address after people approved its name: nothing is built, whoever signed the new book.
func TestAttack040ABookThatChangesStopsThePayment(t *testing.T) {
	r := newRig(t)
	r.setBook("otc-desk", deskAddress)
	v := must(r.pay("otc-desk", 1e6))
	r.mustCommand(r.vouched(bookPaper, bookOf(2, spend.BitcoinRegtest, "otc-desk", otherAddress), 1, 2)...)
	for _, name := range []string{"alice", "bob"} {
		must(0, r.approve(v.Intent.Serial, name))
	}
	v = r.look(v.Intent.Serial)
	if v.Intent.State != treasury.Approved || !strings.Contains(v.Waiting, "book-changed at entry otc-desk") {
		t.Errorf("%s, waits for %q", v.Intent.State, v.Waiting)
	}
	r.setBook("lender", otherAddress)
	wantCode(t, r.treasury.Step(context.Background()), "book-entry-unknown")
	r.setBook("otc-desk", deskAddress) // as it was
	if err := r.treasury.Step(context.Background()); err != nil {
		t.Error(err)
	}
	if v := r.look(v.Intent.Serial); v.Intent.State != treasury.Sealed {
		t.Errorf("%s, waits for %q", v.Intent.State, v.Waiting)
	}
}

// Two payments of one amount to one entry are two payments, once the first is sent.
func TestAPaymentMayBeRepeatedWhenItWasSent(t *testing.T) {
	r := newRig(t)
	r.setBook("otc-desk", deskAddress)
	first := must(r.pay("otc-desk", 1e6))
	for _, name := range []string{"alice", "bob"} {
		must(0, r.approve(first.Intent.Serial, name))
	}
	r.signBy(first.Intent.Serial, 0, 1)
	second := must(r.pay("otc-desk", 1e6))
	if third := must(r.pay("otc-desk", 2e6)); second.Intent.Serial == first.Intent.Serial || third.Intent.Serial == second.Intent.Serial {
		t.Errorf("serials %d, %d, %d", first.Intent.Serial, second.Intent.Serial, third.Intent.Serial)
	}
}

// A copy counts with the signatures of a wallet's quorum, and with no other.
func TestPapersNeedTheKeyholders(t *testing.T) {
	r := newRig(t)
	good := bookOf(1, spend.BitcoinRegtest, "otc-desk", deskAddress)
	stranger := r.file("stranger", must(seal.Sign(r.people["alice"], seal.Book, good, rand.Reader)))
	template := policy.Template(spend.BitcoinRegtest, policy.Wallet{ID: r.cold.ID(), Name: "COLD-BTC-A", Tier: spend.Cold}, policy.Wallet{ID: r.hot.ID(), Name: "HOT-BTC-1", Tier: spend.Hot})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"one keyholder":      {r.vouched(bookPaper, good, 0), "book-quorum"},
		"one of them twice":  {r.vouched(bookPaper, good, 1, 1), "book-quorum"},
		"a stranger as well": {append(r.vouched(bookPaper, good, 0, 1), "--signature", stranger), "voucher-unknown"},
		"another network":    {r.vouched(bookPaper, bookOf(1, spend.BitcoinMainnet, "otc-desk", deskAddress), 0, 1), "book-other-network"},
		"a policy as a book": {r.vouched(bookPaper, template, 0, 1), "book-"},
		"a policy by one":    {r.vouched(policyPaper, template, 2), "policy-quorum"},
		"a policy elsewhere": {r.vouched(policyPaper, []byte(strings.Replace(string(template), "bitcoin:regtest", "bitcoin:signet", 1)), 0, 1), "policy-other-network"},
	} {
		code, _, errs := r.command(c.args...)
		if code == console.Done || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d\n%s", name, code, errs)
		}
	}
	if code, _, errs := r.command("book", "show"); code != console.Failed || !strings.Contains(errs, "no copy of the address book") {
		t.Errorf("no book: exit %d\n%s", code, errs)
	}
	if out := r.mustCommand(append(r.vouched(policyPaper, template, 2, 0), "--json")...); !strings.Contains(out, `"wallets":["COLD-BTC-A"]`) {
		t.Errorf("a policy: %s", out)
	}
	r.setBook("otc-desk", deskAddress)
	if out := r.mustCommand("book", "show"); !strings.Contains(out, "otc-desk  "+deskAddress) {
		t.Errorf("the book: %s", out)
	}
	if list := must(r.treasury.Entries(context.Background(), "COLD-BTC-A")); len(list) != 1 || list[0].Address != deskAddress {
		t.Errorf("entries %+v", list)
	}
	if err := os.Remove(filepath.Join(r.dir, "papers", must(os.ReadDir(filepath.Join(r.dir, "papers")))[0].Name())); err != nil {
		t.Error(err)
	}
	_, err := r.treasury.Entries(context.Background(), "HOT-BTC-1") // whose keyholders signed nothing
	if err == nil {
		t.Error("a book counts for a wallet whose keyholders did not sign it")
	}
	r.set(noon.Add(time.Hour))
}
