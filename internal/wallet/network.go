package wallet

import (
	"encoding/hex"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// hardened is the bit that BIP32 sets in the index of a hardened step.
const hardened = hdkeychain.HardenedKeyStart

// Params returns btcd's parameters of a Bitcoin network. Every other network is refused: nothing falls back to one.
func Params(n spend.Network) (*chaincfg.Params, error) {
	switch n {
	case spend.BitcoinMainnet:
		return &chaincfg.MainNetParams, nil
	case spend.BitcoinTestnet:
		return &chaincfg.TestNet3Params, nil
	case spend.BitcoinSignet:
		return &chaincfg.SigNetParams, nil
	case spend.BitcoinRegtest:
		return &chaincfg.RegressionNetParams, nil
	}
	return nil, spend.Refuse("network-unknown", "network", "bitcoin:mainnet, bitcoin:testnet, bitcoin:signet or bitcoin:regtest",
		quote(string(n)), "name one of these networks")
}

// coinType is the second step of a BIP48 path: 0 where coins are worth something, 1 elsewhere.
func coinType(n spend.Network) uint32 {
	if n == spend.BitcoinMainnet {
		return 0
	}
	return 1
}

// prefixOf is how an extended public key of the network begins.
func prefixOf(n spend.Network) string {
	if n == spend.BitcoinMainnet {
		return "xpub"
	}
	return "tpub"
}

const extendedKeyTextMax = 112 // characters; 82 bytes of base58 are at most 112

// readExtended reads an extended public key, xpub or tpub. A private key is refused without being repeated, and a
// SLIP-132 key with its standard spelling: those prefixes say a script type, which only the descriptor may say.
func readExtended(text, where string) (*hdkeychain.ExtendedKey, error) {
	if len(text) > extendedKeyTextMax {
		return nil, malformed("key-encoding", where, "%d characters, an extended key has at most %d", len(text), extendedKeyTextMax)
	}
	key, err := hdkeychain.NewKeyFromString(text)
	if err != nil {
		return nil, malformed("key-encoding", where, "text that is no extended public key: the characters, the checksum or the curve point are wrong")
	}
	if key.IsPrivate() {
		return nil, privateKey(where)
	}
	// SLIP-132 before other coins: these are the prefixes that people really have, and they can be told the way out.
	if standard := slip132(key.Version()); standard != nil {
		return nil, refuseSLIP132(key, standard, where)
	}
	if string(key.Version()) != string(chaincfg.MainNetParams.HDPublicKeyID[:]) && string(key.Version()) != string(chaincfg.TestNet3Params.HDPublicKeyID[:]) {
		return nil, spend.Refuse("key-network", where, "an extended key that begins with xpub or tpub", "version bytes "+hex.EncodeToString(key.Version()),
			"export the key for bitcoin; this one is of another coin")
	}
	// BIP32's fifth set of vectors: a master key has no parent and no index, though most libraries read such a key.
	if key.Depth() == 0 && (key.ParentFingerprint() != 0 || key.ChildIndex() != 0) {
		return nil, malformed("key-encoding", where, "an extended key of depth 0 that names a parent")
	}
	return key, nil
}

func privateKey(where string) error {
	return spend.Refuse("key-private", where, "a public key", "a private key (not repeated here)",
		"treat that key as exposed: it has left its holder; export the public key instead")
}

// slip132 returns the standard version bytes that a SLIP-132 public prefix stands for, or nil.
func slip132(version []byte) []byte {
	switch hex.EncodeToString(version) {
	case "049d7cb2", "0295b43f", "04b24746", "02aa7ed3": // ypub, Ypub, zpub, Zpub
		return chaincfg.MainNetParams.HDPublicKeyID[:]
	case "044a5262", "024289ef", "045f1cf6", "02575483": // upub, Upub, vpub, Vpub
		return chaincfg.TestNet3Params.HDPublicKeyID[:]
	}
	return nil
}

func refuseSLIP132(key *hdkeychain.ExtendedKey, standard []byte, where string) error {
	// The converted key is shown as a help to compare, not taken over: its holder exports it, so that its holder signs it.
	found, fix := key.String()[:4], "ask the holder to export it with the prefix xpub or tpub"
	if same, err := key.CloneWithVersion(standard); err == nil {
		fix = "only the first four bytes differ: the same key in its standard spelling is " + same.String() +
			"; its holder checks that and exports it again"
	}
	return spend.Refuse("key-slip132", where, "an extended key that begins with xpub or tpub", "the SLIP-132 prefix "+found, fix)
}

// fitsNetwork checks the version bytes of an extended key against a network.
func fitsNetwork(key *hdkeychain.ExtendedKey, n spend.Network, where string) error {
	params, err := Params(n)
	if err != nil {
		return err
	}
	if string(key.Version()) != string(params.HDPublicKeyID[:]) {
		return spend.Refuse("key-network", where, prefixOf(n)+"... on "+string(n), key.String()[:4]+"...", "export the key for "+string(n))
	}
	return nil
}

// readCompressed reads 66 lower-case hexadecimal digits as a point of the curve.
func readCompressed(text, where string) (key [33]byte, err error) {
	if len(text) == 130 && text[:2] == "04" {
		return key, spend.Refuse("key-uncompressed", where, "66 hexadecimal digits, a compressed key", "130 digits, an uncompressed key",
			"export the compressed form; segwit has no other")
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(key) || hex.EncodeToString(raw) != text {
		return key, malformed("key-encoding", where, "%d characters that are not 66 lower-case hexadecimal digits", len(text))
	}
	// About half of all 32-byte numbers are no x of the curve. Coins behind one of them could never be moved.
	if _, err := btcec.ParsePubKey(raw); err != nil {
		return key, spend.Refuse("key-off-curve", where, "a point of secp256k1", "66 digits that are none", "export the key again; no private key can exist for this one")
	}
	return [33]byte(raw), nil
}
