package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// CheckAddress refuses text that is not, letter by letter, how Prove writes the address of a standard script on a
// network: people and rules compare addresses as text, so an address has one spelling. Test networks share the
// beginning of old addresses; everything else tells networks apart.
func CheckAddress(network spend.Network, text string) error {
	_, err := AddressScript(network, text)
	return err
}

// AddressScript is the script of an address that CheckAddress takes.
func AddressScript(network spend.Network, text string) ([]byte, error) {
	params, err := wallet.Params(network)
	if err != nil {
		return nil, err
	}
	refuse := func(found string) ([]byte, error) {
		return nil, malformed("address-invalid", "address", "%.90q, %s", text, found)
	}
	decoded, err := address.DecodeAddress(text, params)
	if err != nil {
		return refuse("which is none of " + string(network))
	}
	script, err := txscript.PayToAddrScript(decoded)
	if err != nil {
		return refuse(fmt.Sprintf("which has no script: %v", err))
	}
	if code := payable(script); code != "" {
		return refuse("which has a script that nobody should pay: " + code)
	}
	if written := addressOf(script, params); written != text {
		return refuse("which is written " + written)
	}
	return script, nil
}
