package wallet

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// Caravan's configuration, the fields that bind:
//
//	{
//	  "addressType": "P2WSH", "network": "regtest",
//	  "quorum": {"requiredSigners": 2, "totalSigners": 3},
//	  "extendedPublicKeys": [{"name": "seed-1", "bip32Path": "m/48'/1'/0'/2'", "xpub": "tpub...", "xfp": "4ba43603"}, ...]
//	}
//
// A key may also have no name, and is then named by its position: Caravan writes names, its library (@caravan/multisig)
// does not. The wallet's name, client, startingAddressIndex, uuid and ledgerPolicyHmacs may be there and change nothing:
// they say what Caravan calls it, whom it asks for coins, where its list of addresses begins, and what a Ledger device
// remembers.

// caravanFile is the wallet configuration of Unchained's Caravan.
type caravanFile struct {
	Name        string        `json:"name"`
	AddressType string        `json:"addressType"`
	Network     string        `json:"network"`
	Client      caravanClient `json:"client"`
	Quorum      caravanQuorum `json:"quorum"`
	Keys        []caravanKey  `json:"extendedPublicKeys"`
	Start       uint32        `json:"startingAddressIndex"`
}

type caravanClient struct {
	Type string `json:"type"`
}

type caravanQuorum struct {
	Required int `json:"requiredSigners"`
	Total    int `json:"totalSigners"`
}

type caravanKey struct {
	Name        string `json:"name"`
	Path        string `json:"bip32Path"`
	Key         string `json:"xpub"`
	Fingerprint string `json:"xfp"`
}

const caravanType = "P2WSH" // sorted keys behind wsh, as Caravan builds them

// Caravan writes the wallet as Caravan's configuration. It names a private node, so that importing it asks no stranger
// about our addresses.
func (w Wallet) Caravan() ([]byte, error) {
	if err := w.refuseFixedKeys("the Caravan format"); err != nil {
		return nil, err
	}
	f := caravanFile{Name: w.name, AddressType: caravanType, Network: w.network.Name(), Client: caravanClient{"private"},
		Quorum: caravanQuorum{w.threshold, len(w.records)}}
	for _, r := range w.records {
		f.Keys = append(f.Keys, caravanKey{r.Name, strings.ReplaceAll(pathText(r.Path), "h", "'"), r.Key, hex.EncodeToString(r.Fingerprint[:])})
	}
	return indented(f), nil
}

// FromCaravan reads such a configuration. Network, quorum and keys bind; name, client and starting index are not taken
// over.
func FromCaravan(raw []byte, l Label, options ...Option) (Wallet, error) {
	doc := document{"import-unreadable", "Caravan file", foreignFileMax}
	o, err := doc.read(raw, []string{"addressType", "network", "quorum", "extendedPublicKeys"},
		[]string{"name", "client", "startingAddressIndex", "uuid", "ledgerPolicyHmacs"})
	if err != nil {
		return Wallet{}, err
	}
	f, err := o.texts("addressType", "network")
	if err != nil {
		return Wallet{}, err
	}
	if f["addressType"] != caravanType {
		return Wallet{}, spend.Refuse("wallet-script", doc.where, "the address type "+caravanType, quote(f["addressType"]), "set the wallet up again as native segwit multisig")
	}
	if f["network"] != l.Network.Name() {
		return Wallet{}, spend.Refuse("wallet-network", doc.where, l.Network.Name(), quote(f["network"]), "import the file of that network")
	}
	raws, err := o.list("extendedPublicKeys", keysMax)
	if err != nil {
		return Wallet{}, err
	}
	records := make([]KeyRecord, len(raws))
	for i, raw := range raws {
		if records[i], err = readCaravanKey(doc, raw, i, l.Network); err != nil {
			return Wallet{}, err
		}
	}
	threshold, err := readCaravanQuorum(doc, o.fields["quorum"], len(records))
	if err != nil {
		return Wallet{}, err
	}
	return composeForeign(records, threshold, l, options)
}

func readCaravanQuorum(doc document, raw json.RawMessage, keys int) (int, error) {
	o, err := doc.read(raw, []string{"requiredSigners", "totalSigners"}, nil)
	if err != nil {
		return 0, err
	}
	required, err := o.number("requiredSigners", keysMax)
	if err != nil {
		return 0, err
	}
	total, err := o.number("totalSigners", keysMax)
	if err != nil {
		return 0, err
	}
	// A key that was cut off, or slipped in, shows here.
	if int(total) != keys {
		return 0, doc.malformed("%d keys where its quorum counts %d", keys, total)
	}
	return int(required), nil
}

func readCaravanKey(doc document, raw json.RawMessage, i int, n spend.Network) (KeyRecord, error) {
	o, err := doc.read(raw, []string{"bip32Path", "xpub", "xfp"}, []string{"name", "method"})
	if err != nil {
		return KeyRecord{}, err
	}
	f, err := o.texts("bip32Path", "xpub", "xfp")
	if err != nil {
		return KeyRecord{}, err
	}
	name := "" // becomes one by position
	if _, named := o.fields["name"]; named {
		if name, err = o.anyText("name"); err != nil {
			return KeyRecord{}, err
		}
	}
	// Caravan writes "Unknown" for a path or fingerprint that nobody entered. No signer could find its key by that.
	path, isPath := parsePath(f["bip32Path"])
	fingerprint, isPrint := parseFingerprint(strings.ToLower(f["xfp"]))
	if !isPath || !isPrint || len(path) == 0 {
		return KeyRecord{}, refuseOrigin(doc.where)
	}
	return KeyRecord{Name: foreignName(name, i), Network: n, Kind: BIP32, Fingerprint: fingerprint, Path: path, Key: f["xpub"]}, nil
}
