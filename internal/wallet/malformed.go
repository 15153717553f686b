package wallet

import "github.com/coldsign/coldsign/internal/spend"

// malformed refuses text that is not what its format allows, and says what that would be. Names and tiers are typed by
// whoever composes a wallet; everything else came from somebody.
func malformed(code, where, format string, args ...any) *spend.Refusal {
	r := spend.Malformed(code, where, format, args...)
	switch code {
	case "descriptor-checksum":
		r.Expected = "a descriptor with its own checksum"
	case "descriptor-unreadable":
		r.Expected = "a descriptor of the kinds in docs/wallets.md"
	case "import-unreadable":
		r.Expected = "a descriptor, or a Bitcoin Core, BSMS, Coldcard, Sparrow or Caravan file"
	case "key-device":
		r.Expected = DeviceFile + " or " + DevicePKCS11
	case "key-encoding":
		r.Expected = "an xpub or tpub, or a key of 66 hexadecimal digits"
	case "key-kind":
		r.Expected = "bip32, fixed or pool"
	case "key-name":
		r.Expected = "1 to 32 letters, digits, '.', '_' or '-', the first a letter or digit"
	case "key-pool":
		r.Expected = "an even number of different keys"
	case "key-receipt":
		r.Expected = "a line like ssh-ed25519 AAAA..."
	case "key-unreadable", "wallet-unreadable":
		r.Expected = "the form that docs/formats.md gives a " + where
	case "wallet-name":
		r.Expected, r.Fix = "2 to 32 of A-Z, 0-9 and '-', the first a letter or digit", "choose another name"
	case "wallet-tier":
		r.Expected, r.Fix = "hot, warm or cold", "name one of the three"
	}
	return r
}
