package bundle_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// payment is the example's intent with an entry of the address book in the place of the wallet that receives.
func payment() spend.Intent {
	i := exampleIntent()
	i.Purpose, i.To, i.ToIndex, i.Entry = spend.Payment, spend.WalletID{}, 0, "otc-desk"
	return i
}

func TestAPaymentComesBackWhole(t *testing.T) {
	longest := payment()
	longest.Network, longest.Serial, longest.Entry = spend.BitcoinMainnet, math.MaxUint64, strings.Repeat("e", 32)
	longest.Issuer, longest.Proposer = strings.Repeat("i", 32), strings.Repeat("p", 32)
	longest.Amount = money.New(money.BTC, money.U128{Hi: math.MaxUint64, Lo: math.MaxUint64})
	longest.ExpiresAt = 253402300799
	longest.CreatedAt = longest.ExpiresAt - 1
	for _, intent := range []spend.Intent{payment(), longest} {
		raw := intentBytes(t, intent)
		if back, err := bundle.DecodeIntent(raw); err != nil || back != intent || len(raw) > 257 {
			t.Errorf("%d bytes came back as %+v: %v", len(raw), back, err)
		}
	}
}

// Attack 040: an intent has one destination. One that named a wallet and an entry would let a screen show the one and a
// rule judge the other.
func TestAttack040AnIntentNamesOneDestination(t *testing.T) {
	for name, change := range map[string]func(*spend.Intent){
		"a payment to a wallet":             func(i *spend.Intent) { i.To, i.Entry = spend.WalletID{7}, "" },
		"a payment to both":                 func(i *spend.Intent) { i.To = spend.WalletID{7} },
		"a payment to an index":             func(i *spend.Intent) { i.ToIndex = 1 },
		"a payment to nobody":               func(i *spend.Intent) { i.Entry = "" },
		"a payment to what is no name":      func(i *spend.Intent) { i.Entry = "OTC desk" },
		"a top-up to an entry":              func(i *spend.Intent) { i.Purpose = spend.TopUp },
		"a top-up to a wallet and an entry": func(i *spend.Intent) { i.Purpose, i.To = spend.TopUp, spend.WalletID{7} },
		"a payment from nobody":             func(i *spend.Intent) { i.From = spend.WalletID{} },
	} {
		intent := payment()
		change(&intent)
		raw, err := bundle.EncodeIntent(intent)
		if r := (*spend.Refusal)(nil); !errors.As(err, &r) || r.Code != "intent-invalid" {
			t.Errorf("%s: %x, %v", name, raw, err)
		}
	}
}
