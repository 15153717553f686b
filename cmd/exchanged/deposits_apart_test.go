package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// customersOf are customers whose deposits go to a wallet, for a treasury without an exchange.
type customersOf struct {
	wallet wallet.Wallet
	whose  string
	err    error
}

func (c customersOf) Deposit(id spend.WalletID) bool { return c.wallet.ID() == id }
func (c customersOf) Whose(context.Context, []byte) (string, error) {
	return c.whose, c.err
}

// depositWallet makes the cold wallet one that customers pay to.
func (r *rig) depositWallet() { r.treasury.Customers = customersOf{wallet: r.cold} }

// A wallet whose receive addresses belong to customers pays itself in no way: not merged, not by a child that lifts a
// payment of a customer.
func TestADepositWalletDoesNotPayItself(t *testing.T) {
	r := newRig(t)
	parent := r.incoming(50_000_000, 200)
	r.depositWallet()
	_, err := r.conceives(ofTx(parent, 5_000))
	wantCode(t, err, "deposit-wallet")
	_, err = r.treasury.PlanChild(context.Background(), ofTx(parent, 5_000))
	wantCode(t, err, "deposit-wallet")
	_, err = r.treasury.Consolidate(context.Background(), carol, "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "deposit-wallet")
	_, err = r.treasury.PlanConsolidation(context.Background(), "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "deposit-wallet")
}

// While nobody can say whose an address is, nothing is paid to it.
func TestAPaymentWaitsUntilItsAddressIsKnownToBeNobodys(t *testing.T) {
	r := newRig(t)
	r.setBook("otc-desk", deskAddress)
	silent := errors.New("the engine does not answer")
	r.treasury.Customers = customersOf{wallet: r.hot, err: silent}
	if _, err := r.pay("otc-desk", 1e6); !errors.Is(err, silent) {
		t.Errorf("proposed: %v", err)
	}
	r.treasury.Customers = customersOf{wallet: r.hot}
	v := must(r.pay("otc-desk", 1e6))
	// The address becomes a customer's while people approve: what they approved is not built.
	r.treasury.Customers = customersOf{wallet: r.hot, whose: "deposit address 3"}
	for _, name := range []string{"alice", "bob"} {
		must(0, r.approve(v.Intent.Serial, name))
	}
	if err := r.treasury.Step(context.Background()); err == nil {
		t.Error("a bundle was built")
	} else {
		wantCode(t, err, "book-entry-customer")
	}
}

// The address book names a deposit address: an attacker among the keyholders, or a slip, would have the house pay a
// customer. Who that is stands in the refusal; so does the address that the next customer gets, however far.
func TestTheHouseDoesNotPayACustomersDepositAddress(t *testing.T) {
	b := newBourse(t)
	w := walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f"))
	b.signers = cosigners("a", "b", "c")
	b.cold = walletOf("COLD-BTC-A", spend.Cold, b.signers)
	b.mustCommand("wallet", "add", b.file("cold", b.cold.Marshal()))
	b.mustCommand("wallet", "add", b.file("deposits", w.Marshal()))
	b.configure(`wallet: ""                 # registered`, `wallet: DEPOSITS-1         # registered`)
	b.configure("confirmations: []", `confirmations: [{need: 1}]`)
	b.setBook("two", must(w.Derive(wallet.Receive, 1)).Address, "next", must(w.Derive(wallet.Receive, 700)).Address, "desk", deskAddress)
	b.begin()
	b.market()
	b.mustChange("exchange", "deposits", "DEPOSITS-1")
	b.customer("one").address()
	b.customer("two").address()
	until(t, "the address in the records", func() bool { return b.paying("two") != "" && strings.Contains(b.paying("two"), "account 2") })
	for entry, want := range map[string]string{"two": "deposit address 1 of DEPOSITS-1, of customer two (account 2)", "next": "deposit address 700 of DEPOSITS-1, which the next customers get"} {
		if got := b.paying(entry); !strings.Contains(got, "book-entry-customer") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", entry, got)
		}
	}
	if got := b.paying("desk"); strings.Contains(got, "book-entry-customer") || !strings.Contains(got, "funds-insufficient") {
		t.Errorf("somebody else's address: %s", got)
	}
	if _, err := b.staff.Consolidate(t.Context(), admin.Consolidation{Wallet: "DEPOSITS-1"}); err == nil || !strings.Contains(err.Error(), "deposit-wallet") {
		t.Errorf("consolidated: %v", err)
	}
}

// paying proposes a payment and returns what the daemon says against it.
func (b *bourse) paying(entry string) string {
	b.t.Helper()
	_, plan := b.staff.Plan(b.t.Context(), admin.Planning{Kind: admin.KindPayment, Payment: &admin.Paying{Wallet: "COLD-BTC-A", Entry: entry, Amount: "0.5"}})
	_, err := b.staff.Pay(b.t.Context(), admin.Paying{Wallet: "COLD-BTC-A", Entry: entry, Amount: "0.5"})
	if err == nil || plan == nil {
		b.t.Fatalf("a payment to %s is taken", entry)
	}
	return refusalText(err) + refusalText(plan)
}

// refusalText is a refusal with all that it says.
func refusalText(err error) string {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code + ": " + refusal.Found
	}
	return err.Error()
}

// A wallet that the treasury fills cannot become the one that customers pay to, whatever the configuration says.
func TestAWatchedTierIsNotProposedForDeposits(t *testing.T) {
	b := newBourse(t)
	hot := walletOf("HOT-BTC-1", spend.Hot, cosigners("x", "y", "z"))
	cold := walletOf("COLD-BTC-A", spend.Cold, cosigners("a", "b", "c"))
	b.mustCommand("wallet", "add", b.file("hot", hot.Marshal()))
	b.mustCommand("wallet", "add", b.file("cold", cold.Marshal()))
	b.configure("tiers: []\n", "tiers:\n  - {wallet: HOT-BTC-1, from: COLD-BTC-A, floor: \"1.0\", target: \"2.0\"}\n")
	b.begin()
	b.market()
	code, _, errs := b.command("exchange", "deposits", "HOT-BTC-1")
	if code != console.Refused || !strings.Contains(errs, "watched tier") || !strings.Contains(errs, "hint: make a wallet for deposits alone") {
		t.Errorf("%d %s", code, errs)
	}
	b.mustChange("exchange", "deposits", "COLD-BTC-A") // a wallet that it takes from may be one: that is a sweep
}
