package review

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/spend"
)

const deskAddress = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"

// payment pays 12.5 BTC from cold to an entry of the address book.
func payment(change ...func(*chain.Facts)) Request {
	facts := cleanFacts()
	facts.Outputs[0] = chain.Output{Position: 0, Amount: facts.Outputs[0].Amount, Address: deskAddress, Role: chain.External}
	for _, c := range change {
		c(&facts)
	}
	req := requestOf(facts)
	req.Intent.Purpose, req.Intent.To, req.Intent.ToIndex, req.Intent.Entry = spend.Payment, spend.WalletID{}, 0, "otc-desk"
	req.ToName, req.Payee = "otc-desk", deskAddress
	return req
}

// A payment that leaves our wallets says so before anything else is read.
func TestAPaymentShowsThatItLeavesOurWallets(t *testing.T) {
	screen := shown(payment())
	for _, line := range []string{"PAY ", "-> otc-desk", "OUTSIDE OUR WALLETS: an entry of the book that the keyholders signed"} {
		if !strings.Contains(screen, line) {
			t.Errorf("no %q on\n%s", line, screen)
		}
	}
	plain := Plain(payment())
	for _, line := range []string{"PAYMENT OUTSIDE", "entry otc-desk of the address book that the keyholders signed", "to entry otc-desk\n    " + deskAddress} {
		if !strings.Contains(plain, line) {
			t.Errorf("no %q in\n%s", line, plain)
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(screen), ""), deskAddress) {
		t.Errorf("the address is not there in full:\n%s", screen)
	}
	if !Confirm(payment()).Check("12.5 wf5mdq") || Confirm(payment()).Check("12.5 vvvzej") {
		t.Error("the confirmation is not the end of the entry's address")
	}
}

// Attack 040 at the last wall: a screen that calls an output the entry's, when it is not, is never shown as clean.
func TestAttack040AScreenCallsNothingElseTheEntry(t *testing.T) {
	topUp := payment()
	topUp.Intent.Purpose = spend.TopUp
	nobody := payment()
	nobody.Payee = ""
	for name, req := range map[string]Request{
		"another address": payment(func(f *chain.Facts) { f.Outputs[0].Address = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdg" }),
		"a wallet":        payment(func(f *chain.Facts) { f.Outputs[0].Role = chain.Destination }),
		"no address":      payment(func(f *chain.Facts) { f.Outputs[0].Address = "" }),
		"two of them":     payment(func(f *chain.Facts) { f.Outputs = append(f.Outputs, f.Outputs[0]) }),
		"a top-up":        topUp,
		"no entry":        nobody,
	} {
		if s := newSheet(req); s.clean() {
			t.Errorf("%s is clean", name)
		}
	}
}
