package bitcoin

import (
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
)

// Addresses of BIP173, BIP350 and Bitcoin Core's documentation; an address has one spelling, of one network.
func TestAttack040AnAddressHasOneSpelling(t *testing.T) {
	const segwit = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
	for text, network := range map[string]spend.Network{
		segwit:                               spend.BitcoinMainnet,
		"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX": spend.BitcoinMainnet,
		"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2": spend.BitcoinMainnet,
		"bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3": spend.BitcoinMainnet,
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0": spend.BitcoinMainnet,
		"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx":                     spend.BitcoinTestnet,
	} {
		if err := CheckAddress(network, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for name, text := range map[string]string{
		"upper case":             strings.ToUpper(segwit),
		"mixed case":             "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdQ",
		"a wrong letter":         segwit[:41] + "p",
		"another network":        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
		"old, another network":   "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc",
		"another coin":           "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
		"a public key":           "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		"an anchor":              "bc1pfeessrawgf", // pay to anchor: anybody can spend it
		"witness version 16":     "bc1sw50qgdz25j",
		"a space":                " " + segwit,
		"nothing":                "",
		"bech32 where m belongs": "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
	} {
		var r *spend.Refusal
		if err := CheckAddress(spend.BitcoinMainnet, text); !errors.As(err, &r) || r.Code != "address-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if CheckAddress("litecoin:mainnet", segwit) == nil {
		t.Error("a network that nobody knows")
	}
}
